//! What the command line says and how it exits, where no database is needed.

mod support;

use support::TestRepo;

#[test]
fn usage_errors_exit_with_129() {
    let test = TestRepo::new();
    for args in [
        &["frobnicate"][..],
        &["status", "--frob"],
        &["branch", "create"],
        &["init"],
        &["init", "--empty", "--from", "x.sql"],
        &["init", "--empty", "--postgres", "13"],
        &["sql", "-c", "select 1", "-f", "x.sql"],
        &["exec"],
        &["completions", "tcsh"],
        &[],
    ] {
        let said = test.run(args).fails(129);
        assert!(!said.is_empty(), "{args:?}");
    }
}

#[test]
fn usage_errors_are_json_where_json_is_asked_for() {
    let test = TestRepo::new();
    let said = test.run(&["--json", "branch", "create"]).fails(129);
    let error: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(error["error"]["kind"], "user");
}

#[test]
fn init_without_a_source_names_both() {
    let test = TestRepo::new();
    let said = test.run(&["init"]).fails(129);
    assert!(said.contains("--empty") && said.contains("--from"), "{said}");
    let said = test.run(&["--json", "init"]).fails(129);
    let error: serde_json::Value = serde_json::from_str(&said).unwrap();
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("--empty") && message.contains("--from"), "{message}");
}

#[test]
fn help_tells_every_verb() {
    let test = TestRepo::new();
    insta::assert_snapshot!(test.run(&["--help"]).ok(), @r#"
    A database branch for every git branch

    Usage: offshoot [OPTIONS] <COMMAND>

    Commands:
      init         Give this repository a database
      status       Show where this worktree's database is
      url          Print the URL of this worktree's database. It stays the same whatever is checked out
      branch       List, make and change database branches
      snapshot     Keep a branch as it is now, to compare with and to branch from
      answer       Answer the question of a checkout, or what `offshoot status` offers
      restore      Take a branch back in its place to what it was at a moment. `offshoot undo` undoes it
      log          Show what happened to a branch, and when; the newest first
      undo         Bring back the branch that was deleted, reset or restored last
      policy       Explain and check the rules of `offshoot.toml`, and apply changed ones
      promote      Bring the migrations of a git branch to the next tier, once what that wants holds
      sql          Run SQL, from the command line, a file or a prompt
      diff         Show what the schema of branch B has that the one of A has not
      dump         Write a branch to a file that `pg_restore`, psql and `offshoot init` read
      bundle       Carry a branch to a colleague as a file with the pages that differ
      schema       Write schemas to files
      migrations   Show what migrations have done to which branch, apply them, try them out
      push         Bring a branch's schema, never its data, to another server
      refresh      Give the root branch new data. Other branches keep theirs until they are reset
      follow       Follow a running server: the root branch has what it has, minutes later
      masking      Look after the rules by which personal data are replaced while they are imported
      seed         Look at what seeds have made and is kept, so that the same seed does not run again
      exec         Run a program with DATABASE_URL and the PG* variables set
      env          Look after the file, such as `.env`, in which programs find the address
      hooks        Let git tell Offshoot at once, where files are watched badly. Not needed otherwise
      engine       Look at the engine, the process behind the databases
      du           Show what the databases take on the disk, and what of it deleting would free
      doctor       Check everything that Offshoot needs, and say what to do about the rest
      completions  Print the completions of a shell
      help         Print this message or the help of the given subcommand(s)

    Options:
      -C <DIR>       Run as if started in DIR
          --json     Print JSON, errors too
      -h, --help     Print help
      -V, --version  Print version

    EXAMPLES:
        offshoot init --from postgres://localhost/shop    a copy of a database to branch from
        git checkout -b feature                           the database is branched too
        offshoot exec psql                                the same address on every branch
        offshoot branch reset feature                     back to the data of its parent
    "#);
}

#[test]
fn completions_come_for_three_shells() {
    let test = TestRepo::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = test.run(&["completions", shell]).ok();
        assert!(script.contains("offshoot") && script.contains("branch"), "{shell}");
    }
}

#[test]
fn outside_a_repository_every_verb_says_so() {
    let test = TestRepo::new();
    let outside = test.root().join("outside");
    std::fs::create_dir(&outside).unwrap();
    for args in
        [&["status"][..], &["url"], &["init", "--empty"], &["sql", "-c", "select 1"], &["branch", "list"]]
    {
        let said = test.run_in(&outside, args).fails(128);
        assert!(said.starts_with("fatal: ") && said.contains("not in a git repository"), "{said}");
        assert!(said.contains("\nhint: "), "{said}");
    }
}

#[test]
fn a_bare_repository_is_refused() {
    let test = TestRepo::new();
    let bare = test.root().join("bare.git");
    test.git(&["init", "-q", "--bare", bare.to_str().unwrap()]);
    let said = test.run_in(&bare, &["init", "--empty"]).fails(128);
    assert!(said.contains("bare"), "{said}");
}

#[test]
fn without_init_the_way_to_begin_is_told() {
    let test = TestRepo::new();
    let said = test.run(&["status"]).fails(128);
    assert!(said.contains("has no database yet") && said.contains("offshoot init --empty"), "{said}");
    let said = test.run(&["--json", "status"]).fails(128);
    let error: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(error["error"]["hint"].as_str().unwrap().contains("offshoot init"));
    assert!(!test.repo.join("offshoot.toml").exists(), "nothing is written but by init");
}

#[test]
fn directory_flag_works_as_in_git() {
    let test = TestRepo::new();
    let repo = test.repo.to_str().unwrap();
    let said = test.run_in(test.root(), &["-C", repo, "status"]).fails(128);
    assert!(said.contains("has no database yet"), "{said}");
    test.run(&["-C", "no/such/folder", "status"]).fails(128);
}

#[test]
fn bad_sources_are_refused_before_anything_is_made() {
    let test = TestRepo::new();
    std::fs::write(test.repo.join("photo.sql"), b"PK\x03\x04zip").unwrap();
    for source in ["no-such.sql", "mysql://u:hunter2@h/d"] {
        let said = test.run(&["init", "--from", source]).fails(128);
        assert!(said.contains("cannot read") && !said.contains("hunter2"), "{said}");
    }
    let said = test.run(&["init", "--empty", "--root-branch", "a..b"]).fails(128);
    assert!(said.contains("contains `..`"), "{said}");
    let said = test.run(&["init", "--empty", "--bin-dir", "/no/such/folder"]).fails(128);
    assert!(said.contains("--bin-dir"), "{said}");
    let stores = test.root().join("home/stores");
    assert!(!stores.exists() || stores.read_dir().unwrap().next().is_none(), "no store is left");
    assert!(!test.repo.join("offshoot.toml").exists());
}

//! `offshoot refresh`: new data for the root branch, and a way back.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use support::TestRepo;

fn script(rows: std::ops::Range<u32>) -> String {
    let rows: Vec<String> = rows.map(|n| format!("{n}\tzqperson{n}@corp.test\n")).collect();
    let rows = rows.concat();
    format!(
        "SELECT pg_catalog.set_config('search_path', '', false);\n\
         CREATE TABLE public.people (id integer NOT NULL, email text NOT NULL);\n\
         COPY public.people (id, email) FROM stdin;\n{rows}\\.\n\
         ALTER TABLE ONLY public.people ADD CONSTRAINT people_pkey PRIMARY KEY (id);\n"
    )
}

/// A repository whose database has ten people, masked, and what the seed adds.
fn filled() -> TestRepo {
    let test = TestRepo::new();
    let config = "[masking.columns]\n'public.people.email' = 'fake-email'\n[seed]\nfiles = ['seed.sql']\n";
    fs::write(test.repo.join("offshoot.toml"), config).unwrap();
    fs::write(
        test.repo.join("seed.sql"),
        "create table public.plan (name text);\ninsert into public.plan values ('free');\n",
    )
    .unwrap();
    let dump = test.root().join("one.sql");
    fs::write(&dump, script(0..10)).unwrap();
    let bin_dir = support::postgres_bin_dir();
    test.run(&["init", "--from", dump.to_str().unwrap(), "--bin-dir", bin_dir.to_str().unwrap()]).ok();
    test
}

fn count_on(test: &TestRepo, branch: &str) -> String {
    let told = test.run(&["sql", "--branch", branch, "--json", "-c", "select count(*) from people"]).json();
    told["results"][0]["rows"][0][0].to_string()
}

fn stale(test: &TestRepo) -> Vec<String> {
    let list = test.run(&["branch", "list", "--json"]).json();
    let branches = list["branches"].as_array().unwrap().iter();
    branches
        .filter(|it| !it["staleSince"].is_null())
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect()
}

/// The process of the server in a data directory; `initdb` writes a negative number.
fn server_of(data: &Path) -> Option<u32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.parse().ok()
}

#[test]
fn the_root_gets_new_data_and_others_keep_theirs_until_they_are_reset() {
    let test = filled();
    assert_eq!(test.value("select name from plan"), "free");
    let first = test.value("select email from people where id = 3");
    for name in ["kept", "taken"] {
        test.run(&["branch", "create", name]).ok();
    }
    test.run(&["branch", "create", "below", "--from", "kept"]).ok();
    test.run(&["sql", "--branch", "kept", "-c", "delete from people where id > 4"]).ok();
    let settings = "ALTER SYSTEM SET shared_preload_libraries = 'no_such_library';\n";
    fs::write(test.repo.join("two.sql"), format!("{settings}{}", script(0..25))).unwrap();
    let told: Value = test.run(&["refresh", "--from", "two.sql", "--json"]).json();
    assert_eq!((&told["rows"], &told["branch"]["name"]), (&25.into(), &"main".into()), "{told}");
    assert_eq!(told["masked"][0]["values"], 25, "{told}");
    assert!(
        told["notes"][0].as_str().unwrap().contains("left out `ALTER SYSTEM SET shared_preload_libraries"),
        "{told}"
    );
    assert_eq!(told["stale"].as_array().unwrap().len(), 3, "{told}");
    assert_eq!(test.value("select count(*) from people"), "25");
    assert_eq!(test.value("select name from plan"), "free", "the seed runs on each fresh root");
    assert_eq!(test.value("select email from people where id = 3"), first, "the same becomes the same");
    assert_eq!((count_on(&test, "kept"), count_on(&test, "taken")), ("5".into(), "10".into()));

    assert_eq!(stale(&test), ["kept", "below", "taken"]);
    test.run(&["branch", "reset", "taken"]).ok();
    assert_eq!(count_on(&test, "taken"), "25");
    assert_eq!(stale(&test), ["kept", "below"]);
    assert!(test.run(&["branch", "list"]).ok().contains("(data from before the last refresh)"));
    test.git(&["checkout", "-q", "-b", "kept"]);
    assert!(test.run(&["status"]).ok().contains("`offshoot branch reset kept` takes them"));
    test.run(&["branch", "create", "late", "--from", "main"]).ok();
    assert_eq!((count_on(&test, "late"), stale(&test)), ("25".into(), vec!["kept".into(), "below".into()]));

    let log = test.run(&["log", "main"]).ok();
    assert!(log.contains("main got new data") && log.contains("main~before-refresh-"), "{log}");

    // The mark outlives the engine.
    test.run(&["engine", "stop"]).ok();
    assert_eq!(stale(&test), ["kept", "below"]);
    test.run(&["undo", "main"]).ok();
    assert_eq!((count_on(&test, "main"), count_on(&test, "kept")), ("10".into(), "5".into()));
    assert_eq!(stale(&test), Vec::<String>::new());
    test.run(&["undo", "main"]).ok();
    assert_eq!(count_on(&test, "main"), "25");
}

#[test]
fn a_refresh_that_fails_or_is_ended_changes_nothing() {
    let test = filled();
    test.run(&["branch", "create", "child"]).ok();
    let partial = test.store().join("refresh.partial");
    let is_as_before = || {
        assert_eq!((count_on(&test, "main"), count_on(&test, "child")), ("10".into(), "10".into()));
        assert!(!partial.exists());
        let folders = test.store().join("branches").read_dir().unwrap().count();
        assert!(folders < 6, "{folders} folders of branches");
    };
    fs::write(test.repo.join("bad.sql"), "create table public.x ();\nselect pg_catalog.nonsense();\n")
        .unwrap();
    let said = test.run(&["refresh", "--from", "bad.sql"]).fails(128);
    assert!(said.contains("line 2") && said.contains("Nothing has changed"), "{said}");
    is_as_before();
    let said = test.run(&["refresh", "--from", "absent.sql"]).fails(128);
    assert!(said.contains("absent.sql"), "{said}");
    fs::write(test.repo.join("seed.sql"), "select 1;\nselect no_such_thing;\n").unwrap();
    let said = test.run(&["refresh", "--empty"]).fails(128);
    assert!(said.contains("seed") && said.contains("seed.sql") && said.contains("line 2"), "{said}");
    is_as_before();
    fs::write(test.repo.join("seed.sql"), "alter system set shared_preload_libraries = 'no_such_library';\n")
        .unwrap();
    let said = test.run(&["refresh", "--empty"]).fails(128);
    assert!(
        said.contains("ALTER SYSTEM") && said.contains("no_such_library") && said.contains("does not start"),
        "{said}"
    );
    is_as_before();
    test.run(&["branch", "protect", "main"]).ok();
    assert!(test.run(&["refresh", "--empty"]).fails(128).contains("protected"));
    test.run(&["branch", "unprotect", "main"]).ok();

    // What is checked out is older than the rules.
    let config = test.repo.join("offshoot.toml");
    let rules = fs::read_to_string(&config).unwrap();
    fs::write(&config, "").unwrap();
    let said = test.run(&["refresh", "--from", "bad.sql"]).fails(128);
    assert!(said.contains("no rule for masking") && said.contains("\"keep\""), "{said}");
    fs::write(&config, "[masking.columns]\n'public.people.id' = 'keep'\n").unwrap();
    let said = test.run(&["refresh", "--from", "bad.sql"]).fails(128);
    assert!(said.contains("public.people.email was masked") && said.contains("--drop-masking"), "{said}");
    let said = test.run(&["refresh", "--from", "bad.sql", "--drop-masking"]).fails(128);
    assert!(said.contains("line 2") && said.contains("nonsense"), "it is tried: {said}");
    fs::write(&config, rules).unwrap();

    // Somebody protects the branch while its new data are loaded.
    let gate = test.root().join("gate");
    let waiting = format!(
        "do $$ begin while pg_stat_file('{}', true) is null loop perform pg_sleep(0.01); end loop; end $$;\n",
        gate.display()
    );
    fs::write(test.repo.join("seed.sql"), waiting).unwrap();
    let mut refresh = test.command(support::PROGRAM);
    refresh.args(["refresh", "--empty"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let refresh = refresh.spawn().unwrap();
    support::wait_until("the new root is loaded", || server_of(&partial.join("branches/1/pgdata")).is_some());
    test.run(&["branch", "protect", "main"]).ok();
    fs::write(&gate, "").unwrap();
    let said = String::from_utf8(refresh.wait_with_output().unwrap().stderr).unwrap();
    assert!(said.contains("protected"), "{said}");
    support::wait_until("what was loaded is gone", || !partial.exists());
    is_as_before();
    test.run(&["branch", "unprotect", "main"]).ok();

    fs::write(test.repo.join("seed.sql"), "create table public.slow ();\nselect pg_sleep(600);\n").unwrap();
    let start = || {
        let mut refresh = test.command(support::PROGRAM);
        refresh.args(["refresh", "--empty"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let loads = || {
        let data = partial.join("branches/1/pgdata");
        support::wait_until("the new root is loaded", || server_of(&data).is_some());
    };
    let refresh = start();
    loads();
    let other = test.run(&["refresh", "--empty"]).fails(128);
    assert!(other.contains("another one is under way"), "{other}");
    support::signal("-INT", &refresh.id().to_string());
    let output = refresh.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    support::wait_until("the unfinished root is gone", || !partial.exists());
    is_as_before();

    let refresh = start();
    loads();
    let server = server_of(&partial.join("branches/1/pgdata")).unwrap().to_string();
    test.kill_engine();
    let ended = refresh.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(128));
    is_as_before();
    support::wait_until("its server is gone", || !support::is_running(&server));
}

#[test]
fn a_seed_command_runs_once_it_is_agreed_to_and_tells_why_it_failed() {
    let psql = ["/usr/bin/psql", "/usr/local/bin/psql"].into_iter().find(|path| Path::new(path).is_file());
    let Some(psql) = psql else {
        eprintln!("SKIPPED: no psql on this machine");
        return;
    };
    let test = TestRepo::with_database();
    let seed = |text: &str| fs::write(test.repo.join("seed.sh"), text).unwrap();
    let config = "[seed]\nfiles = ['seed.sql']\ncommand = 'sh seed.sh'\n";
    fs::write(test.repo.join("offshoot.toml"), config).unwrap();
    fs::write(test.repo.join("seed.sql"), "create table plan (name text, who text);\n").unwrap();
    seed(&format!(
        "echo filling\n{psql} \"$DATABASE_URL\" -qc \"insert into plan values ('$MINE', current_user)\"\n{psql} -qc 'insert into plan select * from plan'\n"
    ));
    let said = test.run(&["refresh", "--empty"]).fails(128);
    assert!(said.contains("runs `sh seed.sh`") && said.contains("--run-seed"), "{said}");
    let mut refresh = test.command(support::PROGRAM);
    let ran = refresh.args(["refresh", "--empty", "--run-seed"]).env("MINE", "free").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(
        test.value("select string_agg(name || ' ' || who, ', ') from plan"),
        "free postgres, free postgres"
    );
    seed("echo one line\necho \"$PGPASSWORD went wrong\" >&2\nexit 3\n");
    let said = test.run(&["refresh", "--empty", "--run-seed"]).fails(128);
    assert!(
        said.contains("exit status: 3") && said.contains("one line") && said.contains("… went wrong"),
        "{said}"
    );
    assert!(said.contains("Nothing has changed"), "{said}");
    assert_eq!(test.value("select count(*) from plan"), "2");
}

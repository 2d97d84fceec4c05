//! The tool run on a branch, and the way back.

use super::*;

#[test]
fn apply_takes_a_snapshot_and_undo_goes_back_to_it() {
    let test = with_migrations();
    test.git(&["checkout", "-q", "-b", "feature"]);
    let missing = test.run(&["migrations", "apply"]).fails(128);
    assert!(missing.contains("there is no program `dbmate`") && missing.contains("npm install"), "{missing}");
    assert!(test.run(&["snapshot", "list"]).ok().contains("no snapshots"), "nothing was begun");

    install_tool(&test);
    let applied = test.run(&["migrations", "apply"]);
    assert!(
        applied.err.contains("Applying: 002_tag.sql"),
        "what the tool prints is passed on: {}",
        applied.err
    );
    let applied = applied.ok();
    assert!(
        applied.contains("Ran 2 migrations on feature.") && applied.contains("+ table public.item"),
        "{applied}"
    );
    assert!(applied.contains("`offshoot migrations undo`"), "{applied}");
    assert_eq!(status(&test)["standing"], "upToDate");
    assert!(test.run(&["migrations", "apply"]).ok().contains("nothing is pending"));
    let drift = test.run(&["migrations", "drift"]).ok();
    assert!(drift.contains("has the schema that its 2 migrations make"), "{drift}");

    test.run(&["sql", "-c", "insert into item values (1)"]).ok();
    let undone = test.run(&["migrations", "undo"]).ok();
    assert!(undone.contains("feature is what it was"), "{undone}");
    assert_eq!(status(&test)["pending"], 2);
    assert!(test.run(&["migrations", "undo"]).fails(128).contains("no migrations were applied to `feature`"));
    test.run(&["undo", "feature"]).ok();
    assert_eq!(
        (test.value("select count(*) from item").as_str(), status(&test)["pending"].as_u64()),
        ("1", Some(0))
    );
    assert_eq!(test.branches(), ["main", "feature"], "it has its parent still");

    let down = test.run(&["migrations", "down", "--json"]).json();
    assert_eq!(
        (&down["ran"][0], &down["changes"][0]["change"]),
        (&"db/migrations/002_tag.sql".into(), &"changed".into())
    );

    write(
        &test,
        "db/migrations/003_wrong.sql",
        "-- migrate:up\nalter table nowhere add a int;\n-- migrate:down\n",
    );
    let failed = test.run(&["migrations", "apply"]);
    assert!(failed.out.contains("failed") && failed.out.contains("exit status"), "{failed:?}");
    failed.fails(1);
    assert_eq!(states(&status(&test)), ["applied", "applied", "pending"], "what ran before stays");
}

#[test]
fn a_root_branch_is_taken_back_as_any_other_and_stays_the_root() {
    let test = with_migrations();
    install_tool(&test);
    let tables =
        "select count(*) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace";
    let before = test.value(tables);
    let applied = test.run(&["migrations", "apply"]).ok();
    assert!(applied.contains("`offshoot migrations undo` goes back to it"), "{applied}");
    test.run(&["branch", "create", "kept"]).ok();
    let after = test.value(tables);
    assert_ne!(before, after);
    test.run(&["migrations", "undo", "--yes"]).ok();
    assert_eq!(test.value(tables), before);
    let kept = test.run(&["sql", "--branch", "kept", "-c", tables]).ok();
    assert!(
        kept.lines().any(|line| line.trim() == after),
        "a branch that was made of it keeps what it has: {kept}"
    );
    let root = test.run(&["branch", "delete", "main", "--yes"]).fails(128);
    assert!(root.contains("root branch"), "{root}");
    test.run(&["undo", "main"]).ok();
    assert_eq!(test.value(tables), after, "and back again");
}

#[test]
fn a_tool_that_used_another_database_is_told_of() {
    let test = with_migrations();
    install_script(&test, "echo done");
    for verb in [&["apply"][..], &["check"], &["check", "--markdown"]] {
        let ran = test.run(&[&["migrations"], verb].concat());
        assert!(
            ran.out.contains("dbmate ended well, and none of its pending migrations is on")
                && ran.out.contains("did not connect to the branch")
                && !ran.out.contains("nothing was changed"),
            "{}",
            ran.out
        );
        ran.fails(1);
    }
    assert!(test.run(&["snapshot", "list"]).ok().contains("no snapshots"), "nothing is there to undo");

    install_tool(&test);
    test.run(&["migrations", "apply"]).ok();
    install_script(&test, "echo done");
    let down = test.run(&["migrations", "down"]);
    assert!(down.out.contains("none of its migrations was taken back on main"), "{}", down.out);
    down.fails(1);
}

#[test]
fn alembic_with_an_address_of_its_own_is_not_run() {
    let test = TestRepo::with_database();
    let ini = "[alembic]\nscript_location = db\nsqlalchemy.url = postgresql://prod.example/app\n";
    write(&test, "alembic.ini", ini);
    write(&test, "db/env.py", "# not DATABASE_URL\nurl = config.get_main_option('sqlalchemy.url')\n");
    let one = "\"\"\"one\"\"\"\nrevision = 'a1'\ndown_revision = None\n\ndef upgrade():\n    pass\n";
    write(&test, "db/versions/a1_one.py", one);
    write(&test, ".venv/bin/alembic", "#!/bin/sh\ntouch ran\nexit 3\n");
    let program = test.repo.join(".venv/bin/alembic");
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    for verb in ["apply", "check"] {
        let refused = test.run(&["migrations", verb]).fails(128);
        assert!(
            refused.contains("alembic.ini:3 has an address of its own")
                && refused.contains("Add to db/env.py")
                && refused.contains("os.environ[\"DATABASE_URL\"]"),
            "{refused}"
        );
    }
    assert!(!test.repo.join("ran").exists());
    write(
        &test,
        "alembic.ini",
        &ini.replace("postgresql://prod.example/app", "driver://user:pass@localhost/dbname"),
    );
    let template = "connectable = engine_from_config(config.get_section('alembic'))\n";
    write(&test, "db/env.py", template);
    let refused = test.run(&["migrations", "apply"]).fails(128);
    assert!(
        refused.contains("alembic.ini:3 has the address of the template, and db/env.py does not read"),
        "{refused}"
    );
    assert!(!test.repo.join("ran").exists());

    write(&test, "db/env.py", &format!("url = os.environ['DATABASE_URL']\n{template}"));
    let failing =
        "#!/bin/sh\necho \"$DATABASE_URL\" > ran\necho 'sqlalchemy.exc.NoSuchModuleError: x:y'\nexit 1\n";
    write(&test, ".venv/bin/alembic", failing);
    let failed = test.run(&["migrations", "apply"]);
    assert!(
        failed.out.contains("Not the migration is at fault") && failed.out.contains("With psycopg 3 write"),
        "{}",
        failed.out
    );
    failed.fails(1);
    let tried = test.run(&["migrations", "apply", "--throwaway", "--measure"]);
    assert!(tried.out.contains("skipped  time, locks and rewrites"), "{}", tried.out);
    tried.fails(1);
    let given = fs::read_to_string(test.repo.join("ran")).unwrap();
    assert!(given.starts_with("postgresql://") && given.contains("@127.0.0.1:"), "{given}");
}

#[test]
fn a_checkout_while_the_tool_runs_fails_the_run() {
    let test = with_migrations();
    install_script(&test, "git checkout -q -b meanwhile");
    let ran = test.run(&["migrations", "apply"]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("changed while dbmate ran"), "{}", ran.out);
}

#[test]
fn migrations_are_applied_once_at_a_time() {
    let test = with_migrations();
    test.git(&["checkout", "-q", "-b", "feature"]);
    install_script(&test, "echo $$ > pid.tmp; mv pid.tmp pid; sleep 600");
    let mut command = test.command(PROGRAM);
    let mut first =
        command.args(["migrations", "apply"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the tool runs", || test.repo.join("pid").exists());
    for verb in ["apply", "undo"] {
        let second = test.run(&["migrations", verb]).fails(128);
        assert!(second.contains("migrations are being applied on `feature`"), "{second}");
    }
    signal("-INT", &first.id().to_string());
    assert_eq!(first.wait().unwrap().code(), Some(130));
    install_tool(&test);
    test.run(&["migrations", "apply"]).ok();
}

#[test]
fn undo_does_not_reach_over_an_apply_that_changed_nothing() {
    let test = with_migrations();
    test.git(&["checkout", "-q", "-b", "feature"]);
    install_tool(&test);
    test.run(&["snapshot", "create", "before-migrations-of-june"]).ok();
    test.run(&["migrations", "apply"]).ok();
    test.run(&["sql", "-c", "insert into item values (1)"]).ok();
    write(&test, "db/migrations/003_wrong.sql", "-- migrate:up\nselect nothing;\n-- migrate:down\n");
    test.run(&["migrations", "apply"]).fails(1);
    let refused = test.run(&["migrations", "undo"]).fails(128);
    assert!(refused.contains("the last apply on feature changed nothing"), "{refused}");
    let named = refused.split("--snapshot ").nth(1).unwrap().split('`').next().unwrap().to_owned();
    let undone = test.run(&["migrations", "undo", "--snapshot", &named]).ok();
    assert!(undone.contains("ago: feature@before-migrations-2"), "{undone}");
    assert!(test.run(&["migrations", "undo"]).fails(128).contains("no migrations were applied"));
    assert!(test.run(&["snapshot", "list"]).ok().contains("before-migrations-of-june"));
}

#[test]
fn undo_goes_only_to_before_the_newest_apply_of_this_state() {
    let test = with_migrations();
    test.git(&["checkout", "-q", "-b", "feature"]);
    install_tool(&test);
    test.run(&["migrations", "apply"]).ok();
    write(&test, "db/migrations/003_part.sql", "-- migrate:up\ncreate table part ();\n-- migrate:down\n");
    test.run(&["migrations", "apply"]).ok();
    // Undone and brought back, twice: each undo goes back by the one apply.
    for _ in 0..2 {
        test.run(&["migrations", "undo"]).ok();
        assert_eq!(states(&status(&test)), ["applied", "applied", "pending"]);
        test.run(&["undo", "feature"]).ok();
        assert_eq!(status(&test)["pending"], 0);
    }
    test.run(&["branch", "reset", "feature"]).ok();
    test.run(&["sql", "-c", "create table typed ()"]).ok();
    assert_eq!(status(&test)["undo"], Value::Null);
    let refused = test.run(&["migrations", "undo"]).fails(128);
    assert!(
        refused.contains("none since it was made, reset or taken back")
            && refused.contains("`offshoot migrations undo --snapshot before-migrations-"),
        "{refused}"
    );
    assert_eq!(test.value("select count(*) from typed"), "0");

    test.run(&["migrations", "apply", "--no-snapshot"]).ok();
    let refused = test.run(&["migrations", "undo"]).fails(128);
    assert!(refused.contains("the newest apply on `feature` took no snapshot"), "{refused}");
}

#[test]
fn two_pending_files_that_make_the_same_are_named() {
    let test = with_migrations();
    install_tool(&test);
    let part = "-- migrate:up\ncreate table part ();\n-- migrate:down\ndrop table part;\n";
    write(&test, "db/migrations/003_part.sql", part);
    write(&test, "db/migrations/004_also.sql", part);
    let failed = test.run(&["migrations", "apply"]);
    assert!(
        failed.out.contains("db/migrations/003_part.sql makes `part` as well as db/migrations/004_also.sql")
            && !failed.out.contains("made by hand"),
        "{failed:?}"
    );
    failed.fails(1);
    fs::remove_file(test.repo.join("db/migrations/003_part.sql")).unwrap();
    let failed = test.run(&["migrations", "apply"]);
    assert!(failed.out.contains("made by hand"), "{failed:?}");
    failed.fails(1);
    let checked = test.run(&["migrations", "check"]);
    assert!(
        checked.out.contains("main seems to have what the migration makes")
            && checked
                .out
                .contains("Or record it without running it: `offshoot sql -c \"create table if not exists"),
        "a check tells the same ways on: {checked:?}"
    );
    checked.fails(1);
}

#[test]
fn what_a_tool_leaves_behind_is_not_waited_for_and_ended() {
    let test = with_migrations();
    install_script(&test, "(trap '' TERM; sleep 600) & echo $! > pid; exit 1");
    test.run(&["migrations", "apply"]).fails(1);
    let pid = fs::read_to_string(test.repo.join("pid")).unwrap().trim().to_owned();
    wait_until("it is gone", || !is_running(&pid));
}

#[test]
fn ctrl_c_ends_the_tool() {
    let test = with_migrations();
    write(&test, ".gitignore", "node_modules\n");
    write(&test, "node_modules/.bin/dbmate", "#!/bin/sh\necho $$ > pid.tmp; mv pid.tmp pid; sleep 600\n");
    let path = test.repo.join("node_modules/.bin/dbmate");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = test.command(PROGRAM);
    let mut child =
        command.args(["migrations", "apply"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let file = test.repo.join("pid");
    wait_until("the tool runs", || file.exists());
    let pid = fs::read_to_string(file).unwrap().trim().to_owned();
    signal("-INT", &child.id().to_string());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    wait_until("the tool is gone", || !is_running(&pid));
}

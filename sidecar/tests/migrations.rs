//! Migrations from the command line: status, apply and undo, check, drift, rehearsals, new ones.
//!
//! `npm test` has no migration tool on the machine. Where a tool has to run, a stand-in keeps dbmate's history as dbmate does;
//! it is this very program. `--ignored` runs the same with the real one, if OFFSHOOT_TEST_DBMATE names it.

#![allow(clippy::unwrap_used, missing_docs, reason = "only tests are here")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use support::{PROGRAM, TestRepo, is_running, signal, wait_until};

const ONE: &str =
    "-- migrate:up\ncreate table item (id int primary key);\n-- migrate:down\ndrop table item;\n";
const TWO: &str =
    "-- migrate:up\nalter table item add tag text;\n-- migrate:down\nalter table item drop tag;\n";

/// A repository with a database and dbmate's migrations `001` and `002`.
fn with_migrations() -> TestRepo {
    let test = TestRepo::with_database();
    write(&test, "db/migrations/001_item.sql", ONE);
    write(&test, "db/migrations/002_tag.sql", TWO);
    test.git(&["add", "."]);
    test.commit("migrations");
    test
}

fn write(test: &TestRepo, path: &str, content: &str) {
    let path = test.repo.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Puts a `dbmate` where the repository keeps its programs.
fn install_tool(test: &TestRepo) {
    let script = match std::env::var("OFFSHOOT_TEST_DBMATE") {
        Ok(real) => format!("#!/bin/sh\nexec {real} \"$@\"\n"),
        Err(_) => format!(
            "#!/bin/sh\nSTAND_IN=\"$*\" exec {} --exact stand_in_tool --ignored --nocapture -q\n",
            std::env::current_exe().unwrap().display()
        ),
    };
    write(test, ".gitignore", "node_modules\n");
    write(test, "node_modules/.bin/dbmate", &script);
    let path = test.repo.join("node_modules/.bin/dbmate");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What dbmate does with `migrate` and `rollback`, in the folder that it is run in.
#[test]
#[ignore = "no test, but the tool of the others"]
fn stand_in_tool() {
    let Ok(words) = std::env::var("STAND_IN") else { return };
    let mut client =
        postgres::Client::connect(&std::env::var("DATABASE_URL").unwrap(), postgres::NoTls).unwrap();
    client
        .batch_execute("create table if not exists schema_migrations (version varchar primary key)")
        .unwrap();
    let mut files: Vec<_> =
        fs::read_dir("db/migrations").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let version = |path: &Path| name(path).split('_').next().unwrap().to_owned();
    let rows = client.query("select version from schema_migrations order by 1", &[]).unwrap();
    let applied: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let half = |path: &Path, at: usize| {
        let text = fs::read_to_string(path).unwrap();
        text.split("-- migrate:down").nth(at).unwrap().to_owned()
    };
    let mut run = |path: &Path, at: usize, note: &str| {
        println!("{}: {}", if at == 0 { "Applying" } else { "Rolling back" }, name(path));
        let sql = format!("begin;{};{note};commit", half(path, at));
        if let Err(error) = client.batch_execute(&sql) {
            eprintln!("Error: {}", error.as_db_error().unwrap().message());
            std::process::exit(1);
        }
    };
    if words.ends_with("migrate") {
        for path in files.iter().filter(|path| !applied.contains(&version(path))) {
            run(path, 0, &format!("insert into schema_migrations values ('{}')", version(path)));
        }
    } else if let Some(last) = applied.last() {
        let path = files.iter().find(|path| version(path) == *last).unwrap();
        run(path, 1, &format!("delete from schema_migrations where version = '{last}'"));
    }
}

fn status(test: &TestRepo) -> Value {
    test.run(&["migrations", "status", "--json"]).json()["projects"][0]["branches"][0].clone()
}

fn states(branch: &Value) -> Vec<String> {
    let entries = branch["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["state"].as_str().unwrap().to_owned()).collect()
}

fn record(test: &TestRepo, versions: &str) {
    let sql = format!(
        "create table schema_migrations (version varchar primary key);
         insert into schema_migrations select unnest(string_to_array('{versions}', ','))"
    );
    test.run(&["sql", "-c", &sql]).ok();
}

/// Folders of branches and throwaways in the store.
fn branch_folders(test: &TestRepo) -> usize {
    fs::read_dir(test.store().join("branches")).unwrap().count()
}

#[test]
fn the_status_follows_the_files_and_the_history() {
    let test = TestRepo::with_database();
    let none = test.run(&["migrations", "status"]).ok();
    assert!(none.contains("There are no migrations here"), "{none}");
    assert!(
        test.run(&["migrations", "check"]).fails(128).contains("there are no migrations in this worktree")
    );

    write(&test, "db/migrations/001_item.sql", ONE);
    write(&test, "db/migrations/002_tag.sql", TWO);
    assert_eq!(states(&status(&test)), ["pending", "pending"]);
    test.run(&["migrations", "status", "--exit-code"]).fails(1);
    record(&test, "001");
    assert_eq!(states(&status(&test)), ["applied", "pending"]);
    let shown = test.run(&["migrations", "status"]).ok();
    let (pending, applied) = (shown.find("002_tag.sql").unwrap(), shown.find("001_item.sql").unwrap());
    assert!(shown.contains("main: behind by 1, 1 applied") && pending < applied, "{shown}");

    write(&test, "db/migrations/001_item.sql", &ONE.replace("int", "bigint"));
    assert_eq!(states(&status(&test)), ["changed", "pending"], "what ran was another file");
    fs::remove_file(test.repo.join("db/migrations/001_item.sql")).unwrap();
    assert_eq!(states(&status(&test)), ["pending", "missing"]);
    let of_main = test.run(&["migrations", "status", "--ref", "HEAD", "--json"]).json();
    assert_eq!(of_main["projects"].as_array().unwrap().len(), 0, "the commit has no migrations");

    test.git(&["checkout", "-q", "-b", "feature"]);
    test.run(&["sql", "-c", "insert into schema_migrations values ('002')"]).ok();
    let all = test.run(&["migrations", "status", "--all", "--json"]).json();
    let branches = all["projects"][0]["branches"].as_array().unwrap();
    let seen: Vec<_> = branches
        .iter()
        .map(|one| (one["branch"].as_str().unwrap(), one["pending"].as_u64().unwrap()))
        .collect();
    assert_eq!(seen, [("feature", 0), ("main", 1)]);
}

#[test]
fn what_cannot_be_told_is_never_called_applied() {
    let test = with_migrations();
    record(&test, "001,002");
    write(&test, "db/migrations/002_tag.sql", "<<<<<<< HEAD\n-- migrate:up\n=======\n>>>>>>> other\n");
    let branch = test.run(&["migrations", "status", "--json"]).json();
    let project = &branch["projects"][0];
    assert_eq!(states(&project["branches"][0]), ["applied", "changed"]);
    let codes: Vec<_> =
        project["diagnostics"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"conflictMarkers"), "{codes:?}");

    test.run(&[
        "sql",
        "-c",
        "drop table schema_migrations; create view schema_migrations as select 1 / 0 as version",
    ])
    .ok();
    let branch = status(&test);
    assert_eq!(
        (branch["standing"].as_str(), states(&branch)),
        (Some("unknown"), vec!["unknown".to_owned(); 2])
    );
    let refused = test.run(&["migrations", "apply"]).fails(128);
    assert!(refused.contains("could not be read") && refused.contains("is no table"), "{refused}");

    write(&test, "offshoot.toml", "[migrations]\non_checkout = 'aply'\n");
    let notes = test.run(&["status"]).ok();
    assert!(notes.contains("Did you mean \"apply\"?"), "{notes}");
}

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
fn a_root_branch_is_not_taken_back_but_told_how() {
    let test = with_migrations();
    install_tool(&test);
    let applied = test.run(&["migrations", "apply"]).ok();
    assert!(
        applied.contains("`offshoot branch create NAME --from main@before-migrations-")
            && !applied.contains("migrations undo"),
        "{applied}"
    );
    let refused = test.run(&["migrations", "undo"]).fails(128);
    assert!(
        refused.contains("is the root branch")
            && refused.contains("offshoot branch create NAME --from main@before-migrations-"),
        "{refused}"
    );
}

/// A program of the repository's own as `dbmate`.
fn install_script(test: &TestRepo, script: &str) {
    write(test, ".gitignore", "node_modules\npid\n");
    write(test, "node_modules/.bin/dbmate", &format!("#!/bin/sh\n{script}\n"));
    let path = test.repo.join("node_modules/.bin/dbmate");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
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
    test.run(&["migrations", "apply"]).fails(1);
    assert!(test.repo.join("ran").exists());
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

#[test]
fn a_throwaway_shows_what_would_happen_and_where_it_fails() {
    let test = with_migrations();
    test.run(&["migrations", "status"]).ok();
    let folders = branch_folders(&test);
    let tried = test.run(&["migrations", "apply", "--throwaway", "--measure", "--json"]).json();
    assert_eq!((tried["passed"].as_bool(), tried["ran"].as_array().unwrap().len()), (Some(true), 2));
    assert_eq!(tried["measured"]["steps"].as_array().unwrap().len(), 2, "{tried:#}");
    assert!(tried["sql"].as_str().unwrap().contains("CREATE TABLE public.item"), "{tried:#}");
    assert_eq!(status(&test)["pending"], 2, "nothing is recorded");
    let one = test.run(&["migrations", "apply", "--throwaway", "--to", "001", "--json"]).json();
    assert_eq!(one["ran"].as_array().unwrap().len(), 1);

    write(
        &test,
        "db/migrations/003_é.sql",
        "-- migrate:up\nselect 'é';\nalter table item\n  add wrong nothing;\n-- migrate:down\n",
    );
    let failed = test.run(&["migrations", "apply", "--throwaway", "--json"]);
    let failure = serde_json::from_str::<Value>(&failed.out).unwrap()["steps"][0]["failure"].clone();
    assert_eq!(
        (failure["line"].as_u64(), failure["column"].as_u64(), failure["code"].as_str()),
        (Some(4), Some(13), Some("42704")),
        "{failure:#}"
    );
    failed.fails(1);
    assert_eq!(branch_folders(&test), folders, "throwaways are gone");
}

#[test]
fn a_check_tries_up_and_down_with_the_tool_and_without() {
    let test = with_migrations();
    test.git(&["checkout", "-q", "-b", "feature"]);
    let kinds = |report: &Value| -> Vec<String> {
        let steps = report["steps"].as_array().unwrap();
        steps
            .iter()
            .map(|step| format!("{} {}", step["kind"].as_str().unwrap(), step["outcome"].as_str().unwrap()))
            .collect()
    };
    let report = test.run(&["migrations", "check", "--json"]).json();
    assert_eq!(kinds(&report), ["apply passed", "again skipped", "down passed", "cost passed"], "{report:#}");

    install_tool(&test);
    write(
        &test,
        "offshoot.toml",
        "[migrations]\ncheck_command = 'test -n \"$DATABASE_URL\" && echo checked'\n",
    );
    let folders = branch_folders(&test);
    let file = test.root().join("report.md");
    let report = test.run(&["migrations", "check", "--json", "--report", file.to_str().unwrap()]).json();
    assert_eq!(
        kinds(&report),
        ["apply passed", "again passed", "command passed", "down passed", "cost passed"],
        "{report:#}"
    );
    assert_eq!(report["against"], "main");
    let told = fs::read_to_string(&file).unwrap();
    assert!(told.starts_with("### Migrations: passed") && told.contains("closed to readers"), "{told}");

    let both = "create table item (id int primary key, tag text);
         create table schema_migrations (version varchar primary key);
         insert into schema_migrations values ('001'), ('002')";
    test.run(&["sql", "--branch", "main", "-c", both]).ok();
    write(
        &test,
        "db/migrations/003_half.sql",
        "-- migrate:up\nalter table item add a int, add b int;\n-- migrate:down\nalter table item drop a;\n",
    );
    let failed = test.run(&["migrations", "check"]);
    assert!(failed.out.contains("the schema is not what it was before: table item"), "{}", failed.out);
    failed.fails(1);
    write(
        &test,
        "db/migrations/003_half.sql",
        "-- migrate:up\nalter table item add a nothing;\n-- migrate:down\n",
    );
    let failed = test.run(&["migrations", "check", "--markdown"]);
    assert!(failed.out.contains("db/migrations/003_half.sql:2:24"), "{}", failed.out);
    failed.fails(1);
    assert_eq!(branch_folders(&test), folders, "throwaways are gone");
    assert_eq!(status(&test)["pending"], 3, "the branch is as it was");
}

#[test]
fn drift_becomes_a_new_migration() {
    let test = with_migrations();
    test.git(&["checkout", "-q", "-b", "feature"]);
    install_tool(&test);
    let pending = test.run(&["migrations", "new", "early"]).fails(128);
    assert!(
        pending.contains("2 are not plainly applied"),
        "what is not there yet is nothing to drop: {pending}"
    );
    test.run(&["migrations", "apply"]).ok();
    test.run(&["sql", "-c", "create index item_tag on item (tag)"]).ok();
    let drift = test.run(&["migrations", "drift"]);
    assert!(drift.out.contains("~ table public.item"), "{}", drift.out);
    drift.fails(1);

    let made = test.run(&["migrations", "new", "Index of tags", "--json"]).json();
    assert_eq!(made["files"][0], "db/migrations/003_index_of_tags.sql");
    let file = fs::read_to_string(test.repo.join("db/migrations/003_index_of_tags.sql")).unwrap();
    let (up, down) = file.split_once("-- migrate:down\n").unwrap();
    assert!(up.contains("\nCREATE INDEX item_tag") && down.starts_with("DROP INDEX"), "{file}");
    let checked = test.run(&["migrations", "check", "--json"]).json();
    assert_eq!(checked["passed"], true, "{checked:#}");
    assert_eq!(checked["ran"].as_array().unwrap().len(), 3);
    let again = test.run(&["migrations", "new", "again"]).fails(128);
    assert!(again.contains("1 are not plainly applied"), "{again}");
}

#[test]
fn merges_are_rehearsed_in_both_orders_without_a_checkout() {
    let test = with_migrations();
    record(&test, "001,002");
    test.run(&["sql", "-c", "create table item (id int primary key, tag text)"]).ok();
    let branch = |name: &str, file: &str, up: &str| {
        test.git(&["checkout", "-q", "main"]);
        test.git(&["checkout", "-q", "-b", name]);
        write(&test, &format!("db/migrations/{file}"), &format!("-- migrate:up\n{up};\n-- migrate:down\n"));
        test.git(&["add", "."]);
        test.commit(name);
    };
    branch("good", "004_good.sql", "create table other (id int)");
    branch("docs", "../../README.md", "nothing to run");
    branch("clash", "005_clash.sql", "alter table item add size int");
    branch("same", "003_same.sql", "create table third (id int)");
    branch("order", "006_order.sql", "alter table item rename tag to label");
    branch("mine", "003_mine.sql", "alter table item add size bigint");
    let before = test.git(&["status", "--porcelain", "--branch"]);
    let objects = test.git(&["count-objects"]);
    let ran = test.run(&["migrations", "rehearse", "--json"]);
    let rehearsal: Value = serde_json::from_str(&ran.out).unwrap();
    ran.fails(1);
    let pair = |name: &str| {
        let pairs = rehearsal["pairs"].as_array().unwrap();
        pairs.iter().find(|pair| pair["other"] == name).unwrap_or_else(|| panic!("{rehearsal:#}")).clone()
    };
    let codes = |name: &str| -> Vec<String> {
        let findings = pair(name)["findings"].as_array().unwrap().clone();
        findings.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((&pair("good")["outcome"], &pair("docs")["outcome"]), (&"passed".into(), &"passed".into()));
    assert_eq!(pair("good")["orders"][0]["ran"].as_array().unwrap().len(), 2);
    assert_eq!(codes("clash"), ["failsAfterMerge", "failsAfterMerge"], "{:#}", pair("clash"));
    assert_eq!(codes("same")[0], "duplicateVersion", "{:#}", pair("same"));
    assert_eq!(codes("order"), Vec::<String>::new(), "{:#}", pair("order"));
    assert_eq!(test.git(&["status", "--porcelain", "--branch"]), before, "the checkout is as it was");
    assert_eq!(test.git(&["count-objects"]), objects, "nothing is written into the repository");
}

#[test]
fn a_status_runs_no_code_of_the_branch() {
    let test = with_migrations();
    record(&test, "001");
    let sql = |sql: &str| drop(test.run(&["sql", "-c", sql]).ok());
    sql("create type evil as enum ('b');
         create function e2j(evil) returns json language plpgsql as $$ begin raise exception 'called'; end $$;
         create cast (evil as json) with function e2j(evil);
         create domain tame as evil;
         create type pair as (left_one evil, other int);
         alter table schema_migrations add column e evil default 'b', add column es evil[] default '{b}',
             add column d tame default 'b', add column p pair default row('b', 1),
             add column history int default 1");
    assert!(
        test.run(&["sql", "-c", "select to_jsonb(s) from schema_migrations s"]).fails(1).contains("called")
    );
    assert_eq!(states(&status(&test)), ["applied", "pending"]);

    sql("create schema here;
         create function here.to_jsonb(anyelement) returns jsonb language plpgsql as $$ begin raise exception 'called'; end $$;
         create function here.same(oid, oid) returns boolean language plpgsql as $$ begin raise exception 'called'; end $$;
         create operator here.= (leftarg = oid, rightarg = oid, function = here.same);
         do $$ begin execute format('alter database %I set search_path = here, public, pg_catalog', current_database()); end $$;
         insert into schema_migrations values ('002')");
    assert_eq!(states(&status(&test)), ["applied", "applied"]);

    sql("drop table public.schema_migrations; create table public.schema_migrations (version evil);
         insert into public.schema_migrations values ('b')");
    let branch = status(&test);
    assert_eq!(states(&branch), ["unknown", "unknown"]);
    let said = branch["diagnostics"][0]["message"].as_str().unwrap();
    assert!(said.contains("has the column version") && said.contains("did not come with Postgres"), "{said}");

    sql("drop table public.schema_migrations;
         create foreign data wrapper anything;
         create server files foreign data wrapper anything;
         create table public.schema_migrations (version varchar) partition by list (version);
         create foreign table public.part partition of public.schema_migrations default server files");
    let branch = status(&test);
    assert_eq!(states(&branch), ["unknown", "unknown"]);
    let said = branch["diagnostics"][0]["message"].as_str().unwrap();
    assert!(said.contains("is a foreign table"), "{said}");
}

#[test]
fn links_to_elsewhere_are_told_of_a_worktree_and_of_a_commit() {
    let test = with_migrations();
    let folder = test.repo.join("db/migrations");
    std::os::unix::fs::symlink("/dev/zero", folder.join("003_zero.sql")).unwrap();
    std::os::unix::fs::symlink("../../two", folder.join("004_two.sql")).unwrap();
    write(&test, "two", TWO);
    test.git(&["add", "."]);
    test.commit("links");
    for of in [&["--json"][..], &["--json", "--ref", "HEAD"]] {
        let all = test.run(&[&["migrations", "status"], of].concat()).json();
        let found = all["diagnostics"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0]["path"], "db/migrations/003_zero.sql");
        assert!(found[0]["message"].as_str().unwrap().contains("left out: it is a"), "{found:?}");
        assert_eq!(all["projects"][0]["files"].as_array().unwrap().len(), 3, "{all}");
    }
    let shown = test.run(&["migrations", "status"]).ok();
    assert!(shown.contains("003_zero.sql"), "{shown}");
}

//! How migration tools are run: what they are told, and what becomes of them and of the branch.
//!
//! The tool is a script in dbmate's place. `--ignored` runs the real dbmate, if OFFSHOOT_TEST_DBMATE names it.

#![allow(clippy::unwrap_used, missing_docs, reason = "only tests are here")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use serde_json::Value;
use support::{PROGRAM, TestRepo, is_running, wait_until};

const ONE: &str =
    "-- migrate:up\ncreate table item (id int primary key);\n-- migrate:down\ndrop table item;\n";

/// A repository with a database, dbmate's migration `001`, and git branch `feature` checked out.
fn on_feature() -> TestRepo {
    let test = TestRepo::with_database();
    write(&test, ".gitignore", "node_modules\n*.tmp\n");
    write(&test, "db/migrations/001_item.sql", ONE);
    test.git(&["add", "."]);
    test.commit("migrations");
    test.git(&["checkout", "-q", "-b", "feature"]);
    test
}

fn write(test: &TestRepo, path: &str, content: &str) {
    let path = test.repo.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A script in dbmate's place.
fn install(test: &TestRepo, script: &str) {
    write(test, "node_modules/.bin/dbmate", &format!("#!/bin/sh\n{script}\n"));
    let path = test.repo.join("node_modules/.bin/dbmate");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn read(test: &TestRepo, path: &str) -> String {
    fs::read_to_string(test.repo.join(path)).unwrap()
}

/// Starts an apply whose tool says that it runs.
fn start_apply(test: &TestRepo) -> Child {
    let mut command = test.command(PROGRAM);
    let command = command.args(["migrations", "apply"]).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let file = test.repo.join("runs.tmp");
    wait_until("the tool runs", || file.exists());
    child
}

fn status(test: &TestRepo) -> Value {
    test.run(&["migrations", "status", "--json"]).json()["projects"][0]["branches"][0].clone()
}

/// Notes down the command lines of itself and of what started it, then does `rest`.
fn recording(rest: &str) -> String {
    format!("{{ printf '%s\\n' \"$0\" \"$@\"; tr '\\0' '\\n' < /proc/$PPID/cmdline; }} > words.tmp\n{rest}")
}

/// The command lines, and that the password is in none of them.
#[track_caller]
fn words_without_password(test: &TestRepo) -> String {
    let url = test.url();
    let password = url.split([':', '@']).nth(2).unwrap();
    let words = read(test, "words.tmp");
    assert!(password.len() >= 16 && !words.contains(password), "{words}");
    words
}

#[test]
fn the_password_is_in_the_tools_environment_and_in_no_command_line() {
    let test = on_feature();
    install(&test, &recording("echo \"$DATABASE_URL $PGPASSWORD\" > given.tmp; exit 3"));
    test.run(&["migrations", "apply"]).fails(1);
    let words = words_without_password(&test);
    assert!(words.contains("DATABASE_URL") && words.contains("--migrations-dir\ndb/migrations"), "{words}");
    let given = read(&test, "given.tmp");
    let (url, password) = given.trim().split_once(' ').unwrap();
    assert!(url.contains(&format!(":{password}@127.0.0.1:")) && url.ends_with("?sslmode=disable"), "{url}");
}

#[test]
#[ignore = "needs the real dbmate, which OFFSHOOT_TEST_DBMATE names"]
fn dbmate_connects_without_a_password_in_its_command_line() {
    let dbmate = std::env::var("OFFSHOOT_TEST_DBMATE").unwrap();
    let test = on_feature();
    install(&test, &recording(&format!("exec {dbmate} \"$@\"")));
    for (verb, applied) in [("apply", 1), ("down", 0)] {
        let mut command = test.command(PROGRAM);
        let ran = command.args(["migrations", verb]).env("PGSSLMODE", "require").output().unwrap();
        support::Ran::from(ran).ok();
        words_without_password(&test);
        assert_eq!(status(&test)["applied"], applied);
    }
}

#[test]
fn a_tool_and_what_it_started_do_not_outlive_the_engine_and_the_branch_says_so() {
    let test = on_feature();
    install(&test, "trap '' TERM; sleep 600 & echo \"$$ $! $PPID\" > pids.tmp; mv pids.tmp runs.tmp; wait");
    let mut apply = start_apply(&test);
    let pids = read(&test, "runs.tmp");
    test.kill_engine();
    for pid in pids.split_whitespace() {
        wait_until("the tool and all around it are gone", || !is_running(pid));
    }
    assert!(!apply.wait().unwrap().success());

    let said = status(&test)["diagnostics"][0].clone();
    assert_eq!(said["code"], "cutShort", "{said:#}");
    let hint = said["hint"].as_str().unwrap();
    let back = hint.split("`offshoot ").last().unwrap().split('`').next().unwrap();
    test.run(&back.split(' ').collect::<Vec<_>>()).ok();
    assert_eq!(status(&test)["diagnostics"], serde_json::json!([]), "it is what it was before");
}

#[test]
fn a_failing_statement_is_told_with_its_place_and_whoever_is_disconnected_with_a_name() {
    let test = on_feature();
    let failing = "-- migrate:up\ncreate table tag (id int);\nalter table tag\n  add wrong nothing;\n";
    write(&test, "db/migrations/002_tag.sql", failing);
    install(&test, "echo 'Error: pq: type \"nothing\" does not exist'; exit 1");
    let failed = test.run(&["migrations", "apply"]);
    assert!(
        failed.out.contains("db/migrations/002_tag.sql:4:13: type \"nothing\" does not exist (42704)"),
        "{}",
        failed.out
    );

    write(&test, "db/migrations/002_tag.sql", "-- migrate:up transaction:false\nvacuum;\nselect 1;\n");
    let tried = test.run(&["migrations", "apply", "--throwaway"]);
    assert!(
        tried.out.contains("002_tag.sql:2:1: VACUUM cannot run inside a transaction block"),
        "{}",
        tried.out
    );
    assert!(tried.out.contains("into a file by itself"), "{}", tried.out);

    test.run(&["snapshot", "create", "now"]).ok();
    let mut client =
        postgres::Client::connect(&format!("{}?application_name=shop", test.url()), postgres::NoTls).unwrap();
    client.batch_execute("begin; select 1").unwrap();
    let undone = test.run(&["migrations", "undo", "--snapshot", "now"]).ok();
    assert!(
        undone.contains("1 connection was ended, one with a transaction that is not committed:"),
        "{undone}"
    );
    assert!(undone.contains("  shop, pid "), "{undone}");
    assert!(client.batch_execute("commit").is_err());
}

#[test]
fn a_connection_that_was_lost_is_no_failing_statement() {
    let test = on_feature();
    write(&test, "db/migrations/002_tag.sql", "-- migrate:up\nselect nowhere;\n-- migrate:down\n");
    install(
        &test,
        "echo 'Applying: 002_tag.sql'; echo 'Error: db/migrations/002_tag.sql:2: unexpected EOF'; exit 1",
    );
    let failed = test.run(&["migrations", "apply", "--json"]);
    let step = serde_json::from_str::<Value>(&failed.out).unwrap()["steps"][0].clone();
    let said = step["message"].as_str().unwrap();
    assert!(said.starts_with("the connection to feature was lost while dbmate ran: "), "{step:#}");
    assert_eq!(step["failure"], Value::Null, "no line of a file is at fault: {step:#}");
    assert!(step["hint"].as_str().unwrap().contains("offshoot engine logs"), "{step:#}");

    let ends_itself =
        "-- migrate:up\nselect 1;\nselect pg_terminate_backend(pg_backend_pid());\n-- migrate:down\n";
    write(&test, "db/migrations/002_tag.sql", ends_itself);
    let broken = test.run(&["migrations", "apply", "--throwaway"]).fails(128);
    assert!(broken.contains("was lost while db/migrations/002_tag.sql ran"), "{broken}");

    write(
        &test,
        "db/migrations/002_tag.sql",
        "-- migrate:up\n<<<<<<< HEAD\nselect 1;\n=======\n>>>>>>> other\n",
    );
    let refused = test.run(&["migrations", "apply"]).fails(128);
    assert!(refused.contains("a merge is not finished in db/migrations/002_tag.sql, line 2"), "{refused}");
}

#[test]
fn a_branch_is_not_pulled_away_from_under_a_tool() {
    let test = on_feature();
    install(&test, "echo > runs.tmp; until [ -e go.tmp ]; do sleep 0.05; done; exit 1");
    let mut apply = start_apply(&test);
    let verbs: [&[&str]; 6] = [
        &["engine", "stop"],
        &["migrations", "undo"],
        &["migrations", "apply"],
        &["branch", "reset", "feature"],
        &["branch", "delete", "feature"],
        &["branch", "rename", "feature", "other"],
    ];
    for verb in verbs {
        let said = test.run(verb).fails(128);
        assert!(said.contains("migrations are being applied on `feature`, begun "), "{verb:?}: {said}");
        assert!(said.contains("cancel it"), "{verb:?}: {said}");
    }
    assert!(test.run(&["engine", "stop"]).fails(128).contains("`offshoot engine stop --force`"));
    write(&test, "go.tmp", "");
    assert_eq!(apply.wait().unwrap().code(), Some(1));
    test.run(&["branch", "reset", "feature"]).ok();
    test.run(&["snapshot", "create", "then"]).ok();
    let made = test.run(&["branch", "create", "again", "--from", "feature@then"]).ok();
    assert_eq!(made, "Created branch again from feature@then.");
}

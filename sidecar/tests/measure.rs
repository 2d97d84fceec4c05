//! Plans tried out on throwaways, and the throwaways themselves.

#![allow(clippy::unwrap_used, missing_docs, reason = "only tests are here")]

mod support;

use std::fs;
use std::process::Stdio;

use serde_json::Value;
use support::{PROGRAM, TestRepo, signal, wait_until};

/// `main` with a table of 20,000 rows, and `feature`, which changes it.
fn filled() -> TestRepo {
    let test = TestRepo::with_database().without_past();
    test.run(&[
        "sql",
        "-c",
        "create table item (id int primary key, qty int, note text);
         insert into item select n, n % 7, repeat('x', 100) from generate_series(1, 20000) n;
         alter table item set (parallel_workers = 2);",
    ])
    .ok();
    test.run(&["branch", "create", "feature"]).ok();
    test
}

fn alter(test: &TestRepo, sql: &str) {
    test.run(&["sql", "--branch", "feature", "-c", sql]).ok();
}

/// Folders of branches in the store: main, its children, their fork points, and throwaways.
fn branch_folders(test: &TestRepo) -> usize {
    fs::read_dir(test.store().join("branches")).unwrap().count()
}

fn step<'v>(measured: &'v Value, what: &str) -> &'v Value {
    let steps = measured["steps"].as_array().unwrap();
    let found = steps.iter().find(|step| step["what"].as_str().unwrap().contains(what));
    found.unwrap_or_else(|| panic!("no step {what} in {measured:#}"))
}

#[test]
fn a_plan_is_measured_and_leaves_nothing_behind() {
    let test = filled();
    alter(
        &test,
        "alter table item alter qty type bigint; create index item_note on item (note); alter table item add tag text",
    );
    let folders = branch_folders(&test);
    let json = test.run(&["diff", "main", "feature", "--measure", "--json"]).json();
    let measured = &json["measured"];
    assert!(measured["failure"].is_null(), "{measured:#}");
    assert_eq!(measured["steps"].as_array().unwrap().len(), json["steps"].as_array().unwrap().len());

    let rewrite = step(measured, "qty");
    let table = &rewrite["rewritten"].as_array().unwrap()[0];
    assert_eq!((&table["relation"], &table["kind"]), (&"public.item".into(), &"table".into()), "{rewrite:#}");
    assert!(table["bytes"].as_u64().unwrap() > 2_000_000, "{rewrite:#}");
    let lock = &rewrite["locks"][0];
    assert_eq!((&lock["relation"], &lock["mode"]), (&"public.item".into(), &"ACCESS EXCLUSIVE".into()));
    assert!(lock["heldUs"].as_u64() >= rewrite["elapsedUs"].as_u64(), "a lock lasts to the end: {rewrite:#}");
    assert!(rewrite["rowsRead"].as_u64().unwrap() >= 20_000, "{rewrite:#}");
    let index = step(measured, "item_note");
    assert_eq!(index["rowsRead"], 20_000, "what helpers read counts: {index:#}");
    assert_eq!(index["built"][0]["relation"], "public.item_note", "{index:#}");
    assert!(measured["totals"]["walBytes"].as_u64().unwrap() > 100_000, "{measured:#}");

    let shown = test.run(&["diff", "main", "feature", "--measure"]).ok();
    assert!(shown.contains("! hazard: REWRITES TABLE") && shown.contains("# measured: "), "{shown}");
    assert!(shown.contains("ACCESS EXCLUSIVE on public.item for ") && shown.contains("rewritten"), "{shown}");
    assert!(shown.contains("# measured on a throwaway of main: "), "{shown}");
    let comment = test.run(&["diff", "main", "feature", "--measure", "--markdown"]).ok();
    assert!(comment.contains("#### Measured") && comment.contains("20,000 rows read"), "{comment}");
    assert!(
        comment.contains("**Verdict: ran in ") && comment.contains(" on the real data, rewrites tables"),
        "{comment}"
    );
    let marker = |args: &[&str]| test.run(args).ok().lines().next().unwrap_or_default().to_owned();
    let plain = marker(&["diff", "main", "feature", "--markdown"]);
    assert_ne!(plain, comment.lines().next().unwrap(), "the digest is also of what was measured");

    // The branch is as it was, and nobody sees or keeps the throwaway.
    assert_eq!(test.value("select count(*) from information_schema.columns where table_name = 'item'"), "3");
    assert_eq!(test.branches(), ["main", "feature"]);
    assert_eq!(branch_folders(&test), folders);
    assert!(test.run(&["undo"]).fails(128).contains("nothing"), "a throwaway is not in the trash");

    // A person's own script, statement by statement, on what a fork point had.
    let script = "-- fills a column\nalter table item add half int;\nupdate item set half = qty / 2;\n\n\
                  alter table item alter half set not null;\ninsert into item\n  values (1, nul);\n";
    fs::write(test.repo.join("half.sql"), script).unwrap();
    let run = test.run(&["diff", "--measure", "--script", "half.sql", "feature@fork"]);
    assert_eq!(run.code, 1, "{}", run.err);
    for words in [
        "# Migration measured: half.sql on feature@fork",
        "half.sql: line 3: update item set half = qty / 2\n# measured: ",
        "20,000 rows written",
        "! failed: step 4, half.sql: line 6: insert into item values (1, nul): column \"nul\" does not exist",
    ] {
        assert!(run.out.contains(words), "{words} in {}", run.out);
    }
    let json = test.run(&["diff", "--from-fork", "feature", "--measure", "--json"]).json();
    assert!(json["measured"]["failure"].is_null() && json["from"]["kind"] == "fork", "{json:#}");
    assert!(step(&json["measured"], "qty")["rowsRead"].as_u64().unwrap() >= 20_000);
    assert_eq!(branch_folders(&test), folders);

    // Statements outside of transactions are measured too.
    let json = test.run(&["diff", "main", "feature", "--measure", "--online", "--json"]).json();
    let index = step(&json["measured"], "item_note");
    assert_eq!(index["built"][0]["relation"], "public.item_note", "{index:#}");
    assert!(index["rowsRead"].as_u64().unwrap() >= 20_000, "{index:#}");
    let part = index["part"].as_u64().unwrap() as usize;
    assert_eq!(json["measured"]["parts"][part]["transactional"], false);

    // Only branches have data to measure on.
    fs::write(test.repo.join("schema.sql"), "create table item (id int)").unwrap();
    let said = test.run(&["diff", "./schema.sql", "main", "--measure"]).fails(128);
    assert!(said.contains("schema.sql is no database branch"), "{said}");
    assert!(test.run(&["branch", "create", "~throwaway/1"]).fails(128).contains('~'));
}

#[test]
fn a_step_that_fails_is_named_and_what_was_measured_is_kept() {
    let test = filled();
    alter(
        &test,
        "create type mood as enum ('a'); update item set note = null where id = 1; delete from item where id = 7",
    );
    alter(&test, "alter table item add constraint small check (qty < 5) not valid");
    alter(&test, "delete from item where qty >= 5; alter table item validate constraint small");
    let run = test.run(&["diff", "main", "feature", "--measure", "--json"]);
    assert_eq!(run.code, 1, "{}", run.err);
    let json: Value = serde_json::from_str(&run.out).unwrap();
    let failure = &json["measured"]["failure"];
    assert!(failure["message"].as_str().unwrap().contains("small"), "{failure:#}");
    assert!(failure["statement"].as_str().unwrap().contains("small"), "{failure:#}");
    assert_eq!((&failure["code"], &failure["rolledBack"]), (&"23514".into(), &true.into()), "{failure:#}");
    assert!(step(&json["measured"], "mood")["elapsedUs"].as_u64().is_some());
    let shown = test.run(&["diff", "main", "feature", "--measure"]);
    assert!(shown.out.contains("! failed: step ") && shown.out.contains("rolled back"), "{}", shown.out);
}

#[test]
fn ctrl_c_a_lost_client_and_a_killed_engine_leave_no_throwaway() {
    let test = filled();
    // Somebody has to be waited for, so that the plan is under way for as long as the test wants.
    test.run(&["sql", "-c", "create function nap() returns int language plpgsql as $$ begin perform pg_sleep(600); return 1; end $$"])
        .ok();
    test.run(&["branch", "reset", "feature"]).ok();
    alter(&test, "alter table item add constraint napping check (nap() = 1) not valid");
    // What is not validated is not run; the plan's own validation is.
    alter(&test, "delete from item; alter table item validate constraint napping");
    let folders = branch_folders(&test);
    let start = || {
        let mut command = test.command(PROGRAM);
        command.args(["diff", "main", "feature", "--measure"]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        wait_until("a throwaway is there", || branch_folders(&test) > folders);
        child
    };
    let gone = || wait_until("the throwaway is gone", || branch_folders(&test) == folders);

    let mut child = start();
    signal("-INT", &child.id().to_string());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    gone();
    let mut child = start();
    child.kill().unwrap();
    child.wait().unwrap();
    gone();
    let mut child = start();
    test.kill_engine();
    assert_eq!(child.wait().unwrap().code(), Some(128));
    test.run(&["branch", "list"]).ok();
    gone();
    let mut child = start();
    test.run(&["engine", "stop"]).ok();
    child.wait().unwrap();
    gone();
    assert_eq!(test.branches(), ["main", "feature"]);
}

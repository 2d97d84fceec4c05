//! Changed rows, found from changed pages.

#![allow(clippy::unwrap_used, missing_docs, reason = "only tests are here")]

mod support;

use serde_json::{Value, json};
use support::TestRepo;

fn sql(test: &TestRepo, branch: &str, sql: &str) {
    test.run(&["sql", "--branch", branch, "-c", sql]).ok();
}

fn rows(test: &TestRepo, args: &[&str]) -> Value {
    let all = [&["diff", "--rows=3", "--json"], args].concat();
    test.run(&all).json()["rows"].clone()
}

fn table<'v>(rows: &'v Value, name: &str) -> &'v Value {
    let tables = rows["tables"].as_array().unwrap();
    tables.iter().find(|table| table["name"] == name).unwrap_or_else(|| panic!("no {name} in {rows:#}"))
}

fn counts(table: &Value) -> [u64; 3] {
    ["inserted", "updated", "deleted"].map(|name| table[name].as_u64().unwrap())
}

/// A large table and some small ones on `main`, and `feature` checked out.
fn filled() -> TestRepo {
    let test = TestRepo::with_database();
    sql(
        &test,
        "main",
        "create table large (id int primary key, v int, note text);
         insert into large select n, n, repeat('x', 200) from generate_series(1, 40000) n;
         create table quiet (id int primary key); insert into quiet select generate_series(1, 5000);
         create table keyless (v int); insert into keyless select n % 10 from generate_series(1, 100) n;
         create table gone (id int); insert into gone values (1), (2);
         create table toasted (id int primary key, v text);
         alter table toasted alter v set storage external;
         insert into toasted select n, repeat(md5(n::text), 400) from generate_series(1, 20) n;
         create table part (id int, at int, primary key (id, at)) partition by range (at);
         create table part_1 partition of part for values from (0) to (10);
         create table part_2 partition of part for values from (10) to (20);
         insert into part select n, n from generate_series(0, 19) n",
    );
    sql(&test, "main", "vacuum freeze");
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.status();
    test
}

#[test]
fn changed_rows_are_counted_from_changed_pages() {
    let test = filled();
    let rows_now = || rows(&test, &[]);
    assert_eq!(rows_now()["tables"], json!([]), "nothing is different in a branch that has not been awake");
    sql(&test, "feature", "select count(*) from large");
    assert_eq!(rows_now()["tables"], json!([]), "reading changes no rows");
    sql(
        &test,
        "feature",
        "update large set v = -1, note = 'new' where id = 20000; delete from large where id in (1, 2);
         insert into large values (50000, 0, null);
         insert into keyless values (3), (77); delete from keyless where v = 9;
         drop table gone; create table fresh (id int, w text); insert into fresh values (1, 'a'), (2, null);
         update toasted set v = v || 'y' where id = 5;
         update part set at = 15 where id = 3;
         alter table quiet add extra int default 7",
    );
    // What main does meanwhile is not the branch's.
    sql(&test, "main", "delete from large where id > 30000");
    let found = rows_now();
    assert_eq!(found["fromFork"], true);
    assert_eq!(counts(table(&found, "large")), [1, 1, 2], "{found:#}");
    assert_eq!(table(&found, "large")["key"], json!(["id"]));
    assert_eq!(counts(table(&found, "keyless")), [2, 0, 10]);
    assert_eq!(table(&found, "keyless")["key"], json!([]));
    assert_eq!(
        (counts(table(&found, "gone")), &table(&found, "gone")["presence"]),
        ([0, 0, 2], &"base".into())
    );
    assert_eq!(
        (counts(table(&found, "fresh")), &table(&found, "fresh")["presence"]),
        ([2, 0, 0], &"branch".into())
    );
    assert_eq!(counts(table(&found, "toasted")), [0, 1, 0]);
    assert_eq!((counts(table(&found, "part_1")), counts(table(&found, "part_2"))), ([0, 0, 1], [1, 0, 0]));
    assert_eq!(found["tables"].as_array().unwrap().len(), 7, "a new column changes no rows: {found:#}");

    // In proportion to the change: the table has more than a thousand pages.
    let pages = table(&found, "large")["pages"].as_u64().unwrap();
    assert!((4..=60).contains(&pages), "{pages}");
    let sample = table(&found, "large")["sample"].as_array().unwrap();
    let updated = sample.iter().find(|row| row["change"] == "updated").unwrap();
    let columns = updated["columns"].as_array().unwrap();
    assert_eq!(
        columns[0],
        json!({ "name": "id", "old": { "text": "20000", "cut": false }, "new": { "text": "20000", "cut": false } })
    );
    assert_eq!(columns[1]["new"]["text"], "-1");
    assert_eq!(columns[2]["old"]["text"].as_str().unwrap().len(), 200);
    let inserted = sample.iter().find(|row| row["change"] == "inserted").unwrap();
    assert_eq!(inserted["columns"][2]["new"], json!({ "cut": false }), "NULL has no text");

    let shown = test.run(&["diff", "--rows"]).ok();
    assert!(shown.contains("table public.large: 1 inserted, 1 updated, 2 deleted"), "{shown}");
    assert!(shown.contains("  ~ id: 20000, v: 20000 → -1, note: xxxxx"), "{shown}");
    let comment = test.run(&["diff", "--rows", "--markdown"]).ok();
    assert!(comment.starts_with("<!-- offshoot:rows v1 sha256="), "{comment}");
    assert!(comment.contains("- `public.large`: 1 inserted"), "{comment}");
    assert!(test.run(&["diff", "--rows=1"]).ok().contains("  # 1 of 2 rows deleted"));
    assert_eq!(test.run(&["diff", "--rows", "--exit-code"]).code, 1);
}

#[test]
fn pages_that_changed_without_their_rows_are_no_difference() {
    let test = filled();
    sql(&test, "feature", "update large set v = v + 1 where id < 500");
    sql(&test, "feature", "update large set v = v - 1 where id < 500");
    sql(&test, "feature", "vacuum large");
    let found = rows(&test, &[]);
    assert_eq!(found["tables"], json!([]), "{found:#}");
    assert!(found["pagesVisited"].as_u64().unwrap() > 10, "{found:#}");

    // A rewritten table is compared as a whole, and a renamed one is known.
    sql(&test, "feature", "alter table quiet alter id type bigint; update quiet set id = 9999 where id = 1");
    sql(&test, "feature", "alter table keyless rename to unlocked; insert into unlocked values (1)");
    let found = rows(&test, &[]);
    let quiet = table(&found, "quiet");
    assert_eq!((counts(quiet), &quiet["whole"]), ([1, 0, 1], &true.into()), "{quiet:#}");
    let renamed = table(&found, "unlocked");
    assert_eq!((counts(renamed), &renamed["renamedFrom"]), ([1, 0, 0], &"public.keyless".into()));
    // What only one side has cannot be compared, and is named.
    sql(
        &test,
        "feature",
        "alter table large add first text, add last text; update large set first = 'a' where id <= 9; alter table large drop note",
    );
    let large = table(&rows(&test, &[]), "large").clone();
    assert_eq!((&large["newColumns"], &large["goneColumns"]), (&json!(["first", "last"]), &json!(["note"])));
    let shown = test.run(&["diff", "--rows"]).ok();
    assert!(shown.contains("no rows differ in the columns that both sides have"), "{shown}");
    assert!(shown.contains("  # not compared: note is gone; first, last are new"), "{shown}");
    assert!(shown.contains("1 table not compared in all columns"), "{shown}");
    // Against another branch, as that is now.
    sql(&test, "main", "insert into large values (60000, 0, null)");
    let found = rows(&test, &["main"]);
    assert_eq!(found["fromFork"], false);
    assert_eq!(counts(table(&found, "large")), [0, 0, 1], "{found:#}");
    assert!(table(&found, "large")["pages"].as_u64().unwrap() < 200);
    assert!(test.run(&["diff", "--rows", "main", "main"]).ok().contains("no rows differ"));
    // After a reset the same number may be another table's: those are told apart by their names.
    sql(&test, "feature", "create table only_before (id int); insert into only_before values (1)");
    test.run(&["snapshot", "create", "with"]).ok();
    test.run(&["branch", "reset", "feature"]).ok();
    sql(&test, "feature", "create table only_now (id int); insert into only_now values (1), (2)");
    let found = rows(&test, &["feature@with", "feature"]);
    let now = table(&found, "only_now");
    assert_eq!((counts(now), &now["renamedFrom"]), ([2, 0, 0], &Value::Null), "{now:#}");
    assert_eq!(counts(table(&found, "only_before")), [0, 0, 1], "{found:#}");
}

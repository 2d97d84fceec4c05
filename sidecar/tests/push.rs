//! `offshoot push`: the schema goes to another server, the data stay where they are.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use support::TestRepo;

#[test]
fn a_push_brings_the_schema_and_asks_before_anything_is_lost() {
    let there = TestRepo::with_database();
    there
        .run(&[
            "sql",
            "-c",
            "create table item (id int primary key, name text); insert into item values (1, 'one');
                             create role reader; grant select on item to reader;
                             create role seller; alter table item owner to seller",
        ])
        .ok();
    let url = there.run(&["url", "--branch", "main"]).ok();
    let here = TestRepo::with_database();
    here.run(&[
        "sql",
        "-c",
        "create table item (id int primary key, name text); insert into item values (7, 'seven')",
    ])
    .ok();
    let push = |more: &[&str]| here.run(&[&["push", "--to", &url], more].concat());
    let password = url.split(':').nth(2).unwrap().split('@').next().unwrap();
    assert!(push(&[]).ok().contains("already"), "rights and owners are the server's own");

    here.run(&["sql", "-c", "alter table item add price int; create index item_name on item (name)"]).ok();
    let said = push(&["--dry-run"]).ok();
    assert!(said.contains("ADD COLUMN") && !said.contains(password), "{said}");
    let said = push(&[]).fails(128);
    assert!(said.contains("nobody is there to be asked") && said.contains("--dry-run"), "{said}");
    assert!(push(&["--json"]).fails(128).contains("--yes"));
    assert_eq!(there.value("select count(*) from pg_indexes where indexname = 'item_name'"), "0");
    let said = push(&["--yes"]).ok();
    assert!(said.contains("has the schema of main now: 2 statements"), "{said}");
    assert_eq!(there.value("select id || name || coalesce(price, 0) from item"), "1one0");
    assert_eq!(there.value("select has_table_privilege('reader', 'item', 'select')"), "true");
    assert_eq!(there.value("select tableowner from pg_tables where tablename = 'item'"), "seller");
    assert!(push(&["--yes"]).ok().contains("already"));

    here.run(&["sql", "-c", "alter table item drop column price; create table more ()"]).ok();
    there.run(&["sql", "-c", "create view theirs as select id from item"]).ok();
    let said = push(&["--yes"]).fails(128);
    assert!(said.contains("price") && said.contains("theirs") && said.contains("--allow-hazards"), "{said}");
    assert_eq!(there.value("select count(*) from pg_class where relname = 'more'"), "0");
    let told = push(&["--yes", "--allow-hazards", "--online", "--json"]).json();
    assert_eq!((&told["applied"], &told["left"]), (&true.into(), &0.into()), "{told}");
    assert_eq!(there.value("select count(*) from pg_class where relname in ('more', 'theirs')"), "1");
    assert!(here.run(&["push", "--to", "elsewhere"]).fails(128).contains("postgres:// URL"));
}

#[test]
fn a_push_that_fails_or_waits_too_long_keeps_nothing_and_says_so() {
    let there = TestRepo::with_database();
    there.run(&["sql", "-c", "create table item (id int); insert into item values (1), (1)"]).ok();
    let url = there.run(&["url", "--branch", "main"]).ok();
    let here = TestRepo::with_database();
    here.run(&["sql", "-c", "create table item (id int primary key); create table before_it ()"]).ok();
    let said = here.run(&["push", "--to", &url, "--yes"]).fails(128);
    assert!(said.contains("Nothing of the plan was kept") && said.contains("in: ALTER TABLE"), "{said}");
    assert_eq!(there.value("select count(*) from pg_class where relname = 'before_it'"), "0");

    there.run(&["sql", "-c", "truncate item"]).ok();
    let mut holder = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    let mut held = holder.transaction().unwrap();
    held.batch_execute("lock table item in row share mode").unwrap();
    let said = here.run(&["push", "--to", &url, "--yes", "--lock-timeout", "50ms"]).fails(128);
    assert!(said.contains("--lock-timeout") && said.contains("Nothing of the plan was kept"), "{said}");
    held.commit().unwrap();
    here.run(&["push", "--to", &url, "--yes"]).ok();
    assert_eq!(there.value("select count(*) from pg_indexes where tablename = 'item'"), "1");
}

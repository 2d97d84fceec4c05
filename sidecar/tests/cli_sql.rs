//! `offshoot sql`, and what else the command line says with a database.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use postgres::{Client, NoTls};
use support::{PROGRAM, Ran, TestRepo};

#[test]
fn a_script_prints_its_rows_and_counts_the_rest() {
    let test = TestRepo::with_database();
    let script = "create table c (n int, t text);\ncopy c from stdin;\n1\tx\n20\tit's\n\\.\n\
                  select * from c order by n;\nselect n from c where n > 1; update c set n = n + 1;\n";
    fs::write(test.repo.join("s.sql"), script).unwrap();
    insta::assert_snapshot!(test.run(&["sql", "-f", "s.sql"]).ok(), @r"
     n  |  t
    ----+------
      1 | x
     20 | it's
    (2 rows)

     n
    ----
     20
    (1 row)

    5 statements, 2 rows copied
    ");
    fs::write(test.repo.join("t.sql"), "select n from c order by 1").unwrap();
    let json = test.run(&["sql", "--json", "-f", "t.sql"]).json();
    assert_eq!((&json["results"][0]["rows"][1][0], &json["statements"]), (&21.into(), &1.into()));

    fs::write(test.repo.join("bad.sql"), "copy c from stdin;\n1\tx\nno number\ty\n\\.\nselect 1;\n").unwrap();
    let said = test.run(&["sql", "-f", "bad.sql"]).fails(1);
    assert!(said.contains("SQLSTATE 22P02") && said.contains("LINE:  3"), "{said}");
    fs::write(test.repo.join("cut.sql"), "copy c from stdin;\n1\tx\n").unwrap();
    let said = test.run(&["sql", "-f", "cut.sql"]).fails(128);
    assert!(said.contains("ends inside the rows of a COPY"), "{said}");
    assert_eq!(test.value("select count(*) from c"), "2", "half a COPY is none");
}

#[test]
fn a_script_that_is_none_says_what_it_is() {
    let test = TestRepo::with_database();
    let mut tar = vec![0; 512];
    tar[..7].copy_from_slice(b"toc.dat");
    tar[257..262].copy_from_slice(b"ustar");
    fs::write(test.repo.join("x.tar"), tar).unwrap();
    let said = test.run(&["sql", "-f", "x.tar"]).fails(128);
    assert!(said.contains("pg_dump's tar format") && said.contains("pg_restore"), "{said}");
}

/// What the prompt prints for `input`, piped in.
fn prompt(test: &TestRepo, input: &str) -> Ran {
    let mut command = test.command(PROGRAM);
    command.arg("sql").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn the_prompt_describes_what_is_there() {
    let test = TestRepo::with_database();
    test.run(&[
        "sql",
        "-c",
        "create table item (id int primary key generated always as identity, name text not null default 'x');
         create table part (item int references item); create view v as select 1 as one; create schema shop;
         create function shop.twice(n int) returns int language sql return n * 2",
    ])
    .ok();
    insta::assert_snapshot!(prompt(&test, "\\d\n\\d item\n\\dt\n\\dn\n\\df\n").ok(), @r"
     schema |    name     |   type
    --------+-------------+----------
     public | item        | table
     public | item_id_seq | sequence
     public | part        | table
     public | v           | view
    (4 rows)

     column |  type   | nullable |           default
    --------+---------+----------+------------------------------
     id     | integer | not null | generated always as identity
     name   | text    | not null | 'x'::text
    (2 rows)

         part      |   name    |                          definition
    ---------------+-----------+---------------------------------------------------------------
     index         | item_pkey | CREATE UNIQUE INDEX item_pkey ON public.item USING btree (id)
     primary key   | item_pkey | PRIMARY KEY (id)
     referenced by | part      | FOREIGN KEY (item) REFERENCES item(id)
    (3 rows)

     schema | name | type
    --------+------+-------
     public | item | table
     public | part | table
    (2 rows)

      name  |       owner
    --------+-------------------
     public | pg_database_owner
     shop   | postgres
    (2 rows)

     schema | name  | result  | arguments
    --------+-------+---------+-----------
     shop   | twice | integer | n integer
    (1 row)
    ");
    let said = prompt(&test, "\\d nowhere\n").fails(1);
    assert!(said.contains("nowhere") && said.contains("does not exist"), "{said}");
    let ran = prompt(&test, "\\?\n\\l\n\\q\nselect;\n");
    assert!(
        ran.out.contains("\\dt") && ran.err.contains("unknown command \\l") && !ran.out.contains("row"),
        "{ran:?}"
    );
    let tables = test.run(&["sql", "-c", "\\dt", "-c", "select 1 as one"]).ok();
    assert!(tables.contains(" public | part | table") && tables.contains(" one"), "{tables}");
    let said = test.run(&["sql", "-c", "\\copy x"]).fails(128);
    assert!(said.contains("no command \\copy x here") && said.contains("\\dt"), "{said}");
}

#[test]
fn a_status_shows_the_password_only_when_asked_to() {
    let test = TestRepo::with_database();
    let url = test.url();
    let password = url.split(':').nth(2).unwrap().split('@').next().unwrap();
    for args in [&["status"][..], &["status", "--json"], &["answer", "ask", "--json"]] {
        let said = test.run(args).ok();
        assert!(!said.contains(password) && said.contains("****"), "{args:?}: {said}");
    }
    assert!(test.run(&["status", "--show-password"]).ok().contains(&url));
    let json = test.run(&["status", "--json", "--show-password"]).json();
    assert_eq!(json["endpoint"]["url"], *url);
}

#[test]
fn questions_are_answered_at_the_terminal() {
    let test = TestRepo::with_database();
    fs::write(test.repo.join("offshoot.toml"), "on_checkout = \"ask\"").unwrap();
    test.git(&["checkout", "-q", "-b", "feature"]);
    assert!(test.run(&["status"]).ok().contains("offshoot answer parent"));
    let said = test.run(&["answer", "parent"]).ok();
    assert!(said.contains("uses the database of `main`") && said.contains("offshoot answer ask"), "{said}");
    assert!(test.run(&["answer", "never"]).ok().contains("offshoot answer ask"));
    assert!(test.run(&["answer", "ask"]).ok().contains("offshoot answer never"));
    assert!(test.run(&["answer", "create"]).ok().contains("Database branch feature, from main"));
    test.run(&["answer", "parent"]).fails(128);
    test.run(&["answer", "maybe"]).fails(129);
    test.run(&["branch", "protect", "feature"]).ok();
    assert!(test.run(&["status"]).ok().contains(", protected"));
}

#[test]
fn what_is_in_the_trash_is_seen_and_can_be_removed_for_good() {
    let test = TestRepo::with_database();
    test.run(&["branch", "create", "big"]).ok();
    test.run(&[
        "sql",
        "--branch",
        "big",
        "-c",
        "CREATE TABLE t AS SELECT repeat('x', 1000) AS v FROM generate_series(1, 3000)",
    ])
    .ok();
    test.run(&["branch", "create", "child", "--from", "big"]).ok();
    test.run(&["branch", "create", "other"]).ok();
    let said = test.run(&["branch", "purge", "big", "--yes"]).fails(128);
    assert!(said.contains("offshoot branch delete big"), "{said}");
    let said = test.run(&["branch", "purge", "nothing", "--yes"]).fails(128);
    assert!(said.contains("no `nothing` in the trash"), "{said}");
    test.run(&["branch", "purge", "--yes"]).fails(129);
    test.run(&["branch", "delete", "other", "--yes"]).ok();
    test.run(&["branch", "delete", "child", "--yes"]).ok();
    test.run(&["branch", "delete", "big", "--yes"]).ok();

    let before = test.run(&["du", "--json"]).json();
    let trash: Vec<&str> = before["branches"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|branch| branch["trashedAt"].is_u64())
        .map(|branch| branch["name"].as_str().unwrap())
        .collect();
    assert_eq!(trash.len(), 3);
    let bytes = |value: &serde_json::Value| value.as_u64().unwrap();
    let parts: u64 = before["shares"].as_array().unwrap().iter().map(|share| bytes(&share["bytes"])).sum();
    assert_eq!(parts + bytes(&before["otherBytes"]), bytes(&before["totalBytes"]), "every byte once");
    assert!(test.run(&["du"]).ok().contains("would free"));

    let one = test.run(&["branch", "purge", "other", "--yes", "--json"]).json();
    for unsaid in [&["branch", "purge", "--all"][..], &["branch", "purge", "--all", "--json"]] {
        assert!(test.run(unsaid).fails(128).contains("--yes"));
    }
    assert_eq!(one["branches"], 1);
    test.run(&["undo", "other"]).fails(128);
    let rest = test.run(&["branch", "purge", "--all", "--yes", "--json"]).json();
    assert_eq!(rest["branches"], 2);
    assert!(bytes(&rest["freedBytes"]) > 3_000_000, "{rest}");
    let after = test.run(&["du", "--json"]).json();
    assert!(bytes(&after["totalBytes"]) + 3_000_000 < bytes(&before["totalBytes"]), "{before} {after}");
    assert_eq!(test.run(&["branch", "purge", "--all", "--yes"]).ok().trim(), "The trash is empty.");
    assert_eq!(test.run(&["sql", "-c", "select 1"]).ok().lines().count(), 4);
}

#[test]
fn when_sql_has_ended_so_has_its_session() {
    let test = TestRepo::with_database();
    let mut other = Client::connect(&test.url(), NoTls).unwrap();
    for _ in 0..20 {
        test.run(&["sql", "-c", "begin", "-c", "select 1"]).ok();
        let left = "select count(*) from pg_stat_activity where application_name = 'offshoot'";
        assert_eq!(other.query_one(left, &[]).unwrap().get::<_, i64>(0), 0);
    }
}

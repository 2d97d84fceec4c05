//! Extensions, roles and grants on new branches.

use std::fs;
use std::process::Stdio;

use crate::support::{PROGRAM, TestRepo, wait_until};
use crate::write;

const GIVEN: &str = "\
[[branches]]
pattern = 'feature/**'
extensions = ['pg_trgm']
roles = ['reader']
grants = ['select, insert on tables to reader', 'execute on functions in public to reader']

[[branches]]
pattern = 'wrong/extension'
extensions = ['pg_tgrm']
roles = ['reader']

[[branches]]
pattern = 'wrong/grant'
roles = ['reader']
extensions = ['pg_trgm']
grants = ['select on tables in nowhere to reader']
";

#[test]
fn a_new_branch_has_what_its_rule_gives_it_or_is_not_made() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", "create table item (id int); insert into item values (1)"]).ok();
    write(&test, GIVEN);
    let has = |branch: &str| {
        let sql = "select (select count(*) from pg_extension where extname = 'pg_trgm'), \
                   (select count(*) from pg_roles where rolname = 'reader')";
        let found = test.run(&["sql", "--branch", branch, "--json", "-c", sql]).json();
        found["results"][0]["rows"][0].to_string().replace('"', "")
    };
    // By a checkout: before anybody connects, and the parent is left alone.
    test.git(&["checkout", "-q", "-b", "feature/by-git"]);
    assert_eq!(test.value("select extname from pg_extension where extname = 'pg_trgm'"), "pg_trgm");
    let as_reader = |sql: &str| test.run(&["sql", "-c", &format!("set role reader; {sql}")]);
    as_reader("select * from item; insert into item values (2)").ok();
    assert!(as_reader("delete from item").err.contains("permission denied"), "not granted");
    // Also what is made later.
    test.run(&["sql", "-c", "create table later (id int)"]).ok();
    as_reader("select * from later").ok();
    assert_eq!(has("main"), "[0,0]");
    // By hand, and again after a reset.
    test.run(&["branch", "create", "feature/by-hand", "--from", "main"]).ok();
    assert_eq!(has("feature/by-hand"), "[1,1]");
    test.run(&["sql", "--branch", "feature/by-hand", "-c", "drop extension pg_trgm"]).ok();
    test.run(&["branch", "reset", "feature/by-hand"]).ok();
    assert_eq!(has("feature/by-hand"), "[1,1]");
    let explained = test.run(&["policy", "explain", "feature/by-hand"]).ok();
    assert!(explained.contains("pg_trgm") && explained.contains("offshoot.toml:3"), "{explained}");
    // What cannot be given: no branch, and nothing in the trash.
    let unknown = test.run(&["branch", "create", "wrong/extension", "--from", "main"]).fails(128);
    assert!(
        unknown.contains(
            "`wrong/extension` is not made: this Postgres has no extension `pg_tgrm` (offshoot.toml, line 9)"
        ),
        "{unknown}"
    );
    assert!(unknown.contains("Did you mean `pg_trgm`? There are "), "{unknown}");
    test.git(&["checkout", "-q", "-b", "wrong/grant"]);
    let nowhere = test.run(&["url"]).fails(128);
    assert!(nowhere.contains("the grant `select on tables in nowhere to reader` (offshoot.toml, line 16): schema \"nowhere\" does not exist"), "{nowhere}");
    assert_eq!(test.branches(), ["main", "feature/by-git", "feature/by-hand"]);
    test.run(&["undo", "wrong/extension"]).fails(128);
    assert_eq!(has("main"), "[0,0]");
    // As soon as it can be given, the checkout has its branch.
    write(&test, &GIVEN.replace("nowhere", "public"));
    assert_eq!(test.value("select count(*) from pg_extension where extname = 'pg_trgm'"), "1");
}

#[test]
fn a_branch_that_is_half_made_when_the_engine_dies_is_in_the_trash() {
    let test = TestRepo::with_database();
    // A grant that goes on for as long as the engine lives.
    let slow = "create function wait() returns event_trigger language plpgsql as 'begin perform pg_sleep(600); end'; \
                create event trigger wait on ddl_command_start when tag in ('GRANT') execute function wait()";
    test.run(&["sql", "-c", slow]).ok();
    write(
        &test,
        "[[branches]]\npattern = 'half'\nroles = ['reader']\ngrants = ['select on tables to reader']\n",
    );
    let mut command = test.command(PROGRAM);
    command.args(["branch", "create", "half"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut making = command.spawn().unwrap();
    wait_until("it is being made", || test.branches() == ["main", "half"]);
    test.kill_engine();
    assert!(!making.wait().unwrap().success());
    assert_eq!(test.branches(), ["main"]);
    // Nothing of it is remembered: the name is free, and what was there comes back.
    test.run(&["undo", "half"]).ok();
    test.run(&["engine", "stop"]).ok();
    assert_eq!(test.branches(), ["main", "half"]);
}

#[test]
fn what_a_rule_gave_is_no_difference_of_a_branch_and_in_no_migration_of_it() {
    let test = TestRepo::with_database();
    test.run(&[
        "sql",
        "-c",
        "create table item (id int); create table schema_migrations (version varchar primary key)",
    ])
    .ok();
    let folder = test.repo.join("db/migrations");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("001_item.sql"), "-- migrate:up\ncreate table item (id int);\n-- migrate:down\n")
        .unwrap();
    test.run(&["sql", "-c", "insert into schema_migrations values ('001')"]).ok();
    test.git(&["add", "db"]);
    test.git(&["commit", "-q", "-m", "migrations"]);
    write(&test, GIVEN);
    test.git(&["checkout", "-q", "-b", "feature/x"]);
    for forms in [
        &["diff", "--exit-code"] as &[&str],
        &["diff", "--from-fork", "--exit-code"],
        &["migrations", "drift"],
    ] {
        test.run(forms).ok();
    }
    assert!(test.run(&["diff", "--three-way", "--exit-code"]).code == 0);
    assert!(test.run(&["diff", "--sql", "--count", "given"]).ok().contains("CREATE EXTENSION pg_trgm"));

    // What a person did beside it is one, also where it needs what was given.
    let own = "create table tag (name text); create index on tag using gin (name gin_trgm_ops); grant delete on item to reader";
    test.run(&["sql", "-c", own]).ok();
    let sql = test.run(&["diff", "--sql"]).ok();
    let made = test.run(&["migrations", "new", "tags", "--json"]).json();
    assert_eq!(made["proof"]["outcome"], "passed", "{made:#}");
    for sql in [&sql, made["sql"].as_str().unwrap()] {
        assert!(sql.contains("CREATE TABLE public.tag") && sql.contains("gin_trgm_ops"), "{sql}");
        assert!(sql.contains("GRANT DELETE ON TABLE public.item TO reader"), "{sql}");
        for given in ["EXTENSION", "ROLE", "DEFAULT PRIVILEGES", "SELECT"] {
            assert!(!sql.contains(given), "{given} was given by a rule: {sql}");
        }
    }
    // Nothing is said to have been left behind but what the person did.
    test.run(&["branch", "reset", "feature/x"]).ok();
    test.run(&["diff", "--exit-code"]).ok();
    // Another server gets none of it either, and lacks nothing for that.
    let there = TestRepo::with_database();
    let url = there.run(&["url", "--branch", "main"]).ok();
    let pushed = test.run(&["push", "--to", url.trim(), "--yes", "--json"]).json();
    assert_eq!((&pushed["statements"], &pushed["left"]), (&1.into(), &0.into()), "{pushed}");
    assert_eq!(there.value("select count(*) from pg_extension where extname = 'pg_trgm'"), "0");
}

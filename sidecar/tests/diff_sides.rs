//! All that `offshoot diff` compares: SQL files, folders of them, git commits, fork points.

#![allow(clippy::unwrap_used, missing_docs, reason = "only tests are here")]

mod support;

use std::fs;

use support::TestRepo;

const SCHEMA: &str = "create table item (id int primary key, name text not null);\n";

fn write(test: &TestRepo, path: &str, content: &str) {
    let path = test.repo.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

#[test]
fn sql_files_and_folders_are_sides() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", SCHEMA]).ok();
    write(&test, "schema.sql", SCHEMA);
    assert_eq!(test.run(&["diff", "main", "schema.sql", "--exit-code"]).code, 0);
    // In the order of their numbers, without those that lead back.
    write(&test, "migrations/2_name.sql", "alter table item add name text;");
    write(&test, "migrations/10_not_null.up.sql", "alter table item alter name set not null;");
    write(&test, "migrations/10_not_null.down.sql", "drop table item;");
    write(&test, "migrations/1_item.sql", "create table item (id int primary key);");
    assert_eq!(test.run(&["diff", "main", "migrations", "--exit-code"]).code, 0);
    let json = test.run(&["diff", "migrations/", "schema.sql", "--json"]).json();
    assert_eq!((&json["different"], &json["from"]["kind"]), (&false.into(), &"sql".into()), "{json}");

    write(&test, "migrations/11_bad.sql", "create table fine ();\n\ninsert into item\n  values (1, nul);\n");
    let said = test.run(&["diff", "main", "migrations"]).fails(128);
    assert!(said.contains("11_bad.sql: line 4: column \"nul\" does not exist"), "{said}");
    write(&test, "empty/readme.md", "");
    assert!(test.run(&["diff", "main", "empty/"]).fails(128).contains("no SQL file in empty/"));
    let said = test.run(&["diff", "main@other", "main"]).fails(128);
    assert!(said.contains("no snapshot `other` of main"), "{said}");
    assert_eq!(test.branches(), ["main"]);
}

#[test]
fn git_commits_are_sides_and_need_no_database_if_they_hold_facts() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", SCHEMA]).ok();
    write(&test, "db/schema.sql", SCHEMA);
    test.git(&["add", "."]);
    test.commit("sql");
    write(&test, "db/schema.sql", "create table item (id int primary key);");
    write(&test, "offshoot.toml", "[schema]\nfile = \"db/schema.sql\"\n");
    assert_eq!(
        test.run(&["diff", "main", "HEAD:db/schema.sql", "--exit-code"]).code,
        0,
        "not the work tree's"
    );
    assert_eq!(test.run(&["diff", "main", "git:main", "--exit-code"]).code, 0, "the settings name the file");
    assert_eq!(test.run(&["diff", "main", "git:HEAD:db", "--exit-code"]).code, 0, "a folder");
    let json = test.run(&["diff", "db/schema.sql", "HEAD", "--json"]).json();
    assert_eq!((&json["to"]["kind"], &json["to"]["name"]), (&"git".into(), &"HEAD:db/schema.sql".into()));
    assert_eq!(json["from"]["kind"], "sql");
    let json = test.run(&["diff", "main", "main", "--json"]).json();
    assert_eq!(json["to"]["kind"], "branch", "a name of both is the database branch's");
    assert_eq!(
        test.git(&["status", "--porcelain", "--untracked-files=no"]),
        " M db/schema.sql\n M offshoot.toml"
    );

    let fails = |args: &[&str], words: &[&str]| {
        let said = test.run(args).fails(128);
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
    };
    fails(
        &["diff", "main", "nowhere"],
        &["nowhere is nothing that can be compared", "no database branch", "no file or folder", "no commit"],
    );
    fails(&["diff", "main", "git:nowhere"], &["git knows no commit `nowhere`"]);
    fails(&["diff", "main", "HEAD:absent.sql"], &["commit HEAD has no file or folder absent.sql"]);
    fails(&["diff", "main", "HEAD:offshoot.toml"], &["neither a file of facts nor an SQL file"]);
    fs::remove_file(test.repo.join("offshoot.toml")).unwrap();
    fails(
        &["diff", "main", "git:HEAD"],
        &["which file of HEAD has the schema is not known", "HEAD:db/schema.facts", "[schema]"],
    );

    // With facts neither a database nor an engine is needed.
    test.run(&["schema", "export", "main", "-o", "schema.facts"]).ok();
    let facts = fs::read_to_string(test.repo.join("schema.facts")).unwrap();
    let plain = TestRepo::new();
    write(&plain, "schema.facts", &facts);
    write(&plain, "offshoot.toml", "[schema]\nfile = \"schema.facts\"\n");
    plain.git(&["add", "."]);
    plain.commit("one");
    plain.git(&["tag", "v1"]);
    test.run(&["sql", "-c", "create table lot (id int)"]).ok();
    test.run(&["schema", "export", "main", "-o", "schema.facts"]).ok();
    write(&plain, "schema.facts", &fs::read_to_string(test.repo.join("schema.facts")).unwrap());
    plain.git(&["commit", "-q", "-a", "-m", "two"]);
    let stat = plain.run(&["diff", "v1", "HEAD", "--stat"]).ok();
    assert!(stat.starts_with("+ table public.lot"), "{stat}");
    let said = plain.run(&["diff", "v1", "nothing"]).fails(128);
    assert!(said.contains("no database branches here"), "{said}");
}

#[test]
fn a_snapshot_is_compared_with_branched_from_and_removed() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", SCHEMA, "-c", "insert into item values (1, 'a')"]).ok();
    let said = test.run(&["snapshot", "list"]).ok();
    assert!(said.contains("offshoot snapshot create"), "{said}");
    assert!(test.run(&["snapshot", "create", "before"]).ok().contains("main@before"));
    let said = test.run(&["snapshot", "create", "main@before"]).fails(128);
    assert!(said.contains("`before` of main already"), "{said}");
    for bad in ["fork", "a@b@c", "", "x..y"] {
        test.run(&["snapshot", "create", bad]).fails(128);
    }
    test.run(&["sql", "-c", "alter table item add price int; update item set name = 'b'"]).ok();
    assert!(test.run(&["diff", "@before", "--sql"]).ok().contains("ADD COLUMN price integer"));
    assert_eq!(test.run(&["diff", "main@before", "main", "--exit-code", "--stat"]).code, 1);
    let json = test.run(&["diff", "main", "main@before", "--json"]).json();
    assert_eq!((&json["to"]["kind"], &json["to"]["name"]), (&"snapshot".into(), &"main@before".into()));

    test.run(&["branch", "create", "again", "--from", "main@before"]).ok();
    assert_eq!(test.run(&["diff", "main@before", "again", "--exit-code"]).code, 0);
    assert!(test.run(&["sql", "--branch", "again", "-c", "select name from item"]).ok().contains(" a"));
    test.run(&["sql", "--branch", "again", "-c", "insert into item values (2, 'c')"]).ok();
    assert_eq!(test.branches(), ["main", "again"], "a snapshot is no branch");
    test.run(&["engine", "stop"]).ok();
    let list = test.run(&["snapshot", "list", "--json"]).json();
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 1, "{list}");
    test.run(&["snapshot", "delete", "main@before"]).ok();
    let said = test.run(&["diff", "main@before", "main"]).fails(128);
    assert!(said.contains("no snapshot `before` of main"), "{said}");
    let said = test.run(&["branch", "create", "late", "--from", "main@before"]).fails(128);
    assert!(said.contains("no snapshot `before` of main"), "{said}");
    let count = test.run(&["sql", "--branch", "again", "-c", "select count(*) from item"]).ok();
    assert!(count.contains(" 2"), "{count}");
}

#[test]
fn sql_files_say_what_they_lack_and_may_make_roles_again() {
    let test = TestRepo::with_database();
    let script =
        "create role keeper; -- of lots\ncreate table lot (id int);\ngrant select on lot to keeper;\n";
    test.run(&["sql", "-c", script]).ok();
    write(&test, "s/1.sql", script);
    assert_eq!(test.run(&["diff", "main", "s/", "--exit-code"]).code, 0);
    write(&test, "s/2.sql", "begin;\ncreate table lost ();\n");
    let said = test.run(&["diff", "main", "s/"]).fails(128);
    assert!(said.contains("2.sql ends in the middle of a transaction"), "{said}");
    write(&test, "s/2.sql", "create extension no_such_extension;\n");
    let said = test.run(&["diff", "main", "s/"]).fails(128);
    assert!(said.contains("2.sql: line 1: ") && said.contains("no_such_extension"), "{said}");
    write(&test, "s/2.sql", "");
    std::os::unix::fs::symlink(".", test.repo.join("s/round")).unwrap();
    assert_eq!(test.run(&["diff", "main", "s/", "--exit-code"]).code, 0);
    fs::remove_file(test.repo.join("s/2.sql")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", test.repo.join("s/2.sql")).unwrap();
    assert_eq!(test.run(&["diff", "main", "s/", "--exit-code"]).code, 0);
}

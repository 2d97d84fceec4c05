//! `offshoot diff` and `offshoot schema export`.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fmt::Write;
use std::fs;
use std::net::TcpListener;

use support::{TestRepo, wait_until};

const BASE: &str = "
    create table public.item (id bigint primary key, code text, price numeric(8,2), note text);
    create table public.old (id int);
    insert into public.item select n, 'c' || n, n from generate_series(1, 10) n;
    create view public.codes as select id, code from public.item;";

const EDIT: &str = "
    drop view public.codes;
    alter table public.item drop column note;
    alter table public.item alter column price type numeric(12,2);
    alter table public.item alter column code type varchar(40);
    create index item_code on public.item (code);
    create view public.codes as select id, code from public.item;
    create table public.lot (id bigint primary key, item bigint references public.item);
    drop table public.old;
    create function public.total() returns numeric language sql as 'select sum(price) from public.item';";

/// `main` with some objects, and `feature`, checked out, where they were edited.
fn edited() -> TestRepo {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", BASE]).ok();
    test.run(&["branch", "create", "feature"]).ok();
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.run(&["sql", "--branch", "feature", "-c", EDIT]).ok();
    test
}

#[test]
fn the_document_shows_what_the_branch_has_that_its_parent_has_not() {
    let test = edited();
    insta::assert_snapshot!("document", test.run(&["diff", "main", "feature"]).ok());
    insta::assert_snapshot!("stat", test.run(&["diff", "main", "feature", "--stat"]).ok());
    wait_until("the worktree is on feature", || test.status()["branch"]["name"] == "feature");
    let stat = test.run(&["diff", "main", "feature", "--stat"]).ok();
    assert_eq!(test.run(&["diff", "--stat"]).ok(), stat);
    assert_eq!(test.run(&["diff", "main", "--stat"]).ok(), stat);
}

#[test]
fn json_has_changes_steps_and_hazards() {
    let test = edited();
    let json = test.run(&["diff", "main", "feature", "--json"]).json();
    assert_eq!(json["version"], 1);
    assert_eq!((&json["from"]["name"], &json["from"]["kind"]), (&"main".into(), &"branch".into()));
    assert_eq!(json["to"]["name"], "feature");
    assert!(json["to"]["postgres"].as_u64().unwrap() >= 14, "{json}");
    assert_eq!(json["different"], true);
    let changes = json["changes"].as_array().unwrap();
    let shown: Vec<_> = changes.iter().map(|it| format!("{} {}", it["change"], it["title"])).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    "added" "function public.total()"
    "changed" "table public.item"
    "added" "table public.lot"
    "removed" "table public.old"
    "changed" "view public.codes"
    "#);
    let lot = changes.iter().find(|it| it["object"]["name"] == "lot").unwrap();
    assert_eq!(lot["object"], serde_json::json!({ "kind": "table", "schema": "public", "name": "lot" }));
    assert!(lot["from"].is_null() && lot["to"].as_str().unwrap().contains("CREATE TABLE public.lot"));
    let steps = json["steps"].as_array().unwrap();
    let dropped = steps.iter().find(|it| it["statements"][0].as_str().unwrap().contains("DROP COLUMN note"));
    let dropped = dropped.unwrap();
    assert_eq!(dropped["hazards"][0]["kind"], "deletesData");
    assert_eq!(dropped["lock"]["level"], "accessExclusive");
    assert_eq!((&dropped["transactional"], &dropped["part"]), (&true.into(), &0.into()));
    for key in ["settings", "unplanned", "unmodelled", "unreadable"] {
        assert!(!json[key].is_null(), "{key}");
    }
}

#[test]
fn the_script_makes_one_schema_into_the_other() {
    for online in [false, true] {
        let test = edited();
        let mut args = vec!["diff", "main", "feature", "--sql"];
        args.extend(online.then_some("--online"));
        let sql = test.run(&args).ok();
        assert_eq!(sql.contains("CONCURRENTLY"), online, "{sql}");
        fs::write(test.repo.join("plan.sql"), &sql).unwrap();
        test.run(&["sql", "--branch", "main", "-f", "plan.sql"]).ok();
        let after = test.run(&["diff", "main", "feature", "--exit-code"]).ok();
        assert_eq!(after, "# Database diff: feature ← main\n# no difference");
        assert_eq!(test.run(&["diff", "main", "feature", "--sql"]).ok(), "");
        let rows =
            test.run(&["sql", "--branch", "main", "--json", "-c", "select count(*) from public.item"]).json();
        assert_eq!(rows["results"][0]["rows"][0][0], 10, "rows survive");
    }
}

#[test]
fn exit_code_is_one_only_where_it_is_asked_for() {
    let test = edited();
    assert_eq!(test.run(&["diff", "main", "feature"]).code, 0);
    assert_eq!(test.run(&["diff", "main", "feature", "--exit-code", "--stat"]).code, 1);
    assert_eq!(test.run(&["diff", "main", "feature", "--exit-code", "--json"]).code, 1);
    assert_eq!(test.run(&["diff", "main", "main", "--exit-code"]).code, 0);
}

#[test]
fn what_is_not_modelled_is_said_and_counted() {
    let test = TestRepo::with_database();
    test.run(&["branch", "create", "other"]).ok();
    test.run(&["sql", "--branch", "other", "-c", "select lo_create(0)"]).ok();
    let ran = test.run(&["diff", "main", "other", "--exit-code"]);
    assert!(ran.out.contains("? not modelled: large object: 1 in other, 0 in main"), "{}", ran.out);
    assert_eq!(ran.code, 0, "large objects are data");
    test.run(&["sql", "--branch", "other", "-c", "alter database app set work_mem = '8MB'"]).ok();
    let ran = test.run(&["diff", "main", "other", "--exit-code"]);
    assert!(ran.out.contains("? not modelled: database setting: 1 in other, 0 in main"), "{}", ran.out);
    assert!(ran.out.contains("# only what is not modelled differs"), "{}", ran.out);
    assert_eq!(ran.code, 1);
}

#[test]
fn a_comment_has_verdict_risks_objects_and_sql() {
    let test = edited();
    let comment = test.run(&["diff", "main", "feature", "--markdown"]).ok();
    let (marker, rest) = comment.split_once('\n').unwrap();
    assert!(marker.starts_with("<!-- offshoot:diff v1 sha256=") && marker.ends_with(" -->"), "{marker}");
    // Majors write views differently.
    let (told, script) = rest.split_once("<summary>SQL that makes the change</summary>").unwrap();
    insta::assert_snapshot!("comment", told);
    assert!(
        script.contains("ALTER TABLE public.item DROP COLUMN note;") && script.contains("COMMIT;"),
        "{script}"
    );
    let again = test.run(&["diff", "main", "feature", "--markdown"]).ok();
    assert_eq!(comment, again, "the digest is stable");
    test.run(&["sql", "--branch", "feature", "-c", "comment on table public.lot is 'x'"]).ok();
    let other = test.run(&["diff", "main", "feature", "--markdown"]).ok();
    assert_ne!(other.lines().next().unwrap(), marker, "the digest is of what differs");
}

#[test]
fn a_comment_on_a_large_change_keeps_below_the_cap() {
    let test = TestRepo::with_database();
    test.run(&["branch", "create", "large"]).ok();
    let mut sql = String::new();
    for n in 0..400 {
        let _ = write!(
            sql,
            "create table public.\"größe_`{n}`_@team\" (id bigint primary key, a_rather_long_name_of_a_column text);
             create view public.view_{n} as select id from public.\"größe_`{n}`_@team\";"
        );
    }
    fs::write(test.repo.join("large.sql"), sql).unwrap();
    test.run(&["sql", "--branch", "large", "-f", "large.sql"]).ok();
    for pair in [["main", "large"], ["large", "main"]] {
        let comment = test.run(&["diff", pair[0], pair[1], "--markdown"]).ok();
        assert!(comment.len() < 65_536, "{}", comment.len());
        assert!(comment.len() > 50_000, "room is left: {}", comment.len());
        for part in ["Tables (400)", "Views (400)", "more\n", "<details>", " lines; `offshoot diff`"] {
            assert!(comment.contains(part), "{part}");
        }
        assert_eq!(comment.matches("<details>").count(), comment.matches("</details>").count());
    }
}

#[test]
fn an_exported_schema_is_compared_without_a_database() {
    let test = edited();
    let main = test.root().join("main.facts");
    let main = main.to_str().unwrap();
    let said = test.run(&["schema", "export", "main", "-o", main]);
    assert!(said.err.contains("objects of main written to"), "{}", said.err);
    assert_eq!(said.ok(), "");
    let printed = test.run(&["schema", "export", "main"]).ok();
    assert_eq!(fs::read_to_string(main).unwrap().trim_end(), printed);

    assert_eq!(test.run(&["diff", main, "main", "--exit-code"]).code, 0);
    let branches = test.run(&["diff", "main", "feature", "--stat"]).ok();
    assert_eq!(test.run(&["diff", main, "feature", "--stat"]).ok(), branches);

    let feature = test.root().join("feature.facts");
    let feature = feature.to_str().unwrap();
    let url = test.run(&["url", "--branch", "feature"]).ok();
    let json = test.run(&["schema", "export", &url, "-o", feature, "--json"]).json();
    assert_eq!(json["file"], feature);
    assert!(!json["source"].as_str().unwrap().contains(url.split(['/', ':', '@']).nth(4).unwrap()), "{json}");
    // Neither a repository nor an engine is needed for two files.
    assert_eq!(test.run_in(test.root(), &["diff", main, feature, "--stat"]).ok(), branches);
    assert_eq!(test.run(&["diff", main, &url, "--stat"]).ok(), branches);
}

#[test]
fn the_tables_of_the_repositorys_migration_tools_are_left_out_unless_they_count() {
    let test = TestRepo::new();
    fs::create_dir(test.repo.join("migrations")).unwrap();
    fs::write(test.repo.join("knexfile.js"), "module.exports = {}").unwrap();
    fs::write(test.repo.join("migrations/1_one.js"), "exports.up = () => {}").unwrap();
    let facts = |tables: &[&str]| {
        let one = |table: &&str| format!("[[\"table\",\"public\",\"{table}\"]]\n= owner \"a\"\n\n");
        let schema = "[[\"schema\",null,\"public\"]]\n= owner \"a\"\n\n";
        format!("offshoot schema 1\nserver 18\n\n{schema}{}", tables.iter().map(one).collect::<String>())
    };
    fs::write(test.repo.join("a.facts"), facts(&["item"])).unwrap();
    let tables = ["item", "knex_migrations", "knex_migrations_lock", "schema_migrations"];
    fs::write(test.repo.join("b.facts"), facts(&tables)).unwrap();
    let shown = test.run(&["diff", "a.facts", "b.facts"]).ok();
    let remark = "# left out: table public.knex_migrations, table public.knex_migrations_lock, where Knex keeps what it ran; --count \
                  migration-history compares it";
    assert!(shown.ends_with(remark), "{shown}");
    assert!(shown.contains("# 1 added") && shown.contains("+ table public.schema_migrations"), "{shown}");
    assert!(
        !test.run(&["diff", "a.facts", "b.facts", "--sql"]).ok().contains("knex"),
        "nor are they planned"
    );
    let json = test.run(&["diff", "b.facts", "a.facts", "--json"]).json();
    let left: Vec<_> = json["leftOut"].as_array().unwrap().iter().map(|one| &one["title"]).collect();
    assert_eq!(left, ["table public.knex_migrations", "table public.knex_migrations_lock"]);
    let comment = test.run(&["diff", "a.facts", "b.facts", "--markdown"]).ok();
    assert!(comment.contains("- left out: `table public.knex_migrations`, "), "{comment}");
    let all = test.run(&["diff", "a.facts", "b.facts", "--count", "migration-history", "--stat"]).ok();
    assert!(all.contains("3 added") && all.contains("knex_migrations_lock"), "{all}");
    assert_eq!(test.run_in(test.root(), &["diff", "repo/a.facts", "repo/b.facts", "--exit-code"]).code, 1);
}

#[test]
fn what_cannot_be_compared_is_named() {
    let test = TestRepo::with_database();
    let fails = |args: &[&str], words: &[&str]| {
        let said = test.run(args).fails(128);
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
        assert!(!said.contains("secret"), "{said}");
    };
    fails(&["diff"], &["main has no parent", "offshoot diff A"]);
    fails(&["diff", "nobody", "main"], &["nobody"]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://me:secret@127.0.0.1:{port}/shop");
    fails(
        &["diff", &url, "main"],
        &[&format!("cannot connect to postgres://me@127.0.0.1:{port}/shop"), "refused"],
    );
    fails(&["diff", "postgres://me:secret/x@h:port/shop", "main"], &["not a connection URL", "%2F"]);
    fails(&["diff", "absent.facts", "main"], &["cannot read absent.facts"]);
    fs::write(test.repo.join("plain.txt"), "x").unwrap();
    fails(
        &["diff", "plain.txt", "main"],
        &["plain.txt is neither a file of facts nor an SQL file", ".facts"],
    );
    let file = test.repo.join("bad.facts");
    for (text, line) in [
        (&b"create table x ();\n"[..], "bad.facts is not a file of facts: line 1"),
        (b"", "line 1"),
        (b"offshoot schema 1\nserver 18\n\n<<<<<<< ours\n", "line 4"),
        (b"offshoot schema 1\nserver 18\n\xff\n", "line 3: it is not UTF-8"),
        (b"offshoot schema 1\n", "line 2"),
    ] {
        fs::write(&file, text).unwrap();
        fails(&["diff", "bad.facts", "main"], &[line]);
    }
    fails(
        &["schema", "export", "main", "-o", "no/such/folder/x.facts"],
        &["cannot write no/such/folder/x.facts"],
    );
    assert!(
        test.run(&["diff", "main", "main", "--sql", "--stat"]).fails(129).contains("cannot be used with")
    );
    assert!(
        test.run(&["diff", "main", "main", "--json", "--markdown"])
            .fails(129)
            .contains("cannot be used with")
    );
}

#[test]
fn names_and_texts_cannot_deceive() {
    let test = TestRepo::with_database();
    test.run(&["branch", "create", "odd"]).ok();
    let sql = "create table public.\"a\u{202e}b\n+ table c\" (id int); \
               create function public.f() returns text language sql as $$ select E'\u{1b}[31m```</details>' $$;";
    test.run(&["sql", "--branch", "odd", "-c", sql]).ok();
    for form in [&["--stat"][..], &["--markdown"], &[]] {
        let shown = test.run(&[&["diff", "main", "odd"], form].concat()).ok();
        assert!(!shown.contains(['\u{202e}', '\u{1b}']), "{shown}");
        assert!(form.contains(&"--markdown") || !shown.contains("\n+ table c"), "{shown}");
    }
    let sql = test.run(&["diff", "main", "odd", "--sql"]).ok();
    assert!(sql.contains('\u{202e}') && sql.contains('\u{1b}'), "a script is exact");
    fs::write(test.repo.join("odd.sql"), sql).unwrap();
    test.run(&["sql", "--branch", "main", "-f", "odd.sql"]).ok();
    assert_eq!(test.run(&["diff", "main", "odd", "--exit-code"]).code, 0);
}

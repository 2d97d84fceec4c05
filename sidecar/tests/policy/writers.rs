//! Whose sessions may write to a branch.

use std::io::Write as _;
use std::process::Stdio;

use postgres::{Client, NoTls};

use crate::support::TestRepo;
use crate::write;

const NOBODY: &str = "[[branches]]\npattern = 'main'\nprotected = true\nwriters = []\n";
const DEPLOY: &str = "[[branches]]\npattern = 'main'\nprotected = true\nwriters = ['deploy']\n";

fn connect(test: &TestRepo) -> Client {
    Client::connect(&test.url(), NoTls).unwrap()
}

/// The SQLSTATE with which a statement is refused.
fn refused(client: &mut Client, sql: &str) -> String {
    let error = client.batch_execute(sql).expect_err(sql);
    let code = error.code().unwrap_or_else(|| panic!("{sql}: {error}")).code().to_owned();
    client.batch_execute("rollback").unwrap();
    code
}

fn user(client: &mut Client) -> String {
    client.query_one("select session_user::text", &[]).unwrap().get(0)
}

fn with_items() -> TestRepo {
    let test = TestRepo::with_database();
    test.run(&[
        "sql",
        "-c",
        "create table item (id int primary key); insert into item values (1); create schema hidden; create table hidden.item (id int);
         alter table item enable row level security; create sequence counter; alter role current_user set search_path = public, hidden",
    ])
    .ok();
    test
}

#[test]
fn where_nobody_may_write_postgres_itself_refuses_whatever_a_session_sets() {
    let test = with_items();
    let owner = test.value("select current_user");
    write(&test, NOBODY);
    let mut client = connect(&test);
    assert_eq!(user(&mut client), "offshoot_reader");
    // It sees all that the owner sees, with its settings.
    assert_eq!(client.query("select * from item", &[]).unwrap().len(), 1);
    let path: String = client.query_one("show search_path", &[]).unwrap().get(0);
    assert_eq!(path, "public, hidden");
    assert_eq!(refused(&mut client, "insert into item values (2)"), "25006", "read only, by its default");
    client.batch_execute("set default_transaction_read_only = off").unwrap();
    for sql in [
        "insert into item values (2)",
        "begin read write; update item set id = 3; commit",
        "delete from item",
        "truncate item",
        "drop table item",
        "alter table item add n int",
        "create schema mine",
        "select nextval('counter')",
        "create role more superuser",
        "alter role offshoot_reader superuser",
        "alter role current_user createdb",
        "alter system set work_mem = '8MB'",
        "copy item from program 'true'",
        "select pg_read_file('PG_VERSION')",
        "select lo_import('/etc/hostname')",
        &format!("set role {owner}"),
        &format!("set session authorization {owner}"),
        &format!("grant {owner} to offshoot_reader"),
    ] {
        assert_eq!(refused(&mut client, sql), "42501", "{sql}");
    }
    // Nor by what a client says as it connects, under either of its names, at any address.
    let own = test.run(&["url", "--branch", "main"]).ok();
    for url in [
        format!("{}?options=-c%20default_transaction_read_only%3Doff", test.url()),
        format!("{}?options=-c%20default_transaction_read_only%3Doff", own.trim()),
        test.url().replace(&format!("//{owner}:"), "//offshoot_reader:")
            + "?options=-c%20default_transaction_read_only%3Doff",
    ] {
        let mut client = Client::connect(&url, NoTls).unwrap();
        assert_eq!(refused(&mut client, "insert into item values (2)"), "42501", "{url}");
    }
    let as_owner = format!("{}?options=-c%20role%3D{owner}", test.url());
    assert!(Client::connect(&as_owner, NoTls).is_err(), "no role is taken at the start");

    // Where no rule says so, nothing is other than it was.
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.run(&["sql", "-c", "insert into item values (2)"]).ok();
    assert_eq!(test.value("select current_user"), owner);
}

#[test]
fn it_is_told_why_and_an_override_and_offshoot_itself_write() {
    let test = with_items();
    let own = test.run(&["sql", "-c", "begin read only; create table other ()"]).fails(1);
    assert!(own.contains("25006") && !own.contains("HINT"), "no rule: {own}");
    write(&test, NOBODY);
    let refused = test.run(&["sql", "-c", "insert into item values (2)"]).fails(1);
    assert!(refused.contains("read-only transaction"), "{refused}");
    let script = test.root().join("script.sql");
    std::fs::write(&script, "insert into item values (2);").unwrap();
    for words in [
        &["sql", "-c", "insert into item values (2)"] as &[&str],
        &["sql", "--branch", "main", "-f", script.to_str().unwrap()],
    ] {
        let refused = test.run(words).fails(1);
        assert!(
            refused.contains("HINT:  `writers` of `main` (offshoot.toml, line 4): other sessions only read")
                && refused.contains("`--override` write."),
            "{refused}"
        );
    }
    let status = test.run(&["status"]).ok();
    assert!(
        status.contains("sessions on `main` only read: no session may write to it (offshoot.toml, line 4)"),
        "{status}"
    );
    let explained = test.run(&["policy", "explain", "main"]).ok();
    assert!(
        explained.contains("writers") && explained.contains("offshoot.toml:4; other sessions"),
        "{explained}"
    );
    let plan = test.run(&["policy", "plan"]).ok();
    assert!(plan.contains("Every branch is as the rules have it."), "{plan}");

    test.run(&["sql", "--override", "-c", "insert into item values (2)"]).ok();
    assert_eq!(test.value("select count(*) from item"), "2");
    // The program has the address for as long as it runs.
    let mut child = test
        .command(crate::support::PROGRAM)
        .args(["exec", "--override", "--", "sh", "-c", "read go; echo $DATABASE_URL"])
        .current_dir(&test.repo)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let url = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    crate::support::wait_until("the address of an override is closed behind it", || {
        Client::connect(url.trim(), NoTls).is_err()
    });
    // The role is no difference.
    test.git(&["checkout", "-q", "-b", "feature"]);
    let diff = test.run(&["diff", "main", "feature"]).ok();
    assert!(!diff.contains("offshoot_reader"), "{diff}");
}

#[test]
fn a_role_that_is_named_writes_what_it_is_granted_and_others_do_not_log_in() {
    let test = with_items();
    test.run(&[
        "sql",
        "-c",
        "create role deploy login password 'd'; create role app login password 'a';
         alter table item disable row level security; grant select, insert on item to deploy, app",
    ])
    .ok();
    write(&test, DEPLOY);
    let url = |login: &str| {
        let address = test.url();
        let (_, host) = address.rsplit_once('@').unwrap();
        format!("postgres://{login}@{host}")
    };
    let mut deploy = Client::connect(&url("deploy:d"), NoTls).unwrap();
    assert_eq!(user(&mut deploy), "deploy");
    deploy.batch_execute("insert into item values (2)").unwrap();
    assert_eq!(refused(&mut deploy, "delete from item"), "42501", "what it is not granted");
    assert_eq!(user(&mut connect(&test)), "offshoot_reader");
    let error = Client::connect(&url("app:a"), NoTls).err().unwrap();
    let said = error.as_db_error().unwrap();
    assert_eq!(said.code().code(), "28000");
    assert!(said.message().contains("`app` does not log in to `main`: only `deploy` may write"), "{said:?}");
    assert!(said.hint().unwrap().contains("in `writers`"), "{said:?}");
}

#[test]
fn sessions_that_are_open_end_when_a_changed_rule_is_applied_and_a_copy_of_the_file_takes_none_away() {
    let test = with_items();
    let mut before = connect(&test);
    write(&test, NOBODY);
    // New ones read; those that are there go on until somebody applies it.
    let mut reads = connect(&test);
    assert_eq!(user(&mut reads), "offshoot_reader");
    before.batch_execute("insert into item values (2)").unwrap();
    let plan = test.run(&["policy", "plan"]).ok();
    assert!(
        plan.contains("main: 1 session ends, to connect again (who may write is said in offshoot.toml:4)"),
        "{plan}"
    );
    let applied = test.run(&["policy", "apply", "--yes"]).ok();
    assert!(applied.contains("Ended 1 session."), "{applied}");
    let error = before.batch_execute("select 1").unwrap_err();
    assert!(error.is_closed() || error.code().is_some_and(|code| code.code() == "57P01"), "{error}");
    reads.batch_execute("select 1").unwrap();
    assert!(test.run(&["policy", "plan"]).ok().contains("Every branch is as the rules have it."));

    // What is committed on the root's git branch holds, whatever a copy says.
    test.git(&["add", "."]);
    test.commit("rules");
    write(&test, "");
    assert_eq!(user(&mut connect(&test)), "offshoot_reader");
    let told = test.run(&["policy", "explain", "main"]).ok();
    assert!(told.contains("main:offshoot.toml:4"), "{told}");

    // Without the rule they are let in as before, and those who only read are told.
    test.git(&["add", "."]);
    test.commit("no rules");
    assert_ne!(user(&mut connect(&test)), "offshoot_reader");
    let plan = test.run(&["policy", "plan"]).ok();
    assert!(plan.contains("main: 1 session ends, to connect again (no rule says any more"), "{plan}");
    test.run(&["policy", "apply", "--yes"]).ok();
    assert!(reads.batch_execute("select 1").is_err());
}

#[test]
fn where_nothing_goes_past_the_rules_an_override_neither_writes_nor_renames_until_the_rule_is_changed() {
    let test = with_items();
    write(&test, NOBODY);
    let insert = |id: &str| {
        let sql = format!("insert into item values ({id})");
        test.run(&["sql", "--override", "-c", &sql])
    };
    insert("2").ok();
    write(&test, &format!("{NOBODY}override = false\n"));
    for refused in [
        insert("3"),
        test.run(&["exec", "--override", "--", "true"]),
        test.run(&["branch", "rename", "main", "trunk", "--override"]),
    ] {
        let said = refused.fails(128);
        assert!(said.contains("`--override` does not go past that (offshoot.toml, line 5)"), "{said}");
    }
    let explained = test.run(&["policy", "explain", "main"]).ok();
    assert!(explained.contains("`--override` does not go past it (offshoot.toml:5)"), "{explained}");
    assert!(explained.contains("`offshoot promote` writes, and `--override` does not"), "{explained}");
    assert_eq!(test.value("select count(*) from item"), "2");
    write(&test, NOBODY);
    insert("3").ok();
}

//! A part of a server's rows, by options and by `[subset]`, masked on its way.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use postgres::{Client, NoTls};
use support::TestRepo;

/// In every value that must not be found again, and in nothing else.
const MARK: &str = "zqoriginal";
const SCHEMA: &str = "
create table users (email varchar(60) primary key, name text not null, friend varchar(60) references users, nick text, tag text);
create table orders (id serial primary key, user_email varchar(60) references users, paid date);
create table audit (what text);
insert into users select 'zqoriginal' || n || '@corp.test', 'zqoriginal ' || n, null, 'nick' || n || 'x', 'tag' || n from generate_series(1, 300) n;
update users set friend = 'zqoriginal' || (substring(email, '[0-9]+')::int % 300 + 1) || '@corp.test' where email < 'zqoriginal2';
insert into orders (user_email, paid) select 'zqoriginal' || (1 + n % 300) || '@corp.test', date '2026-01-01' + n % 100
    from generate_series(1, 3000) n;
insert into audit select 'zqoriginal' from generate_series(1, 10);";
const RULES: &str = "[masking.columns]\n'public.users.email' = 'fake-email'\n'public.users.name' = { sql = \"'person ' || length(name)\" }\n'public.users.nick' = 'shuffle'\n";

/// Whether bytes have the mark in them, or a nick beside the tag that it came with.
fn is_original(bytes: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_pair = |rest: &[u8]| {
        let number = &rest[..digits(rest)];
        let rest = &rest[number.len()..];
        // A byte that says how long the tag is lies between.
        !number.is_empty()
            && rest.starts_with(b"x")
            && rest
                .get(2..)
                .and_then(|rest| rest.strip_prefix(b"tag"))
                .is_some_and(|tag| &tag[..digits(tag)] == number)
    };
    let has_mark = bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes());
    has_mark
        || bytes.windows(4).enumerate().any(|(at, window)| window == b"nick" && is_pair(&bytes[at + 4..]))
}

/// Whether a file below `folder` has anything original in it.
fn is_marked(folder: &Path) -> bool {
    folder.read_dir().unwrap().map(Result::unwrap).any(|entry| {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            return is_marked(&path);
        }
        // The engine may be clearing away still.
        let bytes = fs::read(&path).unwrap_or_default();
        is_original(&bytes)
    })
}

fn tools() -> Option<PathBuf> {
    let found = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found = found.map(|entry| entry.path().join("bin"));
    let found = found.find(|bin| ["pg_dump", "postgres"].iter().all(|program| bin.join(program).is_file()));
    if found.is_none() {
        eprintln!("SKIPPED: no Postgres with pg_dump on this machine");
    }
    found
}

#[test]
fn a_part_of_a_server_is_masked_and_whole_and_what_is_misspelt_leaves_nothing() {
    let Some(bin_dir) = tools() else { return };
    let bin_dir = bin_dir.to_str().unwrap();
    let source = TestRepo::with_database();
    source.run(&["sql", "-c", SCHEMA]).ok();
    let url = source.url();
    let test = TestRepo::new();
    fs::write(test.repo.join("offshoot.toml"), RULES).unwrap();
    let init = |args: &[&str]| test.run(&[&["init", "--from", &url, "--bin-dir", bin_dir], args].concat());
    let said = init(&["--table", "public.ordres"]).fails(128);
    assert!(said.contains("public.ordres") && said.contains("Did you mean public.orders?"), "{said}");
    let said = init(&["--where", "orders=payd > now()"]).fails(128);
    assert!(said.contains("payd") && said.contains("id, user_email, paid"), "{said}");
    let said = test.run(&["init", "--from", "x.sql", "--table", "a"]).fails(128);
    assert!(said.contains("x.sql"), "{said}");
    let stores = test.root().join("home/stores");
    assert_eq!(stores.read_dir().into_iter().flatten().count(), 0, "nothing is left");

    let told = init(&["--json", "--where", "public.orders=paid = '2026-01-05'"]).json();
    let of = |name: &str| {
        told["subset"]["tables"].as_array().unwrap().iter().find(|it| it["table"] == name).cloned()
    };
    assert_eq!(of("public.orders").unwrap()["chosen"], 30, "{told}");
    assert!(of("public.users").unwrap()["followed"].as_u64().unwrap() > 3, "{told}");
    assert_eq!((of("public.audit"), &told["subset"]["emptyTables"]), (None, &1.into()));
    let held = "select count(*) from orders join users on email = user_email where email like '%@example.%' and name ~ '^person [0-9]+$'";
    assert_eq!(test.value(held), "30");
    assert_eq!(test.value("select count(*) from pg_constraint where contype = 'f' and convalidated"), "2");

    // The file's choice, with the next data.
    let choice =
        "'public.audit.what' = 'hash'\n[subset]\ntables = ['public.o*']\n[subset.where]\naudit = 'true'\n";
    fs::write(test.repo.join("offshoot.toml"), format!("{RULES}{choice}")).unwrap();
    let said = test.run(&["refresh", "--from", &url]).ok();
    assert!(
        said.contains("public.orders: all 3000 rows")
            && said.contains("public.audit: 10 rows by its condition"),
        "{said}"
    );
    assert!(said.contains("public.users: 300 rows as others refer to them"), "{said}");
    assert_eq!(
        test.value("select count(*) from users where friend in (select email from users)"),
        test.value("select count(friend) from users")
    );
    assert_eq!(test.value("select nextval('orders_id_seq')"), "3001");
    let said = test.run(&["refresh", "--from", &url, "--where", "nothing=true"]).fails(128);
    assert!(said.contains("no table nothing") && said.contains("Nothing has changed"), "{said}");
    let store = test.store();
    test.run(&["engine", "stop"]).ok();
    assert!(!is_marked(&store));
    let store = source.store();
    source.run(&["engine", "stop"]).ok();
    assert!(is_marked(&store) && is_original(b"..nick17x\x0btag17.") && !is_original(b"nick17x\x0btag1."));
    // A script has no server that could work out an expression.
    fs::write(test.repo.join("x.sql"), "select 1;").unwrap();
    let said = test.run(&["refresh", "--from", "x.sql"]).fails(128);
    assert!(said.contains("public.users.name is an expression in SQL"), "{said}");
}

#[test]
fn an_import_that_ends_early_leaves_nothing_here_or_at_the_source_and_can_be_begun_again() {
    let Some(_) = tools() else { return };
    let source = TestRepo::with_database();
    let url = source.url();
    let connect = || Client::connect(&url, NoTls).unwrap();
    let (mut holder, watcher) = (connect(), RefCell::new(connect()));
    holder
        .batch_execute("create table t as select n from generate_series(1, 50) n; create table u (v int)")
        .unwrap();
    let ours = "from pg_stat_activity where application_name = 'puller'";
    let count = |sql: &str| watcher.borrow_mut().query_one(sql, &[]).unwrap().get::<_, i64>(0);
    let from = format!("{url}{}application_name=puller", if url.contains('?') { '&' } else { '?' });
    let test = TestRepo::with_database();
    let partial = test.store().join("refresh.partial");
    let begin = |args: &[&str]| {
        let mut refresh = test.command(support::PROGRAM);
        refresh.args(["refresh", "--from", &from]).args(args).stdout(Stdio::null()).stderr(Stdio::piped());
        refresh.spawn().unwrap()
    };
    let is_at = |what: &str| {
        support::wait_until(what, || count(&format!("select count(*) {ours} and {what}")) > 0);
    };
    let is_clean = || {
        support::wait_until("nothing is left here", || !partial.exists());
        support::wait_until("nothing is left there", || count(&format!("select count(*) {ours}")) == 0);
    };
    let slow = ["--where", "t=pg_sleep(600) is null"];
    // The source ends the connection.
    let refresh = begin(&slow);
    is_at("wait_event = 'PgSleep'");
    count(&format!("select count(pg_terminate_backend(pid)) {ours}"));
    let said = String::from_utf8(refresh.wait_with_output().unwrap().stderr).unwrap();
    assert!(said.contains("public\".\"t") && said.contains("Nothing has changed"), "{said}");
    is_clean();
    // Somebody gives up.
    let refresh = begin(&slow);
    is_at("wait_event = 'PgSleep'");
    support::signal("-INT", &refresh.id().to_string());
    assert_eq!(refresh.wait_with_output().unwrap().status.code(), Some(130));
    is_clean();
    // The engine is killed while pg_dump waits for a table.
    holder.batch_execute("begin; lock table u").unwrap();
    let refresh = begin(&[]);
    is_at("wait_event_type = 'Lock'");
    test.kill_engine();
    assert_eq!(refresh.wait_with_output().unwrap().status.code(), Some(128));
    test.run(&["status"]).ok();
    // A server that waits for a lock does not notice that nobody listens any more.
    holder.batch_execute("rollback").unwrap();
    is_clean();
    let told = test.run(&["refresh", "--from", &from, "--json"]).json();
    assert_eq!(told["rows"], 50, "{told}");
    assert_eq!(test.value("select count(*) from t"), "50");
    is_clean();
}

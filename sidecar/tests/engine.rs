//! The whole loop with a real Postgres and a real git.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use support::{TestRepo, wait_until};

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap()
}

fn one(client: &mut Client, sql: &str) -> String {
    client.query_one(sql, &[]).unwrap().get(0)
}

#[test]
fn a_checkout_branches_the_database_and_nothing_crosses_over() {
    let test = TestRepo::with_database();
    assert_eq!(test.git(&["status", "--porcelain"]), "?? offshoot.toml", "the only write to the work tree");
    let url = test.url();
    test.run(&["sql", "-c", "create table item (n int); insert into item select generate_series(1, 100)"])
        .ok();

    test.git(&["checkout", "-q", "-b", "feature"]);
    // The very next connection at the same address is on the new branch: nothing is waited for.
    connect(&url).batch_execute("delete from item where n > 10").unwrap();
    assert_eq!(test.value("select count(*) from item"), "10");
    assert_eq!(test.url(), url);
    test.git(&["checkout", "-q", "main"]);
    assert_eq!(one(&mut connect(&url), "select count(*)::text from item"), "100");

    test.git(&["checkout", "-q", "feature"]);
    test.run(&["branch", "reset", "feature"]).ok();
    assert_eq!(test.value("select count(*) from item"), "100");
    test.run(&["undo"]).ok();
    assert_eq!(test.value("select count(*) from item"), "10");

    let said = test.run(&["branch", "delete", "feature"]).fails(128);
    assert!(said.contains("stands on `feature`") && said.contains("hint: "), "{said}");
    test.git(&["checkout", "-q", "main"]);
    // No wait either: the refusal must not come from a checkout that is over.
    test.run(&["branch", "delete", "feature"]).ok();
    assert_eq!(test.branches(), ["main"]);
    test.run(&["undo"]).ok();
    assert_eq!(test.branches(), ["main", "feature"]);
    let said = test.run(&["branch", "delete", "main"]).fails(128);
    assert!(said.contains("root branch"), "{said}");
}

#[test]
fn every_connection_after_a_checkout_is_on_its_branch() {
    let test = TestRepo::with_database();
    let url = test.url();
    test.run(&["sql", "-c", "create table here (name text)"]).ok();
    for name in ["a", "b", "c"] {
        test.git(&["checkout", "-q", "-b", name, "main"]);
        connect(&url).execute("insert into here values ($1)", &[&name]).unwrap();
    }
    for name in ["a", "b", "c", "b", "a", "c", "a"] {
        test.git(&["checkout", "-q", name]);
        assert_eq!(one(&mut connect(&url), "select name from here"), name);
    }
}

#[test]
fn a_switch_ends_old_connections_with_57p01() {
    let test = TestRepo::with_database();
    fs::write(test.repo.join("offshoot.toml"), "switch_grace = \"300ms\"").unwrap();
    let url = test.url();
    let (mut idle, mut busy) = (connect(&url), connect(&url));
    busy.batch_execute("begin").unwrap();
    let begin = Instant::now();
    test.git(&["checkout", "-q", "-b", "feature"]);
    for client in [&mut idle, &mut busy] {
        wait_until("the connection is closed", || {
            client.simple_query("select 1").is_err_and(|error| {
                // Nothing more comes after the goodbye.
                error.is_closed() || error.code().is_some_and(|code| code.code() == "57P01")
            })
        });
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_killed_engine_loses_nothing() {
    let test = TestRepo::with_database();
    let url = test.url();
    test.run(&["sql", "-c", "create table t (n int); insert into t values (1)"]).ok();
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.run(&["sql", "-c", "insert into t values (2)"]).ok();
    test.kill_engine();
    assert_eq!(test.value("select count(*) from t"), "2");
    assert_eq!(test.url(), url, "the port is the same");
    // A checkout that nobody saw.
    test.kill_engine();
    test.git(&["checkout", "-q", "main"]);
    assert_eq!(test.value("select count(*) from t"), "1");
}

#[test]
fn clients_that_start_at_once_share_one_engine() {
    let test = TestRepo::with_database();
    test.run(&["engine", "stop"]).ok();
    assert!(test.engine_pid().is_none());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| test.run(&["status"]).ok());
        }
    });
    let pid = test.engine_pid().unwrap();
    let status = test.run(&["engine", "status", "--json"]).json();
    assert_eq!(status["pid"], pid);
    assert!(status["memoryBytes"].as_u64().unwrap() < 60_000_000, "{status}");
}

#[test]
fn a_renamed_git_branch_keeps_its_data() {
    let test = TestRepo::with_database();
    test.git(&["checkout", "-q", "-b", "old"]);
    test.run(&["sql", "-c", "create table t ()"]).ok();
    test.git(&["branch", "-m", "old", "größe/🌱"]);
    assert_eq!(test.value("select count(*) from t"), "0");
    assert_eq!(test.branches(), ["main", "größe/🌱"]);
}

#[test]
fn detached_head_stays_and_says_so() {
    let test = TestRepo::with_database();
    test.git(&["checkout", "-q", "-b", "feature"]);
    test.status();
    test.git(&["checkout", "-q", "--detach"]);
    let status = test.status();
    assert_eq!(
        (status["branch"]["name"].as_str(), status["notes"][0]["kind"].as_str()),
        (Some("feature"), Some("detached"))
    );
    test.run(&["engine", "stop"]).ok();
    assert_eq!(test.status()["branch"]["name"], "feature", "remembered across engines");
}

#[test]
fn ask_and_switch_make_no_branch_and_tell_the_way() {
    let test = TestRepo::with_database();
    fs::write(test.repo.join("offshoot.toml"), "on_checkout = \"switch\"").unwrap();
    test.git(&["checkout", "-q", "-b", "one"]);
    assert_eq!(test.status()["notes"][0]["kind"], "noBranch");
    fs::write(test.repo.join("offshoot.toml"), "on_checkout = \"ask\"").unwrap();
    let status = test.status();
    assert_eq!(
        (status["branch"]["name"].as_str(), status["notes"][0]["kind"].as_str()),
        (Some("main"), Some("ask"))
    );
    assert_eq!(test.branches(), ["main"]);
    test.run(&["branch", "create", "one", "--from", "main"]).ok();
    assert_eq!(test.status()["branch"]["name"], "one");
}

#[test]
fn a_broken_configuration_is_shown_and_the_last_good_one_holds() {
    let test = TestRepo::with_database();
    fs::write(test.repo.join("offshoot.toml"), "on_checkout = \"switch\"").unwrap();
    test.status();
    fs::write(test.repo.join("offshoot.toml"), "\non_chekout = \"create\"").unwrap();
    let status = test.status();
    let note = &status["notes"][0];
    assert_eq!(note["kind"], "config");
    assert!(note["text"].as_str().unwrap().contains("line 2"), "{note}");
    assert!(note["hint"].as_str().unwrap().contains("on_checkout"), "{note}");
    test.git(&["checkout", "-q", "-b", "feature"]);
    assert_eq!(test.status()["branch"]["name"], "main", "still `switch`");
}

#[test]
fn worktrees_have_endpoints_of_their_own() {
    let test = TestRepo::with_database();
    let other = test.root().join("other");
    test.git(&["worktree", "add", "-q", other.to_str().unwrap(), "-b", "side"]);
    let url = test.run_in(&other, &["url"]).ok();
    assert_ne!(url, test.url());
    connect(&url).batch_execute("create table side_only ()").unwrap();
    assert_eq!(test.value("select count(*) from pg_class where relname = 'side_only'"), "0");
    test.git(&["worktree", "remove", other.to_str().unwrap()]);
    let port: u16 = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    wait_until("the port is released", || TcpListener::bind(("127.0.0.1", port)).is_ok());
}

#[test]
fn a_taken_port_is_named_and_taken_back_when_it_is_free() {
    let test = TestRepo::with_database();
    let port = test.status()["endpoint"]["port"].as_u64().unwrap();
    test.run(&["engine", "stop"]).ok();
    let squatter = TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap())).unwrap();
    let said = test.run(&["url"]).fails(128);
    assert!(said.contains(&port.to_string()) && said.contains("offshoot url --new-port"), "{said}");
    assert_eq!(test.run(&["doctor"]).code, 1);
    drop(squatter);
    wait_until("the port is served again", || test.run(&["url"]).code == 0);
    let moved = test.run(&["url", "--new-port"]).ok();
    assert!(!moved.contains(&format!(":{port}/")), "{moved}");
    connect(&moved);
}

#[test]
fn a_branch_address_follows_its_branch_across_resets() {
    let test = TestRepo::with_database();
    test.run(&["branch", "create", "fixed"]).ok();
    let url = test.run(&["url", "--branch", "fixed"]).ok();
    connect(&url).batch_execute("create table t ()").unwrap();
    assert_eq!(test.value("select count(*) from pg_class where relname = 't'"), "0");
    test.run(&["branch", "reset", "fixed"]).ok();
    let mut client = connect(&url);
    assert_eq!(one(&mut client, "select count(*)::text from pg_class where relname = 't'"), "0");
    assert_eq!(test.run(&["url", "--branch", "fixed"]).ok(), url);
    let said = test.run(&["url", "--branch", "nowhere"]).fails(128);
    assert!(said.contains("no database branch `nowhere`"), "{said}");
}

#[test]
fn a_moved_repository_keeps_its_databases_and_a_copy_gets_its_own() {
    let test = TestRepo::with_database();
    let url = test.url();
    test.run(&["sql", "-c", "create table t ()"]).ok();
    let copy = test.root().join("copy");
    let copied =
        test.command("cp").args(["-r".as_ref(), test.repo.as_os_str(), copy.as_os_str()]).status().unwrap();
    assert!(copied.success());
    let said = test.run_in(&copy, &["status"]).fails(128);
    assert!(said.contains("is a copy of") && said.contains("offshoot init"), "{said}");
    let bin_dir = support::postgres_bin_dir();
    test.run_in(&copy, &["init", "--empty", "--bin-dir", bin_dir.to_str().unwrap()]).ok();
    assert_ne!(test.run_in(&copy, &["url"]).ok(), url);
    test.run_in(&copy, &["engine", "stop"]).ok();

    let away = test.root().join("away");
    fs::rename(&test.repo, &away).unwrap();
    assert_eq!(test.run_in(&away, &["url"]).ok(), url);
    test.run_in(&away, &["sql", "-c", "select * from t"]).ok();
    fs::rename(&away, &test.repo).unwrap();
}

#[test]
fn idle_branches_fall_asleep_and_connections_wake_them() {
    let test = TestRepo::with_database();
    fs::write(test.repo.join("offshoot.toml"), "idle_timeout = \"100ms\"").unwrap();
    let mut client = connect(&test.url());
    assert_eq!(test.status()["branch"]["state"], "awake");
    std::thread::sleep(Duration::from_millis(1500));
    one(&mut client, "select 'a connected branch stays awake'");
    drop(client);
    wait_until("it falls asleep", || test.status()["branch"]["state"] == "asleep");
    assert_eq!(test.value("select 1"), "1");
}

#[test]
fn sql_exits_with_1_on_an_error_and_runs_copy_from_a_file() {
    let test = TestRepo::with_database();
    let said = test.run(&["sql", "-c", "select 1,\n  nope"]).fails(1);
    assert!(said.contains("SQLSTATE 42703") && said.contains("LINE 2:"), "{said}");
    let script = test.repo.join("s.sql");
    fs::write(&script, "create table c (n int, t text);\ncopy c from stdin;\n1\tx\n2\ty\n\\.\nselec;\n")
        .unwrap();
    let said = test.run(&["sql", "-f", "s.sql"]).fails(1);
    assert!(said.contains("SQLSTATE 42601") && said.contains("LINE:  6"), "{said}");
    let shown = test.run(&["sql", "-c", "select * from c order by n"]).ok();
    insta::assert_snapshot!(shown, @r"
     n | t
    ---+---
     1 | x
     2 | y
    (2 rows)
    ");
}

#[test]
fn exec_hands_over_the_address_and_the_exit_code() {
    let test = TestRepo::with_database();
    let run =
        test.run(&["exec", "--", "sh", "-c", "echo $PGHOST $PGUSER $PGDATABASE ${PGSERVICE-none}; exit 7"]);
    assert_eq!((run.code, run.out.as_str()), (7, "127.0.0.1 postgres app none\n"));
    let mut command = test.command(support::PROGRAM);
    command.args(["exec", "--", "sh", "-c", "echo $DATABASE_URL $PGSSLMODE"]).env("PGSSLMODE", "require");
    let run = support::Ran::from(command.output().unwrap()).ok();
    assert_eq!(run, format!("{} disable", test.url()));
    test.run(&["exec", "--", "no-such-program"]).fails(127);
    let own = test.repo.join("node_modules/.bin/own-tool");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, "#!/bin/sh\necho found $PGHOST\n").unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(test.run(&["exec", "--", "own-tool"]).ok().contains("found 127.0.0.1"));
    test.run(&["exec", "--", "/etc/passwd"]).fails(126);
}

#[test]
fn names_that_are_none_are_refused_and_any_other_is_taken() {
    let test = TestRepo::with_database();
    for bad in ["../../etc", &"x".repeat(300), "a b"] {
        let said = test.run(&["branch", "create", bad]).fails(128);
        assert!(said.contains("is not a branch name") && said.len() < 400, "{said}");
    }
    for name in ["🌱", "a/b/c", &"y".repeat(255)] {
        test.run(&["branch", "create", name]).ok();
    }
    let said = test.run(&["branch", "create", "🌱"]).fails(128);
    assert!(said.contains("exists already"), "{said}");
}

#[test]
fn a_second_init_is_refused() {
    let test = TestRepo::with_database();
    let said = test.init().fails(128);
    assert!(said.contains("has a database already") && said.contains("stores"), "{said}");
}

#[test]
fn an_interrupted_init_leaves_nothing_behind() {
    let test = TestRepo::new();
    let bin_dir = support::postgres_bin_dir();
    let mut init = test.command(support::PROGRAM);
    init.args(["init", "--empty", "--bin-dir"]).arg(&bin_dir).stderr(std::process::Stdio::piped());
    let init = init.spawn().unwrap();
    let stores = test.root().join("home/stores");
    wait_until("work begins", || stores.read_dir().is_ok_and(|mut all| all.next().is_some()));
    let interrupt =
        std::process::Command::new("kill").args(["-INT", &init.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = init.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stores.read_dir().unwrap().next().is_none(), "half a store is left");
    assert!(!test.repo.join("offshoot.toml").exists());
    let said = test.run(&["status"]).fails(128);
    assert!(said.contains("has no database yet"), "{said}");
    test.init().ok();
}

#[test]
fn an_engine_that_does_not_start_says_why() {
    let test = TestRepo::with_database();
    test.run(&["engine", "stop"]).ok();
    let secret = test.store().join("secret");
    fs::rename(&secret, test.root().join("secret")).unwrap();
    let said = test.run(&["status"]).fails(128);
    assert!(said.contains("the engine did not start: ") && said.contains("secret"), "{said}");
    fs::rename(test.root().join("secret"), &secret).unwrap();
    test.status();
}

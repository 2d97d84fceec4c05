//! What goes wrong around an engine: neighbours, cleaners, bad clients, signals, odd names.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use offshoot_protocol::Client;
use offshoot_protocol::method::Subscribe;
use offshoot_protocol::types::Nothing;
use support::{PATIENCE, PROGRAM, TestRepo, is_running, signal, wait_until};

#[test]
fn projects_that_share_a_folder_for_sockets_do_not_meet() {
    let one = TestRepo::with_database();
    let two = TestRepo::beside(&one);
    one.run(&["sql", "-c", "create table who (name text); insert into who values ('one')"]).ok();
    two.run(&["sql", "-c", "create table who (name text); insert into who values ('two')"]).ok();
    let see_their_own = || {
        assert_eq!(one.value("select name from who"), "one");
        assert_eq!(two.value("select name from who"), "two");
    };
    see_their_own();
    let held = two.engine_pid().unwrap();
    one.run(&["engine", "stop"]).ok();
    see_their_own();
    one.kill_engine();
    see_their_own();
    assert_eq!(two.engine_pid(), Some(held), "the other engine goes on");
}

#[test]
fn an_engine_that_cannot_be_found_makes_room_for_another() {
    let test = TestRepo::with_database();
    test.run(&["sql", "-c", "create table t ()"]).ok();
    for file in [test.socket(), test.store().join("engine.json")] {
        let before = test.engine_pid().unwrap().to_string();
        fs::remove_file(&file).unwrap();
        assert_eq!(test.value("select count(*) from t"), "0", "without {}", file.display());
        assert_ne!(test.engine_pid().unwrap().to_string(), before);
        assert!(!is_running(&before));
    }
}

#[test]
fn an_engine_that_cannot_be_found_can_be_stopped() {
    let test = TestRepo::with_database();
    let pid = test.engine_pid().unwrap().to_string();
    fs::remove_file(test.store().join("engine.json")).unwrap();
    test.run(&["engine", "stop"]).ok();
    assert!(!is_running(&pid));
    assert!(test.run(&["engine", "stop"]).ok().contains("does not run"));
}

#[test]
fn subscribers_that_leave_take_no_place() {
    let test = TestRepo::with_database();
    for _ in 0..80 {
        let mut client = Client::connect(&test.socket()).unwrap();
        client.call::<Subscribe>(&Nothing {}, PATIENCE).unwrap();
    }
    test.status();
}

#[test]
fn a_client_too_many_hears_so_and_the_engine_can_be_stopped() {
    let test = TestRepo::with_database();
    let socket = test.socket();
    let held: Vec<_> = (0..64)
        .map(|_| {
            let mut client = Client::connect(&socket).unwrap();
            client.call::<Subscribe>(&Nothing {}, PATIENCE).map(|_| client)
        })
        .collect();
    let begin = Instant::now();
    let said = test.run(&["status"]).fails(128);
    assert!(said.contains("64 clients already") && begin.elapsed() < Duration::from_secs(10), "{said}");
    test.run(&["engine", "stop"]).ok();
    assert!(test.engine_pid().is_none());
    drop(held);
}

#[test]
fn what_is_no_request_is_answered_all_the_same() {
    let test = TestRepo::with_database();
    let mut stream = UnixStream::connect(test.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let deep =
        [b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":".as_slice(), &[b'['; 5000]].concat();
    for (bad, code) in [
        (b"{nonsense".as_slice(), -32700),
        (b"\xff\xfe", -32700),
        (&deep, -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":\"one\",\"method\":\"x\"}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}", -32600),
        (b"[]", -32600),
    ] {
        stream.write_all(&[bad, b"\n"].concat()).unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&answer["id"], &answer["error"]["code"]),
            (&serde_json::Value::Null, &code.into()),
            "{line}"
        );
        assert!(line.contains("\"id\":null"), "{line}");
    }
    stream.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"nothing/such\"}\n").unwrap();
    let mut line = String::new();
    answers.read_line(&mut line).unwrap();
    assert!(line.contains("\"id\":5") && line.contains("-32601"), "{line}");
}

fn start_sql(test: &TestRepo, sql: &str) -> Child {
    let mut command = test.command(PROGRAM);
    command.args(["sql", "-c", sql]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn end_of(child: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_until("the program ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

#[test]
fn the_first_signal_ends_sql_while_it_connects() {
    let test = TestRepo::with_database();
    let url = test.url();
    test.value("select 1");
    // A Postgres that stands still takes connections and answers none.
    let pids = fs::read_dir(test.store().join("branches")).unwrap();
    let pid = pids
        .filter_map(|branch| fs::read_to_string(branch.unwrap().path().join("pgdata/postmaster.pid")).ok())
        .map(|text| text.lines().next().unwrap().to_owned())
        .next()
        .unwrap();
    signal("-STOP", &pid);
    let port: u16 = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    let ends: Vec<_> = ["-INT", "-TERM"]
        .map(|name| {
            let mut sql = start_sql(&test, "select 1");
            wait_until("it connects", || is_connected_to(sql.id(), port));
            signal(name, &sql.id().to_string());
            end_of(&mut sql)
        })
        .into();
    signal("-CONT", &pid);
    assert!(ends.iter().all(|end| !end.success()), "{ends:?}");
    assert_eq!(test.value("select 1"), "1");
}

/// Whether the process has a TCP connection to `port`.
fn is_connected_to(pid: u32, port: u16) -> bool {
    let needle = format!("0100007F:{port:04X} 01 ");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let inodes: Vec<_> = table
        .lines()
        .filter(|line| line.contains(&needle))
        .filter_map(|line| line.split_whitespace().nth(9))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|to| inodes.iter().any(|one| to.as_os_str() == one.as_str()))
}

#[test]
fn sigterm_ends_sql_and_ctrl_c_cancels_its_statement() {
    let test = TestRepo::with_database();
    for (name, code) in [("-INT", Some(130)), ("-TERM", None)] {
        let mut sql = start_sql(&test, "select pg_sleep(300)");
        wait_until("the statement runs", || {
            test.value("select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'") != "0"
        });
        signal(name, &sql.id().to_string());
        let end = end_of(&mut sql);
        assert_eq!((end.code(), end.signal().is_some()), (code, code.is_none()), "{name}");
    }
}

#[test]
fn names_that_deceive_are_escaped_for_people_and_exact_for_programs() {
    let test = TestRepo::with_database();
    let name = "a\u{202e}niam\u{2066}";
    test.git(&["checkout", "-q", "-b", name]);
    assert_eq!(test.status()["branch"]["name"], name);
    assert_eq!(test.branches(), ["main", name]);
    for said in [
        test.run(&["status"]).ok(),
        test.run(&["branch", "list"]).ok(),
        test.run(&["branch", "delete", name]).fails(128),
    ] {
        assert!(
            said.contains(r"a\u{202e}niam\u{2066}") && !said.contains(['\u{202e}', '\u{2066}']),
            "{said}"
        );
    }
}

#[test]
fn a_narrow_umask_does_not_shut_postgres_out() {
    let test = TestRepo::new();
    let bin_dir = support::postgres_bin_dir();
    let mut init = test.command("sh");
    init.args(["-c", "umask 077; exec \"$0\" init --empty --bin-dir \"$1\"", PROGRAM]).arg(bin_dir);
    support::Ran::from(init.output().unwrap()).ok();
    assert_eq!(test.value("select 1"), "1");
    for folder in ["home", "home/stores"] {
        let mode = fs::metadata(test.root().join(folder)).unwrap().permissions().mode();
        let others =
            fs::metadata("/proc/self").map(|facts| std::os::unix::fs::MetadataExt::uid(&facts)).unwrap() == 0;
        assert_eq!(mode & 0o001 != 0, others, "{folder}: {mode:o}");
    }
}

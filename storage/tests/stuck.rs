//! A Postgres that takes nobody and does nothing is ended and wakes anew; one that recovers is left alone.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use offshoot_storage::ComputeState;
use support::{TestStore, first, processes};

on_each_major!(
    a_server_that_does_nothing_and_takes_nobody_is_ended_and_wakes_with_all_rows,
    a_server_that_recovers_slowly_is_left_alone
);

fn a_server_that_does_nothing_and_takes_nobody_is_ended_and_wakes_with_all_rows(major: u32) {
    let Some(test) = TestStore::quick(major) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g");
    let healthy = test.connect("main");
    assert_eq!(test.store().end_stuck(Duration::ZERO), [], "it is open");
    let postmaster = processes::postmaster(&test.data_dir("main"));
    let halted = processes::halt(postmaster);
    assert_eq!(test.store().end_stuck(Duration::ZERO), [], "a halted postmaster of a server that works");
    for pid in processes::children_of(postmaster) {
        processes::kill(pid);
    }
    let begin = Instant::now();
    let ended = loop {
        let ended = test.store().end_stuck(Duration::from_millis(300));
        if !ended.is_empty() {
            break ended;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "it is not ended");
        support::pause();
    };
    assert_eq!(ended, [test.id("main")]);
    assert_eq!(test.store().branch(test.id("main")).unwrap().state, ComputeState::Asleep);
    assert_eq!(processes::left_in(&test.dir()), [], "left running");
    drop(healthy);
    // It was killed while it was halted: its number may be another's by now.
    std::mem::forget(halted);
    assert_eq!(test.text("main", "SELECT count(*) FROM t"), "1000");
}

fn is_startup(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|title| String::from_utf8_lossy(&title).contains(": startup"))
}

fn a_server_that_recovers_slowly_is_left_alone(major: u32) {
    let Some(test) = TestStore::quick(major) else { return };
    test.run(
        "main",
        "CREATE TABLE t AS SELECT g AS id, repeat('x', 1000) AS v FROM generate_series(1, 30000) g",
    );
    let config = test.config("main", "app");
    let mut client = config.connect(postgres::NoTls).unwrap();
    let backend: i32 = first(&mut client, "SELECT pg_backend_pid()").parse().unwrap();
    let postmaster = processes::postmaster(&test.data_dir("main"));
    processes::kill(backend);
    let begin = Instant::now();
    // Halted, it makes no progress that could be seen, and is there.
    let startup = loop {
        if let Some(pid) = processes::children_of(postmaster).into_iter().find(|pid| is_startup(*pid)) {
            break processes::halt(pid);
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "it does not recover");
    };
    let refusal = config.connect(postgres::NoTls).err().expect("it takes connections while it recovers");
    assert_eq!(refusal.code().unwrap().code(), "57P03");
    for _ in 0..50 {
        assert_eq!(test.store().end_stuck(Duration::from_millis(1)), []);
    }
    drop(startup);
    let mut client = support::reconnect(&config);
    assert_eq!(first(&mut client, "SELECT count(*) FROM t"), "30000");
    assert_eq!(processes::postmaster(&test.data_dir("main")), postmaster, "the same server");
}

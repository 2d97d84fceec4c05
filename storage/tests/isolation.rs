//! What is frozen stays as it is, and a branch of a parent under load is consistent and complete.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::layers::{FrozenHashes, assert_tidy};
use support::load::{Load, assert_consistent};
use support::{Random, TestStore, check, load, processes};

on_each_major!(
    frozen_layers_never_change,
    a_process_that_was_halted_in_mid_write_does_not_write_into_what_was_frozen_since,
    every_branch_of_a_parent_under_load_is_consistent_and_has_all_that_was_acknowledged,
    a_branch_succeeds_while_files_databases_and_wal_segments_come_and_go,
);

const CHURN: [&str; 8] = [
    "UPDATE accounts SET abalance = abalance WHERE aid % 7 = 0",
    "DELETE FROM t WHERE id % 3 = 0",
    "VACUUM t",
    "CHECKPOINT",
    "VACUUM FULL t",
    "CREATE INDEX ON t (v)",
    "TRUNCATE t",
    "INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 3000) g",
];

fn with_data(test: Option<TestStore>) -> Option<TestStore> {
    let test = test?;
    load::prepare(&mut test.connect("main"));
    test.run("main", "CREATE TABLE t AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 3000) g");
    Some(test)
}

fn churn(test: &TestStore, branch: &str) {
    let mut client = test.connect(branch);
    for statement in CHURN {
        client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}

fn frozen_layers_never_change(major: u32) {
    if !support::has_layers() {
        return;
    }
    let Some(test) = with_data(TestStore::new(major)) else { return };
    let mut hashes = FrozenHashes::default();
    let writers = Load::start(&test.config("main", "app"), 2);
    for round in 0..2 {
        writers.wait_for(20);
        let child = format!("child-{round}");
        test.create(&child, "main");
        assert!(hashes.note_new(&test.dir()) > 0);
        churn(&test, "main");
        churn(&test, &child);
        test.create(&format!("grandchild-{round}"), &child);
        hashes.note_new(&test.dir());
        churn(&test, &child);
    }
    test.store().reset_branch(test.id("child-0")).unwrap();
    hashes.note_new(&test.dir());
    churn(&test, "child-0");
    test.store().delete_branch(test.id("child-1")).unwrap();
    churn(&test, "grandchild-1");
    test.kill("grandchild-1");
    churn(&test, "grandchild-1");
    writers.stop();
    test.restart("main");
    assert!(hashes.len() >= 6, "{} layers", hashes.len());
    hashes.assert_unchanged(&test.dir());
    assert_tidy(&test.dir());
}

fn a_process_that_was_halted_in_mid_write_does_not_write_into_what_was_frozen_since(major: u32) {
    let mut random = Random::new();
    let Some(test) = with_data(TestStore::quick(major)) else { return };
    let mut client = test.connect("main");
    let checkpointer = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
    let checkpointer = support::first(&mut client, checkpointer).parse().unwrap();
    let main = test.id("main");
    let mut hashes = FrozenHashes::default();
    for round in 0..10 {
        client.batch_execute("UPDATE accounts SET filler = filler || 'y' WHERE aid % 3 <> 0").unwrap();
        std::thread::scope(|scope| {
            let checkpoint = scope.spawn(|| client.batch_execute("CHECKPOINT").unwrap());
            let until = Instant::now() + Duration::from_micros(random.below(15_000));
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            let halted = processes::halt(checkpointer);
            let (sender, made) = mpsc::channel();
            let name = format!("b{round}");
            let store = test.store();
            scope.spawn(move || sender.send(store.create_branch(&name, main)).unwrap());
            // Made while the process stands still, or waiting for it to leave the gate.
            let early = made.recv_timeout(Duration::from_millis(150));
            if early.is_ok() {
                hashes.note_new(&test.dir());
            }
            drop(halted);
            early.or_else(|_| made.recv()).unwrap().unwrap();
            hashes.note_new(&test.dir());
            checkpoint.join().unwrap();
        });
    }
    hashes.assert_unchanged(&test.dir());
    for name in ["main", "b9"] {
        check::assert_whole(&test, name, "app");
    }
}

fn every_branch_of_a_parent_under_load_is_consistent_and_has_all_that_was_acknowledged(major: u32) {
    let Some(test) = with_data(TestStore::quick(major)) else { return };
    let mut hashes = FrozenHashes::default();
    let writers = Load::start(&test.config("main", "app"), 4);
    let mut promised = Vec::new();
    for number in 0..20 {
        writers.wait_for(10);
        let name = format!("b{number}");
        let acknowledged = writers.acknowledged();
        // Every fifth is a branch of a branch that has slept since it was made.
        let parent = if number % 5 == 4 { format!("b{}", number - 1) } else { "main".into() };
        test.create(&name, &parent);
        hashes.note_new(&test.dir());
        let acknowledged = match promised.last() {
            Some((_, of_parent)) if parent != "main" => Clone::clone(of_parent),
            _ => acknowledged,
        };
        promised.push((name, acknowledged));
    }
    let at_the_end = writers.stop();
    assert_consistent(&mut test.connect("main"), &at_the_end, "main");
    for (name, acknowledged) in &promised {
        assert_consistent(&mut test.connect(name), acknowledged, name);
        test.store().sleep(test.id(name)).unwrap();
    }
    for name in ["main", "b9", "b19"] {
        test.restart(name);
        check::assert_whole(&test, name, "app");
        check::assert_no_relation_files(&test.data_dir(name));
    }
    hashes.assert_unchanged(&test.dir());
    assert_tidy(&test.dir());
}

fn a_branch_succeeds_while_files_databases_and_wal_segments_come_and_go(major: u32) {
    let Some(test) = with_data(TestStore::quick(major)) else { return };
    let stop = AtomicBool::new(false);
    let again = |database: &str, statements: &[&str]| {
        let mut client = test.connect_to("main", database);
        while !stop.load(Ordering::SeqCst) {
            for statement in statements {
                client.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error:?}"));
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| again("app", &["SELECT pg_switch_wal()", "CHECKPOINT"]));
        scope.spawn(|| {
            again("postgres", &["CREATE DATABASE d TEMPLATE template0 STRATEGY wal_log", "DROP DATABASE d"]);
        });
        scope.spawn(|| again("app", &["CREATE TABLE x AS TABLE t", "CREATE INDEX ON x (v)", "DROP TABLE x"]));
        let made: Vec<_> =
            (0..25).map(|n| test.store().create_branch(&format!("b{n}"), test.id("main"))).collect();
        stop.store(true, Ordering::SeqCst);
        for result in made {
            result.unwrap();
        }
    });
    for name in ["b0", "b12", "b24"] {
        assert_eq!(test.text(name, "SELECT count(*) FROM t"), "3000");
        check::assert_whole(&test, name, "app");
        test.store().sleep(test.id(name)).unwrap();
    }
    assert_tidy(&test.dir());
}

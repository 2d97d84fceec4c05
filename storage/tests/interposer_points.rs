//! A process of Postgres ends itself, as if it were killed, at every point of the registry in `pages/src/point.rs`: in the
//! middle of a write, a truncation, a deletion, a sync, or on its way to a new stack. Postgres recovers by itself, what it
//! acknowledged is there, and the next operations work.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use offshoot_pages::point::Point;
use postgres::Client;
use support::faults::Plan;
use support::layers::assert_tidy;
use support::{Random, TestStore, check, first, pause, processes};

/// How often the work is repeated before it is said that a point is never passed.
const ATTEMPTS: u32 = 6;
const PATIENCE: Duration = Duration::from_mins(1);

/// Some of everything that passes a point. Statements that were cut short must not be in the way of the next attempt.
const WORK: [&str; 14] = [
    "CREATE TABLE IF NOT EXISTS work (id int, v text)",
    "INSERT INTO work SELECT g, repeat('x', 500) FROM generate_series(1, 1000) g",
    "UPDATE old SET v = v || 'y' WHERE id % 50 = 0",
    "CHECKPOINT",
    "DELETE FROM work WHERE id > 300",
    "VACUUM work",
    "CREATE TABLE IF NOT EXISTS passing AS SELECT g, repeat('x', 1000) AS v FROM generate_series(1, 2000) g",
    "CHECKPOINT",
    "VACUUM FULL old",
    "DROP TABLE IF EXISTS passing",
    "DROP TABLE IF EXISTS work",
    "CREATE DATABASE d",
    "DROP DATABASE IF EXISTS d",
    "CHECKPOINT",
];

#[test]
fn a_process_that_ends_at_any_point_loses_nothing_on_15() {
    end_at_each_point(15);
}

#[test]
fn a_process_that_ends_at_any_point_loses_nothing_on_18() {
    end_at_each_point(18);
}

/// In an ordinary run each major takes half of the points; with `OFFSHOOT_ALL_POINTS` set, all of them.
fn points(major: u32) -> Vec<Point> {
    let all = std::env::var_os("OFFSHOOT_ALL_POINTS").is_some();
    // Only newer Postgres gives files room before it writes them.
    let is_passed = |point: Point| major >= 16 || point != Point::RoomAllocated;
    let is_mine = |index: usize, point: Point| {
        all || index.is_multiple_of(2) == (major >= 16) || point == Point::RoomAllocated
    };
    let numbered = Point::ALL.iter().copied().enumerate();
    numbered
        .filter(|(index, point)| is_passed(*point) && is_mine(*index, *point))
        .map(|(_, point)| point)
        .collect()
}

fn end_at_each_point(major: u32) {
    let Some(mut test) = TestStore::quick(major) else { return };
    let seed = std::env::var("OFFSHOOT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let mut random = Random::from_seed(seed);
    test.close();
    let settings = [("autovacuum", "off"), ("max_connections", "20"), ("shared_buffers", "16MB")];
    test.settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    test.open();
    test.run("main", "CREATE TABLE ack (seq int PRIMARY KEY)");
    test.run(
        "main",
        "CREATE TABLE old AS SELECT g AS id, repeat('x', 300) AS v FROM generate_series(1, 2000) g",
    );
    test.store().sleep(test.id("main")).unwrap();
    let plan = Plan::of(&test.dir(), test.id("main").0);
    let mut acknowledged = 0;
    let mut promised = Vec::new();
    for (index, point) in points(major).into_iter().enumerate() {
        let nth = 1 + random.below(2);
        eprintln!("seed {seed}: {point:?}, pass {nth}");
        plan.die_at(point, 0);
        let mut attempts = 0;
        while !plan.died() || attempts == 0 {
            attempts += 1;
            assert!(attempts <= ATTEMPTS, "{point:?} is not passed");
            // Its layer is frozen, so that the next write makes a new part of each file.
            let child = format!("child-{index}-{attempts}");
            let mut client = test.reconnect_waking("main", "app");
            test.create(&child, "main");
            promised.push((child, acknowledged));
            plan.die_at(point, if attempts < 3 { nth } else { 1 });
            attempt(&test, &mut client, &mut acknowledged, &plan);
            // What comes between two attempts is none.
            plan.spare();
        }
        let begin = Instant::now();
        while !plan.is_heard_of() {
            assert!(
                begin.elapsed() < PATIENCE,
                "{point:?}: its parent does not notice that a process has ended"
            );
            test.store().poll_exits();
            pause();
        }
        plan.die_at(point, 0);
        let mut client = test.reconnect_waking("main", "app");
        // What was on its way when the process ended may be committed.
        let last: i64 = first(&mut client, "SELECT coalesce(max(seq), 0) FROM ack").parse().unwrap();
        assert!(
            last == acknowledged || last == acknowledged + 1,
            "{point:?}: {acknowledged} acknowledged, {last} there"
        );
        acknowledged = last;
        let rows =
            first(&mut client, "SELECT count(*) || ' ' || (SELECT count(DISTINCT id) FROM old) FROM ack");
        assert_eq!(rows, format!("{last} 2000"), "{point:?}");
        client.batch_execute("DROP TABLE IF EXISTS work, passing; CHECKPOINT").unwrap();
    }
    for (child, acknowledged) in promised.iter().step_by(5) {
        assert_eq!(test.text(child, "SELECT count(*) FROM ack"), acknowledged.to_string(), "{child}");
        test.store().sleep(test.id(child)).unwrap();
    }
    check::assert_whole(&test, "main", "app");
    let log = fs::read_to_string(test.store().log_path(test.id("main"))).unwrap();
    for never in ["signal 7", "signal 11", "signal 6", "invalid page", "could not read"] {
        assert!(!log.contains(never), "{never}: {log}");
    }
    test.close();
    assert_tidy(&test.dir());
    assert_eq!(processes::left_in(&test.dir()), [], "left running");
}

/// Works until a process has ended and Postgres with all its processes takes the connection away.
fn attempt(test: &TestStore, client: &mut Client, acknowledged: &mut i64, plan: &Plan) {
    for statement in WORK {
        let worked = client.batch_execute(statement);
        let inserted =
            client.execute("INSERT INTO ack SELECT coalesce(max(seq), 0) + 1 FROM ack RETURNING seq", &[]);
        if inserted.is_ok() {
            *acknowledged += 1;
        }
        if worked.is_err() || inserted.is_err() {
            // What was cut short may still stand in the way of a statement, and is no end.
            if !client.is_closed() && !plan.died() {
                continue;
            }
            break;
        }
    }
    let begin = Instant::now();
    while plan.died() && !client.is_closed() && begin.elapsed() < PATIENCE {
        let _ = client.simple_query("");
    }
    test.store().poll_exits();
}

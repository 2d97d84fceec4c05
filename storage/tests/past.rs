//! Branches as of a moment, exact to the transaction: on a real Postgres.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offshoot_postgres::{Lsn, Progress, Silent};
use offshoot_storage::{Moment, RestoreWindow, SnapshotKind, StorageError, Store};
use support::layers::assert_tidy;
use support::{Random, TestStore, first};

const ROWS: &str = "SELECT coalesce(string_agg(n::text, ',' ORDER BY n), '') FROM t";
/// Rows of each step of the long test.
const STEP: i64 = 15;

fn window() -> RestoreWindow {
    RestoreWindow { snapshot_bytes: 1 << 20, ..RestoreWindow::default() }
}

/// An empty store whose past is kept.
fn keeping(major: u32) -> Option<TestStore> {
    let test = TestStore::quick(major)?;
    keep(test.store());
    test.run("main", "CREATE TABLE t (n bigint PRIMARY KEY, pad text)");
    assert!(test.store().keep_past().unwrap() > 0, "the first snapshot of a root");
    Some(test)
}

fn keep(store: &Store) {
    store.set_restore_window(Some(window()));
    store.set_postgres_settings(vec![("track_commit_timestamp".into(), "on".into())]);
}

fn parse(rows: &str) -> BTreeSet<i64> {
    rows.split(',').filter(|row| !row.is_empty()).map(|row| row.parse().unwrap()).collect()
}

/// Branches and snapshots with where they begin, for a test that fails.
fn bases(test: &TestStore) -> String {
    let metadata = rusqlite::Connection::open(test.dir().join("meta.sqlite")).unwrap();
    let sql = "SELECT concat_ws(' ', id, name, 'of', snapshot_of, 'from', printf('%X', fork_lsn), 'origin', origin) FROM branches";
    let mut rows = metadata.prepare(sql).unwrap();
    let rows = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
}

/// What a branch holds as of a moment. The branch that is made for it is gone afterwards.
fn as_of(test: &TestStore, from: &str, moment: Moment) -> BTreeSet<i64> {
    let made = test.store().create_branch_at("then", test.id(from), moment, &Silent);
    let made = made.unwrap_or_else(|error| panic!("{error}; {}", bases(test)));
    assert_eq!(made.parent, Some(test.id(from)));
    let rows = parse(&test.text("then", ROWS));
    test.run("then", "INSERT INTO t VALUES (-1, 'it can be written to')");
    test.store().delete_branch(made.id).unwrap();
    test.store().purge_trash_now(Some(&[made.id])).unwrap();
    rows
}

/// The time of Postgres, to the microsecond.
fn time_of(test: &TestStore, branch: &str) -> SystemTime {
    let us = test.text(branch, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
    UNIX_EPOCH + Duration::from_micros(us.parse().unwrap())
}

fn lsn_of(test: &TestStore, branch: &str) -> Lsn {
    test.text(branch, "SELECT pg_current_wal_insert_lsn()").parse().unwrap()
}

/// Rows with the position in the WAL after each was committed.
#[derive(Default)]
struct Written {
    next: AtomicI64,
    lsns: Mutex<BTreeMap<i64, Lsn>>,
    stop: AtomicBool,
}

impl Written {
    /// Writes a row every few milliseconds until it is told to stop, with checkpoints and new segments in between.
    fn write(&self, mut client: postgres::Client) {
        let _all = Stop(self);
        while !self.stop.load(Ordering::SeqCst) {
            let n = self.next.fetch_add(1, Ordering::SeqCst);
            client.batch_execute(&format!("INSERT INTO t VALUES ({n}, repeat(md5('{n}'), 60))")).unwrap();
            let lsn = first(&mut client, "SELECT pg_current_wal_insert_lsn()").parse().unwrap();
            self.lsns.lock().unwrap().insert(n, lsn);
            match n % 50 {
                13 => client.batch_execute("CHECKPOINT").unwrap(),
                29 => client.batch_execute("SELECT pg_switch_wal()").unwrap(),
                _ => {}
            }
        }
    }

    fn wait_for(&self, rows: i64) {
        let until = self.next.load(Ordering::SeqCst) + rows;
        while self.next.load(Ordering::SeqCst) < until {
            assert!(!self.stop.load(Ordering::SeqCst), "a writer failed");
            support::pause();
        }
    }
}

/// Ends all writers when one of them, or the test, has ended.
struct Stop<'a>(&'a Written);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }
}

/// Writers on a branch of a branch of a branch; then random moments of random ones.
fn moments_of_three_levels(major: u32, targets: u64) {
    let Some(test) = keeping(major) else { return };
    let mut random = Random::new();
    let written = Written::default();
    let levels = ["main", "one", "two", "three"];
    let snapshots = std::thread::scope(|scope| {
        let _all = Stop(&written);
        let mut snapshots = 0;
        for (index, level) in levels.iter().enumerate() {
            if index > 0 {
                test.create(level, levels[index - 1]);
            }
            let client = test.connect(level);
            scope.spawn(|| written.write(client));
            for _ in 0..3 {
                written.wait_for(STEP);
                snapshots += test.store().keep_past().unwrap();
            }
        }
        snapshots
    });
    assert!(snapshots > 0);
    let lsns = written.lsns.lock().unwrap();
    // The truth: what each branch has at the end, with the time of each commit.
    let sql = "SELECT string_agg(n || ':' || (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint, ','
        ORDER BY n) FROM t";
    let truth: Vec<BTreeMap<i64, u64>> = levels
        .iter()
        .map(|level| {
            let pair = |pair: &str| {
                pair.split_once(':').map(|(n, us)| (n.parse().unwrap(), us.parse().unwrap())).unwrap()
            };
            test.text(level, sql).split(',').map(pair).collect()
        })
        .collect();
    for round in 0..targets {
        let (level, rows) = (levels[round as usize % 4], &truth[round as usize % 4]);
        let keys: Vec<i64> = rows.keys().copied().collect();
        let picked = keys[random.below(keys.len() as u64) as usize];
        let (moment, expected): (_, BTreeSet<i64>) = if random.below(2) == 0 {
            let (earliest, latest) = (rows.values().min().unwrap(), rows.values().max().unwrap());
            // Of some commits the very microsecond, and the one before.
            let us = match random.below(3) {
                0 => rows[&picked],
                1 => rows[&picked] - 1,
                _ => earliest + random.below(latest - earliest),
            };
            let by_then = rows.iter().filter(|(_, at)| **at <= us).map(|(n, _)| *n).collect();
            (Moment::Time(UNIX_EPOCH + Duration::from_micros(us)), by_then)
        } else {
            let by_then = keys.iter().copied().filter(|n| lsns[n] <= lsns[&picked]).collect();
            (Moment::Lsn(lsns[&picked]), by_then)
        };
        assert_eq!(as_of(&test, level, moment), expected, "round {round}: {level} at {moment:?}");
    }
}

#[test]
fn a_moment_is_exact_on_15() {
    moments_of_three_levels(15, 4);
}

#[test]
fn a_moment_is_exact_on_17() {
    moments_of_three_levels(17, 4);
}

#[test]
fn a_moment_is_exact_on_18() {
    moments_of_three_levels(18, 4);
}

#[test]
#[ignore = "takes minutes"]
fn two_hundred_moments_are_exact() {
    let targets = std::env::var("OFFSHOOT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(200);
    for major in [15, 17, 18] {
        moments_of_three_levels(major, targets);
    }
}

#[test]
fn a_branch_of_a_moment_has_moments_of_its_own() {
    let Some(test) = keeping(18) else { return };
    test.run("main", "INSERT INTO t VALUES (1)");
    let after_one = time_of(&test, "main");
    test.run("main", "INSERT INTO t VALUES (2)");
    let then =
        test.store().create_branch_at("then", test.id("main"), Moment::Time(after_one), &Silent).unwrap();
    assert!(test.store().is_as_forked(then.id).unwrap());
    test.run("then", "INSERT INTO t VALUES (3)");
    let (time, lsn) = (time_of(&test, "then"), lsn_of(&test, "then"));
    test.run("then", "INSERT INTO t VALUES (4)");
    assert_eq!(as_of_named(&test, "a", "then", Moment::Time(time)), "1,3");
    assert_eq!(as_of_named(&test, "b", "then", Moment::Lsn(lsn)), "1,3");
    assert_eq!(
        as_of_named(&test, "c", "then", Moment::Time(time_of(&test, "then"))),
        "1,3,4",
        "the present is a moment"
    );
    assert_eq!(
        as_of_named(&test, "d", "then", Moment::Time(after_one)),
        "1",
        "before it was made: its parent"
    );
    assert_eq!(
        as_of_named(&test, "e", "a", Moment::Time(time_of(&test, "main"))),
        "1,3",
        "never awake but once"
    );
    let fork = test.store().fork_snapshot(then.id).unwrap().unwrap();
    assert_eq!(first(&mut test.connect_to_id(fork, "app"), ROWS), "1", "what it was when it was made");
}

fn as_of_named(test: &TestStore, name: &str, from: &str, moment: Moment) -> String {
    test.store().create_branch_at(name, test.id(from), moment, &Silent).unwrap();
    test.text(name, ROWS)
}

#[test]
fn snapshots_that_were_read_are_led_on_from_all_the_same() {
    let Some(test) = keeping(17) else { return };
    test.create("feature", "main");
    test.run("feature", "INSERT INTO t VALUES (1)");
    let early = time_of(&test, "feature");
    let fork = test.store().fork_snapshot(test.id("feature")).unwrap().unwrap();
    // Its Postgres writes a checkpoint that the branch's WAL does not have.
    assert_eq!(first(&mut test.connect_to_id(fork, "app"), ROWS), "");
    test.store().sleep(fork).unwrap();
    test.run("feature", "INSERT INTO t VALUES (2)");
    assert_eq!(as_of(&test, "feature", Moment::Time(early)), BTreeSet::from([1]));
    let kinds: Vec<_> =
        test.store().snapshots(test.id("feature")).unwrap().into_iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [SnapshotKind::Fork, SnapshotKind::Auto]);
}

#[test]
fn before_a_reset_is_what_was_reset() {
    let Some(test) = keeping(18) else { return };
    test.create("feature", "main");
    test.run("feature", "INSERT INTO t VALUES (1)");
    let early = time_of(&test, "feature");
    test.run("feature", "INSERT INTO t VALUES (2)");
    test.store().reset_branch(test.id("feature")).unwrap();
    test.run("feature", "INSERT INTO t VALUES (3)");
    let late = time_of(&test, "feature");
    test.run("feature", "INSERT INTO t VALUES (4)");
    assert_eq!(as_of(&test, "feature", Moment::Time(early)), BTreeSet::from([1]));
    assert_eq!(as_of(&test, "feature", Moment::Time(late)), BTreeSet::from([3]));
}

#[test]
fn what_is_no_moment_is_refused_and_nothing_is_left() {
    let Some(mut test) = keeping(18) else { return };
    test.run("main", "INSERT INTO t VALUES (1)");
    let main = test.id("main");
    let refused = |moment| match test.store().create_branch_at("then", main, moment, &Silent) {
        Err(StorageError::NoSuchMoment { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let ahead = SystemTime::now() + Duration::from_hours(1);
    assert_eq!(refused(Moment::Time(ahead)), "it is in the future");
    assert!(refused(Moment::Time(UNIX_EPOCH)).starts_with("the oldest moment is 2"));
    assert!(refused(Moment::Lsn(Lsn(1 << 40))).starts_with("the WAL of main ends at"));
    assert!(refused(Moment::Lsn(Lsn(1))).starts_with("the oldest position is 0/"));
    assert!(test.store().oldest_moment(main).unwrap().unwrap() < SystemTime::now());
    test.store().set_restore_window(None);
    assert_eq!(refused(Moment::Time(SystemTime::now())), "the restore window is off");
    keep(test.store());
    let cancelled = test.store().create_branch_at("then", main, Moment::Time(SystemTime::now()), &Cancelled);
    assert!(matches!(cancelled, Err(StorageError::Cancelled)), "{cancelled:?}");
    assert!(test.store().throwaways().unwrap().is_empty());
    test.close();
    test.open();
    assert_tidy(&test.dir());
}

struct Cancelled;

impl Progress for Cancelled {
    fn step(&self, _what: &str, _done: u64, _total: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        true
    }
}

#[test]
fn window_and_cap_are_honoured_over_a_month() {
    let Some(mut test) = keeping(18) else { return };
    let main = test.id("main");
    let metadata = rusqlite::Connection::open(test.dir().join("meta.sqlite")).unwrap();
    metadata.busy_timeout(Duration::from_secs(10)).unwrap();
    let day = |day: u64| UNIX_EPOCH + Duration::from_hours(24 * (20_000 + day));
    let day_us = |at: u64| day(at).duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
    let mut positions = Vec::new();
    for today in (0..30).step_by(3) {
        let low = today * 1000;
        test.run(
            "main",
            &format!(
                "INSERT INTO t SELECT g, repeat(md5(g::text), 60) FROM generate_series({low}, {low} + 599) g"
            ),
        );
        positions.push(lsn_of(&test, "main"));
        test.run("main", "SELECT pg_switch_wal()");
        assert_eq!(test.store().keep_past().unwrap(), 1, "more than a MiB was written");
        metadata
            .execute(
                "UPDATE branches SET moment_us = ?1 WHERE snapshot_kind = 'auto' AND moment_us > ?1",
                [day_us(today)],
            )
            .unwrap();
        test.store().trim_past(day(today)).unwrap();
        let oldest = test.store().oldest_moment(main).unwrap().unwrap();
        let begin = day(today.saturating_sub(9));
        assert_eq!(oldest, begin, "day {today}: the snapshot before the window and those in it");
    }
    let kept = test.store().kept_past().unwrap();
    assert_eq!(kept.snapshots, 4);
    assert!(kept.wal_bytes > 0 && kept.snapshot_bytes > 0, "{kept:?}");
    // The 12th day is gone, the 24th is there, whole.
    let long_ago = test.store().create_branch_at("x", main, Moment::Lsn(positions[4]), &Silent);
    assert!(matches!(long_ago, Err(StorageError::NoSuchMoment { .. })), "{long_ago:?}");
    assert_eq!(as_of(&test, "main", Moment::Lsn(positions[8])).len(), 9 * 600);
    let max_bytes = kept.total_bytes() / 2;
    test.store().set_restore_window(Some(RestoreWindow { max_bytes, ..window() }));
    let (bytes, snapshots) = test.store().trim_past(day(27)).unwrap();
    assert!(bytes > 0 && snapshots > 0);
    let capped = test.store().kept_past().unwrap();
    assert!(capped.total_bytes() <= max_bytes && capped.snapshots > 0, "{capped:?} of {max_bytes}");
    test.store().set_restore_window(None);
    test.store().trim_past(day(27)).unwrap();
    assert_eq!(test.store().kept_past().unwrap(), offshoot_storage::KeptPast::default());
    assert_eq!(test.text("main", "SELECT count(*) FROM t"), "6000");
    test.close();
    test.open();
    assert_tidy(&test.dir());
    assert_eq!(test.text("main", "SELECT count(*) FROM t"), "6000");
}

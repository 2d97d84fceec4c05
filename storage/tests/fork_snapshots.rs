//! What a branch was when it was made stays readable: on a real Postgres.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::time::{Duration, SystemTime};

use offshoot_storage::{BranchId, Former, SnapshotKind, StorageError};
use support::layers::assert_tidy;
use support::{TestStore, first};

const MAJOR: u32 = 18;
const ROWS: &str = "SELECT coalesce(string_agg(id::text, ',' ORDER BY id), 'none') FROM t";

/// What a snapshot holds. It is asleep before and after.
fn content(test: &TestStore, snapshot: BranchId) -> String {
    let rows = first(&mut test.connect_to_id(snapshot, "app"), ROWS);
    test.store().sleep(snapshot).unwrap();
    rows
}

fn fork_point(test: &TestStore, branch: &str) -> Option<BranchId> {
    test.store().fork_snapshot(test.id(branch)).unwrap()
}

#[test]
fn a_fork_point_stays_what_the_branch_was_when_it_was_made() {
    let Some(mut test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT 1 AS id");
    let feature = test.create("feature", "main");
    assert!(test.store().is_as_forked(feature).unwrap());
    assert_eq!(fork_point(&test, "feature"), None, "the branch itself is its fork point");
    assert_eq!(fork_point(&test, "main"), None, "the root comes from nowhere");
    test.run("main", "INSERT INTO t VALUES (2)");
    test.run("feature", "INSERT INTO t VALUES (3)");
    let point = fork_point(&test, "feature").unwrap();
    assert!(!test.store().is_as_forked(feature).unwrap());
    assert_eq!(content(&test, point), "1");
    // Other layers come and go above and below it.
    let leaf = test.create("leaf", "feature");
    test.run("leaf", "INSERT INTO t VALUES (4)");
    test.run("feature", "VACUUM FULL t");
    test.close();
    test.open();
    while test.store().merge_quiet(64 << 20, 2).unwrap().more {}
    assert_eq!(content(&test, point), "1");
    assert_eq!(content(&test, point), "1", "waking it changes nothing");
    assert_eq!(content(&test, test.store().fork_snapshot(leaf).unwrap().unwrap()), "1,3");
    assert_eq!(fork_point(&test, "feature"), Some(point), "there is one");
    assert_eq!(test.text("feature", ROWS), "1,3");
    test.close();
    // Merged layers are removed by whoever comes next.
    test.open();
    test.close();
    assert_tidy(&test.dir());
}

#[test]
fn a_fork_point_is_in_no_list_and_its_bytes_are_its_branchs() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT 1 AS id");
    let feature = test.create("feature", "main");
    test.run("feature", "INSERT INTO t VALUES (2)");
    let point = fork_point(&test, "feature").unwrap();
    let names: Vec<_> = test.store().branches().unwrap().into_iter().map(|branch| branch.name).collect();
    assert_eq!(names, ["main", "feature"]);
    assert!(test.store().branch_named("fork").unwrap().is_none());
    assert!(matches!(test.store().rename_branch(point, "mine"), Err(StorageError::NoSuchBranch { .. })));
    assert!(matches!(test.store().delete_branch(point), Err(StorageError::NoSuchBranch { .. })));
    assert!(matches!(test.store().reset_branch(point), Err(StorageError::NoSuchBranch { .. })));
    test.create("fork", "main");
    let usage = test.store().usage().unwrap();
    assert!(usage.branches.iter().all(|branch| branch.id != point));
    assert!(usage.shares.iter().all(|share| !share.readers.contains(&point)));
    let with = test.store().size(feature).unwrap().own_bytes;
    test.store().delete_snapshot(point).unwrap();
    let without = test.store().size(feature).unwrap().own_bytes;
    assert!(without < with, "{without} of {with}");
    assert_eq!(fork_point(&test, "feature"), None);
    test.store().sleep(feature).unwrap();
    test.run("feature", "INSERT INTO t VALUES (3)");
    assert_eq!(fork_point(&test, "feature"), None, "what it is now is no fork point");
}

#[test]
fn a_fork_point_goes_with_its_branch_and_comes_back_with_it() {
    let Some(mut test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT 1 AS id");
    test.create("feature", "main");
    test.run("feature", "INSERT INTO t VALUES (2)");
    let first = fork_point(&test, "feature").unwrap();
    test.store().wake(first).unwrap();
    test.run("main", "INSERT INTO t VALUES (7)");
    test.store().reset_branch(test.id("feature")).unwrap();
    assert!(matches!(test.store().wake(first), Err(StorageError::NoSuchBranch { .. })), "it is in the trash");
    assert_eq!(fork_point(&test, "feature"), None);
    test.run("feature", "INSERT INTO t VALUES (8)");
    assert_eq!(content(&test, fork_point(&test, "feature").unwrap()), "1,7", "a reset is a new fork point");
    test.store().undo(&Former::Last).unwrap();
    assert_eq!(fork_point(&test, "feature"), Some(first));
    assert_eq!(content(&test, first), "1");
    test.store().delete_branch(test.id("feature")).unwrap();
    assert!(matches!(test.store().wake(first), Err(StorageError::NoSuchBranch { .. })));
    assert!(test.store().trash().unwrap().iter().all(|trashed| trashed.id != first));
    test.store().undo(&Former::Last).unwrap();
    assert_eq!(content(&test, first), "1");
    test.store().delete_branch(test.id("feature")).unwrap();
    assert_eq!(test.store().purge_trash_now(None).unwrap().branches, 2, "those that people know");
    test.close();
    test.open();
    assert_tidy(&test.dir());
    let left = std::fs::read_dir(test.dir().join("branches")).unwrap().count();
    assert_eq!(left, 1, "only the root has a folder");
}

#[test]
fn named_snapshots_stay_with_the_name_of_their_branch() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT 1 AS id");
    let feature = test.create("feature", "main");
    test.run("feature", "INSERT INTO t VALUES (2)");
    let before = test.store().create_snapshot(feature, "before").unwrap();
    assert_eq!((before.of, before.kind), (feature, SnapshotKind::Named));
    let twice = test.store().create_snapshot(feature, "before");
    assert!(matches!(twice, Err(StorageError::BranchExists { .. })));
    test.run("feature", "DELETE FROM t");
    let reset = test.store().reset_branch(feature).unwrap().id;
    let names = |id| -> Vec<String> {
        test.store().snapshots(id).unwrap().into_iter().map(|snapshot| snapshot.name).collect()
    };
    assert_eq!(names(reset), ["before"], "it is not thrown away with what it guards against");
    assert_eq!(content(&test, before.id), "1,2");
    test.store().undo(&Former::Last).unwrap();
    assert_eq!(names(feature), ["fork", "before"]);
    let branch = test.store().create_branch("again", before.id).unwrap();
    assert_eq!(branch.parent, Some(feature), "a branch of a snapshot is one of its branch");
    test.store().delete_snapshot(before.id).unwrap();
    assert_eq!(test.text("again", ROWS), "1,2");
    assert_eq!(names(feature), ["fork"]);
    assert!(matches!(test.store().delete_snapshot(feature), Err(StorageError::NoSuchBranch { .. })));
}

#[test]
fn notes_about_a_branch_are_removed_with_it() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    let feature = test.create("feature", "main");
    test.store().set_note(feature, "facts", "1").unwrap();
    test.store().set_note(feature, "facts", "2").unwrap();
    assert_eq!(test.store().note(feature, "facts").unwrap().as_deref(), Some("2"));
    test.store().delete_branch(feature).unwrap();
    assert_eq!(test.store().notes("facts").unwrap(), [(feature, "2".to_owned())]);
    let ahead = SystemTime::now() + Duration::from_hours(10 * 24);
    for _ in 0..30 {
        test.store().purge_trash(ahead).unwrap();
    }
    assert!(test.store().notes("facts").unwrap().is_empty());
    let gone = test.store().set_note(feature, "facts", "3");
    assert!(matches!(gone, Err(StorageError::NoSuchBranch { .. })));
}

/// What a store of format 1 has not.
const BACK_TO_FIRST: &str = "
    DROP TABLE events; DROP TABLE notes; DROP INDEX live_names; DROP INDEX snapshot_names;
    ALTER TABLE branches DROP COLUMN snapshot_of;
    ALTER TABLE branches DROP COLUMN snapshot_kind;
    ALTER TABLE branches DROP COLUMN fork_control;
    ALTER TABLE branches DROP COLUMN origin;
    ALTER TABLE branches DROP COLUMN moment_us;
    ALTER TABLE branches DROP COLUMN made_control;
    CREATE UNIQUE INDEX live_names ON branches (name) WHERE trashed_ms IS NULL;
    UPDATE properties SET value = '1' WHERE key = 'format';";

#[test]
fn a_store_of_the_first_format_opens_and_its_branches_have_no_fork_point() {
    let Some(mut test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT 1 AS id");
    test.create("old", "main");
    test.close();
    rusqlite::Connection::open(test.dir().join("meta.sqlite")).unwrap().execute_batch(BACK_TO_FIRST).unwrap();
    test.open();
    assert_eq!(test.store().info().format, 4);
    // What can be told of earlier times is.
    let told = test.store().events().unwrap();
    let told: Vec<_> = told.iter().map(|event| (event.name.as_str(), event.other_name.as_deref())).collect();
    assert_eq!(told, [("old", Some("main")), ("main", None)]);
    test.run("old", "INSERT INTO t VALUES (2)");
    assert_eq!(fork_point(&test, "old"), None, "whether it was ever awake is not known");
    test.create("new", "old");
    test.run("new", "INSERT INTO t VALUES (3)");
    assert_eq!(content(&test, fork_point(&test, "new").unwrap()), "1,2");
}

/// Not a check: prints what keeping the fork point adds to the first wake of a branch, in pairs with and without.
#[test]
#[ignore = "measures"]
fn what_a_fork_point_adds_to_the_first_wake() {
    let Some(test) = TestStore::new(MAJOR) else { return };
    let metadata = rusqlite::Connection::open(test.dir().join("meta.sqlite")).unwrap();
    metadata.busy_timeout(Duration::from_secs(10)).unwrap();
    test.run("main", "CREATE TABLE t AS SELECT g AS id, md5(g::text) FROM generate_series(1, 100000) g");
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..40 {
        test.run("main", "UPDATE t SET id = -id WHERE id % 97 = 0");
        for without in [round % 2 == 0, round % 2 != 0] {
            let id = test.create(&format!("b{round}-{without}"), "main");
            if without {
                metadata.execute("UPDATE branches SET fork_control = NULL WHERE id = ?1", [id.0]).unwrap();
            }
            let begun = std::time::Instant::now();
            test.store().wake(id).unwrap();
            times[usize::from(without)].push(begun.elapsed());
            test.store().sleep(id).unwrap();
        }
    }
    let mut added: Vec<f64> = times[0]
        .iter()
        .zip(&times[1])
        .map(|(with, without)| (with.as_secs_f64() - without.as_secs_f64()) * 1e3)
        .collect();
    added.sort_by(f64::total_cmp);
    for times in &mut times {
        times.sort();
    }
    let median = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1e3;
    eprintln!(
        "first wake, median of 40 pairs: {:.1} ms with, {:.1} ms without; median of the differences {:+.1} ms",
        median(&times[0]),
        median(&times[1]),
        added[added.len() / 2]
    );
}

#[test]
fn a_branch_that_goes_back_to_its_snapshots_keeps_its_fork_point_through_every_undo() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT 1 AS id");
    test.create("feature", "main");
    test.run("feature", "INSERT INTO t VALUES (2)");
    let snapshot = test.store().create_snapshot(test.id("feature"), "a").unwrap().id;
    let back = |expected: &str| {
        test.store().restore_branch(test.id("feature"), snapshot).unwrap();
        assert_eq!(test.text("feature", ROWS), expected);
    };
    let fork = || content(&test, fork_point(&test, "feature").unwrap());
    let undo = || assert!(test.store().undo(&Former::Named("feature".into())).unwrap().replaced);
    test.run("feature", "INSERT INTO t VALUES (3)");
    back("1,2");
    assert_eq!(fork(), "1");
    undo();
    assert_eq!((test.text("feature", ROWS), fork()), ("1,2,3".into(), "1".into()));
    back("1,2");
    assert_eq!(fork(), "1");
    test.run("feature", "INSERT INTO t VALUES (4)");
    back("1,2");
    assert_eq!(fork(), "1");
    undo();
    assert_eq!((test.text("feature", ROWS), fork()), ("1,2,4".into(), "1".into()));
    // A state that was replaced long ago takes the place of the one that is there now.
    test.store().undo(&Former::Last).unwrap();
    assert_eq!((test.text("feature", ROWS), fork()), ("1,2,3".into(), "1".into()));
    assert_eq!(test.store().branch(test.id("feature")).unwrap().parent, Some(test.id("main")));
}

#[test]
fn a_reset_branch_has_another_fork_point_which_its_undo_leaves_behind() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT 1 AS id");
    let feature = test.create("feature", "main");
    test.run("feature", "INSERT INTO t VALUES (2)");
    test.run("main", "INSERT INTO t VALUES (5)");
    test.store().reset_branch(feature).unwrap();
    test.run("feature", "INSERT INTO t VALUES (6)");
    assert_eq!(content(&test, fork_point(&test, "feature").unwrap()), "1,5");
    test.store().undo(&Former::Last).unwrap();
    assert_eq!(test.text("feature", ROWS), "1,2");
    assert_eq!(content(&test, fork_point(&test, "feature").unwrap()), "1");
}

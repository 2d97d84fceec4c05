//! Branches that are taken back in their place to a moment, and what is told of it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offshoot_postgres::Silent;
use offshoot_storage::{
    Event, EventKind, Former, Moment, REFRESHED, Refresh, RestoreWindow, Source, StorageError,
};
use support::layers::assert_tidy;
use support::{TestStore, first};

const ROWS: &str = "SELECT coalesce(string_agg(n::text, ',' ORDER BY n), '') FROM t";

fn keeping() -> Option<TestStore> {
    let test = TestStore::quick(18)?;
    test.store().set_restore_window(Some(RestoreWindow::default()));
    test.run("main", "CREATE TABLE t (n bigint)");
    assert!(test.store().keep_past().unwrap() > 0);
    Some(test)
}

/// Inserts a row, and returns the time of Postgres afterwards.
fn insert(test: &TestStore, branch: &str, row: u32) -> Moment {
    test.run(branch, &format!("INSERT INTO t VALUES ({row})"));
    let us = test.text(branch, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
    Moment::Time(UNIX_EPOCH + Duration::from_micros(us.parse().unwrap()))
}

fn restore(test: &TestStore, branch: &str, moment: Moment) -> Result<(), StorageError> {
    let id = test.id(branch);
    let then = test.store().prepare_restore(id, moment, &Silent)?;
    test.store().restore_branch_to(id, then, moment).map(|_| ())
}

/// What happened last.
fn last(test: &TestStore) -> Event {
    test.store().events().unwrap().remove(0)
}

#[test]
fn a_branch_goes_back_to_moments_and_undo_brings_back_what_it_had() {
    let Some(mut test) = keeping() else { return };
    test.create("feature", "main");
    let one = insert(&test, "feature", 1);
    test.create("child", "feature");
    test.store().create_snapshot(test.id("feature"), "kept").unwrap();
    let two = insert(&test, "feature", 2);
    insert(&test, "feature", 3);
    let before = test.id("feature");
    let fork = test.store().fork_snapshot(before).unwrap().unwrap();

    let then = test.store().create_throwaway_at(before, two, &Silent).unwrap();
    assert!(test.store().is_former_state(then, before).unwrap());
    test.store().remove_throwaway(then).unwrap();
    let kept = test.store().snapshots(before).unwrap().into_iter().find(|one| one.name == "kept").unwrap();

    restore(&test, "feature", one).unwrap();
    let after = test.store().branch(test.id("feature")).unwrap();
    assert_eq!(test.text("feature", ROWS), "1");
    assert_eq!(after.parent_name.as_deref(), Some("main"));
    assert_eq!(test.store().branch_named("child").unwrap().unwrap().parent, Some(after.id));
    assert_eq!(test.text("child", ROWS), "1");
    assert_eq!(test.store().fork_snapshot(after.id).unwrap(), Some(fork));
    assert!(test.store().snapshots(after.id).unwrap().iter().any(|one| one.name == "kept"));
    let is_former = |of| test.store().is_former_state(kept.id, of).unwrap();
    assert!(is_former(before) && !is_former(after.id), "it has counted up by itself since");
    let told = last(&test);
    assert_eq!((told.kind, told.branch, told.other), (EventKind::Restored, after.id, Some(before)));

    // What it was is found by its name in the trash, and later moments of it by their times.
    let kept_as = test.store().kept_as().unwrap().remove(&before).unwrap();
    assert!(kept_as.starts_with("feature~before-restore-20"), "{kept_as}");
    insert(&test, "feature", 4);
    restore(&test, "feature", two).unwrap();
    assert_eq!(test.text("feature", ROWS), "1,2");
    test.store().undo(&Former::Last).unwrap();
    assert_eq!(test.text("feature", ROWS), "1,4");
    test.store().undo(&Former::Named(kept_as)).unwrap();
    assert_eq!(test.id("feature"), before);
    assert_eq!(test.text("feature", ROWS), "1,2,3");
    assert_eq!(last(&test).kind, EventKind::Undone);
    assert_eq!(test.store().fork_snapshot(before).unwrap(), Some(fork));
    assert_eq!(first(&mut test.connect_to_id(fork, "app"), ROWS), "");

    test.close();
    test.open();
    assert_tidy(&test.dir());
    assert!(test.store().throwaways().unwrap().is_empty());
}

#[test]
fn a_branch_of_a_root_that_was_never_awake_goes_back_to_its_first_moments() {
    let Some(test) = TestStore::quick(18) else { return };
    test.store().set_restore_window(Some(RestoreWindow::default()));
    test.create("feature", "main");
    test.run("feature", "CREATE TABLE t (n bigint)");
    let one = insert(&test, "feature", 1);
    insert(&test, "feature", 2);
    restore(&test, "feature", one).unwrap();
    assert_eq!(test.text("feature", ROWS), "1");
}

#[test]
fn the_root_goes_back_and_stays_the_root() {
    let Some(mut test) = keeping() else { return };
    let first_root = test.id("main");
    let one = insert(&test, "main", 1);
    test.create("feature", "main");
    insert(&test, "main", 2);
    restore(&test, "main", one).unwrap();
    assert_eq!(test.text("main", ROWS), "1");
    let between = insert(&test, "main", 5);
    test.close();
    test.open();
    let root = test.store().branch(test.id("main")).unwrap();
    assert!(root.is_root && root.parent.is_none() && root.id != first_root);
    assert_eq!(test.store().root_branch(), root.id);
    assert!(matches!(test.store().delete_branch(root.id), Err(StorageError::IsRoot { .. })));
    assert_eq!(test.store().branch_named("feature").unwrap().unwrap().parent, Some(root.id));
    test.store().undo(&Former::Last).unwrap();
    assert_eq!(test.store().root_branch(), first_root);
    assert_eq!(test.text("main", ROWS), "1,2");
    assert_eq!(test.store().branch(first_root).unwrap().parent, None);
    assert_eq!(test.store().branch_named("feature").unwrap().unwrap().parent, Some(first_root));
    // It was another one then, which the undo has put away.
    test.store().set_restore_window(Some(RestoreWindow::default()));
    restore(&test, "main", between).unwrap();
    assert_eq!(test.text("main", ROWS), "1,5");
    test.store().undo(&Former::Last).unwrap();
    test.store().purge_trash_now(None).unwrap();
    match restore(&test, "main", between) {
        Err(StorageError::NoSuchMoment { why, .. }) => assert!(why.contains("gone for good"), "{why}"),
        other => panic!("{other:?}"),
    }
    restore(&test, "main", one).unwrap();
    assert_eq!(test.text("main", ROWS), "1");
}

#[test]
fn the_root_goes_back_to_before_it_got_new_data_and_loses_the_mark_of_it() {
    let Some(test) = keeping() else { return };
    let one = insert(&test, "main", 1);
    insert(&test, "main", 2);
    let new = Refresh {
        source: Source::Empty,
        tools: None,
        masking: Vec::new(),
        seed: Vec::new(),
        seed_cache: None,
    };
    let made = test.store().prepare_refresh(&new, &Silent).unwrap();
    let fresh = test.store().replace_root(made).unwrap().id;
    let mark = |id| test.store().note(id, REFRESHED).unwrap();
    assert!(mark(fresh).is_some());
    test.store().create_branch_at("then", fresh, one, &Silent).unwrap();
    assert_eq!(test.text("then", ROWS), "1");
    let snapshot = test.store().create_snapshot(fresh, "empty").unwrap();
    restore(&test, "main", one).unwrap();
    assert_eq!(test.text("main", ROWS), "1");
    assert_eq!(mark(test.id("main")), None);
    // A snapshot of the new data brings them back with the mark.
    let again = test.store().restore_branch(test.id("main"), snapshot.id).unwrap();
    assert_eq!(mark(again.id), mark(fresh));
    assert_eq!(test.store().root_branch(), again.id);
}

#[test]
fn a_moment_at_which_the_branch_was_not_there_is_refused_and_one_before_a_reset_is_not() {
    let Some(test) = keeping() else { return };
    let early = insert(&test, "main", 1);
    test.create("feature", "main");
    let one = insert(&test, "feature", 2);
    test.store().reset_branch(test.id("feature")).unwrap();
    insert(&test, "feature", 3);
    match restore(&test, "feature", early) {
        Err(StorageError::NoSuchMoment { why, .. }) => {
            assert!(why.starts_with("it was made, or last reset, at 20"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    restore(&test, "feature", one).unwrap();
    assert_eq!(test.text("feature", ROWS), "1,2");
    // Something else took its place between the two halves.
    let id = test.id("feature");
    let now = Moment::Time(SystemTime::now());
    let then = test.store().prepare_restore(id, now, &Silent).unwrap();
    test.store().reset_branch(id).unwrap();
    let late = test.store().restore_branch_to(id, then, now);
    assert!(matches!(late, Err(StorageError::NoSuchBranch { .. })), "{late:?}");
    assert_eq!(test.text("feature", ROWS), "1");
    assert!(test.store().throwaways().unwrap().is_empty());
}

#[test]
fn what_happens_to_branches_is_told_in_the_order_in_which_it_happened() {
    let Some(mut test) = keeping() else { return };
    test.create("feature", "main");
    let snapshot = test.store().create_snapshot(test.id("feature"), "s").unwrap();
    test.store().create_branch("of-it", snapshot.id).unwrap();
    test.store().reset_branch(test.id("feature")).unwrap();
    test.store().rename_branch(test.id("feature"), "other").unwrap();
    test.store().tell_event(test.id("other"), "migrated", Some("by hand")).unwrap();
    test.store().delete_branch(test.id("other")).unwrap();
    test.store().undo(&Former::Last).unwrap();
    test.store().delete_snapshot(snapshot.id).unwrap();
    // A throwaway is nobody's business.
    let throwaway = test.store().create_throwaway(test.id("main")).unwrap();
    test.store().remove_throwaway(throwaway).unwrap();
    test.close();
    test.open();
    let told: Vec<_> = test
        .store()
        .events()
        .unwrap()
        .into_iter()
        .rev()
        .map(|event| (event.kind, event.name, event.other_name.or(event.detail).unwrap_or_default()))
        .collect();
    let told: Vec<_> = told.iter().map(|(kind, name, more)| (kind, name.as_str(), more.as_str())).collect();
    assert_eq!(
        told,
        [
            (&EventKind::Created, "main", ""),
            (&EventKind::Created, "feature", "main"),
            (&EventKind::SnapshotTaken, "feature", "s"),
            (&EventKind::Created, "of-it", "feature"),
            (&EventKind::Reset, "feature", "main"),
            (&EventKind::Renamed, "other", "feature"),
            (&EventKind::Told("migrated".into()), "other", "by hand"),
            (&EventKind::Deleted, "other", ""),
            (&EventKind::Undone, "other", ""),
            (&EventKind::SnapshotRemoved, "other", "s"),
        ]
    );
}

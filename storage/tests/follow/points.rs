//! The engine, or the standby's Postgres, is killed while a source is followed. After that nothing runs, nothing is left over here or at
//! the source, and following goes on or says that it does not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use offshoot_postgres::Silent;
use offshoot_storage::{CrashPoint, Follow, OpenStore, Operation, StorageError, Store, act_at, die_at};

use crate::source::{PASSWORD, Source};
use crate::support::layers::assert_tidy;
use crate::support::{self, TestStore, processes};
use crate::{ROLE, newest, slots, turn};

/// What the process to be killed is told.
const FOLDER: &str = "OFFSHOOT_TEST_FOLLOWER";
const POINT: &str = "OFFSHOOT_TEST_POINT";
const URL: &str = "OFFSHOOT_TEST_SOURCE";
/// Set if the standby's Postgres is killed, and not the engine.
const STANDBY: &str = "OFFSHOOT_TEST_STANDBY";

fn follow(url: &str) -> Follow {
    Follow { url: url.to_owned(), database: "shop".into(), max_rate_kb: None, masking: Vec::new() }
}

fn is_of_start(point: CrashPoint) -> bool {
    matches!(point, CrashPoint::FollowWritten | CrashPoint::FollowCommitted)
}

/// Those that an ordinary run takes; with `OFFSHOOT_ALL_POINTS` set it takes all.
fn is_ordinary(point: CrashPoint) -> bool {
    use CrashPoint as P;
    let few =
        [P::FollowCommitted, P::FollowStarted, P::FollowForked, P::FollowRootCommitted, P::FollowSlotDropped];
    std::env::var_os("OFFSHOOT_ALL_POINTS").is_some() || few.contains(&point)
}

/// The engine that is killed at `point`, or whose standby is.
fn engine(test: &TestStore, point: CrashPoint, url: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "points::following_process", "--ignored", "--nocapture"])
        .env(FOLDER, test.folder.path())
        .env(POINT, format!("{point:?}"))
        .env(URL, url);
    command
}

/// A copy of a store that is closed.
fn copy(template: &Path) -> TestStore {
    let test = TestStore::quick_unopened(18).unwrap();
    support::copy_store(template, &test.dir());
    test
}

#[test]
fn an_engine_or_a_standby_killed_while_it_follows() {
    // Copies of one store go back behind what others have told the slot.
    let Some(source) = Source::new(18, &[("wal_keep_size", "512MB")]) else { return };
    source.run("postgres", ROLE);
    source.run(
        "shop",
        "CREATE TABLE line (n bigint PRIMARY KEY, filler text); INSERT INTO line VALUES (1, '')",
    );
    let url = source.url_of("follower", PASSWORD, "shop");
    let mut empty = TestStore::quick(18).unwrap();
    empty.close();
    let mut followed = copy(&empty.dir());
    followed.open();
    followed.store().start_following(&follow(&url), &Silent).unwrap();
    turn(&followed).unwrap();
    followed.close();
    source.run("shop", "INSERT INTO line VALUES (2, '')");
    let kept = slots(&source);

    // The standby's Postgres: the turn fails, and the next one does what it was to do.
    let mut test = copy(&followed.dir());
    let ended = engine(&test, CrashPoint::FollowStarted, &url).env(STANDBY, "1").output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_healed(&mut test, CrashPoint::FollowStarted);
    assert_eq!(newest(&test), "2");

    let points = CrashPoint::ALL.iter().filter(|(of, _)| *of == Operation::Follow).map(|(_, point)| *point);
    for point in points.filter(|point| is_ordinary(*point)) {
        eprintln!("{point:?}");
        let mut test = copy(if is_of_start(point) { &empty } else { &followed }.dir().as_path());
        let ended = engine(&test, point, &url).output().unwrap();
        assert_eq!(ended.status.signal(), Some(libc::SIGKILL), "{point:?} was not passed: {ended:?}");
        let is_there = assert_healed(&mut test, point);
        assert_eq!(is_there, !matches!(point, CrashPoint::FollowWritten), "{point:?}");
        if is_there {
            assert_eq!(newest(&test), "2", "{point:?}");
        }
        if is_of_start(point) || point == CrashPoint::FollowSlotDropped {
            assert_eq!(test.store().stop_following().unwrap(), None);
            let expected = if is_of_start(point) { kept.as_str() } else { "" };
            assert_eq!(slots(&source), expected, "{point:?}");
            assert!(!test.dir().join("followed").exists());
        }
        test.close();
        assert_tidy(&test.dir());
        assert_eq!(processes::left_in(&test.dir()), [], "{point:?}: left running");
    }
}

/// Opens the store as an engine does. Nothing is left over, and the next turn goes well, if something is followed.
fn assert_healed(test: &mut TestStore, point: CrashPoint) -> bool {
    test.open();
    assert_eq!(processes::left_in(&test.dir()), [], "{point:?}: left running");
    for left in test.store().throwaways().unwrap() {
        test.store().remove_throwaway(left).unwrap();
    }
    assert_tidy(&test.dir());
    assert!(!test.dir().join("refresh.partial").exists(), "{point:?}");
    test.store().clear_following().unwrap();
    let is_there = test.store().following().unwrap().is_some();
    assert_eq!(test.store().branches().unwrap().len(), 1, "{point:?}");
    if is_there {
        turn(test).unwrap();
    }
    is_there
}

/// Not a test: an engine that follows and is killed, or whose standby is.
#[test]
#[ignore = "the process that another test kills"]
fn following_process() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let (name, url) = (std::env::var(POINT).unwrap(), std::env::var(URL).unwrap());
    let (_, point) = *CrashPoint::ALL.iter().find(|(_, point)| format!("{point:?}") == name).unwrap();
    let store = Store::open(OpenStore {
        dir: folder.join("store"),
        runtime_dir: folder.join("run"),
        account: offshoot_postgres::account::unprivileged().unwrap(),
        interposer: support::interposer(),
        settings: Vec::new(),
    })
    .unwrap();
    if std::env::var_os(STANDBY).is_some() {
        let place = folder.join("store");
        act_at(point, move || {
            let all = processes::living_in(&place);
            let postmaster = all
                .iter()
                .find(|(pid, title)| !title.starts_with("postgres: ") && *pid != std::process::id() as i32);
            processes::kill_family(postmaster.unwrap().0);
        });
        let ended = store.fetch_followed(&Silent);
        assert!(matches!(ended, Err(StorageError::StartFailed { .. })), "{ended:?}");
        return;
    }
    die_at(point);
    if is_of_start(point) {
        store.start_following(&follow(&url), &Silent).unwrap();
    } else if point == CrashPoint::FollowSlotDropped {
        store.stop_following().unwrap();
    } else {
        store.fetch_followed(&Silent).unwrap();
        let fresh = store.fork_followed(&[], &Silent).unwrap();
        store.place_followed(fresh, false).unwrap();
    }
}

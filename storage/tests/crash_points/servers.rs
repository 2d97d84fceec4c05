//! A Postgres is killed, while the engine is at a point of an operation and goes on.

use std::path::Path;
use std::time::{Duration, Instant};

use offshoot_storage::{CrashPoint, DriverKind, Operation, Store, act_at};

use super::{
    MAJOR, TestStore, assert_healed, engine, is_of_layers, is_passed, processes, say, support, template,
};

const VICTIM: &str = "OFFSHOOT_TEST_VICTIM";

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    /// Every postmaster of the store.
    Postmaster,
    /// Every process that serves a client.
    Backend,
}

/// What this engine is to kill, if anything.
pub(super) fn victim() -> Option<Victim> {
    match std::env::var(VICTIM).ok()?.as_str() {
        "Postmaster" => Some(Victim::Postmaster),
        "Backend" => Some(Victim::Backend),
        other => panic!("no victim {other}"),
    }
}

/// Points at which no Postgres runs, or nobody is connected to it: all of an operation, or single ones.
fn has_victim(victim: Victim, operation: Operation, point: CrashPoint) -> bool {
    use CrashPoint as P;
    match operation {
        Operation::Create
        | Operation::Settle
        | Operation::Rename
        | Operation::Purge
        | Operation::Merge
        | Operation::Window => true,
        Operation::Wake | Operation::Snapshot => {
            let starts = [P::WakeStarted, P::SnapshotTopMade, P::SnapshotWritten, P::SnapshotCommitted];
            victim == Victim::Postmaster && starts.contains(&point)
        }
        Operation::Past => {
            victim == Victim::Postmaster && matches!(point, P::PastThrowawayMade | P::PastPromoted)
        }
        Operation::Reset
        | Operation::Restore
        | Operation::Rewind
        | Operation::Refresh
        | Operation::Follow
        | Operation::Delete
        | Operation::Undo
        | Operation::Carry
        | Operation::Open => false,
    }
}

/// Those that an ordinary run takes; with `OFFSHOOT_ALL_POINTS` set it takes all.
fn is_ordinary(victim: Victim, point: CrashPoint) -> bool {
    use CrashPoint as P;
    match victim {
        Victim::Postmaster => {
            matches!(
                point,
                P::FreezeStackSwapped
                    | P::SnapshotTopMade
                    | P::MergeCommitted
                    | P::CloneDataDone
                    | P::CloneSnapshotTaken
                    | P::PastPromoted
            )
        }
        Victim::Backend => {
            matches!(point, P::FreezeImageFinished | P::MergeMapAbsorbed | P::CloneWalHeld)
        }
    }
}

#[test]
fn a_postmaster_killed_in_any_operation() {
    kill_at_each_point(Victim::Postmaster);
}

#[test]
fn backends_killed_in_any_operation() {
    kill_at_each_point(Victim::Backend);
}

fn kill_at_each_point(victim: Victim) {
    let Some(template) = template() else { return };
    let all = std::env::var_os("OFFSHOOT_ALL_POINTS").is_some();
    let chosen = CrashPoint::ALL
        .iter()
        .filter(|(operation, point)| has_victim(victim, *operation, *point) && is_passed(&template, *point))
        .filter(|(operation, _)| !is_of_layers(*operation) || support::driver() == DriverKind::Layers)
        .filter(|(_, point)| all || is_ordinary(victim, *point));
    for (operation, point) in chosen {
        eprintln!("{victim:?} at {point:?}");
        let mut test = TestStore::quick_unopened(MAJOR).unwrap();
        support::copy_store(&template, &test.dir());
        let output = engine(&test, *point).env(VICTIM, format!("{victim:?}")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{point:?}: {said}{errors}");
        let line = |start: &str| said.lines().find_map(|line| line.strip_prefix(start)).map(str::to_owned);
        let killed: usize =
            line("@killed ").unwrap_or_else(|| panic!("{point:?} was not passed: {said}")).parse().unwrap();
        assert!(killed > 0, "{point:?}: nothing to kill: {said}");
        if let Some(failure) = line("@failed ") {
            eprintln!("{victim:?} at {point:?}: {failure}");
        }
        assert_healed(&mut test, *operation, *point, &line("@acknowledged ").unwrap_or_default());
    }
}

/// Lets this engine kill what serves the store when it passes `point`.
pub(super) fn kill_at(point: CrashPoint, victim: Victim, store: &Path) {
    let store = store.to_owned();
    act_at(point, move || {
        let all = processes::living_in(&store);
        let serves = |title: &str| title.contains(" [local] ");
        let is_one = |pid: i32, title: &str| match victim {
            // Its title is its command line; those of the others begin so.
            Victim::Postmaster => !title.starts_with("postgres: ") && pid != std::process::id() as i32,
            Victim::Backend => title.starts_with("postgres: ") && serves(title),
        };
        let victims: Vec<i32> =
            all.iter().filter(|(pid, title)| is_one(*pid, title)).map(|(pid, _)| *pid).collect();
        for pid in &victims {
            processes::kill(*pid);
        }
        say(&format!("@killed {}", victims.len()));
    });
}

/// The store works with what is left: whoever connects next gets in, and a branch can be made.
pub(super) fn assert_works(store: &Store) {
    let main = store.branch_named("main").unwrap().unwrap().id;
    let socket = || {
        store.poll_exits();
        store.wake(main).unwrap()
    };
    let mut config = postgres::Config::new();
    config.user("postgres").password(store.password()).dbname("app").host_path(socket().parent().unwrap());
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let mut client = support::reconnect_after(&config, || drop(socket()));
        match client.batch_execute("CREATE TABLE after_all (id int); DROP TABLE after_all") {
            Ok(()) => break,
            // Postgres ends all sessions when it sees that one was killed, which may be after this one had begun.
            Err(error) if error.as_db_error().is_none_or(|error| error.code().code().starts_with("57P")) => {
                assert!(Instant::now() < deadline, "{error:?}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    let made = store.create_branch("after-all", main).unwrap();
    store.wake(made.id).unwrap();
    store.delete_branch(made.id).unwrap();
}

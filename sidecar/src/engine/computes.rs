//! Who uses which branch's Postgres, and whose turn it is to change a branch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use offshoot_storage::BranchId;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The branches in use. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Computes {
    uses: Arc<Mutex<HashMap<BranchId, Use>>>,
    turns: Turns,
}

/// Gives one after another a turn at a branch. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<BranchId, Arc<AsyncMutex<()>>>>>);

#[derive(Debug)]
struct Use {
    leases: u64,
    awake: bool,
    since: Instant,
    passing: Option<Passing>,
}

/// How a branch is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Connections to it.
    pub(crate) connections: u64,
    /// Where it is on its way to.
    pub(crate) passing: Option<Passing>,
}

impl From<&Use> for Usage {
    fn from(entry: &Use) -> Self {
        Self { connections: entry.leases, passing: entry.passing }
    }
}

/// What a Postgres is on its way to, for as long as that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// It is being started, or is about to be.
    Waking,
    /// It is being stopped, or is about to be.
    Stopping,
}

impl Computes {
    /// Counts one connection to `id` until the lease is dropped.
    pub(crate) fn lease(&self, id: BranchId) -> Lease {
        self.with(id, |entry| entry.leases += 1);
        Lease { computes: self.clone(), id }
    }

    /// Connections to `id`.
    pub(crate) fn connections(&self, id: BranchId) -> u64 {
        lock(&self.uses).get(&id).map_or(0, |entry| entry.leases)
    }

    /// Remembers that the Postgres of `id` runs, so that it will be put to sleep.
    pub(crate) fn woke(&self, id: BranchId) {
        self.with(id, |entry| entry.awake = true);
    }

    /// Remembers that the Postgres of `id` does not run.
    pub(crate) fn slept(&self, id: BranchId) {
        self.with(id, |entry| entry.awake = false);
        self.forget_unused();
    }

    fn forget_unused(&self) {
        lock(&self.uses).retain(|_, entry| entry.awake || entry.leases > 0 || entry.passing.is_some());
    }

    /// Notes where `id` is on its way to. Whoever is told that it changes then sees it change.
    pub(crate) fn pass(&self, id: BranchId, to: Option<Passing>) {
        self.with(id, |entry| entry.passing = to);
        self.forget_unused();
    }

    /// How `id` is used.
    pub(crate) fn usage_of(&self, id: BranchId) -> Usage {
        lock(&self.uses).get(&id).map(Usage::from).unwrap_or_default()
    }

    /// How those branches are used that are in use.
    pub(crate) fn usage(&self) -> HashMap<BranchId, Usage> {
        lock(&self.uses).iter().map(|(id, entry)| (*id, Usage::from(entry))).collect()
    }

    /// Whether any Postgres runs.
    pub(crate) fn any_awake(&self) -> bool {
        lock(&self.uses).values().any(|entry| entry.awake)
    }

    /// Whether any branch is being made, woken, stopped or taken away.
    pub(crate) fn any_turn(&self) -> bool {
        self.turns.any_taken()
    }

    /// Branches that run without connections for longer than `timeout` says.
    pub(crate) fn idle(&self, timeout: impl Fn(BranchId) -> Duration) -> Vec<BranchId> {
        let uses = lock(&self.uses);
        let idle = uses
            .iter()
            .filter(|(id, entry)| entry.awake && entry.leases == 0 && entry.since.elapsed() >= timeout(**id));
        idle.map(|(id, _)| *id).collect()
    }

    /// Waits for the turn to start, stop or replace `id`. Different branches do not wait for each other.
    pub(crate) async fn turn(&self, id: BranchId) -> OwnedMutexGuard<()> {
        self.turns.turn(id).await
    }

    /// As [`Computes::turn`], on a thread that may block.
    pub(crate) fn turn_blocking(&self, id: BranchId) -> OwnedMutexGuard<()> {
        self.turns.of(id).blocking_lock_owned()
    }

    fn with(&self, id: BranchId, change: impl FnOnce(&mut Use)) {
        let mut uses = lock(&self.uses);
        let entry = uses.entry(id).or_insert_with(|| Use {
            leases: 0,
            awake: false,
            since: Instant::now(),
            passing: None,
        });
        change(entry);
        entry.since = Instant::now();
    }
}

impl Turns {
    /// Waits for the turn at `id`.
    pub(crate) async fn turn(&self, id: BranchId) -> OwnedMutexGuard<()> {
        let turn = self.of(id);
        turn.lock_owned().await
    }

    fn any_taken(&self) -> bool {
        lock(&self.0).values().any(|turn| turn.try_lock().is_err())
    }

    fn of(&self, id: BranchId) -> Arc<AsyncMutex<()>> {
        let mut turns = lock(&self.0);
        // Nobody holds or awaits those that only the table knows.
        turns.retain(|of, turn| *of == id || Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(id).or_default())
    }
}

/// One connection to a branch.
#[derive(Debug)]
pub(crate) struct Lease {
    computes: Computes,
    id: BranchId,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.computes.with(self.id, |entry| entry.leases = entry.leases.saturating_sub(1));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: BranchId = BranchId(1);
    const B: BranchId = BranchId(2);

    #[test]
    fn only_awake_branches_without_connections_are_idle() {
        let computes = Computes::default();
        let now = |_| Duration::ZERO;
        let held = computes.lease(A);
        computes.woke(A);
        computes.woke(B);
        assert_eq!(computes.idle(now), [B]);
        assert!(computes.idle(|_| Duration::from_mins(1)).is_empty(), "the time since the last use counts");
        drop(held);
        assert_eq!(computes.idle(now).len(), 2);
        computes.slept(A);
        computes.slept(B);
        assert!(computes.idle(now).is_empty() && !computes.any_awake());
    }

    #[test]
    fn what_a_branch_passes_to_is_known_for_as_long_as_it_takes() {
        let computes = Computes::default();
        computes.pass(A, Some(Passing::Waking));
        let passing = |id| computes.usage_of(id).passing;
        assert_eq!((passing(A), passing(B)), (Some(Passing::Waking), None));
        computes.pass(A, None);
        assert_eq!(passing(A), None);
        assert!(lock(&computes.uses).is_empty(), "nothing is kept of a branch that is not in use");
    }

    #[tokio::test]
    async fn turns_of_one_branch_exclude_each_other_and_no_other_branch() {
        let computes = Computes::default();
        let first = computes.turn(A).await;
        drop(computes.turn(B).await);
        assert!(computes.any_turn());
        let mut second = Box::pin(computes.turn(A));
        assert!(tokio::time::timeout(Duration::from_millis(20), &mut second).await.is_err());
        drop(first);
        drop(second.await);
        assert!(!computes.any_turn());
    }
}

//! Which branches have migrations applied right now, and what the newest apply on each came to.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use offshoot_protocol::error::Reason;
use offshoot_storage::BranchId;

use crate::failure::{Failure, Result};
use crate::timestamp;

/// What is under way on a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Pending migrations are applied.
    Apply,
    /// The newest one is taken back.
    Down,
    /// All since a snapshot are taken back.
    Undo,
}

/// A run that is under way.
#[derive(Clone, Debug)]
struct Run {
    work: Work,
    since: Instant,
    /// The branch's name.
    on: String,
}

type UnderWay = Mutex<HashMap<BranchId, Run>>;

/// One apply, down or undo at a time on a branch. Lives as long as the engine.
#[derive(Default)]
pub(in crate::engine) struct Busy {
    under_way: Arc<UnderWay>,
    /// Branches on which the newest apply failed and changed nothing.
    in_vain: Mutex<HashSet<BranchId>>,
}

/// A branch that is taken. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    under_way: Arc<UnderWay>,
    id: BranchId,
}

impl Drop for Taken {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.id);
    }
}

fn lock<T>(set: &Mutex<T>) -> MutexGuard<'_, T> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Busy {
    /// Takes the branch for a snapshot, the tool and what is read around it.
    ///
    /// # Errors
    /// If somebody has it.
    pub(super) fn take(&self, id: BranchId, name: &str, work: Work) -> Result<Taken> {
        let mut under_way = lock(&self.under_way);
        if let Some(other) = under_way.get(&id) {
            return Err(other.in_the_way());
        }
        under_way.insert(id, Run { work, since: Instant::now(), on: name.to_owned() });
        Ok(Taken { under_way: Arc::clone(&self.under_way), id })
    }

    /// Whether somebody has the branch.
    pub(super) fn has(&self, id: BranchId) -> bool {
        lock(&self.under_way).contains_key(&id)
    }

    /// Refuses what would pull the branch away from under a tool.
    ///
    /// # Errors
    /// If somebody has it.
    pub(super) fn check(&self, id: BranchId) -> Result<()> {
        lock(&self.under_way).get(&id).map_or(Ok(()), |other| Err(other.in_the_way()))
    }

    /// Refuses what would end the tools of all branches.
    ///
    /// # Errors
    /// If one runs; with what to do to end it all the same.
    pub(super) fn check_all(&self) -> Result<()> {
        let under_way = lock(&self.under_way);
        let mut told: Vec<String> = under_way.values().map(Run::told).collect();
        told.sort();
        if told.is_empty() {
            return Ok(());
        }
        Err(Failure::user(told.join("; ")).reason(Reason::UnderWay).hint(format!(
            "{WAIT} `offshoot engine stop --force` ends the tool where it is; `offshoot migrations status` then names the \
             snapshot that was taken before."
        )))
    }

    /// Remembers whether the newest apply on a branch failed and changed nothing.
    pub(super) fn ended(&self, id: BranchId, in_vain: bool) {
        if in_vain {
            lock(&self.in_vain).insert(id);
        } else {
            lock(&self.in_vain).remove(&id);
        }
    }

    /// Whether the newest apply on a branch failed and changed nothing.
    pub(super) fn was_in_vain(&self, id: BranchId) -> bool {
        lock(&self.in_vain).contains(&id)
    }
}

/// What a person can do about a run.
const WAIT: &str =
    "Wait until that has ended, or cancel it: with Ctrl-C where it runs, in an editor at its progress.";

impl Run {
    /// Such as ``migrations are being applied on `main`, begun just now``.
    fn told(&self) -> String {
        let what = match self.work {
            Work::Apply => "migrations are being applied on",
            Work::Down => "a migration is being taken back on",
            Work::Undo => "migrations are being undone on",
        };
        let begun = match self.since.elapsed().as_secs() {
            0..2 => "just now".to_owned(),
            seconds => timestamp::ago(seconds),
        };
        format!("{what} `{}`, begun {begun}", self.on)
    }

    fn in_the_way(&self) -> Failure {
        Failure::user(self.told()).reason(Reason::UnderWay).hint(WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_taken_once_at_a_time() {
        let busy = Busy::default();
        let first = busy.take(BranchId(1), "main", Work::Apply).unwrap();
        let second = busy.take(BranchId(1), "main", Work::Undo).unwrap_err();
        assert!(
            second.to_string().contains("migrations are being applied on `main`, begun just now"),
            "{second}"
        );
        assert!(busy.check(BranchId(1)).is_err() && busy.has(BranchId(1)));
        assert!(busy.check(BranchId(2)).is_ok());
        assert!(busy.check_all().unwrap_err().to_string().contains("on `main`, begun just now"));
        assert!(busy.take(BranchId(2), "other", Work::Down).is_ok());
        drop(first);
        busy.check(BranchId(1)).unwrap();
        assert!(busy.take(BranchId(1), "main", Work::Apply).is_ok());
    }
}

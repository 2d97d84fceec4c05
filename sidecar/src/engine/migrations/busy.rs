//! Which branches have migrations applied right now, and what the newest apply on each came to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offshoot_storage::BranchId;

use crate::failure::{Failure, Result};

/// One apply, down or undo at a time on a branch. Lives as long as the engine.
#[derive(Default)]
pub(in crate::engine) struct Busy {
    under_way: Arc<Mutex<HashSet<BranchId>>>,
    /// Branches on which the newest apply failed and changed nothing.
    in_vain: Mutex<HashSet<BranchId>>,
}

/// A branch that is taken. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    under_way: Arc<Mutex<HashSet<BranchId>>>,
    id: BranchId,
}

impl Drop for Taken {
    fn drop(&mut self) {
        lock(&self.under_way).remove(&self.id);
    }
}

fn lock(set: &Mutex<HashSet<BranchId>>) -> MutexGuard<'_, HashSet<BranchId>> {
    set.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Busy {
    /// Takes the branch for a snapshot, the tool and what is read around it.
    ///
    /// # Errors
    /// If somebody has it.
    pub(super) fn take(&self, id: BranchId, name: &str) -> Result<Taken> {
        if lock(&self.under_way).insert(id) {
            return Ok(Taken { under_way: Arc::clone(&self.under_way), id });
        }
        Err(Failure::user(format!("migrations are being applied to {name} already"))
            .hint("Wait until that has ended, or end it with Ctrl-C where it runs."))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_taken_once_at_a_time() {
        let busy = Busy::default();
        let first = busy.take(BranchId(1), "main").unwrap();
        let second = busy.take(BranchId(1), "main").unwrap_err();
        assert!(second.to_string().contains("migrations are being applied to main already"), "{second}");
        assert!(busy.take(BranchId(2), "other").is_ok());
        drop(first);
        assert!(busy.take(BranchId(1), "main").is_ok());
    }
}

//! Taking a branch back in its place to a moment.
//!
//! The moment is replayed first, while the branch works on. Only then it is stopped, and what was replayed takes its place in one
//! transaction: before it the branch is what it was, after it what it was at the moment.

use offshoot_postgres::Progress;

use super::Moment;
use super::find::{Target, Within};
use crate::error::StorageError;
use crate::events::{self, EventKind};
use crate::metadata;
use crate::store::{Branch, Store, locked};
use crate::throwaway::is_throwaway;
use crate::{BranchId, compute, refresh, trash};

impl Store {
    /// The first half of taking `id` back to `moment`, while it works on: a throwaway of what it was, asleep. [`Store::restore_branch_to`]
    /// is the second half; who does without it removes the throwaway.
    ///
    /// # Errors
    /// [`StorageError::NoSuchMoment`] for one at which the branch was not there, too, and as [`Store::create_branch_at`]. Nothing is
    /// left of it then.
    pub fn prepare_restore(
        &self,
        id: BranchId,
        moment: Moment,
        progress: &dyn Progress,
    ) -> Result<BranchId, StorageError> {
        self.replayed(id, Target::of(moment), Within::Itself, progress)
    }

    /// Puts what `throwaway` is, made by [`Store::prepare_restore`] for `id` as of `moment`, in the place of that branch. What it was
    /// goes to the trash, from where [`Store::undo`] brings it back. Its connections end. It keeps its parent, its children and its
    /// named snapshots. The throwaway goes, whatever comes of it.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`] if another state has taken its place meanwhile, and as [`Store::create_branch`].
    pub fn restore_branch_to(
        &self,
        id: BranchId,
        throwaway: BranchId,
        moment: Moment,
    ) -> Result<Branch, StorageError> {
        let restored = self.take_place(id, throwaway, Target::of(moment));
        self.put_away(throwaway);
        self.branch(restored?)
    }

    fn take_place(
        &self,
        id: BranchId,
        throwaway: BranchId,
        target: Target,
    ) -> Result<BranchId, StorageError> {
        let row = self.shared.branch_row(id)?;
        let replayed = self.shared.branch_row(throwaway)?;
        if !is_throwaway(&replayed.name) || replayed.parent != Some(id) {
            return Err(StorageError::NoSuchBranch { name: row.name });
        }
        // In this order everywhere: what removes things waits for all who make something.
        let making = self.making();
        let cell = self.shared.cell(id);
        let mut compute = locked(&cell.compute);
        compute::stop(&self.shared, id, &cell, &mut compute)?;
        self.stop_snapshots(id)?;
        crash_point!(RewindStopped);
        let as_of = target.to_string();
        let new = self.fork_and_commit(&making, &row.name, throwaway, |(transaction, new)| {
            trash::replace(transaction, &row, new, "restore")?;
            metadata::adopt_snapshots(transaction, id, new)?;
            // What the branch was when that state of it was made.
            if let Some(state) = replayed.past.origin {
                metadata::move_fork_point(transaction, state, new)?;
            }
            refresh::keep_mark(transaction, replayed.past.origin, new)?;
            events::record(
                transaction,
                EventKind::Restored,
                (new, &row.name),
                (Some(id), None),
                Some(&as_of),
            )?;
            crash_point!(RewindTrashed);
            Ok(())
        })?;
        self.root_replaced(id, new);
        crash_point!(RewindCommitted);
        drop(compute);
        tracing::info!(branch = row.name, moment = as_of, "taken back to a moment");
        Ok(new)
    }
}

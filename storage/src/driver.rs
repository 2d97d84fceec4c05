//! What a way of keeping branches apart on disk must do.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use offshoot_postgres::Lsn;
use rusqlite::Transaction;

use crate::error::StorageError;
use crate::merge::Merged;
use crate::usage::Usage;
use crate::{BranchId, BranchSize};

/// A way of keeping the data of branches apart, and of making one from another.
///
/// The store calls [`Driver::fork`], [`Driver::open`] and [`Driver::close`] of one branch one at a time.
pub(crate) trait Driver: Send + Sync {
    /// Prepares for what a crash left behind, before anything else is called.
    fn recover(&self) -> Result<(), StorageError>;

    /// Gets `branch` ready for a Postgres; what it returns holds until [`Driver::close`].
    fn open(&self, branch: BranchId) -> Result<Opened, StorageError>;

    /// Checks that the Postgres that was started for `branch` reads and writes through the driver.
    fn check_active(&self, branch: BranchId, postmaster: u32) -> Result<(), StorageError>;

    /// Gives up what [`Driver::open`] made; the branch's Postgres has ended.
    fn close(&self, branch: BranchId);

    /// Makes `child` a crash-consistent image of `parent` as it is now. If it fails, nothing of `child` is left.
    ///
    /// `child` comes into being when the store commits its row: until then it is nobody's, and
    /// [`Driver::recover`] removes it.
    fn fork(&self, parent: BranchId, child: BranchId) -> Result<Fork, StorageError>;

    /// The checksum of the control file of `branch`, which sleeps.
    fn control(&self, branch: BranchId) -> Result<u32, StorageError>;

    /// Copies the small files of `branch` for `copy`. The branch sleeps, and nothing was written to it since it was made. If it
    /// fails, nothing of `copy` is left.
    fn copy(&self, branch: BranchId, copy: BranchId) -> Result<(), StorageError>;

    /// Gives `copy` the layers that `branch` had when [`Driver::copy`] was called, and an empty one on top; its Postgres may run
    /// by now. The stack is committed together with what `also` writes. If it fails, nothing of `copy` is left.
    fn keep(
        &self,
        branch: BranchId,
        copy: BranchId,
        also: &dyn Fn(&Transaction<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError>;

    /// Removes what [`Driver::fork`] made of a child whose row was not committed.
    fn discard(&self, child: BranchId);

    /// Makes all that `branch` stands on durable. May be called at any time after the fork.
    fn settle(&self, branch: BranchId) -> Result<(), StorageError>;

    /// Removes everything that no branch in the metadata reads any more.
    fn reclaim(&self) -> Result<(), StorageError>;

    /// Makes deep stacks shorter; copies about `budget_bytes` of pages and goes on at the next call.
    fn merge(&self, budget_bytes: u64, max_depth: usize) -> Result<Merged, StorageError>;

    /// Measures everything on disk, by who reads it.
    fn usage(&self) -> Result<Usage, StorageError>;

    /// Measures a branch on disk.
    fn size(&self, branch: BranchId) -> Result<BranchSize, StorageError>;

    /// Measures some branches on disk. Of many it should take less time than of each.
    fn sizes(&self, branches: &[BranchId]) -> Result<HashMap<BranchId, BranchSize>, StorageError> {
        branches.iter().map(|branch| Ok((*branch, self.size(*branch)?))).collect()
    }
}

/// A branch that is ready for a Postgres.
pub(crate) struct Opened {
    pub(crate) data_dir: PathBuf,
    pub(crate) env: Vec<(OsString, OsString)>,
}

/// What a fork was taken at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fork {
    pub(crate) lsn: Lsn,
    /// The checksum of the child's control file.
    pub(crate) control: u32,
}

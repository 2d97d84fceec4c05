//! What a way of keeping branches apart on disk must do.

use std::ffi::OsString;
use std::path::PathBuf;

use offshoot_postgres::Lsn;
use rusqlite::Transaction;

use crate::error::StorageError;
use crate::merge::Merged;
use crate::usage::Usage;
use crate::{BranchId, BranchSize, ChangedBlocks};

/// A way of keeping the data of branches apart, and of making one from another.
///
/// The store calls [`Driver::fork`], [`Driver::open`] and [`Driver::close`] of one branch one at a time.
pub(crate) trait Driver: Send + Sync {
    /// Prepares for what a crash left behind, before anything else is called.
    fn recover(&self) -> Result<(), StorageError>;

    /// Gets `branch` ready for a Postgres; what it returns holds until [`Driver::close`].
    fn open(&self, branch: BranchId) -> Result<Opened, StorageError>;

    /// Checks that the Postgres that was started for `branch` reads and writes as the driver relies on.
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

    /// Takes what must be taken of `branch` for `copy` before its Postgres starts. The branch sleeps, and nothing was written to
    /// it since it was made. If it fails, nothing of `copy` is left.
    fn copy(&self, branch: BranchId, copy: BranchId) -> Result<(), StorageError>;

    /// Makes `copy` what `branch` was when [`Driver::copy`] was called; the branch's Postgres may run by now. It is committed
    /// together with what `also` writes. If it fails, nothing of `copy` is left.
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

    /// Makes deep stacks shorter, where there are any; copies about `budget_bytes` of pages and goes on at the next call.
    fn merge(&self, budget_bytes: u64, max_depth: usize) -> Result<Merged, StorageError>;

    /// The blocks of the main forks of `database` that may differ between two branches; what it leaves out is the same in both,
    /// as far as it was written to the files. No merge runs meanwhile.
    fn changed_blocks(
        &self,
        one: BranchId,
        other: BranchId,
        database: u32,
    ) -> Result<ChangedBlocks, StorageError>;

    /// Bytes of pages that nothing but some of `branches` reads, without their small files.
    fn only_read_by(&self, _branches: &[BranchId]) -> Result<u64, StorageError> {
        Ok(0)
    }

    /// Takes in that files of a branch were removed beside its Postgres.
    fn shortened(&self, _branch: BranchId) {}

    /// Measures everything on disk, by who reads it.
    fn usage(&self) -> Result<Usage, StorageError>;

    /// Measures a branch on disk.
    fn size(&self, branch: BranchId) -> Result<BranchSize, StorageError>;

    /// Measures some branches on disk, in their order. Of many it should take less time than of each.
    fn sizes(&self, branches: &[BranchId]) -> Result<Vec<BranchSize>, StorageError> {
        branches.iter().map(|branch| self.size(*branch)).collect()
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

/// A way of keeping branches apart; each store has one, from its making on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverKind {
    /// Layers of pages that a library puts under Postgres. On any Linux file system.
    #[default]
    Layers,
    /// An ordinary data directory for each branch, whose files the file system clones.
    Clone,
}

impl DriverKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Layers, Self::Clone];

    /// Its name in the settings and in a store's metadata.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Layers => "layers",
            Self::Clone => "clone",
        }
    }

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

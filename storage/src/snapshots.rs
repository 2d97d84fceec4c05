//! Snapshots: states of a branch that stay readable, whatever becomes of it.
//!
//! A snapshot is a branch that belongs to another one. It has a number, layers and small files like any branch, and can be
//! woken and branched by its number; it is in no list and has no address. It goes to the trash and back with its branch, is
//! removed with it, and its bytes are counted as its branch's. What wakes a snapshot must not change data in it.
//!
//! The *fork point* is a snapshot that the store takes by itself: what a branch was when it was made. Until its Postgres
//! starts for the first time, a branch is just that, and its top layer is empty. So the first wake copies the small files,
//! puts another empty layer on those below, and needs to freeze nothing.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::BranchId;
use crate::branches::{check_name, name_taken, now_ms};
use crate::compute;
use crate::error::StorageError;
use crate::events::{self, EventKind};
use crate::metadata::{self, BranchRow, Past};
use crate::store::{Store, locked};
use crate::throwaway::is_unlisted;

/// The name of fork points: only logs show it.
const FORK_NAME: &str = "fork";

/// What a snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SnapshotKind {
    /// What the branch was when it was made; taken by the store.
    Fork,
    /// Taken by a person, under a name.
    Named,
    /// Taken by the store, so that a moment after it is near. In no list.
    Auto,
}

impl SnapshotKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Named => "named",
            Self::Auto => "auto",
        }
    }

    pub(crate) fn parse(text: Option<&str>) -> Option<Self> {
        [Self::Fork, Self::Named, Self::Auto].into_iter().find(|kind| Some(kind.as_str()) == text)
    }
}

/// A snapshot of a live branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its number, which wakes it and makes branches of it.
    pub id: BranchId,
    /// The branch that it belongs to.
    pub of: BranchId,
    /// What it is for.
    pub kind: SnapshotKind,
    /// Its name among the named ones of its branch.
    pub name: String,
    /// When it was taken.
    pub created_at: SystemTime,
}

impl Store {
    /// The number of the snapshot that shows what `branch` was when it was made or last reset. `None` if there is none: for
    /// the root, for a branch that has not been awake since (see [`Store::is_as_forked`]), and for one that is older than
    /// this feature or was first woken just before the machine went down.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`].
    pub fn fork_snapshot(&self, branch: BranchId) -> Result<Option<BranchId>, StorageError> {
        let all = self.snapshots(branch)?;
        Ok(all.into_iter().find(|snapshot| snapshot.kind == SnapshotKind::Fork).map(|snapshot| snapshot.id))
    }

    /// Whether `branch` still is what its parent was when it was made, as its Postgres has never started.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`]; [`StorageError::Damaged`] for a control file that cannot be read.
    pub fn is_as_forked(&self, branch: BranchId) -> Result<bool, StorageError> {
        let row = self.shared.branch_row(branch)?;
        match row.fork_control {
            Some(first)
                if row.parent.is_some()
                    && self.shared.metadata.snapshots(branch)?.iter().all(is_no_fork_point) =>
            {
                Ok(self.shared.driver.control(branch)? == first)
            }
            _ => Ok(false),
        }
    }

    /// Whether `then`, a snapshot or what a moment was replayed in, is what this state of `branch` once was: what has the same number in
    /// both is the same. What a branch was before a reset, a restore or a refresh counts up for itself.
    ///
    /// # Errors
    /// Only if the metadata cannot be read.
    pub fn is_former_state(&self, then: BranchId, branch: BranchId) -> Result<bool, StorageError> {
        let row = self.shared.metadata.branch(then)?;
        Ok(row.is_some_and(|row| row.past.origin == Some(branch)))
    }

    /// Takes a snapshot of `branch` as it is now, under a name that no other one of it has. The branch may be awake, asleep
    /// or under load.
    ///
    /// # Errors
    /// [`StorageError::BranchExists`] if the name is taken, and as [`Store::create_branch`]; nothing is left of it then.
    pub fn create_snapshot(&self, branch: BranchId, name: &str) -> Result<Snapshot, StorageError> {
        check_name(name)?;
        let row = self.shared.branch_row(branch)?;
        if self.snapshots(branch)?.iter().any(|one| one.kind == SnapshotKind::Named && one.name == name) {
            return Err(StorageError::BranchExists { name: name.to_owned() });
        }
        let making = self.making();
        let id = self.fork_as(&making, name, branch, Some(SnapshotKind::Named), |(transaction, _)| {
            events::record(
                transaction,
                EventKind::SnapshotTaken,
                (branch, &row.name),
                (None, None),
                Some(name),
            )
        })?;
        tracing::info!(branch = row.name, snapshot = name, "took a snapshot");
        let taken = self.snapshots(branch)?.into_iter().find(|snapshot| snapshot.id == id);
        taken.ok_or_else(|| StorageError::NoSuchBranch { name: id.to_string() })
    }

    /// The snapshots of a branch, oldest first.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`].
    pub fn snapshots(&self, branch: BranchId) -> Result<Vec<Snapshot>, StorageError> {
        self.shared.branch_row(branch)?;
        let rows = self.shared.metadata.snapshots(branch)?;
        Ok(rows.into_iter().filter(|row| !is_hidden(row)).filter_map(describe).collect())
    }

    /// Removes a snapshot for good. Branches that were made of it keep working.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`] if there is no such snapshot.
    pub fn delete_snapshot(&self, id: BranchId) -> Result<(), StorageError> {
        let shared = &self.shared;
        let row = shared.live_row(id)?;
        if row.snapshot.is_none() {
            return Err(StorageError::NoSuchBranch { name: id.to_string() });
        }
        self.sleep(id)?;
        let _turn = locked(&shared.merging);
        let _alone = shared.making.write().unwrap_or_else(PoisonError::into_inner);
        let of = shared.branch_row(row.owner())?;
        let beside = hidden_name(&row.name);
        let hidden = shared.metadata.snapshots(of.id)?.into_iter().find(|other| other.name == beside);
        shared.metadata.transaction(|transaction| {
            let kind = EventKind::SnapshotRemoved;
            events::record(transaction, kind, (of.id, &of.name), (None, None), Some(&row.name))?;
            if let Some(hidden) = &hidden {
                metadata::forget_branch(transaction, hidden.id)?;
            }
            metadata::forget_branch(transaction, id)
        })?;
        locked(&shared.cells).remove(&id);
        shared.driver.reclaim()?;
        tracing::info!(branch = %row.owner(), snapshot = row.name, "removed a snapshot");
        Ok(())
    }

    /// What is kept of `of` as it is before its Postgres starts for the first time: a branch's fork point; of any other state that
    /// moments are reached from, another one like it, as a Postgres that ran on it has led elsewhere than the branch's WAL.
    pub(crate) fn kept_before_waking(&self, of: &BranchRow) -> Result<Option<SnapshotKind>, StorageError> {
        if is_unlisted(&of.name) {
            return Ok(None);
        }
        if of.snapshot.is_none() && self.is_as_forked(of.id)? {
            return Ok(Some(SnapshotKind::Fork));
        }
        let is_due = self.keeps_past() && of.past.moment_us.is_some() && self.is_as_made(of)?;
        Ok(is_due.then_some(SnapshotKind::Auto))
    }

    /// Copies the files of a branch or a snapshot that is about to wake for the first time; `None` if it is not. The copy becomes
    /// a snapshot with [`Store::keep_copy`], which can be left to the time in which Postgres starts: Postgres writes another
    /// control file before it changes anything, so that nothing takes a later state for the first one.
    pub(crate) fn copy_before_waking(&self, of: &BranchRow) -> Option<(BranchId, SnapshotKind)> {
        let shared = &self.shared;
        let copied = (|| {
            let Some(kind) = self.kept_before_waking(of)? else { return Ok(None) };
            let id = shared.metadata.reserve_branch(&shared.next_branch)?;
            crash_point!(SnapshotReserved);
            shared.driver.copy(of.id, id)?;
            Ok(Some((id, kind)))
        })();
        copied.unwrap_or_else(|error| {
            warn_unkept(of, &error);
            None
        })
    }

    /// Makes a copy of the files of `of` a snapshot. A failure is no reason for the branch not to wake: what it was is unknown
    /// then.
    pub(crate) fn keep_copy(&self, of: &BranchRow, copy: BranchId, kind: SnapshotKind) {
        let shared = &self.shared;
        let name = if kind == SnapshotKind::Fork { FORK_NAME.to_owned() } else { copy.to_string() };
        let row = BranchRow {
            id: copy,
            name,
            parent: None,
            created_ms: now_ms(),
            unsettled_boot: Some(shared.boot.clone()),
            snapshot: Some((of.owner(), kind)),
            fork_control: None,
            past: Past { origin: of.snapshot.map_or(Some(of.id), |_| of.past.origin), ..of.past },
            ..of.clone()
        };
        let kept = shared.driver.keep(of.id, copy, &|transaction| {
            metadata::insert_branch(transaction, &row).map_err(|error| name_taken(error, &row.name))?;
            crash_point!(SnapshotWritten);
            Ok(())
        });
        crash_point!(SnapshotCommitted);
        match kept {
            Ok(()) => self.settle_soon(copy),
            Err(error) => warn_unkept(of, &error),
        }
    }

    /// Puts the snapshots of a branch to sleep, which the caller holds.
    pub(crate) fn stop_snapshots(&self, of: BranchId) -> Result<(), StorageError> {
        for row in self.shared.metadata.snapshots(of)? {
            let cell = self.shared.cell(row.id);
            let mut compute = locked(&cell.compute);
            compute::stop(&self.shared, row.id, &cell, &mut compute)?;
        }
        Ok(())
    }
}

/// The name of the snapshot that is kept beside one with this name, in no list: the very state that came in a bundle, with another store's
/// password. Git takes no `~` in a name, so nobody's snapshot is called so.
pub(crate) fn hidden_name(name: &str) -> String {
    format!("~{name}")
}

fn is_hidden(row: &BranchRow) -> bool {
    row.name.starts_with('~')
}

fn is_no_fork_point(row: &BranchRow) -> bool {
    !matches!(row.snapshot, Some((_, SnapshotKind::Fork)))
}

fn warn_unkept(of: &BranchRow, error: &StorageError) {
    tracing::warn!(branch = of.name, %error, "what the branch was when it was made is not kept");
}

fn describe(row: BranchRow) -> Option<Snapshot> {
    let (of, kind) = row.snapshot?;
    let created_at = UNIX_EPOCH + Duration::from_millis(row.created_ms);
    Some(Snapshot { id: row.id, of, kind, name: row.name, created_at })
}

//! Making, renaming and resetting branches.

use std::sync::{PoisonError, RwLockReadGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::params;

use crate::compute;
use crate::error::StorageError;
use crate::events::{self, EventKind};
use crate::image::wal_mark;
use crate::metadata::{self, BranchRow, Past};
use crate::snapshots::SnapshotKind;
use crate::store::{Branch, Store, locked};
use crate::throwaway::is_throwaway;
use crate::{BranchId, past, refresh, trash};

/// WAL that a new branch gets a copy of and has to replay before it answers, in bytes. Beyond it the parent writes a
/// checkpoint first.
pub(crate) const REPLAY_BYTES: u64 = 4 << 20;
/// How long a new branch waits for that checkpoint.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(2);
/// Longest name in bytes: what git can keep as one file name.
const NAME_BYTES: usize = 255;

/// Checks a name as git checks a branch's.
///
/// # Errors
/// [`StorageError::InvalidName`] with the rule that is broken.
pub(crate) fn check_name(name: &str) -> Result<(), StorageError> {
    let invalid = |reason| Err(StorageError::InvalidName { name: name.chars().take(60).collect(), reason });
    if name.is_empty() {
        return invalid("it is empty");
    }
    if name.len() > NAME_BYTES {
        return invalid("it is longer than 255 bytes");
    }
    if name.chars().any(|c| c.is_ascii_control() || " ~^:?*[\\".contains(c)) {
        return invalid("it holds a space, a control character or one of ~^:?*[\\");
    }
    if name.contains("..") || name.contains("@{") || name.contains("//") || name == "@" || name == "HEAD" {
        return invalid("git does not take `..`, `//`, `@{`, or the names `@` and `HEAD`");
    }
    let bad_part = |part: &str| part.starts_with('.') || part.strip_suffix(".lock").is_some();
    if name.starts_with(['/', '-']) || name.ends_with(['/', '.']) || name.split('/').any(bad_part) {
        return invalid("a part of it begins or ends in a way that git does not take");
    }
    Ok(())
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

impl Store {
    /// Makes a branch of `parent` as it is now. The parent may be awake, asleep or under load; the branch is asleep.
    ///
    /// Takes milliseconds and a few kilobytes, whatever the size of the data.
    ///
    /// # Errors
    /// [`StorageError::BranchExists`], [`StorageError::InvalidName`], [`StorageError::NoSuchBranch`],
    /// [`StorageError::Stalled`], [`StorageError::DiskFull`]; nothing is left of it then.
    pub fn create_branch(&self, name: &str, parent: BranchId) -> Result<Branch, StorageError> {
        check_name(name)?;
        if self.shared.metadata.live_branch(name)?.is_some() {
            return Err(StorageError::BranchExists { name: name.to_owned() });
        }
        let making = self.making();
        let of = self.shared.live_row(parent)?;
        let (from, snapshot) = match of.snapshot {
            Some((owner, _)) => (self.shared.branch_row(owner)?, Some(format!("@{}", of.name))),
            None => (of, None),
        };
        let id = self.fork_and_commit(&making, name, parent, |(transaction, id)| {
            let from = (Some(from.id), Some(from.name.as_str()));
            events::record(transaction, EventKind::Created, (id, name), from, snapshot.as_deref())
        })?;
        tracing::info!(branch = name, %parent, "created");
        self.branch(id)
    }

    /// Puts a branch back to its parent's present. What it was goes to the trash, from where [`Store::undo`]
    /// brings it back. Its connections end.
    ///
    /// # Errors
    /// [`StorageError::HasNoParent`] for the root, and as [`Store::create_branch`].
    pub fn reset_branch(&self, id: BranchId) -> Result<Branch, StorageError> {
        let row = self.shared.branch_row(id)?;
        let Some(parent) = row.parent else { return Err(StorageError::HasNoParent { name: row.name }) };
        // In this order everywhere: what removes things waits for all who make something.
        let making = self.making();
        let cell = self.shared.cell(id);
        let mut compute = locked(&cell.compute);
        compute::stop(&self.shared, id, &cell, &mut compute)?;
        self.stop_snapshots(id)?;
        crash_point!(ResetStopped);
        let its_parent = self.shared.live_row(parent)?;
        let new = self.fork_and_commit(&making, &row.name, parent, |(transaction, new)| {
            trash::replace(transaction, &row, new, "reset")?;
            metadata::adopt_snapshots(transaction, id, new)?;
            let of = (Some(id), Some(its_parent.name.as_str()));
            events::record(transaction, EventKind::Reset, (new, &row.name), of, None)?;
            crash_point!(ResetTrashed);
            Ok(())
        })?;
        crash_point!(ResetCommitted);
        drop(compute);
        tracing::info!(branch = row.name, "reset");
        self.branch(new)
    }

    /// Takes a branch back to one of its snapshots. What it was goes to the trash, from where [`Store::undo`] brings it back.
    /// Its connections end. It keeps its parent, its children and its snapshots.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`] if `snapshot` is none of its snapshots; and as
    /// [`Store::create_branch`].
    pub fn restore_branch(&self, id: BranchId, snapshot: BranchId) -> Result<Branch, StorageError> {
        let row = self.shared.branch_row(id)?;
        let Some(taken) = self.snapshots(id)?.into_iter().find(|one| one.id == snapshot) else {
            return Err(StorageError::NoSuchBranch { name: snapshot.to_string() });
        };
        // In this order everywhere: what removes things waits for all who make something.
        let making = self.making();
        let state = self.shared.live_row(snapshot)?.past.origin.or(Some(id));
        let cell = self.shared.cell(id);
        let mut compute = locked(&cell.compute);
        compute::stop(&self.shared, id, &cell, &mut compute)?;
        self.stop_snapshots(id)?;
        crash_point!(RestoreStopped);
        let new = self.fork_and_commit(&making, &row.name, snapshot, |(transaction, new)| {
            trash::replace(transaction, &row, new, "restore")?;
            // The fork point as well: it still shows what the branch was when it was made.
            let (from, to) = (id.0 as i64, new.0 as i64);
            transaction
                .execute("UPDATE branches SET snapshot_of = ?2 WHERE snapshot_of = ?1", params![from, to])?;
            refresh::keep_mark(transaction, state, new)?;
            let as_of = format!("@{}", taken.name);
            events::record(
                transaction,
                EventKind::Restored,
                (new, &row.name),
                (Some(id), None),
                Some(&as_of),
            )?;
            crash_point!(RestoreTrashed);
            Ok(())
        })?;
        self.root_replaced(id, new);
        crash_point!(RestoreCommitted);
        drop(compute);
        tracing::info!(branch = row.name, "restored a snapshot");
        self.branch(new)
    }

    /// Lets a running parent with much WAL write a checkpoint, which saves the child its replay. If it cannot, or takes long, the
    /// child replays; nothing else may depend on it.
    fn checkpoint_before(&self, parent: BranchId) {
        let socket = {
            let cell = self.shared.cell(parent);
            let compute = locked(&cell.compute);
            compute.server.as_ref().map(offshoot_postgres::Server::socket_path)
        };
        let much = wal_mark(&self.shared.paths.branch(parent)).is_ok_and(|mark| mark.replay > REPLAY_BYTES);
        if let Some(socket) = socket
            && much
            && let Err(error) = compute::checkpoint(&self.shared, &socket, CHECKPOINT_PATIENCE)
        {
            // One that takes longer goes on, and nothing minds it.
            tracing::info!(branch = %parent, %error, "branched without a checkpoint before");
        }
        crash_point!(CreateCheckpointed);
    }

    /// Keeps what is being made from being taken for something that belongs to nobody.
    pub(crate) fn making(&self) -> RwLockReadGuard<'_, ()> {
        self.shared.making.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forks `parent` and commits the new branch's row, together with `also`.
    pub(crate) fn fork_and_commit(
        &self,
        making: &RwLockReadGuard<'_, ()>,
        name: &str,
        parent: BranchId,
        also: impl FnOnce((&rusqlite::Transaction<'_>, BranchId)) -> Result<(), StorageError>,
    ) -> Result<BranchId, StorageError> {
        self.fork_as(making, name, parent, None, also)
    }

    /// As [`Store::fork_and_commit`], perhaps for a snapshot of `parent`.
    pub(crate) fn fork_as(
        &self,
        _making: &RwLockReadGuard<'_, ()>,
        name: &str,
        parent: BranchId,
        snapshot: Option<SnapshotKind>,
        also: impl FnOnce((&rusqlite::Transaction<'_>, BranchId)) -> Result<(), StorageError>,
    ) -> Result<BranchId, StorageError> {
        let shared = &self.shared;
        let id = shared.metadata.reserve_branch(&shared.next_branch)?;
        crash_point!(CreateReserved);
        self.checkpoint_before(parent);
        let (fork, origin_row) = {
            let cell = shared.cell(parent);
            let _compute = locked(&cell.compute);
            let row = shared.live_row(parent)?;
            (shared.driver.fork(parent, id)?, row)
        };
        let moment_us = past::now_us();
        let of = origin_row.snapshot;
        // A branch of a state of the past is one of the branch whose past that is.
        let is_of_the_past = is_throwaway(&origin_row.name) && !is_throwaway(name);
        let owner = match of {
            Some((owner, _)) => Some(shared.branch_row(owner)?),
            None if is_of_the_past => origin_row.parent.map(|from| shared.branch_row(from)).transpose()?,
            None => None,
        };
        // What it was when it was made is then what its branch was, and no fork point.
        let takes_place = owner.as_ref().is_some_and(|owner| owner.name == name);
        let its_parent = match owner {
            Some(owner) if takes_place => owner.parent,
            // A branch of a snapshot is one of the snapshot's branch.
            Some(owner) => Some(owner.id),
            None => Some(parent),
        };
        let leads_here = if of.is_some() || is_of_the_past { origin_row.past.origin } else { Some(parent) };
        let row = BranchRow {
            id,
            name: name.to_owned(),
            parent: its_parent.filter(|_| snapshot.is_none()),
            fork_lsn: Some(fork.lsn),
            created_ms: now_ms(),
            unsettled_boot: Some(shared.boot.clone()),
            trashed_ms: None,
            trashed_hours: None,
            trash_order: None,
            replaced_by: None,
            snapshot: snapshot.map(|kind| (parent, kind)),
            fork_control: (snapshot.is_none() && !takes_place).then_some(fork.control),
            past: Past { origin: leads_here, moment_us: Some(moment_us), made_control: Some(fork.control) },
        };
        let committed = shared.metadata.transaction(|transaction| {
            also((transaction, id))?;
            metadata::insert_branch(transaction, &row).map_err(|error| name_taken(error, name))?;
            crash_point!(CreateRowWritten);
            Ok(())
        });
        if let Err(error) = committed {
            shared.driver.discard(id);
            return Err(error);
        }
        crash_point!(CreateCommitted);
        self.settle_soon(id);
        Ok(id)
    }

    /// Gives a branch another name. Its data, its connections and its endpoints stay.
    ///
    /// # Errors
    /// [`StorageError::BranchExists`], [`StorageError::InvalidName`], [`StorageError::NoSuchBranch`].
    pub fn rename_branch(&self, id: BranchId, new: &str) -> Result<Branch, StorageError> {
        check_name(new)?;
        let row = self.shared.branch_row(id)?;
        self.shared.metadata.transaction(|transaction| {
            transaction
                .execute("UPDATE branches SET name = ?2 WHERE id = ?1", params![id.0 as i64, new])
                .map_err(|error| name_taken(error.into(), new))?;
            events::record(transaction, EventKind::Renamed, (id, new), (None, Some(&row.name)), None)?;
            crash_point!(RenameWritten);
            Ok(())
        })?;
        crash_point!(RenameCommitted);
        tracing::info!(branch = row.name, new, "renamed");
        self.branch(id)
    }
}

/// Says that a name is taken where the metadata says that it is not unique.
pub(crate) fn name_taken(error: StorageError, name: &str) -> StorageError {
    match error {
        StorageError::Metadata(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == rusqlite::ErrorCode::ConstraintViolation =>
        {
            StorageError::BranchExists { name: name.to_owned() }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_takes_are_taken() {
        for name in ["main", "feature/login", "🌱", "weiß", "a.b", "x-y_z", "v1.0/rc@2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn names_that_git_refuses_are_refused() {
        let long = "x".repeat(300);
        for name in [
            "",
            "../../etc",
            "a b",
            "a..b",
            "/a",
            "a/",
            ".a",
            "a/.b",
            "a.lock",
            "-a",
            "a//b",
            "@",
            "a~1",
            "a\n",
            &long,
        ] {
            assert!(matches!(check_name(name), Err(StorageError::InvalidName { .. })), "{name}");
        }
    }
}

//! Removing for good what is in the trash: after a while, or now.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::BranchId;
use crate::error::StorageError;
use crate::metadata::{self, BranchRow};
use crate::paths::Paths;
use crate::store::{Store, locked};

/// How long the trash keeps a branch.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Hours of running engines that it keeps a branch at the least.
const KEPT_HOURS: u64 = 24;

/// Bytes that are kept back for a full disk: the metadata of a purge.
const BALLAST_BYTES: i64 = 256 << 10;

/// A branch in the trash.
#[derive(Clone, Debug)]
pub struct Trashed {
    /// Its number.
    pub id: BranchId,
    /// Its name when it was deleted or reset.
    pub name: String,
    /// When that was.
    pub trashed_at: SystemTime,
    /// Bytes on the disk that removing it alone would free.
    pub freed_bytes: u64,
}

/// What [`Store::purge_trash_now`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Branches removed for good.
    pub branches: usize,
    /// Bytes on the disk that this freed.
    pub freed_bytes: u64,
}

impl Store {
    /// What is in the trash, newest first. Takes time in the number of files of the store.
    pub fn trash(&self) -> Result<Vec<Trashed>, StorageError> {
        let usage = self.usage()?;
        let mut rows: Vec<BranchRow> =
            self.shared.metadata.branches()?.into_iter().filter(BranchRow::is_in_trash).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.trash_order.map(i64::abs)));
        let describe = |row: BranchRow| Trashed {
            id: row.id,
            trashed_at: UNIX_EPOCH + Duration::from_millis(row.trashed_ms.unwrap_or(0)),
            freed_bytes: usage.freed_by(&[row.id]),
            name: row.name,
        };
        Ok(rows.into_iter().map(describe).collect())
    }

    /// Removes branches in the trash for good, now: those of `only`, or all. [`Store::undo`] cannot bring them back.
    /// Live branches are left alone, also those that stood on a removed one. Works on a full disk.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`] when one of `only` is not in the trash; nothing is removed then.
    pub fn purge_trash_now(&self, only: Option<&[BranchId]>) -> Result<Purged, StorageError> {
        let mut rows: Vec<BranchRow> =
            self.shared.metadata.branches()?.into_iter().filter(BranchRow::is_in_trash).collect();
        if let Some(only) = only {
            let absent = only.iter().find(|id| !rows.iter().any(|row| row.id == **id));
            if let Some(id) = absent {
                return Err(StorageError::NoSuchBranch { name: id.to_string() });
            }
            rows.retain(|row| only.contains(&row.id));
        }
        let ids: Vec<BranchId> = rows.iter().map(|row| row.id).collect();
        let freed_bytes = self.usage()?.freed_by(&ids);
        self.purge(&rows)?;
        tracing::info!(branches = ids.len(), freed_bytes, "the trash was emptied");
        Ok(Purged { branches: ids.len(), freed_bytes })
    }

    /// Removes for good what has been in the trash for seven days at `now`, and for a day of running engines. Call it
    /// once an hour: it counts the calls, so that a clock that jumps ahead empties nothing.
    ///
    /// # Errors
    /// The first failure; the rest is tried again the next time.
    pub fn purge_trash(&self, now: SystemTime) -> Result<(), StorageError> {
        let metadata = &self.shared.metadata;
        let hours = metadata.property("hours")?.and_then(|hours| hours.parse::<u64>().ok()).unwrap_or(0) + 1;
        metadata.set_property("hours", &hours.to_string())?;
        let now_ms = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let limit_ms = now_ms.saturating_sub(KEPT.as_millis() as u64);
        let old: Vec<BranchRow> = metadata
            .branches()?
            .into_iter()
            .filter(|row| row.trashed_ms.is_some_and(|trashed| trashed < limit_ms))
            .filter(|row| row.trashed_hours.is_some_and(|trashed| trashed + KEPT_HOURS <= hours))
            .collect();
        self.purge(&old)
    }

    fn purge(&self, rows: &[BranchRow]) -> Result<(), StorageError> {
        if rows.is_empty() {
            return Ok(());
        }
        let _turn = locked(&self.shared.merging);
        let _alone = self.shared.making.write().unwrap_or_else(PoisonError::into_inner);
        let forget = || {
            self.shared.metadata.transaction(|transaction| {
                let mut gone = Vec::new();
                for row in rows {
                    let snapshots = metadata::snapshot_ids(transaction, row.id)?;
                    // It may have been brought back since it was looked for.
                    if metadata::forget_trashed(transaction, row.id)? {
                        gone.push(row.id);
                        gone.extend(snapshots);
                    }
                }
                crash_point!(PurgeWritten);
                Ok(gone)
            })
        };
        let gone = match forget() {
            Err(StorageError::DiskFull { .. }) => {
                let _ = std::fs::remove_file(self.shared.paths.ballast());
                forget()?
            }
            other => other?,
        };
        crash_point!(PurgeCommitted);
        for id in gone {
            locked(&self.shared.cells).remove(&id);
        }
        let result = self.shared.driver.reclaim();
        make_ballast(&self.shared.paths);
        result
    }
}

#[cfg(target_os = "linux")]
fn take_room(file: &File) -> std::io::Result<()> {
    // SAFETY: our own descriptor; no memory is touched.
    let made = unsafe { libc::fallocate(std::os::fd::AsRawFd::as_raw_fd(file), 0, 0, BALLAST_BYTES) } == 0;
    if made { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// What was written has its room. Not yet run.
#[cfg(not(target_os = "linux"))]
fn take_room(mut file: &File) -> std::io::Result<()> {
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), BALLAST_BYTES as u64), &mut file).map(drop)
}

/// Keeps a little room back. On a disk that is full already there is none to keep.
pub(crate) fn make_ballast(paths: &Paths) {
    let path = paths.ballast();
    let make = || -> std::io::Result<()> {
        let file: File =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        take_room(&file)
    };
    if let Err(error) = make() {
        let _ = std::fs::remove_file(&path);
        tracing::debug!(%error, "no room is kept back for a full disk");
    }
}

//! The past: a branch as it was at a moment, exact to the transaction.
//!
//! Three things make it possible. Every branch keeps the WAL that it wrote, in its `pg_wal`: [`KEEP_WAL`] tells Postgres to
//! remove none. Snapshots know the position in the WAL and the time at which they were taken, and [`Store::keep_past`] takes one
//! whenever a branch has written much, so that little lies between any moment and the snapshot before it. And Postgres's own
//! recovery replays from there and ends where it is told.
//!
//! What must hold:
//!
//! - A snapshot that is replayed from is as it was made. A Postgres that ran on it has written a checkpoint of its own, which the
//!   branch's WAL does not have. Its control file tells; and the first wake keeps another one like it.
//! - The WAL of a state of a branch is that state's own from the segment on in which it was made. Before that it is its
//!   [origin](crate::metadata::Past::origin)'s, which may be in the trash.
//! - What is replayed is a throwaway until it is done, so that a kill at any moment leaves nothing that is not removed.

mod find;
mod keep;
mod replay;
mod restore;
mod time;
mod wal;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offshoot_postgres::{Lsn, Progress};

pub use keep::KeptPast;

use crate::driver::DriverKind;
use crate::error::StorageError;
use crate::events::{self, EventKind};
use crate::image::read_control;
use crate::metadata::BranchRow;
use crate::store::{Shared, Store, locked};
use crate::{Branch, BranchId};
use find::{Target, Within};

/// What Postgres is told so that it removes no WAL: the most that it takes, 2 PiB.
pub(crate) const KEEP_WAL: (&str, &str) = ("wal_keep_size", "2147483647MB");

/// A moment of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// All that was committed by then, to the microsecond.
    Time(SystemTime),
    /// All whose commit begins before this position in the WAL. A session that has asked for `pg_current_wal_insert_lsn()` gets what
    /// was committed then.
    Lsn(Lsn),
}

/// How far back branches can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoreWindow {
    /// Since when the past is kept.
    pub window: Duration,
    /// What it may have on the disk. The oldest goes first.
    pub max_bytes: u64,
    /// WAL that a branch may write before the next snapshot is taken of it: what has to be replayed at the most.
    pub snapshot_bytes: u64,
}

impl Default for RestoreWindow {
    /// Seven days, 10 GB, a snapshot every 64 MiB.
    fn default() -> Self {
        Self { window: Duration::from_hours(7 * 24), max_bytes: 10_000_000_000, snapshot_bytes: 64 << 20 }
    }
}

impl Store {
    /// Says how far back branches can be made; `None`, as it is at first, for not at all. It holds for each branch from its next
    /// wake on. Clones keep no past.
    pub fn set_restore_window(&self, window: Option<RestoreWindow>) {
        *locked(&self.shared.restore) = window;
    }

    /// Makes a branch of `from` as it was at `moment`, of the snapshot before it and the WAL since.
    ///
    /// For a time before `from` was made, or last reset, it is what came before: the state that was reset, or the parent. Takes
    /// time in the WAL between the snapshot and the moment. Prepared transactions are pending in it, unlogged tables are empty, and
    /// sequences may be ahead, as after a crash. `progress` is told of the WAL in bytes.
    ///
    /// # Errors
    /// [`StorageError::NoSuchMoment`] for one that is to come or too long ago; as [`Store::create_branch`];
    /// [`StorageError::Cancelled`]. Nothing is left of it then.
    pub fn create_branch_at(
        &self,
        name: &str,
        from: BranchId,
        moment: Moment,
        progress: &dyn Progress,
    ) -> Result<Branch, StorageError> {
        crate::branches::check_name(name)?;
        if self.shared.metadata.live_branch(name)?.is_some() {
            return Err(StorageError::BranchExists { name: name.to_owned() });
        }
        let target = Target::of(moment);
        let throwaway = self.replayed(from, target, Within::Anywhere, progress)?;
        let row = self.shared.branch_row(from);
        let made = row.and_then(|row| {
            let making = self.making();
            let as_of = target.to_string();
            self.fork_and_commit(&making, name, throwaway, |(transaction, id)| {
                let of = (Some(row.id), Some(row.name.as_str()));
                events::record(transaction, EventKind::Created, (id, name), of, Some(&as_of))
            })
        });
        self.put_away(throwaway);
        let id = made?;
        tracing::info!(branch = name, %from, moment = %target, "created as of a moment");
        self.branch(id)
    }

    /// Makes a throwaway of `from` as it was at `moment`. It is asleep, and the caller's to remove.
    ///
    /// # Errors
    /// As [`Store::create_branch_at`]; nothing is left of it then.
    pub fn create_throwaway_at(
        &self,
        from: BranchId,
        moment: Moment,
        progress: &dyn Progress,
    ) -> Result<BranchId, StorageError> {
        self.replayed(from, Target::of(moment), Within::Anywhere, progress)
    }

    /// A throwaway of `from` as of `target`, asleep.
    fn replayed(
        &self,
        from: BranchId,
        target: Target,
        within: Within,
        progress: &dyn Progress,
    ) -> Result<BranchId, StorageError> {
        let row = self.shared.branch_row(from)?;
        self.check_keeps_past(&row, target)?;
        let prepared = self.prepare(&row, target, within)?;
        match self.replay(&prepared, &row, target, progress) {
            Ok(()) => Ok(prepared.throwaway),
            Err(error) => {
                self.put_away(prepared.throwaway);
                Err(error)
            }
        }
    }

    /// Removes a throwaway that was made on the way to something.
    pub(crate) fn put_away(&self, throwaway: BranchId) {
        if let Err(error) = self.remove_throwaway(throwaway) {
            tracing::warn!(%throwaway, %error, "a throwaway is left; the next start removes it");
        }
    }

    /// The oldest time of which [`Store::create_branch_at`] can make a branch of `from`; `None` if there is none.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`].
    pub fn oldest_moment(&self, from: BranchId) -> Result<Option<SystemTime>, StorageError> {
        let row = self.shared.branch_row(from)?;
        if !self.keeps_past() {
            return Ok(None);
        }
        let oldest = self.oldest_us(&row)?;
        Ok(oldest.map(|us| UNIX_EPOCH + Duration::from_micros(us)))
    }

    pub(crate) fn keeps_past(&self) -> bool {
        self.shared.keeps_past()
    }

    /// Whether no Postgres has ever run on this branch or snapshot.
    pub(crate) fn is_as_made(&self, row: &BranchRow) -> Result<bool, StorageError> {
        match row.past.made_control {
            Some(made) => Ok(self.shared.driver.control(row.id)? == made),
            None => Ok(false),
        }
    }

    /// Whether WAL can be replayed on this snapshot: no Postgres has run on it, and the last one before wrote all that it takes.
    pub(crate) fn leads_on(&self, row: &BranchRow) -> bool {
        let control = || read_control(&self.shared.paths.branch(row.id).control_file());
        self.is_as_made(row).unwrap_or(false) && control().is_ok_and(|(_, control)| !control.wal_is_minimal)
    }

    fn check_keeps_past(&self, row: &BranchRow, target: Target) -> Result<(), StorageError> {
        let why = if self.shared.info.driver != DriverKind::Layers {
            "stores of clones keep no past; snapshots, `offshoot snapshot create`, work there"
        } else if locked(&self.shared.restore).is_none() {
            "the restore window is off"
        } else {
            return target.check_is_past(row);
        };
        Err(target.refused(row, why.to_owned()))
    }
}

impl Shared {
    /// Whether the past of branches is kept.
    pub(crate) fn keeps_past(&self) -> bool {
        self.info.driver == DriverKind::Layers && locked(&self.restore).is_some()
    }
}

pub(crate) use time::compact;

/// Microseconds since 1970.
pub(crate) fn now_us() -> u64 {
    micros(SystemTime::now())
}

fn micros(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

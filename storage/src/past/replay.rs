//! Making a state of the past: a throwaway of the snapshot before it, and a recovery that ends at the moment.
//!
//! Without a backup label, Postgres first recovers from whatever lies in `pg_wal`, as after a crash, and only then turns to the
//! archive. So the throwaway's `pg_wal` has the snapshot's own WAL, and what follows lies in a folder beside it, where
//! `restore_command` takes it from.

use std::sync::atomic::{AtomicU64, Ordering};

use offshoot_postgres::server::{Server, ServerError, StopMode};
use offshoot_postgres::{Lsn, Progress};

use super::find::{Target, Within};
use crate::branches::now_ms;
use crate::compute::{self, Purpose};
use crate::error::{Context as _, StorageError};
use crate::files::{give, make_private, remove_tree, write_new};
use crate::metadata::{self, BranchRow, Past};
use crate::store::{ComputeState, Store, locked};
use crate::throwaway::new_name;
use crate::{BranchId, LayerId};

/// How long a replay may take: much WAL on a slow disk.
const PATIENCE: std::time::Duration = std::time::Duration::from_hours(6);
/// How long the clean shutdown after a replay may take.
const STOP_PATIENCE: std::time::Duration = std::time::Duration::from_mins(5);

/// Where the WAL that follows lies, beside the data directory.
const WAL_FOLDER: &str = "wal";

/// How recovery ends if all that there is comes before the moment. It is then begun again without one.
const ALL_IS_BEFORE: &str = "recovery ended before configured recovery target was reached";

/// A throwaway that is what the snapshot was, with what is to be replayed.
pub(super) struct Prepared {
    pub(super) throwaway: BranchId,
    /// Segments, and the bytes of one; `None` if there is nothing to replay.
    wal: Option<(u64, u64)>,
}

impl Store {
    /// Makes a throwaway of what leads to `target`, with the WAL beside it.
    pub(super) fn prepare(
        &self,
        from: &BranchRow,
        target: Target,
        within: Within,
    ) -> Result<Prepared, StorageError> {
        let shared = &self.shared;
        let making = self.making();
        // Neither the snapshot nor the WAL goes meanwhile.
        let _kept = locked(&shared.old_wal);
        let way = self.way(from, target, within)?;
        let id = shared.metadata.reserve_branch(&shared.next_branch)?;
        crash_point!(PastReserved);
        let number = LayerId::random().context("name a throwaway in", shared.paths.store())?;
        let fork = {
            let cell = shared.cell(way.base.id);
            let _compute = locked(&cell.compute);
            if !self.is_as_made(&way.base)? {
                // Woken since it was found. Another one like it was kept then.
                let why = "the snapshot before it is being read for the first time; try again".to_owned();
                return Err(target.refused(from, why));
            }
            shared.driver.fork(way.base.id, id)?
        };
        let made = (|| {
            if let Some(wal) = &way.wal {
                let paths = shared.paths.branch(id);
                let folder = paths.folder().join(WAL_FOLDER);
                make_private(&folder, shared.account.as_ref())?;
                wal.give_to(&folder, shared.account.as_ref())?;
                let signal = paths.data().join("recovery.signal");
                write_new(&signal, b"").context("create", &signal)?;
                give(&signal, shared.account.as_ref())?;
            }
            crash_point!(PastWalGiven);
            let origin = if way.base.snapshot.is_some() { way.base.past.origin } else { Some(way.base.id) };
            let row = BranchRow {
                id,
                name: new_name(number),
                parent: Some(from.id),
                fork_lsn: Some(fork.lsn),
                created_ms: now_ms(),
                unsettled_boot: Some(shared.boot.clone()),
                trashed_ms: None,
                trashed_hours: None,
                trash_order: None,
                replaced_by: None,
                snapshot: None,
                fork_control: None,
                past: Past { origin, moment_us: None, made_control: None },
            };
            shared.metadata.transaction(|transaction| metadata::insert_branch(transaction, &row))
        })();
        if let Err(error) = made {
            shared.driver.discard(id);
            return Err(error);
        }
        crash_point!(PastThrowawayMade);
        drop(making);
        Ok(Prepared { throwaway: id, wal: way.wal.map(|wal| wal.measure()) })
    }

    /// Replays up to `target`, and puts the throwaway to sleep in good order.
    pub(super) fn replay(
        &self,
        prepared: &Prepared,
        from: &BranchRow,
        target: Target,
        progress: &dyn Progress,
    ) -> Result<(), StorageError> {
        let Some(wal) = prepared.wal else { return Ok(()) };
        match self.recover_to(prepared.throwaway, &from.name, Some(target), wal, progress) {
            Err(StorageError::StartFailed { source: ServerError::Exited { log, .. }, .. })
                if log.contains(ALL_IS_BEFORE) =>
            {
                self.recover_to(prepared.throwaway, &from.name, None, wal, progress)?;
            }
            other => other?,
        }
        crash_point!(PastReplayed);
        let _ = remove_tree(&self.shared.paths.branch(prepared.throwaway).folder().join(WAL_FOLDER));
        Ok(())
    }

    fn recover_to(
        &self,
        id: BranchId,
        name: &str,
        target: Option<Target>,
        wal: (u64, u64),
        progress: &dyn Progress,
    ) -> Result<(), StorageError> {
        let shared = &self.shared;
        let cell = shared.cell(id);
        let mut compute = locked(&cell.compute);
        let watch = Watcher { store: self, id, wal, progress, told: AtomicU64::new(u64::MAX) };
        let purpose = Purpose {
            settings: settings(target),
            cancelled: &|| watch.look(),
            recovers: true,
            patience: PATIENCE,
        };
        cell.set_state(ComputeState::Waking, None);
        let started = compute::start(shared, id, name, &purpose, || ());
        let stopped = started.and_then(|mut server: Server| {
            crash_point!(PastPromoted);
            let status = server.stop(StopMode::Fast, STOP_PATIENCE);
            shared.driver.close(id);
            match status {
                Ok(status) if status.success() => Ok(()),
                Ok(status) => Err(StorageError::StartFailed {
                    branch: name.to_owned(),
                    source: ServerError::Exited { status, log: server.log_tail() },
                }),
                Err(error) => Err(error.into()),
            }
        });
        compute.server = None;
        let _ = remove_tree(&shared.paths.sockets(id));
        cell.set_state(ComputeState::Asleep, None);
        match stopped {
            Err(StorageError::StartFailed { source: ServerError::Cancelled, .. }) => {
                Err(StorageError::Cancelled)
            }
            other => other,
        }
    }
}

/// What recovery is told. Whatever the cluster's files say of recovery is replaced.
fn settings(target: Option<Target>) -> Vec<(String, String)> {
    // By time, what was committed at that very microsecond belongs to it; by position, what begins there does not.
    let inclusive = if matches!(target, Some(Target::Lsn(_))) { "off" } else { "on" };
    let aim = match target {
        Some(Target::Time(us)) => Some(("recovery_target_time", super::time::timestamp(us))),
        // Nothing begins at 0, which Postgres would take for no position.
        Some(Target::Lsn(lsn)) => Some(("recovery_target_lsn", Lsn(lsn.0.max(1)).to_string())),
        None => None,
    };
    let always = [
        ("restore_command", format!("ln ../{WAL_FOLDER}/%f %p")),
        ("recovery_target_inclusive", inclusive.to_owned()),
        ("recovery_target_action", "promote".to_owned()),
        ("recovery_target_timeline", "current".to_owned()),
        ("archive_cleanup_command", String::new()),
        ("recovery_end_command", String::new()),
        ("primary_conninfo", String::new()),
        ("hot_standby", "off".to_owned()),
        ("archive_mode", "off".to_owned()),
        // The end of recovery is recognised by what Postgres says.
        ("lc_messages", "C".to_owned()),
        ("autovacuum", "off".to_owned()),
    ];
    // Postgres takes one aim only, and an empty one as a second.
    always.into_iter().chain(aim).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Tells how far a replay is, by the segments that it has asked for.
struct Watcher<'a> {
    store: &'a Store,
    id: BranchId,
    wal: (u64, u64),
    progress: &'a dyn Progress,
    told: AtomicU64,
}

impl Watcher<'_> {
    /// Whether the caller has cancelled.
    fn look(&self) -> bool {
        let (segments, bytes) = self.wal;
        let done = self.restored().min(segments).saturating_sub(1);
        if self.told.swap(done, Ordering::Relaxed) != done {
            self.progress.step("replaying WAL", done * bytes, Some(segments * bytes));
        }
        self.progress.is_cancelled()
    }

    /// Segments that recovery has taken: their names are in both folders.
    fn restored(&self) -> u64 {
        let paths = self.store.shared.paths.branch(self.id);
        let (taken, given) = (paths.data().join("pg_wal"), paths.folder().join(WAL_FOLDER));
        let Ok(entries) = std::fs::read_dir(given) else { return 0 };
        entries.flatten().filter(|entry| taken.join(entry.file_name()).exists()).count() as u64
    }
}

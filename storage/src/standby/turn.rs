//! One turn: what the source has written since the last one comes here.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use offshoot_postgres::physical::{self, PhysicalError, RELAY_PORT, Relay, Seen};
use offshoot_postgres::server::{Server, ServerError, ServerSpec, StopMode};
use offshoot_postgres::wal::SegmentName;
use offshoot_postgres::{Lsn, Progress};

use super::{FollowTrouble, Following, key, set};
use crate::BranchId;
use crate::compute;
use crate::error::{Context as _, StorageError};
use crate::files::remove_tree;
use crate::image::read_control;
use crate::store::{ComputeState, Store, locked, socket_folder};
use crate::throwaway::STANDBY;

/// How often is looked whether somebody has cancelled, or Postgres has ended.
const LOOK: Duration = Duration::from_millis(100);
/// So much WAL is compared with what was fetched before.
const COMPARED_BYTES: u64 = 256 << 10;
/// How long nothing may move, neither what arrives nor what is replayed.
const STALLED: Duration = Duration::from_mins(1);
/// How long a slot may be in the hands of a connection that the source has not noticed to be gone.
const HELD: Duration = Duration::from_secs(15);
/// How long the shutdown may take: a restartpoint on a slow disk.
const STOP_PATIENCE: Duration = Duration::from_mins(5);

/// What a turn brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The source when the turn began.
    pub seen: Seen,
    /// Up to where the standby has replayed.
    pub applied: Lsn,
    /// Whether the present root lacks some of it.
    pub has_news: bool,
    /// Whether the slot was gone and another one was made in time.
    pub slot_made_anew: bool,
}

/// How a run of the standby ended.
enum Ran {
    Reached(Lsn),
    Failed(PhysicalError),
}

impl Store {
    /// Fetches and replays what the source has by now. No Postgres starts if that is nothing new. `progress` is told of the WAL in bytes.
    ///
    /// # Errors
    /// [`StorageError::Follow`] with the state that following is in; [`StorageError::Cancelled`]; failures of Postgres here.
    pub fn fetch_followed(&self, progress: &dyn Progress) -> Result<Turn, StorageError> {
        let Some((following, standby)) = self.standby()? else {
            return Err(StorageError::Refused { what: "A turn".into(), why: "nothing is followed".into() });
        };
        let url = self.followed_url()?;
        let seen = physical::see(&url).map_err(FollowTrouble::of)?;
        self.check_same(&url, &following, &seen)?;
        let mut turn = Turn {
            has_news: following.applied > following.placed,
            applied: following.applied,
            slot_made_anew: false,
            seen,
        };
        let seen = &turn.seen;
        if seen.end == following.applied && self.standby_timeline(standby)? == seen.timeline {
            return Ok(turn);
        }
        let mut ran = self.run_standby(standby, &following, &url, seen, progress)?;
        if let Ran::Failed(PhysicalError::SlotLost { .. }) = ran {
            // As after a failover. What is missing may be there all the same.
            physical::create_slot(&url, &following.slot).map_err(FollowTrouble::of)?;
            ran = self.run_standby(standby, &following, &url, seen, progress)?;
            turn.slot_made_anew = true;
        }
        let applied = match ran {
            Ran::Reached(applied) => applied,
            Ran::Failed(error) => {
                let trouble = FollowTrouble::of(error);
                if matches!(trouble, FollowTrouble::SlotLost { .. })
                    && let Err(error) = physical::drop_slot(&url, &following.slot)
                {
                    // It would keep WAL that nobody can use.
                    tracing::warn!(%error, slot = following.slot, "a slot is left at the source");
                }
                return Err(trouble.into());
            }
        };
        self.shared.metadata.transaction(|transaction| {
            set(transaction, key::TIMELINE, &seen.timeline.to_string())?;
            set(transaction, key::APPLIED, &applied.0.to_string())
        })?;
        crash_point!(FollowFetched);
        if self.standby_timeline(standby)? != seen.timeline {
            // A fork recovers on the timeline of its last checkpoint, and would end where that one ends.
            return Err(FollowTrouble::TimelineSwitched { timeline: seen.timeline }.into());
        }
        turn.has_news = applied > following.placed;
        turn.applied = applied;
        Ok(turn)
    }

    /// What is followed, with its standby.
    pub(super) fn standby(&self) -> Result<Option<(Following, BranchId)>, StorageError> {
        Ok(self.following()?.and_then(|following| Some((following.clone(), following.standby?))))
    }

    fn standby_timeline(&self, standby: BranchId) -> Result<u32, StorageError> {
        Ok(read_control(&self.shared.paths.branch(standby).control_file())?.1.timeline)
    }

    /// Whether the source is the one that was copied, with a history that leads on from the standby's.
    pub(super) fn check_same(
        &self,
        url: &str,
        following: &Following,
        seen: &Seen,
    ) -> Result<(), StorageError> {
        let local = self.shared.info.postgres.version.major;
        if seen.major != local {
            return Err(FollowTrouble::OtherMajor { source_major: seen.major, local }.into());
        }
        let known = self.shared.metadata.property(key::SYSTEM)?.and_then(|text| text.parse().ok());
        if let Some(known) = known.filter(|known| *known != seen.system) {
            return Err(FollowTrouble::OtherSystem { found: seen.system, known }.into());
        }
        let (here, applied) = (following.timeline, following.applied);
        let diverged =
            |at| Err(FollowTrouble::Diverged { timeline: seen.timeline, here, at, applied }.into());
        if seen.timeline > here {
            let history = physical::history(url, seen.timeline).map_err(FollowTrouble::of)?;
            match history.into_iter().find(|(timeline, _)| *timeline == here) {
                Some((_, at)) if at < applied => return diverged(at),
                None => return diverged(Lsn(0)),
                Some(_) => {}
            }
        }
        if seen.timeline < here {
            return diverged(seen.end);
        }
        if seen.end < applied && seen.is_standby {
            let message = format!("a standby answers there that has come to {}; {applied} is here", seen.end);
            return Err(FollowTrouble::Disconnected(PhysicalError::Cut { message }).into());
        }
        if seen.end < applied || !self.has_same_wal(url, following, seen)? {
            return Err(FollowTrouble::Restored { timeline: here, at: seen.end, applied }.into());
        }
        Ok(())
    }

    /// Whether the source has the WAL that was fetched from it last. One that was restored and has written as much since has other WAL at
    /// the same positions: fetched, it would end in a record that makes no sense, or worse, in one that does.
    fn has_same_wal(&self, url: &str, following: &Following, seen: &Seen) -> Result<bool, StorageError> {
        let (timeline, applied) = (following.timeline, following.applied);
        let Some(standby) = following.standby.filter(|_| applied.0 > 0 && seen.end > applied) else {
            return Ok(true);
        };
        let branch = self.shared.paths.branch(standby);
        let size = read_control(&branch.control_file())?.1.wal_segment_size;
        let segment = SegmentName::containing(Lsn(applied.0 - 1), timeline, size);
        let begin = segment.start(size).0;
        let from = Lsn(begin.max(applied.0.saturating_sub(COMPARED_BYTES)));
        let path = branch.data().join("pg_wal").join(segment.file_name(size));
        let mut own = vec![0; (applied.0 - from.0) as usize];
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut own, from.0 - begin));
        if read.is_err() {
            // It may lie under another timeline by now: what is fetched tells.
            return Ok(true);
        }
        match physical::read_wal(url, timeline, from, applied) {
            Ok(wal) => Ok(own.starts_with(&wal)),
            // What is gone is told of by the slot.
            Err(PhysicalError::WalRemoved { .. } | PhysicalError::SlotLost { .. }) => Ok(true),
            Err(error) => Err(FollowTrouble::of(error).into()),
        }
    }

    /// Lets the standby run until it has replayed what the source had when it was looked at.
    fn run_standby(
        &self,
        id: BranchId,
        following: &Following,
        url: &str,
        seen: &Seen,
        progress: &dyn Progress,
    ) -> Result<Ran, StorageError> {
        let shared = &self.shared;
        let failed = |source| StorageError::StartFailed { branch: STANDBY.to_owned(), source };
        let cell = shared.cell(id);
        let _compute = locked(&cell.compute);
        offshoot_postgres::server::stop_orphan(&shared.paths.branch(id).data(), shared.account.as_ref())
            .map_err(failed)?;
        let sockets = socket_folder(shared, id)?;
        let relay = Relay::start(url, &sockets).context("listen in", &sockets)?;
        let opened = shared.driver.open(id)?;
        cell.set_state(ComputeState::Waking, None);
        let ran = (|| {
            let spec = ServerSpec {
                installation: shared.info.postgres.clone(),
                data_dir: opened.data_dir,
                socket_dir: sockets.clone(),
                log_file: shared.paths.branch(id).log(),
                account: shared.account.clone(),
                settings: settings(&compute::settings(shared, STANDBY), &sockets, &following.slot, seen),
                env: opened.env,
            };
            let mut server = Server::spawn(&spec).map_err(failed)?;
            crash_point!(FollowStarted);
            let ran = wait(&relay, &mut server, (following.applied, seen.end), progress);
            if matches!(ran, Ok(Ran::Reached(_))) {
                shared.driver.check_active(id, server.pid())?;
            }
            let status = server.stop(StopMode::Fast, STOP_PATIENCE)?;
            if !status.success() {
                tracing::warn!(%status, "the standby did not stop in good order; it will replay more");
            }
            ran
        })();
        drop(relay);
        shared.driver.close(id);
        let _ = remove_tree(&sockets);
        cell.set_state(ComputeState::Asleep, None);
        ran
    }
}

/// Waits until the standby has replayed up to `to`.
fn wait(
    relay: &Relay,
    server: &mut Server,
    (from, to): (Lsn, Lsn),
    progress: &dyn Progress,
) -> Result<Ran, StorageError> {
    let (begun, mut moved, mut last) = (Instant::now(), Instant::now(), (Lsn(0), Lsn(0)));
    // The first time, it is not known where WAL begins.
    let total = (from.0 > 0).then(|| to.0.saturating_sub(from.0));
    loop {
        let (at, failure) = relay.look(LOOK, |passed| {
            let failure = match &passed.failure {
                Some(PhysicalError::SlotInUse { .. }) if begun.elapsed() < HELD => None,
                Some(_) => passed.failure.take(),
                None => None,
            };
            ((passed.flushed, passed.applied), failure)
        });
        if at.1 >= to {
            return Ok(Ran::Reached(at.1));
        }
        if let Some(failure) = failure {
            return Ok(Ran::Failed(failure));
        }
        if let Some(status) = server.try_wait().map_err(ServerError::Io)? {
            return Err(ended(status, server.log_tail()));
        }
        if progress.is_cancelled() {
            return Err(StorageError::Cancelled);
        }
        if at != last {
            (last, moved) = (at, Instant::now());
            progress.step("Fetch changes of the source", at.1.0.saturating_sub(from.0.min(at.1.0)), total);
        }
        if moved.elapsed() >= STALLED {
            let message = format!("nothing has come for {} s: {}", STALLED.as_secs(), server.log_tail());
            return Ok(Ran::Failed(PhysicalError::Cut { message }));
        }
    }
}

/// Why the standby has ended by itself.
fn ended(status: ExitStatus, log: String) -> StorageError {
    if log.contains("No space left on device") {
        return StorageError::DiskFull { context: "replay the source's changes".into() };
    }
    let source = ServerError::Exited { status, log };
    StorageError::StartFailed { branch: STANDBY.to_owned(), source }
}

/// What makes a Postgres the standby. On the command line, so that no fork of it has any of this.
fn settings(
    own: &[(String, String)],
    sockets: &std::path::Path,
    slot: &str,
    seen: &Seen,
) -> Vec<(String, String)> {
    // A path in a connection string: in single quotes, with backslashes before what ends them.
    let folder = sockets.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
    let always = [
        (
            "primary_conninfo",
            format!(
                "host='{folder}' port={RELAY_PORT} user=standby sslmode=disable gssencmode=disable application_name=offshoot"
            ),
        ),
        ("primary_slot_name", slot.to_owned()),
        ("recovery_target_timeline", "latest".to_owned()),
        ("restore_command", String::new()),
        ("archive_cleanup_command", String::new()),
        ("recovery_end_command", String::new()),
        // Nobody asks it anything, and what the source allows for more of than it is no hindrance then.
        ("hot_standby", "off".to_owned()),
        ("archive_mode", "off".to_owned()),
        ("wal_keep_size", "0".to_owned()),
        ("wal_receiver_timeout", "30s".to_owned()),
        ("wal_receiver_status_interval", "1s".to_owned()),
        ("wal_retrieve_retry_interval", "500ms".to_owned()),
        ("max_prepared_transactions", seen.prepared.clone().unwrap_or_else(|| "0".into())),
        ("shared_preload_libraries", String::new()),
        ("shared_buffers", "128MB".to_owned()),
        ("lc_messages", "C".to_owned()),
    ];
    let always = always.into_iter().map(|(name, value)| (name.to_owned(), value));
    own.iter().cloned().chain(always).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_full_disk_is_told_as_one_and_not_as_the_log_of_the_standby() {
        let log = "PANIC:  could not write to WAL segment 18 at offset 8048640: No space left on device\n\
                   LOG:  all server processes terminated; reinitializing";
        let told = ended(ExitStatus::from_raw(256), log.into());
        assert!(matches!(told, StorageError::DiskFull { .. }), "{told}");
        let other = ended(ExitStatus::from_raw(256), "FATAL:  something else".into());
        assert!(matches!(other, StorageError::StartFailed { .. }), "{other}");
    }
}

//! Waking and sleeping: the Postgres server of a branch.

use std::path::{Path, PathBuf};
use std::sync::{Arc, TryLockError};
use std::time::{Duration, Instant};

use offshoot_postgres::server::{Server, ServerSpec, StopMode};

use crate::error::StorageError;
use crate::files::remove_tree;
use crate::image::{WalMark, wal_mark};
use crate::past::KEEP_WAL;
use crate::store::{Cell, ComputeState, Shared, Store, locked, socket_folder};
use crate::stuck::Watch;
use crate::throwaway::is_unlisted;
use crate::{BranchId, LayerId};

/// How long a start may take: replay of much WAL on a slow disk.
const START_PATIENCE: Duration = Duration::from_mins(10);
/// How long a clean shutdown may take before Postgres is stopped as if it crashed.
const STOP_PATIENCE: Duration = Duration::from_mins(1);
/// WAL since its last checkpoint that a quiet branch keeps.
const QUIET_REPLAY_BYTES: u64 = 64 << 10;
/// How long a checkpoint that nobody waits for may take.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(15);

/// The server of a branch, if it runs.
#[derive(Default)]
pub(crate) struct Compute {
    pub(crate) server: Option<Server>,
    /// The WAL when [`Store::checkpoint_quiet`] last looked.
    last_mark: Option<WalMark>,
    pub(crate) watch: Watch,
}

/// Settings that make Postgres part of a branch; they win over the user's. `fsync`, `full_page_writes` and
/// checksums stay as they are: on.
const FIXED_SETTINGS: [(&str, &str); 9] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("fsync", "on"),
    ("full_page_writes", "on"),
    // After a crash, one call makes the small files durable. The layers are by then.
    ("recovery_init_sync_method", "syncfs"),
    // Segments are never overwritten, so that a branch can link them; they hold only what was written.
    ("wal_recycle", "off"),
    ("wal_init_zero", "off"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
];

/// Settings that the user may replace: a laptop has many branches, each with little to do.
const DEFAULT_SETTINGS: [(&str, &str); 4] = [
    ("shared_buffers", "32MB"),
    ("max_connections", "100"),
    ("dynamic_shared_memory_type", "posix"),
    // A branch would take the changes that its parent is subscribed to away from it.
    ("max_logical_replication_workers", "0"),
];

impl Store {
    /// Wakes a branch and returns its socket. Immediate when it is awake; callers at the same time share one start.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`], [`StorageError::StartFailed`] with the end of Postgres's log,
    /// [`StorageError::Refused`].
    pub fn wake(&self, id: BranchId) -> Result<PathBuf, StorageError> {
        let cell = self.shared.cell(id);
        // Taken before the branch, as everywhere: its first wake makes a snapshot.
        let is_first = cell.state() != ComputeState::Awake
            && self
                .shared
                .live_row(id)
                .and_then(|row| self.kept_before_waking(&row))
                .is_ok_and(|kept| kept.is_some());
        let making = is_first.then(|| self.making());
        let mut compute = match cell.compute.try_lock() {
            Ok(compute) => compute,
            // A branch is being made of it, which may take long; it answers meanwhile.
            Err(TryLockError::WouldBlock) if cell.state() == ComputeState::Awake => {
                return Ok(offshoot_postgres::server::socket_in(&self.shared.paths.sockets(id)));
            }
            Err(_) => locked(&cell.compute),
        };
        if let Some(server) = &mut compute.server {
            if matches!(server.try_wait(), Ok(None)) {
                return Ok(server.socket_path());
            }
            bury(&self.shared, id, &cell, &mut compute);
        }
        let row = self.shared.live_row(id)?;
        cell.set_state(ComputeState::Waking, None);
        let mut copy = making.as_ref().and_then(|_| self.copy_before_waking(&row));
        let while_it_starts = || {
            if let Some((copy, kind)) = copy.take() {
                self.keep_copy(&row, copy, kind);
            }
            drop(making);
        };
        let started = start(&self.shared, id, &row.name, &Purpose::clients(), while_it_starts);
        if let Some((unused, _)) = copy {
            self.shared.driver.discard(unused);
        }
        match started {
            Ok(server) => {
                crash_point!(WakeStarted);
                let socket = server.socket_path();
                compute.server = Some(server);
                cell.set_state(ComputeState::Awake, None);
                tracing::info!(branch = row.name, "awake");
                Ok(socket)
            }
            Err(error) => {
                cell.set_state(ComputeState::Failed, Some(error.to_string()));
                tracing::error!(branch = row.name, %error, "did not wake");
                Err(error)
            }
        }
    }

    /// Puts a branch to sleep by a clean shutdown. Its connections end.
    pub fn sleep(&self, id: BranchId) -> Result<(), StorageError> {
        let cell = self.shared.cell(id);
        let mut compute = locked(&cell.compute);
        stop(&self.shared, id, &cell, &mut compute)
    }

    /// Notices servers that ended by themselves, and returns their branches. They are asleep then.
    pub fn poll_exits(&self) -> Vec<BranchId> {
        let mut ended = Vec::new();
        for (id, cell) in self.cells() {
            // Somebody wakes it or stops it: no need to look.
            let Ok(mut compute) = cell.compute.try_lock() else { continue };
            let gone = compute.server.as_mut().is_some_and(|server| !matches!(server.try_wait(), Ok(None)));
            if gone {
                bury(&self.shared, id, &cell, &mut compute);
                ended.push(id);
            }
        }
        ended
    }
}

impl Store {
    /// Writes a checkpoint in each awake branch that has much WAL since its last one and has not written since the
    /// previous call. Then the next branch of it need not wait for one. Call it every few seconds; it may take as
    /// long as the checkpoints, and holds nothing up meanwhile.
    pub fn checkpoint_quiet(&self) {
        for (id, cell) in self.cells() {
            let Ok(mut compute) = cell.compute.try_lock() else { continue };
            let Some(socket) = compute.server.as_ref().map(Server::socket_path) else { continue };
            let Ok(mark) = wal_mark(&self.shared.paths.branch(id)) else { continue };
            let quiet = compute.last_mark.replace(mark) == Some(mark);
            drop(compute);
            if !quiet || mark.replay <= QUIET_REPLAY_BYTES {
                continue;
            }
            if let Err(error) = checkpoint(&self.shared, &socket, CHECKPOINT_PATIENCE) {
                tracing::warn!(branch = %id, %error, "no checkpoint while the branch is quiet");
            }
        }
    }

    pub(crate) fn cells(&self) -> Vec<(BranchId, Arc<Cell>)> {
        locked(&self.shared.cells).iter().map(|(id, cell)| (*id, Arc::clone(cell))).collect()
    }
}

/// What a server is started for.
pub(crate) struct Purpose<'a> {
    /// Settings that win over all others.
    pub(crate) settings: Vec<(String, String)>,
    /// Asked again and again until the server is ready; it is stopped when the answer is yes.
    pub(crate) cancelled: &'a dyn Fn() -> bool,
    /// Whether it recovers to a moment, as a standby at first.
    pub(crate) recovers: bool,
    /// How long it may take.
    pub(crate) patience: Duration,
}

impl Purpose<'_> {
    /// To take connections.
    fn clients() -> Self {
        Self { settings: Vec::new(), cancelled: &|| false, recovers: false, patience: START_PATIENCE }
    }
}

/// Starts the branch's server. `meanwhile` is done before it takes connections; if that does not come to pass, never.
pub(crate) fn start(
    shared: &Shared,
    id: BranchId,
    name: &str,
    purpose: &Purpose<'_>,
    meanwhile: impl FnOnce(),
) -> Result<Server, StorageError> {
    let failed = |source| StorageError::StartFailed { branch: name.to_owned(), source };
    let data = shared.paths.branch(id).data();
    offshoot_postgres::server::stop_orphan(&data, shared.account.as_ref()).map_err(failed)?;
    let opened = shared.driver.open(id)?;
    let started = (|| {
        let spec = ServerSpec {
            installation: shared.info.postgres.clone(),
            data_dir: opened.data_dir,
            socket_dir: socket_folder(shared, id)?,
            log_file: shared.paths.branch(id).log(),
            account: shared.account.clone(),
            settings: [settings(shared, name), purpose.settings.clone()].concat(),
            env: opened.env,
        };
        let mut server = Server::spawn(&spec).map_err(failed)?;
        meanwhile();
        let deadline = Instant::now() + purpose.patience;
        let ready = if purpose.recovers {
            server.wait_recovered(deadline, purpose.cancelled)
        } else {
            server.wait_ready(deadline, purpose.cancelled)
        };
        ready.map_err(failed)?;
        shared.driver.check_active(id, server.pid())?;
        Ok(server)
    })();
    if started.is_err() {
        shared.driver.close(id);
    }
    started
}

pub(crate) fn settings(shared: &Shared, name: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    all.extend(DEFAULT_SETTINGS.iter().map(own));
    if shared.info.postgres.version.major >= 18 {
        all.push(("io_method".into(), "worker".into()));
    }
    // Postgres takes printable ASCII only.
    let printable: String =
        name.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).take(40).collect();
    all.push(("cluster_name".into(), printable));
    all.extend(locked(&shared.settings).iter().cloned());
    all.extend(FIXED_SETTINGS.iter().map(own));
    if shared.keeps_past() && !is_unlisted(name) {
        all.push((KEEP_WAL.0.to_owned(), KEEP_WAL.1.to_owned()));
    }
    all
}

/// Stops the branch's server, if it runs.
pub(crate) fn stop(
    shared: &Shared,
    id: BranchId,
    cell: &Cell,
    compute: &mut Compute,
) -> Result<(), StorageError> {
    let Some(server) = &mut compute.server else { return Ok(()) };
    cell.set_state(ComputeState::Stopping, None);
    let result = server.stop(StopMode::Fast, STOP_PATIENCE);
    match result {
        Ok(status) => {
            if !status.success() {
                tracing::warn!(%status, branch = %id, "Postgres did not stop in good order; it will recover");
            }
            put_away(shared, id, cell, compute);
            Ok(())
        }
        Err(error) => {
            cell.set_state(ComputeState::Failed, Some(error.to_string()));
            Err(error.into())
        }
    }
}

/// Clears up after a server that ended by itself.
pub(crate) fn bury(shared: &Shared, id: BranchId, cell: &Cell, compute: &mut Compute) {
    if let Some(server) = &mut compute.server {
        tracing::warn!(branch = %id, log = server.log_tail(), "Postgres ended by itself");
        if let Err(error) = server.stop(StopMode::Kill, STOP_PATIENCE) {
            tracing::error!(branch = %id, %error, "processes of the ended Postgres are left");
        }
    }
    put_away(shared, id, cell, compute);
}

fn put_away(shared: &Shared, id: BranchId, cell: &Cell, compute: &mut Compute) {
    compute.server = None;
    compute.watch = Watch::default();
    shared.driver.close(id);
    let _ = remove_tree(&shared.paths.sockets(id));
    cell.set_state(ComputeState::Asleep, None);
}

/// Writes a checkpoint in a running branch. It saves a child some replay and may fail for many reasons: no connection
/// is free, a role or a database was changed, the disk is slow.
pub(crate) fn checkpoint(shared: &Shared, socket: &Path, patience: Duration) -> Result<(), StorageError> {
    let failed = |error: postgres::Error| StorageError::Statement {
        context: "write a checkpoint",
        message: describe(&error),
    };
    let mut last = None;
    for database in [shared.info.database.as_str(), "postgres", "template1"] {
        match connect(shared, socket, database) {
            Ok(mut client) => {
                let limit = format!("SET statement_timeout = {}", patience.as_millis());
                // A statement's time is limited by what was set before it.
                return client
                    .batch_execute(&limit)
                    .and_then(|()| client.batch_execute("CHECKPOINT"))
                    .map_err(failed);
            }
            Err(error) => last = Some(error),
        }
    }
    last.map_or(Ok(()), |error| Err(failed(error)))
}

/// Connects as the engine itself.
pub(crate) fn connect(
    shared: &Shared,
    socket: &Path,
    database: &str,
) -> Result<postgres::Client, postgres::Error> {
    let folder = socket.parent().unwrap_or(socket);
    postgres::Config::new()
        .host_path(folder)
        .user(&shared.info.user)
        .password(&shared.password)
        .dbname(database)
        .application_name("offshoot engine")
        .connect_timeout(CHECKPOINT_PATIENCE)
        // Whatever database and role are set to: long enough for a checkpoint, not for ever, and nobody's code on the way.
        .options(&format!(
            "-c statement_timeout={} -c search_path=pg_catalog -c role=none{}",
            CHECKPOINT_PATIENCE.as_millis(),
            if shared.info.postgres.version.major >= 17 { " -c event_triggers=off" } else { "" }
        ))
        .connect(postgres::NoTls)
}

fn describe(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    }
}

/// A password: 32 hexadecimal digits.
pub(crate) fn new_password() -> std::io::Result<String> {
    Ok(format!("{}{}", LayerId::random()?, LayerId::random()?))
}

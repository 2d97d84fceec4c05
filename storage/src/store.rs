//! An open store: who owns it, what is in it, and what its branches are doing.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offshoot_postgres::account::Account;
use offshoot_postgres::{Installation, Lsn};

use crate::BranchId;
use crate::compute::Compute;
use crate::driver::{Driver, DriverKind};
use crate::error::StorageError;
use crate::files::make_private;
use crate::id::IdMap;
use crate::merge::Merged;
use crate::metadata::{BranchRow, Metadata};
use crate::past::RestoreWindow;
use crate::paths::Paths;
use crate::throwaway::is_unlisted;

/// What a branch's Postgres is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComputeState {
    /// No process; the next connection wakes it.
    Asleep,
    /// Starting.
    Waking,
    /// Taking connections.
    Awake,
    /// Shutting down.
    Stopping,
    /// The last start failed.
    Failed,
}

impl ComputeState {
    /// The state in one lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Waking => "waking",
            Self::Awake => "awake",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        }
    }
}

/// A live database branch.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Its number.
    pub id: BranchId,
    /// Its name.
    pub name: String,
    /// The branch that it was forked from, or that one's nearest ancestor that still lives.
    pub parent: Option<BranchId>,
    /// The parent's name.
    pub parent_name: Option<String>,
    /// Where in the parent's WAL it was forked, at the granularity of a WAL page (8 KiB).
    pub fork_lsn: Option<Lsn>,
    /// When it was made, or last reset.
    pub created_at: SystemTime,
    /// What its Postgres is doing.
    pub state: ComputeState,
    /// Why the last start failed.
    pub failure: Option<String>,
    /// Whether it is the first branch of the store.
    pub is_root: bool,
}

/// Bytes of a branch on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BranchSize {
    /// What deleting the branch would free.
    pub own_bytes: u64,
    /// What it reads together with other branches.
    pub shared_bytes: u64,
}

/// Facts about a store.
#[derive(Clone, Debug)]
pub struct StoreInfo {
    /// Its folder.
    pub path: PathBuf,
    /// The version of its format.
    pub format: u32,
    /// The database that it was made for.
    pub database: String,
    /// The role that owns it.
    pub user: String,
    /// How its branches are kept apart.
    pub driver: DriverKind,
    /// The Postgres that its branches run on.
    pub postgres: Installation,
    /// When it was made.
    pub created_at: SystemTime,
}

/// How to open a store.
#[derive(Clone, Debug)]
pub struct OpenStore {
    /// Its folder.
    pub dir: PathBuf,
    /// A folder for sockets, with a short path.
    pub runtime_dir: PathBuf,
    /// Whom to run Postgres as, when this process is root.
    pub account: Option<Account>,
    /// The library that puts layers under Postgres.
    pub interposer: PathBuf,
    /// Further settings of Postgres.
    pub settings: Vec<(String, String)>,
}

/// One branch's part of the store that changes while it is open.
#[derive(Default)]
pub(crate) struct Cell {
    /// Held while the branch is forked, woken, put to sleep or taken away.
    pub(crate) compute: Mutex<Compute>,
    state: AtomicU8,
    failure: Mutex<Option<String>>,
}

impl Cell {
    pub(crate) fn set_state(&self, state: ComputeState, failure: Option<String>) {
        *locked(&self.failure) = failure;
        self.state.store(state as u8, Ordering::SeqCst);
    }

    pub(crate) fn state(&self) -> ComputeState {
        match self.state.load(Ordering::SeqCst) {
            1 => ComputeState::Waking,
            2 => ComputeState::Awake,
            3 => ComputeState::Stopping,
            4 => ComputeState::Failed,
            _ => ComputeState::Asleep,
        }
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open store. It belongs to this process until it is closed or dropped.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) settler: Mutex<Option<Sender<BranchId>>>,
    pub(crate) settler_thread: Mutex<Option<JoinHandle<()>>>,
    /// Held for as long as the store is open.
    pub(crate) lock: File,
}

/// What the store's threads share.
pub(crate) struct Shared {
    pub(crate) info: StoreInfo,
    pub(crate) paths: Paths,
    pub(crate) password: String,
    pub(crate) account: Option<Account>,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) boot: String,
    /// The number of the branch on which all others rest.
    pub(crate) root: AtomicU64,
    pub(crate) cells: Mutex<IdMap<BranchId, Arc<Cell>>>,
    pub(crate) settings: Mutex<Vec<(String, String)>>,
    /// Read while a branch comes into being, written while what belongs to none is removed.
    pub(crate) making: RwLock<()>,
    pub(crate) next_branch: AtomicU64,
    /// Held while layers are merged, and while some are removed. Taken before `making`.
    pub(crate) merging: Mutex<()>,
    /// How far back branches can be made.
    pub(crate) restore: Mutex<Option<RestoreWindow>>,
    /// Held while WAL of the past is taken for a branch, and while some is removed.
    pub(crate) old_wal: Mutex<()>,
}

impl Store {
    /// Facts about the store.
    pub fn info(&self) -> &StoreInfo {
        &self.shared.info
    }

    /// The branch on which all others rest: the first one, or the state of it that took its place.
    pub fn root_branch(&self) -> BranchId {
        BranchId(self.shared.root.load(Ordering::SeqCst))
    }

    /// Takes in that `to` is the root branch if `from` was: the metadata say so.
    pub(crate) fn root_replaced(&self, from: BranchId, to: BranchId) {
        // Another answer means that it was not.
        let _ = self.shared.root.compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The password of [`StoreInfo::user`] on every branch.
    pub fn password(&self) -> &str {
        &self.shared.password
    }

    /// Further settings of Postgres, from the next wake on.
    pub fn set_postgres_settings(&self, settings: Vec<(String, String)>) {
        *locked(&self.shared.settings) = settings;
    }

    /// All live branches, oldest first; no throwaways.
    pub fn branches(&self) -> Result<Vec<Branch>, StorageError> {
        let is_wanted = |row: &&BranchRow| row.is_listed() && !is_unlisted(&row.name);
        self.shared.metadata.mirrored(|mirror| {
            let rows = || mirror.rows().filter(is_wanted);
            let names: IdMap<BranchId, &str> = rows().map(|row| (row.id, row.name.as_str())).collect();
            let cells = locked(&self.shared.cells);
            let describe = |row: &BranchRow| {
                let parent = row.parent.and_then(|parent| names.get(&parent)).map(|name| (*name).to_owned());
                self.describe(row, parent, cells.get(&row.id).map(Arc::as_ref))
            };
            rows().map(describe).collect()
        })
    }

    /// The live branch with this number.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`].
    pub fn branch(&self, id: BranchId) -> Result<Branch, StorageError> {
        let row = self.shared.live_row(id)?;
        let parent = match row.parent {
            Some(parent) => self.shared.metadata.branch(parent)?.map(|row| row.name),
            None => None,
        };
        let cell = self.shared.cell(row.id);
        Ok(self.describe(&row, parent, Some(&cell)))
    }

    /// The live branch with this name.
    pub fn branch_named(&self, name: &str) -> Result<Option<Branch>, StorageError> {
        match self.shared.metadata.live_branch(name)? {
            Some(row) if is_unlisted(&row.name) => Ok(None),
            Some(row) => self.branch(row.id).map(Some),
            None => Ok(None),
        }
    }

    /// `cell`: none of a branch that was not used yet.
    fn describe(&self, row: &BranchRow, parent_name: Option<String>, cell: Option<&Cell>) -> Branch {
        let state = cell.map_or(ComputeState::Asleep, Cell::state);
        let failed = cell.filter(|_| state == ComputeState::Failed);
        Branch {
            id: row.id,
            name: row.name.clone(),
            parent: row.parent,
            parent_name,
            fork_lsn: row.fork_lsn,
            created_at: UNIX_EPOCH + Duration::from_millis(row.created_ms),
            state,
            failure: failed.and_then(|cell| locked(&cell.failure).clone()),
            is_root: row.id == self.root_branch(),
        }
    }

    /// Measures a branch on the disk. Takes time in the number of its files, not of their bytes.
    pub fn size(&self, id: BranchId) -> Result<BranchSize, StorageError> {
        self.shared.driver.size(id)
    }

    /// Measures some branches on the disk, in their order, which takes much less time than each by itself: what sleeps is looked at once. The bytes of
    /// one that is awake may be some seconds old, if more than eight are.
    pub fn sizes(&self, ids: &[BranchId]) -> Result<Vec<BranchSize>, StorageError> {
        self.shared.driver.sizes(ids)
    }

    /// Merges layers on which only one other stands, and shortens stacks that are deeper than `max_depth` all the same;
    /// [`crate::MAX_DEPTH`] is a good one. Copies about `budget_bytes` of pages and returns; call it every few seconds.
    /// Branches are made meanwhile as always.
    ///
    /// # Errors
    /// [`StorageError::DiskFull`] and other failures of the disk. Nothing is lost then, and the next minute is rest.
    pub fn merge_quiet(&self, budget_bytes: u64, max_depth: usize) -> Result<Merged, StorageError> {
        let _turn = locked(&self.shared.merging);
        self.shared.driver.merge(budget_bytes, max_depth)
    }

    /// Where the branch's Postgres writes its log.
    pub fn log_path(&self, id: BranchId) -> PathBuf {
        self.shared.paths.branch(id).log()
    }

    /// The caller's note under `key` about a branch.
    pub fn note(&self, branch: BranchId, key: &str) -> Result<Option<String>, StorageError> {
        self.shared.metadata.note(branch, key)
    }

    /// Keeps a note of the caller's about a branch. It goes to the trash and back with the branch, and is removed with it.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`].
    pub fn set_note(&self, branch: BranchId, key: &str, value: &str) -> Result<(), StorageError> {
        if self.shared.metadata.set_note(branch, key, value)? {
            return Ok(());
        }
        Err(StorageError::NoSuchBranch { name: branch.to_string() })
    }

    /// The caller's notes under `key` about all branches, the trash among them.
    pub fn notes(&self, key: &str) -> Result<Vec<(BranchId, String)>, StorageError> {
        self.shared.metadata.notes(key)
    }

    /// The caller's note under `key`.
    pub fn get(&self, key: &str) -> Result<Option<String>, StorageError> {
        self.shared.metadata.setting(key)
    }

    /// Keeps a note of the caller's; `None` removes it.
    pub fn put(&self, key: &str, value: Option<&str>) -> Result<(), StorageError> {
        self.shared.metadata.set_setting(key, value)
    }

    /// The caller's notes whose keys begin with `prefix`, in order.
    pub fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, StorageError> {
        self.shared.metadata.settings(prefix)
    }

    /// Lets a new branch be made durable in the background.
    pub(crate) fn settle_soon(&self, branch: BranchId) {
        if let Some(settler) = locked(&self.settler).as_ref() {
            let _ = settler.send(branch);
        }
    }

    /// Puts every branch to sleep and finishes what runs in the background.
    ///
    /// # Errors
    /// The first failure; the other branches are put to sleep all the same.
    pub fn close(&self) -> Result<(), StorageError> {
        drop(locked(&self.settler).take());
        if let Some(thread) = locked(&self.settler_thread).take() {
            let _ = thread.join();
        }
        let ids: Vec<BranchId> = locked(&self.shared.cells).keys().copied().collect();
        let results: Vec<Result<(), StorageError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = ids.iter().map(|id| scope.spawn(|| self.sleep(*id))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        results.into_iter().collect::<Result<Vec<()>, _>>().map(|_| ())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "a branch was not put to sleep in good order");
        }
        let _ = self.lock.unlock();
    }
}

impl Shared {
    /// The part of the store that belongs to a branch.
    pub(crate) fn cell(&self, id: BranchId) -> Arc<Cell> {
        Arc::clone(locked(&self.cells).entry(id).or_default())
    }

    /// The row of a live branch, or of a snapshot of one.
    pub(crate) fn live_row(&self, id: BranchId) -> Result<BranchRow, StorageError> {
        match self.metadata.branch(id)? {
            // A snapshot goes to the trash with its branch, and is not written to.
            Some(row) if row.snapshot.is_some() => self.live_row(row.owner()).map(|_| row),
            Some(row) if row.trashed_ms.is_none() => Ok(row),
            _ => Err(StorageError::NoSuchBranch { name: id.to_string() }),
        }
    }

    /// The row of a live branch that is no snapshot.
    pub(crate) fn branch_row(&self, id: BranchId) -> Result<BranchRow, StorageError> {
        let row = self.live_row(id)?;
        if row.snapshot.is_some() {
            return Err(StorageError::NoSuchBranch { name: id.to_string() });
        }
        Ok(row)
    }
}

/// The folder for a branch's socket.
pub(crate) fn socket_folder(shared: &Shared, branch: BranchId) -> Result<PathBuf, StorageError> {
    let folder = shared.paths.sockets(branch);
    make_private(&folder, shared.account.as_ref())?;
    Ok(folder)
}

//! The driver of page layers: branches share frozen layers and write into one of their own.
//!
//! How a running branch is forked, and why a kill at any moment leaves the old state or the new one:
//!
//! 1. A new top layer for the parent is committed to the metadata. As long as nobody writes to it, the parent
//!    reads the same through it, so this is true already and harmless if nothing follows.
//! 2. The gate is closed. The small files are brought up to date, the parent's processes get the new stack, the
//!    gate opens. Nothing here waits for the disk.
//! 3. The child's stack and row are committed together: now it exists. Before that, what was made of it belongs
//!    to nobody and is removed by [`Driver::recover`].
//! 4. In the background the frozen layer is made durable ([`Driver::settle`]). A branch is not opened before
//!    that: its recovery takes pages of the frozen layer for granted and never writes them again.

mod freeze;

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use offshoot_pages::control::{self, ControlRef, StackLayer};
use offshoot_postgres::account::Account;
use rusqlite::Transaction;

use crate::driver::{Driver, Fork, Opened};
use crate::error::{Context as _, StorageError};
use crate::files::{give, make_private, remove_others, remove_tree, sync_folder, sync_tree};
use crate::id::IdMap;
use crate::image::{Image, make_skeleton, read_control};
use crate::merge::{Merged, Merging};
use crate::metadata::{self, Metadata};
use crate::paths::{BranchPaths, Paths};
use crate::usage::{self, Counted, Tally, Usage};
use crate::{BranchId, BranchSize, ChangedBlocks, LayerId, boot, changed, layers};

/// How long a fork waits for a process in the middle of a write.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct PageLayers {
    pub(crate) paths: Paths,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) account: Option<Account>,
    interposer: PathBuf,
    boot: String,
    /// Control blocks of the branches that are open.
    pub(crate) open: Mutex<HashMap<BranchId, OpenControl>>,
    /// One settling at a time: the second finds the work done.
    settling: Mutex<()>,
    /// Held while a stack in the metadata is ahead of the one that its processes have.
    pub(crate) freezing: Mutex<()>,
    /// Read while a fork has read a stack that it has not committed yet; written while stacks get other layers that say
    /// the same. Taken before `freezing`, and that before `open`.
    pub(crate) shape: RwLock<()>,
    /// What is being merged. Held while files of layers are removed.
    pub(crate) merging: Mutex<Merging>,
    /// Bytes of layers that no longer change.
    pub(crate) frozen_bytes: Mutex<IdMap<LayerId, u64>>,
    /// Bytes of the folders and top layers of branches that sleep.
    pub(crate) sleeping_bytes: Mutex<IdMap<BranchId, Counted>>,
    /// The same of branches that are awake.
    pub(crate) awake_bytes: Mutex<IdMap<BranchId, Counted>>,
    /// Counts the steps of merging that changed frozen layers.
    pub(crate) merges: AtomicU64,
    /// Taken before the other locks here, and never while one of them is held.
    pub(crate) tally: Mutex<Tally>,
}

pub(crate) struct OpenControl(pub(crate) ControlRef);

impl Drop for OpenControl {
    fn drop(&mut self) {
        // SAFETY: copies are made only while the map of open branches is locked, and dropped before it opens.
        unsafe { self.0.unmap() };
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PageLayers {
    pub(crate) fn new(
        paths: Paths,
        metadata: Arc<Metadata>,
        account: Option<Account>,
        interposer: PathBuf,
    ) -> Result<Self, StorageError> {
        let boot = boot::id(paths.store())?;
        Ok(Self {
            paths,
            metadata,
            account,
            interposer,
            boot,
            open: Mutex::default(),
            settling: Mutex::default(),
            freezing: Mutex::default(),
            shape: RwLock::default(),
            merging: Mutex::default(),
            frozen_bytes: Mutex::default(),
            sleeping_bytes: Mutex::default(),
            awake_bytes: Mutex::default(),
            merges: AtomicU64::new(0),
            tally: Mutex::default(),
        })
    }

    pub(crate) fn make_layer(&self) -> Result<LayerId, StorageError> {
        let id = LayerId::random().context("name a layer in", &self.paths.layers())?;
        make_private(&self.paths.layer(id), self.account.as_ref())?;
        sync_folder(&self.paths.layers()).context("sync", &self.paths.layers())?;
        Ok(id)
    }

    fn is_clean(paths: &BranchPaths) -> Result<bool, StorageError> {
        let (_, control) = read_control(&paths.control_file())?;
        Ok(control.state.is_clean())
    }

    /// The uppermost layer of a stack.
    fn top(&self, stack: &[StackLayer]) -> Result<LayerId, StorageError> {
        let damaged =
            || StorageError::Damaged { path: self.paths.metadata(), what: "a branch has no layers".into() };
        stack.first().map(|layer| LayerId(layer.id)).ok_or_else(damaged)
    }

    fn fork_into(&self, parent: BranchId, child: BranchId) -> Result<Fork, StorageError> {
        let (source, target) = (self.paths.branch(parent), self.paths.branch(child));
        let image = Image::begin(&source, &target, self.account.as_ref(), || self.quiesce(parent))?;
        crash_point!(CreateImageCopied);
        let _shape = self.shape.read().unwrap_or_else(PoisonError::into_inner);
        let (below, lsn) = self.freeze(parent, image)?;
        let control = self.control(child)?;
        Image::hand_over(&target, self.account.as_ref())?;
        crash_point!(CreateImageGiven);
        let top = self.make_layer()?;
        crash_point!(CreateTopMade);
        let committed = self
            .metadata
            .transaction(|transaction| metadata::write_stack(transaction, child, top, &below, &self.boot));
        if let Err(error) = committed {
            let _ = remove_tree(&self.paths.layer(top));
            return Err(error);
        }
        crash_point!(CreateStackCommitted);
        Ok(Fork { lsn, control })
    }

    fn copy_files(&self, branch: BranchId, copy: BranchId) -> Result<(), StorageError> {
        let (source, target) = (self.paths.branch(branch), self.paths.branch(copy));
        let top = self.paths.layer(self.top(&self.metadata.stack(branch)?)?);
        if !layers::is_empty(&top)? {
            let what = "it was written to before the branch was ever awake".to_owned();
            return Err(StorageError::Damaged { path: top, what });
        }
        Image::take(&source, &target, self.account.as_ref())?;
        Image::hand_over(&target, self.account.as_ref())?;
        crash_point!(SnapshotImageCopied);
        Ok(())
    }

    fn keep_layers(
        &self,
        branch: BranchId,
        copy: BranchId,
        also: &dyn Fn(&Transaction<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        // Its entry gets to the disk when the copy is settled.
        let top = LayerId::random().context("name a layer in", &self.paths.layers())?;
        make_private(&self.paths.layer(top), self.account.as_ref())?;
        crash_point!(SnapshotTopMade);
        let _shape = self.shape.read().unwrap_or_else(PoisonError::into_inner);
        let stack = self.metadata.stack(branch)?;
        let committed = self.metadata.transaction(|transaction| {
            let below = stack.get(1..).unwrap_or_default();
            metadata::write_stack(transaction, copy, top, below, &self.boot)?;
            also(transaction)
        });
        if committed.is_err() {
            let _ = remove_tree(&self.paths.layer(top));
        }
        committed
    }

    /// Writes the control block of a branch and maps it.
    fn open_control(&self, branch: BranchId) -> Result<(), StorageError> {
        let paths = self.paths.branch(branch);
        let block = paths.control_block();
        let first = LayerId::random().context("number the files of", paths.folder())?.0;
        // The layers below the top may be merged until the control block is known.
        let _freezing = locked(&self.freezing);
        let stack = self.metadata.stack(branch)?;
        control::write_new(&block, &stack, first).context("write", &block)?;
        give(&block, self.account.as_ref())?;
        let lock = paths.namespace_lock();
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&lock)
            .context("create", &lock)?;
        give(&lock, self.account.as_ref())?;
        let path = CString::new(block.as_os_str().as_bytes()).map_err(|_| StorageError::Damaged {
            path: block.clone(),
            what: "its name holds a NUL byte".into(),
        })?;
        let control = control::open(&path)
            .map_err(|error| StorageError::Damaged { path: block, what: format!("{error:?}") })?;
        locked(&self.open).insert(branch, OpenControl(control));
        Ok(())
    }

    fn mark_durable(&self, layer: LayerId) -> Result<(), StorageError> {
        self.metadata.set_layer_boot(layer, None)?;
        for OpenControl(control) in locked(&self.open).values() {
            control.set_durable(layer.0);
        }
        Ok(())
    }
}

impl Driver for PageLayers {
    fn recover(&self) -> Result<(), StorageError> {
        self.metadata.lose_unsettled(&self.boot)?;
        for layer in self.metadata.layers_of_other_boots(&self.boot)? {
            layers::rebuild(&self.paths.layer(layer))?;
            self.metadata.set_layer_boot(layer, Some(&self.boot))?;
        }
        self.reclaim()
    }

    fn open(&self, branch: BranchId) -> Result<Opened, StorageError> {
        let paths = self.paths.branch(branch);
        self.settle(branch)?;
        let top = self.top(&self.metadata.stack(branch)?)?;
        if !Self::is_clean(&paths)? {
            // Recovery skips pages that are up to date and never syncs them: they must be durable before.
            layers::sync(&self.paths.layer(top))?;
            crash_point!(WakeLayerSynced);
        }
        make_skeleton(&paths.data(), self.account.as_ref())?;
        self.open_control(branch)?;
        crash_point!(WakeControlWritten);
        let env = [
            ("LD_PRELOAD", self.interposer.clone()),
            ("OFFSHOOT_DATA_DIR", paths.data()),
            ("OFFSHOOT_LAYERS_DIR", self.paths.layers()),
        ];
        Ok(Opened {
            data_dir: paths.data(),
            env: env.map(|(name, value)| (name.into(), value.into())).to_vec(),
        })
    }

    fn check_active(&self, branch: BranchId, postmaster: u32) -> Result<(), StorageError> {
        let attached = locked(&self.open).get(&branch).and_then(|OpenControl(control)| control.attached());
        if attached == i32::try_from(postmaster).ok() {
            return Ok(());
        }
        Err(StorageError::Refused {
            what: "This Postgres".into(),
            why: "it started without loading the interposer, so that it would not see the branch's data"
                .into(),
        })
    }

    fn close(&self, branch: BranchId) {
        locked(&self.open).remove(&branch);
        let _ = fs::remove_file(self.paths.branch(branch).control_block());
        locked(&self.sleeping_bytes).remove(&branch);
    }

    fn fork(&self, parent: BranchId, child: BranchId) -> Result<Fork, StorageError> {
        let result = self.fork_into(parent, child);
        if result.is_err() {
            self.discard(child);
        }
        result
    }

    fn control(&self, branch: BranchId) -> Result<u32, StorageError> {
        Ok(read_control(&self.paths.branch(branch).control_file())?.1.checksum)
    }

    fn copy(&self, branch: BranchId, copy: BranchId) -> Result<(), StorageError> {
        self.copy_files(branch, copy).inspect_err(|_| self.discard(copy))
    }

    fn keep(
        &self,
        branch: BranchId,
        copy: BranchId,
        also: &dyn Fn(&Transaction<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        self.keep_layers(branch, copy, also).inspect_err(|_| self.discard(copy))
    }

    fn discard(&self, child: BranchId) {
        let top = self.metadata.stack(child).ok().and_then(|stack| stack.first().copied());
        // If the metadata cannot be written now, the next start of the engine removes all of it.
        let forgotten =
            self.metadata.transaction(|transaction| metadata::forget_branch(transaction, child)).is_ok();
        if forgotten && let Some(top) = top {
            let _ = remove_tree(&self.paths.layer(LayerId(top.id)));
        }
        let _ = remove_tree(self.paths.branch(child).folder());
    }

    fn settle(&self, branch: BranchId) -> Result<(), StorageError> {
        let is_settled = || -> Result<bool, StorageError> {
            let frozen_durable = self.frozen_layers(branch)?.iter().all(|layer| layer.durable);
            let row = self.metadata.branch(branch)?;
            Ok(frozen_durable && row.is_none_or(|row| row.unsettled_boot.is_none()))
        };
        if is_settled()? {
            return Ok(());
        }
        let _one = locked(&self.settling);
        for layer in self.frozen_layers(branch)?.iter().rev().filter(|layer| !layer.durable) {
            layers::sync(&self.paths.layer(LayerId(layer.id)))?;
            crash_point!(SettleLayerSynced);
            self.mark_durable(LayerId(layer.id))?;
            crash_point!(SettleLayerMarked);
        }
        let unsettled = self.metadata.branch(branch)?.is_some_and(|row| row.unsettled_boot.is_some());
        if unsettled {
            let folder = self.paths.branch(branch);
            sync_tree(folder.folder()).context("sync", folder.folder())?;
            sync_folder(&self.paths.branches()).context("sync", &self.paths.branches())?;
            sync_folder(&self.paths.layers()).context("sync", &self.paths.layers())?;
            crash_point!(SettleFolderSynced);
            self.metadata.set_settled(branch)?;
            crash_point!(SettleDone);
        }
        Ok(())
    }

    fn merge(&self, budget_bytes: u64, max_depth: usize) -> Result<Merged, StorageError> {
        self.merge_some(budget_bytes, max_depth)
    }

    fn reclaim(&self) -> Result<(), StorageError> {
        let merging = locked(&self.merging);
        let branches: HashSet<BranchId> = self.metadata.branches()?.into_iter().map(|row| row.id).collect();
        let used = self.metadata.stacked_layers()?;
        for orphan in used.iter().map(|(branch, _)| *branch).filter(|branch| !branches.contains(branch)) {
            self.metadata.transaction(|transaction| metadata::forget_branch(transaction, orphan))?;
        }
        let used = self.metadata.stacked_layers()?;
        let used: HashSet<String> = used
            .into_iter()
            .map(|(_, layer)| layer)
            .chain(merging.unpublished())
            .map(|layer| layer.to_string())
            .collect();
        remove_others(&self.paths.layers(), &|name| used.contains(name))?;
        let names: HashSet<String> = branches.iter().map(ToString::to_string).collect();
        remove_others(&self.paths.branches(), &|name| names.contains(name))?;
        locked(&self.frozen_bytes).retain(|layer, _| used.contains(&layer.to_string()));
        locked(&self.sleeping_bytes).retain(|branch, _| branches.contains(branch));
        Ok(())
    }

    fn changed_blocks(
        &self,
        one: BranchId,
        other: BranchId,
        database: u32,
    ) -> Result<ChangedBlocks, StorageError> {
        let (one, other) = (self.metadata.stack(one)?, self.metadata.stack(other)?);
        changed::between_stacks(&one, &other, database, |layer| self.paths.layer(layer))
    }

    fn only_read_by(&self, branches: &[BranchId]) -> Result<u64, StorageError> {
        let mut theirs = HashSet::new();
        let mut others = HashSet::new();
        for (branch, layer) in self.metadata.stacked_layers()? {
            let readers = if branches.contains(&branch) { &mut theirs } else { &mut others };
            readers.insert(layer);
        }
        Ok(theirs.difference(&others).map(|layer| self.layer_bytes(*layer, true)).sum())
    }

    fn shortened(&self, branch: BranchId) {
        locked(&self.sleeping_bytes).remove(&branch);
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        usage::measure(&self.paths, &self.metadata)
    }

    fn size(&self, branch: BranchId) -> Result<BranchSize, StorageError> {
        usage::measure_branch(self, branch)
    }

    fn sizes(&self, branches: &[BranchId]) -> Result<Vec<BranchSize>, StorageError> {
        usage::measure_branches(self, branches)
    }
}

fn stalled_error(branch: BranchId, stalled: control::Stalled) -> StorageError {
    StorageError::Stalled { branch: branch.to_string(), pid: stalled.pid, seconds: PATIENCE.as_secs() }
}

#[cfg(test)]
mod tests;

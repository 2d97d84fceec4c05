//! The driver of clones: each branch has an ordinary data directory, whose files share blocks with those of others as long as
//! nobody writes to them. The file system does that: XFS with `reflink=1`, btrfs, APFS.
//!
//! How a running branch is cloned, file by file, although its Postgres goes on:
//!
//! 1. The control file is read. All that was changed before its redo point is in the files.
//! 2. The files are cloned, each at a moment of its own. What was changed since the redo point may be in one and not in
//!    another; but it is in the WAL, and Postgres writes no page before its WAL.
//! 3. The WAL is cloned from that redo point to the end as it is *after* the last file. So it has every change that is in any
//!    file. The first change of a page since the redo point is there with the whole page: a torn one does no harm.
//! 4. The control file is written into the child, last: an incomplete child has none.
//!
//! The child's Postgres replays as after a crash. That is the order of the backup protocol (start point first, WAL last), without its
//! switch to another WAL segment and its connection: the control file that was read stands for the label. It relies on
//! `full_page_writes`, which the store keeps on, and on a `wal_level` above `minimal`, under which new files would not be in the WAL; that
//! is refused. Where the data directory is a subvolume of btrfs, all of it is cloned at one moment instead.
//!
//! A branch that sleeps in good order is cloned the same way, and there is nothing to replay.
//!
//! A child comes into being with the commit of its row. Until then it is a folder that no row names, and
//! [`Driver::recover`] removes it. In the background it is made durable ([`Driver::settle`]); after a crash of the machine, a
//! branch that was not is gone. A branch is not opened before that.

mod ability;
mod changed;
mod data;
mod extents;
mod file;
mod size;
#[cfg(target_os = "linux")]
mod subvolume;
mod wal;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use offshoot_postgres::Lsn;
use offshoot_postgres::account::Account;
use rusqlite::Transaction;

pub use ability::{DriverChoice, choose_driver};

use crate::driver::{Driver, Fork, Opened};
use crate::error::{Context as _, StorageError};
use crate::files::{
    give, make_branch_folder, make_private, remove_others, remove_tree, sync_file_system, wait_for_removed,
    write_new,
};
#[cfg(target_os = "linux")]
use crate::image::{EMPTY_FOLDERS, OMITTED_FILES};
use crate::image::{make_skeleton, read_control, wal_mark};
use crate::merge::Merged;
use crate::metadata::{self, Metadata};
use crate::paths::{BranchPaths, Paths};
use crate::store::locked;
use crate::usage::Usage;
use crate::{BranchId, BranchSize, ChangedBlocks, boot};
use wal::WalClones;

/// A checkpoint of the parent may remove WAL before it is cloned; then all is begun again, this often in all.
const ATTEMPTS: usize = 5;

/// See the module.
pub(crate) struct Clones {
    paths: Paths,
    metadata: Arc<Metadata>,
    account: Option<Account>,
    boot: String,
    /// One settling at a time: the second finds the work done.
    settling: Mutex<()>,
}

impl Clones {
    pub(crate) fn new(
        paths: Paths,
        metadata: Arc<Metadata>,
        account: Option<Account>,
    ) -> Result<Self, StorageError> {
        let boot = boot::id(paths.store())?;
        Ok(Self { paths, metadata, account, boot, settling: Mutex::default() })
    }

    /// Makes the folder of `to` with all that `from` has now.
    fn clone_branch(&self, from: BranchId, to: BranchId) -> Result<Fork, StorageError> {
        let (source, target) = (self.paths.branch(from), self.paths.branch(to));
        make_branch_folder(&target, self.account.as_ref())?;
        crash_point!(CreateFolderMade);
        for _ in 0..ATTEMPTS {
            if clone_at_once(&source, &target)? || self.clone_files(from, &source, &target)? {
                let (_, control) = read_control(&target.control_file())?;
                let lsn = Lsn(control.redo.0 + wal_mark(&target)?.replay);
                return Ok(Fork { lsn, control: control.checksum });
            }
            remove_tree(&target.data())?;
        }
        Err(StorageError::Refused {
            what: format!("A branch of database branch {from}"),
            why: "its Postgres writes so much that WAL is removed before it is cloned; raise `max_wal_size`, or try again when it \
                  has less to do"
                .into(),
        })
    }

    /// See the module. False if WAL was removed meanwhile.
    fn clone_files(
        &self,
        from: BranchId,
        source: &BranchPaths,
        target: &BranchPaths,
    ) -> Result<bool, StorageError> {
        let account = self.account.as_ref();
        let (bytes, control) = read_control(&source.control_file())?;
        if !control.state.is_clean() && control.wal_is_minimal {
            return Err(StorageError::Refused {
                what: format!("A branch of database branch {from} while it is awake"),
                why: "with `wal_level = minimal` new tables are not in the WAL, and a clone may lack them; set it to `replica`, or let \
                      the branch sleep"
                    .into(),
            });
        }
        make_private(&target.data(), account)?;
        let mut wal = WalClones::new(source, target, &control, account)?;
        wal.hold()?;
        crash_point!(CloneWalHeld);
        data::clone_data(&source.data(), &target.data(), account, || wal.hold())?;
        crash_point!(CloneDataDone);
        if !wal.finish()? {
            return Ok(false);
        }
        // Again: one that was made meanwhile is in the WAL, and the child would make it anew.
        refuse_links(&source.data())?;
        crash_point!(CreateImageCopied);
        let to = target.control_file();
        write_new(&to, &bytes).context("write", &to)?;
        give(&to, account)?;
        crash_point!(CloneControlWritten);
        Ok(true)
    }
}

/// Clones the data directory as a whole, if it is a subvolume.
#[cfg(target_os = "linux")]
fn clone_at_once(source: &BranchPaths, target: &BranchPaths) -> Result<bool, StorageError> {
    if !subvolume::is_subvolume(&source.data()) {
        return Ok(false);
    }
    subvolume::snapshot(&source.data(), &target.data()).context("take a snapshot of", &source.data())?;
    crash_point!(CloneSnapshotTaken);
    refuse_links(&target.data())?;
    clear(&target.data())?;
    crash_point!(CreateImageCopied);
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "as on Linux")]
fn clone_at_once(_: &BranchPaths, _: &BranchPaths) -> Result<bool, StorageError> {
    Ok(false)
}

/// Makes the folder for a cluster whose branches will be clones of it.
pub(crate) fn make_data_folder(path: &Path, account: Option<&Account>) -> Result<(), StorageError> {
    #[cfg(target_os = "linux")]
    if crate::files::is_btrfs(path.parent().unwrap_or(path)) {
        subvolume::create(path).context("make a subvolume at", path)?;
        crate::files::set_mode(path, 0o700)?;
        return give(path, account);
    }
    make_private(path, account)
}

/// Refuses a data directory with tablespaces: two branches would write into one folder.
fn refuse_links(data: &Path) -> Result<(), StorageError> {
    let folder = data.join("pg_tblspc");
    let mut paths = vec![data.join("pg_wal")];
    for entry in fs::read_dir(&folder).context("list", &folder)? {
        paths.push(entry.context("list", &folder)?.path());
    }
    match paths.into_iter().find(|path| path.is_symlink()) {
        None => Ok(()),
        Some(link) => Err(StorageError::Refused {
            what: format!("The symbolic link {}", link.display()),
            why: "branches with tablespaces or a WAL folder elsewhere cannot be cloned; drop the tablespace"
                .into(),
        }),
    }
}

/// Removes what belongs to the running server from a snapshot of its data directory.
#[cfg(target_os = "linux")]
fn clear(data: &Path) -> Result<(), StorageError> {
    for file in OMITTED_FILES.map(|name| data.join(name)) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StorageError::io("remove", &file, error));
            }
            _ => {}
        }
    }
    // The WAL is the clone's as well.
    for folder in EMPTY_FOLDERS.iter().filter(|name| **name != "pg_wal").map(|name| data.join(name)) {
        if folder.is_dir() {
            remove_tree(&folder)?;
        }
    }
    Ok(())
}

impl Driver for Clones {
    fn recover(&self) -> Result<(), StorageError> {
        self.metadata.lose_unsettled(&self.boot)?;
        self.reclaim()
    }

    fn open(&self, branch: BranchId) -> Result<Opened, StorageError> {
        self.settle(branch)?;
        let data_dir = self.paths.branch(branch).data();
        make_skeleton(&data_dir, self.account.as_ref())?;
        Ok(Opened { data_dir, env: Vec::new() })
    }

    fn check_active(&self, _branch: BranchId, _postmaster: u32) -> Result<(), StorageError> {
        // Nothing stands between Postgres and its files.
        Ok(())
    }

    fn close(&self, _branch: BranchId) {}

    fn fork(&self, parent: BranchId, child: BranchId) -> Result<Fork, StorageError> {
        let made = self.clone_branch(parent, child).inspect_err(|_| self.discard(child));
        match made {
            Err(StorageError::DiskFull { .. }) => {
                // What was removed a moment ago may be room in a moment.
                wait_for_removed(self.paths.store());
                self.clone_branch(parent, child).inspect_err(|_| self.discard(child))
            }
            made => made,
        }
    }

    fn control(&self, branch: BranchId) -> Result<u32, StorageError> {
        Ok(read_control(&self.paths.branch(branch).control_file())?.1.checksum)
    }

    fn copy(&self, branch: BranchId, copy: BranchId) -> Result<(), StorageError> {
        self.clone_branch(branch, copy).map(|_| ()).inspect_err(|_| self.discard(copy))?;
        crash_point!(SnapshotImageCopied);
        Ok(())
    }

    fn keep(
        &self,
        _branch: BranchId,
        copy: BranchId,
        also: &dyn Fn(&Transaction<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        // All of it is there already.
        self.metadata.transaction(|transaction| also(transaction)).inspect_err(|_| self.discard(copy))
    }

    fn discard(&self, child: BranchId) {
        // If the metadata cannot be written now, the next start of the engine removes all of it.
        let _ = self.metadata.transaction(|transaction| metadata::forget_branch(transaction, child));
        let _ = remove_tree(self.paths.branch(child).folder());
    }

    fn settle(&self, branch: BranchId) -> Result<(), StorageError> {
        let is_settled = || -> Result<bool, StorageError> {
            Ok(self.metadata.branch(branch)?.is_none_or(|row| row.unsettled_boot.is_none()))
        };
        if is_settled()? {
            return Ok(());
        }
        let _one = locked(&self.settling);
        if is_settled()? {
            return Ok(());
        }
        // One call for hundreds of files, whose blocks are on the disk already: the file system's own log is what is missing.
        sync_file_system(&self.paths.branches())?;
        crash_point!(SettleFolderSynced);
        self.metadata.set_settled(branch)?;
        crash_point!(SettleDone);
        Ok(())
    }

    fn reclaim(&self) -> Result<(), StorageError> {
        let rows = self.metadata.branches()?;
        let names: HashSet<String> = rows.into_iter().map(|row| row.id.to_string()).collect();
        remove_others(&self.paths.branches(), &|name| names.contains(name))
    }

    fn merge(&self, _budget_bytes: u64, _max_depth: usize) -> Result<Merged, StorageError> {
        // Clones have no depth.
        Ok(Merged::default())
    }

    fn changed_blocks(
        &self,
        one: BranchId,
        other: BranchId,
        database: u32,
    ) -> Result<ChangedBlocks, StorageError> {
        changed::between(&self.paths.branch(one).data(), &self.paths.branch(other).data(), database)
    }

    fn usage(&self) -> Result<Usage, StorageError> {
        size::measure(&self.paths, &self.metadata)
    }

    fn size(&self, branch: BranchId) -> Result<BranchSize, StorageError> {
        size::measure_branch(&self.paths, &self.metadata, branch)
    }
}

//! A crash-consistent image of a branch's small files and WAL.
//!
//! Taken in two steps. [`Image::begin`] copies everything while Postgres runs; [`Image::finish`], with the gate
//! closed, copies again only what changed since, so that the time in the gate depends on the change and not on
//! the amount. Complete WAL segments are never written again and are linked, not copied.

mod wal;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use offshoot_postgres::account::{Account, chown_all};
use offshoot_postgres::{ControlFile, Lsn};

use offshoot_pages::name::is_relation_file;

use crate::error::{Context as _, StorageError};
use crate::files::{give, make_branch_folder, make_private};
use crate::paths::BranchPaths;
use wal::WalCopy;
pub(crate) use wal::{WalMark, begins_live, drop_unused, find_live_end, read_control, wal_mark};

/// Folders whose content a starting Postgres makes anew, or that must not be shared.
pub(crate) const EMPTY_FOLDERS: [&str; 8] = [
    "pg_dynshmem",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_wal",
];
/// Folders that Postgres expects to find. An image has only those with something in them.
const SKELETON: [&str; 20] = [
    "base",
    "global",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_logical",
    "pg_logical/mappings",
    "pg_logical/snapshots",
    "pg_multixact",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
    "pg_wal",
    "pg_wal/archive_status",
    "pg_xact",
];
/// Files that belong to the running server.
pub(crate) const OMITTED_FILES: [&str; 3] = ["postmaster.pid", "postmaster.opts", "pg_internal.init"];
/// A file changed this shortly before it was looked at may change again within the clock's tick.
const CLOCK_TICK_NS: i64 = 20_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    changed_ns: i64,
    length: u64,
    inode: u64,
}

impl Stamp {
    fn of(data: &fs::Metadata) -> Self {
        Self {
            changed_ns: data.mtime() * 1_000_000_000 + data.mtime_nsec(),
            length: data.len(),
            inode: data.ino(),
        }
    }
}

/// An image in the making.
pub(crate) struct Image<'a> {
    source: &'a BranchPaths,
    target: &'a BranchPaths,
    account: Option<&'a Account>,
    copied: HashMap<PathBuf, Stamp>,
    began_ns: i64,
    wal: WalCopy,
}

impl<'a> Image<'a> {
    /// Copies what `source` has now into the new folder `target`. `quiesce` returns when all writes have ended that
    /// were under way: one that has changed a file's time may not have changed its content yet.
    pub(crate) fn begin(
        source: &'a BranchPaths,
        target: &'a BranchPaths,
        account: Option<&'a Account>,
        quiesce: impl FnOnce() -> Result<(), StorageError>,
    ) -> Result<Self, StorageError> {
        let mut image = Self::new(source, target, account)?;
        crash_point!(CreateFolderMade);
        quiesce()?;
        image.copy_changed()?;
        Ok(image)
    }

    /// Copies all of `source`, which sleeps, into the new folder `target`.
    pub(crate) fn take(
        source: &'a BranchPaths,
        target: &'a BranchPaths,
        account: Option<&'a Account>,
    ) -> Result<(), StorageError> {
        Self::new(source, target, account)?.copy_changed().map(|_| ())
    }

    fn new(
        source: &'a BranchPaths,
        target: &'a BranchPaths,
        account: Option<&'a Account>,
    ) -> Result<Self, StorageError> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        make_branch_folder(target, account)?;
        make_private(&target.data(), account)?;
        Ok(Self {
            source,
            target,
            account,
            copied: HashMap::new(),
            began_ns: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX) - CLOCK_TICK_NS,
            wal: WalCopy::default(),
        })
    }

    /// Copies what changed since [`Image::begin`]. The gate is closed, or the branch asleep. Returns the end of
    /// the WAL in the image, at the granularity of a WAL page.
    pub(crate) fn finish(mut self) -> Result<Lsn, StorageError> {
        let control = self.copy_changed()?;
        Ok(self.wal.end(&control))
    }

    /// Gives all files of the image to `account`.
    pub(crate) fn hand_over(target: &BranchPaths, account: Option<&Account>) -> Result<(), StorageError> {
        if account.is_none() {
            return Ok(());
        }
        chown_all(&target.data(), account).context("give away", &target.data())?;
        give(&target.control_file(), account)
    }

    fn copy_changed(&mut self) -> Result<ControlFile, StorageError> {
        let mut seen = Vec::new();
        self.copy_folder(Path::new(""), &mut seen)?;
        if seen.len() < self.copied.len() {
            self.drop_vanished(&seen)?;
        }
        let (bytes, control) = read_control(&self.source.control_file())?;
        let to = self.target.control_file();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(&to).context("create", &to)?;
        file.write_all_at(&bytes, 0).context("write", &to)?;
        let (from, to) = (self.source.data().join("pg_wal"), self.target.data().join("pg_wal"));
        make_private(&to, self.account)?;
        self.wal.copy(&from, &to, &control, self.account)?;
        Ok(control)
    }

    fn copy_folder(&mut self, folder: &Path, seen: &mut Vec<PathBuf>) -> Result<(), StorageError> {
        let from = self.source.data().join(folder);
        let name = folder.to_str().unwrap_or_default();
        let contents_omitted = EMPTY_FOLDERS.contains(&name);
        let has_relations = name == "global" || name.starts_with("base/");
        let entries = match fs::read_dir(&from) {
            // A database that was dropped since the folder above was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && name.starts_with("base/") => {
                return Ok(());
            }
            other => other.context("list", &from)?,
        };
        for entry in entries {
            let entry = entry.context("list", &from)?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().context("look at", &entry.path())?;
            if kind.is_dir() {
                if !contents_omitted && entry.file_name() != "pgsql_tmp" {
                    self.copy_folder(&path, seen)?;
                }
            } else if kind.is_symlink() {
                return Err(StorageError::Refused {
                    what: format!("The symbolic link {}", entry.path().display()),
                    why: "tablespaces and a WAL folder elsewhere are not supported".into(),
                });
            } else if !contents_omitted && !is_omitted(&entry.file_name(), has_relations) {
                self.copy_file(path, seen)?;
            }
        }
        Ok(())
    }

    fn copy_file(&mut self, path: PathBuf, seen: &mut Vec<PathBuf>) -> Result<(), StorageError> {
        let (from, to) = (self.source.data().join(&path), self.target.data().join(&path));
        let stamp = match fs::symlink_metadata(&from) {
            Ok(data) => Stamp::of(&data),
            // Gone since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StorageError::io("look at", &from, error)),
        };
        if self.copied.get(&path) != Some(&stamp) || stamp.changed_ns >= self.began_ns {
            self.make_folders(&path)?;
            // Written once, with the folder that it is in.
            let copied = if path.file_name().is_some_and(|name| name == "PG_VERSION") {
                link(&from, &to)
            } else {
                fs::copy(&from, &to).map(|_| ()).context("copy", &from)
            };
            match copied {
                Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    return Ok(());
                }
                other => other?,
            }
            self.copied.insert(path.clone(), stamp);
        }
        seen.push(path);
        Ok(())
    }

    /// Makes the folder that `path` is in. Empty folders are left out: [`make_skeleton`] adds what Postgres needs.
    fn make_folders(&self, path: &Path) -> Result<(), StorageError> {
        let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
            return Ok(());
        };
        let target = self.target.data().join(folder);
        if target.is_dir() {
            return Ok(());
        }
        self.make_folders(folder)?;
        make_private(&target, self.account)
    }

    fn drop_vanished(&mut self, seen: &[PathBuf]) -> Result<(), StorageError> {
        let seen: std::collections::HashSet<&PathBuf> = seen.iter().collect();
        let gone: Vec<PathBuf> = self.copied.keys().filter(|path| !seen.contains(path)).cloned().collect();
        for path in gone {
            let to = self.target.data().join(&path);
            match fs::remove_file(&to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StorageError::io("remove", &to, error));
                }
                _ => {}
            }
            self.copied.remove(&path);
        }
        Ok(())
    }
}

/// Adds the empty folders that Postgres expects to a data directory made by an [`Image`].
pub(crate) fn make_skeleton(data: &Path, account: Option<&Account>) -> Result<(), StorageError> {
    for folder in SKELETON.map(|folder| data.join(folder)) {
        if !folder.is_dir() {
            make_private(&folder, account)?;
        }
    }
    Ok(())
}

/// Whether a file is none of an image's. `has_relations`: it lies where relation files do.
pub(crate) fn is_omitted(name: &std::ffi::OsStr, has_relations: bool) -> bool {
    let bytes = name.as_encoded_bytes();
    OMITTED_FILES.iter().any(|omitted| name == *omitted)
        || (has_relations && (is_relation_file(bytes) || is_temporary(bytes)))
}

/// Whether a file where relation files lie is a temporary table's.
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    name.first() == Some(&b't') && name.get(1).is_some_and(u8::is_ascii_digit)
}

fn link(from: &Path, to: &Path) -> Result<(), StorageError> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.context("link", from),
    }
}

//! A crash-consistent image of a branch's small files and WAL.
//!
//! Taken in two steps. [`Image::begin`] copies everything while Postgres runs; [`Image::finish`], with the gate
//! closed, copies again only what changed since, so that the time in the gate depends on the change and not on
//! the amount. Complete WAL segments are never written again and are linked, not copied.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use offshoot_postgres::account::{Account, chown, chown_all};
use offshoot_postgres::wal::{SegmentName, page_is_live, segments_from};
use offshoot_postgres::{ControlFile, Lsn};

use offshoot_pages::name::is_relation_file;

use crate::error::{Context as _, StorageError};
use crate::files::make_private;
use crate::paths::BranchPaths;

/// Folders whose content a starting Postgres makes anew, or that must not be shared.
const EMPTY_FOLDERS: [&str; 8] = [
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
const OMITTED_FILES: [&str; 3] = ["postmaster.pid", "postmaster.opts", "pg_internal.init"];
/// A file changed this shortly before it was looked at may change again within the clock's tick.
const CLOCK_TICK_NS: i64 = 20_000_000;
const WAL_PAGE: u64 = 8192;
const WAL_CHUNK: usize = 128 * 1024;

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
    wal: Option<WalPosition>,
}

/// How far the last segment has been copied.
struct WalPosition {
    segment: SegmentName,
    /// Bytes of it; a multiple of the WAL page.
    copied: u64,
}

impl<'a> Image<'a> {
    /// Copies what `source` has now into the new folder `target`.
    pub(crate) fn begin(
        source: &'a BranchPaths,
        target: &'a BranchPaths,
        account: Option<&'a Account>,
    ) -> Result<Self, StorageError> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mut image = Self {
            source,
            target,
            account,
            copied: HashMap::new(),
            began_ns: i64::try_from(now.as_nanos()).unwrap_or(i64::MAX) - CLOCK_TICK_NS,
            wal: None,
        };
        make_private(target.folder(), account)?;
        make_private(&target.data(), account)?;
        image.copy_changed()?;
        Ok(image)
    }

    /// Copies what changed since [`Image::begin`]. The gate is closed, or the branch asleep. Returns the end of
    /// the WAL in the image, at the granularity of a WAL page.
    pub(crate) fn finish(mut self) -> Result<Lsn, StorageError> {
        let control = self.copy_changed()?;
        let end = self.wal.as_ref().map_or(control.checkpoint, |wal| {
            Lsn(wal.segment.start(control.wal_segment_size).0 + wal.copied)
        });
        Ok(end)
    }

    /// Gives all files of the image to `account`.
    pub(crate) fn hand_over(target: &BranchPaths, account: Option<&Account>) -> Result<(), StorageError> {
        if account.is_none() {
            return Ok(());
        }
        chown_all(target.folder(), account).context("give away", target.folder())
    }

    fn copy_changed(&mut self) -> Result<ControlFile, StorageError> {
        let mut seen = Vec::new();
        self.copy_folder(Path::new(""), &mut seen)?;
        if seen.len() < self.copied.len() {
            self.drop_vanished(&seen)?;
        }
        let from = self.source.control_file();
        let bytes = fs::read(&from).context("read", &from)?;
        let control =
            ControlFile::parse(&bytes).map_err(|error| StorageError::damaged_control(&from, &error))?;
        let to = self.target.control_file();
        let mut options = OpenOptions::new();
        let file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&to).context("create", &to)?;
        file.write_all_at(&bytes, 0).context("write", &to)?;
        self.copy_wal(&control)?;
        Ok(control)
    }

    fn copy_folder(&mut self, folder: &Path, seen: &mut Vec<PathBuf>) -> Result<(), StorageError> {
        let from = self.source.data().join(folder);
        let name = folder.to_str().unwrap_or_default();
        let contents_omitted = EMPTY_FOLDERS.contains(&name);
        let has_relations = name == "global" || name.starts_with("base/");
        for entry in fs::read_dir(&from).context("list", &from)? {
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

    /// Brings the WAL from the redo point to its end over.
    fn copy_wal(&mut self, control: &ControlFile) -> Result<(), StorageError> {
        let (from, to) = (self.source.data().join("pg_wal"), self.target.data().join("pg_wal"));
        let size = control.wal_segment_size;
        make_private(&to, self.account)?;
        let segments = segments_from(&from, control.redo, control.timeline, size).context("list", &from)?;
        for (index, segment) in segments.iter().enumerate() {
            if self.wal.as_ref().is_some_and(|wal| *segment < wal.segment) {
                continue;
            }
            let name = segment.file_name(size);
            let next_begun = match segments.get(index + 1) {
                Some(next) => begins_live(&from.join(next.file_name(size)), next.start(size))?,
                None => false,
            };
            let partly = self.wal.as_ref().is_some_and(|wal| wal.segment == *segment);
            if next_begun && !partly {
                link(&from.join(&name), &to.join(&name))?;
                continue;
            }
            let redo_in_segment = control.redo.0.saturating_sub(segment.start(size).0);
            let done = match &self.wal {
                // The last page copied may have been filled further since.
                Some(wal) if wal.segment == *segment => wal.copied.saturating_sub(WAL_PAGE),
                _ => 0,
            };
            let skip_to = if done == 0 { redo_in_segment / WAL_PAGE * WAL_PAGE } else { 0 };
            let copied =
                copy_live(&from.join(&name), &to.join(&name), segment.start(size), done, skip_to, size)?;
            if copied == 0 {
                break;
            }
            chown(&to.join(&name), self.account).context("give away", &to)?;
            self.wal = Some(WalPosition { segment: *segment, copied });
            if !next_begun {
                break;
            }
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

/// How much WAL a branch has since its last checkpoint, and when it was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WalMark {
    /// Bytes that a crash would have to replay: from the redo point to the end of the last segment begun.
    pub(crate) replay: u64,
    /// The last change of that segment, in nanoseconds since 1970.
    written_ns: i64,
}

/// Looks at the WAL of a branch.
pub(crate) fn wal_mark(branch: &BranchPaths) -> Result<WalMark, StorageError> {
    let path = branch.control_file();
    let bytes = fs::read(&path).context("read", &path)?;
    let control = ControlFile::parse(&bytes).map_err(|error| StorageError::damaged_control(&path, &error))?;
    let (folder, size) = (branch.data().join("pg_wal"), control.wal_segment_size);
    let segments = segments_from(&folder, control.redo, control.timeline, size).context("list", &folder)?;
    for segment in segments.iter().rev() {
        let path = folder.join(segment.file_name(size));
        if begins_live(&path, segment.start(size))? {
            let end = segment.start(size).0 + u64::from(size);
            let data = fs::metadata(&path).context("look at", &path)?;
            let written_ns = Stamp::of(&data).changed_ns;
            return Ok(WalMark { replay: end.saturating_sub(control.redo.0), written_ns });
        }
    }
    Ok(WalMark { replay: 0, written_ns: 0 })
}

fn is_omitted(name: &std::ffi::OsStr, has_relations: bool) -> bool {
    let bytes = name.as_encoded_bytes();
    let temporary = bytes.first() == Some(&b't') && bytes.get(1).is_some_and(u8::is_ascii_digit);
    OMITTED_FILES.iter().any(|omitted| name == *omitted)
        || (has_relations && (is_relation_file(bytes) || temporary))
}

fn begins_live(path: &Path, start: Lsn) -> Result<bool, StorageError> {
    let mut header = [0u8; 16];
    let file = File::open(path).context("open", path)?;
    Ok(file.read_exact_at(&mut header, 0).is_ok() && page_is_live(&header, start))
}

fn link(from: &Path, to: &Path) -> Result<(), StorageError> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.context("link", from),
    }
}

/// Copies the live pages of a segment from byte `done` on into a sparse file of the same size. When it begins at
/// 0, it goes on at `skip_to` after the first page, which holds the segment's header. Returns the end of what is
/// copied, 0 when the segment has no live page.
fn copy_live(
    from: &Path,
    to: &Path,
    start: Lsn,
    done: u64,
    skip_to: u64,
    size: u32,
) -> Result<u64, StorageError> {
    let source = File::open(from).context("open", from)?;
    if done == 0 && !begins_live(from, start)? {
        return Ok(0);
    }
    let mut options = OpenOptions::new();
    let target =
        options.write(true).create(true).truncate(false).mode(0o600).open(to).context("create", to)?;
    target.set_len(u64::from(size)).context("create", to)?;
    let mut position = done;
    if done == 0 && skip_to > WAL_PAGE {
        let mut page = [0u8; WAL_PAGE as usize];
        source.read_exact_at(&mut page, 0).context("read", from)?;
        target.write_all_at(&page, 0).context("write", to)?;
        position = skip_to;
    }
    let mut chunk = vec![0u8; WAL_CHUNK];
    while position < u64::from(size) {
        let wanted = WAL_CHUNK.min((u64::from(size) - position) as usize);
        source.read_exact_at(&mut chunk[..wanted], position).context("read", from)?;
        let live = chunk[..wanted]
            .chunks_exact(WAL_PAGE as usize)
            .zip(0u64..)
            .take_while(|(page, index)| page_is_live(page, Lsn(start.0 + position + index * WAL_PAGE)))
            .count();
        let bytes = live * WAL_PAGE as usize;
        target.write_all_at(&chunk[..bytes], position).context("write", to)?;
        position += bytes as u64;
        if bytes < wanted {
            break;
        }
    }
    Ok(position)
}

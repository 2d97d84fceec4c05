//! A frozen layer takes in the only one that stands on it, file by file.
//!
//! What the upper layer owns or cuts off of a file is read by nobody in the lower one. So the lower one may be changed
//! there at any time, in any order, and again after a crash. Of a file that both have, the smaller part is copied:
//!
//! - few pages in the upper layer: they are written into the lower layer's data file, in place;
//! - few pages left visible in the lower one: they are written into the upper layer's data file, to places that it does not
//!   own, and the lower layer gets that file by a hard link.
//!
//! Then the lower map takes the upper one in ([`Map::absorb`]). A file that shows nothing of the lower one, or that only the
//! upper layer has, changes hands by hard links. The data's link always comes before the map's.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use offshoot_pages::SEGMENT_PAGES;
use offshoot_pages::map::{Map, MapError, WHITEOUT};
use offshoot_postgres::account::Account;

use super::copy::PageCopy;
use crate::error::{Context as _, StorageError};
use crate::files::{make_private, sync_folder};
use crate::layers::{c_path, maps, open_map};

/// Files that are taken up in one step at the most: links and syncs take time that is not in the budget of pages.
/// The tests have few files and want to see a step end.
pub(super) const FILES: u32 = if cfg!(test) { 2 } else { 64 };

/// A merge under way.
pub(crate) struct PairWork {
    lower: PathBuf,
    upper: PathBuf,
    is_bottom: bool,
    account: Option<Account>,
    /// Maps of the upper layer, relative to it, that are to be taken in.
    files: Vec<PathBuf>,
    current: Option<Current>,
    /// Folders of the lower layer with new entries.
    folders: BTreeSet<PathBuf>,
}

struct Current {
    file: PathBuf,
    copy: PageCopy,
    /// Whether pages go up, and the lower layer gets the upper one's data file afterwards.
    up: bool,
}

impl PairWork {
    pub(crate) fn begin(
        lower: &Path,
        upper: &Path,
        is_bottom: bool,
        account: Option<&Account>,
    ) -> Result<Self, StorageError> {
        let relative = |path: PathBuf| path.strip_prefix(upper).map(Path::to_owned).unwrap_or(path);
        Ok(Self {
            lower: lower.to_owned(),
            upper: upper.to_owned(),
            is_bottom,
            account: account.cloned(),
            files: maps(upper)?.into_iter().map(relative).collect(),
            current: None,
            folders: BTreeSet::new(),
        })
    }

    /// Goes on until everything is in the lower layer and on the disk, or `budget` bytes are copied, or many files were
    /// looked at; true when done.
    pub(crate) fn step(&mut self, budget: &mut u64) -> Result<bool, StorageError> {
        let mut left = FILES;
        loop {
            if let Some(current) = &mut self.current {
                if !current.copy.step(budget)? {
                    return Ok(false);
                }
                crash_point!(MergePagesCopied);
                let (file, up) = (current.file.clone(), current.up);
                self.take_map(&file, up)?;
                self.current = None;
            }
            if left == 0 && !self.files.is_empty() {
                return Ok(false);
            }
            left = left.saturating_sub(1);
            let Some(file) = self.files.pop() else { break };
            self.begin_file(&file)?;
        }
        for folder in std::mem::take(&mut self.folders) {
            sync_folder(&folder).context("sync", &folder)?;
        }
        crash_point!(MergeSynced);
        Ok(true)
    }

    fn begin_file(&mut self, file: &Path) -> Result<(), StorageError> {
        let upper = Mapped::open(&self.upper.join(file), false)?;
        if upper.0.flags() & WHITEOUT != 0 {
            return self.take_whiteout(file);
        }
        let lower = match Mapped::open(&self.lower.join(file), true) {
            Ok(lower) => Some(lower),
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
            // It is hidden altogether; else this is an error as any.
            Err(StorageError::Damaged { .. }) if upper.0.base_limit() == 0 => None,
            Err(error) => return Err(error),
        };
        let visible = lower.filter(|lower| upper.0.base_limit() > 0 && lower.0.flags() & WHITEOUT == 0);
        let Some(lower) = visible else { return self.take_links(file) };
        let (lower_data, upper_data) = (data_of(&self.lower, file), data_of(&self.upper, file));
        let own = upper.0.runs(None, u64::MAX);
        let shown = lower.0.runs(Some(upper.0), upper.0.base_limit());
        let pages = |runs: &[(u64, u64)]| runs.iter().map(|(first, end)| end - first).sum::<u64>();
        let up = pages(&shown) < pages(&own);
        // A merge that was cut short may have linked them already.
        let is_same = inode(&lower_data)? == inode(&upper_data)?;
        let copy = match (is_same, up) {
            (true, _) => PageCopy::new(&upper_data, &lower_data, Vec::new())?,
            (false, true) => PageCopy::new(&lower_data, &upper_data, shown)?,
            (false, false) => PageCopy::new(&upper_data, &lower_data, own)?,
        };
        self.current = Some(Current { file: file.to_owned(), copy, up: up && !is_same });
        Ok(())
    }

    /// The lower map takes the upper one in; the pages are in place.
    fn take_map(&mut self, file: &Path, up: bool) -> Result<(), StorageError> {
        let (lower_map, lower_data) = (self.lower.join(file), data_of(&self.lower, file));
        if up {
            let data = data_of(&self.upper, file);
            File::open(&data).context("open", &data)?.sync_data().context("sync", &data)?;
            replace_by_link(&data, &lower_data)?;
            // On the disk before the map is: with the old map the new file reads as the old one did.
            let folder = lower_data.parent().unwrap_or(&self.lower);
            sync_folder(folder).context("sync", folder)?;
            crash_point!(MergeDataLinked);
        }
        let (upper, lower) = (Mapped::open(&self.upper.join(file), false)?, Mapped::open(&lower_map, true)?);
        let data = File::options().write(true).open(&lower_data).context("open", &lower_data)?;
        if inode(&lower_map)? != inode(&self.upper.join(file))? {
            if !lower.0.has_room(upper.0.length().div_ceil(offshoot_pages::PAGE_SIZE)) {
                lower.0.reserve(&c_path(&lower_map)?).map_err(|error| map_error(&lower_map, error))?;
            }
            lower.0.absorb(upper.0);
        }
        crash_point!(MergeMapAbsorbed);
        lower
            .0
            .sync(Some(data.as_raw_fd()), || 0)
            .map_err(io::Error::from_raw_os_error)
            .context("sync", &lower_map)?;
        // Gives back the room of pages that were cut off.
        let end = upper.0.length().div_ceil(offshoot_pages::PAGE_SIZE).min(SEGMENT_PAGES)
            * offshoot_pages::PAGE_SIZE;
        if data.metadata().context("look at", &lower_data)?.len() > end {
            data.set_len(end).context("cut", &lower_data)?;
        }
        crash_point!(MergeFileDone);
        Ok(())
    }

    /// A deleted file: below the lowest layer there is nothing that had to stay hidden.
    fn take_whiteout(&mut self, file: &Path) -> Result<(), StorageError> {
        let (map, data) = (self.lower.join(file), data_of(&self.lower, file));
        if self.is_bottom {
            remove(&map)?;
        } else {
            self.make_folder(file)?;
            replace_by_link(&self.upper.join(file), &map)?;
        }
        crash_point!(MergeWhiteoutTaken);
        remove(&data)?;
        self.note_folder(file);
        Ok(())
    }

    /// A file of which the lower layer shows nothing.
    fn take_links(&mut self, file: &Path) -> Result<(), StorageError> {
        self.make_folder(file)?;
        replace_by_link(&data_of(&self.upper, file), &data_of(&self.lower, file))?;
        crash_point!(MergeFileLinked);
        replace_by_link(&self.upper.join(file), &self.lower.join(file))?;
        self.note_folder(file);
        Ok(())
    }

    fn make_folder(&mut self, file: &Path) -> Result<(), StorageError> {
        let mut folder = self.lower.clone();
        for part in file.parent().into_iter().flat_map(Path::iter) {
            self.folders.insert(folder.clone());
            folder.push(part);
            if !folder.is_dir() {
                make_private(&folder, self.account.as_ref())?;
            }
        }
        Ok(())
    }

    fn note_folder(&mut self, file: &Path) {
        let folder = file.parent().map(|folder| self.lower.join(folder)).filter(|folder| folder.is_dir());
        self.folders.extend(folder);
    }
}

/// A map that is unmapped at its end.
pub(crate) struct Mapped(pub(crate) Map);

impl Mapped {
    pub(crate) fn open(path: &Path, writable: bool) -> Result<Self, StorageError> {
        open_map(path, writable).map(Self)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: copies of it live no longer than a call.
        unsafe { self.0.unmap() };
    }
}

/// The data file beside a map.
pub(crate) fn data_of(layer: &Path, map: &Path) -> PathBuf {
    layer.join(map).with_extension("d")
}

pub(crate) fn map_error(path: &Path, error: MapError) -> StorageError {
    match error {
        MapError::Os(code) => StorageError::io("write", path, io::Error::from_raw_os_error(code)),
        MapError::NotAMap => {
            StorageError::Damaged { path: path.to_owned(), what: "it is no page map".into() }
        }
    }
}

fn inode(path: &Path) -> Result<u64, StorageError> {
    Ok(fs::metadata(path).context("look at", path)?.ino())
}

fn remove(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StorageError::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Gives `to` the content of `from` in one step.
fn replace_by_link(from: &Path, to: &Path) -> Result<(), StorageError> {
    let temporary = to.with_extension("merge");
    remove(&temporary)?;
    fs::hard_link(from, &temporary).context("link", from)?;
    fs::rename(&temporary, to).context("replace", to)?;
    // Were they the same file before, the rename has left both names.
    remove(&temporary)
}

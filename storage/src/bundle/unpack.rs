//! Unpacking files into a layer and a data directory that nobody reads yet.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use offshoot_pages::PAGE_SIZE;
use offshoot_pages::map::{MapError, NewMap, WHITEOUT};

use super::format::{Hash, bad, damaged};
use super::view::Stack;
use crate::LayerId;
use crate::error::{Context as _, StorageError};
use crate::layers::{c_path, open_map};

/// Makes a new file below the data directory, with the folders that it is in.
pub(super) fn make_file(data: &Path, target: &Path) -> Result<File, StorageError> {
    let folder = target.parent().unwrap_or(data);
    if folder.starts_with(data) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).context("create the folder", folder)?;
    }
    new_file(target)
}

fn new_file(target: &Path) -> Result<File, StorageError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(target).context("create", target)
}

/// A relation file that is being unpacked into a layer that nobody reads yet.
pub(super) struct Relation {
    name: String,
    map: PathBuf,
    data: Option<(PathBuf, File)>,
    new: NewMap,
    pages: Vec<u32>,
}

impl Relation {
    pub(super) fn begin(
        layer: &Path,
        name: &str,
        length: Option<u64>,
        below: &Stack,
    ) -> Result<Self, StorageError> {
        let base = below.view(name)?;
        let incarnation = match &base {
            Some(base) => base.incarnation(),
            None => LayerId::random().context("number the files of", layer)?.0,
        };
        let folder = layer.join(name);
        let folder = folder.parent().unwrap_or(layer);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).context("create the folder", folder)?;
        let (data, new) = match length {
            Some(length) => {
                let path = layer.join(format!("{name}.d"));
                let file = new_file(&path)?;
                let base_limit = base.map_or(0, |base| base.length()).min(length);
                (Some((path, file)), NewMap { length, base_limit, flags: 0, incarnation })
            }
            None => (None, NewMap { length: 0, base_limit: 0, flags: WHITEOUT, incarnation }),
        };
        let map = layer.join(format!("{name}.m"));
        Ok(Self { name: name.to_owned(), map, data, new, pages: Vec::new() })
    }

    pub(super) fn page(&mut self, page: u32, bytes: &[u8]) -> Result<(), StorageError> {
        let Some((path, file)) = &self.data else { return Err(damaged("a file that is gone has pages")) };
        file.write_all_at(bytes, u64::from(page) * PAGE_SIZE).context("write", path)?;
        self.pages.push(page);
        Ok(())
    }

    /// Writes the map: from then on the pages are the layer's.
    pub(super) fn finish(&self) -> Result<(), StorageError> {
        let path = c_path(&self.map)?;
        let failed = |error| match error {
            MapError::Os(code) => StorageError::io("write", &self.map, io::Error::from_raw_os_error(code)),
            MapError::NotAMap => {
                StorageError::Damaged { path: self.map.clone(), what: "just written".into() }
            }
        };
        offshoot_pages::map::Map::write_new(&path, self.new, false).map_err(failed)?;
        let map = open_map(&self.map, true)?;
        let end = self.pages.last().map_or(0, |page| u64::from(*page) + 1);
        let filled = if map.has_room(end) { Ok(()) } else { map.reserve(&path).map_err(failed) };
        if filled.is_ok() {
            for page in &self.pages {
                map.own(u64::from(*page), u64::from(*page) + 1);
            }
            // One call makes all of it durable before anybody relies on it.
            map.publish_unsynced();
        }
        // SAFETY: the only copy.
        unsafe { map.unmap() };
        filled
    }

    /// Checks that it reads as it did where the bundle was made.
    pub(super) fn verify(&self, stack: &Stack, wanted: &Hash) -> Result<(), StorageError> {
        let is_same = match stack.view(&self.name)? {
            Some(mut view) => view.hash()? == *wanted,
            None => self.new.flags & WHITEOUT != 0,
        };
        if is_same {
            return Ok(());
        }
        Err(bad(
            format!("{} is not what it was there once its pages are put over the base", self.name),
            "The base in this store was changed by hand or by its disk: `offshoot doctor`; or have the branch carried whole with --full.",
        ))
    }
}

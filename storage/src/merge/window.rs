//! Several neighbouring layers are copied into a new one that reads the same as all of them.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use offshoot_pages::PAGE_SIZE;
use offshoot_pages::map::{Map, NewMap, WHITEOUT};
use offshoot_postgres::account::Account;

use super::copy::PageCopy;
use super::pair::{FILES, Mapped, data_of, map_error};
use crate::error::{Context as _, StorageError};
use crate::files::{give, make_private, sync_tree};
use crate::layers::{c_path, maps};

/// A copy under way.
pub(crate) struct WindowWork {
    /// Top first.
    layers: Vec<PathBuf>,
    target: PathBuf,
    account: Option<Account>,
    /// Maps, relative to a layer, that are to be copied.
    files: Vec<PathBuf>,
    current: Option<(PathBuf, Vec<PageCopy>)>,
}

impl WindowWork {
    /// `target` is an empty folder that belongs to nobody else.
    pub(crate) fn begin(
        layers: Vec<PathBuf>,
        target: &Path,
        account: Option<&Account>,
    ) -> Result<Self, StorageError> {
        let mut files = BTreeSet::new();
        for layer in &layers {
            files.extend(
                maps(layer)?.iter().filter_map(|map| map.strip_prefix(layer).ok().map(Path::to_owned)),
            );
        }
        Ok(Self {
            layers,
            target: target.to_owned(),
            account: account.cloned(),
            files: files.into_iter().collect(),
            current: None,
        })
    }

    /// Goes on until everything is copied and on the disk, or `budget` bytes are used up, or many files were looked at;
    /// true when done.
    pub(crate) fn step(&mut self, budget: &mut u64) -> Result<bool, StorageError> {
        let mut left = FILES;
        loop {
            if let Some((file, copies)) = &mut self.current {
                while let Some(copy) = copies.last_mut() {
                    if !copy.step(budget)? {
                        return Ok(false);
                    }
                    copies.pop();
                }
                let file = file.clone();
                self.finish_file(&file)?;
                self.current = None;
                crash_point!(WindowFileCopied);
            }
            if left == 0 && !self.files.is_empty() {
                return Ok(false);
            }
            left = left.saturating_sub(1);
            let Some(file) = self.files.pop() else { break };
            self.begin_file(&file)?;
        }
        sync_tree(&self.target).context("sync", &self.target)?;
        crash_point!(WindowSynced);
        Ok(true)
    }

    fn begin_file(&mut self, file: &Path) -> Result<(), StorageError> {
        let mut parts = Vec::new();
        for layer in &self.layers {
            let path = layer.join(file);
            if !path.exists() {
                continue;
            }
            let map = Mapped::open(&path, false)?;
            let ends = map.0.flags() & WHITEOUT != 0 || map.0.base_limit() == 0;
            parts.push((layer, map));
            if ends {
                break;
            }
        }
        let Some((_, top)) = parts.first() else { return Ok(()) };
        self.make_folder(file)?;
        let (map_path, data_path) = (self.target.join(file), data_of(&self.target, file));
        let is_whiteout = top.0.flags() & WHITEOUT != 0;
        let limit = |part: &(&PathBuf, Mapped)| match part.1.0.flags() & WHITEOUT {
            0 => part.1.0.base_limit(),
            _ => 0,
        };
        let new = NewMap {
            length: top.0.length(),
            base_limit: parts.iter().map(limit).min().unwrap_or(0),
            flags: if is_whiteout { WHITEOUT } else { 0 },
            incarnation: top.0.incarnation(),
        };
        Map::write_new(&c_path(&map_path)?, new, false).map_err(|error| map_error(&map_path, error))?;
        give(&map_path, self.account.as_ref())?;
        let mut copies = Vec::new();
        if !is_whiteout {
            let mut options = OpenOptions::new();
            options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&data_path)
                .context("create", &data_path)?;
            give(&data_path, self.account.as_ref())?;
            let map = Mapped::open(&map_path, true)?;
            if !map.0.has_room(new.length.div_ceil(PAGE_SIZE)) {
                map.0.reserve(&c_path(&map_path)?).map_err(|error| map_error(&map_path, error))?;
            }
            // Pages of a part count as far as all parts above let it show.
            let mut shown = u64::MAX;
            for (layer, part) in parts.iter().filter(|(_, part)| part.0.flags() & WHITEOUT == 0) {
                let runs = part.0.runs(Some(map.0), shown);
                for (first, end) in &runs {
                    map.0.own(*first, *end);
                }
                shown = shown.min(part.0.base_limit());
                copies.push(PageCopy::new(&data_of(layer, file), &data_path, runs)?);
            }
        }
        self.current = Some((file.to_owned(), copies));
        Ok(())
    }

    fn finish_file(&self, file: &Path) -> Result<(), StorageError> {
        let (map_path, data_path) = (self.target.join(file), data_of(&self.target, file));
        let map = Mapped::open(&map_path, true)?;
        let is_whiteout = map.0.flags() & WHITEOUT != 0;
        let data = if is_whiteout { None } else { Some(File::open(&data_path).context("open", &data_path)?) };
        map.0
            .sync(data.as_ref().map(File::as_raw_fd), || 0)
            .map_err(std::io::Error::from_raw_os_error)
            .context("sync", &map_path)
    }

    fn make_folder(&self, file: &Path) -> Result<(), StorageError> {
        let mut folder = self.target.clone();
        for part in file.parent().into_iter().flat_map(Path::iter) {
            folder.push(part);
            if !folder.is_dir() {
                make_private(&folder, self.account.as_ref())?;
            }
        }
        Ok(())
    }
}

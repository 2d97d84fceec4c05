//! Which pages two branches do not share. With page layers: those in the layers that only one of them reads.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use offshoot_pages::control::StackLayer;
use offshoot_pages::map::{Map, UNLINKED, WHITEOUT};
use offshoot_pages::{PAGE_SIZE, SEGMENT_PAGES};

use crate::error::{Context as _, StorageError};
use crate::layers::open_map;
use crate::store::{Store, locked};
use crate::{BranchId, LayerId};

/// Blocks of a relation's main fork, the last not included. A range may reach beyond the end of the relation.
pub type Blocks = Range<u64>;

/// The blocks that may differ between two branches, by file number (`relfilenode`). What is not in it is the same on both
/// sides, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedBlocks {
    files: BTreeMap<u32, Vec<Blocks>>,
}

impl ChangedBlocks {
    /// The blocks of a file in order, not overlapping; empty for one that both sides share as a whole.
    pub fn of(&self, file: u32) -> &[Blocks] {
        self.files.get(&file).map_or(&[], Vec::as_slice)
    }

    /// Whether anything may differ in a file.
    pub fn contains(&self, file: u32) -> bool {
        self.files.contains_key(&file)
    }

    /// These and those of another look.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (file, list) in other.files {
            self.files.entry(file).or_default().extend(list);
        }
        self.tidy();
        self
    }

    pub(crate) fn add(&mut self, file: u32, blocks: Blocks) {
        if !blocks.is_empty() {
            self.files.entry(file).or_default().push(blocks);
        }
    }

    /// Puts the blocks in order; called once all are added.
    pub(crate) fn tidy(&mut self) {
        for list in self.files.values_mut() {
            list.sort_by_key(|blocks| blocks.start);
            let mut merged: Vec<Blocks> = Vec::with_capacity(list.len());
            for blocks in list.drain(..) {
                match merged.last_mut() {
                    Some(last) if blocks.start <= last.end => last.end = last.end.max(blocks.end),
                    _ => merged.push(blocks),
                }
            }
            *list = merged;
        }
    }
}

impl Store {
    /// The blocks of the main forks of database `database` (its OID) that may differ between two branches.
    ///
    /// Takes time in the number of files that may differ, not in the size of the data. It sees
    /// what has been written to the files: a running Postgres holds changes back until its next checkpoint. Blocks that are
    /// written meanwhile may be missing.
    ///
    /// # Errors
    /// [`StorageError::NoSuchBranch`]; [`StorageError::Damaged`] for a page map that cannot be read.
    pub fn changed_blocks(
        &self,
        one: BranchId,
        other: BranchId,
        database: u32,
    ) -> Result<ChangedBlocks, StorageError> {
        let shared = &self.shared;
        // No layer is merged or removed meanwhile.
        let _turn = locked(&shared.merging);
        shared.live_row(one)?;
        shared.live_row(other)?;
        shared.driver.changed_blocks(one, other, database)
    }
}

/// What two stacks, each top first, do not share, in folders of layers that `folder` names.
pub(crate) fn between_stacks(
    one: &[StackLayer],
    other: &[StackLayer],
    database: u32,
    folder: impl Fn(LayerId) -> PathBuf,
) -> Result<ChangedBlocks, StorageError> {
    let both = one.iter().rev().zip(other.iter().rev());
    let shared_layers = both.take_while(|(a, b)| a.id == b.id).count();
    let mut changed = ChangedBlocks::default();
    for stack in [one, other] {
        let own = stack.len() - shared_layers;
        for (depth, layer) in stack[..own].iter().enumerate() {
            let folder = folder(LayerId(layer.id)).join("base").join(database.to_string());
            collect(&folder, depth == 0, &mut changed)?;
        }
    }
    changed.tidy();
    Ok(changed)
}

/// Adds what the layer's `folder` changes. `in_use`: a Postgres may be making files in it.
fn collect(folder: &Path, in_use: bool, changed: &mut ChangedBlocks) -> Result<(), StorageError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StorageError::io("list the layer", folder, error)),
    };
    for entry in entries {
        let path = entry.context("list the layer", folder)?.path();
        if path.extension() != Some(OsStr::new("m")) {
            continue;
        }
        let Some((file, segment)) = path.file_stem().and_then(main_fork) else { continue };
        let map = match open_map(&path, false) {
            Ok(map) => map,
            // Deleted since the listing, or just coming into being: no transaction that is over has rows in it.
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            Err(StorageError::Damaged { .. }) if in_use => continue,
            Err(error) => return Err(error),
        };
        for blocks in blocks_of(map) {
            let first = segment * SEGMENT_PAGES;
            changed.add(file, first + blocks.start..first + blocks.end);
        }
        // SAFETY: the only copy.
        unsafe { map.unmap() };
    }
    Ok(())
}

/// What a map changes: the pages that it owns, and those that it hides without owning them.
fn blocks_of(map: Map) -> Vec<Blocks> {
    if map.flags() & (WHITEOUT | UNLINKED) != 0 {
        return vec![Blocks { start: 0, end: SEGMENT_PAGES }];
    }
    let hidden_from = map.base_limit().div_ceil(PAGE_SIZE).min(SEGMENT_PAGES);
    let mut all = vec![Blocks { start: hidden_from, end: SEGMENT_PAGES }];
    for index in 0..(hidden_from.div_ceil(64) as usize) {
        let mut word = map.owned_word(index);
        while word != 0 {
            let page = index as u64 * 64 + u64::from(word.trailing_zeros());
            word &= word - 1;
            match all.last_mut() {
                Some(last) if last.end == page => last.end = page + 1,
                _ => all.push(Blocks { start: page, end: page + 1 }),
            }
        }
    }
    all
}

/// The file number and the segment of a file of a main fork.
pub(crate) fn main_fork(name: &OsStr) -> Option<(u32, u64)> {
    let name = name.to_str()?;
    let (file, segment) = name.split_once('.').unwrap_or((name, "0"));
    Some((file.parse().ok()?, segment.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut changed = ChangedBlocks::default();
        for blocks in [5..6, 1..2, 2..4, 3..5, 9..9, 20..22] {
            changed.add(7, blocks);
        }
        changed.tidy();
        let mut more = ChangedBlocks::default();
        for (file, blocks) in [(7, 5..21), (7, 30..31), (9, 1..2), (9, 4..5)] {
            more.add(file, blocks);
        }
        let both = changed.clone().and(more);
        assert_eq!(both.of(7), [1..22, 30..31]);
        assert_eq!(both.of(9), [1..2, 4..5]);
        assert_eq!(changed.of(7), [1..6, 20..22]);
        assert!(!changed.contains(8) && changed.of(8).is_empty());
    }

    #[test]
    fn only_main_forks_count() {
        let of = |name: &str| main_fork(OsStr::new(name));
        assert_eq!(of("16384"), Some((16384, 0)));
        assert_eq!(of("16384.2"), Some((16384, 2)));
        assert_eq!((of("16384_fsm"), of("16384_vm.1"), of("PG_VERSION")), (None, None, None));
    }
}

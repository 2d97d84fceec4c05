//! What clones take on the disk, by where their files lie.
//!
//! Folders and the blocks of data are counted, the file system's own lists of them are not. What has no known place, as it
//! was just written or is compressed, is counted as nobody else's. Without `FIEMAP`, all is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use super::extents::{Extent, blocks, map};
use crate::error::StorageError;
use crate::metadata::Metadata;
use crate::paths::Paths;
use crate::usage::{Usage, rest_of_store, summarize};
use crate::{BranchId, BranchSize};

/// Calls `found` with each extent below `folder`; returns the bytes of the folders.
fn look_through(folder: &Path, found: &mut impl FnMut(Extent)) -> u64 {
    let mut folders = blocks(folder);
    // What is gone since it was listed takes nothing.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => folders += look_through(&entry.path(), found),
            Ok(kind) if kind.is_file() => {
                let mapped = map(&entry.path(), false).ok().flatten();
                mapped.into_iter().flat_map(|mapped| mapped.extents).for_each(&mut *found);
            }
            _ => {}
        }
    }
    folders
}

/// Looks at every file of a store.
pub(super) fn measure(paths: &Paths, metadata: &Metadata) -> Result<Usage, StorageError> {
    let rows = metadata.branches()?;
    let mut shares: BTreeMap<BTreeSet<u64>, u64> = BTreeMap::new();
    // Beginnings and ends of extents on the disk, with who reads them.
    let mut edges: Vec<(u64, bool, u64)> = Vec::new();
    for row in &rows {
        let owner = row.owner().0;
        let mut alone = 0;
        let folders = look_through(paths.branch(row.id).folder(), &mut |extent| match extent.place {
            Some(place) => edges.extend([(place, true, owner), (place + extent.length, false, owner)]),
            None => alone += extent.length,
        });
        *shares.entry(BTreeSet::from([owner])).or_default() += alone + folders;
    }
    add_shares(edges, &mut shares);
    let of_nobody = rest_of_store(paths, &mut shares);
    Ok(summarize(rows, shares, of_nobody))
}

/// Adds the bytes between the edges to the shares of those who read them.
fn add_shares(mut edges: Vec<(u64, bool, u64)>, shares: &mut BTreeMap<BTreeSet<u64>, u64>) {
    edges.sort_unstable();
    // A branch and its fork point have the same owner: each is counted.
    let mut readers: BTreeMap<u64, u32> = BTreeMap::new();
    let mut position = 0;
    for (at, begins, owner) in edges {
        if at > position && !readers.is_empty() {
            *shares.entry(readers.keys().copied().collect()).or_default() += at - position;
        }
        position = at;
        if begins {
            *readers.entry(owner).or_default() += 1;
        } else if let Some(count) = readers.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                readers.remove(&owner);
            }
        }
    }
}

/// Looks at the files of one branch and its snapshots only. What it shares with its own fork point alone is counted as shared:
/// the file system does not say with whom.
pub(super) fn measure_branch(
    paths: &Paths,
    metadata: &Metadata,
    branch: BranchId,
) -> Result<BranchSize, StorageError> {
    let mut size = BranchSize::default();
    let mut seen = HashSet::new();
    for row in metadata.branches()?.iter().filter(|row| row.owner() == branch) {
        let folders = look_through(paths.branch(row.id).folder(), &mut |extent| {
            if extent.place.is_some_and(|place| !seen.insert(place)) {
                return;
            }
            let part = if extent.is_shared { &mut size.shared_bytes } else { &mut size.own_bytes };
            *part += extent.length;
        });
        size.own_bytes += folders;
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_in_the_share_of_its_readers() {
        let mut edges = Vec::new();
        for (owner, start, end) in [(1, 0, 100), (2, 50, 150), (2, 50, 60), (3, 200, 210)] {
            edges.extend([(start, true, owner), (end, false, owner)]);
        }
        let mut shares = BTreeMap::new();
        add_shares(edges, &mut shares);
        let of = |readers: &[u64]| shares.get(&readers.iter().copied().collect::<BTreeSet<_>>()).copied();
        assert_eq!((of(&[1]), of(&[1, 2]), of(&[2]), of(&[3])), (Some(50), Some(50), Some(50), Some(10)));
        assert_eq!(shares.values().sum::<u64>(), 160);
    }
}

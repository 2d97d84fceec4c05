//! Which branches every byte of a store is there for, and what removing some of them would free.

mod tally;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::StorageError;
use crate::files::disk_usage;
use crate::id::IdMap;
use crate::metadata::{BranchRow, Metadata};
use crate::page_layers::{PageLayers, locked};
use crate::paths::Paths;
use crate::store::Store;
use crate::throwaway::is_unlisted;
use crate::{BranchId, BranchSize, LayerId};
pub(crate) use tally::Tally;

/// How old the bytes of an awake branch may be in a list, if more than [`FEW_AWAKE`] are awake. One by itself is always looked at.
const AWAKE_AGE: Duration = Duration::from_secs(3);
/// As many awake branches and snapshots are looked at anew for every list.
const FEW_AWAKE: usize = 8;

/// Bytes of a branch's folder and its top layer.
#[derive(Clone, Copy)]
pub(crate) struct Counted {
    top: Option<u64>,
    at: Instant,
    bytes: u64,
}

/// Bytes on the disk that the same branches read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Who reads them, by number, the trash among them.
    pub readers: Vec<BranchId>,
    /// How many.
    pub bytes: u64,
}

/// One branch's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchUsage {
    /// Its number.
    pub id: BranchId,
    /// Its name.
    pub name: String,
    /// Whether it is in the trash.
    pub in_trash: bool,
    /// What nobody else reads: removing the branch for good frees it.
    pub own_bytes: u64,
    /// What it reads together with others.
    pub shared_bytes: u64,
}

/// Everything that a store has on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All branches, the trash among them, oldest first.
    pub branches: Vec<BranchUsage>,
    /// The pages, small files and WAL of all branches, each byte in one share.
    pub shares: Vec<Share>,
    /// Metadata, libraries, locks.
    pub other_bytes: u64,
}

impl Usage {
    /// All bytes.
    pub fn total_bytes(&self) -> u64 {
        self.other_bytes + self.shares.iter().map(|share| share.bytes).sum::<u64>()
    }

    /// Bytes that removing all of `branches` for good would free.
    pub fn freed_by(&self, branches: &[BranchId]) -> u64 {
        let only_theirs = |share: &&Share| share.readers.iter().all(|reader| branches.contains(reader));
        self.shares.iter().filter(only_theirs).map(|share| share.bytes).sum()
    }
}

impl Store {
    /// Measures the store on the disk. Takes time in the number of its files, not of their bytes.
    pub fn usage(&self) -> Result<Usage, StorageError> {
        self.shared.driver.usage()
    }
}

/// Bytes by file and by who reads it. A file with several names is counted once, for the readers of all of them.
#[derive(Default)]
struct Inventory {
    /// Bytes by readers.
    shares: BTreeMap<BTreeSet<u64>, u64>,
    /// Files with several names.
    linked: HashMap<(u64, u64), (BTreeSet<u64>, u64)>,
}

impl Inventory {
    fn add_folder(&mut self, folder: &Path, readers: &BTreeSet<u64>) {
        if let Ok(data) = fs::symlink_metadata(folder) {
            self.add(&data, readers);
        }
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            match entry.metadata() {
                Ok(data) if data.is_dir() => self.add_folder(&entry.path(), readers),
                Ok(data) => self.add(&data, readers),
                // Gone since it was listed.
                Err(_) => {}
            }
        }
    }

    fn add(&mut self, data: &fs::Metadata, readers: &BTreeSet<u64>) {
        let bytes = data.blocks() * 512;
        if data.is_file() && data.nlink() > 1 {
            let known =
                self.linked.entry((data.dev(), data.ino())).or_insert_with(|| (BTreeSet::new(), bytes));
            known.0.extend(readers);
        } else {
            *self.shares.entry(readers.clone()).or_default() += bytes;
        }
    }

    fn finish(mut self) -> BTreeMap<BTreeSet<u64>, u64> {
        for (_, (readers, bytes)) in self.linked {
            *self.shares.entry(readers).or_default() += bytes;
        }
        self.shares
    }
}

/// Looks at every file of a store.
pub(crate) fn measure(paths: &Paths, metadata: &Metadata) -> Result<Usage, StorageError> {
    let mut inventory = Inventory::default();
    let rows = metadata.branches()?;
    // A snapshot's bytes are its branch's.
    let owners: HashMap<BranchId, BranchId> = rows.iter().map(|row| (row.id, row.owner())).collect();
    let mut readers: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for (branch, layer) in metadata.stacked_layers()? {
        let owner = owners.get(&branch).copied().unwrap_or(branch);
        readers.entry(layer.0).or_default().insert(owner.0);
    }
    for (layer, readers) in &readers {
        inventory.add_folder(&paths.layer(LayerId(*layer)), readers);
    }
    for row in &rows {
        inventory.add_folder(paths.branch(row.id).folder(), &BTreeSet::from([row.owner().0]));
    }
    let mut shares = inventory.finish();
    let other_bytes = rest_of_store(paths, &mut shares);
    Ok(summarize(rows, shares, other_bytes))
}

/// Bytes of all that is neither a layer nor a branch. What nobody reads of what was looked at already is taken out of `shares`
/// and is among them.
pub(crate) fn rest_of_store(paths: &Paths, shares: &mut BTreeMap<BTreeSet<u64>, u64>) -> u64 {
    let mut inventory = Inventory::default();
    let of_nobody = BTreeSet::new();
    for entry in fs::read_dir(paths.store()).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_file() {
            *inventory.shares.entry(of_nobody.clone()).or_default() += blocks(&path);
        } else if path != paths.layers() && path != paths.branches() {
            inventory.add_folder(&path, &of_nobody);
        }
    }
    let rest = inventory.finish().remove(&of_nobody).unwrap_or(0);
    rest + shares.remove(&of_nobody).unwrap_or(0)
}

/// The usage of a store of these branches, from bytes by who reads them.
pub(crate) fn summarize(
    rows: Vec<BranchRow>,
    shares: BTreeMap<BTreeSet<u64>, u64>,
    other_bytes: u64,
) -> Usage {
    let part = |id: u64, alone: bool| -> u64 {
        let is_part =
            |(readers, _): &(&BTreeSet<u64>, &u64)| readers.contains(&id) && (readers.len() == 1) == alone;
        shares.iter().filter(is_part).map(|(_, bytes)| bytes).sum()
    };
    let branches = rows
        .into_iter()
        .filter(|row| row.snapshot.is_none() && !is_unlisted(&row.name))
        .map(|row| BranchUsage {
            own_bytes: part(row.id.0, true),
            shared_bytes: part(row.id.0, false),
            id: row.id,
            name: row.name,
            in_trash: row.trashed_ms.is_some(),
        })
        .collect();
    let shares = shares
        .into_iter()
        .map(|(readers, bytes)| Share { readers: readers.into_iter().map(BranchId).collect(), bytes })
        .collect();
    Usage { branches, shares, other_bytes }
}

/// Sizes of some branches with their snapshots. What no branch but it reads is a branch's own. Only what is awake is looked at again, every
/// few seconds.
pub(crate) fn measure_branches(
    driver: &PageLayers,
    wanted: &[BranchId],
) -> Result<Vec<BranchSize>, StorageError> {
    let mut tally = locked(&driver.tally);
    let merges = driver.merges.load(Ordering::SeqCst);
    driver.metadata.mirrored(|mirror| tally.follow(mirror, merges))?;
    let awake: HashSet<BranchId> = locked(&driver.open).keys().copied().collect();
    locked(&driver.awake_bytes).retain(|part, _| awake.contains(part));
    let age = if awake.len() > FEW_AWAKE { AWAKE_AGE } else { Duration::ZERO };
    let mut sizes: Vec<BranchSize> = Vec::with_capacity(wanted.len());
    // What is not known is looked at on the disk, while others may use what is.
    let mut missing: Vec<(usize, BranchId, Option<u64>)> = Vec::new();
    {
        let sleeping = locked(&driver.sleeping_bytes);
        for (index, branch) in wanted.iter().enumerate() {
            let mut size = tally.frozen(*branch, |layer| driver.layer_bytes(LayerId(layer), true));
            for (part, top) in tally.parts(*branch) {
                match sleeping.get(&part) {
                    Some(known) if known.top == top && !awake.contains(&part) => {
                        size.own_bytes += known.bytes;
                    }
                    _ => missing.push((index, part, top)),
                }
            }
            sizes.push(size);
        }
    }
    for (index, part, top) in missing {
        sizes[index].own_bytes += if awake.contains(&part) {
            driver.awake_bytes(part, top, age)
        } else {
            driver.sleeping_bytes(part, top)
        };
    }
    Ok(sizes)
}

/// Looks at the files of one branch and its snapshots, as [`measure_branches`].
pub(crate) fn measure_branch(driver: &PageLayers, branch: BranchId) -> Result<BranchSize, StorageError> {
    let shared = driver.metadata.shared_layers(branch)?;
    let mut size = BranchSize::default();
    let mut seen = HashSet::new();
    for part in driver.metadata.parts(branch)? {
        size.own_bytes += driver.branch_bytes(part);
        let stack = driver.metadata.stack(part)?;
        for (index, layer) in stack.iter().enumerate().filter(|(_, layer)| seen.insert(layer.id)) {
            let bytes = driver.layer_bytes(LayerId(layer.id), index > 0);
            if shared.contains(&layer.id) {
                size.shared_bytes += bytes;
            } else {
                size.own_bytes += bytes;
            }
        }
    }
    Ok(size)
}

impl PageLayers {
    /// Bytes of a branch's folder.
    fn branch_bytes(&self, branch: BranchId) -> u64 {
        disk_usage(self.paths.branch(branch).folder())
    }

    fn written_bytes(&self, branch: BranchId, top: Option<u64>) -> u64 {
        self.branch_bytes(branch) + top.map_or(0, |top| self.layer_bytes(LayerId(top), false))
    }

    /// Bytes of the folder and the top layer of a branch that sleeps: they are counted once.
    fn sleeping_bytes(&self, branch: BranchId, top: Option<u64>) -> u64 {
        self.counted(&self.sleeping_bytes, branch, top, Duration::MAX)
    }

    /// The same of one that is awake, as it was no longer than `age` ago.
    fn awake_bytes(&self, branch: BranchId, top: Option<u64>, age: Duration) -> u64 {
        self.counted(&self.awake_bytes, branch, top, age)
    }

    fn counted(
        &self,
        known: &Mutex<IdMap<BranchId, Counted>>,
        branch: BranchId,
        top: Option<u64>,
        age: Duration,
    ) -> u64 {
        let at = Instant::now();
        let before = locked(known).get(&branch).copied();
        // A branch that is forked has another top layer.
        if let Some(before) = before.filter(|before| before.top == top && at - before.at < age) {
            return before.bytes;
        }
        let counted = Counted { top, at, bytes: self.written_bytes(branch, top) };
        locked(known).insert(branch, counted);
        counted.bytes
    }

    pub(crate) fn layer_bytes(&self, layer: LayerId, frozen: bool) -> u64 {
        if frozen && let Some(bytes) = locked(&self.frozen_bytes).get(&layer) {
            return *bytes;
        }
        let bytes = disk_usage(&self.paths.layer(layer));
        if frozen {
            locked(&self.frozen_bytes).insert(layer, bytes);
        }
        bytes
    }
}

fn blocks(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |data| data.blocks() * 512)
}

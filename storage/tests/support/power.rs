//! A power cut by what the interposer has noted: writes that no fsync has reached are lost, torn and reordered.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Random;

const SECTOR: u64 = 512;
const BLOCK: u64 = 8192;
const HEADER: usize = 40;

fn journal(store: &Path, branch: u64) -> PathBuf {
    store.join("branches").join(branch.to_string()).join("power-journal")
}

/// Lets the interposer of a branch that sleeps note its writes from the next wake on.
pub fn watch(store: &Path, branch: u64) {
    let path = journal(store, branch);
    fs::write(&path, b"").unwrap();
    // Postgres may run as another user.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
}

/// A write: where its record ends, where it went, and what was there before.
struct Write {
    end: u64,
    offset: u64,
    length: u64,
    old: Vec<u8>,
}

/// Writes by inode that no fsync has reached, in order.
fn pending(journal: &[u8]) -> HashMap<u64, Vec<Write>> {
    let mut all: HashMap<u64, Vec<Write>> = HashMap::new();
    let mut at = 0;
    while at + HEADER <= journal.len() {
        let word = |index: usize| {
            u64::from_ne_bytes(journal[at + index * 8..at + index * 8 + 8].try_into().unwrap())
        };
        let [kind, inode, third, length, old] = [0, 1, 2, 3, 4].map(word);
        let end = at + HEADER + old as usize;
        match kind {
            1 if end <= journal.len() => {
                let old = journal[at + HEADER..end].to_vec();
                all.entry(inode).or_default().push(Write { end: end as u64, offset: third, length, old });
            }
            2 => drop(all.get_mut(&inode).map(|writes| writes.retain(|write| write.end > third))),
            3 => all.values_mut().for_each(|writes| writes.retain(|write| write.end > third)),
            // The process was killed in the middle of a record.
            _ => break,
        }
        at = end;
    }
    all
}

fn files(folder: &Path, found: &mut HashMap<u64, PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let data = entry.metadata().unwrap();
        if data.is_dir() {
            files(&entry.path(), found);
        } else {
            found.insert(data.ino(), entry.path());
        }
    }
}

/// What was written to the files of a store and not synced, by the files' names in the store. Copies of the store have the same.
pub struct Unsynced(Vec<(PathBuf, Vec<Write>)>);

/// What the processes of a branch have written and not synced. None of them runs any more.
pub fn unsynced(store: &Path, branch: u64) -> Unsynced {
    let mut paths = HashMap::new();
    files(store, &mut paths);
    let journal = fs::read(journal(store, branch)).unwrap();
    let mut all: Vec<_> = pending(&journal).into_iter().filter(|(_, writes)| !writes.is_empty()).collect();
    all.sort_by_key(|(inode, _)| *inode);
    let name =
        |inode: u64| paths.get(&inode).map(|path: &PathBuf| path.strip_prefix(store).unwrap().to_owned());
    Unsynced(all.into_iter().filter_map(|(inode, writes)| Some((name(inode)?, writes))).collect())
}

/// Puts each sector of what was written and not synced back to one of its earlier contents, or leaves it. Mostly a whole
/// page at a time; sometimes each sector by itself, as when a page is torn. Returns how many sectors went back.
///
/// `durable` are the folders of layers that the engine has synced. No process may use the store.
pub fn cut(store: &Path, unsynced: &Unsynced, durable: &[PathBuf], random: &mut Random) -> u64 {
    let mut back = 0;
    for (name, writes) in &unsynced.0 {
        let path = store.join(name);
        if durable.iter().any(|layer| path.starts_with(layer)) {
            continue;
        }
        let file = OpenOptions::new().write(true).open(path).unwrap();
        let size = file.metadata().unwrap().len();
        let mut sectors: BTreeMap<u64, Vec<&Write>> = BTreeMap::new();
        for write in writes {
            for sector in write.offset / SECTOR..(write.offset + write.length).div_ceil(SECTOR) {
                sectors.entry(sector).or_default().push(write);
            }
        }
        // How far back each block goes: 0 is as it was before all of these writes, 100 as it is.
        let mut of_block = (u64::MAX, 0, false);
        for (sector, versions) in sectors {
            let block = sector * SECTOR / BLOCK;
            if of_block.0 != block {
                of_block = (block, random.below(101), random.below(4) == 0);
            }
            let share = if of_block.2 { random.below(101) } else { of_block.1 };
            let version = (share as usize * (versions.len() + 1) / 101).min(versions.len());
            let Some(write) = versions.get(version) else { continue };
            back += 1;
            restore(&file, size, sector, write);
        }
    }
    back
}

/// Writes the bytes of a sector that `write` has overwritten back.
fn restore(file: &fs::File, size: u64, sector: u64, write: &Write) {
    let start = (sector * SECTOR).max(write.offset);
    let end = ((sector + 1) * SECTOR).min(write.offset + write.length).min(size);
    if start >= end {
        return;
    }
    let old = |at: u64| write.old.get((at - write.offset) as usize).copied().unwrap_or(0);
    let bytes: Vec<u8> = (start..end).map(old).collect();
    file.write_all_at(&bytes, start).unwrap();
}

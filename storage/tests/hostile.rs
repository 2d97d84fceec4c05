//! Files of a store with bytes that nobody meant: readers of maps, control blocks and metadata answer with an error
//! and never with a panic or an access outside of it.
//!
//! `OFFSHOOT_SEEDS=1000000` makes more mutations; `OFFSHOOT_SEED=n` repeats those of one seed. `storage/fuzz` has the same readers for `cargo fuzz`.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use offshoot_pages::control::{self, StackLayer};
use offshoot_pages::map::{MAP_SIZE, Map, MapError, NewMap};
use offshoot_pages::{PAGE_SIZE, SEGMENT_PAGES};
use offshoot_storage::Store;
use support::{Random, TestStore};

/// Mutations of an ordinary run, for each format.
const CASES: u64 = 3000;
/// Stores that are opened with damaged metadata in an ordinary run: each takes milliseconds.
const STORES: u64 = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

fn random() -> Random {
    let seed = number("OFFSHOOT_SEED").unwrap_or(1);
    eprintln!("OFFSHOOT_SEED={seed}");
    Random::from_seed(seed)
}

/// Changes some bytes, or the length: mostly where headers are.
fn mutate(bytes: &mut Vec<u8>, headers: u64, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let end = if random.below(4) == 0 { bytes.len() as u64 } else { headers.min(bytes.len() as u64) };
        if end == 0 {
            return;
        }
        let at = random.below(end) as usize;
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => {
                let word = [0, 1, u64::MAX, 1 << 63, SEGMENT_PAGES * PAGE_SIZE + 1][random.below(5) as usize];
                let at = at & !7;
                let room = bytes.len().saturating_sub(at).min(8);
                bytes[at..at + room].copy_from_slice(&word.to_ne_bytes()[..room]);
            }
            3 => {
                let until = (at + 1 + random.below(64) as usize).min(bytes.len());
                bytes[at..until].fill(if random.below(2) == 0 { 0 } else { 0xff });
            }
            4 if random.below(4) == 0 => bytes.truncate(at),
            4 if random.below(4) == 0 => bytes.resize(bytes.len() + at, 7),
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// A valid map with some of everything.
fn valid_map(path: &Path) -> Vec<u8> {
    let new = NewMap { length: 90 * PAGE_SIZE, base_limit: 40 * PAGE_SIZE, flags: 0, incarnation: 7 };
    Map::write_new(&c_path(path), new, false).unwrap();
    let map = Map::open(&c_path(path), true).unwrap();
    map.reserve(&c_path(path)).unwrap();
    map.own(3, 80);
    map.own(SEGMENT_PAGES - 5, SEGMENT_PAGES);
    map.grow(SEGMENT_PAGES * PAGE_SIZE);
    map.sync(None, || 0).unwrap();
    // SAFETY: the only copy.
    unsafe { map.unmap() };
    fs::read(path).unwrap()
}

/// Everything that reads or follows a map.
fn use_map(map: Map, other: Map) {
    assert!(map.length() <= SEGMENT_PAGES * PAGE_SIZE && map.base_limit() <= SEGMENT_PAGES * PAGE_SIZE);
    for page in [0, 1, 63, 64, 15_871, 15_872, SEGMENT_PAGES - 1] {
        let word = map.owned_word((page / 64) as usize);
        assert_eq!(map.owns(page), word >> (page % 64) & 1 != 0);
    }
    for (first, end) in map.runs(Some(other), map.length()) {
        assert!(first < end && end <= SEGMENT_PAGES);
    }
    let _ = (map.is_synced(), map.flags(), map.incarnation(), map.has_room(SEGMENT_PAGES));
    map.sync(None, || 0).unwrap();
    map.truncate(map.length() / 2);
    map.grow(map.length() + PAGE_SIZE);
    map.rebuild();
    assert!(map.length() <= SEGMENT_PAGES * PAGE_SIZE);
}

#[test]
fn a_map_of_any_bytes_is_refused_or_read_within_its_bounds() {
    let (folder, mut random) = (tempfile::tempdir().unwrap(), random());
    let (path, other) = (folder.path().join("1.m"), folder.path().join("2.m"));
    let whole = valid_map(&path);
    valid_map(&other);
    let other = Map::open(&c_path(&other), true).unwrap();
    let (mut refused, mut read) = (0, 0);
    for case in 0..number("OFFSHOOT_SEEDS").unwrap_or(CASES) {
        let mut bytes = whole.clone();
        mutate(&mut bytes, 128, &mut random);
        fs::write(&path, &bytes).unwrap();
        match Map::open(&c_path(&path), true) {
            Ok(map) => {
                assert_eq!(bytes.len(), MAP_SIZE, "case {case}");
                use_map(map, other);
                // SAFETY: the only copy.
                unsafe { map.unmap() };
                read += 1;
            }
            Err(MapError::NotAMap) => refused += 1,
            Err(MapError::Os(code)) => panic!("case {case}: {code}"),
        }
    }
    assert!(refused > 100 && read > 100, "{refused} refused, {read} read");
}

#[test]
fn a_control_block_of_any_bytes_is_refused_or_read_within_its_bounds() {
    let (folder, mut random) = (tempfile::tempdir().unwrap(), random());
    let path = folder.path().join("control");
    let layers = [1, 2, 3].map(|id| StackLayer { id, durable: id > 1 });
    control::write_new(&path, &layers, 9).unwrap();
    let whole = fs::read(&path).unwrap();
    let (mut refused, mut read) = (0, 0);
    // The block is larger than a map: fewer cases.
    for _ in 0..number("OFFSHOOT_SEEDS").unwrap_or(CASES / 4) {
        let mut bytes = whole.clone();
        mutate(&mut bytes, 256, &mut random);
        fs::write(&path, &bytes).unwrap();
        match control::open(&c_path(&path)) {
            Ok(block) => {
                let layers = block.layers();
                assert!((1..=control::MAX_LAYERS).contains(&layers.len()));
                block.set_durable(2);
                // SAFETY: the only copy.
                unsafe { block.unmap() };
                read += 1;
            }
            Err(error) => {
                assert_eq!(error, MapError::NotAMap);
                refused += 1;
            }
        }
    }
    assert!(refused > 20 && read > 20, "{refused} refused, {read} read");
}

#[test]
fn metadata_of_any_bytes_open_or_give_an_error_that_names_them() {
    let Some(mut test) = TestStore::quick(18) else { return };
    test.create("child", "main");
    test.store().sleep(test.id("main")).unwrap();
    test.close();
    let (path, mut random) = (test.dir().join("meta.sqlite"), random());
    let whole = fs::read(&path).unwrap();
    let saved = test.folder.path().join("saved");
    support::copy_tree(&test.dir(), &saved);
    let (mut refused, mut opened) = (0, 0);
    for case in 0..number("OFFSHOOT_SEEDS").unwrap_or(STORES) {
        let mut bytes = whole.clone();
        // Mostly in the first page, which has the header and the schema.
        mutate(&mut bytes, 4096, &mut random);
        for beside in ["meta.sqlite-wal", "meta.sqlite-shm", "meta.sqlite-journal"] {
            let _ = fs::remove_file(test.dir().join(beside));
        }
        fs::write(&path, &bytes).unwrap();
        match Store::open(test.options()) {
            Ok(store) => {
                let _ = (store.branches(), store.trash());
                store.close().unwrap();
                opened += 1;
            }
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("meta.sqlite"), "case {case}: {said}");
                refused += 1;
            }
        }
    }
    eprintln!("{refused} refused, {opened} opened");
    assert!(refused > 0, "{refused} refused, {opened} opened");
    // Nothing of the kind has harmed another file: with the metadata as they were, all is there. A layer or branch that no
    // metadata named is removed by an open, as what a crash left: those come back from the copy.
    fs::remove_dir_all(test.dir()).unwrap();
    support::copy_tree(&saved, &test.dir());
    test.open();
    assert_eq!(test.text("child", "SELECT 1"), "1");
}

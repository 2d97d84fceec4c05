//! What the fuzzer feeds, and what `storage/tests/corpus.rs` replays: readers of maps and control blocks, with any bytes.
//!
//! The first byte of an input says how the others are taken: as the beginning of the file, or as changes of a valid one, each of them
//! two bytes of a place, one of a length and so many bytes. With bit 2 the second byte cuts the file short.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::OnceLock;

use offshoot_pages::control::{self, MAX_LAYERS, StackLayer};
use offshoot_pages::map::{MAP_SIZE, Map, MapError, NewMap};
use offshoot_pages::{PAGE_SIZE, SEGMENT_PAGES};

const AS_BEGINNING: u8 = 1;
const OF_THE_SECOND: u8 = 2;
const CUT: u8 = 4;

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL in a path")
}

/// A valid file of each of two kinds, made once.
type Valid = [OnceLock<Vec<u8>>; 2];

/// The file that an input stands for; `make` makes a valid one.
fn file(input: &[u8], valid: &'static Valid, make: impl Fn(bool) -> Vec<u8>) -> Vec<u8> {
    let Some((kind, mut rest)) = input.split_first() else { return Vec::new() };
    let is_second = kind & OF_THE_SECOND != 0;
    let mut file = valid[usize::from(is_second)].get_or_init(|| make(is_second)).clone();
    if kind & CUT != 0
        && let Some((by, after)) = rest.split_first()
    {
        file.truncate(file.len() - (usize::from(*by) * 151).min(file.len()));
        rest = after;
    }
    if kind & AS_BEGINNING != 0 {
        let length = rest.len().min(file.len());
        file[..length].copy_from_slice(&rest[..length]);
        return file;
    }
    while let [low, high, length, after @ ..] = rest {
        let at = usize::from(u16::from_le_bytes([*low, *high]));
        let (bytes, after) = after.split_at(usize::from(*length).min(after.len()));
        let end = (at + bytes.len()).min(file.len());
        if at < end {
            file[at..end].copy_from_slice(&bytes[..end - at]);
        }
        rest = after;
    }
    file
}

/// An empty map, or one with some of everything.
fn valid_map(path: &Path, is_full: bool) -> Vec<u8> {
    let c_path = c_path(path);
    let new = if is_full {
        NewMap { length: 90 * PAGE_SIZE, base_limit: 40 * PAGE_SIZE, flags: 0, incarnation: 7 }
    } else {
        NewMap::default()
    };
    Map::write_new(&c_path, new, false).expect("a valid map");
    if is_full {
        let map = Map::open(&c_path, true).expect("just written");
        map.reserve(&c_path).expect("there is room");
        map.own(3, 80);
        map.own(SEGMENT_PAGES - 5, SEGMENT_PAGES);
        map.grow(SEGMENT_PAGES * PAGE_SIZE);
        map.sync(None, || 0).expect("in memory");
        // SAFETY: the only copy.
        unsafe { map.unmap() };
    }
    std::fs::read(path).expect("it was written")
}

/// A map of any bytes is refused, or read and followed within its bounds.
pub(crate) fn read_map(folder: &Path, input: &[u8]) {
    static VALID: Valid = [const { OnceLock::new() }; 2];
    let (path, below) = (folder.join("1.m"), folder.join("2.m"));
    let bytes = file(input, &VALID, |is_full| valid_map(&path, is_full));
    std::fs::write(&path, &bytes).expect("write the input");
    let map = match Map::open(&c_path(&path), true) {
        Ok(map) => map,
        Err(MapError::NotAMap) => return,
        Err(MapError::Os(code)) => panic!("an error of the system: {code}"),
    };
    assert_eq!(bytes.len(), MAP_SIZE);
    std::fs::write(&below, VALID[1].get_or_init(|| valid_map(&below, true))).expect("write another map");
    let below = Map::open(&c_path(&below), true).expect("a valid map");
    assert!(map.length() <= SEGMENT_PAGES * PAGE_SIZE && map.base_limit() <= SEGMENT_PAGES * PAGE_SIZE);
    for (upper, lower) in [(map, None), (map, Some(below)), (below, Some(map))] {
        for (first, end) in upper.runs(lower, upper.length()) {
            assert!(first < end && end <= SEGMENT_PAGES);
        }
    }
    for page in [0, 1, 63, 64, 15_871, 15_872, SEGMENT_PAGES - 1] {
        let word = map.owned_word((page / 64) as usize);
        assert_eq!(map.owns(page), word >> (page % 64) & 1 != 0);
    }
    let _ = (map.is_synced(), map.flags(), map.incarnation(), map.has_room(SEGMENT_PAGES));
    map.sync(None, || 0).expect("in memory");
    map.truncate(map.length() / 2);
    map.grow(map.length() + PAGE_SIZE);
    map.rebuild();
    assert!(map.length() <= SEGMENT_PAGES * PAGE_SIZE);
    // SAFETY: the only copies.
    unsafe {
        map.unmap();
        below.unmap();
    }
}

fn valid_control(path: &Path, is_full: bool) -> Vec<u8> {
    let count = if is_full { MAX_LAYERS as u64 } else { 3 };
    let layers: Vec<_> = (1..=count).map(|id| StackLayer { id, durable: id > 1 }).collect();
    control::write_new(path, &layers, 9).expect("a valid block");
    std::fs::read(path).expect("it was written")
}

/// A control block of any bytes is refused, or read within its bounds.
pub(crate) fn read_control(folder: &Path, input: &[u8]) {
    static VALID: Valid = [const { OnceLock::new() }; 2];
    let path = folder.join("control");
    let bytes = file(input, &VALID, |is_full| valid_control(&path, is_full));
    std::fs::write(&path, &bytes).expect("write the input");
    let block = match control::open(&c_path(&path)) {
        Ok(block) => block,
        Err(MapError::NotAMap) => return,
        Err(MapError::Os(code)) => panic!("an error of the system: {code}"),
    };
    let layers = block.layers();
    assert!((1..=MAX_LAYERS).contains(&layers.len()));
    block.set_durable(layers[0].id);
    assert!(block.layers()[0].durable);
    let shorter = &layers[layers.len() / 2..];
    block.swap_stack(shorter);
    assert_eq!(block.layers().len(), shorter.len());
    // SAFETY: the only copy.
    unsafe { block.unmap() };
}

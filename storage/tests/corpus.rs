//! The inputs that fuzzing found to reach most (`node scripts/attack/fuzz.mjs`), through the same readers.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../fuzz/readers.rs"]
mod readers;

use std::fs;
use std::path::Path;

fn replay(target: &str, read: fn(&Path, &[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        let read = || read(folder.path(), &input);
        assert!(std::panic::catch_unwind(read).is_ok(), "{}", path.display());
        count += 1;
    }
    assert!(count > 10, "{count} inputs");
}

#[test]
fn what_fuzzing_found_of_maps_is_refused_or_read_within_their_bounds() {
    replay("map", readers::read_map);
}

#[test]
fn what_fuzzing_found_of_control_blocks_is_refused_or_read_within_their_bounds() {
    replay("control", readers::read_control);
}

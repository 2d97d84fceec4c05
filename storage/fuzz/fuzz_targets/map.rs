//! See `read_map`.
#![no_main]

#[path = "../readers.rs"]
#[allow(dead_code, reason = "each target has one of the readers")]
mod readers;

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("offshoot-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the inputs");
    folder
});

fuzz_target!(|input: &[u8]| readers::read_map(&FOLDER, input));

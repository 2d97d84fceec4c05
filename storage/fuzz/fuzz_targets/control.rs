//! Control blocks of any bytes: refused, or read within their bounds.
#![no_main]

use std::ffi::CString;

use libfuzzer_sys::fuzz_target;
use offshoot_pages::control::{self, MAX_LAYERS, StackLayer};

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("offshoot-fuzz-{}.control", std::process::id()));
    let c_path = CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL in a path");
    control::write_new(&path, &[StackLayer { id: 1, durable: true }], 1).expect("a valid block");
    let mut bytes = std::fs::read(&path).expect("it was written");
    let skipped = 16;
    let length = data.len().min(bytes.len() - skipped);
    bytes[skipped..skipped + length].copy_from_slice(&data[..length]);
    std::fs::write(&path, &bytes).expect("write the input");
    let Ok(block) = control::open(&c_path) else { return };
    assert!((1..=MAX_LAYERS).contains(&block.layers().len()));
    block.set_durable(1);
    // SAFETY: the only copy.
    unsafe { block.unmap() };
});

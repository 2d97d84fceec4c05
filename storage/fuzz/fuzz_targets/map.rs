//! Page maps of any bytes: refused, or read and followed within their bounds.
#![no_main]

use std::ffi::CString;

use libfuzzer_sys::fuzz_target;
use offshoot_pages::map::{MAP_SIZE, Map, NewMap};
use offshoot_pages::{PAGE_SIZE, SEGMENT_PAGES};

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("offshoot-fuzz-{}.m", std::process::id()));
    let c_path = CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL in a path");
    // The input replaces the beginning of a valid map, so that most of it is reached behind the magic numbers.
    Map::write_new(&c_path, NewMap::default(), false).expect("a valid map");
    let mut bytes = std::fs::read(&path).expect("it was written");
    let length = data.len().min(MAP_SIZE);
    bytes[..length].copy_from_slice(&data[..length]);
    if data.first().is_some_and(|byte| byte % 2 == 0) {
        bytes[..8].copy_from_slice(b"OFFSMAP\x01");
        bytes[64..72].copy_from_slice(b"OFFSMAP\x01");
    }
    std::fs::write(&path, &bytes).expect("write the input");
    let Ok(map) = Map::open(&c_path, true) else { return };
    assert!(map.length() <= SEGMENT_PAGES * PAGE_SIZE);
    for (first, end) in map.runs(None, map.length()) {
        assert!(first < end && end <= SEGMENT_PAGES && map.owns(first));
    }
    let _ = map.sync(None, || 0);
    map.truncate(map.length() / 2);
    map.grow(map.length());
    map.rebuild();
    // SAFETY: the only copy.
    unsafe { map.unmap() };
});

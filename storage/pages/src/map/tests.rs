use super::*;
use std::ffi::CString;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

struct Fixture {
    folder: tempfile::TempDir,
    data: std::fs::File,
    map: Map,
}

fn path(folder: &tempfile::TempDir, name: &str) -> CString {
    CString::new(folder.path().join(name).as_os_str().as_bytes()).unwrap()
}

fn fixture(new: NewMap) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    Map::write_new(&path(&folder, "1.m"), new, false).unwrap();
    let map = Map::open(&path(&folder, "1.m"), true).unwrap();
    let data = std::fs::File::create(folder.path().join("1.d")).unwrap();
    Fixture { folder, data, map }
}

impl Fixture {
    fn write(&self, first: u64, end: u64) {
        self.map.reserve(&path(&self.folder, "1.m")).unwrap();
        self.map.own(first, end);
        self.map.grow(end * PAGE_SIZE);
    }

    fn sync(&self) {
        self.map.sync(Some(self.data.as_raw_fd()), || 0).unwrap();
    }
}

#[test]
fn a_page_written_but_never_synced_is_gone_after_a_machine_crash() {
    let file = fixture(NewMap::default());
    file.write(0, 2);
    file.sync();
    file.write(2, 3);
    assert!(file.map.owns(2));
    file.map.rebuild();
    assert!(file.map.owns(1) && !file.map.owns(2));
    assert_eq!(file.map.length(), 2 * PAGE_SIZE);
}

#[test]
fn a_synced_page_survives_in_both_parts_of_the_map() {
    let file = fixture(NewMap::default());
    let last = SEGMENT_PAGES - 1;
    file.write(3, 4);
    file.write(last, last + 1);
    file.sync();
    assert!(file.map.is_synced());
    file.map.rebuild();
    assert!(file.map.owns(3) && file.map.owns(last) && !file.map.owns(4));
}

#[test]
fn pages_cut_off_do_not_come_back_after_a_machine_crash() {
    let file = fixture(NewMap { length: 10 * PAGE_SIZE, base_limit: 10 * PAGE_SIZE, ..NewMap::default() });
    file.write(0, 10);
    file.sync();
    file.map.truncate(4 * PAGE_SIZE);
    file.sync();
    file.map.grow(8 * PAGE_SIZE);
    file.map.rebuild();
    assert!(file.map.owns(3) && !file.map.owns(5));
    assert_eq!(file.map.base_limit(), 4 * PAGE_SIZE);
    assert_eq!(file.map.length(), 4 * PAGE_SIZE);
}

#[test]
fn a_failed_sync_of_the_data_publishes_nothing() {
    let file = fixture(NewMap::default());
    file.write(0, 1);
    assert_eq!(file.map.sync(Some(-1), || 0), Err(libc::EBADF));
    file.map.rebuild();
    assert!(!file.map.owns(0));
}

#[test]
fn the_folder_entry_is_synced_once() {
    let file = fixture(NewMap::default());
    let mut entries = 0;
    for pages in 1..4 {
        file.write(0, pages);
        file.map
            .sync(Some(file.data.as_raw_fd()), || {
                entries += 1;
                0
            })
            .unwrap();
    }
    assert_eq!(entries, 1);
}

#[test]
fn a_small_map_takes_one_block_and_a_reserved_one_all_of_its_room() {
    let file = fixture(NewMap::default());
    let blocks = || std::fs::metadata(file.folder.path().join("1.m")).unwrap().blocks() * 512;
    assert!(!file.map.has_room(SEGMENT_PAGES));
    assert!(blocks() <= 4096);
    file.map.reserve(&path(&file.folder, "1.m")).unwrap();
    file.data.sync_all().unwrap();
    std::fs::File::open(file.folder.path().join("1.m")).unwrap().sync_all().unwrap();
    assert!(file.map.has_room(SEGMENT_PAGES));
    assert!(blocks() >= MAP_SIZE as u64);
}

#[test]
fn files_that_are_no_maps_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("empty", vec![]), ("zeros", vec![0u8; MAP_SIZE]), ("short", vec![1u8; 4096])] {
        std::fs::write(folder.path().join(name), content).unwrap();
        assert_eq!(Map::open(&path(&folder, name), true).err(), Some(MapError::NotAMap), "{name}");
    }
    assert_eq!(Map::open(&path(&folder, "none"), true).err(), Some(MapError::Os(libc::ENOENT)));
}

#[test]
fn an_absorbed_map_says_what_both_said_and_keeps_it_over_a_machine_crash() {
    let lower = fixture(NewMap { length: 10 * PAGE_SIZE, base_limit: 10 * PAGE_SIZE, ..NewMap::default() });
    lower.write(2, 8);
    lower.sync();
    let upper = fixture(NewMap { length: 10 * PAGE_SIZE, base_limit: 10 * PAGE_SIZE, ..NewMap::default() });
    upper.map.truncate(6 * PAGE_SIZE);
    upper.write(3, 4);
    upper.write(20_000, 20_002);
    upper.sync();
    assert_eq!(lower.map.runs(Some(upper.map), upper.map.base_limit()), [(2, 3), (4, 6)]);
    assert_eq!(upper.map.runs(None, u64::MAX), [(3, 4), (20_000, 20_002)]);
    lower.map.reserve(&path(&lower.folder, "1.m")).unwrap();
    // Repeated, as after a crash.
    for _ in 0..2 {
        lower.map.absorb(upper.map);
        lower.sync();
    }
    lower.map.rebuild();
    assert_eq!(lower.map.runs(None, u64::MAX), [(2, 6), (20_000, 20_002)]);
    assert_eq!(lower.map.length(), 20_002 * PAGE_SIZE);
    assert_eq!(lower.map.base_limit(), 6 * PAGE_SIZE);
}

#[test]
fn bits_that_are_older_than_the_length_are_dropped_when_the_map_is_rebuilt() {
    let file = fixture(NewMap::default());
    file.write(0, 10);
    file.sync();
    // The disk has the header after a truncation and the bits from before.
    let map_path = file.folder.path().join("1.m");
    let bits = std::fs::read(&map_path).unwrap()[2112..2120].to_vec();
    file.map.truncate(4 * PAGE_SIZE);
    let raw = std::fs::File::options().write(true).open(&map_path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&raw, &bits, 2112).unwrap();
    file.map.rebuild();
    file.map.grow(10 * PAGE_SIZE);
    file.sync();
    file.map.rebuild();
    assert!(file.map.owns(3) && !file.map.owns(4) && !file.map.owns(9));
}

#[test]
fn a_truncation_alone_has_to_be_synced() {
    let file = fixture(NewMap::default());
    file.write(0, 10);
    file.sync();
    assert!(file.map.is_synced());
    file.map.truncate(4 * PAGE_SIZE);
    assert!(!file.map.is_synced());
    file.sync();
    assert!(file.map.is_synced());
}

#[test]
fn a_truncation_that_was_cut_short_is_over_with_the_next_one() {
    let file = fixture(NewMap::default());
    file.write(0, 10);
    file.sync();
    // The process died after it had begun.
    file.map.working().truncations.fetch_or(1, SeqCst);
    file.sync();
    assert!(!file.map.is_synced(), "what it had done of it is not known");
    file.map.truncate(4 * PAGE_SIZE);
    file.sync();
    assert!(file.map.is_synced());
    file.map.rebuild();
    assert_eq!(file.map.length(), 4 * PAGE_SIZE);
    assert!(file.map.owns(3) && !file.map.owns(4));
}

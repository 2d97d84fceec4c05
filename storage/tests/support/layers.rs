//! The layers of a store seen from outside: which are frozen, what they hold, and what a power cut leaves of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use offshoot_pages::map::Map;
use offshoot_pages::{PAGE_SIZE, SEGMENT_PAGES};
use rusqlite::Connection;

use super::Random;

fn metadata(store: &Path) -> Connection {
    let connection = Connection::open(store.join("meta.sqlite")).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection
}

fn column(store: &Path, sql: &str) -> Vec<i64> {
    let connection = metadata(store);
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn folders(store: &Path, sql: &str) -> BTreeSet<String> {
    column(store, sql).into_iter().map(|id| format!("{id:016x}")).collect()
}

/// The folders of all layers that are no branch's writable one.
pub fn frozen(store: &Path) -> BTreeSet<String> {
    folders(
        store,
        "SELECT id FROM layers WHERE id NOT IN (SELECT layer FROM stacks s
         WHERE height = (SELECT max(height) FROM stacks WHERE branch = s.branch))",
    )
}

/// The folders of all layers that are known to be on the disk.
pub fn durable_layers(store: &Path) -> BTreeSet<String> {
    folders(store, "SELECT id FROM layers WHERE volatile_boot IS NULL")
}

fn files(layer: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![layer.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.insert(entry.path());
            }
        }
    }
    found
}

fn hash(bytes: &[u8]) -> u64 {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.fold(bytes.len() as u64, |hash, word| {
        (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

/// What a map says to those who read the layer. Its durable half may still catch up.
fn hash_map(path: &Path) -> u64 {
    let map = Map::open(&CString::new(path.as_os_str().as_bytes()).unwrap(), false).unwrap();
    let mut facts = vec![map.length(), map.base_limit(), u64::from(map.flags() & 1), map.incarnation()];
    facts.extend((0..(SEGMENT_PAGES / 64) as usize).map(|index| map.owned_word(index)));
    // SAFETY: the only copy.
    unsafe { map.unmap() };
    hash(&facts.iter().flat_map(|fact| fact.to_le_bytes()).collect::<Vec<u8>>())
}

/// A hash of every file of a layer.
pub type Hashes = BTreeMap<PathBuf, u64>;

/// Hashes one layer's files.
pub fn hash_layer(store: &Path, layer: &str) -> Hashes {
    let hash_file = |path: PathBuf| {
        let is_map = path.extension().is_some_and(|extension| extension == "m");
        let value = if is_map { hash_map(&path) } else { hash(&fs::read(&path).unwrap()) };
        (path, value)
    };
    files(&store.join("layers").join(layer)).into_iter().map(hash_file).collect()
}

/// Hashes of frozen layers, taken when each was first seen.
#[derive(Default)]
pub struct FrozenHashes(BTreeMap<String, Hashes>);

impl FrozenHashes {
    /// Takes up the layers that were frozen since the last call.
    pub fn note_new(&mut self, store: &Path) -> usize {
        let new: Vec<String> =
            frozen(store).into_iter().filter(|layer| !self.0.contains_key(layer)).collect();
        let count = new.len();
        self.0.extend(new.into_iter().map(|layer| (layer.clone(), hash_layer(store, &layer))));
        count
    }

    /// Every layer that is still there is what it was.
    pub fn assert_unchanged(&self, store: &Path) {
        let present = frozen(store);
        for (layer, before) in self.0.iter().filter(|(layer, _)| present.contains(*layer)) {
            let after = hash_layer(store, layer);
            let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
            let changed: Vec<_> = before.keys().chain(after.keys()).filter(differs).collect();
            assert!(changed.is_empty(), "the frozen layer {layer} changed: {changed:#?}");
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// Every folder of a layer or a branch is known to the metadata, and the other way round; every stack is whole.
pub fn assert_tidy(store: &Path) {
    let layers = if store.join("layers").is_dir() { names(&store.join("layers")) } else { BTreeSet::new() };
    assert_eq!(layers, folders(store, "SELECT id FROM layers"), "layers");
    let branches = column(store, "SELECT id FROM branches");
    let branches: BTreeSet<String> = branches.iter().map(ToString::to_string).collect();
    assert_eq!(names(&store.join("branches")), branches, "branches");
    let dangling = "SELECT layer FROM stacks WHERE layer NOT IN (SELECT id FROM layers)
        OR branch NOT IN (SELECT id FROM branches)";
    assert!(column(store, dangling).is_empty(), "a stack names what is not there");
    let unread = column(store, "SELECT id FROM layers WHERE id NOT IN (SELECT layer FROM stacks)");
    assert!(unread.is_empty(), "layers {unread:?} are in no stack");
}

/// What a power cut may have left of a page map, by its documented layout.
struct RawMap(Vec<u8>);

impl RawMap {
    const INLINE_PAGES: u64 = 15_872;

    fn bit(&self, inline: usize, rest: usize, page: u64) -> bool {
        let (start, page) =
            if page < Self::INLINE_PAGES { (inline, page) } else { (rest, page - Self::INLINE_PAGES) };
        self.0[start + (page / 8) as usize] >> (page % 8) & 1 != 0
    }

    fn works(&self, page: u64) -> bool {
        self.bit(128, 4096, page)
    }

    fn is_durable(&self, page: u64) -> bool {
        self.bit(2112, 20_480, page)
    }

    /// Whether the folder entry of the map was made durable.
    fn is_entry_synced(&self) -> bool {
        self.0[24] & 8 != 0
    }
}

/// Cuts the power: pages that no fsync reached hold rubbish, files whose folder entry no fsync reached are there, or
/// gone, or empty; and the machine has started again. No process may use the store.
pub fn lose_power(store: &Path, random: &mut Random) -> u64 {
    let mut lost = 0;
    for layer in folders(store, "SELECT id FROM layers WHERE volatile_boot IS NOT NULL") {
        let maps = files(&store.join("layers").join(layer));
        for map in maps.iter().filter(|path| path.extension().is_some_and(|extension| extension == "m")) {
            lost += lose_file(map, random);
        }
    }
    let connection = metadata(store);
    connection
        .execute("UPDATE layers SET volatile_boot = 'before' WHERE volatile_boot IS NOT NULL", [])
        .unwrap();
    connection
        .execute("UPDATE branches SET unsettled_boot = 'before' WHERE unsettled_boot IS NOT NULL", [])
        .unwrap();
    lost
}

fn lose_file(path: &Path, random: &mut Random) -> u64 {
    let map = RawMap(fs::read(path).unwrap());
    let data = path.with_extension("d");
    if !map.is_entry_synced() {
        match random.below(3) {
            0 => {
                fs::remove_file(path).unwrap();
                let _ = fs::remove_file(&data);
                return 1;
            }
            1 => {
                OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
                return 1;
            }
            _ => {}
        }
    }
    let Ok(file) = OpenOptions::new().write(true).open(&data) else { return 0 };
    let pages = file.metadata().unwrap().len().div_ceil(PAGE_SIZE);
    let lost: Vec<u64> = (0..pages).filter(|page| map.works(*page) && !map.is_durable(*page)).collect();
    for page in &lost {
        file.write_all_at(&[0xa5; PAGE_SIZE as usize], page * PAGE_SIZE).unwrap();
    }
    lost.len() as u64
}

/// What a branch that sleeps reads: a hash of each of its relation files, of the length and of every page.
pub fn view(store: &Path, branch: u64) -> BTreeMap<PathBuf, u64> {
    if super::driver() == offshoot_storage::DriverKind::Clone {
        let data = store.join(format!("branches/{branch}/pgdata"));
        let is_relation = |path: &PathBuf| {
            offshoot_pages::name::is_relation_file(path.file_name().unwrap().as_encoded_bytes())
        };
        let all = ["base", "global"].into_iter().flat_map(|folder| files(&data.join(folder)));
        let name = |path: &PathBuf| path.strip_prefix(&data).unwrap().to_owned();
        return all.filter(is_relation).map(|path| (name(&path), hash(&fs::read(&path).unwrap()))).collect();
    }
    let stack: Vec<PathBuf> =
        column(store, &format!("SELECT layer FROM stacks WHERE branch = {branch} ORDER BY height DESC"))
            .into_iter()
            .map(|id| store.join("layers").join(format!("{id:016x}")))
            .collect();
    let mut names = BTreeSet::new();
    for layer in &stack {
        let is_map = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "m");
        names.extend(
            files(layer).into_iter().filter(is_map).map(|path| path.strip_prefix(layer).unwrap().to_owned()),
        );
    }
    names.into_iter().filter_map(|name| Some((name.clone(), view_file(&stack, &name)?))).collect()
}

fn view_file(stack: &[PathBuf], name: &Path) -> Option<u64> {
    let open = |layer: &PathBuf| {
        let path = layer.join(name);
        let map =
            path.exists().then(|| Map::open(&CString::new(path.as_os_str().as_bytes()).unwrap(), false))?;
        Some((map.unwrap(), fs::File::open(path.with_extension("d")).ok()))
    };
    let parts: Vec<(Map, Option<fs::File>)> = stack.iter().filter_map(open).collect();
    let is_whiteout = |map: &Map| map.flags() & offshoot_pages::map::WHITEOUT != 0;
    let exists = parts.first().is_some_and(|(map, _)| !is_whiteout(map));
    let length = parts[0].0.length();
    let mut all = length;
    let mut page_bytes = [0u8; PAGE_SIZE as usize];
    for page in (0..length.div_ceil(PAGE_SIZE)).filter(|_| exists) {
        page_bytes.fill(0);
        for (map, data) in &parts {
            if is_whiteout(map) {
                break;
            }
            if map.owns(page) {
                let _ = data.as_ref().unwrap().read_at(&mut page_bytes, page * PAGE_SIZE).unwrap();
                break;
            }
            if page * PAGE_SIZE >= map.base_limit() {
                break;
            }
        }
        all = hash(&[all.to_le_bytes(), hash(&page_bytes).to_le_bytes()].concat());
    }
    for (map, _) in parts {
        // SAFETY: the only copy.
        unsafe { map.unmap() };
    }
    exists.then_some(all)
}

/// Layers in the stack of a branch.
pub fn depth(store: &Path, branch: u64) -> usize {
    column(store, &format!("SELECT layer FROM stacks WHERE branch = {branch}")).len()
}

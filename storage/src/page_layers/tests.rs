//! The layers against a plain model: processes under the real interposer write, cut, delete and make files, while
//! branches are made, layers frozen, synced, merged, processes killed and the machine crashes.
//!
//! A seed is a run: `OFFSHOOT_SEED=n` repeats one.

mod worker;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use offshoot_pages::control::StackLayer;

use self::worker::Worker;
use super::*;
use crate::layers;
use crate::merge::MAX_DEPTH;
use crate::metadata::BranchRow;

const FILES: u64 = 6;
const STEPS: u32 = 160;
const SEEDS: u64 = 16;
/// In the second part of a map as well, which has room on the disk only when it is needed.
const FAR_PAGE: u64 = 16_000;

/// Numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A page: what it may read as. The last is what it reads as while the machine runs; those before it are what a crash of
/// the machine may bring back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Page(Vec<u64>);

impl Page {
    fn now(&self) -> u64 {
        *self.0.last().unwrap()
    }
}

/// A file: pages, and the lengths that a crash may bring back, the present one last.
#[derive(Clone, Debug)]
struct ModelFile {
    pages: BTreeMap<u64, Page>,
    lengths: Vec<u64>,
}

impl Default for ModelFile {
    fn default() -> Self {
        Self { pages: BTreeMap::new(), lengths: vec![0] }
    }
}

impl ModelFile {
    fn length(&self) -> u64 {
        *self.lengths.last().unwrap()
    }

    fn page(&self, page: u64) -> u64 {
        if page < self.length() { self.pages.get(&page).map_or(0, Page::now) } else { 0 }
    }

    fn write(&mut self, page: u64, stamp: u64) {
        self.pages.entry(page).or_insert_with(|| Page(vec![0])).0.push(stamp);
        if page >= self.length() {
            self.lengths.push(page + 1);
        }
    }

    fn set_length(&mut self, pages: u64) {
        for (_, page) in self.pages.range_mut(pages..) {
            page.0.push(0);
        }
        self.lengths.push(pages);
    }

    fn sync(&mut self) {
        for page in self.pages.values_mut() {
            page.0 = vec![page.now()];
        }
        self.lengths = vec![self.length()];
    }
}

struct Branch {
    id: BranchId,
    files: BTreeMap<u64, ModelFile>,
    workers: Vec<Worker>,
}

struct World {
    folder: tempfile::TempDir,
    layers: PageLayers,
    branches: Vec<Branch>,
    random: Random,
    next: u64,
}

fn interposer() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let library = program.parent().and_then(Path::parent).unwrap().join("liboffshoot_interpose.so");
    assert!(library.exists(), "build it first: cargo build -p offshoot-interpose ({})", library.display());
    library
}

impl World {
    fn new(seed: u64) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("os-")
            .tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let paths = Paths::new(folder.path(), &folder.path().join("run"));
        for made in [paths.branches(), paths.layers()] {
            fs::create_dir(made).unwrap();
        }
        let metadata = Arc::new(Metadata::create(&paths.metadata()).unwrap());
        // The test is killed at no point: its commits need not reach the disk.
        metadata.forget_durability();
        let layers = PageLayers::new(paths, metadata, None, interposer()).unwrap();
        let mut world = Self { folder, layers, branches: Vec::new(), random: Random(seed), next: 0 };
        let base = world.layers.make_layer().unwrap();
        let stack = [StackLayer { id: base.0, durable: true }];
        world
            .layers
            .metadata
            .transaction(|transaction| {
                transaction
                    .execute("INSERT INTO layers (id, volatile_boot) VALUES (?1, NULL)", [base.0 as i64])?;
                Ok(())
            })
            .unwrap();
        world.add_branch(&stack, BTreeMap::new());
        world
    }

    fn add_branch(&mut self, below: &[StackLayer], files: BTreeMap<u64, ModelFile>) {
        self.next += 1;
        let id = BranchId(self.next);
        let layers = &self.layers;
        let top = layers.make_layer().unwrap();
        layers
            .metadata
            .transaction(|transaction| {
                metadata::write_stack(transaction, id, top, below, &layers.boot)?;
                let row = BranchRow {
                    id,
                    name: id.to_string(),
                    parent: None,
                    fork_lsn: None,
                    created_ms: 0,
                    unsettled_boot: None,
                    trashed_ms: None,
                    trashed_hours: None,
                    trash_order: None,
                    replaced_by: None,
                    snapshot: None,
                    fork_control: None,
                    past: metadata::Past::default(),
                };
                metadata::insert_branch(transaction, &row)
            })
            .unwrap();
        fs::create_dir_all(layers.paths.branch(id).data().join("base/1")).unwrap();
        self.branches.push(Branch { id, files, workers: Vec::new() });
        self.start(self.branches.len() - 1);
    }

    /// As waking does: all below is durable before.
    fn start(&mut self, index: usize) {
        let branch = &mut self.branches[index];
        self.layers.settle(branch.id).unwrap();
        self.layers.open_control(branch.id).unwrap();
        let data = self.layers.paths.branch(branch.id).data();
        branch.workers = (0..2).map(|_| Worker::start(&data, &self.layers.paths.layers())).collect();
    }

    fn stop(&mut self, index: usize) {
        let branch = &mut self.branches[index];
        branch.workers.clear();
        self.layers.close(branch.id);
    }

    /// Freezes as a fork does, without an image. Returns what a child reads.
    fn freeze(&self, branch: BranchId) -> Vec<StackLayer> {
        let layers = &self.layers;
        let _shape = layers.shape.read().unwrap();
        let _freezing = locked(&layers.freezing);
        let stack = layers.metadata.stack(branch).unwrap();
        if layers::is_empty(&layers.paths.layer(LayerId(stack[0].id))).unwrap() {
            return stack[1..].to_vec();
        }
        let top = layers.push_new_layer(branch).unwrap();
        let open = locked(&layers.open);
        let OpenControl(control) = &open[&branch];
        control.close_gate(PATIENCE).unwrap();
        let mut next = vec![StackLayer { id: top.0, durable: false }];
        next.extend_from_slice(&stack);
        control.swap_stack(&next);
        control.open_gate();
        stack
    }

    fn step(&mut self) {
        let index = self.random.below(self.branches.len() as u64) as usize;
        let file = self.random.below(FILES);
        let which = self.random.below(2) as usize;
        self.next += 1;
        let stamp = self.next;
        let page = if self.random.below(12) == 0 { FAR_PAGE } else { self.random.below(40) };
        let kind = self.random.below(100);
        let count = self.branches.len();
        let id = self.branches[index].id;
        let branch = &mut self.branches[index];
        let exists = branch.files.contains_key(&file);
        match kind {
            0..=44 => {
                let pages = 1 + self.random.below(4);
                branch.workers[which].create(file);
                let model = branch.files.entry(file).or_default();
                for number in 0..pages {
                    branch.workers[which].write(file, page + number, stamp + number);
                    model.write(page + number, stamp + number);
                }
                self.next += pages;
            }
            45..=54 if exists => {
                branch.workers[which].set_length(file, page);
                branch.files.get_mut(&file).unwrap().set_length(page);
            }
            55..=59 if exists => {
                for worker in &mut branch.workers {
                    worker.close(file);
                }
                branch.workers[which].unlink(file);
                branch.files.remove(&file);
            }
            60..=69 if exists => {
                branch.workers[which].sync(file);
                branch.files.get_mut(&file).unwrap().sync();
            }
            70..=77 => drop(self.freeze(id)),
            78..=81 if count < 6 => {
                let files = branch.files.clone();
                let below = self.freeze(id);
                self.add_branch(&below, files);
            }
            82..=83 if count > 1 => {
                self.stop(index);
                let gone = self.branches.remove(index);
                self.layers
                    .metadata
                    .transaction(|transaction| metadata::forget_branch(transaction, gone.id))
                    .unwrap();
                self.layers.reclaim().unwrap();
            }
            84..=85 => {
                // A kill: the next one finds what this one wrote.
                self.stop(index);
                self.start(index);
            }
            86 => self.crash_machine(),
            87..=88 => self.layers.settle(id).unwrap(),
            _ => {
                let budget = [1, 30_000, 300_000, u64::MAX][self.random.below(4) as usize];
                self.layers.merge_some(budget, MAX_DEPTH).unwrap();
            }
        }
        let index = self.random.below(self.branches.len() as u64) as usize;
        self.check_file(index, file);
    }

    /// All processes are gone, and with them what no fsync has reached.
    fn crash_machine(&mut self) {
        for index in 0..self.branches.len() {
            self.stop(index);
        }
        for layer in self.layers.metadata.layers_of_other_boots("none").unwrap() {
            layers::rebuild(&self.layers.paths.layer(layer)).unwrap();
        }
        // A merge that was under way is forgotten with the engine.
        *locked(&self.layers.merging) = Merging::default();
        self.layers.reclaim().unwrap();
        for index in 0..self.branches.len() {
            self.layers.settle(self.branches[index].id).unwrap();
            let top = self.layers.metadata.stack(self.branches[index].id).unwrap()[0].id;
            layers::sync(&self.layers.paths.layer(LayerId(top))).unwrap();
            self.start(index);
            let branch = &mut self.branches[index];
            for (file, model) in &mut branch.files {
                let length = branch.workers[0].length(*file).unwrap();
                assert!(model.lengths.contains(&length), "{length} is none of {:?}", model.lengths);
                model.lengths = vec![length];
                for (page, versions) in &mut model.pages {
                    let stamp = if *page < length { branch.workers[0].read(*file, *page) } else { 0 };
                    let may_be = stamp == 0 && *page >= length || versions.0.contains(&stamp);
                    assert!(may_be, "page {page} reads {stamp}, which is none of {:?}", versions.0);
                    versions.0 = vec![stamp];
                }
            }
        }
    }

    fn check_file(&mut self, index: usize, file: u64) {
        let branch = &mut self.branches[index];
        for worker in &mut branch.workers {
            let length = worker.length(file);
            assert_eq!(
                length,
                branch.files.get(&file).map(ModelFile::length),
                "length of {file} in {}",
                branch.id
            );
            let Some(model) = branch.files.get(&file) else { continue };
            for page in (0..44).chain(FAR_PAGE..FAR_PAGE + 4).filter(|page| *page < model.length()) {
                let found = worker.read(file, page);
                assert_eq!(found, model.page(page), "page {page} of {file} in branch {}", branch.id);
            }
        }
    }

    fn check_all(&mut self) {
        for index in 0..self.branches.len() {
            for file in 0..FILES {
                self.check_file(index, file);
            }
            let mut names = self.branches[index].workers[0].list();
            names.sort_unstable();
            assert_eq!(
                names,
                self.branches[index].files.keys().copied().collect::<Vec<_>>(),
                "the list of files"
            );
        }
    }

    fn merge_all(&mut self) {
        for index in 0..self.branches.len() {
            self.layers.settle(self.branches[index].id).unwrap();
        }
        while self.layers.merge_some(100_000, MAX_DEPTH).unwrap().more {}
        self.layers.merge_some(0, MAX_DEPTH).unwrap();
        let stacks = self.layers.metadata.stacks().unwrap();
        assert!(stacks.iter().all(|stack| stack.len() <= MAX_DEPTH), "a stack is too deep");
        let known: std::collections::BTreeSet<String> =
            stacks.iter().flatten().map(|layer| LayerId(layer.id).to_string()).collect();
        let folders = fs::read_dir(self.layers.paths.layers()).unwrap();
        let folders: std::collections::BTreeSet<String> =
            folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(folders, known, "folders of layers");
    }
}

fn run(seed: u64) {
    eprintln!("OFFSHOOT_SEED={seed}");
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.check_all();
    world.merge_all();
    world.check_all();
    for index in 0..world.branches.len() {
        world.stop(index);
    }
    drop(world.folder);
}

#[test]
fn layers_read_as_a_plain_model_does_whatever_is_frozen_branched_merged_and_killed() {
    if let Some(seed) = std::env::var("OFFSHOOT_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return run(seed);
    }
    let count = std::env::var("OFFSHOOT_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(SEEDS);
    (0..count).for_each(run);
}

#[test]
fn a_line_of_fifty_branches_that_all_live_is_no_deeper_than_the_limit_and_reads_the_same() {
    let mut world = World::new(1);
    for round in 0..50 {
        let last = world.branches.len() - 1;
        let branch = &mut world.branches[last];
        for file in [round % 3, 3] {
            branch.workers[0].create(file);
            branch.workers[0].write(file, round % 7, 1000 + round);
            branch.files.entry(file).or_default().write(round % 7, 1000 + round);
        }
        let (id, files) = (branch.id, branch.files.clone());
        let below = world.freeze(id);
        world.add_branch(&below, files);
        if round % 10 == 9 {
            world.merge_all();
        }
    }
    world.check_all();
    for index in 0..world.branches.len() {
        world.stop(index);
    }
}

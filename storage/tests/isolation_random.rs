//! Random SQL on a parent and its children at the same time, while branches are made, reset, deleted and merged: what a
//! branch reads, page by page, changes only through that branch.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use offshoot_storage::BranchId;
use support::layers::{FrozenHashes, assert_tidy, view};
use support::{Random, TestStore, check};

const ROUNDS: u64 = 5;
const STATEMENTS: u64 = 12;
/// Branches at a time.
const MANY: usize = 6;

#[test]
fn a_branch_reads_the_same_whatever_others_do_on_15() {
    others_change_nothing(15);
}

#[test]
fn a_branch_reads_the_same_whatever_others_do_on_18() {
    others_change_nothing(18);
}

/// A statement that succeeds in any state of the tables.
fn statement(random: &mut Random) -> String {
    let table = format!("r{}", random.below(3));
    let (low, count) = (random.below(3000), 1 + random.below(400));
    match random.below(12) {
        0..=2 => format!(
            "INSERT INTO {table} SELECT g, md5(g::text) FROM generate_series({low}, {low} + {count}) g"
        ),
        3..=5 => format!("UPDATE {table} SET v = md5(v) WHERE id BETWEEN {low} AND {low} + {count}"),
        6 => format!("DELETE FROM {table} WHERE id BETWEEN {low} AND {low} + {count} * 3"),
        7 => format!("VACUUM {table}"),
        8 => format!("VACUUM FULL {table}"),
        9 => format!("TRUNCATE {table}"),
        10 => format!("REINDEX TABLE {table}"),
        _ => "CHECKPOINT".into(),
    }
}

/// Ends the merging, also when the test panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Views = BTreeMap<BranchId, BTreeMap<PathBuf, u64>>;

fn assert_same(before: &BTreeMap<PathBuf, u64>, after: &BTreeMap<PathBuf, u64>, what: &str) {
    let differs = |path: &&PathBuf| before.get(*path) != after.get(*path);
    let changed: Vec<_> = before.keys().chain(after.keys()).filter(differs).collect();
    assert!(changed.is_empty(), "{what}: {changed:#?}");
}

fn others_change_nothing(major: u32) {
    let mut random = Random::new();
    let Some(test) = TestStore::quick(major) else { return };
    for table in 0..3 {
        let sql = format!(
            "CREATE TABLE r{table} AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 3000) g"
        );
        test.run("main", &format!("{sql}; CREATE INDEX ON r{table} (id)"));
    }
    let store = test.store();
    store.sleep(test.id("main")).unwrap();
    let mut asleep: Views = BTreeMap::new();
    asleep.insert(test.id("main"), view(&test.dir(), test.id("main").0));
    let mut frozen = FrozenHashes::default();
    for round in 0..ROUNDS {
        // Frozen layers as such stay as they are until some are merged.
        let merges = round >= ROUNDS / 3;
        let all = store.branches().unwrap();
        let busy: Vec<String> =
            all.iter().filter(|_| random.below(2) == 0).take(3).map(|branch| branch.name.clone()).collect();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for name in &busy {
                asleep.remove(&test.id(name));
                let mut random = random.fork();
                let test = &test;
                scope.spawn(move || {
                    let mut client = test.connect(name);
                    for _ in 0..STATEMENTS {
                        let sql = statement(&mut random);
                        client.batch_execute(&sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                    }
                });
            }
            let background = merges.then(|| {
                let (mut random, stop) = (random.fork(), &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::SeqCst) {
                        store.merge_quiet(8192 << random.below(8), 4).unwrap();
                    }
                })
            });
            let ends = Stop(&stop);
            reshape(&test, &mut random, round, &busy, &mut asleep);
            drop(ends);
            if let Some(background) = background {
                background.join().unwrap();
            }
        });
        for (id, before) in &asleep {
            assert_same(
                before,
                &view(&test.dir(), id.0),
                &format!("round {round}: branch {id}, asleep, changed"),
            );
        }
        if !merges {
            frozen.assert_unchanged(&test.dir());
            frozen.note_new(&test.dir());
        }
        for branch in store.branches().unwrap() {
            store.sleep(branch.id).unwrap();
            asleep.entry(branch.id).or_insert_with(|| view(&test.dir(), branch.id.0));
        }
        let alive: Vec<BranchId> = store.branches().unwrap().iter().map(|branch| branch.id).collect();
        asleep.retain(|id, _| alive.contains(id));
    }
    for branch in store.branches().unwrap() {
        check::assert_whole(&test, &branch.name, "app");
        store.sleep(branch.id).unwrap();
    }
    while store.merge_quiet(1 << 20, 4).unwrap().more {}
    store.merge_quiet(0, 4).unwrap();
    assert_tidy(&test.dir());
}

/// Makes, resets and deletes branches, and empties the trash, while others write. A new branch of a sleeping one reads
/// what that one does.
fn reshape(test: &TestStore, random: &mut Random, round: u64, busy: &[String], asleep: &mut Views) {
    let store = test.store();
    for number in 0..3 {
        let all = store.branches().unwrap();
        let branch = &all[random.below(all.len() as u64) as usize];
        let is_free = !branch.is_root && !busy.contains(&branch.name);
        match random.below(3) {
            0 if is_free && all.len() > 3 => {
                store.delete_branch(branch.id).unwrap();
                asleep.remove(&branch.id);
                if random.below(2) == 0 {
                    store.purge_trash_now(None).unwrap();
                }
            }
            1 if is_free => {
                asleep.remove(&branch.id);
                store.reset_branch(branch.id).unwrap();
            }
            _ if all.len() < MANY => {
                let made = store.create_branch(&format!("b{round}-{number}"), branch.id).unwrap();
                let of_sleeper = asleep.get(&branch.id).cloned();
                if let Some(of_parent) = of_sleeper {
                    asleep.insert(made.id, of_parent);
                }
            }
            _ => {}
        }
    }
}

//! Cutting the power under load: whatever was written and not synced is lost, torn or reordered, and nothing that was
//! acknowledged is missing.
//!
//! `OFFSHOOT_SEEDS=1000` makes more of it; `OFFSHOOT_SEED=n` repeats one seed. What is lost is drawn from the seed; what was
//! written by then depends on the load as well. Some neighbouring seeds cut the power after the same load.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::path::PathBuf;

use support::layers::{assert_tidy, durable_layers, lose_power};
use support::load::{Load, assert_consistent};
use support::power::Unsynced;
use support::{Random, TestStore, check, load, power, processes};

/// Seeds of an ordinary run, for each major.
const SEEDS: u64 = 50;
/// Neighbouring seeds for which the same state is cut: the load takes longer than looking at what is left.
const CUTS: u64 = 5;

#[test]
fn a_power_cut_that_loses_and_tears_unsynced_writes_loses_nothing_acknowledged_on_15() {
    each_seed(15);
}

#[test]
fn a_power_cut_that_loses_and_tears_unsynced_writes_loses_nothing_acknowledged_on_18() {
    each_seed(18);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

fn each_seed(major: u32) {
    let Some(template) = template(major) else { return };
    let seeds: Vec<u64> = match number("OFFSHOOT_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("OFFSHOOT_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let lost: u64 = seeds
        .chunk_by(|one, next| one / CUTS == next / CUTS)
        .map(|cuts| cut_under_load(major, &template, cuts))
        .sum();
    assert!(lost > 0, "nothing was lost: the test proves nothing");
}

/// A store with tables for the load, asleep. Goes with the test.
fn template(major: u32) -> Option<TestStore> {
    let mut test = TestStore::quick(major)?;
    load::prepare(&mut test.connect("main"));
    test.run("main", "CREATE TABLE t AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 5000) g");
    test.run("main", "CREATE INDEX ON t (v)");
    test.close();
    Some(test)
}

/// Cuts the power under the load of `seeds`, once for each of them. What was lost in all.
fn cut_under_load(major: u32, template: &TestStore, seeds: &[u64]) -> u64 {
    eprintln!("seeds {seeds:?}: the load");
    let mut random = Random::from_seed(seeds[0] / CUTS);
    let mut test = TestStore::quick_unopened(major).unwrap();
    support::copy_tree(&template.dir(), &test.dir());
    test.open();
    let main = test.id("main");
    power::watch(&test.dir(), main.0);
    let mut writers = Load::start(&test.config("main", "app"), 2);
    let mut client = test.connect("main");
    let mut file = None;
    let mut promised = None;
    for _ in 0..random.below(6) {
        writers.wait_for(1 + random.below(40));
        match random.below(5) {
            0 => client.batch_execute("CHECKPOINT").unwrap(),
            1 => {
                client
                    .batch_execute(
                        "UPDATE t SET v = md5(v) WHERE id % 3 = 0; DELETE FROM t WHERE id % 50 = 7",
                    )
                    .unwrap();
                file = None;
            }
            2 => client.batch_execute("VACUUM FULL t").unwrap(),
            3 => client.batch_execute("VACUUM t").unwrap(),
            _ if promised.is_none() => {
                let acknowledged = writers.acknowledged();
                let child = test.create("child", "main");
                // Awake it is on the disk: one that is not may go with the power.
                test.store().wake(child).unwrap();
                test.store().sleep(child).unwrap();
                promised = Some(acknowledged);
            }
            _ => {}
        }
        file.get_or_insert_with(|| content(&mut client));
    }
    let file = file.unwrap_or_else(|| content(&mut client));
    writers.wait_for(1 + random.below(60));
    let pid = processes::postmaster(&test.data_dir("main"));
    processes::kill_family(pid);
    let acknowledged = writers.wait_for_end();
    drop(client);
    while test.store().poll_exits().is_empty() {
        support::pause();
    }
    test.close();
    let unsynced = power::unsynced(&test.dir(), main.0);
    let run = Run { unsynced, acknowledged, file, promised };
    let kept = test.dir().with_extension("kept");
    support::copy_tree(&test.dir(), &kept);
    let mut lost = 0;
    for seed in seeds {
        eprintln!("OFFSHOOT_SEED={seed}");
        fs::remove_dir_all(test.dir()).unwrap();
        support::copy_tree(&kept, &test.dir());
        lost += cut(&mut test, &run, *seed);
        test.close();
    }
    lost
}

/// What a run under load left and promised.
struct Run {
    unsynced: Unsynced,
    acknowledged: Vec<u64>,
    file: String,
    /// What had been acknowledged when the child was made, if there is one.
    promised: Option<Vec<u64>>,
}

/// Loses what `seed` says and looks at the rest. What was lost.
fn cut(test: &mut TestStore, run: &Run, seed: u64) -> u64 {
    let mut random = Random::from_seed(seed);
    let layers = test.dir().join("layers");
    let durable: Vec<PathBuf> = durable_layers(&test.dir()).iter().map(|layer| layers.join(layer)).collect();
    let lost =
        power::cut(&test.dir(), &run.unsynced, &durable, &mut random) + lose_power(&test.dir(), &mut random);
    test.open();
    assert_tidy(&test.dir());
    assert_consistent(&mut test.connect("main"), &run.acknowledged, "main");
    assert_eq!(content(&mut test.connect("main")), run.file, "seed {seed}");
    if let Some(promised) = &run.promised {
        assert_consistent(&mut test.connect("child"), promised, "child");
    }
    if seed.is_multiple_of(CUTS) {
        test.restart("main");
        check::assert_whole(test, "main", "app");
    }
    lost
}

fn content(client: &mut postgres::Client) -> String {
    support::first(client, "SELECT count(*) || md5(string_agg(id || v, ',' ORDER BY id)) FROM t")
}

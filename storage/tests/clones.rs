//! The driver of clones, where `OFFSHOOT_TEST_DRIVER=clone` and `OFFSHOOT_TEST_DISK` name a file system that can;
//! `node scripts/clones.mjs` makes two and runs these and the tests that both drivers pass.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use offshoot_pages::PAGE_SIZE;
use offshoot_storage::{DriverKind, Source, StorageError, Store};
use support::load::{Load, assert_consistent};
use support::{TestStore, check, load};

const MAJOR: u32 = 18;

/// Whether these tests can run. Says loudly when not.
fn has_clones() -> bool {
    let has = support::driver() == DriverKind::Clone;
    if !has {
        eprintln!("SKIPPED: about clones only; node scripts/clones.mjs runs it");
    }
    has
}

/// A store that was made in its place: on btrfs its data directory is a subvolume.
fn made_here() -> Option<TestStore> {
    has_clones().then(|| TestStore::from_source(MAJOR, Source::Empty)).flatten().map(Result::unwrap)
}

/// A copy of a store: plain folders everywhere.
fn copied() -> Option<TestStore> {
    has_clones().then(|| TestStore::new(MAJOR)).flatten()
}

#[test]
fn a_store_remembers_its_driver_and_an_unknown_one_is_refused() {
    let Some(mut test) = copied() else { return };
    assert_eq!(test.store().info().driver, DriverKind::Clone);
    test.close();
    let set = |name: &str| {
        let metadata = rusqlite::Connection::open(test.dir().join("meta.sqlite")).unwrap();
        metadata.execute("UPDATE properties SET value = ?1 WHERE key = 'driver'", [name]).unwrap();
    };
    set("zfs");
    let Err(error) = Store::open(test.options()) else { panic!("opened") };
    assert!(matches!(error, StorageError::Refused { .. }) && error.to_string().contains("zfs"), "{error}");
    set("clone");
    test.open();
    assert_eq!(test.text("main", "SELECT 1"), "1");
}

#[test]
fn branches_of_a_store_made_here_are_whole_under_load_and_share_their_bytes() {
    let Some(test) = made_here() else { return };
    load::prepare(&mut test.connect("main"));
    test.run(
        "main",
        "CREATE TABLE big AS SELECT g AS id, repeat('x', 1000) FROM generate_series(1, 20000) g",
    );
    let writers = Load::start(&test.config("main", "app"), 3);
    for round in 0..3 {
        writers.wait_for(20);
        let acknowledged = writers.acknowledged();
        let name = format!("child-{round}");
        let parent = if round == 2 { "child-1" } else { "main" };
        let child = test.create(&name, parent);
        assert_consistent(&mut test.connect(&name), if round == 2 { &[] } else { &acknowledged }, &name);
        check::assert_whole(&test, &name, "app");
        test.store().sleep(child).unwrap();
        let size = test.store().size(child).unwrap();
        assert!(size.shared_bytes > 20 << 20 && size.own_bytes < size.shared_bytes, "{size:?}");
    }
    writers.stop();
    let usage = test.store().usage().unwrap();
    let blocks: u64 = usage.branches.iter().map(|branch| branch.shared_bytes).max().unwrap();
    let all: u64 = usage.shares.iter().filter(|share| share.readers.len() > 1).map(|share| share.bytes).sum();
    assert!(all < 2 * blocks, "shared bytes are counted once: {all} {blocks}");
}

#[test]
fn a_branch_with_a_tablespace_is_not_cloned_and_the_error_says_why() {
    let Some(test) = made_here() else { return };
    let location = test.folder.path().join("elsewhere");
    fs::create_dir(&location).unwrap();
    offshoot_postgres::account::chown(&location, test.account.as_ref()).unwrap();
    test.run("main", &format!("CREATE TABLESPACE ts LOCATION '{}'", location.display()));
    let error = test.store().create_branch("child", test.id("main")).unwrap_err();
    assert!(error.to_string().contains("tablespace"), "{error}");
    support::layers::assert_tidy(&test.dir());
    test.run("main", "DROP TABLESPACE ts");
    test.create("child", "main");
    assert_eq!(test.text("child", "SELECT count(*) FROM pg_tablespace"), "2");
}

#[test]
fn a_branch_that_logs_too_little_is_cloned_asleep_only() {
    let Some(mut test) = made_here() else { return };
    let minimal = [("wal_level", "minimal"), ("max_wal_senders", "0")];
    test.settings = minimal.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    test.close();
    test.open();
    test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g");
    let awake = test.store().create_branch("awake", test.id("main"));
    if test.data_is_subvolume("main") {
        // All at one moment: nothing can be missing.
        assert_eq!(awake.unwrap().name, "awake");
    } else {
        let error = awake.unwrap_err();
        assert!(error.to_string().contains("wal_level"), "{error}");
    }
    test.store().sleep(test.id("main")).unwrap();
    test.create("asleep", "main");
    assert_eq!(test.text("asleep", "SELECT count(*) FROM t"), "1000");
}

/// The pages of each relation file of a database, by file and number.
fn pages(data: &Path, database: &str) -> BTreeMap<(u32, u64), Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(data.join("base").join(database)).unwrap().flatten() {
        let Some(file) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let bytes = fs::read(entry.path()).unwrap();
        found.extend((0..).zip(bytes.chunks(PAGE_SIZE as usize)).map(|(n, page)| ((file, n), page.to_vec())));
    }
    found
}

#[test]
fn blocks_that_differ_are_told_and_few_others() {
    let Some(test) = copied() else { return };
    test.run(
        "main",
        "CREATE TABLE t AS SELECT g AS id, repeat('x', 500) AS v FROM generate_series(1, 20000) g",
    );
    test.run("main", "CREATE TABLE still AS TABLE t; CHECKPOINT");
    let child = test.create("child", "main");
    test.run(
        "child",
        "UPDATE t SET v = repeat('y', 500) WHERE id % 4000 = 0; CREATE TABLE new AS SELECT 1 AS id",
    );
    test.run("child", "CHECKPOINT");
    test.run("main", "DELETE FROM t WHERE id = 7; CHECKPOINT");
    let database = test.text("main", "SELECT oid FROM pg_database WHERE datname = 'app'");
    let still: u32 = test.text("main", "SELECT pg_relation_filenode('still')").parse().unwrap();
    let file: u32 = test.text("main", "SELECT pg_relation_filenode('t')").parse().unwrap();
    for name in ["main", "child"] {
        test.store().sleep(test.id(name)).unwrap();
    }
    let changed = test.store().changed_blocks(child, test.id("main"), database.parse().unwrap()).unwrap();
    let (one, other) = (pages(&test.data_dir("main"), &database), pages(&test.data_dir("child"), &database));
    let told = |(file, page): &(u32, u64)| changed.of(*file).iter().any(|blocks| blocks.contains(page));
    let mut differing = 0;
    for place in one.keys().chain(other.keys()) {
        if one.get(place) != other.get(place) {
            differing += 1;
            assert!(told(place), "{place:?} differs and is not told");
        }
    }
    assert!(differing > 5, "{differing}");
    assert!(!changed.contains(still), "{:?}", changed.of(still));
    let in_file = one.keys().filter(|place| place.0 == file && told(place)).count();
    assert!((6..60).contains(&in_file), "{in_file} blocks of {file}");
}

/// Milliseconds until a branch of main is there, and from then until its first answer. The branch sleeps again.
fn branch_and_ask(test: &TestStore, name: &str) -> [f64; 2] {
    let started = Instant::now();
    test.create(name, "main");
    let (made, started) = (started.elapsed(), Instant::now());
    assert_eq!(test.text(name, "SELECT count(*) > 0 FROM big"), "t");
    [made, started.elapsed()].map(|time| time.as_secs_f64() * 1e3)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Not a check: both drivers on this file system, in turn. `node scripts/clones.mjs --measure`.
#[test]
#[ignore = "measures"]
fn measure_both_drivers_in_turn() {
    if !has_clones() {
        return;
    }
    let kinds = [DriverKind::Layers, DriverKind::Clone];
    let Some(stores) =
        kinds.map(|kind| TestStore::made_with(kind, MAJOR)).into_iter().collect::<Option<Vec<_>>>()
    else {
        return;
    };
    for test in &stores {
        load::prepare(&mut test.connect("main"));
        test.run(
            "main",
            "CREATE TABLE big AS SELECT g AS id, repeat('x', 1000) FROM generate_series(1, 200000) g",
        );
        test.run("main", "CHECKPOINT");
    }
    let rounds: usize =
        std::env::var("OFFSHOOT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10);
    for under_load in [false, true] {
        let mut times = [const { [Vec::new(), Vec::new()] }; 2];
        for round in 0..rounds {
            for turn in 0..2 {
                let index = (round + turn) % 2;
                let test = &stores[index];
                let writers = under_load.then(|| Load::start(&test.config("main", "app"), 4));
                if let Some(writers) = &writers {
                    writers.wait_for(100);
                }
                let [made, answered] = branch_and_ask(test, &format!("b{under_load}{round}"));
                writers.map(Load::stop);
                times[index][0].push(made);
                times[index][1].push(answered);
                test.store().sleep(test.id(&format!("b{under_load}{round}"))).unwrap();
            }
        }
        for (kind, [made, answered]) in kinds.iter().zip(&mut times) {
            let parent = if under_load { "with four clients" } else { "idle" };
            eprintln!(
                "{}, parent {parent}: branch {:.0} ms, to its first answer {:.0} ms more (medians of {rounds})",
                kind.as_str(),
                median(made),
                median(answered)
            );
        }
    }
    let mut counts = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for turn in 0..2 {
            let index = (round + turn) % 2;
            let writers = Load::start(&stores[index].config("bfalse0", "app"), 4);
            writers.wait_for(50);
            let before: u64 = writers.acknowledged().iter().sum();
            let started = Instant::now();
            std::thread::sleep(Duration::from_secs(4));
            let done = writers.acknowledged().iter().sum::<u64>() - before;
            counts[index].push(done as f64 / started.elapsed().as_secs_f64());
            writers.stop();
        }
    }
    let mut ratios: Vec<f64> =
        counts[1].iter().zip(&counts[0]).map(|(clone, layers)| clone / layers).collect();
    for (kind, counts) in kinds.iter().zip(&mut counts) {
        eprintln!("{}: {:.0} transactions a second in a child", kind.as_str(), median(counts));
    }
    eprintln!("clone against layers, median of the pairs: {:.2}", median(&mut ratios));
}

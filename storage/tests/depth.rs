//! Depth: what merging does to a branch that has been branched often, and what emptying the trash frees.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use offshoot_storage::MAX_DEPTH;
use support::TestStore;
use support::layers::{assert_tidy, depth};

const MAJOR: u32 = 18;

fn merge_all(test: &TestStore) {
    while test.store().merge_quiet(16 << 20, MAX_DEPTH).unwrap().more {}
    test.store().merge_quiet(0, MAX_DEPTH).unwrap();
}

#[test]
fn a_branch_that_was_branched_often_is_shallow_again_once_the_trash_is_empty() {
    let Some(test) = TestStore::quick(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id, 0 AS v FROM generate_series(1, 20000) g");
    for round in 0..8 {
        test.run("main", &format!("UPDATE t SET v = v + 1 WHERE id % 8 = {round}"));
        test.run("main", "CHECKPOINT");
        let name = format!("b{round}");
        test.create(&name, "main");
        if round % 2 == 0 {
            test.run(&name, "UPDATE t SET v = -1");
        }
        if round < 7 {
            test.store().delete_branch(test.id(&name)).unwrap();
        }
    }
    let main = test.id("main").0;
    let before = depth(&test.dir(), main);
    assert!(before >= 9, "{before}");
    let trash = test.store().trash().unwrap();
    assert_eq!(
        trash.iter().map(|branch| branch.name.as_str()).collect::<Vec<_>>(),
        ["b6", "b5", "b4", "b3", "b2", "b1", "b0"]
    );
    let usage = test.store().usage().unwrap();
    let promised = usage.freed_by(&trash.iter().map(|branch| branch.id).collect::<Vec<_>>());
    let one = test.store().purge_trash_now(Some(&[trash[0].id])).unwrap();
    assert_eq!((one.branches, one.freed_bytes), (1, trash[0].freed_bytes));
    let rest = test.store().purge_trash_now(None).unwrap();
    assert_eq!(rest.branches, 6);
    let freed = usage.total_bytes().saturating_sub(test.store().usage().unwrap().total_bytes());
    assert!(
        freed.abs_diff(promised) < 1 << 20 && one.freed_bytes + rest.freed_bytes <= promised,
        "{freed} {promised}"
    );
    assert!(test.store().purge_trash_now(Some(&[test.id("b7")])).is_err());
    // While it runs and writes.
    let mut client = test.connect("main");
    test.store().wake(test.id("b7")).unwrap();
    merge_all(&test);
    client.batch_execute("UPDATE t SET v = v + 1").unwrap();
    // Frozen once for the branch that lives; the layers below are one.
    assert_eq!(depth(&test.dir(), main), 2);
    for (name, sum) in [("main", "40000"), ("b7", "20000")] {
        test.restart(name);
        assert_eq!(test.text(name, "SELECT sum(v) FROM t"), sum, "{name}");
    }
    assert_tidy(&test.dir());
}

#[test]
fn every_byte_of_a_store_has_an_owner() {
    let Some(test) = TestStore::new(MAJOR) else { return };
    test.create("a", "main");
    test.run("a", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 50000) g");
    test.create("b", "a");
    for name in ["main", "a", "b"] {
        test.store().sleep(test.id(name)).unwrap();
    }
    let usage = test.store().usage().unwrap();
    let ids: Vec<_> = usage.branches.iter().map(|branch| branch.id).collect();
    let sizes = test.store().sizes(&ids).unwrap();
    for (id, size) in ids.into_iter().zip(sizes) {
        assert_eq!(size, test.store().size(id).unwrap());
    }
    let output = std::process::Command::new("du").args(["-s", "-B1"]).arg(test.dir()).output().unwrap();
    let all: u64 =
        String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    // The folders above layers and branches, and the journal of the metadata.
    assert!(usage.total_bytes().abs_diff(all) < 256 << 10, "{} of {all}", usage.total_bytes());
    let (own, shared) =
        usage.branches.iter().fold((0, 0), |sum, b| (sum.0 + b.own_bytes, sum.1 + b.shared_bytes));
    assert!(own > 0 && shared > usage.total_bytes());
    assert_eq!(
        usage.freed_by(&usage.branches.iter().map(|b| b.id).collect::<Vec<_>>()),
        usage.total_bytes() - usage.other_bytes
    );
}

/// Writes everything below `folder` to the disk and lets it go from the memory.
fn forget_cache(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            forget_cache(&entry.path());
        } else if let Ok(file) = File::open(entry.path()) {
            let _ = file.sync_all();
            // SAFETY: our own descriptor; no memory is touched.
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        }
    }
}

fn scan(test: &TestStore) -> (Duration, Duration) {
    let sql = "SELECT sum(length(v)) FROM big";
    let mut times = Vec::new();
    for _ in 0..3 {
        test.store().sleep(test.id("main")).unwrap();
        forget_cache(&test.dir());
        let mut client = test.connect("main");
        client.batch_execute("SET max_parallel_workers_per_gather = 0").unwrap();
        let mut time = || {
            let start = Instant::now();
            support::first(&mut client, sql);
            start.elapsed()
        };
        times.push((time(), time()));
    }
    times.sort();
    times[1]
}

/// Not a test: `cargo nextest run --release --run-ignored only measure`.
#[test]
#[ignore = "a measurement"]
fn measure_scans_of_a_branch_after_fifty_freezes() {
    let Some(test) = TestStore::new(MAJOR) else { return };
    test.run(
        "main",
        "CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 6) AS v FROM generate_series(1, 600000) g",
    );
    test.run("main", "VACUUM (FREEZE, ANALYZE) big");
    let pages = |test: &TestStore| -> f64 {
        test.text("main", "SELECT pg_relation_size('big') / 8192").parse().unwrap()
    };
    let show = |what: &str, test: &TestStore, (cold, warm): (Duration, Duration)| {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / pages(test);
        let layers = depth(&test.dir(), test.id("main").0);
        eprintln!("{what}: {layers} layers, cold {:.2} us a page, warm {:.2}", each(cold), each(warm));
    };
    show("fresh", &test, scan(&test));
    for round in 0..50 {
        test.run("main", &format!("UPDATE big SET v = upper(v) WHERE id % 997 = {round}"));
        test.run("main", "CHECKPOINT");
        test.create(&format!("b{round}"), "main");
        test.store().delete_branch(test.id(&format!("b{round}"))).unwrap();
    }
    show("after fifty freezes", &test, scan(&test));
    test.store().purge_trash_now(None).unwrap();
    let start = Instant::now();
    merge_all(&test);
    eprintln!("merged in {:?}", start.elapsed());
    show("merged", &test, scan(&test));
    show("merged, again", &test, scan(&test));
    assert!(test.data_dir("main").exists());
}

/// Not a test, as above.
#[test]
#[ignore = "a measurement"]
fn measure_making_a_branch_while_layers_are_merged() {
    let Some(test) = TestStore::new(MAJOR) else { return };
    test.run(
        "main",
        "CREATE TABLE big AS SELECT g AS id, repeat(md5(g::text), 6) AS v FROM generate_series(1, 200000) g",
    );
    let mut times = [Vec::new(), Vec::new()];
    let mut copied = 0;
    for round in 0..40 {
        for name in ["layer", "more"] {
            test.run("main", &format!("UPDATE big SET v = upper(v) WHERE id % 97 = {round}"));
            test.run("main", "CHECKPOINT");
            test.create(name, "main");
            // Awake, its layers are on the disk.
            test.store().wake(test.id(name)).unwrap();
            test.store().delete_branch(test.id(name)).unwrap();
        }
        test.store().purge_trash_now(None).unwrap();
        let busy = round % 2 == 1;
        let begun = &std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let store = test.store();
            let background = busy.then(|| {
                scope.spawn(move || {
                    let mut bytes = 0;
                    loop {
                        let merged = store.merge_quiet(256 << 10, MAX_DEPTH).unwrap();
                        bytes += merged.copied_bytes;
                        begun.store(true, std::sync::atomic::Ordering::SeqCst);
                        if !merged.more {
                            return bytes;
                        }
                    }
                })
            });
            while busy && !begun.load(std::sync::atomic::Ordering::SeqCst) {
                std::thread::yield_now();
            }
            let start = Instant::now();
            test.create("timed", "main");
            times[usize::from(busy)].push(start.elapsed());
            copied += background.map_or(0, |background| background.join().unwrap());
        });
        test.store().delete_branch(test.id("timed")).unwrap();
        merge_all(&test);
    }
    for (what, times) in ["alone", "while merging"].iter().zip(&mut times) {
        times.sort();
        eprintln!(
            "making a branch {what}: median {:?}, longest {:?}",
            times[times.len() / 2],
            times[times.len() - 1]
        );
    }
    eprintln!("{} MB copied meanwhile", copied >> 20);
}

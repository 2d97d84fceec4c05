//! Bad input and bad days: a clear error, and nothing half made.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use offshoot_postgres::Progress;
use offshoot_postgres::cluster::ClusterError;
use offshoot_postgres::load::LoadError;
use offshoot_storage::{ComputeState, DriverKind, Source, StorageError, Store};
use support::disk::SmallDisk;
use support::layers::{FrozenHashes, assert_tidy};
use support::load::{Load, assert_consistent};
use support::{TestStore, check, load, processes};

const MAJOR: u32 = 18;

on_each_major!(a_full_disk_refuses_branches_and_writes_and_loses_nothing);

#[test]
fn a_dump_with_an_error_names_its_line_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump.sql");
    fs::write(
        &dump,
        "CREATE TABLE t (id int);\nCOPY t FROM stdin;\n1\n2\n\\.\n\nINSERT INTO nowhere\n VALUES (1);\n",
    )
    .unwrap();
    // `from_source` looks for what is left behind.
    let Some(result) = TestStore::from_source(MAJOR, Source::Script(dump)) else { return };
    let Err(error) = result else { panic!("loaded") };
    let StorageError::Load(LoadError::Statement { line, code, .. }) = &error else { panic!("{error:?}") };
    assert_eq!((*line, code.as_deref()), (7, Some("42P01")));
    assert!(error.to_string().contains("line 7") && error.hint().is_some(), "{error}");
}

/// Cancels when the work says that it is at `step`.
struct CancelAt(&'static str, AtomicBool);

impl Progress for CancelAt {
    fn step(&self, what: &str, done: u64, _total: Option<u64>) {
        if what.starts_with(self.0) && (done > 0 || self.0 != "Load") {
            self.1.store(true, Ordering::SeqCst);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.1.load(Ordering::SeqCst)
    }
}

#[test]
fn a_dump_that_is_cancelled_at_any_step_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump.sql");
    let mut file = fs::File::create(&dump).unwrap();
    writeln!(file, "CREATE TABLE t (id int, v text);\nCOPY t FROM stdin;").unwrap();
    for row in 0..200_000 {
        writeln!(file, "{row}\tsome text").unwrap();
    }
    writeln!(file, "\\.").unwrap();
    for step in ["Make a Postgres cluster", "Load", "Vacuum", "Make the base layer", "Write to disk"] {
        if step == "Make the base layer" && !support::has_layers() {
            continue;
        }
        let progress = CancelAt(step, AtomicBool::new(false));
        let source = Source::Script(dump.clone());
        let Some(result) = TestStore::from_source_with(MAJOR, source, &progress) else { return };
        match result {
            Err(
                StorageError::Cancelled
                | StorageError::Load(LoadError::Cancelled)
                | StorageError::Cluster(ClusterError::Cancelled),
            ) => {}
            Err(error) => panic!("{step}: {error:?}"),
            Ok(_) => assert_eq!(step, "Write to disk", "went on behind a cancelled step"),
        }
        assert!(progress.is_cancelled(), "there is no step `{step}`");
    }
}

fn open_error(test: &TestStore) -> StorageError {
    match Store::open(test.options()) {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    }
}

fn metadata(test: &TestStore) -> rusqlite::Connection {
    rusqlite::Connection::open(test.dir().join("meta.sqlite")).unwrap()
}

#[test]
fn a_store_of_a_newer_format_is_left_alone() {
    let Some(mut test) = TestStore::new(MAJOR) else { return };
    test.close();
    metadata(&test).execute("UPDATE properties SET value = '99' WHERE key = 'format'", []).unwrap();
    let error = open_error(&test);
    assert!(matches!(error, StorageError::FormatTooNew { found: 99, .. }), "{error}");
    metadata(&test).execute("UPDATE properties SET value = '4' WHERE key = 'format'", []).unwrap();
    test.open();
    assert_eq!(test.text("main", "SELECT 1"), "1");
}

#[test]
fn a_store_without_its_metadata_is_no_store_and_nothing_in_it_is_touched() {
    let Some(mut test) = TestStore::new(MAJOR) else { return };
    test.create("child", "main");
    test.close();
    let (here, away) = (test.dir().join("meta.sqlite"), test.folder.path().join("away"));
    fs::rename(&here, &away).unwrap();
    let error = open_error(&test);
    assert!(matches!(error, StorageError::NotAStore { .. }), "{error}");
    assert!(!here.exists(), "it was made anew");
    fs::write(&here, "this is no database").unwrap();
    let error = open_error(&test);
    assert!(error.to_string().contains("not a database"), "{error}");
    fs::rename(&away, &here).unwrap();
    test.open();
    assert_eq!(test.text("child", "SELECT 1"), "1");
}

/// The map of a table's file in the layer of the store that has it.
fn map_of(test: &TestStore, branch: &str, table: &str) -> PathBuf {
    let relation = test.text(branch, &format!("SELECT pg_relation_filepath('{table}')"));
    let layers = fs::read_dir(test.dir().join("layers")).unwrap().flatten();
    let mut found =
        layers.map(|layer| layer.path().join(format!("{relation}.m"))).filter(|path| path.exists());
    found.next().unwrap()
}

#[test]
fn a_truncated_page_map_is_an_error_that_names_the_file_and_the_rest_works() {
    if !support::has_layers() {
        return;
    }
    let Some(test) = TestStore::new(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g");
    test.run("main", "CREATE TABLE other AS TABLE t");
    test.store().sleep(test.id("main")).unwrap();
    test.create("child", "main");
    let map = map_of(&test, "child", "t");
    test.store().sleep(test.id("main")).unwrap();
    test.store().sleep(test.id("child")).unwrap();
    let whole = fs::read(&map).unwrap();
    fs::OpenOptions::new().write(true).open(&map).unwrap().set_len(100).unwrap();
    for branch in ["child", "main"] {
        let mut client = test.connect(branch);
        let error = client.batch_execute("SELECT count(*) FROM t").unwrap_err();
        let refusal = error.as_db_error().unwrap_or_else(|| panic!("{branch}: the server died: {error}"));
        let relation = map.with_extension("");
        let relation = relation.file_name().unwrap().to_str().unwrap();
        assert!(refusal.message().contains(relation), "{refusal}");
        let log = fs::read_to_string(test.store().log_path(test.id(branch))).unwrap();
        assert!(log.contains(map.to_str().unwrap()), "the log does not name {}: {log}", map.display());
        assert_eq!(support::first(&mut client, "SELECT count(*) FROM other"), "1000");
    }
    fs::write(&map, whole).unwrap();
    assert_eq!(test.text("child", "SELECT count(*) FROM t"), "1000");
    assert_eq!(test.text("main", "SELECT count(*) FROM t"), "1000");
}

#[test]
fn a_truncated_page_map_of_a_layer_that_must_be_synced_stops_the_wake_by_name() {
    if !support::has_layers() {
        return;
    }
    let Some(test) = TestStore::new(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g");
    let map = map_of(&test, "main", "t");
    test.kill("main");
    let whole = fs::read(&map).unwrap();
    fs::OpenOptions::new().write(true).open(&map).unwrap().set_len(100).unwrap();
    let error = test.store().wake(test.id("main")).unwrap_err();
    assert!(matches!(&error, StorageError::Damaged { path, .. } if *path == map), "{error}");
    assert_eq!(test.store().branch(test.id("main")).unwrap().state, ComputeState::Failed);
    fs::write(&map, whole).unwrap();
    assert_eq!(test.text("main", "SELECT count(*) FROM t"), "1000");
}

#[test]
fn a_parent_that_is_killed_while_it_is_branched_gives_a_whole_child() {
    let Some(test) = TestStore::new(MAJOR) else { return };
    load::prepare(&mut test.connect("main"));
    for round in 0..6 {
        let mut writers = Load::start(&test.config("main", "app"), 3);
        writers.wait_for(20);
        if round % 2 == 0 {
            // So much WAL that the engine wants a checkpoint first.
            let mut client = test.connect("main");
            for _ in 0..3 {
                client
                    .batch_execute(
                        "SELECT pg_logical_emit_message(false, 'x', repeat('x', 100)), pg_switch_wal()",
                    )
                    .unwrap();
            }
        }
        let name = format!("child-{round}");
        let acknowledged = writers.acknowledged();
        let postmaster = processes::postmaster(&test.data_dir("main"));
        let main = test.id("main");
        std::thread::scope(|scope| {
            scope.spawn(|| processes::kill_family(postmaster));
            test.store().create_branch(&name, main).unwrap();
        });
        assert_consistent(&mut test.connect(&name), &acknowledged, &name);
        let at_the_end = writers.wait_for_end();
        assert_consistent(&mut test.connect("main"), &at_the_end, "main");
        check::assert_whole(&test, &name, "app");
        test.store().sleep(test.id(&name)).unwrap();
    }
    assert_tidy(&test.dir());
}

#[test]
fn of_two_that_make_the_same_name_at_once_one_wins_and_nothing_is_left_of_the_other() {
    let Some(test) = TestStore::new(MAJOR) else { return };
    test.run("main", "CREATE TABLE t (id int)");
    let main = test.id("main");
    for round in 0..10 {
        let name = format!("b{round}");
        let make = || test.store().create_branch(&name, main);
        let (one, other) = std::thread::scope(|scope| {
            let (one, other) = (scope.spawn(make), scope.spawn(make));
            (one.join().unwrap(), other.join().unwrap())
        });
        let lost = match (one, other) {
            (Ok(_), Err(error)) | (Err(error), Ok(_)) => error,
            (one, other) => panic!("{one:?} {other:?}"),
        };
        assert!(matches!(&lost, StorageError::BranchExists { name: taken } if *taken == name), "{lost}");
        assert_tidy(&test.dir());
        test.run("main", "INSERT INTO t VALUES (1)");
    }
    assert_eq!(test.store().branches().unwrap().len(), 11);
}

#[test]
fn two_that_wake_the_same_branch_at_once_share_one_server() {
    let Some(test) = TestStore::new(MAJOR) else { return };
    let child = test.create("child", "main");
    for _ in 0..3 {
        let wake = || test.store().wake(child).unwrap();
        let (one, other) = std::thread::scope(|scope| {
            let (one, other) = (scope.spawn(wake), scope.spawn(wake));
            (one.join().unwrap(), other.join().unwrap())
        });
        assert_eq!(one, other);
        let mine = processes::children_of(std::process::id() as i32);
        let postmasters = processes::living_in(&test.dir()).into_iter().filter(|(pid, _)| mine.contains(pid));
        assert_eq!(postmasters.count(), 1);
        assert_eq!(test.text("child", "SELECT 1"), "1");
        test.store().sleep(child).unwrap();
    }
}

#[test]
fn a_layer_that_could_not_be_taken_back_is_the_next_one_to_be_written() {
    if !support::has_layers() {
        return;
    }
    let Some(test) = TestStore::new(MAJOR) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 1000) g");
    // As after a freeze that failed when the disk was too full to write even that down.
    let layer = test.dir().join("layers/00000000000000ff");
    fs::create_dir(&layer).unwrap();
    offshoot_postgres::account::chown(&layer, test.account.as_ref()).unwrap();
    metadata(&test)
        .execute_batch(
            "INSERT INTO layers SELECT 255, volatile_boot FROM layers WHERE volatile_boot IS NOT NULL;
             INSERT INTO stacks SELECT branch, max(height) + 1, 255 FROM stacks GROUP BY branch",
        )
        .unwrap();
    test.create("child", "main");
    let mut hashes = FrozenHashes::default();
    hashes.note_new(&test.dir());
    test.run("main", "UPDATE t SET id = -id");
    test.run("main", "CHECKPOINT");
    hashes.assert_unchanged(&test.dir());
    assert_eq!(test.text("child", "SELECT sum(id) FROM t"), "500500");
    for name in ["main", "child"] {
        test.restart(name);
        check::assert_whole(&test, name, "app");
    }
    assert_eq!(test.text("main", "SELECT sum(id) FROM t"), "-500500");
    assert_tidy(&test.dir());
}

fn a_full_disk_refuses_branches_and_writes_and_loses_nothing(major: u32) {
    let folder = support::open_folder();
    let Some(disk) = SmallDisk::mount(folder.path(), 400) else { return };
    let Some(mut test) = TestStore::unopened_in(folder, major) else { return };
    // Nothing but the test writes WAL: Postgres panics when that finds no room.
    let mut quiet = vec![("autovacuum", "off")];
    if support::driver() == DriverKind::Layers {
        // Clones of what is awake need more than that.
        quiet.extend([("wal_level", "minimal"), ("max_wal_senders", "0")]);
    }
    test.settings = quiet.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    test.open();
    load::prepare(&mut test.connect("main"));
    let mut hashes = FrozenHashes::default();
    branch_on_a_full_disk(&test, &disk, &mut hashes);
    purge_on_a_full_disk(&test, &disk);

    let before = transactions(&test, "main");
    let child = test.create("child", "main");
    let error = fill_by_writing(&test, &disk, "child");
    // Where each write needs new room, there may be none for the reason in the log.
    let is_silent = support::driver() == DriverKind::Clone && error.contains("Closed");
    // A page of which only a part found room is told by its SQLSTATE alone.
    let is_told = error.to_lowercase().contains("no space left") || error.contains("E53100");
    assert!(is_told || is_silent, "{error}");
    // Postgres may have stopped over it; then it says so until there is room.
    if let Err(error) = test.store().wake(child) {
        let said = error.to_string().to_lowercase();
        assert!(said.contains("no space left"), "{said}");
    }
    disk.make_room();
    // A server that was still failing when the room was made gives up now, and is started again.
    assert_consistent(&mut test.reconnect_waking("child", "app"), &before, "child");
    transactions(&test, "child");
    for name in ["main", "child"] {
        test.restart(name);
        assert_consistent(&mut test.connect(name), &before, name);
        check::assert_whole(&test, name, "app");
    }
    hashes.assert_unchanged(&test.dir());
    assert_tidy(&test.dir());
    test.close();
    drop(disk);
}

/// Clones that are made at the most until the disk is full.
const MOST_CLONES: usize = 300;

/// What is in the trash can be removed for good, and that makes room.
fn purge_on_a_full_disk(test: &TestStore, disk: &SmallDisk) {
    test.create("unwanted", "main");
    test.run(
        "unwanted",
        "CREATE TABLE x AS SELECT repeat(md5(g::text), 50) AS v FROM generate_series(1, 5000) g",
    );
    test.store().delete_branch(test.id("unwanted")).unwrap();
    disk.fill(0);
    let purged = test.store().purge_trash_now(None).unwrap();
    assert!(purged.branches >= 1 && purged.freed_bytes > 1 << 20, "{purged:?}");
    assert!(test.store().trash().unwrap().is_empty());
    disk.make_room();
}

/// Runs some transactions; how many of each writer are acknowledged now.
fn transactions(test: &TestStore, branch: &str) -> Vec<u64> {
    let writers = Load::start(&test.config(branch, "app"), 2);
    writers.wait_for(10);
    writers.stop()
}

/// Whatever of a branch does not fit any more, the error is that of a full disk and nothing is left of the branch.
fn branch_on_a_full_disk(test: &TestStore, disk: &SmallDisk, hashes: &mut FrozenHashes) {
    let main = test.id("main");
    let has_layers = test.driver == DriverKind::Layers;
    let mut refused = 0;
    let lefts = if has_layers { &[0, 16, 128, 256, 1024][..] } else { &[0, 1024] };
    for left in lefts {
        let acknowledged = transactions(test, "main");
        let count_before = test.store().branches().unwrap().len();
        disk.fill(left << 10);
        let mut made = Vec::new();
        let result = loop {
            let name = format!("at-{left}-{}", made.len());
            match test.store().create_branch(&name, main) {
                // A clone needs no room for data, and the file system keeps some for all else.
                Ok(_) if !has_layers && made.len() < MOST_CLONES => made.push(name),
                result => break result,
            }
        };
        disk.make_room();
        match result {
            Ok(_) => assert!(has_layers && *left > 0, "made on a full disk"),
            Err(StorageError::DiskFull { .. }) => {
                refused += 1;
                assert_eq!(test.store().branches().unwrap().len(), count_before + made.len());
                assert_tidy(&test.dir());
            }
            Err(error) => panic!("{left} KiB: {error:?}"),
        }
        // Without room for its WAL, Postgres may have stopped meanwhile.
        drop(test.reconnect_waking("main", "app"));
        eprintln!("{left} KiB left: {} clones made", made.len());
        if let Some(last) = made.last() {
            assert_consistent(&mut test.connect(last), &acknowledged, last);
        }
        let remove = |name: &String| test.store().delete_branch(test.id(name)).unwrap();
        made.iter().for_each(remove);
        let purge = || test.store().purge_trash(std::time::SystemTime::now() + Duration::from_hours(9 * 24));
        purge().unwrap();
        // With room again, the parent can be branched, and what is frozen now stays as it is.
        let retried = format!("retried-{left}");
        test.create(&retried, "main");
        hashes.note_new(&test.dir());
        transactions(test, "main");
        assert_consistent(&mut test.connect(&retried), &acknowledged, &retried);
        remove(&retried);
        purge().unwrap();
    }
    hashes.assert_unchanged(&test.dir());
    assert!(refused >= if has_layers { 2 } else { 1 }, "{refused}");
}

/// Writes until the disk is full; what Postgres says then, in its answer or in its log.
fn fill_by_writing(test: &TestStore, disk: &SmallDisk, branch: &str) -> String {
    let mut client = test.connect(branch);
    client.batch_execute("CREATE TABLE filler (v text)").unwrap();
    disk.fill(2 << 20);
    let error = loop {
        let insert = "INSERT INTO filler SELECT repeat(md5(g::text), 50) FROM generate_series(1, 200) g";
        if let Err(error) = client.batch_execute(insert) {
            break error;
        }
    };
    let log = fs::read_to_string(test.store().log_path(test.id(branch))).unwrap_or_default();
    format!("{error:?}\n{log}")
}

//! System calls that fail: a full disk, a bad one, writes that are done in part. Postgres reports or stops, as on a plain file
//! system, and nothing that it acknowledged is missing afterwards.
//!
//! `OFFSHOOT_SEEDS=20` makes more of it; `OFFSHOOT_SEED=n` repeats one seed. The seed says in which order the calls of [`CELLS`]
//! fail, which of them and how.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::ffi::CString;
use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use offshoot_pages::control::{self, StackLayer};
use offshoot_pages::fault::Call;
use offshoot_pages::map::{Map, NewMap};
use postgres::Client;
use support::disk::SmallDisk;
use support::faults::{Fault, Plan, Target};
use support::layers::assert_tidy;
use support::load::assert_consistent;
use support::{Random, TestStore, check, first, load, processes};

/// Seeds of an ordinary run, for each major; some seconds each.
const SEEDS: u64 = 1;
/// How long one that connects waits for a server that recovers, before it looks again.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the work is repeated before it is said that a call is never made.
const ATTEMPTS: u32 = 12;

const BAD: &[Fault] = &[Fault::Error(libc::EIO)];
const FULL: &[Fault] = &[Fault::Error(libc::ENOSPC), Fault::Error(libc::EIO)];
const WRITE: &[Fault] = &[Fault::Error(libc::ENOSPC), Fault::Error(libc::EIO), Fault::Short];
const MEMORY: &[Fault] = &[Fault::Error(libc::ENOMEM)];
const FILES: &[Fault] = &[Fault::Error(libc::EIO), Fault::Error(libc::ENFILE)];

const LAST: &str = "SELECT coalesce(max(seq), 0) FROM history WHERE writer = 0";

/// Calls on what, and how they can fail. Each is passed in each seed; in an ordinary run, on one of the majors.
const CELLS: &[(Call, Target, &[Fault])] = &[
    (Call::Open, Target::Data, FILES),
    (Call::Open, Target::PageMap, FILES),
    (Call::Open, Target::Wal, FILES),
    (Call::Open, Target::LayerFolder, FILES),
    (Call::Read, Target::Data, BAD),
    (Call::Write, Target::Data, WRITE),
    (Call::Write, Target::PageMap, WRITE),
    (Call::Write, Target::Wal, WRITE),
    (Call::Write, Target::ControlFile, WRITE),
    (Call::Write, Target::Other, WRITE),
    (Call::Sync, Target::Data, FULL),
    (Call::Sync, Target::PageMap, FULL),
    (Call::Sync, Target::LayerFolder, BAD),
    (Call::Sync, Target::Wal, FULL),
    (Call::Sync, Target::ControlFile, BAD),
    (Call::Sync, Target::Other, BAD),
    (Call::Truncate, Target::Data, BAD),
    (Call::Truncate, Target::PageMap, FULL),
    (Call::Map, Target::PageMap, MEMORY),
    (Call::Rename, Target::PageMap, FULL),
    (Call::Rename, Target::Wal, FULL),
    (Call::Unlink, Target::Data, BAD),
    (Call::Unlink, Target::PageMap, BAD),
    (Call::MakeFolder, Target::LayerFolder, FULL),
];

/// Only newer Postgres gives files room before it writes them.
const SINCE_16: &[(Call, Target, &[Fault])] = &[(Call::Allocate, Target::Data, FULL)];

#[test]
fn each_call_that_fails_is_reported_and_nothing_acknowledged_is_lost_on_15() {
    each_seed(15);
}

#[test]
fn each_call_that_fails_is_reported_and_nothing_acknowledged_is_lost_on_18() {
    each_seed(18);
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

fn each_seed(major: u32) {
    let seeds: Vec<u64> = match (number("OFFSHOOT_SEED"), number("OFFSHOOT_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, seeds) => (0..seeds.unwrap_or(SEEDS)).collect(),
    };
    let is_ordinary = ["OFFSHOOT_SEED", "OFFSHOOT_SEEDS"].iter().all(|name| number(name).is_none());
    for seed in seeds {
        eprintln!("OFFSHOOT_SEED={seed}");
        if !fail_each_call(major, seed, is_ordinary) {
            return;
        }
    }
}

fn fail_each_call(major: u32, seed: u64, half: bool) -> bool {
    let Some(mut test) = TestStore::quick(major) else { return false };
    let mut random = Random::from_seed(seed);
    // So little memory that pages are written at once, and nobody but the test decides when.
    let settings = [
        ("shared_buffers", "16MB"),
        ("max_connections", "20"),
        ("autovacuum", "off"),
        ("bgwriter_lru_maxpages", "0"),
    ];
    test.close();
    test.settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    test.open();
    load::prepare(&mut test.connect("main"));
    test.store().sleep(test.id("main")).unwrap();
    let plan = Plan::of(&test.dir(), test.id("main").0);
    let mine = |(index, _): &(usize, _)| !half || (index % 2 == 0) == (major >= 16);
    let mut cells: Vec<_> = CELLS.iter().enumerate().filter(mine).map(|(_, cell)| *cell).collect();
    if major >= 16 {
        cells.extend_from_slice(SINCE_16);
    }
    for index in (1..cells.len()).rev() {
        cells.swap(index, random.below(index as u64 + 1) as usize);
    }
    let mut work = Work { test: &test, client: None, acknowledged: 0, errors: Vec::new() };
    let mut promised = Vec::new();
    let begin = Instant::now();
    for (index, (call, target, faults)) in cells.iter().enumerate() {
        let fault = faults[random.below(faults.len() as u64) as usize];
        let (nth, lasting) = (1 + random.below(4), random.below(4) == 0);
        let what =
            format!("seed {seed}: call {nth} of {call:?} on {target:?}: {fault:?}, lasting: {lasting}");
        let child = format!("child-{index}");
        test.create(&child, "main");
        promised.push((child, work.acknowledged));
        assert!(work.connect());
        eprintln!("{what}");
        plan.arm(*call, *target, fault, nth, lasting);
        for _ in 0..ATTEMPTS {
            work.attempt(&format!("d{index}"), &plan);
            if plan.failed() > 0 {
                break;
            }
        }
        assert!(plan.disarm() > 0, "{what}: is never made");
        eprintln!("{what}: {} errors, after {:?}", work.errors.len(), begin.elapsed());
        for error in work.errors.drain(..) {
            assert!(is_of_the_disk(&error), "{what}: {error}");
        }
        let acknowledged = work.acknowledged;
        work.client = None;
        let begin = Instant::now();
        while !work.connect() {
            if begin.elapsed() >= PATIENCE * 20 {
                let there = processes::titles(processes::postmaster(&test.data_dir("main")));
                panic!("{what}: {:?}; it has {there:#?}", work.errors.last());
            }
            // A server that was failing when the fault went may give up only now. One whose recovery failed may do neither: Postgres
            // 18 can miss the end of its startup process. The store ends such a one.
            if begin.elapsed() > PATIENCE {
                test.store().end_stuck(PATIENCE / 3);
            }
        }
        work.errors.clear();
        assert_consistent(work.client.as_mut().unwrap(), &[acknowledged], &what);
    }
    let acknowledged = work.acknowledged;
    drop(work);
    for (child, acknowledged) in promised.iter().step_by(6).chain([&("main".to_owned(), acknowledged)]) {
        test.restart(child);
        assert_consistent(&mut test.connect(child), &[*acknowledged], child);
    }
    check::assert_whole(&test, "main", "app");
    assert_tidy(&test.dir());
    let log = fs::read_to_string(test.store().log_path(test.id("main"))).unwrap();
    for never in ["signal 7", "signal 11", "invalid page"] {
        assert!(!log.contains(never), "seed {seed}: {never}: {log}");
    }
    true
}

/// What Postgres says of a disk that fails, or of its end over it. Anything else, such as damaged data, is none.
fn is_of_the_disk(error: &str) -> bool {
    ["53", "58", "57P", "08", "closed"].iter().any(|code| error.starts_with(code))
        // What could not be made before is not there now; what could not be dropped is.
        || ["42P01", "42P04"].iter().any(|code| error.starts_with(code))
        // Older majors have no code of their own for some numbers of the system; a server that does not start has none.
        || (["XX000", "wake"].iter().any(|code| error.starts_with(code)) && ["could not", "checkpoint request failed"].iter().any(|text| error.contains(text)))
}

fn describe(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{} {}", error.code().code(), error.message()),
        None => format!("closed: {error}"),
    }
}

/// One client that works while calls fail.
struct Work<'a> {
    test: &'a TestStore,
    client: Option<Client>,
    /// Transactions that are known to be committed.
    acknowledged: u64,
    /// What went wrong.
    errors: Vec<String>,
}

impl Work<'_> {
    /// Connects as an application does; false when that is of no use now.
    fn connect(&mut self) -> bool {
        if self.client.as_ref().is_some_and(|client| !client.is_closed()) {
            return true;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.test.store().poll_exits();
            let socket = match self.test.store().wake(self.test.id("main")) {
                Ok(socket) => socket,
                Err(error) => {
                    self.errors.push(format!("wake: {error}"));
                    return false;
                }
            };
            let mut config = postgres::Config::new();
            let config = config.host_path(socket.parent().unwrap()).user("postgres").dbname("app");
            let client = config.password(self.test.store().password()).connect(postgres::NoTls);
            let error = match client.and_then(|mut client| {
                // What was on its way when the last connection went may be committed.
                let last = u64::try_from(client.query_one(LAST, &[])?.get::<_, i32>(0)).unwrap();
                assert!(last >= self.acknowledged, "{} acknowledged, {last} there", self.acknowledged);
                self.acknowledged = last;
                self.client = Some(client);
                Ok(())
            }) {
                Ok(()) => return true,
                Err(error) => describe(&error),
            };
            // It recovers.
            if !["57P03", "57P02"].iter().any(|code| error.starts_with(code)) {
                self.errors.push(error);
                return false;
            }
            if Instant::now() >= deadline {
                self.errors.push(error);
                return false;
            }
            support::pause();
        }
    }

    fn run(&mut self, statement: &str) -> bool {
        let Some(client) = &mut self.client else { return false };
        let result = client.batch_execute(statement);
        if let Err(error) = &result {
            self.errors.push(describe(error));
        }
        result.is_ok()
    }

    /// One transaction of the load.
    fn transfer(&mut self) {
        let (seq, delta) = (self.acknowledged + 1, self.acknowledged % 900);
        let committed = self.run(&format!(
            "BEGIN;
             UPDATE accounts SET abalance = abalance + {delta} WHERE aid = {};
             UPDATE tellers SET tbalance = tbalance + {delta} WHERE tid = {};
             UPDATE branches SET bbalance = bbalance + {delta} WHERE bid = {};
             INSERT INTO history VALUES (0, {seq}, {delta});
             COMMIT",
            seq * 7919 % 20_000,
            seq % 20,
            seq % 4
        ));
        if committed {
            self.acknowledged = seq;
        } else {
            self.run("ROLLBACK");
        }
    }

    /// Some of everything that Postgres does with files. The database has a folder of its own in the layer.
    fn attempt(&mut self, database: &str, plan: &Plan) {
        let (make, drop) =
            (format!("CREATE DATABASE {database}"), format!("DROP DATABASE IF EXISTS {database}"));
        let statements = [
            "CREATE TABLE IF NOT EXISTS work (id int PRIMARY KEY, v text)",
            "INSERT INTO work SELECT g, repeat('x', 500) FROM generate_series(1, 1500) g ON CONFLICT DO NOTHING",
            "CHECKPOINT",
            "SELECT sum(abalance) FROM accounts",
            "DELETE FROM work WHERE id > 700",
            "VACUUM work",
            "SELECT pg_switch_wal()",
            "CREATE TABLE IF NOT EXISTS large AS SELECT g, repeat('x', 1000) AS v FROM generate_series(1, 3000) g",
            "TRUNCATE work",
            "DROP TABLE IF EXISTS large",
            &make,
            &drop,
            "CHECKPOINT",
        ];
        let mut left = statements.len();
        for statement in statements {
            if left == 0 || !self.connect() {
                break;
            }
            self.run(statement);
            self.transfer();
            // Then a little more, to see how it goes on.
            left = if plan.failed() > 0 { left.min(3) } else { left } - 1;
        }
        // The next attempt opens every file anew.
        self.client = None;
    }
}

/// Pages that the first block of a map describes: a longer file needs more of the map, which has no room on the disk yet.
const FIRST_PAGES: u64 = 15_872;

#[test]
fn a_map_that_grows_on_a_full_disk_is_an_error_and_no_signal() {
    let folder = support::open_folder();
    let Some(disk) = SmallDisk::mount(folder.path(), 500) else { return };
    let Some(mut test) = TestStore::unopened_in(folder, 18) else { return };
    // Nothing but the test writes WAL: Postgres panics when that finds no room.
    let quiet = [("autovacuum", "off"), ("wal_level", "minimal"), ("max_wal_senders", "0")];
    test.settings = quiet.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    test.open();
    // One row a page, and no WAL of the rows.
    test.run("main", "CREATE UNLOGGED TABLE big (v text); ALTER TABLE big ALTER v SET STORAGE PLAIN");
    let fill =
        |rows: u64| format!("INSERT INTO big SELECT repeat('x', 7000) FROM generate_series(1, {rows})");
    let rows = FIRST_PAGES - 4;
    test.run("main", &fill(rows));
    test.run("main", "CHECKPOINT");
    let relation = test.text("main", "SELECT pg_relation_filepath('big')");
    let layers = fs::read_dir(test.dir().join("layers")).unwrap().flatten();
    let mut maps =
        layers.map(|layer| layer.path().join(format!("{relation}.m"))).filter(|path| path.exists());
    let map = maps.next().unwrap();
    let room = || fs::metadata(&map).unwrap().blocks() * 512;
    assert_eq!(room(), 4096, "the map had more than it needs");
    let mut client = test.connect("main");
    let mut refused = 0;
    for left in [0, 4, 8, 16, 24, 32, 40, 64, 128] {
        client.batch_execute("BEGIN").unwrap();
        disk.fill(left << 10);
        let result = client.batch_execute(&fill(30));
        disk.make_room();
        if let Err(error) = result {
            assert_eq!(
                error.code().map(postgres::error::SqlState::code),
                Some("53100"),
                "{left} KiB: {error:?}"
            );
            refused += 1;
        }
        client.batch_execute("ROLLBACK").unwrap();
        assert_eq!(first(&mut client, "SELECT count(*) FROM big"), rows.to_string());
    }
    assert!(refused >= 5, "{refused}");
    client.batch_execute(&fill(30)).unwrap();
    assert_eq!(first(&mut client, "SELECT count(*) FROM big"), (rows + 30).to_string());
    assert_eq!(room(), offshoot_pages::map::MAP_SIZE as u64, "the map did not grow");
    let log = fs::read_to_string(test.store().log_path(test.id("main"))).unwrap();
    assert!(!log.contains("terminated by signal"), "{log}");
    drop(client);
    test.close();
    drop(disk);
}

/// Takes all the room that there is, to the last block.
fn fill_by_writing(folder: &Path) {
    let mut file = fs::File::create(folder.join("ballast")).unwrap();
    let block = vec![b'x'; 1 << 20];
    while file.write_all(&block).is_ok() {}
    // What was promised may not be there.
    let _ = file.sync_data();
    while file.write_all(&block[..4096]).and_then(|()| file.sync_data()).is_ok() {}
}

/// Writes to maps in each way, through mapped memory; whether the kernel let it. In a process of its own, which it may end.
fn maps_can_be_written(maps: &[Map], control: &Path) -> bool {
    let control = fs::File::options().read(true).write(true).open(control).unwrap();
    let length = control.metadata().unwrap().len() as usize;
    // SAFETY: the child calls only code that does not allocate, then exits at once; the mapping is as long as the file.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let block = libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                control.as_raw_fd(),
                0,
            )
            .cast::<u8>();
            for round in 0..20 {
                for map in maps {
                    map.own(round, round + 1);
                    map.grow((FIRST_PAGES + round) * offshoot_pages::PAGE_SIZE);
                    if map.sync(None, || 0).is_err() {
                        libc::_exit(1);
                    }
                }
                for page in (0..length).step_by(4096) {
                    let byte = block.add(page);
                    byte.write_volatile(byte.read_volatile());
                }
                libc::msync(block.cast(), length, libc::MS_SYNC);
            }
            libc::_exit(0);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
    }
}

#[test]
fn maps_on_a_full_btrfs_can_be_written_to() {
    let folder = support::open_folder();
    let Some(_disk) = SmallDisk::btrfs(folder.path()) else { return };
    let path = |name: &str| CString::new(folder.path().join(name).into_os_string().into_vec()).unwrap();
    let make = |name: &str| {
        Map::write_new(&path(name), NewMap::default(), false).unwrap();
        Map::open(&path(name), true).unwrap()
    };
    let (small, large) = (make("small.m"), make("large.m"));
    large.reserve(&path("large.m")).unwrap();
    large.own(FIRST_PAGES, FIRST_PAGES + 1);
    let control = folder.path().join("control");
    control::write_new(&control, &[StackLayer { id: 7, durable: false }], 1).unwrap();
    // They are not on the disk yet, as those of a table that is just being made.
    fill_by_writing(folder.path());
    assert!(maps_can_be_written(&[small, large], &control), "a write to mapped memory was a signal");
    assert!(small.reserve(&path("small.m")).is_err(), "there was room all the while");
    for map in [small, large] {
        // SAFETY: not used again.
        unsafe { map.unmap() };
    }
}

//! The engine is killed again and again while its root branch follows a source that is written to, and branches are made of it.
//!
//! `cargo nextest run --workspace --test follow_kills --run-ignored only --no-capture`. `OFFSHOOT_TEST_BIN_DIR` names another Postgres,
//! `OFFSHOOT_TEST_STEPS` how many kills there are; a run prints its seed, which `OFFSHOOT_TEST_SEED` takes back.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use support::{TestRepo, wait_until};

const KILLS: u64 = 100;
/// Between two looks at the rows.
const LOOK: u64 = 5;
const TABLES: &str = "create table account (id int primary key, balance bigint not null);
    insert into account select g, 0 from generate_series(0, 99) g;
    create table moved (seq bigint primary key, taken int not null, given int not null, amount int not null)";
/// Accounts that are not what the history says, how many moves there are, and the last one.
const CHECK: &str = "with moves as (select taken as id, -amount as amount from moved union all select given, amount from moved),
    sums as (select id, sum(amount) as sum from moves group by id)
    select (select count(*) from account left join sums using (id) where balance <> coalesce(sum, 0)),
           (select count(*) from moved), (select coalesce(max(seq), 0) from moved)";

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

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

/// Moves money between accounts of the source until it is told to stop.
struct Writer {
    over: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(url: &str) -> Self {
        let (over, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
        let (ends, told) = (Arc::clone(&over), Arc::clone(&acknowledged));
        let thread = std::thread::spawn(move || {
            for seq in 1.. {
                let (taken, given, amount) = (seq * 7 % 100, seq * 13 % 100, seq % 50);
                let moves = format!(
                    "begin; update account set balance = balance - {amount} where id = {taken};
                     update account set balance = balance + {amount} where id = {given};
                     insert into moved values ({seq}, {taken}, {given}, {amount}); commit"
                );
                client.batch_execute(&moves).unwrap();
                told.store(seq, Ordering::SeqCst);
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { over, acknowledged, thread }
    }

    fn stop(self) -> u64 {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// How many moves a branch has. It has all up to there, and its accounts are what they make.
#[track_caller]
fn moves(test: &TestRepo, branch: &str) -> u64 {
    let told = test.run(&["sql", "--branch", branch, "--json", "-c", CHECK]).json();
    let row = &told["results"][0]["rows"][0];
    let at = |n: usize| row[n].to_string().trim_matches('"').parse::<u64>().unwrap();
    assert_eq!((at(0), at(1)), (0, at(2)), "{branch}: {row}");
    at(2)
}

/// Processes whose command line names the store, or that have their working folder there.
fn running_in(test: &TestRepo) -> Vec<String> {
    let store = test.store();
    let name = store.to_string_lossy();
    let pids = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let lines = pids.filter_map(|path| {
        let line = fs::read(path.join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let is_there = fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&store));
        (is_there || line.contains(&*name)).then_some(line)
    });
    lines.collect()
}

fn slots(source: &TestRepo) -> String {
    source.value("select coalesce(string_agg(slot_name, ' '), '') from pg_replication_slots")
}

fn lsn(text: &str) -> u64 {
    let (high, low) = text.split_once('/').unwrap();
    (u64::from_str_radix(high, 16).unwrap() << 32) + u64::from_str_radix(low, 16).unwrap()
}

fn began(test: &TestRepo, args: &[&str]) -> Child {
    let mut command = test.command(support::PROGRAM);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
#[ignore = "takes minutes"]
fn an_engine_that_is_killed_while_it_follows_goes_on_and_tells_the_truth() {
    let seed = number("OFFSHOOT_TEST_SEED").unwrap_or_else(|| {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).unwrap();
        u64::from(u32::from_be_bytes(bytes))
    });
    let kills = number("OFFSHOOT_TEST_STEPS").unwrap_or(KILLS);
    eprintln!("OFFSHOOT_TEST_SEED={seed} OFFSHOOT_TEST_STEPS={kills}");
    let mut random = Random(seed);
    let source = TestRepo::with_database();
    source.run(&["sql", "-c", TABLES]).ok();
    let test = TestRepo::with_database();
    test.run(&["follow", "start", "--from", &source.url(), "--every", "1s"]).ok();
    let slot = slots(&source);
    let writer = Writer::start(&source.url());
    let (mut replayed, mut fetched, mut turns) = (0, 0, 0);
    let mut made: Vec<String> = Vec::new();
    for kill in 1..=kills {
        let name = format!("b{kill}");
        let turn = (random.below(4) > 0).then(|| began(&test, &["refresh"]));
        std::thread::sleep(Duration::from_millis(random.below(600)));
        let branch =
            (random.below(2) > 0).then(|| began(&test, &["branch", "create", &name, "--from", "main"]));
        // Without a turn that is asked for, now and then one that comes by itself.
        let pause = if turn.is_some() { 1500 } else { 7000 };
        std::thread::sleep(Duration::from_millis(random.below(pause)));
        test.kill_engine();
        let is_made = branch.is_some_and(|mut branch| branch.wait().unwrap().success());
        turns += u64::from(turn.is_some_and(|mut turn| turn.wait().unwrap().success()));
        if is_made {
            made.push(name);
        }
        // A command that was under way may have started another engine.
        if test.engine_pid().is_none_or(|pid| !support::is_running(&pid.to_string())) {
            wait_until("nothing is left running", || running_in(&test).is_empty());
        }

        let status = test.run(&["follow", "status", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&status.out).unwrap();
        let state = told["following"]["state"].as_str().unwrap();
        let well = ["waiting", "catchingUp", "current", "inUse"];
        assert!(status.code == 0 && well.contains(&state), "kill {kill}: {told}");
        let now = lsn(told["following"]["replayed"].as_str().unwrap());
        assert!(now >= replayed, "kill {kill}: what was fetched went back from {replayed:x} to {now:x}");
        assert!(now <= lsn(&source.value("select pg_current_wal_flush_lsn()::text")), "kill {kill}: {told}");
        replayed = now;
        assert_eq!(slots(&source), slot, "kill {kill}");
        if kill % LOOK == 0 {
            let has = moves(&test, "main");
            assert!(has >= fetched, "kill {kill}: the root had {fetched} rows and has {has}");
            fetched = has;
            for branch in made.drain(..) {
                moves(&test, &branch);
                test.run(&["branch", "delete", &branch]).ok();
            }
            eprintln!("{kill} kills, {turns} turns ended before, {has} rows");
        }
    }
    let written = writer.stop();
    wait_until("the root has it all", || test.run(&["refresh"]).code == 0 && moves(&test, "main") == written);
    let told = test.run(&["follow", "status", "--json"]).json();
    assert_eq!(told["following"]["state"], "current", "{told}");
    assert!(fetched > 0 && written > fetched, "nothing was fetched meanwhile: the test proves nothing");
    assert!(test.run(&["follow", "stop"]).ok().contains("is dropped"));
    assert_eq!(slots(&source), "");
    test.run(&["engine", "stop"]).ok();
    wait_until("nothing is left running", || running_in(&test).is_empty());
    let left = |name: &str| test.store().join(name).exists();
    assert!(!left("followed") && !left("refresh.partial"));
}

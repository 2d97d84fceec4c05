//! Writers as in TPC-B: money moves between accounts, tellers and branches, and a history of it is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use postgres::{Client, Config, NoTls};

use super::check::rows;

const ACCOUNTS: u64 = 20_000;
const TELLERS: u64 = 20;
const BRANCHES: u64 = 4;

/// Makes the tables. All balances are zero, and so their sums are equal.
pub fn prepare(client: &mut Client) {
    client
        .batch_execute(&format!(
            "CREATE TABLE branches (bid int PRIMARY KEY, bbalance int NOT NULL);
             CREATE TABLE tellers (tid int PRIMARY KEY, tbalance int NOT NULL);
             CREATE TABLE accounts (aid int PRIMARY KEY, abalance int NOT NULL, filler text NOT NULL);
             CREATE TABLE history (writer int NOT NULL, seq int NOT NULL, delta int NOT NULL, PRIMARY KEY (writer, seq));
             INSERT INTO branches SELECT g, 0 FROM generate_series(0, {BRANCHES} - 1) g;
             INSERT INTO tellers SELECT g, 0 FROM generate_series(0, {TELLERS} - 1) g;
             INSERT INTO accounts SELECT g, 0, repeat('x', 80) FROM generate_series(0, {ACCOUNTS} - 1) g;"
        ))
        .unwrap();
}

/// Writers at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Vec<AtomicU64>>,
    writers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts `writers` of them. They go on until they are stopped or lose their connection.
    pub fn start(config: &Config, writers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut client = config.connect(NoTls).unwrap();
        let written = |writer: usize| {
            let sql = format!("SELECT coalesce(max(seq), 0) FROM history WHERE writer = {writer}");
            super::first(&mut client, &sql).parse().unwrap()
        };
        let acknowledged: Arc<Vec<AtomicU64>> =
            Arc::new((0..writers).map(written).map(AtomicU64::new).collect());
        let start = |writer: usize| {
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            let client = config.connect(NoTls).unwrap();
            std::thread::spawn(move || write(writer, client, &acknowledged[writer], &stop))
        };
        let writers = (0..writers).map(start).collect();
        Self { stop, acknowledged, writers }
    }

    /// How many transactions of each writer Postgres has acknowledged.
    pub fn acknowledged(&self) -> Vec<u64> {
        self.acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }

    /// Waits until Postgres has acknowledged `more` further transactions, of all writers together.
    pub fn wait_for(&self, more: u64) {
        let goal = self.acknowledged().iter().sum::<u64>() + more;
        while self.acknowledged().iter().sum::<u64>() < goal {
            assert!(self.writers.iter().any(|writer| !writer.is_finished()), "all writers have ended");
            super::pause();
        }
    }

    /// Waits until the writers have lost their connections.
    pub fn wait_for_end(&mut self) -> Vec<u64> {
        for writer in self.writers.drain(..) {
            writer.join().unwrap();
        }
        self.acknowledged()
    }

    /// Ends the writers; they must not have failed by themselves.
    pub fn stop(mut self) -> Vec<u64> {
        assert!(self.writers.iter().all(|writer| !writer.is_finished()), "a writer lost its connection");
        self.stop.store(true, Ordering::SeqCst);
        self.wait_for_end()
    }
}

fn write(writer: usize, mut client: Client, acknowledged: &AtomicU64, stop: &AtomicBool) {
    let mut seq = acknowledged.load(Ordering::SeqCst);
    while !stop.load(Ordering::SeqCst) {
        seq += 1;
        let mixed = (seq * 8 + writer as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (account, teller, branch) = (mixed % ACCOUNTS, mixed % TELLERS, mixed % BRANCHES);
        let delta = (mixed % 2000) as i64 - 1000;
        let transaction = format!(
            "BEGIN;
             UPDATE accounts SET abalance = abalance + {delta} WHERE aid = {account};
             UPDATE tellers SET tbalance = tbalance + {delta} WHERE tid = {teller};
             UPDATE branches SET bbalance = bbalance + {delta} WHERE bid = {branch};
             INSERT INTO history VALUES ({writer}, {seq}, {delta});
             COMMIT"
        );
        match client.batch_execute(&transaction) {
            Ok(()) => acknowledged.store(seq, Ordering::SeqCst),
            Err(error) => {
                let refusal = error.as_db_error().map(|error| error.code().code().to_owned());
                let ended = refusal.is_none_or(|code| code.starts_with("57P") || code.starts_with("53"));
                assert!(ended, "{error:?}");
                return;
            }
        }
    }
}

/// All sums are equal, and each writer's transactions are there without a gap, up to `acknowledged` at least.
pub fn assert_consistent(client: &mut Client, acknowledged: &[u64], whose: &str) {
    let sums = rows(
        client,
        "SELECT (SELECT sum(abalance) FROM accounts), (SELECT sum(tbalance) FROM tellers),
         (SELECT sum(bbalance) FROM branches), (SELECT coalesce(sum(delta), 0) FROM history)",
    );
    let parts: Vec<&str> = sums[0].split('|').collect();
    assert!(parts.iter().all(|part| *part == parts[0]), "{whose}: {sums:?}");
    for (writer, acknowledged) in acknowledged.iter().enumerate() {
        let sql = format!("SELECT count(*), coalesce(max(seq), 0) FROM history WHERE writer = {writer}");
        let row = rows(client, &sql).remove(0);
        let (count, last) = row.split_once('|').unwrap();
        assert_eq!(count, last, "{whose}: writer {writer} has a gap");
        let last: u64 = last.parse().unwrap();
        assert!(last >= *acknowledged, "{whose}: writer {writer} lost {acknowledged}; the last is {last}");
    }
}

//! Locks of a backend on relations, seen from another session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use offshoot_protocol::measure::MeasuredLock;
use postgres::{Client, Error};

use super::micros;

/// How often a statement that ends its transactions itself is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(4);

/// What a transaction made itself is not seen from outside, and its locks concern nobody.
const LOCKS: &str = "
    SELECT pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(c.relname)), l.mode
    FROM pg_catalog.pg_locks l
    JOIN pg_catalog.pg_class c ON c.oid = l.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE l.locktype = 'relation' AND l.granted AND l.pid = $1
      AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
      AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')";

/// Weakest first.
const MODES: [&str; 8] = [
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
];

/// A relation and a mode.
type Lock = (String, &'static str);

/// The locks that `backend` holds now.
pub(super) fn of(client: &mut Client, backend: i32) -> Result<Vec<Lock>, Error> {
    let rows = client.query(LOCKS, &[&backend])?;
    Ok(rows.iter().filter_map(|row| Some((row.get(0), mode(row.get(1))?))).collect())
}

/// `AccessShareLock` as SQL has it.
fn mode(name: &str) -> Option<&'static str> {
    let is_same = |mode: &&&str| {
        let letters = mode.chars().filter(|letter| *letter != ' ');
        letters
            .chain("lock".chars())
            .map(|l| l.to_ascii_lowercase())
            .eq(name.chars().map(|l| l.to_ascii_lowercase()))
    };
    MODES.iter().find(is_same).copied()
}

/// Sorts as people read it.
pub(super) fn strongest_first(locks: &mut [MeasuredLock]) {
    let rank = |lock: &MeasuredLock| MODES.iter().position(|mode| *mode == lock.mode);
    locks.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.relation.cmp(&b.relation)));
}

/// The locks of a transaction, and when each was taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Time that the transaction's own statements have taken, without what is done to measure them.
    pub(super) clock: Duration,
    since: HashMap<Lock, Duration>,
}

impl Taken {
    /// Takes note of the locks that are held after a statement that began at the present clock. Returns the new ones.
    pub(super) fn add(&mut self, held: Vec<Lock>) -> Vec<MeasuredLock> {
        let mut fresh = Vec::new();
        for lock in held {
            if !self.since.contains_key(&lock) {
                self.since.insert(lock.clone(), self.clock);
                fresh.push(MeasuredLock {
                    relation: lock.0,
                    mode: lock.1.to_owned(),
                    held_us: 0,
                    sampled: false,
                });
            }
        }
        fresh
    }

    /// Says how long each lock was held; the transaction has ended.
    pub(super) fn close(&self, locks: &mut [MeasuredLock]) {
        for lock in locks.iter_mut().filter(|lock| !lock.sampled) {
            let is_it = |(relation, mode): &&Lock| *relation == lock.relation && *mode == lock.mode;
            if let Some(taken) = self.since.keys().find(is_it) {
                lock.held_us = micros(self.clock.saturating_sub(self.since[taken]));
            }
        }
    }
}

/// Looks at the locks of `backend` until it is `over`.
pub(super) fn sample(client: &mut Client, backend: i32, over: &AtomicBool) -> Vec<MeasuredLock> {
    let mut seen: HashMap<Lock, (Instant, Instant)> = HashMap::new();
    while !over.load(Ordering::Acquire) {
        let at = Instant::now();
        // The statement itself tells if the server is gone.
        let Ok(held) = of(client, backend) else { break };
        for lock in held {
            seen.entry(lock).or_insert((at, at)).1 = Instant::now();
        }
        thread::sleep(LOOK_INTERVAL);
    }
    let locks = seen.into_iter().map(|((relation, mode), (first, last))| MeasuredLock {
        relation,
        mode: mode.to_owned(),
        held_us: micros(last - first),
        sampled: true,
    });
    locks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_named_as_sql_names_them() {
        assert_eq!(mode("AccessExclusiveLock"), Some("ACCESS EXCLUSIVE"));
        assert_eq!(mode("ShareUpdateExclusiveLock"), Some("SHARE UPDATE EXCLUSIVE"));
        assert_eq!(mode("SIReadLock"), None);
    }

    #[test]
    fn a_lock_lasts_to_the_end_of_its_transaction() {
        let mut taken = Taken::default();
        let lock = |name: &str| (name.to_owned(), "SHARE");
        let mut first = taken.add(vec![lock("a")]);
        taken.clock += Duration::from_millis(3);
        let mut second = taken.add(vec![lock("a"), lock("b")]);
        taken.clock += Duration::from_millis(4);
        taken.close(&mut first);
        taken.close(&mut second);
        assert_eq!((first[0].held_us, second.len(), second[0].held_us), (7000, 1, 4000));
    }
}

//! The session that runs a plan, and a second one that looks at it from outside.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use offshoot_protocol::measure::{MeasuredFile, MeasuredLock};
use postgres::Client;
use postgres::error::{ErrorPosition, SqlState};

use super::files::{self, Files};
use super::locks::{self, Taken};
use super::lost;
use crate::engine::Engine;
use crate::engine::throwaway::{connect, options};
use crate::failure::{Failure, Result};

/// The first major whose sessions can be told to write down at once what they have counted.
const FLUSHING: u32 = 15;

const WAL_POSITION: &str =
    "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::pg_catalog.int8";

/// Why Postgres did not run a statement.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) code: String,
    pub(super) position: Option<u32>,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
}

/// What a statement did and cost.
#[derive(Debug, Default)]
pub(super) struct Cost {
    pub(super) took: Duration,
    pub(super) wal_bytes: u64,
    pub(super) rows_read: u64,
    pub(super) rows_written: u64,
    pub(super) locks: Vec<MeasuredLock>,
    pub(super) refusal: Option<Refusal>,
}

/// Both sessions.
pub(super) struct Session {
    client: Client,
    outside: Client,
    /// The process that serves `client`.
    backend: i32,
    major: u32,
    taken: Taken,
}

impl Session {
    /// Connects, and gets the session ready as the plan wants it.
    pub(super) fn open(engine: &Engine, socket: &Path, settings: &[&str]) -> Result<Self> {
        let major = engine.store.info().postgres.version.major;
        let mut outside =
            connect(engine, socket, None, &format!("{} -c search_path=pg_catalog", options(major)))?;
        // Nothing else is to write meanwhile. Without it the figures are a little higher.
        for statement in ["ALTER SYSTEM SET autovacuum = off", "SELECT pg_catalog.pg_reload_conf()"] {
            let _ = outside.batch_execute(statement);
        }
        let mut client = connect(engine, socket, None, &options(major))?;
        for setting in settings {
            client.batch_execute(setting).map_err(|e| lost(&e))?;
        }
        let row = client.query_one("SELECT pg_catalog.pg_backend_pid()", &[]).map_err(|e| lost(&e))?;
        Ok(Self { backend: row.get(0), client, outside, major, taken: Taken::default() })
    }

    /// Begins a transaction.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.taken = Taken::default();
        // What is still to be counted of earlier statements is not to be taken for the work of this one's helpers.
        self.flush()?;
        self.client.batch_execute("BEGIN").map_err(|e| lost(&e))
    }

    /// Ends the transaction. Returns how long that took, its bytes of WAL, and why it was refused, if it was.
    pub(super) fn commit(&mut self) -> Result<(Duration, u64, Option<Refusal>)> {
        let wal = self.wal()?;
        let begun = Instant::now();
        let outcome = self.client.batch_execute("COMMIT");
        let took = begun.elapsed();
        self.taken.clock += took;
        Ok((took, self.wal()?.saturating_sub(wal), refusal(outcome)?))
    }

    /// Gives the transaction up.
    pub(super) fn roll_back(&mut self) {
        // It is over already if the connection is gone.
        let _ = self.client.batch_execute("ROLLBACK");
    }

    /// Says of locks that were taken in the transaction, which is over, how long they were held.
    pub(super) fn close(&self, locks: &mut [MeasuredLock]) {
        self.taken.close(locks);
    }

    /// Runs a statement, in the transaction or by itself.
    pub(super) fn statement(&mut self, sql: &str, transactional: bool) -> Result<Cost> {
        let rows = self.rows(transactional)?;
        let wal = self.wal()?;
        let begun = Instant::now();
        let (outcome, took, sampled) = if transactional {
            let outcome = self.client.batch_execute(sql);
            (outcome, begun.elapsed(), Vec::new())
        } else {
            self.watched(sql, begun)
        };
        let mut cost = Cost { took, locks: sampled, refusal: refusal(outcome)?, ..Cost::default() };
        cost.wal_bytes = self.wal()?.saturating_sub(wal);
        if transactional {
            let now = locks::of(&mut self.outside, self.backend).map_err(|e| lost(&e))?;
            cost.locks = self.taken.add(now);
            self.taken.clock += took;
        }
        if cost.refusal.is_none() {
            let now = self.rows(transactional)?;
            cost.rows_read = now.0.saturating_sub(rows.0);
            cost.rows_written = now.1.saturating_sub(rows.1);
        }
        Ok(cost)
    }

    /// Runs a statement by itself and looks at its locks meanwhile.
    fn watched(
        &mut self,
        sql: &str,
        begun: Instant,
    ) -> (std::result::Result<(), postgres::Error>, Duration, Vec<MeasuredLock>) {
        let (client, outside, backend) = (&mut self.client, &mut self.outside, self.backend);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let watcher = scope.spawn(|| locks::sample(outside, backend, &over));
            let outcome = client.batch_execute(sql);
            let took = begun.elapsed();
            over.store(true, Ordering::Release);
            (outcome, took, watcher.join().unwrap_or_default())
        })
    }

    /// The files of all relations, as the session sees them.
    pub(super) fn files(&mut self) -> Result<Files> {
        files::read(&mut self.client).map_err(|e| lost(&e))
    }

    /// Files that relations have now and had not `before`: of relations that were there, and of new ones.
    pub(super) fn new_files(&mut self, before: &Files) -> Result<(Vec<MeasuredFile>, Vec<MeasuredFile>)> {
        files::compare(&mut self.client, before).map_err(|e| lost(&e))
    }

    fn wal(&mut self) -> Result<u64> {
        let row = self.outside.query_one(WAL_POSITION, &[]).map_err(|e| lost(&e))?;
        Ok(row.get::<_, i64>(0) as u64)
    }

    /// Rows of tables that were read by scans and that were written: by the transaction so far, or by all that is over.
    ///
    /// A parallel worker counts for all to see when it ends, which the statement waits for, also within a transaction; what the
    /// session itself does there is seen by itself alone until the commit. Before 15 workers' counts come some time later.
    fn rows(&mut self, transactional: bool) -> Result<(u64, u64)> {
        let counts = |client: &mut Client, transactional| {
            let row = client.query_one(&rows_sql(transactional), &[]).map_err(|e| lost(&e))?;
            Ok((row.get::<_, i64>(0) as u64, row.get::<_, i64>(1) as u64))
        };
        if !transactional {
            self.flush()?;
            return counts(&mut self.outside, false);
        }
        let own = counts(&mut self.client, true)?;
        let others = if self.major >= FLUSHING { counts(&mut self.outside, false)? } else { (0, 0) };
        Ok((own.0 + others.0, own.1 + others.1))
    }

    /// Has the session write down what it has counted as soon as it is in no transaction.
    fn flush(&mut self) -> Result<()> {
        if self.major < FLUSHING {
            return Ok(());
        }
        self.client.batch_execute("SELECT pg_catalog.pg_stat_force_next_flush()").map_err(|e| lost(&e))
    }
}

fn rows_sql(transactional: bool) -> String {
    let of =
        if transactional { "pg_catalog.pg_stat_get_xact_tuples" } else { "pg_catalog.pg_stat_get_tuples" };
    format!(
        "SELECT COALESCE(pg_catalog.sum({of}_returned(c.oid)), 0)::pg_catalog.int8,
                COALESCE(pg_catalog.sum({of}_inserted(c.oid) OPERATOR(pg_catalog.+) {of}_updated(c.oid)
                    OPERATOR(pg_catalog.+) {of}_deleted(c.oid)), 0)::pg_catalog.int8
         FROM pg_catalog.pg_class c
         WHERE c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND c.relkind IN ('r', 'm')"
    )
}

/// Why a statement was refused, if it was.
fn refusal(outcome: std::result::Result<(), postgres::Error>) -> Result<Option<Refusal>, Failure> {
    let Err(error) = outcome else { return Ok(None) };
    let is_over = |code: &SqlState| [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code);
    match error.as_db_error() {
        Some(said) if !is_over(said.code()) => Ok(Some(Refusal {
            message: said.message().to_owned(),
            code: said.code().code().to_owned(),
            position: said.position().and_then(|position| match position {
                ErrorPosition::Original(at) => Some(*at),
                ErrorPosition::Internal { .. } => None,
            }),
            detail: said.detail().map(str::to_owned),
            hint: said.hint().map(str::to_owned),
        })),
        _ => Err(lost(&error)),
    }
}

//! Connections that went while a tool ran: no statement of a file failed then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offshoot_migrations::Project;
use offshoot_protocol::migrations::MigrationsStep;
use offshoot_storage::BranchId;

use super::history;
use crate::engine::Engine;

/// Lines at the end of a log that are looked at: what a tool prints of it, and its stack.
const LINES: usize = 60;
/// How long Postgres may take to recover.
const BACK_PATIENCE: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Letters of a line that is shown.
const SHOWN_LETTERS: usize = 300;

/// What drivers and Postgres say of it, in small letters.
///
/// Sources: Postgres's `src/backend/tcop/postgres.c` and libpq, and the drivers lib/pq, pgx, pg of Node, psycopg, PgJDBC, sqlx,
/// tokio-postgres and postgres.js.
const SIGNS: &[&str] = &[
    "driver: bad connection",
    "unexpected eof",
    "eof detected",
    "error: eof",
    "conn closed",
    "connection reset",
    "connection refused",
    "econnreset",
    "econnrefused",
    "write epipe",
    "broken pipe",
    "connection_closed",
    "connection is closed",
    "connection was closed",
    "connection closed",
    "connection has been closed",
    "connection already closed",
    "connection terminated",
    "server closed the connection",
    "terminating connection",
    "lost synchronization with server",
    "lost connection",
    "an i/o error occurred while sending",
    "the database system is",
    "error communicating with database",
    "expected to read 5 bytes, got 0 bytes at eof",
];
/// What a statement says that connects to yet another server: that is a failure of the statement.
const OF_A_STATEMENT: [&str; 2] = ["could not establish connection", "could not connect to server \""];

/// The line of a log by which the connection was lost.
pub(super) fn line(log: &str) -> Option<&str> {
    let lines: Vec<&str> = log.lines().rev().take(LINES).collect();
    let has = |line: &str, signs: &[&str]| {
        let small = line.to_lowercase();
        signs.iter().any(|sign| small.contains(sign))
    };
    if lines.iter().any(|line| has(line, &OF_A_STATEMENT)) {
        return None;
    }
    lines.into_iter().rev().find(|line| has(line, SIGNS)).map(str::trim)
}

/// Waits until a branch takes connections again: after a crash of one session Postgres ends all others, and recovers.
pub(super) async fn until_back(engine: &Arc<Engine>, id: BranchId) {
    let deadline = Instant::now() + BACK_PATIENCE;
    while !engine.is_stopping() && Instant::now() < deadline {
        if let Ok(socket) = engine.wake(id).await
            && engine.blocking(move |engine| history::connect(engine, &socket, None).map(drop)).await.is_ok()
        {
            return;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Says so of a step that failed.
pub(super) fn tell(step: &mut MigrationsStep, project: &Project, branch: &str, line: &str) {
    let said: String = line.chars().take(SHOWN_LETTERS).collect();
    let said = said.strip_prefix("Error: ").unwrap_or(&said);
    step.message = format!("the connection to {branch} was lost while {} ran: {said}", project.tool.name());
    step.hint = Some(
        "No statement is known to be at fault: Postgres or Offshoot's engine ended, or somebody ended the connection; \
         `offshoot engine logs` tells more. See `offshoot migrations status`, and apply again. If the same file loses it \
         again, try it with `offshoot migrations apply --throwaway`."
            .to_owned(),
    );
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn what_drivers_say_of_a_lost_connection_is_known() {
        for log in [
            "Applying: 1_a.sql\nError: driver: bad connection\n",
            "Error: unexpected EOF\n",
            "psql:deploy/one.sql:2: server closed the connection unexpectedly\n\tThis probably means\n",
            "Error: Connection terminated unexpectedly\n    at Connection.<anonymous> (client.js:132:73)\n",
            "read ECONNRESET",
            "  File \"/r/db/versions/a_one.py\", line 12, in upgrade\nsqlalchemy.exc.OperationalError: \
             (psycopg2.OperationalError) SSL SYSCALL error: EOF detected\n[SQL: select 1]\n",
            "(psycopg2.errors.AdminShutdown) terminating connection due to administrator command",
            "FATAL: the database system is shutting down",
        ] {
            assert!(line(log).is_some(), "{log}");
        }
        assert_eq!(line("x\nError: driver: bad connection\n"), Some("Error: driver: bad connection"));
    }

    #[test]
    fn a_statement_that_fails_has_lost_nothing() {
        for log in [
            "",
            "Error: pq: relation \"connections\" does not exist",
            "Error: pq: syntax error at end of input",
            "ERROR: could not establish connection\nDETAIL: connection to server at \"x\" failed: Connection refused",
        ] {
            assert_eq!(line(log), None, "{log}");
        }
    }
}

//! Postgres for a single user: no socket, no password, and it is gone when its input ends.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Command;

use super::PhysicalError;
use crate::account::{self, Account};
use crate::child;
use crate::install::Installation;
use crate::progress::Progress;
use crate::sys;

/// Nothing is durable until the whole store is, unless it is asked for. What the cluster's files say of these is replaced.
const SETTINGS: [(&str, &str); 18] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("shared_buffers", "256MB"),
    ("max_wal_size", "4GB"),
    ("wal_recycle", "off"),
    ("wal_init_zero", "off"),
    ("archive_mode", "off"),
    ("restore_command", ""),
    ("primary_conninfo", ""),
    ("shared_preload_libraries", ""),
    ("ssl", "off"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    // What Postgres says is understood by its words.
    ("lc_messages", "C"),
    ("log_line_prefix", ""),
    ("log_min_messages", "error"),
    // No statement is repeated in an error.
    ("log_min_error_statement", "panic"),
    ("max_logical_replication_workers", "0"),
];

/// A column of this name is an answer.
pub(super) const ANSWER: &str = "offshoot_answer";

/// A stopped cluster, and who works on it.
#[derive(Clone, Copy)]
pub(super) struct Single<'a> {
    pub(super) installation: &'a Installation,
    pub(super) data_dir: &'a Path,
    pub(super) account: Option<&'a Account>,
    /// Additions to the environment.
    pub(super) env: &'a [(OsString, OsString)],
    /// Whether what is written is on the disk at the end.
    pub(super) durable: bool,
}

/// What came of it.
pub(super) struct Said {
    /// The values of columns with the name [`ANSWER`].
    pub(super) answers: Vec<String>,
    /// Lines about errors.
    pub(super) errors: Vec<String>,
}

impl Single<'_> {
    /// Runs statements of one line each in `database`, as the first superuser. A statement that fails is no error here.
    ///
    /// # Errors
    /// [`PhysicalError::Recovery`] if Postgres does not come as far as to run them.
    pub(super) fn run(
        &self,
        database: &str,
        statements: &[String],
        progress: &dyn Progress,
    ) -> Result<Said, PhysicalError> {
        let mut command = Command::new(self.installation.postgres());
        command.arg("--single").arg("-D").arg(self.data_dir);
        for (name, value) in SETTINGS {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        if self.durable {
            command.args(["-c", "fsync=on"]);
        }
        command.arg(database);
        for (name, _) in std::env::vars_os() {
            let bytes = name.as_encoded_bytes();
            if bytes.starts_with(b"PG") || matches!(bytes, b"LD_PRELOAD" | b"LD_AUDIT" | b"NOTIFY_SOCKET") {
                command.env_remove(name);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.current_dir("/");
        account::apply(&mut command, self.account);
        // A copy that was killed is cleared away at the next start, and nothing may write there then.
        sys::die_with_parent(&mut command);
        let mut input = String::new();
        for statement in statements {
            debug_assert!(!statement.contains('\n'), "a line is a statement");
            input.extend([statement, "\n"]);
        }
        let done = child::run_with(&mut command, input.into_bytes(), progress)?;
        if progress.is_cancelled() {
            return Err(PhysicalError::Cancelled);
        }
        let errors: Vec<String> =
            done.stderr.lines().filter(|line| is_error(line)).map(str::to_owned).collect();
        let is_over = |line: &String| line.contains("FATAL:") || line.contains("PANIC:");
        if !done.status.success() || errors.iter().any(is_over) {
            let log = child::last_lines(&done.stderr, 12);
            if log.contains("No space left on device") {
                return Err(io::Error::from(io::ErrorKind::StorageFull).into());
            }
            let log = if log.is_empty() { done.status.to_string() } else { log };
            return Err(PhysicalError::Recovery { log });
        }
        Ok(Said { answers: answers(&done.stdout), errors })
    }
}

fn is_error(line: &str) -> bool {
    ["ERROR:", "FATAL:", "PANIC:"].iter().any(|word| line.contains(word))
}

/// The values in `1: offshoot_answer = "…"`, a tab, `(typeid = 25, …)`.
fn answers(stdout: &str) -> Vec<String> {
    let begin = format!("{ANSWER} = \"");
    let value = |line: &str| {
        let (_, rest) = line.split_once(&begin)?;
        rest.rsplit_once("\"\t(typeid").map(|(value, _)| value.to_owned())
    };
    stdout.lines().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_between_what_postgres_prints() {
        let text = "\nPostgreSQL stand-alone backend 18.1\nbackend> \t 1: offshoot_answer\t(typeid = 25, len = -1, \
                    typmod = -1, byval = f)\n\t----\n\t 1: offshoot_answer = \"{\"a\": \"b\"}\"\t(typeid = 25, len = -1, \
                    typmod = -1, byval = f)\n\t----\nbackend> ";
        assert_eq!(answers(text), ["{\"a\": \"b\"}"]);
    }
}

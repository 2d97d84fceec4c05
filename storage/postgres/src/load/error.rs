//! Why a load ended, and what to do about it.

use std::error::Error as _;
use std::io;

use super::target::{Refusal, ServerError};

/// Why a script, an archive or another server's database was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The server refused a statement or a row.
    #[error("line {line}: {message} (in: {statement})")]
    Statement {
        /// Where the statement starts; for a row of `COPY`, where the row is. Counted from 1.
        line: u64,
        /// The first 200 characters.
        statement: String,
        /// What the server said, with its detail.
        message: String,
        /// The SQLSTATE.
        code: Option<String>,
        /// The server's own hint.
        hint: Option<String>,
    },
    /// A command of `psql` that only `psql` can run.
    #[error("line {line}: `{command}` is a command of psql, not SQL")]
    MetaCommand {
        /// The line, counted from 1.
        line: u64,
        /// The command, with its backslash.
        command: String,
    },
    /// A script of `pg_dumpall`.
    #[error(
        "line {line}: this is a script of pg_dumpall, which holds a whole cluster; one database is wanted"
    )]
    ClusterDump {
        /// The line, counted from 1.
        line: u64,
    },
    /// The script leaves the database that it is loaded into.
    #[error("line {line}: `{what}` leads to another database; one database is wanted")]
    OtherDatabase {
        /// The line, counted from 1.
        line: u64,
        /// The statement or command.
        what: String,
    },
    /// Bytes that no SQL script has.
    #[error("line {line}: not a text file: {what}")]
    NotText {
        /// The line, counted from 1.
        line: u64,
        /// What was found.
        what: String,
    },
    /// Text in another encoding than UTF-8.
    #[error("line {line}: not in UTF-8: {what}")]
    Encoding {
        /// The line, counted from 1.
        line: u64,
        /// What was found.
        what: String,
    },
    /// A file of another kind, an archive or a compressed one.
    #[error("not an SQL script: {what}")]
    NotAScript {
        /// What it is instead.
        what: String,
    },
    /// The script ends within something.
    #[error("the script ends inside {what} that starts at line {line}")]
    Unfinished {
        /// Where it starts, counted from 1.
        line: u64,
        /// What it ends in.
        what: &'static str,
    },
    /// A compressed script whose end is missing.
    #[error("line {line}: the compressed file is truncated: its end is missing")]
    Truncated {
        /// The line that is cut, counted from 1.
        line: u64,
    },
    /// The connection to the server that is loaded into broke.
    #[error("the connection to the branch broke: {0}")]
    Connection(String),
    /// `pg_restore` could not read the archive.
    #[error("pg_restore failed: {stderr}")]
    Archive {
        /// The last lines it wrote.
        stderr: String,
    },
    /// The server to copy from does not answer.
    #[error("the source cannot be reached: {message}")]
    SourceUnreachable {
        /// What the system said.
        message: String,
    },
    /// The server to copy from does not accept the password, or wants one.
    #[error("the source refused the user or the password: {message}")]
    SourcePassword {
        /// What the server said.
        message: String,
    },
    /// The server to copy from demands TLS, and the URL says that there shall be none.
    #[error("the source demands TLS: {message}")]
    SourceTls {
        /// What was said.
        message: String,
    },
    /// `pg_dump` did not come to TLS as the URL demands it.
    #[error("pg_dump has no TLS with the source: {message}")]
    ToolTls {
        /// What it said.
        message: String,
    },
    /// TLS is not to be had as the URL demands it.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// The server to copy from is newer than the tool.
    #[error("the source runs Postgres {server}, but pg_dump is of version {tool} and cannot read it")]
    SourceTooNew {
        /// The server's version.
        server: String,
        /// The tool's version.
        tool: String,
    },
    /// `pg_dump` failed for another reason.
    #[error("pg_dump failed: {stderr}")]
    Source {
        /// The last lines it wrote.
        stderr: String,
    },
    /// What would bring unmasked data into the database.
    #[error("line {line}: {what}")]
    Unmaskable {
        /// The line, counted from 1.
        line: u64,
        /// What it is.
        what: String,
    },
    /// The rules of masking cannot be met.
    #[error(transparent)]
    Mask(#[from] crate::mask::MaskError),
    /// A part of a database cannot be taken.
    #[error(transparent)]
    Subset(#[from] crate::subset::SubsetError),
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A file could not be read, or a tool could not be started.
    #[error("load: {0}")]
    Io(#[from] io::Error),
}

/// What to do about what pg_dump wrote.
fn of_dump(stderr: &str) -> &'static str {
    let says = |text: &str| stderr.contains(text);
    if says("permission denied") || says("may lack SELECT privilege") {
        "The role of the URL has to read all tables and sequences: `GRANT pg_read_all_data TO …`, before Postgres 14 GRANT SELECT ON ALL \
         TABLES and ON ALL SEQUENCES of each schema. With `--table '*'` it needs no sequences."
    } else if says("statement timeout") && says("LOCK TABLE") {
        "Somebody holds a lock on one of these tables; a migration, say. Try again, or wait longer for it: `--lock-timeout 10m`."
    } else if says("server closed the connection")
        || says("PQgetCopyData() failed")
        || says("terminating connection")
    {
        "The connection to the source broke in the middle, and nothing of it is left here. Run it again."
    } else if says("database \"") && says("does not exist") {
        "Correct the name of the database in the URL."
    } else {
        "Try the same pg_dump by hand; its message says what it lacks."
    }
}

impl LoadError {
    /// What to do next.
    pub fn hint(&self) -> String {
        let text = match self {
            Self::Statement { hint: Some(hint), .. } => hint,
            Self::Statement { code: Some(code), .. } if code == "0A000" || code == "58P01" => {
                "This Postgres may lack an extension that the script needs; take an installation that has it \
                 (`postgres.bin_dir`), or a dump without it."
            }
            Self::Statement { .. } => {
                "Correct the script at that line and load it again into a fresh branch or a new database."
            }
            Self::MetaCommand { .. } => "Remove the command, or put its effect in SQL.",
            Self::ClusterDump { .. } => "Dump the one database with pg_dump.",
            Self::OtherDatabase { .. } => "Dump with pg_dump and without --create, or remove the line.",
            Self::NotText { .. } | Self::NotAScript { .. } => {
                "Give a plain SQL script, also gzip-compressed. Archives of pg_dump's custom, tar and directory \
                 formats are what a new database can be made from, and `pg_restore -f -` turns them into scripts."
            }
            Self::Encoding { .. } => "Dump again with --encoding=UTF8, or convert the file to UTF-8.",
            Self::Unfinished { .. } | Self::Truncated { .. } => {
                "The file may have been cut off; dump or copy it again."
            }
            Self::Connection(_) => "Look into the branch's log, then load into a fresh branch.",
            Self::Archive { .. } => {
                "Check that the archive is whole and not from a newer pg_dump than this pg_restore."
            }
            Self::SourceUnreachable { .. } => "Check host, port and network of the connection URL.",
            Self::SourcePassword { .. } => crate::CHECK_PASSWORD,
            Self::SourceTls { .. } => {
                "Take `sslmode=disable` out of the URL; `sslmode=require` and more demand TLS."
            }
            Self::ToolTls { .. } => {
                "This pg_dump cannot do with TLS what the URL asks for. Install the system's (Debian: `postgresql-client`; Fedora: `postgresql`), \
                 or name the folder of a Postgres that has another one by `init --bin-dir DIR`; `--physical` needs none."
            }
            Self::Tls(error) => return error.hint(),
            Self::SourceTooNew { .. } => "Install client tools of the server's major version or later.",
            Self::Source { stderr } => of_dump(stderr),
            Self::Unmaskable { .. } => {
                "Only rows that come by COPY are masked: dump with pg_dump and without --inserts, or give its archive."
            }
            Self::Mask(error) => &error.hint,
            Self::Subset(error) => &error.hint,
            Self::Cancelled => "Start it again when you want it.",
            Self::Io(_) => "Check that the file exists and can be read.",
        };
        text.to_owned()
    }

    /// The server's refusal of `statement`, which begins in `line`, or the loss of the connection. The error has the line that the
    /// server names.
    pub(super) fn from_server(refusal: &Refusal, line: u64, statement: &str) -> Self {
        let refusal = match refusal {
            Refusal::Said(error) => error,
            Refusal::Lost(why) => return Self::Connection(why.clone()),
        };
        Self::Statement {
            line: line + lines_before(statement, refusal.position),
            statement: excerpt(statement),
            message: full_message(refusal),
            code: Some(refusal.code.clone()),
            hint: refusal.hint.clone(),
        }
    }
}

/// Line breaks of a statement before a position, in characters from 1.
fn lines_before(statement: &str, position: Option<u32>) -> u64 {
    let letters = position.map_or(0, |at| at.saturating_sub(1) as usize);
    statement.chars().take(letters).filter(|letter| *letter == '\n').count() as u64
}

fn full_message(refusal: &ServerError) -> String {
    match &refusal.detail {
        Some(detail) => format!("{}: {detail}", refusal.message),
        None => refusal.message.clone(),
    }
}

/// The first 200 characters.
pub(super) fn excerpt(statement: &str) -> String {
    statement.trim().chars().take(200).collect()
}

/// An error's message and those of what caused it.
pub(crate) fn causes(error: &postgres::Error) -> String {
    // Where the server refused, its own words are all that there is to tell.
    if let Some(refusal) = error.as_db_error() {
        return refusal.message().to_owned();
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let message = inner.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = inner.source();
    }
    text
}

//! Where a script's statements go: a client of the `postgres` crate, or whatever else speaks to a server.

use std::io::Write;

use postgres::Client;
use postgres::error::ErrorPosition;

use super::LoadError;
use super::error::causes;

/// Runs a script's statements.
pub trait Target {
    /// Runs one statement.
    ///
    /// # Errors
    /// [`Refusal`]; after [`Refusal::Lost`] nothing more is run.
    fn run(&mut self, sql: &str) -> Result<(), Refusal>;

    /// As [`Target::run`], where the server itself should see to it that it is one statement and no more.
    ///
    /// # Errors
    /// As [`Target::run`].
    fn run_alone(&mut self, sql: &str) -> Result<(), Refusal> {
        self.run(sql)
    }

    /// Runs a `COPY … FROM STDIN` and returns how many rows it loaded.
    ///
    /// # Errors
    /// The outer one is that of `rows`; the server has forgotten the rows then.
    fn copy_in(&mut self, sql: &str, rows: &mut dyn Rows) -> Result<Result<u64, Refusal>, LoadError>;

    /// The database that it is connected to.
    ///
    /// # Errors
    /// [`Refusal`].
    fn database(&mut self) -> Result<String, Refusal>;
}

/// The rows of a `COPY`.
pub trait Rows {
    /// The next line with its line break; `None` after the last.
    ///
    /// # Errors
    /// If the script cannot be read or ends too early.
    fn next(&mut self) -> Result<Option<&[u8]>, LoadError>;
}

/// Why a server did not run a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It answered with an error.
    Said(Box<ServerError>),
    /// The connection broke.
    Lost(String),
}

/// A server's error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// SQLSTATE.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// More of it.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<u32>,
    /// Where, such as the row of a `COPY`.
    pub context: Option<String>,
}

impl Refusal {
    /// The server's error, if it sent one.
    pub(super) fn said(&self) -> Option<&ServerError> {
        match self {
            Self::Said(error) => Some(error),
            Self::Lost(_) => None,
        }
    }
}

impl From<&postgres::Error> for Refusal {
    fn from(error: &postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error() else { return Self::Lost(causes(error)) };
        Self::Said(Box::new(ServerError {
            code: refusal.code().code().to_owned(),
            message: refusal.message().to_owned(),
            detail: refusal.detail().map(str::to_owned),
            hint: refusal.hint().map(str::to_owned),
            position: refusal.position().and_then(|position| match position {
                ErrorPosition::Original(at) => Some(*at),
                ErrorPosition::Internal { .. } => None,
            }),
            context: refusal.where_().map(str::to_owned),
        }))
    }
}

impl Target for Client {
    fn run(&mut self, sql: &str) -> Result<(), Refusal> {
        self.batch_execute(sql).map_err(|error| Refusal::from(&error))
    }

    fn run_alone(&mut self, sql: &str) -> Result<(), Refusal> {
        // The extended protocol takes one statement only.
        self.execute(sql, &[]).map(drop).map_err(|error| Refusal::from(&error))
    }

    fn copy_in(&mut self, sql: &str, rows: &mut dyn Rows) -> Result<Result<u64, Refusal>, LoadError> {
        let mut writer = match Self::copy_in(self, sql) {
            Ok(writer) => writer,
            Err(error) => return Ok(Err(Refusal::from(&error))),
        };
        // Leaving early drops the writer, which tells the server to forget the rows.
        while let Some(row) = rows.next()? {
            if writer.write_all(row).is_err() {
                // The server has given up; why comes with the end.
                break;
            }
        }
        Ok(writer.finish().map_err(|error| Refusal::from(&error)))
    }

    fn database(&mut self) -> Result<String, Refusal> {
        let row = self.query_one("SELECT pg_catalog.current_database()::text", &[]);
        row.map(|row| row.get(0)).map_err(|error| Refusal::from(&error))
    }
}

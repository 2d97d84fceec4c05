//! Why a schema could not be read.

/// Why a schema could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The server is older than can be read.
    #[error("Postgres {major} is too old: 14 is the oldest that can be read")]
    TooOld {
        /// Its major version.
        major: u32,
    },
    /// The server refused a query.
    #[error("read {what}: {message} (SQLSTATE {code})")]
    Refused {
        /// What was being read.
        what: String,
        /// What the server said.
        message: String,
        /// Its SQLSTATE, such as `57014` for a statement timeout.
        code: String,
    },
    /// The connection broke.
    #[error("read {what}: the connection was lost: {message}")]
    Lost {
        /// What was being read.
        what: String,
        /// What the client library said.
        message: String,
    },
}

impl ReadError {
    pub(super) fn new(what: &str, error: &postgres::Error) -> Self {
        let what = what.to_owned();
        match error.as_db_error() {
            Some(refused) => Self::Refused {
                what,
                message: refused.message().to_owned(),
                code: refused.code().code().to_owned(),
            },
            None => Self::Lost { what, message: error.to_string() },
        }
    }

    pub(super) fn during(mut self, name: &str) -> Self {
        match &mut self {
            Self::Refused { what, .. } | Self::Lost { what, .. } => name.clone_into(what),
            Self::TooOld { .. } => {}
        }
        self
    }

    pub(super) fn is_privilege(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "42501")
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooOld { .. } => "Upgrade the server, or compare dumps of it instead.",
            Self::Refused { code, .. } if code == "57014" => {
                "Raise statement_timeout for this connection, then try again."
            }
            Self::Refused { .. } => "Connect as the owner of the database, then try again.",
            Self::Lost { .. } => "Look at the server's log, then try again.",
        }
    }
}

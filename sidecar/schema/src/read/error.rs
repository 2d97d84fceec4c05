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
    /// A text of the catalogs is not UTF-8, which happens in databases whose encoding is `SQL_ASCII`.
    #[error("read {what}: a name or text in the catalogs is not UTF-8")]
    Encoding {
        /// What was being read.
        what: String,
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
            Some(gone) if gone.code().code().starts_with("57P0") || gone.code().code().starts_with("08") => {
                Self::Lost { what, message: gone.message().to_owned() }
            }
            Some(garbled) if garbled.code().code() == "22021" => Self::Encoding { what },
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
            Self::Refused { what, .. } | Self::Lost { what, .. } | Self::Encoding { what } => {
                name.clone_into(what);
            }
            Self::TooOld { .. } => {}
        }
        self
    }

    pub(super) fn is_privilege(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "42501")
    }

    /// Whether somebody changed the schema under the reading: the functions of Postgres that write definitions look at the
    /// present, not at the snapshot, and miss what was dropped meanwhile.
    pub fn is_moving(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if ["XX000", "42P01", "42704", "42883", "42703"].contains(&code.as_str()))
    }

    /// The SQLSTATE, if the server refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooOld { .. } => "Upgrade the server, or compare dumps of it instead.",
            Self::Refused { code, .. } if code == "57014" => {
                "Raise statement_timeout for this connection, then try again."
            }
            Self::Refused { code, .. } if code == "55P03" => {
                "A transaction is changing the schema: commit it or roll it back, then try again."
            }
            Self::Encoding { .. } => {
                "Rename what has such a name, or load the database into one whose encoding is UTF8."
            }
            Self::Refused { .. } => "Connect as the owner of the database, then try again.",
            Self::Lost { .. } => "Look at the server's log, then try again.",
        }
    }
}

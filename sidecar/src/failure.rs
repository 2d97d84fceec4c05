//! The error of this crate: what the wire carries, with conversions from the errors of the crates below.

use std::fmt;

use offshoot_protocol::error::Reason;
use offshoot_protocol::{ClientError, ErrorKind, RpcError};
use offshoot_storage::StorageError;

/// A failure that a person will read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) RpcError);

/// The result of almost everything here.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn user(message: impl Into<String>) -> Self {
        Self(RpcError::user(message))
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self(RpcError::configuration(message))
    }

    pub(crate) fn engine(message: impl Into<String>) -> Self {
        Self(RpcError::engine(message))
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self(RpcError::internal(message))
    }

    pub(crate) fn cancelled() -> Self {
        Self(RpcError::user("cancelled").reason(Reason::Cancelled))
    }

    /// An operation on a file or a program that failed: `what` reads like "read `path`".
    pub(crate) fn io(what: impl fmt::Display, source: &std::io::Error) -> Self {
        Self::engine(format!("cannot {what}: {source}"))
    }

    #[must_use]
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self(self.0.hint(hint))
    }

    #[must_use]
    pub(crate) fn reason(self, reason: Reason) -> Self {
        Self(self.0.reason(reason))
    }

    pub(crate) fn is(&self, reason: Reason) -> bool {
        self.0.reason == Some(reason)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Failure {}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        Self(error)
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let kind = match error.kind() {
            offshoot_storage::ErrorKind::User => ErrorKind::User,
            offshoot_storage::ErrorKind::Configuration => ErrorKind::Configuration,
            offshoot_storage::ErrorKind::Engine => ErrorKind::Engine,
            offshoot_storage::ErrorKind::Internal => ErrorKind::Internal,
        };
        let mut rpc = RpcError::new(kind, chain(&error));
        rpc.hint = error.hint();
        if is_cancelled(&error) {
            (rpc.reason, rpc.hint) = (Some(Reason::Cancelled), None);
        }
        Self(rpc)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Rpc(rpc) => Self(rpc),
            ClientError::Closed => {
                Self::engine("the engine went away").hint("`offshoot engine logs` tells why; try again.")
            }
            ClientError::TimedOut(_) => Self::engine(error.to_string())
                .hint("See `offshoot engine logs`, or run `offshoot engine stop`."),
            other => Self::engine(other.to_string()),
        }
    }
}

fn is_cancelled(error: &StorageError) -> bool {
    use offshoot_postgres::install::InstallError;
    use offshoot_postgres::load::LoadError;
    matches!(
        error,
        StorageError::Cancelled
            | StorageError::Install(InstallError::Cancelled)
            | StorageError::Load(LoadError::Cancelled)
    )
}

/// An error and its sources in one line, without saying anything twice.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    // What the client library says when the server refused says nothing; the server's own words follow.
    if text == "db error"
        && let Some(refusal) = source
    {
        (text, source) = (refusal.to_string(), refusal.source());
    }
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    text
}

//! What the endpoint needs to know from whoever owns the branches.

use std::path::PathBuf;
use std::pin::Pin;

use crate::error::SqlState;

/// The future that [`Upstream::connect`] returns: a target, or why there is none.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Target, UpstreamError>> + Send + 'a>>;

/// Where an endpoint's connections go. The engine implements it.
pub trait Upstream: Send + Sync + 'static {
    /// Chooses the target of one new connection and wakes its Postgres if need be.
    ///
    /// Called once a client has sent its startup packet, and again if Postgres refuses because it is starting or
    /// stopping, or if the endpoint is drained meanwhile. The future is dropped when the client leaves before
    /// it is done, so it must hold nothing that a drop would leak.
    fn connect(&self) -> Connecting<'_>;
}

/// A Postgres that is ready for a connection, or will be in a moment.
pub struct Target {
    /// Names the target to the upstream; the endpoint only compares it.
    pub key: u64,
    /// The unix socket that Postgres listens on: the socket file, not its folder.
    pub socket: PathBuf,
    /// Counts as one open connection until it is dropped.
    pub guard: Box<dyn Send>,
}

/// Why a connection has no target. The client receives it as a FATAL error response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (SQLSTATE {sqlstate})")]
pub struct UpstreamError {
    /// The five characters that clients act on.
    pub sqlstate: SqlState,
    /// What happened, in one line.
    pub message: String,
    /// More of the circumstances.
    pub detail: Option<String>,
    /// What the person can do next.
    pub hint: Option<String>,
}

impl UpstreamError {
    /// An error with neither detail nor hint.
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None }
    }

    /// The same error with a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

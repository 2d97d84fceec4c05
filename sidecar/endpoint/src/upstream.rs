//! What the endpoint needs to know from whoever owns the branches.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::error::SqlState;

/// The future that [`Upstream::connect`] returns: a target, or why there is none.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Target, UpstreamError>> + Send + 'a>>;

/// Where an endpoint's connections go. The engine implements it.
pub trait Upstream: Send + Sync + 'static {
    /// Chooses the target of one new connection and wakes its Postgres if need be.
    ///
    /// Called once a client has sent its startup packet, and again if Postgres refuses because it is starting or
    /// stopping, or if the endpoint is drained meanwhile. The future is dropped when the client leaves before
    /// it is done, so it must hold nothing that a drop would leak. `user` is whom the client logs in as.
    fn connect<'a>(&'a self, user: &'a str) -> Connecting<'a>;

    /// Told after [`crate::Endpoint::connections`] changed. Called in a connection's task, so it must not block.
    fn connections_changed(&self) {}
}

/// A Postgres that is ready for a connection, or will be in a moment.
pub struct Target {
    /// Names the target to the upstream; the endpoint only compares it.
    pub key: u64,
    /// The unix socket that Postgres listens on: the socket file, not its folder.
    pub socket: PathBuf,
    /// Whom Postgres is told in the place of the client's user. The password is passed on as it is.
    pub log_in_as: Option<String>,
    /// Counts as one open connection until it is dropped.
    pub guard: Box<dyn Send>,
    /// Told of every statement that ends there.
    pub pulse: Arc<Pulse>,
}

/// A connection that has a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The target's key.
    pub key: u64,
    /// Whom the client logged in as.
    pub user: String,
    /// Whom Postgres was told in its place.
    pub logged_in_as: Option<String>,
}

/// Tells the upstream that statements end on a target: that something may have changed there.
///
/// A beat costs one atomic exchange, and one wake-up for all beats until the upstream takes note of them.
#[derive(Debug)]
pub struct Pulse {
    beaten: AtomicBool,
    told: Arc<Notify>,
}

impl Pulse {
    /// A pulse that has not beaten, and notifies `told` at the first beat after each [`Pulse::take`].
    pub fn new(told: Arc<Notify>) -> Self {
        Self { beaten: AtomicBool::new(false), told }
    }

    /// A statement ended outside of a transaction, or a connection ended in the middle of its work.
    pub fn beat(&self) {
        if !self.beaten.swap(true, Ordering::SeqCst) {
            self.told.notify_one();
        }
    }

    /// Whether it has beaten since the last call. What a statement changed before its beat is visible to whoever
    /// looks after this call.
    pub fn take(&self) -> bool {
        self.beaten.swap(false, Ordering::SeqCst)
    }

    /// Whether it has beaten since the last [`Pulse::take`].
    pub fn has_beaten(&self) -> bool {
        self.beaten.load(Ordering::SeqCst)
    }
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

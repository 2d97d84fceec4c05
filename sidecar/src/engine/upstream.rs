//! Where endpoints' connections go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use offshoot_endpoint::{Connecting, SqlState, Target, Upstream, UpstreamError};
use offshoot_protocol::ErrorKind;
use offshoot_protocol::types::Subject;
use offshoot_storage::{BranchId, StorageError};

use super::Engine;
use super::book::SeatKey;
use crate::failure::{Failure, Result};

/// How often a connection follows a branch that is replaced under it.
const MOST_MOVES: usize = 8;

/// Leads to whatever is checked out in a worktree.
pub(crate) struct SeatUpstream {
    engine: Arc<Engine>,
    key: SeatKey,
}

impl SeatUpstream {
    pub(crate) fn new(engine: Arc<Engine>, key: SeatKey) -> Self {
        Self { engine, key }
    }

    async fn target(&self) -> Result<Target> {
        for _ in 0..MOST_MOVES {
            let id = self.engine.binding.settle(&self.key).await?;
            if let Some(target) = self.engine.open(id).await? {
                return Ok(target);
            }
        }
        Err(Failure::engine("the database branch changes too fast to connect"))
    }
}

impl Upstream for SeatUpstream {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async move { self.target().await.map_err(|failure| refusal(&failure)) })
    }

    fn connections_changed(&self) {
        self.engine.changed(Subject::Compute);
    }
}

/// Leads to one branch, whatever is checked out.
pub(crate) struct BranchUpstream {
    engine: Arc<Engine>,
    id: Arc<AtomicU64>,
}

impl BranchUpstream {
    pub(crate) fn new(engine: Arc<Engine>, id: Arc<AtomicU64>) -> Self {
        Self { engine, id }
    }

    async fn target(&self) -> Result<Target> {
        for _ in 0..MOST_MOVES {
            let id = self.id.load(Ordering::Acquire);
            if let Some(target) = self.engine.open(BranchId(id)).await? {
                return Ok(target);
            }
            if self.id.load(Ordering::Acquire) == id {
                break;
            }
        }
        Err(Failure::user("the database branch of this address is gone")
            .hint("`offshoot undo` brings it back."))
    }
}

impl Upstream for BranchUpstream {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async move { self.target().await.map_err(|failure| refusal(&failure)) })
    }

    fn connections_changed(&self) {
        self.engine.changed(Subject::Compute);
    }
}

impl Engine {
    /// Wakes `id` for one connection; `None` if there is no such branch any more.
    async fn open(self: &Arc<Self>, id: BranchId) -> Result<Option<Target>> {
        let lease = self.computes.lease(id);
        self.changed(Subject::Compute);
        match self.wake(id).await {
            Ok(socket) => {
                let pulse = self.activity.pulse(id);
                Ok(Some(Target { key: id.0, socket, guard: Box::new(lease), pulse }))
            }
            Err(WakeError::NoSuchBranch) => Ok(None),
            Err(WakeError::Failed(failure)) => {
                tracing::error!(id = id.0, error = %failure, "cannot wake a branch");
                Err(failure)
            }
        }
    }
}

/// Why a branch does not wake.
pub(crate) enum WakeError {
    /// It was deleted or replaced.
    NoSuchBranch,
    /// Its Postgres does not start.
    Failed(Failure),
}

impl From<StorageError> for WakeError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NoSuchBranch { .. } => Self::NoSuchBranch,
            other => Self::Failed(other.into()),
        }
    }
}

/// What a database client reads.
fn refusal(failure: &Failure) -> UpstreamError {
    let state = match failure.0.kind {
        ErrorKind::User => SqlState::INVALID_CATALOG_NAME,
        ErrorKind::Configuration | ErrorKind::Engine => SqlState::CANNOT_CONNECT_NOW,
        ErrorKind::Internal => SqlState::INTERNAL_ERROR,
    };
    let mut lines = failure.0.message.lines();
    let error = UpstreamError::new(state, format!("offshoot: {}", lines.next().unwrap_or_default()));
    let rest: Vec<_> = lines.collect();
    let error = if rest.is_empty() { error } else { error.with_detail(rest.join("\n")) };
    match &failure.0.hint {
        Some(hint) => error.with_hint(hint.clone()),
        None => error,
    }
}

//! Where endpoints' connections go.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use offshoot_endpoint::{Connecting, SqlState, Target, Upstream, UpstreamError};
use offshoot_protocol::ErrorKind;
use offshoot_protocol::types::Subject;
use offshoot_storage::{BranchId, StorageError};

use super::Engine;
use super::book::SeatKey;
use super::policy::{self, Login};
use super::reader;
use crate::config::rules::READER;
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

    async fn target(&self, user: &str) -> Result<Target, Refusal> {
        for _ in 0..MOST_MOVES {
            let id = self.engine.binding.settle(&self.key).await?;
            if let Some(target) = self.engine.open(id, Some(user)).await? {
                return Ok(target);
            }
        }
        Err(Failure::engine("the database branch changes too fast to connect").into())
    }
}

impl Upstream for SeatUpstream {
    fn connect<'a>(&'a self, user: &'a str) -> Connecting<'a> {
        Box::pin(async move { self.target(user).await.map_err(|refusal| refusal.told()) })
    }

    fn connections_changed(&self) {
        self.engine.changed(Subject::Compute);
    }
}

/// Leads to one branch, whatever is checked out.
pub(crate) struct BranchUpstream {
    engine: Arc<Engine>,
    id: Arc<AtomicU64>,
    is_ours: bool,
}

impl BranchUpstream {
    pub(crate) fn new(engine: Arc<Engine>, id: Arc<AtomicU64>) -> Self {
        Self { engine, id, is_ours: false }
    }

    /// The same for what Offshoot itself does, or is told to do, whoever may write there.
    pub(crate) fn ours(engine: Arc<Engine>, id: BranchId) -> Self {
        Self { engine, id: Arc::new(AtomicU64::new(id.0)), is_ours: true }
    }

    async fn target(&self, user: &str) -> Result<Target, Refusal> {
        for _ in 0..MOST_MOVES {
            let id = self.id.load(Ordering::Acquire);
            if let Some(target) = self.engine.open(BranchId(id), (!self.is_ours).then_some(user)).await? {
                return Ok(target);
            }
            if self.id.load(Ordering::Acquire) == id {
                break;
            }
        }
        Err(Failure::user("the database branch of this address is gone")
            .hint("`offshoot undo` brings it back.")
            .into())
    }
}

impl Upstream for BranchUpstream {
    fn connect<'a>(&'a self, user: &'a str) -> Connecting<'a> {
        Box::pin(async move { self.target(user).await.map_err(|refusal| refusal.told()) })
    }

    fn connections_changed(&self) {
        self.engine.changed(Subject::Compute);
    }
}

impl Engine {
    /// Wakes `id` for one connection, of a client that names `user` or of ours; `None` if there is no such branch any more.
    async fn open(self: &Arc<Self>, id: BranchId, user: Option<&str>) -> Result<Option<Target>, Refusal> {
        let lease = self.computes.lease(id);
        self.changed(Subject::Compute);
        match self.wake(id).await {
            Ok(socket) => {
                let log_in_as = match user {
                    Some(user) => self.login(id, user.to_owned(), socket.clone()).await?,
                    None => None,
                };
                let pulse = self.activity.pulse(id);
                Ok(Some(Target { key: id.0, socket, log_in_as, guard: Box::new(lease), pulse }))
            }
            Err(WakeError::NoSuchBranch) => Ok(None),
            Err(WakeError::Failed(failure)) => {
                tracing::error!(id = id.0, error = %failure, "cannot wake a branch");
                Err(failure.into())
            }
        }
    }
}

impl Engine {
    /// As whom a client of `id` is let in, if not as the one that it names.
    async fn login(
        self: &Arc<Self>,
        id: BranchId,
        user: String,
        socket: PathBuf,
    ) -> Result<Option<String>, Refusal> {
        let found = self.blocking(move |engine| {
            let Ok(branch) = engine.store.branch(id) else { return Ok(Ok(None)) };
            let Some(writers) = policy::now(engine)?.writers(&branch.name) else { return Ok(Ok(None)) };
            let owner = &engine.store.info().user;
            Ok(match writers.login(&user, owner) {
                Login::Itself => Ok(None),
                Login::Refused => Err(writers.refused(&branch.name, &user, owner)),
                Login::Reader => Ok(reader::prepare(engine, &socket)?.then(|| READER.to_owned())),
            })
        });
        found.await?.map_err(Refusal::User)
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

/// Why a connection has no target.
enum Refusal {
    /// The user that it names is not let in.
    User(Failure),
    Other(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

impl Refusal {
    /// What a database client reads.
    fn told(&self) -> UpstreamError {
        match self {
            Self::User(failure) => error_of(failure, SqlState::INVALID_AUTHORIZATION),
            Self::Other(failure) => error_of(failure, state_of(failure)),
        }
    }
}

fn state_of(failure: &Failure) -> SqlState {
    match failure.0.kind {
        ErrorKind::User => SqlState::INVALID_CATALOG_NAME,
        ErrorKind::Configuration | ErrorKind::Engine => SqlState::CANNOT_CONNECT_NOW,
        ErrorKind::Internal => SqlState::INTERNAL_ERROR,
    }
}

fn error_of(failure: &Failure, state: SqlState) -> UpstreamError {
    let mut lines = failure.0.message.lines();
    let error = UpstreamError::new(state, format!("offshoot: {}", lines.next().unwrap_or_default()));
    let rest: Vec<_> = lines.collect();
    let error = if rest.is_empty() { error } else { error.with_detail(rest.join("\n")) };
    match &failure.0.hint {
        Some(hint) => error.with_hint(hint.clone()),
        None => error,
    }
}

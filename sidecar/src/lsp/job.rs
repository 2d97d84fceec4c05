//! A request's work: on a thread of its own, with progress and a way to be cancelled.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use offshoot_postgres::Progress;
use offshoot_protocol::client::Watch;
use offshoot_protocol::editor::Job;
use offshoot_protocol::{Method, RpcError};
use tokio::sync::{oneshot, watch};
use tower_lsp_server::jsonrpc;

use super::actor::{Message, Target};
use super::{Background, Shared};
use crate::failure::{Failure, Result};
use crate::session::connect;

/// How long the engine may take to answer a request; long work reports progress, but is never quicker for being given up.
const CALL_PATIENCE: Duration = Duration::from_mins(10);

/// What a request is about.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    /// URI of the folder.
    pub(super) folder: String,
    /// What people read while it runs; short work has none and is not shown.
    pub(super) title: Option<String>,
    /// The branch.
    pub(super) branch: Option<String>,
    /// Where reports go.
    pub(super) token: Option<String>,
    /// What it does to the engine.
    pub(super) kind: Kind,
}

/// Kinds of work that others have to know of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Asks the engine.
    #[default]
    Request,
    /// Stops the engine and starts it again.
    Restart,
    /// Makes a database. The server does not end before what is left of it is cleared away.
    Init,
}

/// Work under way: how many inits, and how much in all.
#[derive(Debug, Default)]
pub(super) struct Running(watch::Sender<(usize, usize)>);

impl Running {
    /// Waits until nothing runs.
    pub(super) async fn nothing(&self) {
        let _ = self.0.subscribe().wait_for(|&(_, all)| all == 0).await;
    }

    /// Waits until no database is being made.
    pub(super) async fn no_init(&self) {
        let _ = self.0.subscribe().wait_for(|&(inits, _)| inits == 0).await;
    }
}

/// Work on its thread.
pub(super) struct Work {
    /// The folder.
    pub(super) target: Target,
    pub(in crate::lsp) shared: Arc<Shared>,
    id: u64,
    about: About,
    dropped: Arc<AtomicBool>,
}

/// Calls of this process under way; the engine serves few clients, and other windows and terminals are among them.
static PLACES: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
const MOST_CALLS: usize = 8;
/// How often one that waits looks whether it is still wanted.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// One of the [`MOST_CALLS`] calls.
struct Place;

impl Place {
    /// Waits for its turn.
    fn take(is_cancelled: &dyn Fn() -> bool) -> Result<Self> {
        let mut taken = PLACES.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken >= MOST_CALLS {
            if is_cancelled() {
                return Err(Failure::cancelled());
            }
            taken = PLACES.1.wait_timeout(taken, LOOK_INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
        }
        *taken += 1;
        Ok(Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *PLACES.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        PLACES.1.notify_one();
    }
}

impl Work {
    /// Connects to the folder's engine, starting it if need be, and calls `M`.
    pub(super) fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result> {
        let is_cancelled = || self.is_cancelled();
        let project = self.target.project()?;
        let _place = Place::take(&is_cancelled)?;
        let host = Background { may_start: true, is_cancelled: &is_cancelled };
        let mut client = connect(project, &host)?;
        let mut progress = |p: &offshoot_protocol::types::Progress| {
            self.step(&p.message, p.done, p.total);
            if let (Some(token), Some(text)) = (&self.about.token, &p.output) {
                self.shared.outbox.output(token, text);
            }
        };
        let watch = Watch { progress: &mut progress, cancelled: &is_cancelled };
        Ok(client.call_watched::<M>(params, CALL_PATIENCE, watch)?)
    }

    /// Root of the folder's worktree, as the engine is told.
    pub(super) fn path(&self) -> Result<String> {
        Ok(self.target.project()?.worktree.path.to_string_lossy().into_owned())
    }

    fn begin(&self) {
        self.shared.running.0.send_modify(|(inits, all)| {
            *inits += usize::from(self.about.kind == Kind::Init);
            *all += 1;
        });
        if let (Some(token), Some(title)) = (&self.about.token, &self.about.title) {
            self.shared.outbox.begin(token, title);
        }
        let job = self.about.title.clone().map(|title| Job { title, branch: self.about.branch.clone() });
        self.tell(Message::JobBegan { key: self.target.key(), id: self.id, job, kind: self.about.kind });
    }

    fn tell(&self, message: Message) {
        // Fails when the server ends.
        let _ = self.shared.actor.blocking_send(message);
    }
}

impl Progress for Work {
    fn step(&self, what: &str, done: u64, total: Option<u64>) {
        if let Some(token) = &self.about.token {
            self.shared.outbox.report(token, what, done, total);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.dropped.load(Ordering::Relaxed) || self.shared.closing.load(Ordering::Relaxed)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let (Some(token), Some(_)) = (&self.about.token, &self.about.title) {
            self.shared.outbox.end(token);
        }
        self.tell(Message::JobEnded { key: self.target.key(), id: self.id, kind: self.about.kind });
        self.shared.running.0.send_modify(|(inits, all)| {
            *inits -= usize::from(self.about.kind == Kind::Init);
            *all -= 1;
        });
    }
}

/// Sets its flag when it is dropped: `$/cancelRequest` drops the handler's future, and this with it.
struct DropGuard(Arc<AtomicBool>);

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Finds the folder and runs `work` on a thread. Cancelled if the returned future is dropped.
pub(super) async fn run<T: Send + 'static>(
    shared: &Arc<Shared>,
    about: About,
    work: impl FnOnce(&Work) -> Result<T> + Send + 'static,
) -> jsonrpc::Result<T> {
    static IDS: AtomicU64 = AtomicU64::new(1);

    let target = locate(shared, &about.folder).await.map_err(to_jsonrpc)?;
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = DropGuard(Arc::clone(&dropped));
    let id = IDS.fetch_add(1, Ordering::Relaxed);
    let shared = Arc::clone(shared);
    let span = tracing::info_span!("request", folder = about.folder, branch = about.branch);
    let done = tokio::task::spawn_blocking(move || {
        let _entered = span.enter();
        let job = Work { target, shared, id, about, dropped };
        job.begin();
        work(&job)
    })
    .await;
    drop(guard);
    match done {
        Ok(outcome) => outcome.map_err(|failure| to_jsonrpc(failure.0)),
        Err(panic) => Err(panicked(&panic)),
    }
}

async fn locate(shared: &Shared, folder: &str) -> Result<Target, RpcError> {
    let (reply, answer) = oneshot::channel();
    let ending = || RpcError::engine("the language server ends");
    shared.actor.send(Message::Locate { folder: folder.to_owned(), reply }).await.map_err(|_| ending())?;
    answer.await.map_err(|_| ending())?
}

/// The answer to a request whose work panicked.
pub(super) fn panicked(error: &tokio::task::JoinError) -> jsonrpc::Error {
    tracing::error!(%error, "a request's work panicked");
    let failure =
        Failure::internal("the language server failed at this request; this is a defect of Offshoot")
            .hint("Its log tells more. Please report it.");
    to_jsonrpc(failure.0)
}

/// An error as JSON-RPC carries it: the whole of it in `data`.
pub(super) fn to_jsonrpc(error: RpcError) -> jsonrpc::Error {
    jsonrpc::Error {
        code: jsonrpc::ErrorCode::from(error.code()),
        message: error.message.clone().into(),
        data: serde_json::to_value(&error).ok(),
    }
}

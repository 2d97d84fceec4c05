//! Which database branch each worktree's endpoint leads to. One task owns this state; everybody else asks it.
//!
//! A worktree that has been asked about is a *seat*. Looks at git (see [`settle`]) run beside the task, one at a time
//! for a seat, so that seats do not wait for each other. Whoever asks while a look is under way gets the answer of
//! the next one: nobody is routed by a HEAD that was read before he asked.

mod at_commit;
mod branch_port;
mod decide;
mod seat;
mod settle;
mod task;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use settle::Missing;

use offshoot_endpoint::Endpoint;
use offshoot_git::{GitError, Head, Worktree};
use offshoot_protocol::types::Note;
use offshoot_storage::BranchId;
use tokio::sync::{Notify, mpsc, oneshot};

use super::Engine;
use super::book::SeatKey;
use crate::failure::{Failure, Result};

/// Requests that may wait for the task; beyond that, askers wait.
const QUEUE: usize = 256;

type Reply<T> = oneshot::Sender<T>;

enum Ask {
    Register { worktree: Worktree, reply: Reply<Result<SeatKey>> },
    Find { path: PathBuf, reply: Reply<Option<SeatKey>> },
    Settle { key: SeatKey, reply: Reply<Result<BranchId>> },
    Looked { key: SeatKey, found: Box<settle::Found> },
    View { key: SeatKey, reply: Reply<Result<View>> },
    Views { reply: Reply<Vec<View>> },
    NewPort { key: SeatKey, reply: Reply<Result<u16>> },
    BranchPort { id: BranchId, name: String, reply: Reply<Result<u16>> },
    Leading { id: BranchId, reply: Reply<Vec<Arc<Endpoint>>> },
    Replaced { old: BranchId, new: Option<BranchId>, reply: Reply<()> },
    Close { reply: Reply<()> },
}

/// What is known about a seat.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) key: SeatKey,
    pub(crate) path: PathBuf,
    /// As last read; absent if HEAD could not be read.
    pub(crate) head: Option<Head>,
    /// Where the endpoint leads, or why nowhere.
    pub(crate) branch: Result<BranchId>,
    pub(crate) notes: Vec<Note>,
    /// The branch that was not made for what is checked out.
    pub(crate) missing: Option<Missing>,
    pub(crate) port: u16,
    pub(crate) listening: bool,
    pub(crate) connections: u64,
}

/// The way to the task. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Binding {
    asks: mpsc::Sender<Ask>,
    git_changed: Arc<Notify>,
}

/// The task's side, before it starts.
pub(crate) struct Inbox {
    asks: mpsc::Receiver<Ask>,
    git_changed: Arc<Notify>,
}

impl Binding {
    pub(crate) fn new() -> (Self, Inbox) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let git_changed = Arc::new(Notify::new());
        (Self { asks: sender, git_changed: Arc::clone(&git_changed) }, Inbox { asks: receiver, git_changed })
    }

    /// Something in the git directory changed. Does not wait.
    pub(crate) fn git_changed(&self) {
        self.git_changed.notify_one();
    }

    /// Makes a seat for `worktree`, with an endpoint, if there is none yet.
    pub(crate) async fn register(&self, worktree: Worktree) -> Result<SeatKey> {
        self.ask(|reply| Ask::Register { worktree, reply }).await?
    }

    /// The seat whose worktree has its root at `path`.
    pub(crate) async fn find(&self, path: PathBuf) -> Result<Option<SeatKey>> {
        self.ask(|reply| Ask::Find { path, reply }).await
    }

    /// Reads HEAD, does what it asks for, and returns where the endpoint leads.
    pub(crate) async fn settle(&self, key: &SeatKey) -> Result<BranchId> {
        self.ask(|reply| Ask::Settle { key: key.clone(), reply }).await?
    }

    /// What is known about a seat, without looking again.
    pub(crate) async fn view(&self, key: &SeatKey) -> Result<View> {
        self.ask(|reply| Ask::View { key: key.clone(), reply }).await?
    }

    /// What is known about all seats, after a look at each of them.
    pub(crate) async fn fresh_views(&self) -> Result<Vec<View>> {
        let mut looks = tokio::task::JoinSet::new();
        for view in self.views().await? {
            let binding = self.clone();
            looks.spawn(async move { binding.settle(&view.key).await });
        }
        // A checkout that could not be followed shows in the view.
        while looks.join_next().await.is_some() {}
        self.views().await
    }

    /// What is known about all seats.
    pub(crate) async fn views(&self) -> Result<Vec<View>> {
        self.ask(|reply| Ask::Views { reply }).await
    }

    /// Gives a seat another port.
    pub(crate) async fn new_port(&self, key: &SeatKey) -> Result<u16> {
        self.ask(|reply| Ask::NewPort { key: key.clone(), reply }).await?
    }

    /// The port that always leads to branch `id`, made at the first call.
    pub(crate) async fn branch_port(&self, id: BranchId, name: &str) -> Result<u16> {
        self.ask(|reply| Ask::BranchPort { id, name: name.to_owned(), reply }).await?
    }

    /// Closes the connections to `id` on every endpoint that leads there. Busy ones may take `grace`.
    pub(crate) async fn drain(&self, id: BranchId, grace: Duration) -> Result<()> {
        let endpoints = self.leading(id).await?;
        let mut drains = tokio::task::JoinSet::new();
        for endpoint in endpoints {
            drains.spawn(async move { endpoint.drain(grace).await });
        }
        while drains.join_next().await.is_some() {}
        Ok(())
    }

    /// The endpoints that lead to `id`.
    pub(crate) async fn leading(&self, id: BranchId) -> Result<Vec<Arc<Endpoint>>> {
        self.ask(|reply| Ask::Leading { id, reply }).await
    }

    /// Branch `old` is gone, and `new` stands in its place if there is one.
    pub(crate) async fn replaced(&self, old: BranchId, new: Option<BranchId>) -> Result<()> {
        self.ask(|reply| Ask::Replaced { old, new, reply }).await
    }

    /// Closes every endpoint and ends the task.
    pub(crate) async fn close(&self) {
        // An error means that it has ended already.
        let _ = self.ask(|reply| Ask::Close { reply }).await;
    }

    async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(ask(reply)).await.map_err(|_| super::stopping())?;
        answer.await.map_err(|_| super::stopping())
    }
}

impl Inbox {
    /// Runs the task until [`Binding::close`].
    pub(crate) async fn run(self, engine: Arc<Engine>, settings: Vec<(String, String)>) {
        task::Task::new(engine, self, settings).run().await;
    }
}

/// What a person reads when git cannot be read.
pub(crate) fn git_failure(error: &GitError) -> Failure {
    let text = crate::failure::chain(error);
    let failure = match error {
        GitError::NotARepository { .. } | GitError::Bare { .. } | GitError::Unsafe { .. } => {
            Failure::user(text)
        }
        _ => Failure::configuration(text),
    };
    failure.hint(error.hint())
}

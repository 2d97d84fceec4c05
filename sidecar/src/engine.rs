//! The engine: one process for a store, which owns its branches, endpoints and bindings to git.

mod activity;
mod answers;
pub(crate) mod binding;
pub(crate) mod book;
mod branches;
pub(crate) mod bundle;
mod catalogs;
mod commits;
mod computes;
mod detached;
mod disk;
mod env_files;
mod events;
mod expiry;
mod explorer;
mod follow;
mod following;
mod fork;
mod given;
mod groups;
mod hooks;
mod listing;
pub(crate) mod log;
mod measure;
mod migrations;
mod notes;
mod offers;
mod past;
mod policy;
mod ports;
mod prepare;
mod presence;
mod reader;
mod refresh;
mod reporter;
mod restore;
pub(crate) mod room;
mod rows;
mod rpc;
mod run;
mod schema;
mod schemas;
mod server;
mod snapshots;
mod throwaway;
mod upkeep;
mod upstream;
mod worktrees;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use offshoot_git::Repository;
use offshoot_protocol::error::Reason;
use offshoot_protocol::types::Subject;
use offshoot_storage::{BranchId, Store};
use tokio::sync::{Notify, OwnedMutexGuard, broadcast};

pub(crate) use run::{Options, run};

use crate::config::Config;
use crate::failure::{Failure, Result};
use activity::Activity;
use binding::Binding;
use computes::{Computes, Passing};
use env_files::EnvFiles;
use expiry::Expiry;
use follow::Follower;
use fork::Forks;
use room::Room;
use schemas::Schemas;
use upstream::WakeError;

/// What all parts of the engine share.
pub(crate) struct Engine {
    pub(crate) store: Arc<Store>,
    pub(crate) repository: Repository,
    pub(crate) computes: Computes,
    pub(crate) binding: Binding,
    activity: Activity,
    pub(crate) schemas: Schemas,
    forks: Forks,
    expiry: Expiry,
    policy: policy::Policy,
    room: Room,
    migrations: migrations::Migrations,
    pub(crate) follower: Follower,
    pub(crate) offers: offers::Offers,
    following: following::Following,
    env_files: EnvFiles,
    hooks: hooks::Runner,
    /// Told when git branches may have new commits.
    committed: Notify,
    /// Counts changes to the set of branches and their names.
    pub(crate) generation: AtomicU64,
    pub(crate) started_at: SystemTime,
    changes: broadcast::Sender<Subject>,
    idle_timeouts: Mutex<HashMap<BranchId, Duration>>,
    /// One deletion, reset, rename or undo at a time.
    structure: tokio::sync::Mutex<()>,
    stopping: AtomicBool,
    stop: Notify,
}

impl Engine {
    fn new(store: Store, repository: Repository, binding: Binding) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::new(store),
            repository,
            computes: Computes::default(),
            binding,
            activity: Activity::default(),
            schemas: Schemas::default(),
            forks: Forks::default(),
            expiry: Expiry::default(),
            policy: policy::Policy::default(),
            room: Room::default(),
            migrations: migrations::Migrations::default(),
            follower: Follower::default(),
            offers: offers::Offers::default(),
            following: following::Following::default(),
            env_files: EnvFiles::default(),
            hooks: hooks::Runner::default(),
            committed: Notify::new(),
            generation: AtomicU64::new(0),
            started_at: SystemTime::now(),
            changes: broadcast::channel(64).0,
            idle_timeouts: Mutex::default(),
            structure: tokio::sync::Mutex::default(),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
        })
    }

    /// Does something that touches the disk or waits for a process, on a thread that may.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let engine = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&engine)).await;
        done.unwrap_or_else(|panic| Err(Failure::internal(format!("a task of the engine failed: {panic}"))))
    }

    /// Starts the Postgres of `id` unless it runs, and returns its socket.
    async fn wake(self: &Arc<Self>, id: BranchId) -> Result<PathBuf, WakeError> {
        if self.is_stopping() {
            return Err(WakeError::Failed(stopping()));
        }
        let turn = self.computes.turn(id).await;
        let engine = Arc::clone(self);
        // If the asker leaves, the branch is woken all the same and must be known to be awake.
        let woken = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let fresh = engine.store.branch(id)?.state != offshoot_storage::ComputeState::Awake;
            let begin = std::time::Instant::now();
            if fresh {
                engine.schemas.wakes(id);
                engine.computes.pass(id, Some(Passing::Waking));
                engine.changed(Subject::Compute);
            }
            let woken = engine.store.wake(id);
            if woken.is_ok() {
                engine.computes.woke(id);
            }
            engine.computes.pass(id, None);
            if fresh {
                let took_ms = begin.elapsed().as_millis() as u64;
                tracing::info!(id = id.0, took_ms, awake = woken.is_ok(), "woke a branch");
            }
            if fresh || woken.is_err() {
                engine.changed(Subject::Compute);
            }
            woken
        });
        match woken.await {
            Ok(result) => Ok(result?),
            Err(panic) => {
                Err(WakeError::Failed(Failure::internal(format!("waking the branch failed: {panic}"))))
            }
        }
    }

    /// Stops the Postgres of `id`. The caller has waited for his turn.
    async fn sleep(self: &Arc<Self>, id: BranchId, turn: OwnedMutexGuard<()>) -> Result<()> {
        self.blocking(move |engine| {
            let _turn = turn;
            engine.computes.pass(id, Some(Passing::Stopping));
            engine.changed(Subject::Compute);
            let stopped = engine.store.sleep(id);
            if stopped.is_ok() {
                engine.computes.slept(id);
                tracing::info!(id = id.0, "a branch fell asleep");
            }
            engine.computes.pass(id, None);
            engine.changed(Subject::Compute);
            Ok(stopped?)
        })
        .await
    }

    /// Tells subscribers.
    pub(crate) fn changed(&self, what: Subject) {
        if what == Subject::Worktrees {
            self.env_files.wake();
        }
        // An error means that nobody listens.
        let _ = self.changes.send(what);
    }

    /// Whether anybody is told of changes.
    fn has_subscribers(&self) -> bool {
        self.changes.receiver_count() > 0
    }

    /// Branch `id` is gone: nothing that was known of its inside holds any more.
    fn forget(&self, id: BranchId) {
        self.computes.slept(id);
        self.activity.forget(id);
        self.schemas.forget(id);
        self.forks.forget(id);
        self.migrations.histories.forget(id);
    }

    /// The set of branches or their names changed: every binding has to be looked at again.
    fn branches_changed(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.changed(Subject::Branches);
        self.binding.git_changed();
    }

    /// Takes how long each branch that a worktree leads to may idle; of several worktrees the longest time counts.
    pub(crate) fn set_idle_timeouts(&self, timeouts: impl Iterator<Item = (BranchId, Duration)>) {
        let mut table = self.idle_timeouts.lock().unwrap_or_else(PoisonError::into_inner);
        table.clear();
        for (id, timeout) in timeouts {
            let entry = table.entry(id).or_insert(timeout);
            *entry = timeout.max(*entry);
        }
    }

    /// How long `id` may idle. Branches that no worktree leads to idle as long as those that one does.
    fn idle_timeout(&self, id: BranchId) -> Duration {
        let table = self.idle_timeouts.lock().unwrap_or_else(PoisonError::into_inner);
        let shortest = || table.values().min().copied();
        table.get(&id).copied().or_else(shortest).unwrap_or(Config::default().idle_timeout)
    }

    /// Asks the engine to stop.
    fn request_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.notify_one();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// What is answered while the engine stops.
pub(crate) fn stopping() -> Failure {
    Failure::engine("the engine is stopping").reason(Reason::Stopping).hint("Try again.")
}

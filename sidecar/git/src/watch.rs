//! Watching a repository: a sign that something is worth reading again, soon after it changed.
//!
//! Native events of the system do the work. What they say beyond "look again" is not used. A change counts when
//! git's own rename into place is seen; lock files, reads and changes of mode are not changes.

mod layout;
mod poll;
mod worker;

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::discover::Repository;
use crate::error::GitError;
use crate::sys;
use crate::watch::layout::Touched;
use crate::watch::worker::Worker;

/// What is worth reading again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// Work trees may have been added, moved or removed.
    Worktrees,
    /// Branches may have been created, moved, renamed or deleted.
    Refs,
    /// Some work tree's HEAD may name something else, or an [`Operation`](crate::Operation) began or ended.
    Heads,
    /// Events were lost: all of the above.
    Overflow,
    /// The git directory was removed or moved away. Always the last change; discover again.
    Gone,
}

/// How changes are noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// By events of the system, within milliseconds.
    Events,
    /// By looking once a second, because events cannot be had or cannot be relied on.
    Polling {
        /// Why, for the person.
        reason: String,
    },
}

/// How changes should be noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backend {
    /// By events where they can be relied on, otherwise by looking once a second.
    #[default]
    Automatic,
    /// By looking once a second.
    Polling,
}

/// A running watch; it ends when this is dropped.
///
/// Dropping waits for a call in progress to return, unless it happens within that call.
pub struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Watches `repository` with all its work trees, those added later too, and calls `on_change` on its own thread.
///
/// What changes after this returns is reported; read the state once after it. Changes in close succession are
/// gathered for 15 ms of quiet, at most 100 ms, and each kind is reported once, in the order of [`Change`].
/// A reported change means "may have": reading again can show the same.
///
/// Renaming a folder further up than the work tree gives no event; the next change in the git directory
/// then reports [`Change::Gone`].
///
/// # Errors
/// [`GitError::NotARepository`] if the common directory is gone. A system without events is no error: see
/// [`Watcher::mode`].
pub fn watch(
    repository: &Repository,
    on_change: impl FnMut(Change) + Send + 'static,
) -> Result<Watcher, GitError> {
    watch_with(repository, Backend::Automatic, on_change)
}

/// As [`watch`], with a choice of how changes are noticed.
pub fn watch_with(
    repository: &Repository,
    backend: Backend,
    on_change: impl FnMut(Change) + Send + 'static,
) -> Result<Watcher, GitError> {
    let mode = match backend {
        Backend::Polling => Mode::Polling { reason: "asked for".into() },
        Backend::Automatic if sys::is_remote(&repository.common_dir) => Mode::Polling {
            reason: "the repository is on a network file system, where changes from elsewhere give no events"
                .into(),
        },
        Backend::Automatic => Mode::Events,
    };
    let shared = Arc::new(Shared::new(mode));
    let worker = Worker::start(repository, backend, Arc::clone(&shared))?;
    let thread = thread::Builder::new()
        .name("git-watch".into())
        .spawn(move || worker.run(on_change))
        .map_err(GitError::io("start a thread to watch", &repository.common_dir))?;
    Ok(Watcher { shared, thread: Some(thread) })
}

impl Watcher {
    /// How changes are noticed at present. Events can give way to polling when the system's limit is reached.
    pub fn mode(&self) -> Mode {
        self.shared.lock().mode.clone()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the git watch ended by a panic");
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("mode", &self.mode()).finish_non_exhaustive()
    }
}

/// What the event source and the worker share.
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    /// The watched folders outside the common directory.
    tops: Mutex<HashSet<PathBuf>>,
}

/// Bounded whatever happens: events are merged, not queued.
struct State {
    touched: Touched,
    /// Counts merged events, so that the worker can tell quiet.
    serial: u64,
    stopped: bool,
    mode: Mode,
}

impl Shared {
    fn new(mode: Mode) -> Self {
        let state = State { touched: Touched::default(), serial: 0, stopped: false, mode };
        Self { state: Mutex::new(state), wake: Condvar::new(), tops: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is valid between any two statements, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tops(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.tops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what an event touched and wakes the worker.
    fn touch(&self, touched: Touched) {
        let mut state = self.lock();
        state.touched.merge(touched);
        state.serial += 1;
        drop(state);
        self.wake.notify_all();
    }
}

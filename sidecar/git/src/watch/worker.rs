//! The thread of a watch: keeps the right folders watched, gathers events and reports changes.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::discover::Repository;
use crate::error::GitError;
use crate::sys;
use crate::watch::layout::{Touched, folders, touched_by};
use crate::watch::poll::Snapshot;
use crate::watch::{Backend, Change, Mode, Shared};

/// Events this close together are one change.
const QUIET: Duration = Duration::from_millis(15);
/// A report waits no longer than this for quiet.
const LONGEST: Duration = Duration::from_millis(100);
/// How often a repository without reliable events is looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the folders are listed again because new ones were found; each time the ones before are watched.
const MAX_PASSES: usize = 16;

pub(super) struct Worker {
    repository: Repository,
    shared: Arc<Shared>,
    /// None while only polling.
    events: Option<Events>,
    /// None while events are relied on.
    snapshot: Option<Snapshot>,
    /// Device and inode of the common directory; none where a folder may be numbered anew at any time.
    identity: Option<(u64, u64)>,
}

struct Events {
    watcher: RecommendedWatcher,
    watched: HashSet<PathBuf>,
}

impl Worker {
    /// Begins to watch; when this returns, later changes are seen.
    pub(super) fn start(
        repository: &Repository,
        backend: Backend,
        shared: Arc<Shared>,
    ) -> Result<Self, GitError> {
        let found = identity(&repository.common_dir)
            .ok_or_else(|| GitError::not_a_repository(&repository.common_dir))?;
        let identity = (!sys::is_remote(&repository.common_dir)).then_some(found);
        let repository = repository.clone();
        let mut worker = Self { repository, shared, events: None, snapshot: None, identity };
        if backend == Backend::Automatic {
            worker.start_events();
        }
        let mut state = worker.shared.lock();
        if matches!(state.mode, Mode::Polling { .. }) {
            if worker.events.is_none() {
                // The caller has yet to read for the first time, so nothing is lost by now.
                state.touched = Touched::default();
            }
            worker.snapshot = Some(Snapshot::take(&worker.repository));
        }
        drop(state);
        Ok(worker)
    }

    fn start_events(&mut self) {
        let shared = Arc::clone(&self.shared);
        let common_dir = self.repository.common_dir.clone();
        let created = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let touched = match event {
                Ok(event) => touched_by(&common_dir, &shared.tops(), &event),
                Err(error) => {
                    tracing::debug!(%error, "the event source failed; everything is read again");
                    Touched::everything()
                }
            };
            if !touched.is_nothing() {
                shared.touch(touched);
            }
        });
        match created {
            Ok(watcher) => {
                self.events = Some(Events { watcher, watched: HashSet::new() });
                self.watch_folders(&Touched { all_stale: true, ..Touched::default() });
            }
            Err(error) => self.fall_back(&error),
        }
    }

    /// Watches the folders that are there now. A folder made while this runs is found by a further pass, since
    /// each is watched before its contents are listed again.
    fn watch_folders(&mut self, touched: &Touched) {
        for pass in 0..MAX_PASSES {
            let Some(events) = &mut self.events else { return };
            let present = folders(&self.repository);
            let tops = present.iter().filter(|folder| !folder.starts_with(&self.repository.common_dir));
            *self.shared.tops() = tops.cloned().collect();
            let mut found_new = false;
            for folder in &present {
                let known = events.watched.contains(folder);
                if known && (pass > 0 || !touched.is_stale(folder)) {
                    continue;
                }
                match events.watcher.watch(folder, RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        found_new |= events.watched.insert(folder.clone());
                    }
                    Err(error) if is_absent(&error) => {}
                    Err(error) => return self.fall_back(&error),
                }
            }
            let present: HashSet<PathBuf> = present.into_iter().collect();
            let watcher = &mut events.watcher;
            events.watched.retain(|folder| {
                let keep = present.contains(folder);
                if !keep {
                    // Mostly the system has dropped it with the folder already.
                    let _ = watcher.unwatch(folder);
                }
                keep
            });
            if !found_new {
                return;
            }
        }
    }

    /// Gives up on events.
    fn fall_back(&mut self, error: &notify::Error) {
        tracing::warn!(path = %self.repository.common_dir.display(), %error, "no events; looking every second");
        let reason = match error.kind {
            ErrorKind::MaxFilesWatch => {
                "the system's limit of watched folders is reached (fs.inotify.max_user_watches)".to_owned()
            }
            _ => format!("the system gives no events: {error}"),
        };
        self.events = None;
        self.snapshot = Some(Snapshot::take(&self.repository));
        self.shared.lock().mode = Mode::Polling { reason };
        self.shared.touch(Touched { overflow: true, ..Touched::default() });
    }

    /// Reports changes until the watch is dropped or the repository is gone.
    pub(super) fn run(mut self, mut on_change: impl FnMut(Change)) {
        while let Some(touched) = self.next() {
            if touched.gone || !self.is_in_place() {
                on_change(Change::Gone);
                return;
            }
            if touched.folders {
                self.watch_folders(&touched);
            }
            for change in touched.changes() {
                if self.shared.lock().stopped {
                    return;
                }
                on_change(change);
            }
        }
    }

    /// Waits until something was touched and things are quiet again. None if the watch was dropped.
    fn next(&mut self) -> Option<Touched> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        while state.touched.is_nothing() && !state.stopped {
            let Some(before) = &self.snapshot else {
                state = shared.wake.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
                continue;
            };
            let waited = shared.wake.wait_timeout(state, POLL_INTERVAL);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            if !state.touched.is_nothing() || state.stopped {
                break;
            }
            drop(state);
            let snapshot = Snapshot::take(&self.repository);
            let mut touched = snapshot.since(before);
            touched.gone = !self.is_in_place();
            self.snapshot = Some(snapshot);
            state = shared.lock();
            state.touched.merge(touched);
        }
        let begun = Instant::now();
        loop {
            let serial = state.serial;
            let left = LONGEST.saturating_sub(begun.elapsed());
            if state.stopped || left.is_zero() {
                break;
            }
            let waited = shared
                .wake
                .wait_timeout_while(state, left.min(QUIET), |state| state.serial == serial && !state.stopped);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            if state.serial == serial {
                break;
            }
        }
        if state.stopped { None } else { Some(std::mem::take(&mut state.touched)) }
    }

    fn is_in_place(&self) -> bool {
        let now = identity(&self.repository.common_dir);
        if self.identity.is_some() { now == self.identity } else { now.is_some() }
    }
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    let facts = fs::metadata(folder).ok().filter(fs::Metadata::is_dir)?;
    Some((facts.dev(), facts.ino()))
}

/// The folder went away between being listed and being watched; its parent tells.
fn is_absent(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => {
            matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
        }
        _ => false,
    }
}

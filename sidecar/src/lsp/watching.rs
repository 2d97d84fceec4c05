//! A bounded set of watched folders, for signs that something else may be there now.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::Shared;
use super::actor::Message;
use crate::config::FILE_NAME;

/// The most that are watched; the editor's own events and a refresh help beyond that.
const MAX_WATCHES: usize = 128;
/// Names whose appearance says something. `HEAD` is the last of a `git init`.
const NAMES: [&str; 6] = [".git", "HEAD", "offshoot", "project", "engine.json", FILE_NAME];

/// The watched folders.
pub(super) struct Watching {
    watcher: Option<RecommendedWatcher>,
    /// With device and inode: the system forgets a folder that is removed, and one made anew has to be watched anew.
    watched: BTreeMap<PathBuf, (u64, u64)>,
}

impl Watching {
    /// Every sign becomes a [`Message::Touched`]. `stores` is where stores come and go.
    pub(super) fn new(shared: &Arc<Shared>, stores: PathBuf) -> Self {
        let actor = shared.actor.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| says_something(&event, &stores)) {
                // Fails when the server ends.
                let _ = actor.blocking_send(Message::Touched);
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "folders cannot be watched");
        }
        Self { watcher: watcher.ok(), watched: BTreeMap::new() }
    }

    /// Watches exactly `wanted`, as far as it is there. Returns whether folders were added, in which something may have
    /// happened before they were watched.
    pub(super) fn set(&mut self, wanted: BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        self.watched.retain(|folder, identity| {
            let keep = wanted.contains(folder) && identity_of(folder) == Some(*identity);
            if !keep {
                let _ = watcher.unwatch(folder);
            }
            keep
        });
        let mut added = false;
        for folder in wanted {
            if self.watched.len() >= MAX_WATCHES {
                tracing::warn!(limit = MAX_WATCHES, "too many folders to watch");
                break;
            }
            let Some(identity) = identity_of(&folder) else { continue };
            if self.watched.contains_key(&folder) {
                continue;
            }
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => added |= self.watched.insert(folder, identity).is_none(),
                Err(error) => tracing::debug!(folder = %folder.display(), %error, "cannot watch"),
            }
        }
        added
    }
}

fn identity_of(folder: &Path) -> Option<(u64, u64)> {
    let facts = std::fs::metadata(folder).ok().filter(std::fs::Metadata::is_dir)?;
    Some((facts.dev(), facts.ino()))
}

fn says_something(event: &Event, stores: &Path) -> bool {
    let is_change = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => false,
        _ => true,
    };
    let names = |path: &PathBuf| {
        path.parent() == Some(stores)
            || path.file_name().and_then(OsStr::to_str).is_some_and(|name| NAMES.contains(&name))
    };
    event.need_rescan() || is_change && event.paths.iter().any(names)
}

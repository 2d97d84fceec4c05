//! Which folders of a git directory are watched, and what an event in one of them means.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind};

use crate::discover::Repository;
use crate::operation::MARKERS;
use crate::refs::MAX_NESTING;
use crate::watch::Change;

/// How many folders are remembered as replaced before all count as that.
const MAX_STALE: usize = 256;

/// What events have touched since the worker last looked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) heads: bool,
    pub(super) refs: bool,
    pub(super) worktrees: bool,
    /// Events were lost.
    pub(super) overflow: bool,
    /// The common directory was removed, or one with its name was put in its place.
    pub(super) gone: bool,
    /// Folders came or went, so the watched ones must be compared with the present ones.
    pub(super) folders: bool,
    /// Folders whose watch, or that of a folder below, may belong to a removed one of the same name.
    pub(super) stale: HashSet<PathBuf>,
    /// All watches may.
    pub(super) all_stale: bool,
}

impl Touched {
    /// Everything, after events were lost.
    pub(super) fn everything() -> Self {
        Self { overflow: true, folders: true, all_stale: true, ..Self::default() }
    }

    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.heads |= other.heads;
        self.refs |= other.refs;
        self.worktrees |= other.worktrees;
        self.overflow |= other.overflow;
        self.gone |= other.gone;
        self.folders |= other.folders;
        self.all_stale |= other.all_stale;
        self.stale.extend(other.stale);
        if self.stale.len() > MAX_STALE {
            self.stale.clear();
            self.all_stale = true;
        }
    }

    pub(super) fn is_stale(&self, folder: &Path) -> bool {
        self.all_stale || folder.ancestors().any(|above| self.stale.contains(above))
    }

    /// The changes to report, in their order.
    pub(super) fn changes(&self) -> Vec<Change> {
        if self.overflow {
            return vec![Change::Overflow];
        }
        let all =
            [(self.worktrees, Change::Worktrees), (self.refs, Change::Refs), (self.heads, Change::Heads)];
        all.into_iter().filter_map(|(touched, change)| touched.then_some(change)).collect()
    }
}

/// The folders to watch, each before those inside it. Those outside the common directory come first.
pub(super) fn folders(repository: &Repository) -> Vec<PathBuf> {
    let common = &repository.common_dir;
    let mut found = Vec::new();
    // Its parent sees the common directory itself being moved, and is mostly the work tree.
    found.extend(common.parent().map(Path::to_owned));
    match repository.worktrees() {
        Ok(all) => found.extend(all.into_iter().map(|worktree| worktree.path)),
        Err(error) => tracing::debug!(%error, "the work trees cannot be listed at present"),
    }
    for folder in [common.clone(), common.join("refs"), common.join("reftable"), common.join("worktrees")] {
        found.extend(folder.is_dir().then_some(folder));
    }
    nested(&common.join("refs/heads"), &mut found, 0);
    for entry in fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten() {
        for folder in [entry.path(), entry.path().join("reftable")] {
            found.extend(folder.is_dir().then_some(folder));
        }
    }
    let mut seen = HashSet::new();
    found.retain(|folder| seen.insert(folder.clone()));
    found
}

fn nested(folder: &Path, found: &mut Vec<PathBuf>, depth: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    found.push(folder.to_owned());
    for entry in entries.flatten() {
        if depth < MAX_NESTING && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            nested(&entry.path(), found, depth + 1);
        }
    }
}

/// What one event means for the repository at `common`, whose watched folders outside of it are `tops`.
pub(super) fn touched_by(common: &Path, tops: &HashSet<PathBuf>, event: &Event) -> Touched {
    if event.need_rescan() {
        return Touched::everything();
    }
    let mut touched = Touched::default();
    if is_relevant(event.kind) {
        for path in &event.paths {
            touched.merge(touched_at(common, tops, path, event.kind));
        }
    }
    touched
}

/// Reading, and changes of mode or time, change nothing that is read here.
fn is_relevant(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => false,
        _ => true,
    }
}

fn touched_at(common: &Path, tops: &HashSet<PathBuf>, path: &Path, kind: EventKind) -> Touched {
    if path.extension().is_some_and(|extension| extension == "lock") {
        return Touched::default();
    }
    let Ok(inside) = path.strip_prefix(common) else { return touched_outside(tops, path, kind) };
    let parts: Vec<&OsStr> = inside.iter().collect();
    let text: Vec<&str> = parts.iter().map(|part| part.to_str().unwrap_or("\u{fffd}")).collect();
    let mut touched = Touched::default();
    match text.as_slice() {
        [] => {
            // The worker compares what is there now with what was watched. Meanwhile nothing was.
            touched.overflow = moves(kind);
            touched.gone = matches!(kind, EventKind::Remove(_));
        }
        ["packed-refs" | "refs"] | ["refs", "heads", ..] => touched.refs = true,
        ["reftable"] | ["reftable", "tables.list"] => (touched.heads, touched.refs) = (true, true),
        // `locked` is removed when a new work tree is complete.
        ["worktrees"] | ["worktrees", _] | ["worktrees", _, "gitdir" | "locked"] => {
            (touched.worktrees, touched.heads, touched.folders) = (true, true, true);
        }
        ["HEAD"] | ["worktrees", _, "HEAD" | "reftable"] | ["worktrees", _, "reftable", "tables.list"] => {
            touched.heads = true;
        }
        [name] | ["worktrees", _, name] if MARKERS.contains(name) => touched.heads = true,
        _ => return touched,
    }
    if may_be_folder(path, kind) {
        touched.folders = true;
        touched.stale.insert(path.to_owned());
    }
    touched
}

/// Outside lie the tops of the work trees and the folder that holds the common directory.
fn touched_outside(tops: &HashSet<PathBuf>, path: &Path, kind: EventKind) -> Touched {
    let mut touched = Touched::default();
    // A work tree comes and goes with the `.git` in it.
    if moves(kind) && (tops.contains(path) || path.file_name().is_some_and(|name| name == ".git")) {
        touched.worktrees = true;
        touched.folders = true;
        touched.stale.insert(path.to_owned());
    }
    touched
}

fn moves(kind: EventKind) -> bool {
    matches!(kind, EventKind::Remove(_) | EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_)))
        || matches!(kind, EventKind::Any | EventKind::Other)
}

/// Whether the event may be about a folder that came or went. Branches are files, renamed into place all the time.
fn may_be_folder(path: &Path, kind: EventKind) -> bool {
    match kind {
        EventKind::Create(CreateKind::File) => false,
        EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => path.is_dir(),
        kind => moves(kind),
    }
}

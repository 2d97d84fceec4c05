//! Noticing changes by looking, where events cannot be relied on.
//!
//! `notify` has a poller too, but it compares whole folders by their times in seconds: two checkouts in one second
//! would be one, and reading the contents would mean reading the index. This one reads exactly what counts.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::discover::Repository;
use crate::operation::MARKERS;
use crate::watch::layout::Touched;

/// Fingerprints of what a repository's state is read from.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    heads: u64,
    refs: u64,
    worktrees: u64,
}

impl Snapshot {
    pub(super) fn take(repository: &Repository) -> Self {
        let common = &repository.common_dir;
        let (mut heads, mut refs, mut worktrees) =
            (DefaultHasher::new(), DefaultHasher::new(), DefaultHasher::new());
        hash_git_dir(common, &mut heads);
        let linked = fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten();
        let mut linked: Vec<_> = linked.map(|entry| entry.path()).collect();
        linked.sort();
        for git_dir in linked {
            hash_git_dir(&git_dir, &mut heads);
        }
        for worktree in repository.worktrees().unwrap_or_default() {
            worktree.hash(&mut worktrees);
        }
        hash_facts(&common.join("packed-refs"), &mut refs);
        hash_contents(&common.join("reftable/tables.list"), &mut refs);
        hash_files(&common.join("refs/heads"), &mut refs);
        Self { heads: heads.finish(), refs: refs.finish(), worktrees: worktrees.finish() }
    }

    /// What differs from an earlier look.
    pub(super) fn since(&self, earlier: &Self) -> Touched {
        Touched {
            heads: self.heads != earlier.heads,
            refs: self.refs != earlier.refs,
            worktrees: self.worktrees != earlier.worktrees,
            ..Touched::default()
        }
    }
}

fn hash_git_dir(git_dir: &Path, hasher: &mut DefaultHasher) {
    git_dir.hash(hasher);
    fs::read_link(git_dir.join("HEAD")).ok().hash(hasher);
    hash_contents(&git_dir.join("HEAD"), hasher);
    hash_contents(&git_dir.join("reftable/tables.list"), hasher);
    for marker in MARKERS {
        git_dir.join(marker).exists().hash(hasher);
    }
}

fn hash_contents(path: &Path, hasher: &mut DefaultHasher) {
    fs::read(path).ok().hash(hasher);
}

/// For a file that may be large and is always replaced whole.
fn hash_facts(path: &Path, hasher: &mut DefaultHasher) {
    let facts = fs::metadata(path).ok();
    facts.map(|facts| (facts.ino(), facts.len(), facts.mtime(), facts.mtime_nsec())).hash(hasher);
}

fn hash_files(folder: &Path, hasher: &mut DefaultHasher) {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "lock") {
            continue;
        }
        path.hash(hasher);
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            hash_files(&path, hasher);
        } else {
            hash_contents(&path, hasher);
        }
    }
}

//! What a work tree is in the middle of.

use std::ffi::OsStr;
use std::path::Path;
use std::{fs, io};

use crate::config::Config;
use crate::discover::Worktree;
use crate::error::GitError;
use crate::name::{branch_name_from_bytes, is_object_id, short};
use crate::run::git_at;

/// The files and folders of a git directory whose coming or going begins or ends an [`Operation`].
pub(crate) const MARKERS: [&str; 7] = [
    "BISECT_LOG",
    "BISECT_START",
    "CHERRY_PICK_HEAD",
    "MERGE_HEAD",
    "REVERT_HEAD",
    "rebase-apply",
    "rebase-merge",
];

/// An unfinished operation of git. Branches are short names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A rebase; HEAD is detached meanwhile.
    Rebase {
        /// The branch that will move when it finishes; none if HEAD was detached before.
        branch: Option<String>,
    },
    /// Patches from mails (`git am`).
    ApplyMail,
    /// A merge with conflicts, or not committed yet.
    Merge,
    /// A cherry-pick.
    CherryPick,
    /// A revert.
    Revert,
    /// A bisection; HEAD is detached meanwhile.
    Bisect {
        /// The branch that it returns to; none if HEAD was detached before.
        branch: Option<String>,
    },
}

/// Reads what `worktree` is in the middle of. Of several, the one that decides about HEAD.
pub fn operation(worktree: &Worktree) -> Result<Option<Operation>, GitError> {
    let git_dir = &worktree.git_dir;
    if let Some(name) = first_line(&git_dir.join("rebase-merge/head-name"))? {
        return Ok(Some(Operation::Rebase { branch: short(&name) }));
    }
    if git_dir.join("rebase-apply").is_dir() {
        if git_dir.join("rebase-apply/applying").exists() {
            return Ok(Some(Operation::ApplyMail));
        }
        let name = first_line(&git_dir.join("rebase-apply/head-name"))?;
        return Ok(Some(Operation::Rebase { branch: name.and_then(|name| short(&name)) }));
    }
    if let Some(start) = first_line(&git_dir.join("BISECT_START"))? {
        let start = start.strip_prefix(crate::name::HEADS).unwrap_or(&start);
        let branch = (!is_object_id(start)).then(|| branch_name_from_bytes(start));
        return Ok(Some(Operation::Bisect { branch }));
    }
    // Always a file, also in a reftable repository.
    if git_dir.join("MERGE_HEAD").exists() {
        return Ok(Some(Operation::Merge));
    }
    for (marker, operation) in
        [("CHERRY_PICK_HEAD", Operation::CherryPick), ("REVERT_HEAD", Operation::Revert)]
    {
        if is_set(worktree, marker)? {
            return Ok(Some(operation));
        }
    }
    Ok(None)
}

fn is_set(worktree: &Worktree, name: &str) -> Result<bool, GitError> {
    if Config::of_repository(&worktree.common_dir)?.has_ref_files() {
        return Ok(worktree.git_dir.join(name).exists());
    }
    Ok(git_at(&worktree.git_dir, &["rev-parse", "-q", "--verify", name].map(OsStr::new))?.is_success())
}

fn first_line(path: &Path) -> Result<Option<Vec<u8>>, GitError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.trim_ascii_end().to_vec())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(GitError::io("read", path)(error)),
    }
}

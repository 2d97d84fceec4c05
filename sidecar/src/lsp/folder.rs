//! What a folder of the workspace is: a look at git and at the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use offshoot_git::{Environment, GitError, Worktree};
use offshoot_protocol::RpcError;

use super::dumps;
use crate::engine::binding::git_failure;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::project::Project;

/// How many folders above one without git are watched for a repository.
const WATCHED_ABOVE: usize = 8;
/// How long after its id a repository's store may still be in the making elsewhere: Postgres may have to be fetched.
const MAKING: Duration = Duration::from_mins(15);

/// Where a folder lies.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In no repository.
    NoGit,
    /// In a repository without a database.
    NotInitialised {
        /// Where it lies.
        worktree: Worktree,
        /// Files that look like dumps.
        dumps: Vec<String>,
        /// Where its store was, if it had one.
        lost: Option<PathBuf>,
    },
    /// In a repository with a database.
    Project(Project),
    /// Git or the file system refuses.
    Failed(RpcError),
}

impl Place {
    /// Looks at `path`. Blocks, and runs git.
    pub(super) fn look(path: &Path, paths: &Paths) -> Self {
        // The editor's environment is not the folder's: only the folder decides.
        let worktree = match offshoot_git::discover_with(path, &Environment::clean()) {
            Ok(worktree) => worktree,
            Err(GitError::NotARepository { .. }) => return Self::NoGit,
            Err(error) => return Self::Failed(git_failure(&error).0),
        };
        match store_of(&worktree, paths) {
            Ok(Store::Here(store)) => Self::Project(Project { worktree, store }),
            Ok(Store::None) => {
                Self::NotInitialised { dumps: dumps::find(&worktree.path), worktree, lost: None }
            }
            Ok(Store::Lost(store)) => {
                Self::NotInitialised { dumps: dumps::find(&worktree.path), worktree, lost: Some(store) }
            }
            Err(failure) => Self::Failed(failure.0),
        }
    }

    /// Folders in which something may appear that changes this place.
    pub(super) fn watched(&self, path: &Path, paths: &Paths) -> Vec<PathBuf> {
        match self {
            Self::NoGit => {
                let above = path.ancestors().filter(|folder| folder.parent().is_some()).take(WATCHED_ABOVE);
                let mut folders: Vec<_> = above.map(Path::to_owned).collect();
                // A `git init` in progress.
                folders.push(path.join(".git"));
                folders
            }
            Self::NotInitialised { worktree, .. } => {
                let common = &worktree.common_dir;
                vec![common.clone(), common.join("offshoot"), paths.stores()]
            }
            Self::Project(project) => vec![project.worktree.path.clone()],
            Self::Failed(_) => vec![path.to_owned(), path.join(".git"), paths.stores()],
        }
    }
}

/// The store of a repository.
enum Store {
    /// It has none, or it is being made.
    None,
    /// Its folder.
    Here(PathBuf),
    /// It should be there, and is not: it was moved away, or whoever made it was killed.
    Lost(PathBuf),
}

fn store_of(worktree: &Worktree, paths: &Paths) -> Result<Store> {
    let id = worktree.repository().project_id().map_err(|e| git_failure(&e))?;
    let Some(id) = id else { return Ok(Store::None) };
    let store = paths.store(id.as_str());
    if store.is_dir() {
        return Ok(Store::Here(store));
    }
    let claimed =
        fs::metadata(worktree.common_dir.join("offshoot/project")).and_then(|facts| facts.modified());
    let is_new = claimed.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < MAKING));
    Ok(if is_new { Store::None } else { Store::Lost(store) })
}

/// Why nothing can be asked of a repository whose store was at `store`.
pub(super) fn lost(worktree: &Path, store: &Path) -> Failure {
    let text = format!("the store of {} is gone: {}", worktree.display(), store.display());
    Failure::user(text).hint("Put it back, or set OFFSHOOT_HOME to where it is, or set up a new database.")
}

//! The repository that a command runs in, and its store.

use std::path::{Path, PathBuf};

use offshoot_git::{ProjectId, Repository, Worktree};

use crate::engine::binding::git_failure;
use crate::failure::{Failure, Result};
use crate::paths::Paths;

/// A worktree whose repository has a store.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    /// Where the person stands.
    pub(crate) worktree: Worktree,
    /// Folder of the store.
    pub(crate) store: PathBuf,
}

impl Project {
    /// The project that `start` lies in.
    ///
    /// # Errors
    /// A user error outside a git repository, and where `offshoot init` has not been run.
    pub(crate) fn find(start: &Path, paths: &Paths) -> Result<Self> {
        let worktree = worktree(start)?;
        let id = worktree.repository().project_id().map_err(|e| git_failure(&e))?;
        let Some(id) = id else {
            return Err(Failure::user(format!("{} has no database yet", worktree.path.display()))
                .hint("`offshoot init --empty` makes an empty one; `offshoot init --from …` takes a database or a dump."));
        };
        let store = paths.store(id.as_str());
        if !store.is_dir() {
            let text = format!("the store of {} is gone: {}", worktree.path.display(), store.display());
            return Err(Failure::user(text).hint(
                "Put it back, or set OFFSHOOT_HOME to where it is, or make a new one with `offshoot init`.",
            ));
        }
        Ok(Self { worktree, store })
    }
}

/// The worktree that `start` lies in.
pub(crate) fn worktree(start: &Path) -> Result<Worktree> {
    offshoot_git::discover(start).map_err(|e| git_failure(&e))
}

/// Gives the repository an id, unless it has one.
pub(crate) fn claim_id(repository: &Repository) -> Result<ProjectId> {
    repository.claim_project_id(&random_id()?).map_err(|e| git_failure(&e))
}

/// Takes back the id of a store that was not made after all: the repository has no database, it did not lose one. Not
/// while another `init` is at work on it.
pub(crate) fn release_id(repository: &Repository, store: &Path) {
    let name = store.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let siblings = store.parent().and_then(|folder| folder.read_dir().ok()).into_iter().flatten().flatten();
    let in_use = siblings.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&name));
    if !in_use && let Err(error) = repository.forget_project_id() {
        tracing::warn!(%error, "the id of a store that was not made is left");
    }
}

/// Gives the repository a new id in the place of the one that it has.
pub(crate) fn replace_id(repository: &Repository) -> Result<ProjectId> {
    let id = random_id()?;
    repository.write_project_id(&id).map_err(|e| git_failure(&e))?;
    Ok(id)
}

/// Sixteen hexadecimal digits.
fn random_id() -> Result<ProjectId> {
    let number =
        getrandom::u64().map_err(|e| Failure::engine(format!("the system gives no random numbers: {e}")))?;
    ProjectId::parse(&format!("{number:016x}")).map_err(|e| Failure::internal(e.to_string()))
}

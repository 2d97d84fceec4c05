//! Whether git tracks or ignores a file.

use std::ffi::OsStr;
use std::path::Path;

use crate::discover::Worktree;
use crate::error::GitError;
use crate::run::{Environment, git};

/// How git stands to a file of a work tree, whether or not it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is in the index.
    Tracked,
    /// A pattern of `.gitignore`, `info/exclude` or the person's own file excludes it.
    Ignored,
    /// Neither: `git add .` would take it.
    Open,
}

/// How git stands to the file at `path`, within `worktree`. Two runs of git.
///
/// # Errors
/// If git fails; also for a file of a submodule.
pub fn standing(worktree: &Worktree, path: &Path) -> Result<Standing, GitError> {
    let environment = Environment::clean();
    let of = |words: &[&str]| {
        let mut args: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        args.push(path.as_os_str());
        git(&worktree.path, &environment, &args)
    };
    let tracked = of(&["--literal-pathspecs", "ls-files", "--error-unmatch", "--"])?;
    match tracked.status {
        Some(0) => return Ok(Standing::Tracked),
        Some(1) => (),
        _ => return Err(tracked.into_error()),
    }
    let ignored = of(&["check-ignore", "-q", "--"])?;
    match ignored.status {
        Some(0) => Ok(Standing::Ignored),
        Some(1) => Ok(Standing::Open),
        _ => Err(ignored.into_error()),
    }
}

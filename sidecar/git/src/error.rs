//! What can go wrong when a git directory is read.

use std::io;
use std::path::{Path, PathBuf};

/// A situation that kept a git directory from being read or watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// Neither this folder nor one above it is a git work tree, or it has gone since.
    #[error("{} is not in a git repository", path.display())]
    NotARepository {
        /// The folder that was looked at.
        path: PathBuf,
    },
    /// The repository has no work tree here.
    #[error("{} is a bare git repository", path.display())]
    Bare {
        /// The folder that was looked at.
        path: PathBuf,
    },
    /// There is no `git` to run.
    #[error("the command git was not found")]
    NoGit,
    /// The installed git cannot read this repository.
    #[error("git {found} is too old for this repository: {reason}")]
    TooOld {
        /// What `git --version` says, without its prefix.
        found: String,
        /// What it lacks.
        reason: String,
    },
    /// Git refuses the repository because it belongs to somebody else.
    #[error("git does not trust the owner of the repository at {}", path.display())]
    Unsafe {
        /// The folder that was looked at.
        path: PathBuf,
        /// The command by which git says it can be allowed.
        advice: String,
    },
    /// A file of the git directory does not hold what git would write.
    #[error("{} is damaged: {reason}", path.display())]
    Broken {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Git ran and failed in a way that has no variant of its own.
    #[error("{command} failed: {stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// What git wrote to its standard error.
        stderr: String,
    },
    /// Git did not answer in time and was ended.
    #[error("{command} gave no answer within {after_ms} ms")]
    TimedOut {
        /// The command line.
        command: String,
        /// How long it was given, in milliseconds.
        after_ms: u64,
    },
    /// A text that cannot be a project id.
    #[error("`{text}` is not a project id")]
    BadProjectId {
        /// The text.
        text: String,
    },
    /// The operating system refused a read, a start or the write of the project id.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was attempted, verb first.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl GitError {
    /// What the person can do next, as one or two sentences.
    pub fn hint(&self) -> String {
        match self {
            Self::NotARepository { .. } => {
                "Open a folder of a git repository, or make one with `git init`.".into()
            }
            Self::Bare { .. } => {
                "Open one of its work trees. `git worktree add <path>` makes one.".into()
            }
            Self::NoGit => "Install git and make sure that it is on PATH.".into(),
            Self::TooOld { .. } => "Install a newer git.".into(),
            Self::Unsafe { advice, .. } => format!("If you trust its owner, run: {advice}"),
            Self::Broken { path, .. } => {
                format!("Run `git fsck` and look at {}.", path.display())
            }
            Self::Failed { .. } => "Run the same command in a terminal to see what git needs.".into(),
            Self::TimedOut { .. } => {
                "Check that the repository's disk answers, then try again.".into()
            }
            Self::BadProjectId { .. } => {
                "A project id is 1 to 64 lower-case letters, digits and dashes. Remove the file `offshoot/project` \
                 in the git directory to start anew."
                    .into()
            }
            Self::Io { path, .. } => format!("Check the permissions of {}.", path.display()),
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn not_a_repository(path: &Path) -> Self {
        Self::NotARepository { path: path.to_owned() }
    }
}

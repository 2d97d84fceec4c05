//! What can go wrong in the store, and what to do then.

use std::io;
use std::path::{Path, PathBuf};

use offshoot_postgres::cluster::ClusterError;
use offshoot_postgres::load::LoadError;
use offshoot_postgres::physical::PhysicalError;
use offshoot_postgres::server::ServerError;
use offshoot_postgres::{InstallError, control::ControlError};

/// Whose move it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was asked for cannot be done.
    User,
    /// A setting, a program or the machine is not as it must be.
    Configuration,
    /// The engine or Postgres failed.
    Engine,
    /// A defect.
    Internal,
}

/// An operation of the store that was not carried out. The store is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// No live branch has this name or number.
    #[error("there is no database branch `{name}`")]
    NoSuchBranch {
        /// The name, or the number where there is none.
        name: String,
    },
    /// A live branch has this name already.
    #[error("a database branch named `{name}` exists already")]
    BranchExists {
        /// The name.
        name: String,
    },
    /// The name cannot be a branch's.
    #[error("`{name}` cannot be the name of a database branch: {reason}")]
    InvalidName {
        /// The name, shortened.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// The first branch of the store, which all others come from.
    #[error("`{name}` is the root branch: every other branch comes from it")]
    IsRoot {
        /// The name.
        name: String,
    },
    /// The branch has no parent that it could be reset to.
    #[error("database branch `{name}` has no parent to be reset to")]
    HasNoParent {
        /// The name.
        name: String,
    },
    /// The trash is empty.
    #[error("there is nothing to undo")]
    NothingToUndo,
    /// Another engine owns the store.
    #[error("the store is in use by process {pid}")]
    Locked {
        /// The engine's process; 0 when it did not say.
        pid: u32,
    },
    /// The folder is no store.
    #[error("{path} is not an Offshoot store")]
    NotAStore {
        /// The folder.
        path: PathBuf,
    },
    /// The folder for a new store exists.
    #[error("{path} exists already")]
    StoreExists {
        /// The folder.
        path: PathBuf,
    },
    /// A newer Offshoot wrote the store.
    #[error("the store has format {found}; this Offshoot knows formats up to {known}")]
    FormatTooNew {
        /// The store's format.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// The disk has no room.
    #[error("{context}: no space left on the disk")]
    DiskFull {
        /// What was being done.
        context: String,
    },
    /// A file of the store is not what it must be.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The branch's Postgres did not start.
    #[error("Postgres of database branch `{branch}` did not start: {source}")]
    StartFailed {
        /// The branch.
        branch: String,
        /// Why.
        source: ServerError,
    },
    /// A Postgres, a setting or a cluster that Offshoot must not run.
    #[error("{what} is refused: {why}")]
    Refused {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// A process of the branch's Postgres does not finish its operation, so that no branch can be taken.
    #[error("process {pid} of database branch `{branch}` has not finished a write for {seconds} s")]
    Stalled {
        /// The branch.
        branch: String,
        /// The process.
        pid: i32,
        /// How long was waited.
        seconds: u64,
    },
    /// The stack of a branch is as deep as it can be.
    #[error("database branch `{branch}` has {depth} layers, the most that are possible")]
    TooDeep {
        /// The branch.
        branch: String,
        /// The limit.
        depth: usize,
    },
    /// A branch cannot be made as of this moment.
    #[error("database branch `{branch}` cannot be had as of {moment}: {why}")]
    NoSuchMoment {
        /// The branch.
        branch: String,
        /// The moment as text.
        moment: String,
        /// Why, and how far back one can go.
        why: String,
    },
    /// A bundle that cannot be made or used.
    #[error("the bundle cannot be used: {what}")]
    Bundle {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// Postgres itself could not be had.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// A cluster could not be made.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The data could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Another server's cluster could not be copied.
    #[error("{0}")]
    Physical(#[source] PhysicalError),
    /// A source cannot be followed just now, or not any more.
    #[error(transparent)]
    Follow(crate::FollowTrouble),
    /// A script that belongs behind the data could not be run.
    #[error("seed {}: {source}", path.display())]
    Seed {
        /// The script.
        path: PathBuf,
        /// What was wrong.
        source: Box<LoadError>,
    },
    /// The command that belongs behind the data failed.
    #[error("the seed command `{command}` ended with {status}{}{output}", if output.is_empty() { "" } else { ":\n" })]
    SeedCommand {
        /// The command.
        command: String,
        /// How it ended, or why it could not be run.
        status: String,
        /// The last lines that it wrote.
        output: String,
    },
    /// A server could not be stopped or looked at.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A statement of the engine's own failed.
    #[error("{context}: {message}")]
    Statement {
        /// What it was for.
        context: &'static str,
        /// What Postgres said.
        message: String,
    },
    /// A file operation failed.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, to which file.
        context: String,
        /// The system's error.
        source: io::Error,
    },
    /// The metadata could not be read or written.
    #[error("the store's metadata, `meta.sqlite`: {0}")]
    Metadata(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => {
                Self::DiskFull { context: "write the store's metadata".into() }
            }
            _ => Self::Metadata(error),
        }
    }
}

impl From<PhysicalError> for StorageError {
    fn from(error: PhysicalError) -> Self {
        match error {
            PhysicalError::Cancelled => Self::Cancelled,
            PhysicalError::Io(source)
                if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                Self::DiskFull { context: "copy a cluster".into() }
            }
            error => Self::Physical(error),
        }
    }
}

impl StorageError {
    /// Whose move it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchBranch { .. }
            | Self::BranchExists { .. }
            | Self::InvalidName { .. }
            | Self::IsRoot { .. }
            | Self::HasNoParent { .. }
            | Self::NothingToUndo
            | Self::NoSuchMoment { .. }
            | Self::StoreExists { .. }
            | Self::Bundle { .. }
            | Self::Cancelled
            | Self::Load(_)
            | Self::Physical(_)
            | Self::Follow(_)
            | Self::Seed { .. }
            | Self::SeedCommand { .. } => ErrorKind::User,
            Self::NotAStore { .. }
            | Self::FormatTooNew { .. }
            | Self::DiskFull { .. }
            | Self::Refused { .. }
            | Self::Install(_) => ErrorKind::Configuration,
            Self::Metadata(_) => ErrorKind::Internal,
            _ => ErrorKind::Engine,
        }
    }

    /// What to do next, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoSuchBranch { .. } => "`offshoot branch list` shows the branches.".into(),
            Self::BranchExists { .. } => "Take another name, or `offshoot branch delete` it first.".into(),
            Self::InvalidName { .. } => "Use a name that git would take for a branch.".into(),
            Self::IsRoot { .. } => "Work on another branch: `offshoot branch create NAME`.".into(),
            Self::HasNoParent { .. } => {
                "Create a fresh branch instead: `offshoot branch create NAME`.".into()
            }
            Self::NothingToUndo => {
                "`offshoot branch list` shows what is there; `offshoot undo NAME` brings back what an undo replaced.".into()
            }
            Self::NoSuchMoment { .. } => {
                "`offshoot log` shows what happened when. A new database's past begins seconds after it first woke, and `restore.window` in offshoot.toml says how long it is kept.".into()
            }
            Self::Locked { .. } => "Stop it with `offshoot engine stop`, or use it.".into(),
            Self::NotAStore { .. } => "Run `offshoot init` in the repository.".into(),
            Self::StoreExists { .. } => "Use it, or move it away first.".into(),
            Self::FormatTooNew { .. } => "Update Offshoot.".into(),
            Self::DiskFull { .. } => "Make room on the disk and try again; nothing was lost.".into(),
            Self::Damaged { .. } => "`offshoot doctor` says what is affected.".into(),
            Self::StartFailed { source, .. } => source.hint(),
            Self::Stalled { pid, .. } => {
                format!("Look at process {pid}; it may be stopped or its disk hang.")
            }
            Self::TooDeep { .. } => "Delete branches that are done with, or start from a fresh root.".into(),
            Self::Bundle { hint, .. } => hint.clone(),
            Self::Install(error) => error.hint(),
            Self::Load(error) => error.hint(),
            Self::Physical(error) => error.hint(),
            Self::Follow(trouble) => trouble.hint(),
            Self::Seed { .. } => "Correct the script and try again; nothing was left of this attempt.".into(),
            Self::SeedCommand { .. } => {
                "Correct `seed.command` or what it runs, and try again; nothing was left of this attempt.".into()
            }
            Self::Server(error) => error.hint(),
            _ => return None,
        };
        Some(text)
    }

    /// An error of the file system while doing `context` to `path`; a full disk gets its own kind.
    pub(crate) fn io(context: &str, path: &Path, source: io::Error) -> Self {
        let context = format!("{context} {}", path.display());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { context },
            _ => Self::Io { context, source },
        }
    }

    pub(crate) fn damaged_control(path: &Path, error: &ControlError) -> Self {
        Self::Damaged { path: path.to_owned(), what: error.to_string() }
    }
}

/// Adds what was being done to an error of the file system.
pub(crate) trait Context<T> {
    /// `context` is a verb phrase: `copy`, `create the folder`.
    fn context(self, context: &str, path: &Path) -> Result<T, StorageError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, context: &str, path: &Path) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::io(context, path, source))
    }
}

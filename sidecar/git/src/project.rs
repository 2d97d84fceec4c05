//! The id of a project, kept in the one file that Offshoot owns in a git directory.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::discover::Repository;
use crate::error::GitError;

/// The id of a project: 1 to 64 lower-case letters, digits and dashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectId(String);

impl ProjectId {
    /// Takes `text` as an id.
    ///
    /// # Errors
    /// [`GitError::BadProjectId`] if it is empty, too long or has other characters.
    pub fn parse(text: &str) -> Result<Self, GitError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(GitError::BadProjectId { text: text.chars().take(80).collect() })
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Repository {
    /// Reads the id in `<common_dir>/offshoot/project`; none if there is no such file.
    pub fn project_id(&self) -> Result<Option<ProjectId>, GitError> {
        let path = self.project_file();
        match fs::read(&path) {
            Ok(bytes) => ProjectId::parse(String::from_utf8_lossy(&bytes).trim_end()).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.common_dir.is_dir() => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(GitError::not_a_repository(&self.common_dir))
            }
            Err(error) => Err(GitError::io("read", &path)(error)),
        }
    }

    /// Writes `id`, replacing another one. All at once: a crash leaves the old file or the new one. Mode 0600.
    pub fn write_project_id(&self, id: &ProjectId) -> Result<(), GitError> {
        let path = self.project_file();
        let draft = self.draft(id)?;
        let renamed = fs::rename(&draft, &path);
        if renamed.is_err() {
            remove(&draft);
        }
        renamed.map_err(GitError::io("write", &path))?;
        sync_folder(&path)
    }

    /// Removes the id: the repository is nobody's project.
    ///
    /// # Errors
    /// [`GitError::Io`]; that there is none is fine.
    pub fn forget_project_id(&self) -> Result<(), GitError> {
        let path = self.project_file();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(GitError::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Writes `id` unless there is one already, and returns the one that holds.
    ///
    /// Of several processes that do this at once, all return the same id.
    pub fn claim_project_id(&self, id: &ProjectId) -> Result<ProjectId, GitError> {
        if let Some(held) = self.project_id()? {
            return Ok(held);
        }
        let path = self.project_file();
        let draft = self.draft(id)?;
        // A link, unlike a rename, fails if somebody else was first.
        let linked = fs::hard_link(&draft, &path);
        remove(&draft);
        match linked {
            Ok(()) => sync_folder(&path)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(GitError::io("write", &path)(error)),
        }
        Ok(self.project_id()?.unwrap_or_else(|| id.clone()))
    }

    fn project_file(&self) -> PathBuf {
        self.common_dir.join("offshoot/project")
    }

    /// Writes the file under a name of its own, durably.
    fn draft(&self, id: &ProjectId) -> Result<PathBuf, GitError> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);

        let folder = self.common_dir.join("offshoot");
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(GitError::not_a_repository(&self.common_dir));
            }
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(GitError::io("create", &folder)(error));
            }
            _ => {}
        }
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("project.{}.{serial}.tmp", std::process::id()));
        let written =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).and_then(
                |mut file| {
                    writeln!(file, "{id}")?;
                    file.sync_all()
                },
            );
        if written.is_err() {
            remove(&path);
        }
        written.map_err(GitError::io("write", &path))?;
        Ok(path)
    }
}

fn remove(draft: &Path) {
    if let Err(error) = fs::remove_file(draft) {
        tracing::debug!(path = %draft.display(), %error, "a draft of the project id stays behind");
    }
}

fn sync_folder(path: &Path) -> Result<(), GitError> {
    let folder = path.parent().unwrap_or(path);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(GitError::io("sync", folder))
}

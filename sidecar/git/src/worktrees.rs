//! The work trees of a repository.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::config::Config;
use crate::discover::{Repository, Worktree};
use crate::error::GitError;

impl Repository {
    /// All work trees: the main one first, if there is one, then the linked ones by path.
    ///
    /// A linked work tree whose folder is missing, or has come to belong to another one, is left out: git would
    /// prune or repair it.
    pub fn worktrees(&self) -> Result<Vec<Worktree>, GitError> {
        let mut all = self.linked_worktrees()?;
        all.sort_by(|a, b| a.path.cmp(&b.path));
        if let Some(path) = self.main_path()? {
            let (git_dir, common_dir) = (self.common_dir.clone(), self.common_dir.clone());
            all.insert(0, Worktree { path, git_dir, common_dir });
        }
        Ok(all)
    }

    /// The linked work trees that git knows and whose folder is not there: deleted by hand, or on a drive that is away. Their paths are
    /// as git has them.
    pub fn lost_worktrees(&self) -> Result<Vec<Worktree>, GitError> {
        let mut lost = Vec::new();
        for git_dir in self.linked_git_dirs()? {
            let Some(pointer) = path_in(&git_dir.join("gitdir"), b"") else { continue };
            let Ok(git_dir) = fs::canonicalize(&git_dir) else { continue };
            let dot_git = git_dir.join(pointer);
            if let Some(path) = dot_git.parent()
                && !dot_git.exists()
            {
                let path = path.to_owned();
                lost.push(Worktree { path, git_dir, common_dir: self.common_dir.clone() });
            }
        }
        Ok(lost)
    }

    /// The top folder of the main work tree; none if the repository is bare.
    fn main_path(&self) -> Result<Option<PathBuf>, GitError> {
        if let Some(known) = &self.main
            && known.is_dir()
        {
            return Ok(Some(known.clone()));
        }
        let config = Config::of_main(&self.common_dir)?;
        if config.flag("core.bare") {
            return Ok(None);
        }
        let path = match config.get("core.worktree") {
            Some(set) => Some(self.common_dir.join(OsStr::from_bytes(set))),
            None if self.common_dir.ends_with(".git") => self.common_dir.parent().map(Path::to_owned),
            None => None,
        };
        Ok(path.and_then(|path| fs::canonicalize(path).ok()))
    }

    fn linked_worktrees(&self) -> Result<Vec<Worktree>, GitError> {
        let git_dirs = self.linked_git_dirs()?;
        Ok(git_dirs.iter().filter_map(|git_dir| self.linked_worktree(git_dir)).collect())
    }

    /// The git directories of linked work trees.
    fn linked_git_dirs(&self) -> Result<Vec<PathBuf>, GitError> {
        let folder = self.common_dir.join("worktrees");
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.common_dir.is_dir() => {
                return Ok(Vec::new());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(GitError::not_a_repository(&self.common_dir));
            }
            Err(error) => return Err(GitError::io("list", &folder)(error)),
        };
        let path = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.path());
        entries.map(path).collect::<io::Result<_>>().map_err(GitError::io("list", &folder))
    }

    /// The work tree that `<common>/worktrees/<id>` stands for; none if git would call it prunable.
    fn linked_worktree(&self, git_dir: &Path) -> Option<Worktree> {
        let pointer = path_in(&git_dir.join("gitdir"), b"")?;
        let git_dir = fs::canonicalize(git_dir).ok()?;
        // Relative since git 2.48, if the user asked for it; then from the folder that holds the pointer.
        let dot_git = git_dir.join(pointer);
        let back = path_in(&dot_git, b"gitdir: ")?;
        let path = fs::canonicalize(dot_git.parent()?).ok()?;
        let points_back = fs::canonicalize(path.join(back)).is_ok_and(|back| back == git_dir);
        points_back.then(|| Worktree { path, git_dir, common_dir: self.common_dir.clone() })
    }
}

/// The path that a one-line file holds after `prefix`; none if the file is missing or holds something else.
fn path_in(file: &Path, prefix: &[u8]) -> Option<PathBuf> {
    let bytes = fs::read(file).ok()?;
    let path = bytes.strip_prefix(prefix)?.trim_ascii_end();
    (!path.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(path)))
}

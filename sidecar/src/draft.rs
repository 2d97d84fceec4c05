//! A file that appears when it is complete, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::sys;

/// How the names of drafts end.
const PARTIAL: &str = ".partial";

/// A file in the making, beside the one that it is to become. It is removed when it is dropped unfinished.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    target: PathBuf,
    /// Whether it may take the place of a file.
    replaces: bool,
    done: bool,
}

impl Draft {
    /// Makes an empty draft of `target`.
    ///
    /// # Errors
    /// A user error if the file is there and must not be replaced, if it is no ordinary file, or if its folder is not there.
    pub(crate) fn begin(target: &Path, replaces: bool) -> Result<Self> {
        let target = match fs::canonicalize(target) {
            // A link stays one.
            Ok(target) => target,
            Err(_) => target.to_owned(),
        };
        if fs::symlink_metadata(&target).is_ok_and(|facts| !facts.is_file()) {
            return Err(Failure::user(format!("{} is no file that can be replaced", target.display()))
                .hint("Name a file."));
        }
        if target.exists() && !replaces {
            return Err(taken(&target));
        }
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            let text = format!("cannot write {}: there is no folder {}", target.display(), folder.display());
            return Err(Failure::user(text).hint(format!("Make it first: `mkdir -p {}`.", folder.display())));
        }
        let Some(name) = target.file_name() else {
            return Err(Failure::user(format!("{} is not the name of a file", target.display())));
        };
        let start = format!(".{}.", name.to_string_lossy());
        remove_abandoned(folder.unwrap_or(Path::new(".")), &start);
        let path = target.with_file_name(format!("{start}{}{PARTIAL}", std::process::id()));
        // What an earlier process of this number left goes. No link is followed that somebody put there.
        let _ = fs::remove_file(&path);
        let made = OpenOptions::new().write(true).create_new(true).open(&path);
        made.map_err(|e| Failure::user(format!("cannot write {}: {e}", target.display())))?;
        Ok(Self { path, target, replaces, done: false })
    }

    /// Lets nobody but its owner read it.
    ///
    /// # Errors
    /// If the file system refuses.
    pub(crate) fn for_its_owner(self) -> Result<Self> {
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600))
            .map_err(|e| Failure::io(format!("protect {}", self.target.display()), &e))?;
        Ok(self)
    }

    /// Where to write.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |facts| facts.len())
    }

    /// Puts it on the disk and in its place.
    ///
    /// # Errors
    /// A user error if a file is there by now that must not be replaced.
    pub(crate) fn finish(mut self) -> Result<()> {
        let failed = |e: &std::io::Error| Failure::io(format!("write {}", self.target.display()), e);
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(|e| failed(&e))?;
        if !self.replaces {
            // A link, unlike a rename, never takes the place of a file that came meanwhile.
            match fs::hard_link(&self.path, &self.target) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(taken(&self.target)),
                // A file system without such links.
                Err(_) if self.target.exists() => return Err(taken(&self.target)),
                Err(_) => {}
            }
        }
        fs::rename(&self.path, &self.target).map_err(|e| failed(&e))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.done {
            // Nobody is left to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes the drafts of processes that were killed.
fn remove_abandoned(folder: &Path, start: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(start)?.strip_suffix(PARTIAL));
        let is_gone = pid.and_then(|pid| pid.parse().ok()).is_some_and(|pid| !sys::is_alive(pid));
        if is_gone && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn taken(target: &Path) -> Failure {
    Failure::user(format!("{} is there already", target.display()))
        .hint("Take another name, or replace it with --force.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_appears_whole_and_replaces_only_what_it_may() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a.sql");
        let names = || fs::read_dir(dir.path()).unwrap().count();
        let draft = Draft::begin(&target, false).unwrap();
        fs::write(draft.path(), "one").unwrap();
        assert!(!target.exists());
        draft.finish().unwrap();
        assert_eq!((fs::read_to_string(&target).unwrap().as_str(), names()), ("one", 1));
        assert!(Draft::begin(&target, false).unwrap_err().to_string().contains("there already"));
        drop(Draft::begin(&target, true).unwrap());
        assert_eq!(fs::read_to_string(&target).unwrap(), "one");
        let draft = Draft::begin(&target, true).unwrap();
        fs::write(draft.path(), "two").unwrap();
        draft.finish().unwrap();
        assert_eq!((fs::read_to_string(&target).unwrap().as_str(), names()), ("two", 1));
        // What a process that was killed left goes; no number is as high as that.
        for left in [".a.sql.999999999.partial", ".a.sql.x.partial"] {
            fs::write(dir.path().join(left), "").unwrap();
        }
        drop(Draft::begin(&target, true).unwrap());
        assert_eq!(names(), 2);
        fs::remove_file(dir.path().join(".a.sql.x.partial")).unwrap();
        // One that comes meanwhile stays.
        let late = dir.path().join("b.sql");
        let draft = Draft::begin(&late, false).unwrap();
        fs::write(&late, "theirs").unwrap();
        assert!(draft.finish().is_err());
        assert_eq!((fs::read_to_string(&late).unwrap().as_str(), names()), ("theirs", 2));
        assert!(Draft::begin(dir.path(), true).is_err());
    }
}

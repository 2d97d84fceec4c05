//! Where such a file lies, whether it may be written, and replacing it as a whole.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use offshoot_git::{Standing, Worktree};

use super::Fault;
use crate::failure::{Failure, chain};
use crate::sys;

/// A file that is longer cannot be meant.
const MAX_BYTES: u64 = 1 << 20;
/// How often a file that somebody else writes meanwhile is read again.
const MOST_TRIES: u32 = 5;
/// Rights of a file that is made: a password is in it.
const PRIVATE: u32 = 0o600;

/// Why a file is left alone: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The end of a sentence.
    pub(crate) why: String,
    pub(crate) hint: String,
}

impl Refusal {
    fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { why: why.into(), hint: hint.into() }
    }

    fn io(what: &str, error: &io::Error) -> Self {
        Self::new(format!("it cannot be {what}: {error}"), "Put that right; it is tried again by itself.")
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let hint = match &fault {
            Fault::Twice { .. } => "Libraries differ in which of them counts. Remove one.",
            Fault::NoText => "Name a file with lines such as NAME=value.",
            Fault::Unquotable(_) => "Set it by hand.",
        };
        Self::new(fault.to_string(), hint)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::user(refusal.why).hint(refusal.hint)
    }
}

/// Where a file is to be, within a work tree.
#[derive(Debug)]
pub(crate) struct Place {
    /// Behind symbolic links.
    path: PathBuf,
    folder: PathBuf,
    worktree: Worktree,
}

/// What a file held when it was read.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Nothing if there is no file.
    pub(crate) bytes: Vec<u8>,
    facts: Option<Metadata>,
}

impl Contents {
    /// Whether there is such a file.
    pub(crate) fn is_there(&self) -> bool {
        self.facts.is_some()
    }
}

impl Place {
    /// The place of `relative`, from the top of `worktree`.
    ///
    /// # Errors
    /// If it leads out of the work tree, or is no file.
    pub(crate) fn find(worktree: &Worktree, relative: &str) -> Result<Self, Refusal> {
        let named = worktree.path.join(relative);
        let path = match fs::canonicalize(&named) {
            Ok(path) => path,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if fs::symlink_metadata(&named).is_ok() {
                    let hint = "Remove the link, or make the file that it leads to.";
                    return Err(Refusal::new("it is a symbolic link that leads nowhere", hint));
                }
                let (folder, name) = (named.parent(), named.file_name());
                let folder = folder.and_then(|folder| fs::canonicalize(folder).ok());
                let hint = "Make the folder, or name another file.";
                folder
                    .zip(name)
                    .map(|(folder, name)| folder.join(name))
                    .ok_or_else(|| Refusal::new("its folder is not there", hint))?
            }
            Err(error) => return Err(Refusal::io("found", &error)),
        };
        let is_inside = path
            .strip_prefix(&worktree.path)
            .is_ok_and(|rest| !rest.components().any(|part| part.as_os_str().eq_ignore_ascii_case(".git")));
        if !is_inside {
            return Err(Refusal::new(
                format!("it leads out of the work tree, to {}", path.display()),
                "Each work tree has an address of its own: put a file in the place of the link.",
            ));
        }
        let folder = path.parent().unwrap_or(&worktree.path).to_owned();
        Ok(Self { path, folder, worktree: worktree.clone() })
    }

    /// Reads the file.
    pub(crate) fn read(&self) -> Result<Contents, Refusal> {
        let nothing = Contents { bytes: Vec::new(), facts: None };
        // Looked at before it is opened: opening a named pipe would wait for a writer.
        match fs::metadata(&self.path) {
            Ok(facts) if facts.is_file() => (),
            Ok(_) => return Err(Refusal::new("it is not a file", "Name a file.")),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(nothing),
            Err(error) => return Err(Refusal::io("read", &error)),
        }
        let file = File::open(&self.path).map_err(|error| Refusal::io("read", &error))?;
        let facts = file.metadata().map_err(|error| Refusal::io("read", &error))?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| Refusal::io("read", &error))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Refusal::new(format!("it is longer than {MAX_BYTES} bytes"), "Name another file."));
        }
        Ok(Contents { bytes, facts: Some(facts) })
    }

    /// Refuses if the work tree would become dirty, or the password could be committed. Runs git.
    pub(crate) fn check_private(&self) -> Result<(), Refusal> {
        let name = self.name();
        match offshoot_git::standing(&self.worktree, &self.path) {
            Ok(Standing::Ignored) => Ok(()),
            Ok(Standing::Tracked) => Err(Refusal::new(
                "git tracks it: the work tree would become dirty, and the password could be committed",
                format!(
                    "`git rm --cached {name}` and a line in .gitignore, or name a file that git ignores, such as .env.local."
                ),
            )),
            Ok(Standing::Open) => Err(Refusal::new(
                "git does not ignore it: the password could be committed",
                format!("Add {name} to .gitignore or .git/info/exclude."),
            )),
            Err(error) => Err(Refusal::new(
                format!("git does not tell whether it is ignored: {}", chain(&error)),
                error.hint(),
            )),
        }
    }

    /// From the top of the work tree.
    fn name(&self) -> String {
        self.path.strip_prefix(&self.worktree.path).unwrap_or(&self.path).display().to_string()
    }

    /// Refuses a file that its owner does not want to be written.
    fn check_writable(&self, contents: &Contents) -> Result<(), Refusal> {
        match &contents.facts {
            Some(facts) if facts.permissions().mode() & 0o222 == 0 => Err(Refusal::new(
                "it is read only",
                format!("`chmod u+w {}` lets it be written.", self.name()),
            )),
            _ => Ok(()),
        }
    }

    /// Writes what `edit` makes of the file, unless that is what it holds. Returns what it held before. `is_secret`: it gets what git
    /// must not see.
    ///
    /// The file is replaced as a whole; it keeps its rights and its owner. If somebody else writes it meanwhile, it is read and edited again.
    pub(crate) fn edit(
        &self,
        is_secret: bool,
        mut edit: impl FnMut(&Contents) -> Result<Option<Vec<u8>>, Refusal>,
    ) -> Result<Contents, Refusal> {
        for _ in 0..MOST_TRIES {
            let contents = self.read()?;
            let Some(bytes) =
                edit(&contents)?.filter(|bytes| !contents.is_there() || *bytes != contents.bytes)
            else {
                return Ok(contents);
            };
            if is_secret {
                self.check_private()?;
            }
            self.check_writable(&contents)?;
            if self.replace(&contents, &bytes).map_err(|error| Refusal::io("written", &error))? {
                return Ok(contents);
            }
        }
        Err(Refusal::new("somebody else writes it all the time", "It is tried again by itself."))
    }

    /// Removes a file that is empty.
    pub(crate) fn remove_if_empty(&self) -> Result<(), Refusal> {
        if self.read()?.bytes.is_empty() {
            match fs::remove_file(&self.path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Refusal::io("removed", &error));
                }
                _ => (),
            }
        }
        Ok(())
    }

    /// Puts `bytes` in the place of `old`. False if the file is another one by now.
    fn replace(&self, old: &Contents, bytes: &[u8]) -> io::Result<bool> {
        // In the git directory it is no new file of the work tree, even for a moment.
        let name = format!(".offshoot-env.{}", std::process::id());
        let (beside, hidden) = (self.folder.join(&name), self.worktree.git_dir.join(&name));
        let same_disk = fs::metadata(&self.folder)?.dev() == fs::metadata(&self.worktree.git_dir)?.dev();
        if same_disk {
            match self.replace_by(&hidden, old, bytes) {
                Err(error) if error.kind() == ErrorKind::CrossesDevices => (),
                done => return done,
            }
        }
        self.replace_by(&beside, old, bytes)
    }

    fn replace_by(&self, temporary: &Path, old: &Contents, bytes: &[u8]) -> io::Result<bool> {
        let done = self.write_and_swap(temporary, old, bytes);
        match fs::remove_file(temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => done,
        }
    }

    fn write_and_swap(&self, temporary: &Path, old: &Contents, bytes: &[u8]) -> io::Result<bool> {
        if let Err(error) = fs::remove_file(temporary)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(temporary)?;
        file.write_all(bytes)?;
        if let Some(facts) = &old.facts {
            let ours = file.metadata()?;
            if (ours.uid(), ours.gid()) != (facts.uid(), facts.gid()) {
                std::os::unix::fs::fchown(&file, Some(facts.uid()), Some(facts.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(facts.permissions().mode() & 0o7777))?;
        } else {
            // Root works for whoever owns the folder.
            let (ours, folder) = (file.metadata()?, fs::metadata(&self.folder)?);
            if ours.uid() != folder.uid() {
                std::os::unix::fs::fchown(&file, Some(folder.uid()), Some(folder.gid()))?;
            }
        }
        file.sync_all()?;
        let Some(facts) = &old.facts else {
            // A link, unlike a renamed file, takes nobody's place.
            return match fs::hard_link(temporary, &self.path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
                done => done.map(|()| true),
            };
        };
        let is_same = |now: &Metadata| {
            let stamp =
                |facts: &Metadata| (facts.dev(), facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.len());
            stamp(now) == stamp(facts)
        };
        if !fs::metadata(&self.path).is_ok_and(|now| is_same(&now)) {
            return Ok(false);
        }
        match sys::exchange(temporary, &self.path) {
            Ok(()) => {
                // What was there until just now must be what was read.
                let is_it = fs::read(temporary)? == old.bytes;
                if !is_it {
                    sys::exchange(temporary, &self.path)?;
                }
                Ok(is_it)
            }
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::ENOTSUP)) =>
            {
                fs::rename(temporary, &self.path).map(|()| true)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;

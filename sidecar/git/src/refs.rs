//! The branches of a repository.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::{fs, io};

use crate::config::Config;
use crate::discover::Repository;
use crate::error::GitError;
use crate::head::{Reference, read};
use crate::name::{HEADS, full, is_object_id, is_valid_part, short};
use crate::run::git_at;

/// How deep folders of branches may nest; a path cannot be longer.
pub(crate) const MAX_NESTING: usize = 512;

impl Repository {
    /// The short names of all branches that have a commit, sorted by their bytes.
    pub fn branches(&self) -> Result<Vec<String>, GitError> {
        if !self.common_dir.is_dir() {
            return Err(GitError::not_a_repository(&self.common_dir));
        }
        if !Config::of_repository(&self.common_dir)?.has_ref_files() {
            return self.ask_branches();
        }
        // Loose before packed: packing writes the packed file first, so a branch on its way is seen at least once.
        let mut names = BTreeSet::new();
        loose(&self.common_dir.join("refs/heads"), HEADS, &mut names, 0)?;
        names.extend(packed(&self.common_dir)?);
        Ok(names.iter().filter_map(|name| short(name)).collect())
    }

    /// Whether `branch` (a short name) exists.
    pub fn has_branch(&self, branch: &str) -> Result<bool, GitError> {
        let name = full(branch);
        if !Config::of_repository(&self.common_dir)?.has_ref_files() {
            let name = OsStr::from_bytes(&name);
            let args = [OsStr::new("show-ref"), OsStr::new("--verify"), OsStr::new("-q"), name];
            return Ok(git_at(&self.common_dir, &args)?.is_success());
        }
        let valid = name.split(|b| *b == b'/').all(is_valid_part);
        if valid
            && read(&self.common_dir.join(OsStr::from_bytes(&name)))
                .is_ok_and(|found| found != Reference::Torn)
        {
            return Ok(true);
        }
        Ok(packed(&self.common_dir)?.contains(&name))
    }

    /// The commit of each branch, by the branch's short name; one run of git.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run, or fails.
    pub fn tips(&self) -> Result<HashMap<String, String>, GitError> {
        self.ask_tips(&["refs/heads/".into()])
    }

    /// The commits of those of `branches` (short names) that there are; one run of git.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run, or fails.
    pub fn tips_of(&self, branches: &[&str]) -> Result<HashMap<String, String>, GitError> {
        if branches.is_empty() {
            return Ok(HashMap::new());
        }
        let names: Vec<OsString> = branches.iter().map(|branch| OsString::from_vec(full(branch))).collect();
        let mut tips = self.ask_tips(&names)?;
        // A name is a folder of branches to git, too.
        tips.retain(|branch, _| branches.contains(&branch.as_str()));
        Ok(tips)
    }

    fn ask_tips(&self, patterns: &[OsString]) -> Result<HashMap<String, String>, GitError> {
        let first = ["for-each-ref", "--format=%(objectname) %(refname)"].map(OsStr::new);
        let args: Vec<&OsStr> = first.into_iter().chain(patterns.iter().map(AsRef::as_ref)).collect();
        let stdout = git_at(&self.common_dir, &args)?.into_stdout()?;
        let tip = |line: &[u8]| {
            let space = line.iter().position(|b| *b == b' ')?;
            let id = std::str::from_utf8(&line[..space]).ok()?;
            Some((short(&line[space + 1..])?, id.to_owned()))
        };
        Ok(stdout.split(|b| *b == b'\n').filter_map(tip).collect())
    }

    fn ask_branches(&self) -> Result<Vec<String>, GitError> {
        let args = ["for-each-ref", "--format=%(refname)", "refs/heads/"].map(OsStr::new);
        let stdout = git_at(&self.common_dir, &args)?.into_stdout()?;
        Ok(stdout.split(|b| *b == b'\n').filter_map(short).collect())
    }
}

/// Adds the full names of the references in files below `folder`, which stands for `prefix`.
fn loose(folder: &Path, prefix: &[u8], names: &mut BTreeSet<Vec<u8>>, depth: usize) -> Result<(), GitError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Git removes empty folders at any time.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(GitError::io("list", folder)(error)),
    };
    for entry in entries {
        let entry = entry.map_err(GitError::io("list", folder))?;
        let part = entry.file_name();
        if !is_valid_part(part.as_bytes()) {
            continue;
        }
        let mut name = [prefix, part.as_bytes()].concat();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            name.push(b'/');
            if depth < MAX_NESTING {
                loose(&entry.path(), &name, names, depth + 1)?;
            }
        } else if read(&entry.path()).is_ok_and(|reference| reference != Reference::Torn) {
            names.insert(name);
        }
    }
    Ok(())
}

/// The full names of the branches in `packed-refs`.
fn packed(common_dir: &Path) -> Result<BTreeSet<Vec<u8>>, GitError> {
    let path = common_dir.join("packed-refs");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(GitError::io("read", &path)(error)),
    };
    let names = bytes.split(|b| *b == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let space = line.iter().position(|b| *b == b' ')?;
        let (id, name) = (&line[..space], &line[space + 1..]);
        (is_object_id(id) && name.starts_with(HEADS)).then(|| name.to_vec())
    });
    Ok(names.collect())
}

//! Git commits as sides: a file of facts, an SQL file or a folder of them as a commit has it. Git's objects are read; neither
//! the work tree nor the index is touched.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use offshoot_protocol::measure::LoadFile;

use super::call::{Folder, absolute};
use super::script;
use super::side::EXTENSION;
use crate::failure::{Failure, Result};

/// What says that a name is one of git.
pub(super) const PREFIX: &str = "git:";

/// What a commit has there.
#[derive(Debug)]
pub(super) enum Found {
    /// A file of facts.
    Facts(Vec<u8>),
    /// SQL files, in a temporary folder for as long as that lives.
    Scripts(Vec<LoadFile>, Folder),
}

/// A commit and a path in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GitRef {
    commit: String,
    path: Option<String>,
}

impl GitRef {
    /// Reads `REF` or `REF:PATH`, with or without `git:` before it.
    pub(super) fn parse(name: &str) -> Self {
        let name = name.strip_prefix(PREFIX).unwrap_or(name);
        match name.split_once(':') {
            Some((commit, path)) => Self { commit: commit.to_owned(), path: Some(path.to_owned()) },
            None => Self { commit: name.to_owned(), path: None },
        }
    }

    /// Whether git knows such a commit here.
    pub(super) fn exists(&self) -> bool {
        !self.commit.is_empty() && self.commit_id().is_ok()
    }

    fn commit_id(&self) -> Result<String> {
        let wanted = format!("{}^{{commit}}", self.commit);
        let id = git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
        let id = id.ok_or_else(|| {
            Failure::user(format!("git knows no commit `{}` here", self.commit))
                .hint("`git log --oneline --all` shows commits; a database branch is named without `git:`.")
        })?;
        Ok(String::from_utf8_lossy(&id).trim().to_owned())
    }

    /// Name for people, with the path.
    pub(super) fn name(&self, default: Option<&str>) -> String {
        let path = self.path.as_deref().or(default);
        path.map_or_else(|| self.commit.clone(), |path| format!("{}:{path}", self.commit))
    }

    /// Reads it; `default` is the path if none was named.
    pub(super) fn read(&self, default: Option<&str>) -> Result<Found> {
        let commit = self.commit_id()?;
        let Some(path) = self.path.as_deref().or(default) else {
            return Err(Failure::user(format!("which file of {} has the schema is not known", self.commit)).hint(format!(
                "Name it: `{}:db/schema.facts`; or write into offshoot.toml, below [schema]: file = \"db/schema.facts\".",
                self.commit
            )));
        };
        let path = path.trim_end_matches('/');
        let place = format!("{}:{path}", self.commit);
        let absent = || {
            Failure::user(format!("commit {} has no file or folder {path}", self.commit))
                .hint("Paths count from the top of the repository, or with ./ from here.")
        };
        let object =
            git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{commit}:{path}")])?;
        let object = String::from_utf8_lossy(&object.ok_or_else(absent)?).trim().to_owned();
        let kind = git(&["cat-file", "-t", &object])?.ok_or_else(absent)?;
        if kind.starts_with(b"tree") {
            return read_folder(&place, &object);
        }
        let content = blob(&object, &place)?;
        if Path::new(path).extension() == Some(OsStr::new(EXTENSION)) {
            return Ok(Found::Facts(content));
        }
        if !script::is_script(path) {
            return Err(Failure::user(format!("{place} is neither a file of facts nor an SQL file"))
                .hint("Their names end in .facts and in .sql."));
        }
        let folder = Folder::new()?;
        let file = write(&folder, 0, path, place, &content)?;
        Ok(Found::Scripts(vec![file], folder))
    }
}

/// Picks the SQL files of a folder.
fn read_folder(place: &str, tree: &str) -> Result<Found> {
    let listed = git(&["ls-tree", "-r", "-z", "--full-tree", tree])?.unwrap_or_default();
    let mut blobs = Vec::new();
    for line in listed.split(|byte| *byte == 0) {
        // `100644 blob ID<tab>PATH`
        let line = String::from_utf8_lossy(line);
        let Some((facts, path)) = line.split_once('\t') else { continue };
        if let [_, "blob", id] = facts.split(' ').collect::<Vec<_>>()[..] {
            blobs.push((path.to_owned(), id.to_owned()));
        }
    }
    let picked = script::pick(blobs.iter().map(|(path, _)| path.clone()).collect());
    if picked.is_empty() {
        return Err(script::no_scripts(place));
    }
    let folder = Folder::new()?;
    let mut files = Vec::with_capacity(picked.len());
    for (number, path) in picked.into_iter().enumerate() {
        let id = blobs.iter().find(|(of, _)| *of == path).map(|(_, id)| id.as_str()).unwrap_or_default();
        let name = format!("{place}/{path}");
        let content = blob(id, &name)?;
        files.push(write(&folder, number, &path, name, &content)?);
    }
    Ok(Found::Scripts(files, folder))
}

fn write(folder: &Folder, number: usize, path: &str, name: String, content: &[u8]) -> Result<LoadFile> {
    let end = if path.to_ascii_lowercase().ends_with(".gz") { "sql.gz" } else { "sql" };
    let written = folder.write(&format!("{number}.{end}"), content)?;
    Ok(LoadFile { name, path: absolute(&written)? })
}

fn blob(id: &str, place: &str) -> Result<Vec<u8>> {
    git(&["cat-file", "blob", id])?.ok_or_else(|| {
        Failure::user(format!("git cannot read {place}"))
            .hint("In a partial clone it has to be fetched first: check that commit out once.")
    })
}

/// What git prints; `None` if it refuses.
fn git(args: &[&str]) -> Result<Option<Vec<u8>>> {
    let mut command = Command::new("git");
    command.args(args).env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0").env("GIT_NO_LAZY_FETCH", "1");
    let output = command.stdin(std::process::Stdio::null()).output();
    let output =
        output.map_err(|e| Failure::io("run git", &e).hint("Install git, or put it on the PATH."))?;
    Ok(output.status.success().then_some(output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_follows_the_commit() {
        let parts = |name| {
            let GitRef { commit, path } = GitRef::parse(name);
            (commit, path)
        };
        assert_eq!(parts("git:main"), ("main".into(), None));
        assert_eq!(parts("HEAD~3:db/schema.sql"), ("HEAD~3".into(), Some("db/schema.sql".into())));
        assert_eq!(parts("git:v1:./x.facts"), ("v1".into(), Some("./x.facts".into())));
    }
}

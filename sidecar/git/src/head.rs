//! What a work tree has checked out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;
use std::{fs, io, thread};

use crate::config::Config;
use crate::discover::Worktree;
use crate::error::GitError;
use crate::name::{HEADS, is_object_id, short};
use crate::run::git_at;

/// How deep git follows references that name references.
const DEPTH: usize = 5;
/// How often a HEAD that is missing or half written is read again.
const TRIES: u32 = 5;
/// What a reftable repository writes into HEAD to keep older readers away.
const NOT_A_FILE: &[u8] = b"refs/heads/.invalid";

/// What is checked out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Head {
    /// A branch, by its short name. It may be unborn: without a commit, and not among
    /// [`Repository::branches`](crate::Repository::branches).
    Branch(String),
    /// No branch, as in the middle of a rebase or on a tag.
    Detached {
        /// The commit's full id, in hexadecimal.
        commit: String,
    },
}

/// What a reference's file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// Another reference, by its full name.
    Symbolic(Vec<u8>),
    /// An object, by its full id.
    Object(String),
    /// Neither: empty, cut off or not a reference at all.
    Torn,
}

/// Reads what `worktree` has checked out, from its HEAD.
///
/// Takes microseconds; only a reftable repository, or a HEAD that names something other than a branch, costs
/// a run of git.
///
/// # Errors
/// [`GitError::NotARepository`] if the git directory is gone. [`GitError::Broken`] if HEAD stays unreadable.
pub fn head(worktree: &Worktree) -> Result<Head, GitError> {
    match read_patiently(&worktree.git_dir)? {
        Reference::Object(commit) => Ok(Head::Detached { commit }),
        Reference::Symbolic(name) if name == NOT_A_FILE || !has_ref_files(worktree, &name)? => ask(worktree),
        Reference::Symbolic(name) => match short(&follow(&worktree.common_dir, name)) {
            Some(branch) => Ok(Head::Branch(branch)),
            None => Ok(Head::Detached { commit: ask_commit(worktree)? }),
        },
        Reference::Torn => Err(GitError::Broken {
            path: worktree.git_dir.join("HEAD"),
            reason: "it names neither a reference nor a commit".into(),
        }),
    }
}

/// Whether plain files hold the references. A branch with a file answers that without reading the configuration.
fn has_ref_files(worktree: &Worktree, name: &[u8]) -> Result<bool, GitError> {
    if worktree.common_dir.join(OsStr::from_bytes(name)).is_file() {
        return Ok(true);
    }
    Ok(Config::of_repository(&worktree.common_dir)?.has_ref_files())
}

fn read_patiently(git_dir: &Path) -> Result<Reference, GitError> {
    let path = git_dir.join("HEAD");
    let mut tries = 0;
    loop {
        tries += 1;
        let result = read_whole(&path);
        let again = match &result {
            Ok((reference, ends)) => !ends || *reference == Reference::Torn,
            Err(error) => error.kind() == io::ErrorKind::NotFound && git_dir.is_dir(),
        };
        if again && tries < TRIES {
            // Nothing to wait for: whoever writes it without git's lock gives no sign when done.
            thread::sleep(Duration::from_millis(1 << tries));
            continue;
        }
        return match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(GitError::not_a_repository(git_dir)),
            // Git itself accepts a last line without an end, so after waiting for one so do we.
            result => result.map(|(reference, _)| reference).map_err(GitError::io("read", &path)),
        };
    }
}

/// Reads one reference file.
pub(crate) fn read(path: &Path) -> io::Result<Reference> {
    read_whole(path).map(|(reference, _)| reference)
}

/// Reads one reference file, and whether it ends as git ends it. Old repositories use a symbolic link for HEAD.
fn read_whole(path: &Path) -> io::Result<(Reference, bool)> {
    if let Ok(target) = fs::read_link(path)
        && target.as_os_str().as_bytes().starts_with(b"refs/")
    {
        return Ok((Reference::Symbolic(target.into_os_string().into_encoded_bytes()), true));
    }
    let bytes = fs::read(path)?;
    Ok((parse(&bytes), bytes.ends_with(b"\n")))
}

fn parse(bytes: &[u8]) -> Reference {
    let text = bytes.trim_ascii_end();
    if let Some(name) = text.strip_prefix(b"ref:") {
        let name = name.trim_ascii_start();
        return if name.starts_with(b"refs/") { Reference::Symbolic(name.to_vec()) } else { Reference::Torn };
    }
    let word = text.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    match std::str::from_utf8(word) {
        Ok(id) if is_object_id(word) => Reference::Object(id.to_ascii_lowercase()),
        _ => Reference::Torn,
    }
}

/// Follows a branch that is itself a name for another one, as git does when it commits to it.
fn follow(common_dir: &Path, mut name: Vec<u8>) -> Vec<u8> {
    for _ in 0..DEPTH {
        if !name.starts_with(HEADS) {
            break;
        }
        match read(&common_dir.join(OsStr::from_bytes(&name))) {
            Ok(Reference::Symbolic(next)) => name = next,
            _ => break,
        }
    }
    name
}

fn ask(worktree: &Worktree) -> Result<Head, GitError> {
    let answer = git_at(&worktree.git_dir, &["symbolic-ref", "-q", "HEAD"].map(OsStr::new))?;
    match answer.status {
        Some(0) => match short(answer.line()) {
            Some(branch) => Ok(Head::Branch(branch)),
            None => Ok(Head::Detached { commit: ask_commit(worktree)? }),
        },
        Some(1) => Ok(Head::Detached { commit: ask_commit(worktree)? }),
        _ => Err(answer.into_error()),
    }
}

fn ask_commit(worktree: &Worktree) -> Result<String, GitError> {
    let answer =
        git_at(&worktree.git_dir, &["rev-parse", "-q", "--verify", "HEAD^{commit}"].map(OsStr::new))?;
    match String::from_utf8(answer.line().to_vec()) {
        Ok(commit) if answer.is_success() && is_object_id(commit.as_bytes()) => Ok(commit),
        _ => Err(GitError::Broken {
            path: worktree.git_dir.join("HEAD"),
            reason: "it leads to no commit and to no branch".into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_head_is_torn() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        for text in ["", "ref:", "ref: re", "ref: main\n", "0123", &id[..39]] {
            assert_eq!(parse(text.as_bytes()), Reference::Torn, "{text}");
        }
        assert_eq!(parse(b"ref:\t refs/heads/a \n"), Reference::Symbolic(b"refs/heads/a".to_vec()));
        assert_eq!(parse(id.as_bytes()), Reference::Object(id.into()));
    }
}

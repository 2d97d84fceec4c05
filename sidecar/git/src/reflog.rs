//! Reflogs: git's record of how a reference moved.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::{fs, io};

use crate::config::Config;
use crate::error::GitError;
use crate::name::is_object_id;
use crate::run::{arg, git_at};

/// One movement of a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Whether the reference did not exist before; unknown where git prints the log (reftable).
    pub(crate) is_birth: Option<bool>,
    /// The object it moved to, in hexadecimal; zeros if it was removed.
    pub(crate) new: Vec<u8>,
    /// When, in seconds since 1970.
    pub(crate) time: i64,
    /// Why, in git's words.
    pub(crate) message: Vec<u8>,
}

impl Entry {
    /// The branch or commit that HEAD left and what it went to, if this is a checkout.
    pub(crate) fn checkout(&self) -> Option<(&[u8], &[u8])> {
        split(self.message.strip_prefix(b"checkout: moving from ")?)
    }

    /// The full names before and after, if this is a rename of a branch.
    pub(crate) fn rename(&self) -> Option<(&[u8], &[u8])> {
        split(self.message.strip_prefix(b"Branch: renamed ")?)
    }

    /// The full names of the original and of the copy, if this is a copy of a branch.
    pub(crate) fn copy(&self) -> Option<(&[u8], &[u8])> {
        split(self.message.strip_prefix(b"Branch: copied ")?)
    }

    /// What the branch was created from, as its creator typed it.
    pub(crate) fn created_from(&self) -> Option<&[u8]> {
        self.message.strip_prefix(b"branch: Created from ")
    }

    /// What a rebase did to HEAD, if this is one.
    pub(crate) fn rebase(&self) -> Option<RebaseStep<'_>> {
        let rest = self.message.strip_prefix(b"rebase")?;
        let end = rest.iter().position(|b| *b == b')')?;
        let (step, rest) = (&rest[..end], &rest[end + 1..]);
        if step.ends_with(b"(start") {
            return Some(RebaseStep::Start);
        }
        let ends = step.ends_with(b"(finish") || step.ends_with(b"(abort");
        ends.then(|| RebaseStep::End(rest.strip_prefix(b": returning to ")))
    }
}

/// The steps of a rebase that take HEAD off its branch and back onto it.
pub(crate) enum RebaseStep<'a> {
    Start,
    /// With the full name of the branch, if git noted it.
    End(Option<&'a [u8]>),
}

/// Splits `A to B`. Neither has a space in it where A is a reference or a commit.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.windows(4).position(|four| four == b" to ")?;
    Some((&text[..at], &text[at + 4..]))
}

/// Reads the reflog of `reference` (a full name, or `HEAD` of `git_dir`), oldest first; empty if there is none.
pub(crate) fn reflog(common_dir: &Path, git_dir: &Path, reference: &[u8]) -> Result<Vec<Entry>, GitError> {
    if !Config::of_repository(common_dir)?.has_ref_files() {
        return ask(git_dir, reference);
    }
    let owner = if reference == b"HEAD" { git_dir } else { common_dir };
    let path = owner.join("logs").join(OsStr::from_bytes(reference));
    match fs::read(&path) {
        Ok(bytes) => Ok(bytes.split(|b| *b == b'\n').filter_map(parse).collect()),
        Err(error) if absent(&error) => Ok(Vec::new()),
        Err(error) => Err(GitError::io("read", &path)(error)),
    }
}

/// No such log, or a folder of logs of nested branches in its place.
fn absent(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory | InvalidFilename)
}

/// Parses `<old> <new> <who> <seconds> <zone>\t<message>`.
fn parse(line: &[u8]) -> Option<Entry> {
    let tab = line.iter().position(|b| *b == b'\t').unwrap_or(line.len());
    let (facts, message) = (&line[..tab], line.get(tab + 1..).unwrap_or_default());
    let mut words = facts.split(|b| *b == b' ');
    let (old, new) = (words.next()?, words.next()?);
    let time = words.nth_back(1)?;
    if !is_object_id(old) || !is_object_id(new) {
        return None;
    }
    Some(Entry {
        is_birth: Some(old.iter().all(|b| *b == b'0')),
        new: new.to_vec(),
        time: std::str::from_utf8(time).ok()?.parse().ok()?,
        message: message.to_vec(),
    })
}

/// Has git print the log, newest first: `<new> NUL <name>@{<seconds>} NUL <message> NUL`.
fn ask(git_dir: &Path, reference: &[u8]) -> Result<Vec<Entry>, GitError> {
    let reference = arg(reference);
    let flags = ["reflog", "show", "-z", "--date=unix", "--format=%H%x00%gd%x00%gs"].map(OsStr::new);
    let args: Vec<&OsStr> = flags.into_iter().chain([reference.as_os_str(), OsStr::new("--")]).collect();
    let answer = git_at(git_dir, &args)?;
    if !answer.is_success() {
        // An unborn branch; git has no status of its own for that.
        return Ok(Vec::new());
    }
    let fields: Vec<&[u8]> = answer.stdout.split(|b| *b == 0).collect();
    let entries = fields.chunks_exact(3).filter_map(|entry| {
        let selector = entry[1].strip_suffix(b"}")?;
        let at = selector.iter().rposition(|b| *b == b'{')?;
        Some(Entry {
            is_birth: None,
            new: entry[0].to_vec(),
            time: std::str::from_utf8(&selector[at + 1..]).ok()?.parse().ok()?,
            message: entry[2].to_vec(),
        })
    });
    let mut entries: Vec<Entry> = entries.collect();
    entries.reverse();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_log_are_understood() {
        let (a, b) = ("0".repeat(40), "ab".repeat(20));
        let entry =
            parse(format!("{a} {b} A B <a@b> 1795249127 +0100\tcheckout: moving from x to y").as_bytes());
        let entry = entry.unwrap();
        assert_eq!((entry.is_birth, entry.time), (Some(true), 1_795_249_127));
        assert_eq!(entry.checkout(), Some((&b"x"[..], &b"y"[..])));
        let silent = parse(format!("{b} {b} A <> 17 -0000").as_bytes()).unwrap();
        assert_eq!((silent.is_birth, silent.message.len()), (Some(false), 0));
        assert_eq!(parse(b"half a li"), None);
    }

    #[test]
    fn a_rebase_is_seen_leaving_and_returning() {
        let entry = |message: &str| Entry { is_birth: None, new: vec![], time: 0, message: message.into() };
        assert!(matches!(entry("rebase -i (start): checkout main").rebase(), Some(RebaseStep::Start)));
        let end = entry("rebase (finish): returning to refs/heads/x");
        assert!(matches!(end.rebase(), Some(RebaseStep::End(Some(b"refs/heads/x")))));
        assert!(entry("rebase (pick): (finish)").rebase().is_none());
    }
}

//! How HEAD and branches came to their commits, and where those stand.

use std::ffi::OsStr;
use std::thread;
use std::time::Duration;

use crate::discover::Worktree;
use crate::error::GitError;
use crate::name::{full, short};
use crate::reflog::reflog;
use crate::run::{arg, git_at};

/// How often the reflog of HEAD is read again that does not tell yet how HEAD came to where it is.
const TRIES: u32 = 5;

/// Whether HEAD came to `commit` (a full id), where it is detached, by a checkout: not by a commit, a reset or a rebase.
///
/// Reads the reflog of HEAD. Where that tells nothing of this commit, as where none is kept, it counts as a checkout. Waits some
/// milliseconds for git to write it.
pub fn was_checked_out(worktree: &Worktree, commit: &str) -> Result<bool, GitError> {
    let mut tries = 0;
    loop {
        let log = reflog(&worktree.common_dir, &worktree.git_dir, b"HEAD")?;
        tries += 1;
        match log.last() {
            None => return Ok(true),
            Some(last) if last.new == commit.as_bytes() => return Ok(last.checkout().is_some()),
            Some(_) if tries == TRIES => return Ok(true),
            // Nothing to wait for: HEAD and its reflog are two files.
            Some(_) => thread::sleep(Duration::from_millis(1 << tries)),
        }
    }
}

/// The ids of the commits that `commit` comes from, itself first, newest first, `most` at the most. A run of git.
pub fn ancestors(worktree: &Worktree, commit: &str, most: usize) -> Result<Vec<String>, GitError> {
    let most = format!("--max-count={most}");
    let answer = git_at(&worktree.git_dir, &["rev-list", &most, "--end-of-options", commit].map(OsStr::new))?;
    Ok(String::from_utf8_lossy(&answer.into_stdout()?).lines().map(str::to_owned).collect())
}

/// When `commit` was made, in seconds since 1970; none if git does not have it. A run of git.
pub fn commit_time(worktree: &Worktree, commit: &str) -> Result<Option<i64>, GitError> {
    let args = ["show", "--no-patch", "--format=%ct", "--end-of-options", commit].map(OsStr::new);
    let answer = git_at(&worktree.git_dir, &args)?;
    Ok(std::str::from_utf8(answer.line()).ok().and_then(|text| text.parse().ok()))
}

/// How `branch` (a short name) moved since it was at `commit`, in the words of its reflog, newest first; all that is known if it was never
/// there.
pub fn movements_since(worktree: &Worktree, branch: &str, commit: &str) -> Result<Vec<String>, GitError> {
    let log = reflog(&worktree.common_dir, &worktree.git_dir, &full(branch))?;
    let since = log.iter().rev().take_while(|entry| entry.new != commit.as_bytes());
    Ok(since.map(|entry| String::from_utf8_lossy(&entry.message).into_owned()).collect())
}

/// Those of `branches` (short names) whose newest commit `new` contains and `old` does not. A run of git.
pub fn merged_since(
    worktree: &Worktree,
    branches: &[String],
    old: &str,
    new: &str,
) -> Result<Vec<String>, GitError> {
    if branches.is_empty() {
        return Ok(Vec::new());
    }
    let flags = [format!("--merged={new}"), format!("--no-merged={old}")];
    let names: Vec<_> = branches.iter().map(|name| arg(&full(name))).collect();
    let first = ["for-each-ref", "--format=%(refname)", &flags[0], &flags[1]].map(OsStr::new);
    let args: Vec<&OsStr> = first.into_iter().chain(names.iter().map(AsRef::as_ref)).collect();
    let stdout = git_at(&worktree.git_dir, &args)?.into_stdout()?;
    let mut found: Vec<String> = stdout.split(|b| *b == b'\n').filter_map(short).collect();
    // A name is a pattern too, that fits what is below it.
    found.retain(|name| branches.contains(name));
    Ok(found)
}

//! Which names a branch had, by git's own records.

use std::thread;
use std::time::Duration;

use crate::discover::Worktree;
use crate::error::GitError;
use crate::name::{branch_name_from_bytes, full, short};
use crate::reflog::{Entry, reflog};

/// How often the reflog of HEAD is read again that does not tell yet how HEAD came to where it is.
const TRIES: u32 = 5;

/// The names that `branch` (a short name) had before, newest first.
///
/// Reads the branch's reflog: empty if there is none. A copy has had no other name before it was made.
pub fn earlier_names(worktree: &Worktree, branch: &str) -> Result<Vec<String>, GitError> {
    let log = reflog(&worktree.common_dir, &worktree.git_dir, &full(branch))?;
    let is_birth = |entry: &Entry| {
        entry.created_from().is_some() || entry.copy().is_some_and(|(original, copy)| original != copy)
    };
    let own = log.iter().rev().take_while(|entry| !is_birth(entry));
    Ok(own.filter_map(Entry::rename).filter_map(|(before, _)| short(before)).collect())
}

/// The names that `branch` had while it has been checked out in `worktree`, newest first; empty if it is not what HEAD came to last,
/// or had no other name since.
///
/// Reads the reflog of HEAD, which tells a rename from a checkout. Waits some milliseconds for git to write down how HEAD came to `branch`.
pub fn names_while_checked_out(worktree: &Worktree, branch: &str) -> Result<Vec<String>, GitError> {
    let mut tries = 0;
    let log = loop {
        let log = reflog(&worktree.common_dir, &worktree.git_dir, b"HEAD")?;
        tries += 1;
        if log.is_empty() || tries == TRIES || tells_arrival(&log, branch) {
            break log;
        }
        // Nothing to wait for: HEAD may be written before its reflog is, in another file.
        thread::sleep(Duration::from_millis(1 << tries));
    };
    let stayed = log.iter().rev().take_while(|entry| entry.checkout().is_none() && entry.rebase().is_none());
    let mut names: Vec<String> = vec![branch.to_owned()];
    for (before, after) in stayed.filter_map(Entry::rename) {
        let (Some(before), Some(after)) = (short(before), short(after)) else { continue };
        // One rename is written down twice: as leaving the old name and as coming to the new one.
        if names.last() == Some(&after) {
            names.push(before);
        }
    }
    names.remove(0);
    Ok(names)
}

/// Whether the newest movement of HEAD leads to `branch`.
fn tells_arrival(log: &[Entry], branch: &str) -> bool {
    let newest = log.iter().rev().find_map(|entry| match (entry.checkout(), entry.rename()) {
        (Some((_, to)), _) => Some(branch_name_from_bytes(to)),
        (None, Some((_, to))) => short(to),
        _ => None,
    });
    newest.as_deref() == Some(branch)
}

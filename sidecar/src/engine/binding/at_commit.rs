//! The database of the commit at which HEAD is detached. Blocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offshoot_git::{Head, Operation, Worktree};
use offshoot_protocol::types::{Note, NoteKind};
use offshoot_storage::{BranchId, Store};

use super::decide::OfCommit;
use crate::engine::{Engine, commits, detached, room};
use crate::failure::Result;
use crate::names::quoted;
use crate::timestamp;

/// How many older commits of a bisection's step are searched for one that a snapshot was taken at.
const MOST_OLDER: usize = 10_000;

/// What a detached HEAD asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing: a branch is checked out, commits are not kept, or a rebase led HEAD there.
    Nothing,
    /// The database of just this commit.
    Commit,
    /// Of this commit, or of the nearest older one: migrations are applied on it.
    Nearest,
}

/// What `head` asks for. Reads one or two files unless a branch is checked out.
pub(super) fn wish(engine: &Engine, worktree: &Worktree, head: &Head) -> Wish {
    if !matches!(head, Head::Detached { .. }) || !room::snapshots_on_commit(engine) {
        return Wish::Nothing;
    }
    match offshoot_git::operation(worktree) {
        Ok(Some(Operation::Bisect { .. })) => Wish::Nearest,
        Ok(Some(Operation::Rebase { .. } | Operation::ApplyMail)) | Err(_) => Wish::Nothing,
        Ok(_) => Wish::Commit,
    }
}

/// Finds the database of `commit`, where the endpoint leads to `here`.
pub(super) fn find(
    engine: &Engine,
    worktree: &Worktree,
    wish: Wish,
    commit: &str,
    here: BranchId,
) -> Result<OfCommit> {
    if wish == Wish::Nothing {
        return Ok(OfCommit::Unwanted);
    }
    // Under whatever name it has by now.
    if detached::commit_of(engine, here)?.as_deref() == Some(commit) {
        return Ok(OfCommit::There(here));
    }
    if !offshoot_git::was_checked_out(worktree, commit).map_err(|e| super::git_failure(&e))? {
        return Ok(OfCommit::Unwanted);
    }
    if let Some(branch) = engine.store.branch_named(&detached::name_of(commit))? {
        return Ok(OfCommit::There(branch.id));
    }
    if let Some(snapshot) = commits::taken_at(engine, commit, here)? {
        return Ok(OfCommit::Kept { snapshot, older: None });
    }
    if wish == Wish::Commit {
        return Ok(OfCommit::Unknown);
    }
    let kept: std::collections::HashSet<String> = commits::commits(engine)?.into_values().collect();
    let older = offshoot_git::ancestors(worktree, commit, MOST_OLDER).map_err(|e| super::git_failure(&e))?;
    for older in older.into_iter().filter(|older| kept.contains(older)) {
        if let Some(snapshot) = commits::taken_at(engine, &older, here)? {
            return Ok(OfCommit::Kept { snapshot, older: Some(older) });
        }
    }
    Ok(OfCommit::Unknown)
}

/// Says that the endpoint leads to the database of a commit.
pub(super) fn note(engine: &Engine, id: BranchId, commit: &str) -> Result<Note> {
    let store = &*engine.store;
    let (name, short) = (store.branch(id)?.name, commits::short(commit));
    let text = format!("HEAD is detached at {short}; the database is `{name}`");
    let (text, hint) = match detached::older_of(store, id)? {
        Some(older) => {
            let older = commits::short(&older);
            (
                format!("{text}, as it was at the older commit {older}"),
                "`offshoot migrations apply` runs the migrations since then.\n".to_owned(),
            )
        }
        None if detached::commit_of(engine, id)?.as_deref() == Some(commit) => {
            (format!("{text}, as it was at that commit"), String::new())
        }
        // A person made it, or brought it back: nobody knows of what.
        None => return Ok(Note { kind: NoteKind::Detached, text, hint: None }),
    };
    let hint = format!(
        "{hint}It goes to the trash when something else is checked out; `git switch -c NAME` takes its data along."
    );
    let is_throwaway = name == detached::name_of(commit);
    Ok(Note { kind: NoteKind::Detached, text, hint: is_throwaway.then_some(hint) })
}

/// Says that the endpoint stays at `here`, although HEAD is detached; with `unknown` as there is no snapshot of the commit.
pub(super) fn stays(
    store: &Store,
    worktree: &Worktree,
    here: BranchId,
    commit: &str,
    unknown: bool,
) -> Result<Note> {
    let (name, short) = (store.branch(here)?.name, commits::short(commit));
    if !unknown {
        let text = format!("HEAD is detached at {short}; the database stays on `{name}`");
        return Ok(Note { kind: NoteKind::Detached, text, hint: None });
    }
    let text =
        format!("HEAD is detached at {short}, of which there is no snapshot; the database stays on `{name}`");
    Ok(Note { kind: NoteKind::Detached, text, hint: from_history(store, worktree, here, commit)? })
}

/// How to make the database of `commit` from the history of `here`, if that goes back so far.
fn from_history(store: &Store, worktree: &Worktree, here: BranchId, commit: &str) -> Result<Option<String>> {
    let made_at = offshoot_git::commit_time(worktree, commit).ok().flatten();
    let Some(made_at) = made_at.and_then(|at| u64::try_from(at).ok()).map(Duration::from_secs) else {
        return Ok(None);
    };
    let is_kept = store.oldest_moment(here)?.is_some_and(|oldest| oldest <= UNIX_EPOCH + made_at);
    if !is_kept || UNIX_EPOCH + made_at > SystemTime::now() {
        return Ok(None);
    }
    let (name, from) = (detached::name_of(commit), quoted(&store.branch(here)?.name));
    let at = timestamp::utc(made_at);
    Ok(Some(format!(
        "`offshoot branch create {name} --from {from} --at {at}` makes one of the time of the commit."
    )))
}

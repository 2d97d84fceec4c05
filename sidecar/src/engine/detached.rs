//! Throwaways of commits: the database of the commit at which HEAD is detached, where `snapshots.on_commit` has kept it.
//!
//! A checkout makes them (see [`super::binding`]), under the first letters of the commit, and leads there. When no endpoint does any more,
//! they go to the trash; those that have never been awake, and so hold nothing, go for good. What gets another name, or comes back from
//! the trash, is a branch like others.

use std::sync::Arc;
use std::time::Duration;

use offshoot_storage::{Branch, BranchId, Store};

use super::book::Book;
use super::{Engine, branches, commits, policy};
use crate::failure::Result;

/// The note about a throwaway: the commit and, if it was made of an older one's snapshot, that one; or nothing for one that stays.
const NOTE: &str = "git-detached";
/// How long until a throwaway is looked at again that is in use.
const AGAIN: Duration = Duration::from_secs(5);
/// How long until it is looked at again while branches are being deleted or reset.
const BUSY: Duration = Duration::from_millis(200);

/// What the throwaway of a commit is called.
pub(super) fn name_of(commit: &str) -> String {
    format!("commit-{}", commits::short(commit))
}

/// Marks a branch as the throwaway of a commit. Blocks.
pub(super) fn mark(engine: &Engine, id: BranchId, commit: &str, older: Option<&str>) -> Result<()> {
    let note = older.map_or(commit.to_owned(), |older| format!("{commit} {older}"));
    Ok(engine.store.set_note(id, NOTE, &note)?)
}

/// Makes a branch one that stays. Blocks.
pub(super) fn keep(engine: &Engine, id: BranchId) -> Result<()> {
    if commit_of(engine, id)?.is_some() {
        engine.store.set_note(id, NOTE, "")?;
    }
    Ok(())
}

/// The commit that a branch is, or was made as, the throwaway of. Blocks.
pub(super) fn commit_of(engine: &Engine, id: BranchId) -> Result<Option<String>> {
    Ok(engine
        .store
        .note(id, NOTE)?
        .and_then(|note| note.split(' ').next().map(str::to_owned))
        .filter(|commit| !commit.is_empty()))
}

/// The older commit whose snapshot a throwaway was made of, if there was none of its own. Blocks.
pub(super) fn older_of(store: &Store, id: BranchId) -> Result<Option<String>> {
    Ok(store.note(id, NOTE)?.and_then(|note| note.split(' ').nth(1).map(str::to_owned)))
}

/// Moves throwaways to the trash that no endpoint leads to. Returns when to look again, if something is left.
pub(super) async fn sweep(engine: &Arc<Engine>) -> Result<Option<Duration>> {
    let mut again = None;
    for branch in engine.blocking(throwaways).await? {
        let Ok(_structure) = engine.structure.try_lock() else { return Ok(Some(BUSY)) };
        let id = branch.id;
        let stands_on =
            engine.binding.fresh_views().await?.iter().any(|view| view.branch.as_ref() == Ok(&id));
        if stands_on {
            continue;
        }
        let turn = engine.computes.turn(id).await;
        if engine.computes.connections(id) > 0 || engine.migrations.runs_on(id) {
            again = Some(AGAIN);
            continue;
        }
        let is_free = engine.blocking(move |engine| {
            // The look may have led there, and a worktree whose folder is away may come back.
            let is_bound = Book(&engine.store).all_bound()?.iter().any(|(_, bound)| *bound == id);
            Ok((!is_bound && throwaways(engine)?.iter().any(|one| one.id == id))
                .then(|| engine.store.is_as_forked(id).unwrap_or(false)))
        });
        let Some(is_untouched) = is_free.await? else { continue };
        branches::to_trash(engine, id, turn).await?;
        if is_untouched {
            engine.blocking(move |engine| Ok(engine.store.purge_trash_now(Some(&[id]))?)).await?;
        }
        tracing::info!(branch = %branch.name, id = id.0, is_untouched, "nothing leads to the throwaway of a commit any more");
    }
    Ok(again)
}

/// Throwaways that may go: under the name that they were made with, and not protected. Blocks.
fn throwaways(engine: &Arc<Engine>) -> Result<Vec<Branch>> {
    let mut notes = engine.store.notes(NOTE)?;
    notes.retain(|(_, note)| !note.is_empty());
    if notes.is_empty() {
        return Ok(Vec::new());
    }
    let (protected, rules) = (Book(&engine.store).protected()?, policy::now(engine)?);
    let may_go = |branch: &Branch| {
        let is_one = |(id, note): &(BranchId, String)| *id == branch.id && name_of(note) == branch.name;
        notes.iter().any(is_one) && !protected.contains(&branch.id) && rules.guard(&branch.name).is_none()
    };
    Ok(engine.store.branches()?.into_iter().filter(may_go).collect())
}

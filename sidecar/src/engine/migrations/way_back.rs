//! The snapshots that `migrations/undo` may go back to: those that the applies took of which a state of a branch is the result.
//!
//! The snapshots of a branch stay with its name through a reset and an undo. So their names alone do not tell which of them is
//! from before the newest apply: each state keeps a list of its own in its notes.

use offshoot_storage::{BranchId, Snapshot, SnapshotKind};

use super::status::is_ours;
use crate::engine::Engine;
use crate::failure::{Failure, Result};

/// Under which name a branch's notes hold the list.
const NOTE: &str = "migrations-before";
/// Entries that are kept: more than there are snapshots of ours.
const MOST: usize = 20;

/// Where an undo leads.
#[derive(Debug)]
pub(super) enum WayBack {
    /// To the snapshot that the newest apply took.
    To(Snapshot),
    /// Nowhere: nothing was applied to this state of the branch.
    NothingApplied,
    /// Nowhere: the newest apply took no snapshot.
    NotTaken,
    /// Nowhere: this snapshot was deleted.
    Deleted(String),
}

/// The names, oldest first; empty for an apply without a snapshot.
fn list(engine: &Engine, id: BranchId) -> Result<Vec<String>> {
    let text = engine.store.note(id, NOTE)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

fn set(engine: &Engine, id: BranchId, names: &[String]) -> Result<()> {
    let text = serde_json::to_string(&names[names.len().saturating_sub(MOST)..]);
    let text = text.map_err(|e| Failure::internal(e.to_string()))?;
    Ok(engine.store.set_note(id, NOTE, &text)?)
}

/// Notes that an apply begins, with the snapshot that it took. Blocks.
pub(super) fn push(engine: &Engine, id: BranchId, snapshot: Option<&str>) -> Result<()> {
    let mut names = list(engine, id)?;
    names.push(snapshot.unwrap_or_default().to_owned());
    set(engine, id, &names)
}

/// Notes that the newest apply came to nothing. Blocks.
pub(super) fn pop(engine: &Engine, id: BranchId) -> Result<()> {
    let mut names = list(engine, id)?;
    names.pop();
    set(engine, id, &names)
}

/// Gives a state that is what `snapshot` of `from` was the applies before that. Blocks.
pub(super) fn carry_over(engine: &Engine, from: BranchId, to: BranchId, snapshot: &str) -> Result<()> {
    let mut names = list(engine, from)?;
    let before = names.iter().position(|name| name == snapshot).unwrap_or(0);
    names.truncate(before);
    set(engine, to, &names)
}

/// Where an undo leads. Blocks.
pub(super) fn newest(engine: &Engine, id: BranchId) -> Result<WayBack> {
    let Some(name) = list(engine, id)?.pop() else { return Ok(WayBack::NothingApplied) };
    if name.is_empty() {
        return Ok(WayBack::NotTaken);
    }
    let found = engine.store.snapshots(id)?.into_iter().find(|one| one.name == name);
    Ok(found.map_or(WayBack::Deleted(name), WayBack::To))
}

/// The newest snapshot of the branch's name that any apply took. Blocks.
pub(super) fn any(engine: &Engine, id: BranchId) -> Result<Option<Snapshot>> {
    let mut all = engine.store.snapshots(id)?;
    all.retain(|one| one.kind == SnapshotKind::Named && is_ours(&one.name));
    Ok(all.pop())
}

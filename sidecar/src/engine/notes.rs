//! Notes about branches, kept as JSON in the store, that also hold for the branches made of them.

use offshoot_storage::BranchId;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Engine;
use crate::failure::{Failure, Result};

/// Branches from one to the root that are asked.
const MOST_PARENTS: usize = 64;

/// A branch, and those that it was made of, up to the root. Blocks.
pub(super) fn lineage(engine: &Engine, id: BranchId) -> impl Iterator<Item = BranchId> {
    let parent = |id: &BranchId| engine.store.branch(*id).ok().and_then(|branch| branch.parent);
    std::iter::successors(Some(id), parent).take(MOST_PARENTS)
}

/// What was noted about a branch itself. Blocks.
///
/// # Errors
/// An engine error if it cannot be read, as what another version wrote may be.
pub(super) fn read<T: DeserializeOwned>(engine: &Engine, id: BranchId, note: &str) -> Result<Option<T>> {
    let Some(text) = engine.store.note(id, note)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        let name = engine.store.branch(id).map_or_else(|_| format!("number {}", id.0), |branch| branch.name);
        Failure::engine(format!("what is noted of the branch `{name}` as `{note}` cannot be read: {error}"))
    })
}

/// Notes something about a branch, in the place of what was noted before. Blocks.
pub(super) fn write<T: Serialize>(engine: &Engine, id: BranchId, note: &str, value: &T) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|e| Failure::internal(e.to_string()))?;
    Ok(engine.store.set_note(id, note, &text)?)
}

/// The branch `new` is what `old` was at some moment: the note goes with it. Blocks.
pub(super) fn carry(engine: &Engine, note: &str, old: BranchId, new: BranchId) -> Result<()> {
    match engine.store.note(old, note)? {
        Some(text) => Ok(engine.store.set_note(new, note, &text)?),
        None => Ok(()),
    }
}

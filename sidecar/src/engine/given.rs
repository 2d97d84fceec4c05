//! What rules gave branches, noted with each of them.

use std::sync::Arc;

use offshoot_protocol::policy::Given;
use offshoot_protocol::types::BranchParams;
use offshoot_storage::BranchId;

use super::{Engine, branches};
use crate::failure::{Failure, Result};

const NOTE: &str = "rules-given";
/// Branches from one to the root that are asked.
const MOST_PARENTS: usize = 64;

/// `schema/given`.
pub(super) async fn given(engine: &Arc<Engine>, params: BranchParams) -> Result<Given> {
    let id = branches::named(engine, &params.name).await?;
    engine.blocking(move |engine| of(engine, id)).await
}

/// What rules gave a branch and those that it was made of, which it has from them. Blocks.
pub(super) fn of(engine: &Engine, id: BranchId) -> Result<Given> {
    let mut all = Given { owner: engine.store.info().user.clone(), ..Given::default() };
    let mut next = Some(id);
    for _ in 0..MOST_PARENTS {
        let Some(id) = next else { break };
        let own = own(engine, id)?;
        for (all, own) in [
            (&mut all.extensions, own.extensions),
            (&mut all.schemas, own.schemas),
            (&mut all.roles, own.roles),
        ] {
            all.extend(own);
        }
        all.grants.extend(own.grants);
        next = engine.store.branch(id).ok().and_then(|branch| branch.parent);
    }
    Ok(all)
}

fn own(engine: &Engine, id: BranchId) -> Result<Given> {
    let text = engine.store.note(id, NOTE)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Notes what a rule gave a branch. Blocks.
pub(super) fn note(engine: &Engine, id: BranchId, given: &Given) -> Result<()> {
    let text = serde_json::to_string(given).map_err(|e| Failure::internal(e.to_string()))?;
    Ok(engine.store.set_note(id, NOTE, &text)?)
}

/// Branch `new` is what `old` was at some moment. Blocks.
pub(super) fn carry(engine: &Engine, old: BranchId, new: BranchId) -> Result<()> {
    match engine.store.note(old, NOTE)? {
        Some(text) => Ok(engine.store.set_note(new, NOTE, &text)?),
        None => Ok(()),
    }
}

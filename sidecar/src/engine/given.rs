//! What rules gave branches, noted with each of them.

use std::sync::Arc;

use offshoot_protocol::policy::Given;
use offshoot_protocol::types::BranchParams;
use offshoot_storage::BranchId;

use super::{Engine, branches, notes};
use crate::failure::Result;

const NOTE: &str = "rules-given";

/// `schema/given`.
pub(super) async fn given(engine: &Arc<Engine>, params: BranchParams) -> Result<Given> {
    let id = branches::named(engine, &params.name).await?;
    engine.blocking(move |engine| of(engine, id)).await
}

/// What rules gave a branch and those that it was made of, which it has from them. Blocks.
pub(super) fn of(engine: &Engine, id: BranchId) -> Result<Given> {
    let mut all = Given { owner: engine.store.info().user.clone(), ..Given::default() };
    for id in notes::lineage(engine, id) {
        let own: Given = notes::read(engine, id, NOTE)?.unwrap_or_default();
        for (all, own) in [
            (&mut all.extensions, own.extensions),
            (&mut all.schemas, own.schemas),
            (&mut all.roles, own.roles),
        ] {
            all.extend(own);
        }
        all.grants.extend(own.grants);
    }
    Ok(all)
}

/// Notes what a rule gave a branch. Blocks.
pub(super) fn note(engine: &Engine, id: BranchId, given: &Given) -> Result<()> {
    notes::write(engine, id, NOTE, given)
}

/// Branch `new` is what `old` was at some moment. Blocks.
pub(super) fn carry(engine: &Engine, old: BranchId, new: BranchId) -> Result<()> {
    notes::carry(engine, NOTE, old, new)
}

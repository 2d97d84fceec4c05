//! Changing views in place.

use super::fate::Fates;
use crate::fact::{Fact, FactId};
use crate::kind::Kind;
use crate::render;

/// `CREATE OR REPLACE VIEW` may add columns at the end and change nothing of those that there are.
pub(super) fn is_replaceable(fates: &Fates<'_>, id: &FactId) -> bool {
    let old = fates.from.parts_of_kind(id, Kind::Column);
    let new = fates.to.parts_of_kind(id, Kind::Column);
    let key = |(id, fact): &(&std::sync::Arc<FactId>, &Fact)| {
        (id.name.clone(), fact.text("type").map(str::to_owned), fact.text("collation").map(str::to_owned))
    };
    old.len() <= new.len() && old.iter().zip(&new).all(|(old, new)| key(old) == key(new))
}

/// The statement.
pub(super) fn replace(_fates: &Fates<'_>, id: &FactId, new: &Fact) -> Vec<String> {
    vec![render::view_text(id, new, "CREATE OR REPLACE ")]
}

//! What happens by itself to tables that inherit, because it happens to the parent.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fate::{Fate, Fates};
use super::typed;
use crate::fact::{FactId, Facts};
use crate::kind::Kind;

/// The tables that `table` inherits from, or is a partition of, before and after.
fn kept_parents(fates: &Fates<'_>, table: &FactId) -> Vec<Arc<FactId>> {
    let links = |facts: &Facts| -> BTreeSet<Arc<FactId>> {
        [Kind::Attachment, Kind::Inheritance]
            .iter()
            .flat_map(|kind| facts.parts_of_kind(table, *kind))
            .filter(|(id, _)| fates.get(id).is_none())
            .flat_map(|(_, link)| link.references.iter().cloned())
            .collect()
    };
    let (before, after) = (links(fates.from), links(fates.to));
    before
        .intersection(&after)
        .filter(|parent| !fates.is_dropped(parent) && !fates.is_created(parent))
        .cloned()
        .collect()
}

/// The same part of a parent, for columns and constraints that come from one.
pub(super) fn twins(fates: &Fates<'_>, facts: &Facts, id: &FactId) -> Vec<Arc<FactId>> {
    let (Kind::Column | Kind::Constraint, Some(table)) = (id.kind, &id.of) else { return Vec::new() };
    if id.kind == Kind::Column
        && let Some(composite) = typed::kept_type(fates, table)
    {
        let twin = FactId::part(composite, id.kind, &id.name);
        return facts.get(&twin).map(|_| Arc::new(twin)).into_iter().collect();
    }
    if !facts.get(id).is_some_and(|fact| fact.is("inherited")) {
        return Vec::new();
    }
    kept_parents(fates, table)
        .into_iter()
        .map(|parent| Arc::new(FactId::part(parent, id.kind, &id.name)))
        .filter(|twin| facts.get(twin).is_some())
        .collect()
}

/// The part of a parent whose making makes `id`.
pub(super) fn creator(fates: &Fates<'_>, id: &FactId) -> Option<Arc<FactId>> {
    if let (Kind::Default, Some(column)) = (id.kind, &id.of) {
        let made = creator(fates, column)?;
        let twin = Arc::new(FactId::part(made, Kind::Default, ""));
        let same = fates.to.get(&twin)?.attributes == fates.to.get(id)?.attributes;
        return same.then_some(twin);
    }
    twins(fates, fates.to, id)
        .into_iter()
        .find(|twin| fates.is_created(twin) && !is_validated(fates, id, twin))
}

/// Whether a table that begins to inherit has to have this constraint before it can.
pub(super) fn comes_before_inheriting(fates: &Fates<'_>, id: &FactId) -> bool {
    let table = id.owner();
    let inherited = fates.to.get(id).is_some_and(|fact| fact.is("inherited"));
    let begins = || {
        let links = fates.to.parts_of_kind(table, Kind::Inheritance);
        links.iter().any(|(link, _)| fates.is_created(link))
    };
    id.kind == Kind::Constraint
        && inherited
        && fates.from.get(table).is_some()
        && !fates.is_created(table)
        && begins()
        && twins(fates, fates.to, id).is_empty()
}

/// What stays a table's own although it shall only be inherited: Postgres lets a table begin to inherit only what it has itself.
pub(super) fn own_for_good(fates: &Fates<'_>) -> Vec<String> {
    let mut left = Vec::new();
    for (id, _) in fates.to.facts.iter().filter(|(_, fact)| fact.is("inherited") && !fact.is("local")) {
        let table = id.owner();
        let partition = !fates.to.parts_of_kind(table, Kind::Attachment).is_empty();
        if !matches!(id.kind, Kind::Column | Kind::Constraint) || partition || fates.is_created(table) {
            continue;
        }
        let was_own = fates.from.get(id).is_some_and(|old| !old.is("inherited") || old.is("local"));
        let own = was_own && !fates.is_dropped(id) || comes_before_inheriting(fates, id);
        if own {
            left.push(format!(
                "{id} stays the table's own, not only inherited: Postgres has no statement for that"
            ));
        }
    }
    left
}

/// Whether a constraint comes from a parent's that is not valid, and is valid itself.
pub(super) fn is_validated(fates: &Fates<'_>, id: &FactId, twin: &FactId) -> bool {
    match (fates.to.get(twin), fates.to.get(id)) {
        (Some(theirs), Some(own)) => id.kind == Kind::Constraint && super::alter::is_validation(theirs, own),
        _ => false,
    }
}

/// The object whose dropping drops `id`, other than the one that it is a part of.
pub(super) fn dropper(fates: &Fates<'_>, id: &FactId) -> Option<Arc<FactId>> {
    let local = fates.from.get(id).is_some_and(|fact| fact.is("local"));
    if let Some(twin) = twins(fates, fates.from, id).into_iter().find(|twin| fates.is_dropped(twin)) {
        return (!local && !leaves_children(fates, &twin)).then_some(twin);
    }
    if let Some(base) = typed::dropper(fates, id) {
        return Some(base);
    }
    if id.kind == Kind::Sequence {
        let owner = FactId::part(Arc::new(id.clone()), Kind::SequenceOwner, "");
        let column = fates.from.get(&owner)?.references.iter().next()?;
        return fates.is_dropped(column).then(|| Arc::clone(column));
    }
    // An index that is attached goes with the one that it is attached to, unless its table was detached before.
    let table = id.of.as_ref()?;
    let detached = fates
        .from
        .parts_of_kind(table, Kind::Attachment)
        .iter()
        .any(|(attachment, _)| matches!(fates.get(attachment), Some(Fate::Drop | Fate::Replace)));
    if detached {
        return None;
    }
    let attachment = FactId::part(Arc::new(id.clone()), Kind::Attachment, "");
    let parent = fates.from.get(&attachment)?.references.iter().find(|reference| reference.of.is_some())?;
    fates.is_dropped(parent).then(|| Arc::clone(parent))
}

/// Whether some child keeps what the parent drops, so that the parent has to drop it alone.
pub(super) fn leaves_children(fates: &Fates<'_>, parent_part: &FactId) -> bool {
    let stays = |id: &Arc<FactId>| {
        id.kind == parent_part.kind
            && id.name == parent_part.name
            && fates.to.get(id).is_some()
            && !fates.is_dropped(id)
            && twins(fates, fates.from, id).iter().any(|twin| **twin == *parent_part)
    };
    fates.from.facts.keys().any(stays)
}

/// The attributes that do not change by themselves with the parent's.
pub(super) fn own_changes(fates: &Fates<'_>, id: &FactId, names: &BTreeSet<String>) -> BTreeSet<String> {
    let mut own = names.clone();
    for name in ["inherited", "local"] {
        own.remove(name);
    }
    if id.kind == Kind::Constraint {
        own.remove("columns");
    }
    let (Some(old), Some(new)) = (fates.from.get(id), fates.to.get(id)) else { return own };
    for twin in twins(fates, fates.to, id) {
        let (Some(Fate::Alter(theirs)), Some(before), Some(after)) =
            (fates.get(&twin), fates.from.get(&twin), fates.to.get(&twin))
        else {
            continue;
        };
        for name in ["type", "collation", "not_null", "generated", "expression", "definition"] {
            let alike = before.text(name) == old.text(name) && after.text(name) == new.text(name);
            if theirs.contains(name) && alike {
                own.remove(name);
                if name == "not_null" {
                    own.retain(|name| !name.starts_with("not_null_"));
                }
            }
        }
        // From 17 on partitions share the identity of what they are partitions of.
        if theirs.contains("identity") || theirs.iter().any(|name| name.starts_with("sequence_")) {
            let shared = old.text("sequence_name").is_none() && new.text("sequence_name").is_none();
            own.retain(|name| !shared || name != "identity" && !name.starts_with("sequence_"));
        }
    }
    own
}

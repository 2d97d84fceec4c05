//! One side drops, or changes the type of, what the other side's changes are part of or refer to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Conflict, Side, conflict, shown};
use crate::diff::Delta;
use crate::fact::{FactId, Facts};
use crate::kind::Kind;
use crate::plan;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Touch {
    Drops,
    ChangesType,
    MakesAnew,
}

impl Touch {
    fn verb(self) -> &'static str {
        match self {
            Self::Drops => "drops",
            Self::ChangesType => "changes the type of",
            Self::MakesAnew => "makes anew",
        }
    }
}

/// Adds the changes of `others` that what `ours` does leaves without ground.
pub(super) fn collisions(
    fork: &Facts,
    ours: &Side<'_>,
    others: &Side<'_>,
    alike: &BTreeSet<&FactId>,
    conflicts: &mut BTreeSet<Conflict>,
) {
    let mut touched: BTreeMap<&FactId, Touch> = BTreeMap::new();
    let mut schemas: BTreeSet<&str> = BTreeSet::new();
    for (id, delta) in ours.deltas.iter().filter(|(id, _)| !alike.contains(&***id)) {
        match delta {
            Delta::Removed => {
                touched.insert(id, Touch::Drops);
                if id.kind == Kind::Schema {
                    schemas.insert(&id.name);
                }
            }
            Delta::Changed(names) if names.contains("type") => {
                touched.insert(id, Touch::ChangesType);
            }
            _ => (),
        }
    }
    // What others refer to newly, while it has to be dropped for its change.
    let mut remade = plan::remade(fork, ours.facts);
    remade.retain(|id| {
        let changed = matches!(ours.deltas.get(id), Some(Delta::Changed(_)));
        changed && !alike.contains(&**id) && !touched.contains_key(&**id) && !only_renames(fork, ours, id)
    });
    touched.extend(remade.iter().map(|id| (&**id, Touch::MakesAnew)));
    for (id, delta) in others.deltas.iter().filter(|(id, _)| !ours.deltas.contains_key(*id)) {
        if *delta == Delta::Removed {
            continue;
        }
        let mut add = |reason| conflicts.insert(conflict(id, reason));
        let (us, them) = (ours.name, others.name);
        let does = if *delta == Delta::Added { "adds" } else { "changes" };
        let what = shown(id);
        let mut whole = id.of.as_ref();
        while let Some(of) = whole {
            match touched.get(&**of) {
                Some(Touch::Drops) => {
                    add(format!("{us} drops {}, {them} {does} {what}", shown(of)));
                }
                Some(Touch::ChangesType) if id.kind == Kind::Default => {
                    add(format!("{us} changes the type of {}, {them} {does} its default", shown(of)));
                }
                _ => (),
            }
            whole = of.of.as_ref();
        }
        if id.of.is_none()
            && let Some(schema) = id.schema.as_deref().filter(|schema| schemas.contains(schema))
        {
            add(format!("{us} drops schema {schema}, {them} {does} {what}"));
        }
        let had = fork.get(id).map(|fact| &fact.references);
        for reference in others.facts.get(id).into_iter().flat_map(|fact| &fact.references) {
            // What it is part of was looked at above.
            let known = had.is_some_and(|had| had.contains(reference));
            let touch = touched.get(&**reference).filter(|touch| **touch != Touch::MakesAnew || !known);
            if let Some(touch) = touch.filter(|_| !reference.contains(id)) {
                add(format!("{us} {} {}, which {what} of {them} refers to", touch.verb(), shown(reference)));
            }
        }
    }
    generated(ours, others, conflicts);
}

/// Whether values of an enum only got other names.
fn only_renames(fork: &Facts, ours: &Side<'_>, id: &FactId) -> bool {
    let labels = |facts: &Facts| facts.get(id).map(|fact| fact.list("labels").to_vec()).unwrap_or_default();
    let (old, new) = (labels(fork), labels(ours.facts));
    // What both have keeps its place.
    let keeps = |(at, label): (usize, &String)| new[at] == *label || !new.contains(label);
    !old.is_empty() && old.len() == new.len() && old.iter().enumerate().all(keeps)
}

/// A column has a default, or is generated, or neither.
fn generated(ours: &Side<'_>, others: &Side<'_>, conflicts: &mut BTreeSet<Conflict>) {
    for id in ours.added().filter(|id| id.kind == Kind::Default) {
        let Some(column) = &id.of else { continue };
        let Some(Delta::Changed(names)) = others.deltas.get(column) else { continue };
        if let Some(how) = ["identity", "generated"].into_iter().find(|how| names.contains(*how)) {
            let reason = format!(
                "{} adds a default to {}, {} changes its {how}",
                ours.name,
                shown(column),
                others.name
            );
            conflicts.insert(conflict(id, reason));
        }
    }
}

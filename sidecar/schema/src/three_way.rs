//! What two sides made of one schema since they parted, and where that collides.

mod depend;
mod names;
mod partition;
mod rules;
mod same;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diff::{Delta, Noise, diff};
use crate::fact::{FactId, Facts};
use crate::object::{Change, ChangeKind, Object};

/// That both sides touched the same thing, or one what the other needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conflict {
    /// The object, as a person sees it.
    pub object: Object,
    /// What collides, for people. It calls the sides *the branch* and *the parent*.
    pub reason: String,
}

/// The changes of two sides since the fork point, object by object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreeWay {
    /// What mine changed and theirs did not, or not alike.
    pub mine: Vec<Change>,
    /// What theirs changed and mine did not, or not alike. An object of which each side changed another part is in both lists.
    pub theirs: Vec<Change>,
    /// The same on both sides.
    pub both: Vec<Change>,
    /// What collides. An object in conflict is in none of the other lists.
    pub conflicts: Vec<Conflict>,
}

/// One of the two sides.
struct Side<'a> {
    facts: &'a Facts,
    deltas: BTreeMap<Arc<FactId>, Delta>,
    /// What people call it.
    name: &'static str,
}

/// Compares `mine` and `theirs`, each with the `fork` point that they have in common.
///
/// Changes of different parts, or of different attributes of one part, do not collide unless one side drops or changes what
/// the other's change refers to, both take a name that can be given once, or both seem to rename the same thing.
pub fn three_way(fork: &Facts, mine: &Facts, theirs: &Facts) -> ThreeWay {
    let side = |facts, name| Side::new(fork, facts, name);
    let (ours, others) = (side(mine, "the branch"), side(theirs, "the parent"));
    let alike: BTreeSet<&FactId> = ours
        .deltas
        .keys()
        .filter(|id| others.deltas.contains_key(*id) && mine.get(id) == theirs.get(id))
        .map(|id| &**id)
        .collect();
    let mut conflicts = BTreeSet::new();
    same::collisions(fork, &ours, &others, &alike, &mut conflicts);
    for (one, another) in [(&ours, &others), (&others, &ours)] {
        depend::collisions(fork, one, another, &alike, &mut conflicts);
        rules::collisions(fork, one, another, &mut conflicts);
    }
    rules::persistence(&ours, &others, &mut conflicts);
    partition::collisions(&ours, &others, &mut conflicts);
    names::collisions(fork, &ours, &others, &mut conflicts);
    let bad: BTreeSet<&Object> = conflicts.iter().map(|conflict| &conflict.object).collect();
    let objects = |side: &Side<'_>, only: &dyn Fn(&FactId) -> bool| -> BTreeSet<Object> {
        let all = side.deltas.keys().filter(|id| only(id)).map(|id| Object::of(id));
        all.filter(|object| !bad.contains(object)).collect()
    };
    let own = |side: &Side<'_>| objects(side, &|id| !alike.contains(id));
    let (left, right) = (own(&ours), own(&others));
    let changes = |objects: BTreeSet<Object>, facts: &Facts| -> Vec<Change> {
        let change = |object: Object| Change { kind: kind(fork, facts, &object.id()), object };
        objects.into_iter().map(change).collect()
    };
    let both: BTreeSet<Object> = objects(&ours, &|id| alike.contains(id))
        .into_iter()
        .filter(|object| !left.contains(object) && !right.contains(object))
        .collect();
    ThreeWay {
        both: changes(both, mine),
        mine: changes(left, mine),
        theirs: changes(right, theirs),
        conflicts: conflicts.into_iter().collect(),
    }
}

impl<'a> Side<'a> {
    fn new(fork: &Facts, facts: &'a Facts, name: &'static str) -> Self {
        let differences = diff(fork, facts, &Noise::default());
        let deltas = differences.into_iter().map(|difference| (difference.id, difference.delta)).collect();
        Self { facts, deltas, name }
    }

    /// What it added.
    fn added(&self) -> impl Iterator<Item = &Arc<FactId>> {
        self.deltas.iter().filter(|(_, delta)| **delta == Delta::Added).map(|(id, _)| id)
    }

    fn adds(&self, id: &FactId) -> bool {
        self.deltas.get(id) == Some(&Delta::Added)
    }
}

fn kind(fork: &Facts, facts: &Facts, id: &FactId) -> ChangeKind {
    match (fork.get(id), facts.get(id)) {
        (None, Some(_)) => ChangeKind::Added,
        (Some(_), None) => ChangeKind::Removed,
        _ => ChangeKind::Changed,
    }
}

/// The name of a part for people; of one without a name of its own just its kind.
fn shown(id: &FactId) -> String {
    match &id.of {
        Some(of) if id.name.is_empty() => format!("{} of {}", id.kind, shown(of)),
        Some(of) => format!("{} {} of {}", id.kind, id.sql(), shown(of)),
        None => id.to_string(),
    }
}

fn conflict(id: &FactId, reason: String) -> Conflict {
    Conflict { object: Object::of(id), reason }
}

//! What two sides made of one schema since they parted, and where that collides.

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
    /// What collides, for people.
    pub reason: String,
}

/// The changes of two sides since the fork point, object by object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreeWay {
    /// Only mine.
    pub mine: Vec<Change>,
    /// Only theirs.
    pub theirs: Vec<Change>,
    /// The same on both sides.
    pub both: Vec<Change>,
    /// What collides. An object in conflict is in none of the other lists.
    pub conflicts: Vec<Conflict>,
}

type Deltas = BTreeMap<Arc<FactId>, Delta>;

/// Compares `mine` and `theirs`, each with the `fork` point that they have in common.
///
/// Changes of different parts, or of different attributes of one part, do not collide unless one side drops or
/// changes what the other's change refers to.
pub fn three_way(fork: &Facts, mine: &Facts, theirs: &Facts) -> ThreeWay {
    let noise = Noise::default();
    let deltas = |facts: &Facts| -> Deltas {
        diff(fork, facts, &noise).into_iter().map(|difference| (difference.id, difference.delta)).collect()
    };
    let (ours, others) = (deltas(mine), deltas(theirs));
    let mut conflicts = BTreeSet::new();
    let mut alike: BTreeSet<&FactId> = BTreeSet::new();
    for (id, delta) in &ours {
        let Some(other) = others.get(id) else { continue };
        match collision(id, mine, theirs, delta, other) {
            Some(reason) => {
                conflicts.insert(Conflict { object: Object::of(id), reason });
            }
            None if mine.get(id) == theirs.get(id) => {
                alike.insert(id);
            }
            None => {}
        }
    }
    undercut(&ours, &others, theirs, "mine", "theirs", &mut conflicts);
    undercut(&others, &ours, mine, "theirs", "mine", &mut conflicts);
    let bad: BTreeSet<&Object> = conflicts.iter().map(|conflict| &conflict.object).collect();
    let side = |deltas: &Deltas, facts: &Facts| -> BTreeSet<Change> {
        let objects: BTreeSet<Object> = deltas.keys().map(|id| Object::of(id)).collect();
        objects
            .into_iter()
            .filter(|object| !bad.contains(object))
            .map(|object| Change { kind: kind(fork, facts, &object.id()), object })
            .collect()
    };
    let same = |deltas: &Deltas, object: &Object| {
        deltas.keys().filter(|id| Object::of(id) == *object).all(|id| alike.contains(&**id))
    };
    let (left, right) = (side(&ours, mine), side(&others, theirs));
    let is_both = |change: &&Change| {
        left.contains(change)
            && right.contains(change)
            && same(&ours, &change.object)
            && same(&others, &change.object)
    };
    ThreeWay {
        both: left.iter().filter(is_both).cloned().collect(),
        mine: left.iter().filter(|change| !is_both(change)).cloned().collect(),
        theirs: right.iter().filter(|change| !is_both(change)).cloned().collect(),
        conflicts: conflicts.into_iter().collect(),
    }
}

fn kind(fork: &Facts, facts: &Facts, id: &FactId) -> ChangeKind {
    match (fork.get(id), facts.get(id)) {
        (None, Some(_)) => ChangeKind::Added,
        (Some(_), None) => ChangeKind::Removed,
        _ => ChangeKind::Changed,
    }
}

/// Why two changes of the same fact cannot both be.
fn collision(id: &FactId, mine: &Facts, theirs: &Facts, ours: &Delta, others: &Delta) -> Option<String> {
    match (ours, others) {
        (Delta::Removed, Delta::Removed) => None,
        (Delta::Removed, _) => Some(format!("mine drops {id}, theirs changes it")),
        (_, Delta::Removed) => Some(format!("theirs drops {id}, mine changes it")),
        (Delta::Added, _) | (_, Delta::Added) => {
            let same = |name: &String| {
                let value = |facts: &Facts| facts.get(id).and_then(|fact| fact.attributes.get(name).cloned());
                name == "position" || value(mine) == value(theirs)
            };
            let names = [mine, theirs]
                .into_iter()
                .filter_map(|facts| facts.get(id))
                .flat_map(|fact| fact.attributes.keys());
            let differ = names.filter(|name| !same(name)).count() > 0;
            differ.then(|| format!("both add {id}, each another"))
        }
        (Delta::Changed(ours), Delta::Changed(others)) => {
            let differs = |name: &&String| {
                let value =
                    |facts: &Facts| facts.get(id).and_then(|fact| fact.attributes.get(*name).cloned());
                value(mine) != value(theirs)
            };
            let names: Vec<&str> = ours.intersection(others).filter(differs).map(String::as_str).collect();
            (!names.is_empty()).then(|| format!("both change {} of {id}, each otherwise", names.join(", ")))
        }
    }
}

/// One side drops, or changes the type of, what the other side's changes are part of or refer to.
fn undercut(
    ours: &Deltas,
    others: &Deltas,
    their_facts: &Facts,
    us: &str,
    them: &str,
    conflicts: &mut BTreeSet<Conflict>,
) {
    let mut touched: BTreeMap<Arc<FactId>, &'static str> = BTreeMap::new();
    for (id, delta) in ours {
        match delta {
            Delta::Removed => touched.insert(Arc::clone(id), "drops"),
            Delta::Changed(names) if names.contains("type") => {
                touched.insert(Arc::clone(id), "changes the type of")
            }
            _ => None,
        };
    }
    for (id, delta) in others {
        if *delta == Delta::Removed {
            continue;
        }
        let mut of = id.of.as_ref();
        while let Some(whole) = of {
            if touched.get(whole) == Some(&"drops") && !ours.contains_key(id) {
                let reason = format!("{us} drops {whole}, {them} changes {id}");
                conflicts.insert(Conflict { object: Object::of(id), reason });
            }
            of = whole.of.as_ref();
        }
        for reference in their_facts.get(id).into_iter().flat_map(|fact| &fact.references) {
            if let Some(verb) = touched.get(reference).filter(|_| !ours.contains_key(id)) {
                let reason = format!("{us} {verb} {reference}, which {id} of {them} refers to");
                conflicts.insert(Conflict { object: Object::of(id), reason });
            }
        }
    }
}

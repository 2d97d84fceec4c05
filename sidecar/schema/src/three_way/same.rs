//! Both sides change the same fact, or make the same object.

use std::collections::BTreeSet;

use super::{Conflict, Side, conflict, shown};
use crate::diff::Delta;
use crate::fact::{FactId, Facts};
use crate::kind::Kind;

/// Adds what cannot be on both sides at once.
pub(super) fn collisions(
    fork: &Facts,
    ours: &Side<'_>,
    others: &Side<'_>,
    alike: &BTreeSet<&FactId>,
    conflicts: &mut BTreeSet<Conflict>,
) {
    for (id, delta) in ours.deltas.iter().filter(|(id, _)| !alike.contains(&***id)) {
        let Some(other) = others.deltas.get(id) else { continue };
        if let Some(reason) = collision(fork, id, (ours, delta), (others, other)) {
            conflicts.insert(conflict(id, reason));
        }
    }
    // Each made it by itself if each has a column that the other lacks.
    for id in ours.added().filter(|id| others.adds(id)) {
        let only = |side: &Side<'_>, other: &Side<'_>| {
            let columns = side.facts.parts_of_kind(id, Kind::Column);
            columns.into_iter().map(|(column, _)| column.name.clone()).find(|name| {
                let column = FactId::part(id.clone(), Kind::Column, name);
                other.facts.get(&column).is_none()
            })
        };
        if let (Some(mine), Some(theirs)) = (only(ours, others), only(others, ours)) {
            let object = shown(id);
            let reason = format!(
                "both add {object}, each another: only that of {} has a column {mine}, only that of {} a column {theirs}",
                ours.name, others.name
            );
            conflicts.insert(conflict(id, reason));
        }
    }
}

fn collision(
    fork: &Facts,
    id: &FactId,
    (ours, delta): (&Side<'_>, &Delta),
    (others, other): (&Side<'_>, &Delta),
) -> Option<String> {
    let value = |facts: &Facts, name: &str| facts.get(id).and_then(|fact| fact.attributes.get(name).cloned());
    let differs = |name: &&String| value(ours.facts, name) != value(others.facts, name);
    let what = shown(id);
    match (delta, other) {
        (Delta::Removed, Delta::Removed) => None,
        (Delta::Removed, _) => Some(format!("{} drops {what}, {} changes it", ours.name, others.name)),
        (_, Delta::Removed) => Some(format!("{} drops {what}, {} changes it", others.name, ours.name)),
        (Delta::Added, _) | (_, Delta::Added) => {
            let facts = [ours, others].into_iter().filter_map(|side| side.facts.get(id));
            let mut names = facts.flat_map(|fact| fact.attributes.keys());
            let is_other = names.any(|name| name != "position" && differs(&name));
            is_other.then(|| format!("both add {what}, each another"))
        }
        (Delta::Changed(mine), Delta::Changed(theirs)) => {
            let names: Vec<&str> = mine
                .intersection(theirs)
                .filter(differs)
                .map(String::as_str)
                .filter(|name| {
                    let [old, new, newer] = [fork, ours.facts, others.facts]
                        .map(|facts| facts.get(id).map(|fact| fact.list(name)));
                    !(id.kind == Kind::Type && *name == "labels" && fit(old, new, newer))
                })
                .collect();
            (!names.is_empty()).then(|| format!("both change {} of {what}, each otherwise", names.join(", ")))
        }
    }
}

/// Whether both lists have only more than the first one, and at different places.
fn fit(old: Option<&[String]>, one: Option<&[String]>, other: Option<&[String]>) -> bool {
    let (Some(old), Some(one), Some(other)) = (old, one, other) else { return false };
    let (Some(one), Some(other)) = (insertions(old, one), insertions(old, other)) else { return false };
    let places: BTreeSet<usize> = one.iter().map(|(place, _)| *place).collect();
    let new: BTreeSet<&String> = one.iter().map(|(_, value)| *value).collect();
    other.iter().all(|(place, value)| !places.contains(place) && !new.contains(value))
}

/// What `new` has more than `old`, and before which of the old ones; `None` if it lacks one or has another order.
fn insertions<'a>(old: &[String], new: &'a [String]) -> Option<Vec<(usize, &'a String)>> {
    let mut place = 0;
    let mut found = Vec::new();
    for value in new {
        if old.get(place) == Some(value) {
            place += 1;
        } else {
            found.push((place, value));
        }
    }
    (place == old.len()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn values_fit_if_they_come_in_at_different_places() {
        let fits = |old: &str, one: &str, other: &str| {
            let list = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
            fit(Some(&list(old)), Some(&list(one)), Some(&list(other)))
        };
        assert!(fits("ac", "abc", "acd"));
        assert!(!fits("ac", "abc", "axc"), "which comes first?");
        assert!(!fits("ac", "abc", "acb"), "one value, two places");
        assert!(!fits("ac", "ca", "acd") && !fits("ac", "a", "acd"));
    }
}

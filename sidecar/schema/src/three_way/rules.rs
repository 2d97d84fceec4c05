//! Changes of different things that Postgres does not let stand together.

use std::collections::BTreeSet;

use super::{Conflict, Side, conflict, shown};
use crate::diff::Delta;
use crate::fact::{Fact, FactId, Facts, Value};
use crate::kind::Kind;
use crate::tokens::{Sort, tokens};

/// Adds what either side does against a rule that the other side's change has made hold. To be called both ways.
pub(super) fn collisions(
    fork: &Facts,
    ours: &Side<'_>,
    others: &Side<'_>,
    conflicts: &mut BTreeSet<Conflict>,
) {
    not_null(ours, others, conflicts);
    labels(fork, ours, others, conflicts);
    attributes(ours, others, conflicts);
}

fn changes<'a>(side: &'a Side<'_>, attribute: &str) -> Vec<&'a FactId> {
    let with = |delta: &Delta| matches!(delta, Delta::Changed(names) if names.contains(attribute));
    side.deltas.iter().filter(|(_, delta)| with(delta)).map(|(id, _)| &**id).collect()
}

/// The columns of a primary key, and those that are identities, may not be null.
fn not_null(ours: &Side<'_>, others: &Side<'_>, conflicts: &mut BTreeSet<Conflict>) {
    for id in changes(ours, "not_null") {
        if ours.facts.get(id).is_none_or(|column| column.is("not_null")) {
            continue;
        }
        let key = others.added().find(|key| {
            let fact = others.facts.get(key);
            key.kind == Kind::Constraint
                && key.owner() == id.owner()
                && fact.is_some_and(|fact| {
                    fact.text("form") == Some("primaryKey") && fact.list("columns").contains(&id.name)
                })
        });
        let what = shown(id);
        let (us, them) = (ours.name, others.name);
        if let Some(key) = key {
            let key = shown(key);
            conflicts.insert(conflict(id, format!("{us} lets {what} be null, {them} adds {key} over it")));
        } else if changes(others, "identity").contains(&id)
            && others.facts.get(id).is_some_and(|column| column.text("identity").is_some())
        {
            conflicts.insert(conflict(id, format!("{us} lets {what} be null, {them} makes it an identity")));
        }
    }
}

/// Values of an enum that one side takes away or renames and the other begins to use.
fn labels(fork: &Facts, ours: &Side<'_>, others: &Side<'_>, conflicts: &mut BTreeSet<Conflict>) {
    let list = |facts: &Facts, id: &FactId| facts.get(id).map(|fact| fact.list("labels").to_vec());
    for id in changes(ours, "labels") {
        let (Some(old), Some(new)) = (list(fork, id), list(ours.facts, id)) else { continue };
        let gone: Vec<String> = old.into_iter().filter(|label| !new.contains(label)).collect();
        if gone.is_empty() {
            continue;
        }
        for (user, delta) in &others.deltas {
            let Some(fact) = others.facts.get(user).filter(|_| *delta != Delta::Removed) else { continue };
            let Some(label) = gone.iter().find(|label| uses(fact, label)) else { continue };
            if others.facts.get(user) != ours.facts.get(user) && is_about(others.facts, user, fact, id) {
                let reason = format!(
                    "{} takes the value {label} from {}, which {} of {} uses",
                    ours.name,
                    shown(id),
                    shown(user),
                    others.name
                );
                conflicts.insert(conflict(user, reason));
            }
        }
    }
}

/// Whether some attribute has the value as a string of its own or in one of an array.
fn uses(fact: &Fact, label: &str) -> bool {
    let in_text = |text: &String| {
        tokens(text).iter().filter(|token| token.sort == Sort::Text).any(|token| {
            let inner = token.text.trim_start_matches('E').trim_matches('\'').replace("''", "'");
            let array = inner.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let held = |entry: &str| entry.trim_matches(['"', '{', '}']) == label;
            inner == label || array.is_some_and(|array| array.split(',').any(held))
        })
    };
    let texts = fact.attributes.iter().filter(|(name, _)| !crate::plan::is_note(name));
    texts.filter_map(|(_, value)| if let Value::Text(text) = value { Some(text) } else { None }).any(in_text)
}

/// Whether it refers to the type, is part of a column of it, or a partition of a table that is partitioned by one.
fn is_about(facts: &Facts, id: &FactId, fact: &Fact, of_type: &FactId) -> bool {
    let refers = |fact: &Fact| fact.references.iter().any(|reference| **reference == *of_type);
    let parents = || fact.references.iter().filter(|parent| parent.kind == Kind::Table);
    let key = |parent: &FactId| {
        facts.parts_of_kind(parent, Kind::Column).into_iter().any(|(_, column)| refers(column))
    };
    refers(fact)
        || id.of.as_ref().and_then(|of| facts.get(of)).is_some_and(refers)
        || id.kind == Kind::Attachment && parents().any(|parent| key(parent))
}

/// No attribute of a composite type gets another type while tables have columns of it.
fn attributes(ours: &Side<'_>, others: &Side<'_>, conflicts: &mut BTreeSet<Conflict>) {
    let of_composite = |id: &FactId| id.kind == Kind::Column && id.owner().kind == Kind::Type;
    for id in changes(ours, "type").into_iter().filter(|id| of_composite(id)) {
        for column in others.added().filter(|column| column.kind == Kind::Column) {
            let fact = others.facts.get(column).filter(|_| column.owner().kind != Kind::Type);
            if fact.is_some_and(|fact| fact.references.iter().any(|reference| **reference == *id.owner())) {
                let reason = format!(
                    "{} changes the type of {}, of which {} of {} is made",
                    ours.name,
                    shown(id),
                    shown(column),
                    others.name
                );
                conflicts.insert(conflict(column, reason));
            }
        }
    }
}

/// A table that outlives a crash may not refer to one that does not. Both ways at once.
pub(super) fn persistence(ours: &Side<'_>, others: &Side<'_>, conflicts: &mut BTreeSet<Conflict>) {
    if changes(ours, "unlogged").is_empty() && changes(others, "unlogged").is_empty() {
        return;
    }
    let unlogged = |table: &FactId| {
        let side = if changes(ours, "unlogged").contains(&table) || others.facts.get(table).is_none() {
            ours
        } else {
            others
        };
        side.facts.get(table).is_some_and(|fact| fact.is("unlogged"))
    };
    for (side, other) in [(ours, others), (others, ours)] {
        for (key, fact) in &side.facts.facts {
            let gone = other.deltas.get(key) == Some(&Delta::Removed);
            if gone || fact.text("form") != Some("foreignKey") {
                continue;
            }
            let table = key.owner();
            let is_target = |id: &FactId| id.kind == Kind::Table && id != table;
            let target = fact.references.iter().map(|id| id.root()).find(|id| is_target(id));
            if let Some(target) = target.filter(|target| unlogged(target) && !unlogged(table)) {
                let reason = format!(
                    "{} would refer to {}, which is unlogged on one side, while {} is not on the other",
                    shown(key),
                    shown(target),
                    shown(table)
                );
                for id in [table, target] {
                    conflicts.insert(conflict(id, reason.clone()));
                }
            }
        }
    }
}

//! Foreign keys as lines between boxes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use offshoot_schema::{Fact, FactId, Facts, Kind, Object};

use super::{Deltas, Link, MOST_BOXES, State, TableBox, of_delta};
use crate::sides::{Group, Sides};
use crate::words::one_line;

/// A foreign key of either side.
struct Key {
    id: Arc<FactId>,
    from: Object,
    to: Object,
    columns: String,
}

/// Whether a column belongs to the primary key, and whether to a foreign one, by its name.
pub(super) fn key_columns(before: &Facts, after: &Facts, table: &FactId) -> BTreeMap<String, (bool, bool)> {
    let mut found: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for facts in [before, after] {
        for (id, fact) in facts.parts(table) {
            if id.kind != Kind::Constraint {
                continue;
            }
            match fact.text("form") {
                Some("primaryKey") => {
                    for name in fact.list("columns") {
                        found.entry(name.clone()).or_default().0 = true;
                    }
                }
                Some("foreignKey") => {
                    for name in columns(fact).split(", ") {
                        found.entry(name.trim_matches('"').replace("\"\"", "\"")).or_default().1 = true;
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// The lines between `boxes`, which show `objects`. Tables at the other end of their keys are added as `neighbour` draws them.
pub(super) fn links(
    sides: &Sides<'_>,
    objects: Vec<Object>,
    boxes: &mut Vec<TableBox>,
    deltas: &BTreeMap<Group, Deltas>,
    neighbour: &dyn Fn(&Object) -> TableBox,
) -> Vec<Link> {
    let keys = keys(sides);
    let changed: BTreeSet<Object> = objects.iter().cloned().collect();
    let mut places: BTreeMap<Object, usize> =
        objects.into_iter().enumerate().map(|(at, object)| (object, at)).collect();
    let mut links = Vec::new();
    for key in keys {
        if !changed.contains(&key.from) && !changed.contains(&key.to) {
            continue;
        }
        let mut place = |object: &Object| -> Option<usize> {
            if let Some(at) = places.get(object) {
                return Some(*at);
            }
            if boxes.len() >= MOST_BOXES {
                return None;
            }
            boxes.push(neighbour(object));
            places.insert(object.clone(), boxes.len() - 1);
            Some(boxes.len() - 1)
        };
        let (Some(from), Some(to)) = (place(&key.from), place(&key.to)) else { continue };
        let state = boxes[from]
            .group
            .map_or(State::Same, |group| of_delta(deltas.get(&group).and_then(|deltas| deltas.get(&key.id))));
        links.push(Link { name: one_line(&key.id.name), from, to, columns: one_line(&key.columns), state });
    }
    links
}

/// Every foreign key of any of the schemas, once.
fn keys(sides: &Sides<'_>) -> Vec<Key> {
    let mut found: BTreeMap<Arc<FactId>, Key> = BTreeMap::new();
    for facts in [sides.mine.facts, sides.base(), sides.theirs.facts] {
        for (id, fact) in &facts.facts {
            if id.kind == Kind::Constraint
                && fact.text("form") == Some("foreignKey")
                && !found.contains_key(id)
            {
                let from = Object::of(id);
                let to = referred(id, fact).unwrap_or_else(|| from.clone());
                let key = Key { id: Arc::clone(id), from, to, columns: columns(fact) };
                found.insert(Arc::clone(id), key);
            }
        }
    }
    found.into_values().collect()
}

/// The table that a foreign key refers to; `None` if that is its own.
fn referred(id: &FactId, fact: &Fact) -> Option<Object> {
    let own = id.root();
    let mut roots = fact.references.iter().map(|reference| reference.root());
    roots.find(|root| *root != own && root.kind == Kind::Table).map(Object::of)
}

/// The referring columns as the definition lists them.
fn columns(fact: &Fact) -> String {
    let text = fact.text("definition").unwrap_or_default();
    let list = text.split_once("FOREIGN KEY (").and_then(|(_, rest)| rest.split_once(") REFERENCES"));
    list.map(|(columns, _)| columns.to_owned()).unwrap_or_default()
}

//! What has to come before what because both want the same name.

use std::collections::HashMap;

use super::nodes::{Act, Nodes};
use crate::fact::{FactId, Facts};
use crate::kind::Kind;
use crate::render::name;
use crate::sql;

impl Nodes<'_> {
    /// A name has to be free before something new takes it.
    pub(super) fn name_edges(&mut self) {
        let mut taken: HashMap<String, Vec<usize>> = HashMap::new();
        for id in self.fates.from.facts.keys() {
            let names = names(self.fates.from, id);
            if names.is_empty() || !self.fates.is_dropped(id) {
                let identity = if id.kind == Kind::Column { self.node(Act::Alter, id) } else { None };
                for name in names.into_iter().filter(|_| identity.is_some()) {
                    taken.entry(name).or_default().extend(identity);
                }
                continue;
            }
            let away = self.node(Act::Away, id).or_else(|| self.away_of_type(id));
            let gone = away.or_else(|| self.drop_of(id));
            for name in names {
                taken.entry(name).or_default().extend(gone);
            }
        }
        for id in self.fates.to.facts.keys() {
            let changed = if id.kind == Kind::Column { self.node(Act::Alter, id) } else { None };
            if taken.is_empty() || changed.is_none() && !self.fates.is_created(id) {
                continue;
            }
            let made = changed.or_else(|| self.create_of(id));
            for name in names(self.fates.to, id) {
                for gone in taken.get(&name).into_iter().flatten() {
                    self.graph.edge(Some(*gone), made);
                }
            }
        }
    }
}

/// The names that an object takes, each with the space that it lies in.
fn names(facts: &Facts, id: &FactId) -> Vec<String> {
    let fact = facts.get(id);
    let relation = |name: String| format!("relation {name}");
    match id.kind {
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => {
            vec![relation(id.sql()), format!("type {}", id.sql())]
        }
        Kind::Type | Kind::Domain => {
            let mut names = vec![format!("type {}", id.sql())];
            names.extend(
                fact.and_then(|fact| fact.text("range_multirange")).map(|name| format!("type {name}")),
            );
            if fact.and_then(|fact| fact.text("form")) == Some("composite") {
                names.push(relation(id.sql()));
            }
            names
        }
        Kind::Sequence => vec![relation(id.sql())],
        Kind::Index => vec![relation(name::beside(id.owner(), &id.name))],
        Kind::Constraint if fact.and_then(|fact| fact.text("form")) != Some("check") => {
            vec![relation(name::beside(id.owner(), &id.name)), constraint(id.owner(), &id.name)]
        }
        Kind::Constraint => vec![constraint(id.owner(), &id.name)],
        Kind::Column => {
            let text = |name| fact.and_then(|fact| fact.text(name));
            let not_null = text("not_null_name").filter(|_| fact.is_some_and(|fact| fact.is("not_null")));
            let sequence = text("sequence_name").map(|name| relation(name.to_owned()));
            sequence.into_iter().chain(not_null.map(|name| constraint(id.owner(), name))).collect()
        }
        kind if kind.is_routine() => vec![format!("routine {}", id.sql())],
        _ => Vec::new(),
    }
}

fn constraint(owner: &FactId, name: &str) -> String {
    format!("constraint {owner} {}", sql::quote(name))
}

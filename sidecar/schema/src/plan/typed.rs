//! Types that others are made of: base types with their functions, composite types with their tables.

use std::sync::Arc;

use super::fate::Fates;
use super::nodes::{Act, Nodes};
use crate::fact::{FactId, Facts};
use crate::kind::Kind;

/// Whether it is a base type, which is announced before its functions are made.
pub(super) fn is_base(facts: &Facts, id: &FactId) -> bool {
    id.kind == Kind::Type && facts.get(id).and_then(|fact| fact.text("form")) == Some("base")
}

/// Whether `routine` is one that reads or writes values of `base`, so that each needs the other.
pub(super) fn is_mutual(facts: &Facts, routine: &FactId, base: &FactId) -> bool {
    let refers = |id: &FactId, to: &FactId| {
        facts.get(id).is_some_and(|fact| fact.references.iter().any(|other| **other == *to))
    };
    routine.kind.is_routine() && is_base(facts, base) && refers(base, routine) && refers(routine, base)
}

/// The base type whose dropping drops `routine`.
pub(super) fn dropper(fates: &Fates<'_>, routine: &FactId) -> Option<Arc<FactId>> {
    if !routine.kind.is_routine() {
        return None;
    }
    let fact = fates.from.get(routine)?;
    fact.references
        .iter()
        .find(|base| fates.is_dropped(base) && is_mutual(fates.from, routine, base))
        .cloned()
}

/// The composite type that a table is made of before and after, while the type stays.
pub(super) fn kept_type(fates: &Fates<'_>, table: &FactId) -> Option<Arc<FactId>> {
    let of = |facts: &Facts| facts.get(table).and_then(|fact| fact.text("of_type")).map(str::to_owned);
    let name = of(fates.from).filter(|name| of(fates.to).as_ref() == Some(name))?;
    let references = &fates.from.get(table)?.references;
    let composite = references.iter().find(|id| id.kind == Kind::Type && id.sql() == name)?;
    (!fates.is_dropped(composite) && !fates.is_created(composite)).then(|| Arc::clone(composite))
}

/// Whether tables are made of a composite type, so that changes have to reach them.
pub(super) fn has_tables(fates: &Fates<'_>, composite: &FactId) -> bool {
    let name = composite.sql();
    fates.from.facts.values().any(|fact| fact.text("of_type") == Some(name.as_str()))
}

/// Whether `table` becomes one of a composite type, so that its part `column` changes before it does.
pub(super) fn gains_type(fates: &Fates<'_>, column: &FactId, table: &FactId) -> bool {
    let of = |facts: &Facts| facts.get(table).and_then(|fact| fact.text("of_type")).map(str::to_owned);
    column.kind == Kind::Column
        && table.contains(column)
        && of(fates.to).is_some()
        && of(fates.from) != of(fates.to)
}

impl Nodes<'_> {
    /// What lets go of a composite type does so before the type's attributes change.
    pub(super) fn before_attributes(&mut self, at: usize, id: &FactId, need: &FactId) {
        if need.kind != Kind::Type || need.contains(id) {
            return;
        }
        let lets_go =
            self.fates.to.get(id).is_none_or(|fact| !fact.references.iter().any(|other| **other == *need));
        let sides = [self.fates.from, self.fates.to];
        let attributes = sides.iter().flat_map(|facts| facts.parts_of_kind(need, Kind::Column));
        let attributes: Vec<Arc<FactId>> = attributes.map(|(id, _)| Arc::clone(id)).collect();
        for attribute in attributes.iter().filter(|_| lets_go) {
            for act in [Act::Alter, Act::Create, Act::Drop] {
                let change = self.node(act, attribute);
                self.graph.edge(Some(at), change);
            }
        }
    }

    /// A table takes the columns of its type before it is made one of the type, and parts from the type before it changes.
    pub(super) fn typed_edges(&mut self) {
        let (from, to) = (self.fates.from, self.fates.to);
        for (id, fact) in to.facts.iter().filter(|(id, _)| id.kind == Kind::Table) {
            let Some(at) = self.node(Act::Alter, id) else { continue };
            let before = from.get(id).and_then(|fact| fact.text("of_type"));
            let after = fact.text("of_type");
            if before == after {
                continue;
            }
            let columns =
                from.parts_of_kind(id, Kind::Column).into_iter().chain(to.parts_of_kind(id, Kind::Column));
            let columns: Vec<Arc<FactId>> = columns.map(|(id, _)| Arc::clone(id)).collect();
            for column in columns {
                for node in [
                    self.node(Act::Alter, &column),
                    self.node(Act::Drop, &column),
                    self.node(Act::Create, &column),
                ] {
                    if after.is_some() {
                        self.graph.edge(node, Some(at));
                    } else {
                        self.graph.edge(Some(at), node);
                    }
                }
            }
        }
    }
}

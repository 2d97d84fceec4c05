//! Tables that become partitioned, cease to be, or are partitioned otherwise: they are made anew, and their rows go along.

use std::sync::Arc;

use super::column;
use super::fate::Fates;
use super::nodes::{Act, Nodes};
use crate::fact::{FactId, Facts};
use crate::kind::Kind;
use crate::render::{self, name};
use crate::sql;

/// Whether a table that is made anew takes its rows along.
pub(super) fn is_converted(fates: &Fates<'_>, id: &FactId) -> bool {
    id.kind == Kind::Table && fates.swapped.contains(id)
}

/// Whether the two differ in how they are partitioned, so that a table has to be made anew.
pub(super) fn changes_partitioning(fates: &Fates<'_>, id: &FactId) -> bool {
    let (Some(old), Some(new)) = (fates.from.get(id), fates.to.get(id)) else { return false };
    id.kind == Kind::Table && old.text("partition_key") != new.text("partition_key")
}

/// Whether a partition's rows go over into a table that takes its parent's place.
pub(super) fn goes_over(fates: &Fates<'_>, partition: &FactId) -> bool {
    let link = FactId::part(Arc::new(partition.clone()), Kind::Attachment, "");
    let parent = fates.from.get(&link).and_then(|fact| fact.references.iter().next());
    parent.is_some_and(|parent| is_converted(fates, parent) || goes_over(fates, parent))
}

/// The types and domains that are made anew while rows of converted tables hold values of them.
pub(super) fn types_on_the_way(fates: &Fates<'_>) -> Vec<Arc<FactId>> {
    let tables = fates.swapped.iter().filter(|id| id.kind == Kind::Table);
    let columns = tables.flat_map(|table| fates.from.parts_of_kind(table, Kind::Column));
    let used = columns.flat_map(|(_, column)| &column.references);
    let remade = |id: &&Arc<FactId>| {
        matches!(id.kind, Kind::Type | Kind::Domain) && fates.is_dropped(id) && fates.to.get(id).is_some()
    };
    used.filter(remade).cloned().collect()
}

/// The foreign keys of a converted table, which go before it does: it may be in a circle of them.
pub(super) fn foreign_keys(facts: &Facts, table: &FactId) -> Vec<Arc<FactId>> {
    let keys = facts.parts_of_kind(table, Kind::Constraint).into_iter();
    let keys = keys.filter(|(_, fact)| fact.text("form") == Some("foreignKey") && !fact.is("inherited"));
    keys.map(|(id, _)| Arc::clone(id)).collect()
}

/// Makes room for the new table.
pub(super) fn away(fates: &Fates<'_>, id: &FactId, other: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let link = FactId::part(Arc::new(id.clone()), Kind::Attachment, "");
    let parent = fates.from.get(&link).and_then(|fact| fact.references.iter().next());
    if parent.is_some_and(|parent| !fates.is_dropped(parent)) {
        statements.extend(render::drop(fates.from, &link));
    }
    for (part, fact) in fates.from.parts_of_kind(id, Kind::Column) {
        if fact.text("identity").is_some() && fact.text("sequence_name").is_some() {
            let column = sql::quote(&part.name);
            statements.push(format!("{} ALTER COLUMN {column} DROP IDENTITY", name::alter(id)));
        }
    }
    statements.push(format!("{} RENAME TO {}", name::alter(id), sql::quote(other)));
    statements
}

/// Copies the rows.
pub(super) fn copy(fates: &Fates<'_>, id: &FactId, other: &str) -> Vec<String> {
    let (mut names, mut values, mut after) = (Vec::new(), Vec::new(), Vec::new());
    let mut overriding = "";
    for (part, new) in fates.to.parts_of_kind(id, Kind::Column) {
        let Some(old) = fates.from.get(part) else { continue };
        if new.text("generated").is_some() {
            continue;
        }
        let column = sql::quote(&part.name);
        if new.text("identity") == Some("ALWAYS") {
            overriding = " OVERRIDING SYSTEM VALUE";
        }
        if let (Some(_), Some(sequence)) = (new.text("identity"), new.text("sequence_name")) {
            let last = format!("(SELECT max({column}) FROM {})", id.sql());
            let sequence = sql::literal(sequence);
            after.push(format!("SELECT pg_catalog.setval({sequence}, {last}) WHERE {last} IS NOT NULL"));
        }
        values.push(column::value(fates, &column, old, new));
        names.push(column);
    }
    if names.is_empty() {
        return Vec::new();
    }
    let source = FactId::top(id.kind, id.schema.as_deref(), other).sql();
    let (names, values) = (names.join(", "), values.join(", "));
    let mut statements =
        vec![format!("INSERT INTO {} ({names}){overriding}\nSELECT {values} FROM {source}", id.sql())];
    statements.extend(after);
    statements
}

impl Nodes<'_> {
    /// Rows are copied when every partition is there, before anything checks, indexes or hears of them.
    pub(super) fn conversion_edges(&mut self) {
        let tables: Vec<Arc<FactId>> =
            self.fates.swapped.iter().filter(|id| id.kind == Kind::Table).cloned().collect();
        for table in tables {
            let (away, sweep) = (self.node(Act::Away, &table), self.node(Act::Sweep, &table));
            let Some(copy) = self.node(Act::Copy, &table) else { continue };
            let create = self.create_of(&table);
            self.graph.edge(away, create);
            self.graph.edge(create, Some(copy));
            self.graph.edge(Some(copy), sweep);
            let parts: Vec<Arc<FactId>> =
                self.fates.to.parts(&table).into_iter().map(|(id, _)| Arc::clone(id)).collect();
            for part in parts {
                let made = self.node(Act::Create, &part);
                if matches!(
                    part.kind,
                    Kind::Constraint | Kind::Index | Kind::Trigger | Kind::Rule | Kind::Policy
                ) {
                    self.graph.edge(Some(copy), made);
                    self.graph.edge(sweep, made);
                }
            }
            for key in foreign_keys(self.fates.from, &table) {
                let gone = self.node(Act::Drop, &key);
                self.graph.edge(gone, away);
            }
            self.partition_copy_edges(&table, away, copy);
        }
    }

    fn partition_copy_edges(&mut self, table: &Arc<FactId>, away: Option<usize>, copy: usize) {
        let (from, to) = (self.fates.from, self.fates.to);
        let partitions = |facts: &Facts| -> Vec<Arc<FactId>> {
            let mut found: Vec<Arc<FactId>> = vec![Arc::clone(table)];
            let mut at = 0;
            while let Some(parent) = found.get(at).cloned() {
                let links = facts.facts.iter().filter(|(link, fact)| {
                    link.kind == Kind::Attachment
                        && link.owner().kind.is_relation()
                        && fact.references.contains(&parent)
                });
                found.extend(links.filter_map(|(link, _)| link.of.clone()));
                at += 1;
            }
            found.split_off(1)
        };
        for partition in partitions(to) {
            let link = FactId::part(Arc::clone(&partition), Kind::Attachment, "");
            let attached = self.create_of(&link).or_else(|| self.create_of(&partition));
            self.graph.edge(attached, Some(copy));
        }
        for partition in partitions(from) {
            let link = FactId::part(Arc::clone(&partition), Kind::Attachment, "");
            let detached = self.node(Act::Drop, &link);
            self.graph.edge(detached, away);
            if self.fates.to.get(&partition).is_none() {
                let gone = self.node(Act::Drop, &partition);
                self.graph.edge(Some(copy), gone);
            }
        }
    }
}

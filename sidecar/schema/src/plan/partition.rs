//! What has to come before what among partitions, their indexes and the foreign keys that refer to them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::nodes::{Act, Nodes};
use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;

impl Nodes<'_> {
    pub(super) fn partition_edges(&mut self) {
        let links: Vec<Arc<FactId>> =
            self.fates.to.facts.keys().filter(|id| id.kind == Kind::Attachment).cloned().collect();
        for link in links {
            let Some(child) = link.of.clone() else { continue };
            if !matches!(child.kind, Kind::Table | Kind::ForeignTable) {
                // An index is attached after its table is.
                let table =
                    child.of.as_ref().map(|table| FactId::part(Arc::clone(table), Kind::Attachment, ""));
                let attach = table.and_then(|table| self.create_of(&table));
                let index = self.create_of(&link);
                self.graph.edge(attach, index);
                continue;
            }
            let attach = self.create_of(&link);
            let Some(parent) =
                self.fates.to.get(&link).and_then(|fact| fact.references.iter().next().cloned())
            else {
                continue;
            };
            let parts: Vec<_> =
                self.fates.to.parts(&parent).into_iter().map(|(id, _)| Arc::clone(id)).collect();
            for part in parts {
                let of_child = matches!(part.kind, Kind::Index | Kind::Trigger)
                    || part.kind == Kind::Constraint && self.form(&part) != Some("check");
                let made = self.create_of(&part);
                if of_child && made != self.create_of(&parent) {
                    self.graph.edge(attach, made);
                }
            }
            self.child_index_edges(&child, attach);
        }
        self.detach_edges();
        self.lost_column_edges();
    }

    /// What gets a parent has the same columns, so that those that one of the two loses go before.
    fn lost_column_edges(&mut self) {
        let (from, to) = (self.fates.from, self.fates.to);
        let is_link = |id: &FactId| {
            matches!(id.kind, Kind::Attachment | Kind::Inheritance) && id.owner().kind.is_relation()
        };
        for (link, fact) in to.facts.iter().filter(|(id, _)| is_link(id) && self.fates.is_created(id)) {
            let Some(child) = &link.of else { continue };
            let (linked, made) = (self.create_of(link), self.create_of(child));
            let partition = (link.kind == Kind::Attachment).then_some(child);
            for table in fact.references.iter().chain(partition) {
                for (column, _) in from.parts_of_kind(table, Kind::Column) {
                    let gone = self.node(Act::Drop, column).filter(|_| to.get(column).is_none());
                    self.graph.edge(gone, linked);
                    if link.kind == Kind::Inheritance {
                        self.graph.edge(gone, made);
                    }
                }
            }
        }
    }

    /// Foreign keys need an index that is whole, and hold on to every partition of what they refer to.
    pub(super) fn foreign_key_edges(&mut self) {
        let (from, to) = (self.fates.from, self.fates.to);
        let is_key = |fact: &Fact| fact.text("form") == Some("foreignKey");
        let parts = children(to, |link| !link.owner().kind.is_relation());
        for (id, fact) in to.facts.iter().filter(|(id, fact)| is_key(fact) && self.fates.is_created(id)) {
            let made = self.create_of(id);
            for index in fact.references.iter().flat_map(|reference| below(&parts, reference)) {
                let link = FactId::part(index, Kind::Attachment, "");
                let whole = self.create_of(&link);
                self.graph.edge(whole, made);
            }
        }
        let parts = children(from, |link| link.owner().kind.is_relation());
        for (id, fact) in from.facts.iter().filter(|(id, fact)| is_key(fact) && self.fates.is_dropped(id)) {
            let gone = self.drop_of(id);
            let tables: BTreeSet<Arc<FactId>> =
                fact.references.iter().filter_map(|reference| reference.of.clone()).collect();
            // The key that it refers to cannot go before it.
            let own = self.node(Act::Drop, id);
            for table in &tables {
                for kind in [Kind::Constraint, Kind::Index] {
                    for (key, _) in from.parts_of_kind(table, kind).iter().filter(|(_, fact)| !is_key(fact)) {
                        let drop = self.node(Act::Drop, key);
                        self.graph.edge(own, drop);
                    }
                }
            }
            // Its own partitions, too: what is detached keeps a copy.
            for partition in
                tables.iter().filter(|table| table.of.is_none()).flat_map(|table| below(&parts, table))
            {
                let drop = self.drop_of(&partition);
                self.graph.edge(gone, drop);
                let detach = self.drop_of(&FactId::part(partition, Kind::Attachment, ""));
                self.graph.edge(gone, detach);
            }
        }
    }

    fn form(&self, id: &FactId) -> Option<&str> {
        self.fates.to.get(id).and_then(|fact| fact.text("form"))
    }

    /// Where the parent has an index already, the partition brings its own along, lest attaching makes another.
    fn child_index_edges(&mut self, child: &Arc<FactId>, attach: Option<usize>) {
        let parts: Vec<_> = self.fates.to.parts(child).into_iter().map(|(id, _)| Arc::clone(id)).collect();
        for part in parts {
            let link = FactId::part(Arc::clone(&part), Kind::Attachment, "");
            let parent = self.fates.to.get(&link).and_then(|fact| fact.references.iter().next().cloned());
            let kept = parent.is_some_and(|parent| !self.fates.is_created(&parent));
            let check = part.kind == Kind::Constraint && self.form(&part) == Some("check");
            if kept || check {
                let made = self.create_of(&part);
                self.graph.edge(made, attach);
            }
        }
    }

    /// What a partition has from its parent can only be dropped once it is detached.
    fn detach_edges(&mut self) {
        let links: Vec<Arc<FactId>> =
            self.fates.from.facts.keys().filter(|id| id.kind == Kind::Attachment).cloned().collect();
        for link in links {
            let (Some(detach), Some(child)) = (self.node(Act::Drop, &link), link.of.clone()) else {
                continue;
            };
            let parts: Vec<_> =
                self.fates.from.parts(&child).into_iter().map(|(id, _)| Arc::clone(id)).collect();
            for part in parts {
                let inherited = self.fates.from.get(&part).is_some_and(|fact| fact.is("inherited"));
                let attached = FactId::part(Arc::clone(&part), Kind::Attachment, "");
                if inherited || self.fates.from.get(&attached).is_some() {
                    let drop = self.node(Act::Drop, &part);
                    self.graph.edge(Some(detach), drop);
                    let alter = self.node(Act::Alter, &part);
                    self.graph.edge(Some(detach), alter);
                }
            }
        }
    }
}

/// Which tables or indexes are attached to which, of the links that `wanted` picks.
fn children(facts: &Facts, wanted: impl Fn(&FactId) -> bool) -> HashMap<Arc<FactId>, Vec<Arc<FactId>>> {
    let mut children: HashMap<Arc<FactId>, Vec<Arc<FactId>>> = HashMap::new();
    for (link, fact) in facts.facts.iter().filter(|(link, _)| link.kind == Kind::Attachment && wanted(link)) {
        if let (Some(parent), Some(child)) = (fact.references.iter().next(), &link.of) {
            children.entry(Arc::clone(parent)).or_default().push(Arc::clone(child));
        }
    }
    children
}

/// All that is attached to `parent`, at any depth.
fn below(children: &HashMap<Arc<FactId>, Vec<Arc<FactId>>>, parent: &Arc<FactId>) -> Vec<Arc<FactId>> {
    let mut found = Vec::new();
    let mut waiting = vec![Arc::clone(parent)];
    while let Some(next) = waiting.pop() {
        let more = children.get(&next).into_iter().flatten().cloned();
        let more: Vec<_> = more.collect();
        found.extend(more.iter().cloned());
        waiting.extend(more);
    }
    found
}

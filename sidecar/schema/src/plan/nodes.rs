//! Fates become steps, steps get an order.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::fate::{Fate, Fates, is_outward};
use super::graph::Graph;
use super::{Plan, PlanOptions, convert, fold, implied, typed};
use crate::fact::{FactId, Facts};
use crate::kind::{Kind, Rank};

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Act {
    /// Drops it.
    Drop,
    /// Announces a base type to the functions that read and write it.
    Shell,
    /// Gives a type another name, to make room.
    Away,
    /// Changes it in place.
    Alter,
    /// Makes it.
    Create,
    /// Copies the rows of a table under its other name.
    Copy,
    /// Drops a type under its other name.
    Sweep,
}

/// A step before it has an order.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) act: Act,
    pub(super) id: Arc<FactId>,
}

/// All steps and what has to come before what.
pub(super) struct Nodes<'a> {
    pub(super) fates: Fates<'a>,
    pub(super) steps: Vec<Node>,
    index: HashMap<(Act, Arc<FactId>), usize>,
    pub(super) graph: Graph,
    /// Parts that are dropped by a step of their own although their table goes, too.
    explicit: BTreeSet<Arc<FactId>>,
}

/// How often circles are tried to be broken.
const MAX_ROUNDS: usize = 200;

/// Orders the steps, breaking circles where there are some.
pub(super) fn build(fates: Fates<'_>, options: &PlanOptions) -> Plan {
    let mut explicit = BTreeSet::new();
    let mut fates = fates;
    for _ in 0..MAX_ROUNDS {
        let nodes = Nodes::new(fates, explicit);
        let circle = match nodes.graph.sort(&nodes.keys()) {
            Ok(order) => return fold::plan(&nodes, &order, options),
            Err(circle) => circle,
        };
        let circle: Vec<Node> = circle.into_iter().map(|at| nodes.steps[at].clone()).collect();
        let Nodes { fates: back, explicit: more, .. } = nodes;
        (fates, explicit) = (back, more);
        if !break_circle(&circle, &mut fates, &mut explicit) {
            let what: Vec<String> = circle.iter().map(|node| format!("{:?} {}", node.act, node.id)).collect();
            let why = format!("these steps wait for each other: {}", what.join(", "));
            return Plan { parts: Vec::new(), unplanned: vec![why] };
        }
    }
    Plan { parts: Vec::new(), unplanned: vec!["too many steps wait for each other".to_owned()] }
}

/// Drops foreign keys of tables that go by themselves, or replaces what could have been changed in place.
fn break_circle(circle: &[Node], fates: &mut Fates<'_>, explicit: &mut BTreeSet<Arc<FactId>>) -> bool {
    let count = explicit.len();
    for node in circle.iter().filter(|node| node.act == Act::Drop) {
        explicit.extend(loose_parts(fates.from, &node.id));
    }
    if explicit.len() > count {
        return true;
    }
    // Whose dropping loses what no plan brings back.
    let is_data = |id: &FactId| {
        matches!(
            id.kind,
            Kind::Table
                | Kind::ForeignTable
                | Kind::Column
                | Kind::Sequence
                | Kind::Schema
                | Kind::Extension
                | Kind::Role
        )
    };
    let alter = circle.iter().find(|node| node.act == Act::Alter && !is_data(&node.id));
    if let Some(node) = alter {
        let id = Arc::clone(&node.id);
        fates.replace(&id);
    }
    alter.is_some()
}

/// The parts of a table, however deep, that can refer to other tables that refer back.
fn loose_parts(facts: &Facts, id: &FactId) -> Vec<Arc<FactId>> {
    let mut found = Vec::new();
    for (part, fact) in facts.parts(id) {
        let loose = match part.kind {
            Kind::Constraint => {
                matches!(fact.text("form"), Some("foreignKey" | "check")) && !fact.is("inherited")
            }
            Kind::Default | Kind::Policy | Kind::Trigger | Kind::Rule => true,
            _ => false,
        };
        if loose {
            found.push(Arc::clone(part));
        } else {
            found.extend(loose_parts(facts, part));
        }
    }
    found
}

impl<'a> Nodes<'a> {
    fn new(fates: Fates<'a>, explicit: BTreeSet<Arc<FactId>>) -> Self {
        let mut explicit = explicit;
        for table in fates.swapped.iter().filter(|id| id.kind == Kind::Table) {
            explicit.extend(convert::foreign_keys(fates.from, table));
        }
        let mut nodes =
            Self { fates, steps: Vec::new(), index: HashMap::new(), graph: Graph::default(), explicit };
        nodes.add_nodes();
        nodes.graph = Graph::new(nodes.steps.len());
        nodes.add_edges();
        nodes
    }

    fn add(&mut self, act: Act, id: &Arc<FactId>) {
        self.index.insert((act, Arc::clone(id)), self.steps.len());
        self.steps.push(Node { act, id: Arc::clone(id) });
    }

    pub(super) fn node(&self, act: Act, id: &FactId) -> Option<usize> {
        // The map's keys hold shared ids; looking up needs one, too.
        self.index.get(&(act, Arc::new(id.clone()))).copied()
    }

    fn add_nodes(&mut self) {
        let (from, to) = (self.fates.from, self.fates.to);
        for id in from.facts.keys() {
            if !self.fates.is_dropped(id) {
                continue;
            }
            let implied = implied::dropper(&self.fates, id).is_some();
            let with_owner = id.of.as_ref().is_some_and(|of| self.fates.is_dropped(of));
            if self.fates.swapped.contains(id) && !with_owner {
                if !implied {
                    self.add(Act::Away, id);
                    self.add(Act::Sweep, id);
                    if id.kind == Kind::Table {
                        self.add(Act::Copy, id);
                    }
                }
                continue;
            }
            // A server does not take its user mappings along.
            let alone = !with_owner || id.kind == Kind::UserMapping || self.explicit.contains(id);
            if alone && !implied {
                self.add(Act::Drop, id);
            }
        }
        for id in to.facts.keys() {
            if self.fates.is_created(id) {
                let folded =
                    id.kind.rank() == Rank::Folded && id.of.as_ref().is_some_and(|of| self.comes_with(of));
                if !folded && implied::creator(&self.fates, id).is_none() {
                    self.add(Act::Create, id);
                    if typed::is_base(to, id) {
                        self.add(Act::Shell, id);
                    }
                }
            } else if let Some(Fate::Alter(_)) = self.fates.get(id) {
                self.add(Act::Alter, id);
            }
        }
    }

    /// Whether the parts of `owner` that are folded into it come with a statement for the whole.
    fn comes_with(&self, owner: &FactId) -> bool {
        self.fates.is_created(owner) || matches!(owner.kind, Kind::View | Kind::MaterializedView)
    }

    /// The step that drops `id`, itself or something with it.
    pub(super) fn drop_of(&self, id: &FactId) -> Option<usize> {
        if let Some(node) = self.node(Act::Drop, id).or_else(|| self.node(Act::Sweep, id)) {
            return Some(node);
        }
        if !self.fates.is_dropped(id) {
            return None;
        }
        if let Some(other) = implied::dropper(&self.fates, id) {
            return self.drop_of(&other);
        }
        id.of.as_ref().and_then(|of| self.drop_of(of))
    }

    /// The step that makes `id`, itself or something with it.
    pub(super) fn create_of(&self, id: &FactId) -> Option<usize> {
        if let Some(node) = self.node(Act::Create, id) {
            return Some(node);
        }
        if !self.fates.is_created(id) {
            return None;
        }
        if let Some(other) = implied::creator(&self.fates, id) {
            return self.create_of(&other);
        }
        let of = id.of.as_ref()?;
        self.create_of(of).or_else(|| self.node(Act::Alter, of))
    }

    /// Both what makes and what changes `id`.
    fn settled(&self, id: &FactId) -> [Option<usize>; 2] {
        [self.create_of(id), self.node(Act::Alter, id)]
    }

    /// The step that takes the name from a type or domain that `part` is part of.
    pub(super) fn away_of_type(&self, part: &FactId) -> Option<usize> {
        let root = part.root();
        if root.kind == Kind::Table { None } else { self.node(Act::Away, root) }
    }

    fn add_edges(&mut self) {
        let (from, to) = (self.fates.from, self.fates.to);
        for at in 0..self.steps.len() {
            let Node { act, id } = self.steps[at].clone();
            if act == Act::Alter {
                self.after_needs(at, &id);
                self.before_left(at, &id);
                for twin in implied::twins(&self.fates, to, &id) {
                    let theirs = self.node(Act::Alter, &twin);
                    self.graph.edge(theirs, Some(at));
                }
            } else if act == Act::Create {
                let away = self.node(Act::Away, &id).or_else(|| self.away_of_type(&id));
                let gone = away.or_else(|| self.drop_of(&id));
                self.graph.edge(gone, Some(at));
            }
        }
        for id in to.facts.keys().filter(|id| self.fates.is_created(id)).collect::<Vec<_>>() {
            if let Some(at) = self.create_of(id) {
                self.after_needs(at, id);
                if id.kind == Kind::Inheritance {
                    self.after_needs_of_whole(at, id);
                    for (part, _) in to.parts_of_kind(id.owner(), Kind::Constraint) {
                        if implied::comes_before_inheriting(&self.fates, part) {
                            let made = self.create_of(part);
                            self.graph.edge(made, Some(at));
                        }
                    }
                }
                for twin in implied::twins(&self.fates, to, id) {
                    let theirs = self.create_of(&twin);
                    self.graph.edge(theirs, Some(at));
                    let theirs = self.node(Act::Alter, &twin);
                    self.graph.edge(theirs, Some(at));
                }
            }
        }
        for id in from.facts.keys().filter(|id| self.fates.is_dropped(id)).collect::<Vec<_>>() {
            if let Some(at) = self.drop_of(id) {
                self.before_used(at, id);
            }
        }
        self.typed_edges();
        self.conversion_edges();
        self.sweep_edges();
        self.column_edges();
        self.partition_edges();
        self.foreign_key_edges();
        self.name_edges();
    }

    /// A step comes after everything that its object refers to in the end.
    fn after_needs(&mut self, at: usize, id: &FactId) {
        for need in needs(self.fates.to, id) {
            if typed::is_mutual(self.fates.to, id, &need)
                && let Some(shell) = self.node(Act::Shell, &need)
            {
                self.graph.edge(Some(shell), Some(at));
                continue;
            }
            let [made, altered] = self.settled(&need);
            self.graph.edge(made, Some(at));
            if !typed::gains_type(&self.fates, id, &need) {
                self.graph.edge(altered, Some(at));
            }
        }
    }

    /// A table that inherits is made after what it inherits from.
    fn after_needs_of_whole(&mut self, at: usize, id: &FactId) {
        let whole = self.create_of(id.owner());
        if whole.is_some_and(|whole| whole != at) {
            for need in needs(self.fates.to, id) {
                if need.as_ref() != id.owner() {
                    let before = self.create_of(&need);
                    self.graph.edge(before, whole);
                }
            }
        }
    }

    /// A change in place comes before what it lets go of is dropped.
    fn before_left(&mut self, at: usize, id: &FactId) {
        for need in needs(self.fates.from, id) {
            let drop = self.drop_of(&need);
            self.graph.edge(Some(at), drop);
            self.before_attributes(at, id, &need);
        }
    }

    /// Dropping comes before what the object refers to is dropped or changed.
    fn before_used(&mut self, at: usize, id: &FactId) {
        for need in needs(self.fates.from, id) {
            let (drop, alter) = (self.drop_of(&need), self.node(Act::Alter, &need));
            self.graph.edge(Some(at), drop);
            let of_rows = matches!(need.kind, Kind::Type | Kind::Domain)
                && convert::is_converted(&self.fates, id.root());
            // What is swept away goes after its successor came, which needs an extension in its new version.
            let swept = self.steps[at].act == Act::Sweep && need.kind == Kind::Extension;
            if !of_rows && !swept && !self.is_outward(&need) {
                self.graph.edge(Some(at), alter);
            }
            if id.kind.is_routine() && self.steps[at].act == Act::Drop {
                // A routine's name has those of its arguments' types in it.
                let away = self.node(Act::Away, &need);
                self.graph.edge(Some(at), away);
            }
            self.before_attributes(at, id, &need);
        }
    }

    /// Whether only what others cannot depend on changes, such as the owner or the comment.
    fn is_outward(&self, id: &FactId) -> bool {
        matches!(self.fates.get(id), Some(Fate::Alter(names)) if names.iter().all(|name| is_outward(name)))
    }

    /// A swapped type's old self goes last: after all that used it went or changed.
    fn sweep_edges(&mut self) {
        for id in self.fates.swapped.clone() {
            let (away, sweep) = (self.node(Act::Away, &id), self.node(Act::Sweep, &id));
            self.graph.edge(away, sweep);
            let create = self.create_of(&id);
            self.graph.edge(create, sweep);
        }
    }

    /// New columns come in the order in which they shall stand.
    fn column_edges(&mut self) {
        let tables: Vec<Arc<FactId>> =
            self.fates.to.facts.keys().filter(|id| id.kind == Kind::Table).cloned().collect();
        for table in tables {
            if self.create_of(&table).is_some() || self.fates.from.get(&table).is_none() {
                continue;
            }
            let to = self.fates.to;
            let columns = to.parts_of_kind(&table, Kind::Column);
            let new: Vec<_> = columns.iter().filter(|(id, _)| self.fates.is_created(id)).collect();
            for pair in new.windows(2) {
                if !pair[0].1.references.contains(pair[1].0) {
                    let (first, second) = (self.create_of(pair[0].0), self.create_of(pair[1].0));
                    self.graph.edge(first, second);
                }
            }
        }
    }

    /// Which step comes first where nothing else decides: drops from the top down, then object by object.
    fn keys(&self) -> Vec<(u8, i32, FactId, u8, Arc<FactId>)> {
        let key = |node: &Node| {
            let root = node.id.root().clone();
            let rank = root.kind as i32;
            let (phase, rank) = match node.act {
                _ if root.kind == Kind::DefaultPrivilege => (9, rank),
                // Columns late, so that a person can take over what they hold before they go.
                Act::Drop if is_stored(&node.id) => (4, rank),
                Act::Drop => (0, -(node.id.kind as i32)),
                Act::Sweep => (5, rank),
                _ => (1, rank),
            };
            (phase, rank, root, u8::from(node.id.of.is_some()), Arc::clone(&node.id))
        };
        self.steps.iter().map(key).collect()
    }
}

/// Whether it is a column of a table.
fn is_stored(id: &FactId) -> bool {
    id.kind == Kind::Column && id.owner().kind == Kind::Table
}

/// What has to be there for `id`: what it refers to, what it is part of, its schema.
fn needs(facts: &Facts, id: &FactId) -> Vec<Arc<FactId>> {
    let Some(fact) = facts.get(id) else { return Vec::new() };
    let mut needs: Vec<Arc<FactId>> = fact.references.iter().cloned().collect();
    needs.extend(id.of.clone());
    let schema = id.schema.as_deref().or_else(|| fact.text("in_schema"));
    needs.extend(schema.map(|schema| Arc::new(FactId::top(Kind::Schema, None, schema))));
    needs
}

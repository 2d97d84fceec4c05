//! Steps in their order become statements; what can be said within another statement is.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::fate::Fate;
use super::nodes::{Act, Node, Nodes};
use super::{Action, Part, Plan, PlanOptions, Step, alter, column, hazard, implied};
use crate::fact::FactId;
use crate::kind::Kind;
use crate::object::Object;
use crate::render::{self, grant, name, part};
use crate::sql;

/// The plan of steps in this order.
pub(super) fn plan(nodes: &Nodes<'_>, order: &[usize], options: &PlanOptions) -> Plan {
    let folded = folded(nodes, order);
    let mut first = Vec::new();
    let mut steps = Vec::new();
    for at in order {
        let node = &nodes.nodes[*at];
        let Some(step) = step(nodes, node, &folded) else { continue };
        // A new label can only be used once the transaction that made it is over.
        let labels = matches!((node.act, nodes.fates.get(&node.id)), (Act::Alter, Some(Fate::Alter(names))) if names.contains("labels"));
        if labels { first.push(step) } else { steps.push(step) }
    }
    let _ = options;
    let parts = [(false, first), (true, steps)];
    let parts = parts.into_iter().filter(|(_, steps)| !steps.is_empty());
    let parts = parts.map(|(transactional, steps)| Part { transactional, steps }).collect();
    Plan { parts, unplanned: Vec::new() }
}

/// The defaults, constraints and inheritances that the statement that makes their table or column can say.
fn folded(nodes: &Nodes<'_>, order: &[usize]) -> BTreeSet<Arc<FactId>> {
    let position: HashMap<usize, usize> = order.iter().enumerate().map(|(place, at)| (*at, place)).collect();
    let mut folded = BTreeSet::new();
    let mut folded_nodes = BTreeSet::new();
    for at in order {
        let node = &nodes.nodes[*at];
        let Some(of) = node.id.of.as_ref().filter(|_| node.act == Act::Create) else { continue };
        let can = match node.id.kind {
            Kind::Default => !nodes.fates.swapped.contains(of),
            Kind::Inheritance => true,
            Kind::Constraint => {
                let fact = nodes.fates.to.get(&node.id);
                !fact.is_some_and(|fact| part::is_late(fact)) && nodes.fates.is_created(of)
            }
            _ => false,
        };
        let Some(whole) = nodes.create_of(of).filter(|_| can) else { continue };
        let sequel = nodes.nodes[whole].id.root() == node.id.root();
        let early = |before: &usize| {
            *before == whole || position[before] < position[&whole] || folded_nodes.contains(before)
        };
        if sequel && nodes.graph.before(*at).iter().all(early) {
            folded.insert(Arc::clone(&node.id));
            folded_nodes.insert(*at);
        }
    }
    folded
}

fn step(nodes: &Nodes<'_>, node: &Node, folded: &BTreeSet<Arc<FactId>>) -> Option<Step> {
    let fates = &nodes.fates;
    let id = &node.id;
    let (action, statements) = match node.act {
        Act::Create if folded.contains(id) => (Action::Create, notes(nodes, id)),
        Act::Create => (Action::Create, create(nodes, id, folded)),
        Act::Alter => (Action::Alter, change(nodes, id)),
        Act::Drop => (Action::Drop, drop(nodes, id)),
        Act::Away if id.kind == Kind::Column => (Action::Alter, column::away(fates, id, &old_name(&id.name))),
        Act::Sweep if id.kind == Kind::Column => {
            let old = sql::quote(&old_name(&id.name));
            (Action::Drop, vec![format!("{} DROP COLUMN {old}", name::alter(id.owner()))])
        }
        Act::Away => {
            let to = sql::quote(&old_name(&id.name));
            (Action::Alter, vec![format!("{} RENAME TO {to}", name::alter(id))])
        }
        Act::Sweep => {
            let old = FactId::top(id.kind, id.schema.as_deref(), &old_name(&id.name));
            (Action::Drop, vec![format!("DROP {} {}", id.kind.sql(), old.sql())])
        }
    };
    if statements.is_empty() {
        return None;
    }
    let (hazards, lock) = hazard::of(fates, node, &statements);
    let what = id.to_string();
    Some(Step { object: Object::of(id), what, action, statements, hazards, lock })
}

/// The name of a type that makes room for its successor.
fn old_name(name: &str) -> String {
    let mut short: String = name.to_owned();
    while short.len() > 50 {
        short.pop();
    }
    format!("{short}__offshoot_old")
}

fn create(nodes: &Nodes<'_>, id: &FactId, folded: &BTreeSet<Arc<FactId>>) -> Vec<String> {
    let fates = &nodes.fates;
    if id.kind == Kind::Column && fates.swapped.contains(id) && !fates.is_created(id.owner()) {
        return column::anew(fates, id, &old_name(&id.name));
    }
    let inline = |part: &FactId| folded.contains(part);
    let mut statements = render::create(fates.to, id, &inline);
    if id.kind == Kind::Column && id.owner().kind == Kind::Table {
        alone_if_new(nodes, id, &mut statements);
    }
    if id.kind == Kind::Default && id.of.as_ref().is_some_and(|column| fates.is_created(column)) {
        // Columns of partitions that came with this one take the default, too.
        for statement in &mut statements {
            *statement = statement.replacen("ALTER TABLE ONLY ", "ALTER TABLE ", 1);
        }
    }
    statements.splice(0..0, undo_defaults(nodes, id));
    statements
}

/// A column that children have already, and keep, joins them.
fn alone_if_new(_nodes: &Nodes<'_>, _id: &FactId, _statements: &mut Vec<String>) {}

/// New objects get what default privileges say; what they shall not have is taken away again.
fn undo_defaults(nodes: &Nodes<'_>, id: &FactId) -> Vec<String> {
    let _ = (nodes, id);
    Vec::new()
}

/// Comments of a part that came with the whole.
fn notes(nodes: &Nodes<'_>, id: &FactId) -> Vec<String> {
    nodes.fates.to.get(id).map(|fact| render::notes(id, fact)).unwrap_or_default()
}

fn change(nodes: &Nodes<'_>, id: &FactId) -> Vec<String> {
    let fates = &nodes.fates;
    let Some(Fate::Alter(names)) = fates.get(id) else { return Vec::new() };
    alter::statements(fates, id, &implied::own_changes(fates, id, names))
}

fn drop(nodes: &Nodes<'_>, id: &FactId) -> Vec<String> {
    let fates = &nodes.fates;
    let mut statements = render::drop(fates.from, id);
    if matches!(id.kind, Kind::Column | Kind::Constraint) && implied::leaves_children(fates, id) {
        for statement in &mut statements {
            *statement = statement.replacen("ALTER TABLE ", "ALTER TABLE ONLY ", 1);
        }
    }
    let _ = grant::give;
    statements
}

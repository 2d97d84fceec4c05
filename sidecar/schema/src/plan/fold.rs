//! Steps in their order become statements; what can be said within another statement is.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::fate::Fate;
use super::nodes::{Act, Node, Nodes};
use super::{Action, Part, Plan, PlanOptions, Step, alter, column, hazard, implied, online};
use crate::fact::{Fact, FactId};
use crate::kind::Kind;
use crate::object::Object;
use crate::render::{self, grant, name, part};
use crate::sql;

/// The plan of steps in this order.
pub(super) fn plan(nodes: &Nodes<'_>, order: &[usize], options: &PlanOptions) -> Plan {
    let folded = folded(nodes, order);
    let mut first = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    let mut last = Vec::new();
    for at in order {
        let node = &nodes.steps[*at];
        let Some(step) = step(nodes, node, &folded) else { continue };
        // A new label can only be used once the transaction that made it is over.
        let names = nodes.fates.get(&node.id);
        if matches!((node.act, names), (Act::Alter, Some(Fate::Alter(names))) if names.contains("labels")) {
            first.push(step);
            continue;
        }
        let (transactional, step, later) =
            if options.online { online::form(&nodes.fates, node, step) } else { (true, step, None) };
        last.extend(later);
        match parts.last_mut().filter(|part| part.transactional == transactional) {
            Some(part) => part.steps.push(step),
            None => parts.push(Part { transactional, steps: vec![step] }),
        }
    }
    parts.insert(0, Part { transactional: false, steps: first });
    parts.push(Part { transactional: false, steps: last });
    parts.retain(|part| !part.steps.is_empty());
    Plan { parts, unplanned: Vec::new() }
}

/// The defaults, constraints and inheritances that the statement that makes their table or column can say.
fn folded(nodes: &Nodes<'_>, order: &[usize]) -> BTreeSet<Arc<FactId>> {
    let position: HashMap<usize, usize> = order.iter().enumerate().map(|(place, at)| (*at, place)).collect();
    let mut folded = BTreeSet::new();
    let mut folded_nodes = BTreeSet::new();
    for at in order {
        let node = &nodes.steps[*at];
        let Some(of) = node.id.of.as_ref().filter(|_| node.act == Act::Create) else { continue };
        let can = match node.id.kind {
            Kind::Default => !nodes.fates.swapped.contains(of) && of.owner().kind != Kind::View,
            Kind::Inheritance => true,
            Kind::Constraint => {
                let fact = nodes.fates.to.get(&node.id);
                !fact.is_some_and(part::is_late) && nodes.fates.is_created(of) && !has_double(nodes, &node.id)
            }
            _ => false,
        };
        let Some(whole) = nodes.create_of(of).filter(|_| can) else { continue };
        let sequel = nodes.steps[whole].id.root() == node.id.root();
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

/// Whether another constraint of the table is unique over the same columns: `CREATE TABLE` makes one of two such.
fn has_double(nodes: &Nodes<'_>, id: &FactId) -> bool {
    let columns = |fact: &Fact| fact.list("columns").to_vec();
    let Some(own) = nodes.fates.to.get(id).map(columns).filter(|own| !own.is_empty()) else { return false };
    let constraints = nodes.fates.to.parts_of_kind(id.owner(), Kind::Constraint);
    constraints.iter().any(|(other, fact)| ***other != *id && columns(fact) == own)
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
    let statements = if id.kind.is_routine() {
        statements
    } else {
        statements.iter().map(|statement| sql::keep_array_casts(statement)).collect()
    };
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
    let twins = implied::twins(fates, fates.to, id);
    if twins.iter().any(|twin| fates.is_created(twin) && implied::is_validated(fates, id, twin)) {
        return vec![format!("{} VALIDATE CONSTRAINT {}", name::alter(id.owner()), sql::quote(&id.name))];
    }
    let inline = |part: &FactId| folded.contains(part);
    let mut statements = render::create(fates.to, id, &inline);
    if id.kind == Kind::Default && id.of.as_ref().is_some_and(|column| fates.is_created(column)) {
        // Columns of partitions that came with this one take the default, too.
        for statement in &mut statements {
            *statement = statement.replacen("ALTER TABLE ONLY ", "ALTER TABLE ", 1);
        }
    }
    statements.extend(undo_defaults(nodes, id));
    statements
}

/// New objects get what default privileges say; what they shall not have is taken away again.
fn undo_defaults(nodes: &Nodes<'_>, id: &FactId) -> Vec<String> {
    let objects = match id.kind {
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => "TABLES",
        Kind::Sequence => "SEQUENCES",
        Kind::Function | Kind::Procedure | Kind::Aggregate => "FUNCTIONS",
        Kind::Type | Kind::Domain => "TYPES",
        Kind::Schema => "SCHEMAS",
        _ => return Vec::new(),
    };
    let (from, to) = (nodes.fates.from, nodes.fates.to);
    let applies = |(default, fact): &(&Arc<FactId>, &Fact)| {
        default.kind == Kind::DefaultPrivilege
            && fact.text("objects") == Some(objects)
            && fact.text("in_schema").is_none_or(|schema| id.schema.as_deref() == Some(schema))
    };
    let grants =
        from.facts.iter().filter(applies).flat_map(|(default, _)| from.parts_of_kind(default, Kind::Grant));
    grants
        .flat_map(|(given, fact)| {
            grant::drop(to, &FactId::part(Arc::new(id.clone()), Kind::Grant, &given.name), fact)
        })
        .collect()
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
    if id.kind == Kind::Table {
        // Foreign keys hold on to a partition until it is detached.
        let link = FactId::part(Arc::new(id.clone()), Kind::Attachment, "");
        let parent = fates.from.get(&link).and_then(|fact| fact.references.iter().next());
        if parent.is_some_and(|parent| !fates.is_dropped(parent)) {
            statements.splice(0..0, render::drop(fates.from, &link));
        }
    }
    if id.kind == Kind::Index && holds_constraint(nodes, id) {
        for statement in &mut statements {
            statement.push_str(" CASCADE");
        }
    }
    if matches!(id.kind, Kind::Column | Kind::Constraint) && implied::leaves_children(fates, id) {
        for statement in &mut statements {
            *statement = statement.replacen("ALTER TABLE ", "ALTER TABLE ONLY ", 1);
        }
    }
    statements
}

/// Whether an index of a constraint is attached to this one; it goes, too, which has to be said.
fn holds_constraint(nodes: &Nodes<'_>, id: &FactId) -> bool {
    let links = nodes.fates.from.facts.iter().filter(|(link, _)| link.kind == Kind::Attachment);
    let mut links = links.filter(|(_, fact)| fact.references.iter().any(|parent| **parent == *id));
    links.any(|(link, _)| link.owner().kind == Kind::Constraint || holds_constraint(nodes, link.owner()))
}

//! Steps in their order become statements; what can be said within another statement is.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::fate::Fate;
use super::nodes::{Act, Node, Nodes};
use super::{Action, Part, Plan, PlanOptions, Step, alter, column, hazard, implied, lock, online, schedule};
use crate::fact::{Fact, FactId};
use crate::kind::Kind;
use crate::object::Object;
use crate::render::{self, grant, name, part};
use crate::sql;

/// The plan of steps in this order.
pub(super) fn plan(nodes: &Nodes<'_>, order: &[usize], options: &PlanOptions) -> Plan {
    let folded = folded(nodes, order);
    let (mut first, mut last, mut forms) = (Vec::new(), Vec::new(), Vec::new());
    for at in order {
        let node = &nodes.steps[*at];
        let step = step(nodes, node, &folded);
        // A new label can only be used once the transaction that made it is over.
        let names = nodes.fates.get(&node.id);
        let labels =
            matches!((node.act, names), (Act::Alter, Some(Fate::Alter(names))) if names.contains("labels"));
        forms.push(match step {
            Some(step) if labels => {
                first.push(step);
                Vec::new()
            }
            Some(step) if options.online => {
                let form = online::form(&nodes.fates, node, step);
                last.extend(form.later);
                form.steps
            }
            Some(step) => vec![(true, step)],
            None => Vec::new(),
        });
    }
    let parts = schedule::parts(nodes, order, &folded, forms, !options.renames.is_empty());
    let alone = |steps| Part { transactional: false, steps };
    let mut joined: Vec<Part> = Vec::new();
    for part in std::iter::once(alone(first)).chain(parts).chain([alone(last)]) {
        match joined.last_mut() {
            _ if part.steps.is_empty() => {}
            Some(before) if before.transactional == part.transactional => before.steps.extend(part.steps),
            _ => joined.push(part),
        }
    }
    Plan { parts: joined, unplanned: implied::own_for_good(&nodes.fates) }
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
        Act::Shell => (Action::Create, vec![format!("CREATE TYPE {}", id.sql())]),
        Act::Away if id.kind == Kind::Column => (Action::Alter, column::away(fates, id, &old_name(&id.name))),
        Act::Sweep if id.kind == Kind::Column => {
            let old = sql::quote(&old_name(&id.name));
            (Action::Drop, vec![format!("{} DROP COLUMN {old}", name::alter(id.owner()))])
        }
        Act::Away if id.kind == Kind::Table => {
            (Action::Alter, super::convert::away(fates, id, &old_name(&id.name)))
        }
        Act::Copy => (Action::Alter, super::convert::copy(fates, id, &old_name(&id.name))),
        Act::Away => {
            let to = sql::quote(&old_name(&id.name));
            let mut statements = vec![format!("{} RENAME TO {to}", name::alter(id))];
            statements.extend(fates.from.get(id).map(|fact| range_away(id, fact)).unwrap_or_default());
            (Action::Alter, statements)
        }
        Act::Sweep => {
            let old = FactId::top(id.kind, id.schema.as_deref(), &old_name(&id.name));
            (Action::Drop, vec![format!("DROP {} {}", id.kind.sql(), old.sql())])
        }
    };
    if statements.is_empty() {
        return None;
    }
    let mut statements = statements;
    if id.kind == Kind::Default && matches!(node.act, Act::Create | Act::Alter) {
        statements.extend(column::advance(fates, id));
    }
    let statements = if id.kind.is_routine() {
        statements
    } else {
        statements.iter().map(|statement| sql::keep_array_casts(statement)).collect()
    };
    let (hazards, lock) = hazard::of(fates, node, &statements);
    let others = lock::others(fates, node, &statements);
    let what = id.to_string();
    Some(Step { object: Object::of(id), what, action, statements, hazards, lock, others })
}

/// The name of a type that makes room for its successor.
fn old_name(name: &str) -> String {
    let mut short: String = name.to_owned();
    while short.len() > 50 {
        short.pop();
    }
    format!("{short}__offshoot_old")
}

/// The functions that make values of a range, and its multirange with those of its own, have names that its successor needs.
fn range_away(id: &FactId, fact: &Fact) -> Vec<String> {
    let Some(subtype) = fact.text("range_subtype") else { return Vec::new() };
    let schema = sql::quote(id.schema.as_deref().unwrap_or_default());
    let range = format!("{schema}.{}", sql::quote(&old_name(&id.name)));
    let new = sql::quote(&old_name(&id.name));
    let mut statements: Vec<String> =
        [format!("{subtype}, {subtype}"), format!("{subtype}, {subtype}, text")]
            .iter()
            .map(|arguments| format!("ALTER FUNCTION {}({arguments}) RENAME TO {new}", id.sql()))
            .collect();
    if let Some(multirange) = fact.text("range_multirange") {
        let bare = multirange.strip_prefix(&format!("{schema}.")).unwrap_or(multirange);
        let other = sql::quote(&old_name(bare.trim_matches('"')));
        for arguments in [String::new(), range.clone(), format!("VARIADIC {range}[]")] {
            statements.push(format!("ALTER FUNCTION {multirange}({arguments}) RENAME TO {other}"));
        }
        statements.push(format!("ALTER TYPE {multirange} RENAME TO {other}"));
    }
    statements
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
    let mut statements = if implied::comes_before_inheriting(fates, id) {
        own_constraint(fates.to.get(id), id)
    } else {
        render::create(fates.to, id, &inline)
    };
    if id.kind == Kind::Default && id.of.as_ref().is_some_and(|column| fates.is_created(column)) {
        // Columns of partitions that came with this one take the default, too.
        for statement in &mut statements {
            *statement = statement.replacen("ALTER TABLE ONLY ", "ALTER TABLE ", 1);
        }
    }
    let attribute = id.kind == Kind::Column && id.owner().kind == Kind::Type;
    if attribute
        && super::typed::has_tables(fates, id.owner())
        && let Some(first) = statements.first_mut()
    {
        first.push_str(" CASCADE");
    }
    statements.extend(undo_defaults(nodes, id));
    statements
}

fn own_constraint(fact: Option<&Fact>, id: &FactId) -> Vec<String> {
    let definition = fact.and_then(|fact| fact.text("definition")).unwrap_or_default();
    vec![format!("{} ADD CONSTRAINT {} {definition}", name::alter(id.owner()), sql::quote(&id.name))]
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
    let attribute = id.kind == Kind::Column && id.owner().kind == Kind::Type;
    let cascades = super::typed::is_base(fates.from, id)
        || attribute && super::typed::has_tables(fates, id.owner())
        || id.kind == Kind::Index && holds_constraint(nodes, id);
    if cascades {
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

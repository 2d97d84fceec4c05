//! Facts as they are after a rename.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::parse::{Rename, Renames, bare_name, value_line};
use super::rewrite::{Rule, Side, rewrite};
use crate::fact::{Fact, FactId, Facts, Value};
use crate::kind::Kind;
use crate::render::name;
use crate::sql;

/// A rename that was applied.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    /// What was renamed, under its old name.
    pub(crate) id: FactId,
    /// Its new name; the same if a value of it was renamed.
    pub(crate) new: FactId,
    /// The statement that does it.
    pub(crate) statement: String,
}

impl Renames {
    /// The facts as they are after the renames, the statements, and the renames that could not be, each with the reason.
    pub(crate) fn apply(&self, from: &Facts, to: &Facts) -> (Facts, Vec<Applied>, Vec<String>) {
        let mut facts = from.clone();
        let (mut applied, mut refused) = (Vec::new(), Vec::new());
        for rename in &self.list {
            match one(rename, &mut facts, to) {
                Ok(more) => applied.extend(more),
                Err(why) => refused.push(format!("rename {rename}: {why}")),
            }
        }
        (facts, applied, refused)
    }
}

pub(super) fn one(rename: &Rename, facts: &mut Facts, to: &Facts) -> Result<Vec<Applied>, String> {
    let old = rename.path.last().map(String::as_str).unwrap_or_default();
    let id = rename.find(facts, old).ok_or("there is no such object to rename")?;
    if rename.is_value() {
        return value(rename, old, facts, &id);
    }
    let new = renamed_id(&id, &rename.to);
    if facts.get(&new).is_some() {
        return Err(format!("{new} is there already"));
    }
    let wanted = to.get(&new).is_some()
        || to.facts.keys().any(|other| other.kind == new.kind && other.name == new.name);
    if !wanted {
        return Err(format!("{new} is not wanted"));
    }
    let mut applied =
        vec![Applied { statement: statement(facts, &id, &rename.to), id: id.clone(), new: new.clone() }];
    for member in family(facts, &id) {
        let next = renamed_id(&member, &rename.to);
        *facts = moved(facts, &member, &next);
    }
    if matches!(id.kind, Kind::Table | Kind::ForeignTable | Kind::MaterializedView) {
        applied.extend(followers(facts, to, &new));
    }
    Ok(applied)
}

fn value(rename: &Rename, old: &str, facts: &mut Facts, id: &FactId) -> Result<Vec<Applied>, String> {
    let new = &rename.to;
    let Some(fact) = facts.facts.get_mut(id) else { return Err("there is no such type".to_owned()) };
    if let Some(Value::List(labels)) = fact.attributes.get_mut("labels") {
        if labels.contains(new) {
            return Err(format!("{} is a value already", sql::literal(new)));
        }
        for label in labels.iter_mut().filter(|label| *label == old) {
            label.clone_from(new);
        }
    }
    let rule = Rule::Value { enum_type: id.sql(), old: old.to_owned(), new: new.clone() };
    for fact in facts.facts.values_mut() {
        rewrite_all(fact, &rule);
    }
    let (_, statement) = value_line(id, old, new);
    Ok(vec![Applied { id: id.clone(), new: id.clone(), statement }])
}

fn renamed_id(id: &FactId, to: &str) -> FactId {
    let name = if id.kind.is_routine() {
        let open = id.name.find('(').unwrap_or(id.name.len());
        format!("{}{}", sql::quote(to), &id.name[open..])
    } else {
        to.to_owned()
    };
    FactId { name, ..id.clone() }
}

/// The statement that renames `id`.
pub(super) fn statement(facts: &Facts, id: &FactId, to: &str) -> String {
    let new = sql::quote(to);
    let owner = name::alter(id.owner());
    let old = sql::quote(&id.name);
    match id.kind {
        Kind::Column if id.owner().kind == Kind::Type => {
            format!("{owner} RENAME ATTRIBUTE {old} TO {new} CASCADE")
        }
        Kind::Column => format!("{owner} RENAME COLUMN {old} TO {new}"),
        Kind::Constraint => format!("{owner} RENAME CONSTRAINT {old} TO {new}"),
        _ => {
            let target = facts.get(id).map_or_else(|| id.sql(), |fact| name::of(id, fact));
            format!("ALTER {target} RENAME TO {new}")
        }
    }
}

/// `id` and the parts of children that are called like it because they come from it.
fn family(facts: &Facts, id: &FactId) -> Vec<FactId> {
    let mut family = vec![id.clone()];
    if !matches!(id.kind, Kind::Column | Kind::Constraint) {
        return family;
    }
    let mut tables = vec![id.owner().clone()];
    while let Some(table) = tables.pop() {
        for (link, fact) in &facts.facts {
            let heir = matches!(link.kind, Kind::Attachment | Kind::Inheritance)
                && link.owner().kind.is_relation()
                && fact.references.iter().any(|parent| **parent == table);
            let Some(child) = link.of.as_ref().filter(|_| heir) else { continue };
            let part = FactId::part(Arc::clone(child), id.kind, &id.name);
            if facts.get(&part).is_some_and(|fact| fact.is("inherited")) && !family.contains(&part) {
                family.push(part);
                tables.push(FactId::clone(child));
            }
        }
    }
    family
}

/// Parts of a renamed table, and sequences of its columns, that are as wanted but for the name.
fn followers(facts: &mut Facts, to: &Facts, table: &FactId) -> Vec<Applied> {
    let mut applied = Vec::new();
    let parts = |facts: &Facts| -> Vec<Arc<FactId>> {
        let kinds = [Kind::Constraint, Kind::Index, Kind::Trigger, Kind::Policy];
        let parts = facts.parts(table).into_iter().map(|(id, _)| Arc::clone(id));
        let mut ids: Vec<Arc<FactId>> = parts.filter(|id| kinds.contains(&id.kind)).collect();
        let owned = |(id, fact): (&Arc<FactId>, &Fact)| {
            let ours =
                id.kind == Kind::SequenceOwner && fact.references.iter().any(|column| column.root() == table);
            id.of.clone().filter(|_| ours)
        };
        ids.extend(facts.facts.iter().filter_map(owned));
        ids
    };
    let wanted: Vec<Arc<FactId>> = parts(to).into_iter().filter(|id| facts.get(id).is_none()).collect();
    for old in parts(facts).into_iter().filter(|id| to.get(id).is_none()) {
        let twin = wanted.iter().find(|new| {
            new.kind == old.kind
                && new.of == old.of
                && new.schema == old.schema
                && facts.get(new).is_none()
                && is_alike(facts, &old, to, new)
        });
        if let Some(new) = twin {
            let (id, next) = (FactId::clone(&old), FactId::clone(new));
            applied.push(Applied { statement: statement(facts, &old, &new.name), id, new: next });
            *facts = moved(facts, &old, new);
        }
    }
    applied
}

/// Whether the one is the other under another name.
pub(super) fn is_alike(from: &Facts, old: &FactId, to: &Facts, new: &FactId) -> bool {
    let (Some(before), Some(after)) = (from.get(old), to.get(new)) else { return false };
    let mut renamed = before.clone();
    for rule in rules(old, new) {
        rewrite_all(&mut renamed, &rule);
    }
    if old.kind.is_routine() {
        rename_bare(&mut renamed, new);
    }
    renamed.attributes == after.attributes
}

fn rename_bare(routine: &mut Fact, new: &FactId) {
    let open = new.name.find('(').unwrap_or(new.name.len());
    routine.set("bare_name", &new.name[..open]);
}

/// All facts with `old`, and all that is part of it, under the name of `new`.
fn moved(facts: &Facts, old: &FactId, new: &FactId) -> Facts {
    let mut cache: BTreeMap<Arc<FactId>, Arc<FactId>> = BTreeMap::new();
    let rules = rules(old, new);
    let mut after = Facts { facts: BTreeMap::new(), ..facts.clone() };
    for (id, fact) in &facts.facts {
        let mut fact = fact.clone();
        for rule in &rules {
            if let Some(rule) = fitting(id, &fact, old, rule) {
                rewrite_all(&mut fact, &rule);
            }
        }
        let mut map = |id: &Arc<FactId>| -> Arc<FactId> {
            Arc::clone(
                cache.entry(Arc::clone(id)).or_insert_with(|| Arc::new(other_id(id, old, new, &rules))),
            )
        };
        fact.references = fact.references.iter().map(&mut map).collect::<BTreeSet<_>>();
        if **id == *old && old.kind.is_routine() {
            rename_bare(&mut fact, new);
        }
        after.facts.insert(map(id), fact);
    }
    after
}

fn other_id(id: &FactId, old: &FactId, new: &FactId, rules: &[Rule]) -> FactId {
    if id == old {
        return new.clone();
    }
    let of = id.of.as_ref().map(|of| Arc::new(other_id(of, old, new, rules)));
    let mut other = FactId { of, ..id.clone() };
    if old.kind == Kind::Schema && other.schema.as_ref() == Some(&old.name) {
        other.schema = Some(new.name.clone());
    }
    // Names that are made of others': argument types, parents, members of publications.
    let made = other.kind.is_routine()
        || matches!(
            other.kind,
            Kind::Operator | Kind::Cast | Kind::Transform | Kind::Inheritance | Kind::PublicationMember
        );
    if made {
        for rule in rules.iter().filter(|rule| matches!(rule, Rule::Qualified { .. } | Rule::Schema { .. })) {
            other.name = rewrite(&other.name, rule);
        }
    }
    other
}

/// What the rename of `old` does to texts.
fn rules(old: &FactId, new: &FactId) -> Vec<Rule> {
    let schema = old.root().schema.clone().unwrap_or_default();
    let (before, after) = (old.name.clone(), new.name.clone());
    match old.kind {
        Kind::Schema => vec![Rule::Schema { old: before, new: after }],
        Kind::Column => vec![
            Rule::Dotted { schema, table: old.owner().name.clone(), old: before.clone(), new: after.clone() },
            Rule::Bare { old: before, new: after, side: Side::Both },
        ],
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => vec![
            Rule::Qualified { schema, old: before.clone(), new: after.clone() },
            Rule::Alias { old: before, new: after },
        ],
        Kind::Constraint | Kind::Trigger | Kind::Policy | Kind::Rule => {
            vec![Rule::Bare { old: before, new: after, side: Side::Both }]
        }
        kind if kind.is_routine() => {
            vec![Rule::Qualified { schema, old: bare_name(old), new: bare_name(new) }]
        }
        Kind::Index => vec![
            Rule::Qualified { schema, old: before.clone(), new: after.clone() },
            Rule::Bare { old: before, new: after, side: Side::Both },
        ],
        _ => vec![Rule::Qualified { schema, old: before, new: after }],
    }
}

/// The rule as it holds for one fact, if it does.
fn fitting(id: &FactId, fact: &Fact, renamed: &FactId, rule: &Rule) -> Option<Rule> {
    let refers =
        || fact.references.iter().any(|reference| renamed.contains(reference) || **reference == *renamed);
    match rule {
        Rule::Alias { .. } => (refers() || renamed.contains(id)).then(|| rule.clone()),
        Rule::Dotted { .. } => (refers() || renamed.owner().contains(id)).then(|| rule.clone()),
        Rule::Qualified { .. } if renamed.kind.is_routine() => {
            (refers() || id == renamed).then(|| rule.clone())
        }
        Rule::Bare { old, new, .. } if renamed.kind == Kind::Column => {
            let part = renamed.owner().contains(id) && id != renamed;
            let single = matches!(
                id.kind,
                Kind::Table
                    | Kind::ForeignTable
                    | Kind::Constraint
                    | Kind::Index
                    | Kind::Statistics
                    | Kind::Policy
                    | Kind::Column
                    | Kind::PublicationMember
                    | Kind::Trigger
            );
            let key = fact.text("form") == Some("foreignKey");
            let side = match (key, part) {
                (true, true) if fact.text("definition").is_some_and(|text| names_table(text, renamed)) => {
                    Side::Both
                }
                (true, true) => Side::Own,
                (true, false) => Side::Theirs,
                (false, _) => Side::Both,
            };
            (single && (part || refers())).then(|| Rule::Bare { old: old.clone(), new: new.clone(), side })
        }
        Rule::Bare { .. } => {
            let of_table = id.kind == Kind::TableIndexRole && renamed.owner().contains(id);
            (id == renamed && !matches!(id.kind, Kind::Constraint) || of_table).then(|| rule.clone())
        }
        _ => Some(rule.clone()),
    }
}

/// Whether a foreign key refers to the table of `column`.
fn names_table(definition: &str, column: &FactId) -> bool {
    definition.contains(&format!("REFERENCES {}(", column.owner().sql()))
}

/// Replaces in every text but those that people wrote.
fn rewrite_all(fact: &mut Fact, rule: &Rule) {
    for (name, value) in &mut fact.attributes {
        let prose = matches!(name.as_str(), "comment" | "owner" | "version" | "labels" | "grantee")
            || name.ends_with(" comment")
            || name.starts_with("label ");
        if prose {
            continue;
        }
        match value {
            Value::Text(text) => {
                if name == "in_schema" {
                    if let Rule::Schema { old, new } = rule
                        && text == old
                    {
                        text.clone_from(new);
                    }
                    continue;
                }
                let new = rewrite(text, rule);
                if new != *text {
                    *text = new;
                }
            }
            Value::List(items) if name == "columns" => {
                if let Rule::Bare { old, new, .. } = rule {
                    for item in items.iter_mut().filter(|item| *item == old) {
                        item.clone_from(new);
                    }
                }
            }
            Value::List(items) => {
                for item in items {
                    *item = rewrite(item, rule);
                }
            }
        }
    }
}

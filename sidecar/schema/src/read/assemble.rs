//! Rows become facts.

use std::collections::HashMap;
use std::sync::Arc;

use super::queries::{Query, Shape, class};
use super::row::Row;
use crate::fact::{Fact, FactId, Facts, Value};
use crate::kind::Kind;

/// A catalog row's key: catalog, oid, column number.
type Key = (u32, u32, i32);

/// Columns that are no attributes.
const CONTROL: &[&str] = &[
    "oid",
    "sub",
    "kind",
    "schema",
    "name",
    "of_class",
    "of_oid",
    "of_sub",
    "also_class",
    "also_oid",
    "to_class",
    "to_oid",
    "to_sub",
];

pub(super) struct Assembly {
    facts: Facts,
    ids: HashMap<Key, Arc<FactId>>,
    /// Members of extensions: catalog and oid to the extension's oid.
    members: HashMap<(u32, u32), u32>,
}

impl Assembly {
    pub(super) fn new(major: u32) -> Self {
        let facts = Facts { major, ..Facts::default() };
        Self { facts, ids: HashMap::new(), members: HashMap::new() }
    }

    pub(super) fn unreadable(&mut self, what: &str, why: &str) {
        self.facts.unreadable.insert(what.to_owned(), why.to_owned());
    }

    pub(super) fn finish(self) -> Facts {
        self.facts
    }

    pub(super) fn take(&mut self, query: &Query, rows: Vec<Row>) {
        for row in &rows {
            match query.shape {
                Shape::Facts(class) => self.fact(class, row),
                Shape::Members => {
                    let key = (row.number("class"), row.number("oid"));
                    self.members.insert(key, row.number("of_oid"));
                }
                Shape::Aliases => self.alias(row),
                Shape::Attributes => self.attribute(row),
                Shape::Grants => self.grant(row),
                Shape::Edges => self.edge(row),
                Shape::Counts => {
                    let count = row.number::<u64>("count");
                    if let (Some(kind), 1..) = (row.get("kind"), count) {
                        self.facts.unmodelled.insert(kind.to_owned(), count);
                    }
                }
            }
        }
    }

    /// What is known under a key; a member of an extension is the extension.
    fn resolve(&self, class: u32, oid: u32, sub: i32) -> Option<Arc<FactId>> {
        if let Some(id) = self.ids.get(&(class, oid, sub)) {
            return Some(Arc::clone(id));
        }
        if let Some(extension) = self.members.get(&(class, oid)) {
            return self.ids.get(&(class::EXTENSION, *extension, 0)).cloned();
        }
        if sub != 0 { self.resolve(class, oid, 0) } else { None }
    }

    fn resolve_in(&self, row: &Row, prefix: &str) -> Option<Arc<FactId>> {
        let field = |name: &str| format!("{prefix}{name}");
        self.resolve(row.number(&field("class")), row.number(&field("oid")), row.number(&field("sub")))
    }

    fn fact(&mut self, class: u32, row: &Row) {
        let (oid, sub) = (row.number("oid"), row.number("sub"));
        let Some(kind) = row.get("kind").and_then(Kind::parse) else { return };
        if class != class::EXTENSION && self.members.contains_key(&(class, oid)) {
            self.member_of(row, class, oid);
            return;
        }
        let name = row.get("name").unwrap_or_default();
        let id = if row.get("of_class").is_some() {
            let Some(of) = self.resolve_in(row, "of_") else { return };
            if of.kind == Kind::Extension {
                self.ids.insert((class, oid, sub), of);
                return;
            }
            FactId::part(of, kind, name)
        } else {
            FactId::top(kind, row.get("schema"), name)
        };
        let id = Arc::new(id);
        if class != 0 {
            self.ids.insert((class, oid, sub), Arc::clone(&id));
        }
        if row.get("also_class").is_some() {
            self.ids.insert((row.number("also_class"), row.number("also_oid"), 0), Arc::clone(&id));
        }
        let mut fact = attributes(row);
        if row.get("to_class").is_some()
            && let Some(to) = self.resolve_in(row, "to_")
        {
            fact.references.insert(to);
        }
        self.facts.facts.insert(id, fact);
    }

    /// A member's other keys stand for the extension, too.
    fn member_of(&mut self, row: &Row, class: u32, oid: u32) {
        let Some(extension) = self.resolve(class, oid, 0) else { return };
        self.ids.insert((class, oid, 0), Arc::clone(&extension));
        if row.get("also_class").is_some() {
            self.ids.insert((row.number("also_class"), row.number("also_oid"), 0), extension);
        }
    }

    fn alias(&mut self, row: &Row) {
        let key = (row.number("class"), row.number("oid"), 0);
        if !self.ids.contains_key(&key)
            && let Some(id) = self.resolve_in(row, "of_")
        {
            self.ids.insert(key, id);
        }
    }

    fn attribute(&mut self, row: &Row) {
        let key = (row.number("class"), row.number("oid"), row.number("sub"));
        let Some(id) = self.ids.get(&key) else { return };
        let (Some(name), Some(value)) = (row.get("attribute"), row.get("value")) else { return };
        let of_index = key.0 == class::CLASS && id.kind == Kind::Constraint;
        let of_sequence = key.0 == class::CLASS && key.2 == 0 && id.kind == Kind::Column;
        let prefix = if of_index {
            "index "
        } else if of_sequence {
            "sequence "
        } else {
            ""
        };
        if let Some(fact) = self.facts.facts.get_mut(id) {
            fact.set(&format!("{prefix}{name}"), value);
        }
    }

    fn grant(&mut self, row: &Row) {
        let key = (row.number("class"), row.number("oid"), row.number("sub"));
        let Some(id) = self.ids.get(&key).filter(|id| id.kind != Kind::Extension) else { return };
        let grantee = row.get("grantee").unwrap_or_default();
        let mut name = match row.get("grantor") {
            Some(grantor) => format!("{grantee} by {grantor}"),
            None => grantee.to_owned(),
        };
        // An identity column's sequence has grants of its own.
        if key.2 == 0 && id.kind == Kind::Column {
            name = format!("sequence {name}");
        }
        let mut fact = attributes(row);
        fact.attributes.retain(|name, _| name != "class");
        let id = FactId::part(Arc::clone(id), Kind::Grant, &name);
        self.facts.facts.insert(Arc::new(id), fact);
    }

    fn edge(&mut self, row: &Row) {
        let (Some(from), Some(to)) = (self.resolve_in(row, ""), self.resolve_in(row, "to_")) else { return };
        let implied = from.contains(&to) || from.of.as_ref() == Some(&to);
        // What inherits says so in a part of its own, and so does a sequence that a column owns.
        let told_apart = matches!(
            (from.kind, to.kind),
            (Kind::Table | Kind::ForeignTable, Kind::Table | Kind::ForeignTable)
                | (Kind::Sequence, Kind::Column | Kind::Table)
        );
        if implied || told_apart {
            return;
        }
        if let Some(fact) = self.facts.facts.get_mut(&from) {
            fact.references.insert(to);
        }
    }
}

fn attributes(row: &Row) -> Fact {
    let mut fact = Fact::default();
    for (name, value) in row.iter() {
        if CONTROL.contains(&name) {
            continue;
        }
        match name.strip_suffix("[]") {
            Some(name) => {
                let list = serde_json::from_str::<Vec<String>>(value).unwrap_or_default();
                fact.attributes.insert(name.to_owned(), Value::List(list));
            }
            None => fact.set(name, value),
        }
    }
    fact
}

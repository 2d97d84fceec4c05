//! Rows become facts.

use std::collections::HashMap;
use std::sync::Arc;

use super::queries::{Query, Shape, class};
use super::row::{Field, Row, Rows};
use crate::fact::{Fact, FactId, Facts, Value};
use crate::kind::Kind;

/// A catalog row's key: catalog, oid, column number.
type Key = (u32, u32, i32);

/// Facts while they are found: in the order of the queries, known by the catalogs' keys.
///
/// They are sorted once, at the end: their names are long to compare.
pub(super) struct Assembly {
    facts: Facts,
    found: Vec<(Arc<FactId>, Fact)>,
    /// Places in `found`.
    places: HashMap<Key, usize>,
    /// Members of extensions: catalog and oid to the extension's oid.
    members: HashMap<(u32, u32), u32>,
}

impl Assembly {
    pub(super) fn new(major: u32) -> Self {
        let facts = Facts { major, ..Facts::default() };
        Self { facts, found: Vec::new(), places: HashMap::new(), members: HashMap::new() }
    }

    pub(super) fn unreadable(&mut self, what: &str, why: &str) {
        self.facts.unreadable.insert(what.to_owned(), why.to_owned());
    }

    pub(super) fn finish(mut self) -> Facts {
        self.facts.facts = self.found.into_iter().collect();
        self.facts
    }

    pub(super) fn take(&mut self, query: &Query, rows: &Rows) {
        if matches!(query.shape, Shape::Facts(_)) {
            self.found.reserve(rows.len());
            self.places.reserve(rows.len());
        }
        for row in rows.iter() {
            match query.shape {
                Shape::Facts(class) => self.fact(class, row),
                Shape::More => self.more(row),
                Shape::Members => {
                    let key = (row.number(Field::Class), row.number(Field::Oid));
                    self.members.insert(key, row.number(Field::OfOid));
                }
                Shape::Aliases => self.alias(row),
                Shape::Attributes => self.attribute(row),
                Shape::Grants => self.grant(row),
                Shape::Edges => self.edge(row),
                Shape::Unread => {
                    if let (Some(what), Some(why)) = (row.get(Field::Name), row.get(Field::Value)) {
                        self.unreadable(what, why);
                    }
                }
                Shape::Counts => {
                    let count = row.number::<u64>(Field::Count);
                    if let (Some(kind), 1..) = (row.get(Field::Kind), count) {
                        self.facts.unmodelled.insert(kind.to_owned(), count);
                    }
                }
            }
        }
    }

    /// Where the fact is that a key stands for; a member of an extension is the extension.
    fn resolve(&self, class: u32, oid: u32, sub: i32) -> Option<usize> {
        if let Some(place) = self.places.get(&(class, oid, sub)) {
            return Some(*place);
        }
        if let Some(extension) = self.members.get(&(class, oid)) {
            return self.places.get(&(class::EXTENSION, *extension, 0)).copied();
        }
        if sub != 0 { self.resolve(class, oid, 0) } else { None }
    }

    fn resolve_of(&self, row: Row<'_>) -> Option<usize> {
        self.resolve(row.number(Field::OfClass), row.number(Field::OfOid), row.number(Field::OfSub))
    }

    fn resolve_to(&self, row: Row<'_>) -> Option<usize> {
        self.resolve(row.number(Field::ToClass), row.number(Field::ToOid), row.number(Field::ToSub))
    }

    /// The fact of exactly this row's key. What stands for its extension has none.
    fn own(&self, row: Row<'_>) -> Option<(Key, usize)> {
        let key: Key = (row.number(Field::Class), row.number(Field::Oid), row.number(Field::Sub));
        let place = *self.places.get(&key)?;
        (self.found[place].0.kind != Kind::Extension || key.0 == class::EXTENSION).then_some((key, place))
    }

    fn fact(&mut self, class: u32, row: Row<'_>) {
        let (oid, sub) = (row.number(Field::Oid), row.number(Field::Sub));
        let Some(kind) = row.get(Field::Kind).and_then(Kind::parse) else { return };
        if class != class::EXTENSION && self.members.contains_key(&(class, oid)) {
            self.member_of(row, class, oid);
            return;
        }
        let name = row.get(Field::Name).unwrap_or_default();
        let id = if row.get(Field::OfClass).is_some() {
            let Some(place) = self.resolve_of(row) else { return };
            let of = &self.found[place].0;
            if of.kind == Kind::Extension {
                self.places.insert((class, oid, sub), place);
                return;
            }
            FactId::part(Arc::clone(of), kind, name)
        } else {
            FactId::top(kind, row.get(Field::Schema), name)
        };
        let place = self.found.len();
        if class != 0 {
            self.places.insert((class, oid, sub), place);
        }
        if row.get(Field::AlsoClass).is_some() {
            self.places.insert((row.number(Field::AlsoClass), row.number(Field::AlsoOid), 0), place);
        }
        let mut fact = attributes(row);
        if row.get(Field::ToClass).is_some()
            && let Some(to) = self.resolve_to(row)
        {
            fact.references.insert(Arc::clone(&self.found[to].0));
        }
        self.found.push((Arc::new(id), fact));
    }

    /// A member's other keys stand for the extension, too.
    fn member_of(&mut self, row: Row<'_>, class: u32, oid: u32) {
        let Some(extension) = self.resolve(class, oid, 0) else { return };
        self.places.insert((class, oid, 0), extension);
        if row.get(Field::AlsoClass).is_some() {
            self.places.insert((row.number(Field::AlsoClass), row.number(Field::AlsoOid), 0), extension);
        }
    }

    fn more(&mut self, row: Row<'_>) {
        if let Some((_, place)) = self.own(row) {
            self.found[place].1.attributes.extend(attributes(row).attributes);
        }
    }

    fn alias(&mut self, row: Row<'_>) {
        let key = (row.number(Field::Class), row.number(Field::Oid), 0);
        if !self.places.contains_key(&key)
            && let Some(place) = self.resolve_of(row)
        {
            self.places.insert(key, place);
        }
    }

    fn attribute(&mut self, row: Row<'_>) {
        let Some((key, place)) = self.own(row) else { return };
        let (Some(name), Some(value)) = (row.get(Field::Attribute), row.get(Field::Value)) else { return };
        let (id, fact) = &mut self.found[place];
        let of_index = key.0 == class::CLASS && id.kind == Kind::Constraint;
        let of_sequence = key.0 == class::CLASS && key.2 == 0 && id.kind == Kind::Column;
        let prefix = if of_index {
            "index "
        } else if of_sequence {
            "sequence "
        } else {
            ""
        };
        fact.set(&format!("{prefix}{name}"), value);
    }

    fn grant(&mut self, row: Row<'_>) {
        let Some((key, place)) = self.own(row) else { return };
        let id = &self.found[place].0;
        if id.kind == Kind::Extension {
            return;
        }
        let grantee = row.get(Field::Grantee).unwrap_or_default();
        let mut name = match row.get(Field::Grantor) {
            Some(grantor) => format!("{grantee} by {grantor}"),
            None => grantee.to_owned(),
        };
        // An identity column's sequence has grants of its own.
        if key.2 == 0 && id.kind == Kind::Column {
            name = format!("sequence {name}");
        }
        let id = FactId::part(Arc::clone(id), Kind::Grant, &name);
        self.found.push((Arc::new(id), attributes(row)));
    }

    fn edge(&mut self, row: Row<'_>) {
        let from = self.resolve(row.number(Field::Class), row.number(Field::Oid), row.number(Field::Sub));
        let (Some(at), Some(to)) = (from, self.resolve_to(row)) else { return };
        if at == to {
            return;
        }
        let (from, to) = (&self.found[at].0, &self.found[to].0);
        let implied = from.of.as_ref() == Some(to) || from.contains(to);
        // What inherits says so in a part of its own, and so does a sequence that a column owns.
        let told_apart = matches!(
            (from.kind, to.kind),
            (Kind::Table | Kind::ForeignTable, Kind::Table | Kind::ForeignTable)
                | (Kind::Sequence, Kind::Column | Kind::Table)
        );
        if implied || told_apart {
            return;
        }
        let to = Arc::clone(to);
        self.found[at].1.references.insert(to);
    }
}

fn attributes(row: Row<'_>) -> Fact {
    let mut fact = Fact::default();
    for (name, value, is_list) in row.attributes() {
        if is_list {
            let list = serde_json::from_str::<Vec<String>>(value).unwrap_or_default();
            fact.attributes.insert(name.to_owned(), Value::List(list));
        } else {
            fact.set(name, value);
        }
    }
    fact
}

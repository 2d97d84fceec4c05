//! Facts: one per object and part of an object, with attributes, and references as edges.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::sql;

/// What a fact is about: the same in any database that has the same object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FactId {
    /// The object that this is a part of, if it is a part.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of: Option<Arc<Self>>,
    /// Its kind.
    pub kind: Kind,
    /// The schema, for objects that lie in one by themselves. Parts have none: their object has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema: Option<String>,
    /// The name. Of a routine, the name with argument types, `f(integer, text)`, quoted where it must be;
    /// of everything else the bare name.
    pub name: String,
}

impl FactId {
    /// An object that is no part of another.
    pub fn top(kind: Kind, schema: Option<&str>, name: &str) -> Self {
        Self { of: None, kind, schema: schema.map(str::to_owned), name: name.to_owned() }
    }

    /// A part of `of`.
    pub fn part(of: Arc<Self>, kind: Kind, name: &str) -> Self {
        Self { of: Some(of), kind, schema: None, name: name.to_owned() }
    }

    /// The object that a person sees, which this is, or is a part of.
    pub fn root(&self) -> &Self {
        let mut id = self;
        while let Some(of) = &id.of {
            id = of;
        }
        id
    }

    /// What this is a part of, or itself.
    pub(crate) fn owner(&self) -> &Self {
        self.of.as_deref().unwrap_or(self)
    }

    /// Whether `other` is this or a part of this.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        let mut id = other;
        loop {
            if id == self {
                return true;
            }
            match &id.of {
                Some(of) => id = of,
                None => return false,
            }
        }
    }

    /// The name as SQL wants it: qualified and quoted; of a part the part's own name.
    pub fn sql(&self) -> String {
        let name = if self.kind.is_routine() || matches!(self.kind, Kind::Operator) {
            self.name.clone()
        } else {
            sql::quote(&self.name)
        };
        match &self.schema {
            Some(schema) => format!("{}.{name}", sql::quote(schema)),
            None => name,
        }
    }
}

/// By what it is a part of, kind, schema and name.
impl Ord for FactId {
    fn cmp(&self, other: &Self) -> Ordering {
        // Parts of one object mostly share it, which spares most of the comparing.
        let of = match (&self.of, &other.of) {
            (Some(a), Some(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
            (a, b) => a.cmp(b),
        };
        of.then_with(|| self.kind.cmp(&other.kind))
            .then_with(|| self.schema.cmp(&other.schema))
            .then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for FactId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for FactId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.kind.title(), self.sql())?;
        match &self.of {
            Some(of) => write!(out, " of {of}"),
            None => Ok(()),
        }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Text, a number, or `true`. What is false, empty or as Postgres has it by default is left out.
    Text(String),
    /// Several, in an order that means something.
    List(Vec<String>),
}

/// What is known of one object or part: attributes by name, and what it needs in order to exist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// Attributes by name.
    pub attributes: BTreeMap<String, Value>,
    /// What it refers to; what it is a part of is not among them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub references: BTreeSet<Arc<FactId>>,
}

impl Fact {
    /// An attribute's text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// An attribute's list; empty if there is none.
    pub fn list(&self, name: &str) -> &[String] {
        match self.attributes.get(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// Whether an attribute is true.
    pub fn is(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// A number; 0 if there is none.
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Adds an attribute.
    pub fn set(&mut self, name: &str, value: &str) {
        self.attributes.insert(name.to_owned(), Value::Text(value.to_owned()));
    }
}

/// Everything that is known of a database's schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Listed", into = "Listed")]
pub struct Facts {
    /// The server's major version, such as 15.
    pub major: u32,
    /// Facts by what they are about.
    pub facts: BTreeMap<Arc<FactId>, Fact>,
    /// How many objects exist of kinds that are not modelled, by kind.
    pub unmodelled: BTreeMap<String, u64>,
    /// The kinds that could not be read, with the server's reason.
    pub unreadable: BTreeMap<String, String>,
}

impl Facts {
    /// The fact about `id`.
    pub fn get(&self, id: &FactId) -> Option<&Fact> {
        self.facts.get(id)
    }

    /// The direct parts of `id` in order: columns by position, everything else by kind and name.
    pub fn parts(&self, id: &FactId) -> Vec<(&Arc<FactId>, &Fact)> {
        let first =
            FactId { of: Some(Arc::new(id.clone())), kind: Kind::ALL[0], schema: None, name: String::new() };
        let mut parts: Vec<_> =
            self.facts.range(first..).take_while(|(part, _)| part.of.as_deref() == Some(id)).collect();
        parts.sort_by(|a, b| {
            let key = |part: &(&Arc<FactId>, &Fact)| (part.0.kind, part.1.number("position"));
            key(a).cmp(&key(b)).then_with(|| a.0.cmp(b.0))
        });
        parts
    }

    /// The direct parts of one kind.
    pub(crate) fn parts_of_kind(&self, id: &FactId, kind: Kind) -> Vec<(&Arc<FactId>, &Fact)> {
        self.parts(id).into_iter().filter(|(part, _)| part.kind == kind).collect()
    }
}

/// [`Facts`] as JSON has them: a list, because an object's keys are strings.
#[derive(Serialize, Deserialize)]
struct Listed {
    major: u32,
    facts: Vec<Entry>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    unmodelled: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    unreadable: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    id: Arc<FactId>,
    #[serde(flatten)]
    fact: Fact,
}

impl From<Facts> for Listed {
    fn from(facts: Facts) -> Self {
        let entries = facts.facts.into_iter().map(|(id, fact)| Entry { id, fact }).collect();
        Self {
            major: facts.major,
            facts: entries,
            unmodelled: facts.unmodelled,
            unreadable: facts.unreadable,
        }
    }
}

impl From<Listed> for Facts {
    fn from(listed: Listed) -> Self {
        let facts = listed.facts.into_iter().map(|entry| (entry.id, entry.fact)).collect();
        Self { major: listed.major, facts, unmodelled: listed.unmodelled, unreadable: listed.unreadable }
    }
}

//! What a person sees: objects with all their parts folded in, and which of them changed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::fact::{FactId, Facts};
use crate::kind::Kind;

/// An object that a person sees by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Object {
    /// Its kind; [`Kind::is_top`] holds.
    pub kind: Kind,
    /// Its schema, if it lies in one.
    pub schema: Option<String>,
    /// Its name; of a routine with the argument types.
    pub name: String,
}

impl Object {
    /// The object that `id` is or is a part of.
    pub fn of(id: &FactId) -> Self {
        let root = id.root();
        Self { kind: root.kind, schema: root.schema.clone(), name: root.name.clone() }
    }

    /// The fact's id.
    pub fn id(&self) -> FactId {
        FactId::top(self.kind, self.schema.as_deref(), &self.name)
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id().fmt(out)
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// It is there now and was not.
    Added,
    /// It was there and is no longer.
    Removed,
    /// It, or a part of it, is another.
    Changed,
}

/// That an object changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The object.
    pub object: Object,
    /// What happened to it.
    pub kind: ChangeKind,
}

impl Facts {
    /// The objects that a person sees, sorted.
    pub fn objects(&self) -> Vec<Object> {
        let mut objects: Vec<_> =
            self.facts.keys().filter(|id| id.of.is_none()).map(|id| Object::of(id)).collect();
        objects.sort();
        objects
    }

    /// The object's whole text: canonical statements that make it, its parts, comments and grants, in a stable
    /// order and with every name qualified, as `pg_dump` writes them. `None` if there is no such object.
    pub fn definition(&self, object: &Object) -> Option<String> {
        crate::render::definition(self, &object.id())
    }
}

/// The objects that differ, sorted; noise is left out. See [`crate::diff`] for the details and for options.
pub fn changes(from: &Facts, to: &Facts) -> Vec<Change> {
    changes_counting(from, to, &crate::diff::Noise::default())
}

/// Like [`changes`], with some noise taken for a difference.
pub fn changes_counting(from: &Facts, to: &Facts, noise: &crate::diff::Noise) -> Vec<Change> {
    let mut objects = BTreeSet::new();
    for difference in crate::diff::diff(from, to, noise) {
        objects.insert(Object::of(&difference.id));
    }
    let change = |object: Object| {
        let id = object.id();
        let kind = match (from.get(&id), to.get(&id)) {
            (None, Some(_)) => ChangeKind::Added,
            (Some(_), None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        };
        Change { object, kind }
    };
    objects.into_iter().map(change).collect()
}

//! The schemas that a summary is about, and every object that differs between them.

use std::collections::BTreeMap;

use offshoot_schema::{Change, ChangeKind, Facts, Object, changes, three_way};
use serde::{Deserialize, Serialize};

/// A schema and the name of the branch that has it.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Name of the branch.
    pub name: &'a str,
    /// Its schema.
    pub facts: &'a Facts,
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// The branch.
    pub mine: Side<'a>,
    /// Its parent, as it is now.
    pub theirs: Side<'a>,
    /// The parent's schema when the branch was made, if it is known.
    pub fork: Option<&'a Facts>,
}

/// Whose a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum Group {
    /// Both sides touched it, and not alike.
    Conflict,
    /// The branch's.
    Mine,
    /// The parent's, made after the branch left it.
    Theirs,
    /// The same on both sides.
    Both,
    /// Of two sides without a fork point: nobody knows whose.
    Unknown,
}

/// An object as the wire protocol has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Its kind: `table`, `materializedView`.
    pub kind: String,
    /// Its schema, if it lies in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub schema: Option<String>,
    /// Its name; of a routine with the types of its arguments.
    pub name: String,
}

impl From<&Object> for ObjectRef {
    fn from(object: &Object) -> Self {
        Self {
            kind: object.kind.as_str().to_owned(),
            schema: object.schema.clone(),
            name: object.name.clone(),
        }
    }
}

/// An object that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The object.
    pub object: Object,
    /// Whose the change is.
    pub group: Group,
    /// What happened to it, from [`Sides::before`] to [`Sides::after`].
    pub change: ChangeKind,
    /// Why it is a conflict; empty if it is none.
    pub reasons: Vec<String>,
}

impl<'a> Sides<'a> {
    /// What the branch started from: the fork point, or the parent as it is now.
    pub fn base(&self) -> &'a Facts {
        self.fork.unwrap_or(self.theirs.facts)
    }

    /// The schema that a change of this group starts from.
    pub fn before(&self, group: Group) -> &'a Facts {
        if group == Group::Conflict { self.theirs.facts } else { self.base() }
    }

    /// The schema that a change of this group leads to.
    pub fn after(&self, group: Group) -> &'a Facts {
        if group == Group::Theirs { self.theirs.facts } else { self.mine.facts }
    }

    /// Every object that differs, by group and then sorted.
    pub fn entries(&self) -> Vec<Entry> {
        let Some(fork) = self.fork else {
            return entries(changes(self.theirs.facts, self.mine.facts), Group::Unknown);
        };
        let found = three_way(fork, self.mine.facts, self.theirs.facts);
        let mut colliding: BTreeMap<Object, Vec<String>> = BTreeMap::new();
        for conflict in found.conflicts {
            colliding.entry(conflict.object).or_default().push(conflict.reason);
        }
        let conflict = |(object, reasons): (Object, Vec<String>)| {
            let id = object.id();
            let change = match (self.theirs.facts.get(&id), self.mine.facts.get(&id)) {
                (None, Some(_)) => ChangeKind::Added,
                (Some(_), None) => ChangeKind::Removed,
                _ => ChangeKind::Changed,
            };
            Entry { object, group: Group::Conflict, change, reasons }
        };
        let mut all: Vec<Entry> = colliding.into_iter().map(conflict).collect();
        all.extend(entries(found.mine, Group::Mine));
        all.extend(entries(found.theirs, Group::Theirs));
        all.extend(entries(found.both, Group::Both));
        all
    }
}

fn entries(changes: Vec<Change>, group: Group) -> Vec<Entry> {
    let entry =
        |change: Change| Entry { object: change.object, group, change: change.kind, reasons: Vec::new() };
    changes.into_iter().map(entry).collect()
}

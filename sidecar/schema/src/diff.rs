//! The difference of two sets of facts, and what of it is noise.

mod version;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::unread::Unread;

/// Which noise to take for a difference; by default none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Noise {
    /// The order of columns, beyond what a view or composite type makes visible.
    pub column_order: bool,
    /// Third and later numbers of extension versions.
    pub extension_patches: bool,
    /// Any number of an extension's version.
    pub ignore_extension_versions: bool,
    /// Versions of collations as the operating system has them.
    pub collation_versions: bool,
    /// Whether a materialised view holds rows.
    pub populated: bool,
    /// The order in which grants were made.
    pub grant_order: bool,
    /// Roles and memberships, which belong to the server and not to the database.
    pub roles: bool,
}

/// What happened to a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// It is only in the second.
    Added,
    /// It is only in the first.
    Removed,
    /// These attributes differ.
    Changed(BTreeSet<String>),
}

/// A fact that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What the fact is about.
    pub id: Arc<FactId>,
    /// What happened.
    pub delta: Delta,
}

/// All facts that differ, in the order of their ids; without those of kinds that one side could not read.
pub fn diff(from: &Facts, to: &Facts, noise: &Noise) -> Vec<Difference> {
    let mut differences = Vec::new();
    let unread = Unread::of(from, to);
    let mut olds = from.facts.iter().filter(|(id, _)| noise.counts(id) && !unread.hides(id)).peekable();
    let mut news = to.facts.iter().filter(|(id, _)| noise.counts(id) && !unread.hides(id)).peekable();
    loop {
        let order = match (olds.peek(), news.peek()) {
            (None, None) => return differences,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(old), Some(new)) => old.0.cmp(new.0),
        };
        let old = if order.is_le() { olds.next() } else { None };
        let new = if order.is_ge() { news.next() } else { None };
        let (id, delta) = match (old, new) {
            (Some((id, old)), Some((_, new))) => {
                let mut changed = noise.changed(id, old, new);
                changed.retain(|name| !unread.hides_attribute(id, name));
                if from.major != to.major {
                    changed.retain(|name| !version::explains(id, name, old, new));
                }
                if changed.is_empty() {
                    continue;
                }
                (id, Delta::Changed(changed))
            }
            (Some((id, _)), None) => (id, Delta::Removed),
            (None, Some((id, _))) => (id, Delta::Added),
            (None, None) => return differences,
        };
        differences.push(Difference { id: Arc::clone(id), delta });
    }
}

impl Noise {
    fn counts(self, id: &FactId) -> bool {
        self.roles || !matches!(id.kind, Kind::Role | Kind::Membership)
    }

    fn changed(self, id: &FactId, old: &Fact, new: &Fact) -> BTreeSet<String> {
        let names: BTreeSet<&String> = old.attributes.keys().chain(new.attributes.keys()).collect();
        let differs = |name: &&String| old.attributes.get(*name) != new.attributes.get(*name);
        names.into_iter().filter(differs).filter(|name| !self.is_noise(id, name, old, new)).cloned().collect()
    }

    fn is_noise(self, id: &FactId, name: &str, old: &Fact, new: &Fact) -> bool {
        match (id.kind, name) {
            (Kind::Column, "position") => !self.column_order,
            (Kind::Grant, "position") => !self.grant_order,
            (Kind::Inheritance, "position") => true,
            // It is the parent's business, and cannot be changed here.
            (Kind::Column, "not_null_name") => old.is("inherited") && new.is("inherited"),
            (Kind::MaterializedView, "unpopulated") => !self.populated,
            (Kind::Collation, "version") => !self.collation_versions,
            (Kind::Extension, "version") => {
                self.ignore_extension_versions
                    || !self.extension_patches && minor(old.text(name)) == minor(new.text(name))
            }
            _ => false,
        }
    }
}

/// The first two numbers of a version.
fn minor(version: Option<&str>) -> Option<Vec<&str>> {
    version.map(|version| version.split('.').take(2).collect())
}

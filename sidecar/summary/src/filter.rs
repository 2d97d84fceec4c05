//! Which changes to show.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::sides::{Entry, Group};
use crate::words::title;

/// Which changes to show; by default all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// Words that kind and name must contain, whatever their case.
    pub text: String,
    /// Kinds as they are on the wire; empty for all.
    pub kinds: Vec<String>,
    /// Groups; empty for all.
    pub groups: Vec<Group>,
}

impl Filter {
    /// Whether an entry is shown.
    pub fn shows(&self, entry: &Entry) -> bool {
        let kind = entry.object.kind.as_str();
        let title = title(&entry.object).to_lowercase();
        (self.kinds.is_empty() || self.kinds.iter().any(|wanted| wanted == kind))
            && (self.groups.is_empty() || self.groups.contains(&entry.group))
            && self.text.to_lowercase().split_whitespace().all(|word| title.contains(word))
    }
}

/// What a filter can choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Choices {
    /// Kinds that changed, as they are on the wire, sorted.
    pub kinds: Vec<String>,
    /// Groups that have changes, sorted.
    pub groups: Vec<Group>,
}

impl Choices {
    /// What `entries` offer.
    pub fn of(entries: &[Entry]) -> Self {
        let kinds: BTreeSet<_> = entries.iter().map(|entry| entry.object.kind.as_str().to_owned()).collect();
        let groups: BTreeSet<_> = entries.iter().map(|entry| entry.group).collect();
        Self { kinds: kinds.into_iter().collect(), groups: groups.into_iter().collect() }
    }
}

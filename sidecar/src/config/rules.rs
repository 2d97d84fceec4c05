//! Rules about branches, by their names: `[[branches]]`, `[[tiers]]` and `[limits]`.
//!
//! As in `pg_hba.conf`, the first rule whose pattern fits decides, alone: what it does not say is the default, and no later rule is
//! asked for it.

mod contradictions;
mod initial;
mod pattern;
mod tiers;

use std::ops::Range;
use std::time::Duration;

use globset::{GlobSet, GlobSetBuilder};

pub(super) use contradictions::{Contradiction, contradictions};
pub(crate) use initial::{Grant, Initial, Objects};
pub(crate) use pattern::Pattern;
pub(crate) use tiers::{Check, Tier, Tiers};

use super::OnCheckout;

/// A value, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    /// From 1.
    pub(crate) line: usize,
    /// In bytes.
    pub(crate) span: Range<usize>,
}

/// The role as which sessions read a branch that they may not write to.
pub(crate) const READER: &str = "offshoot_reader";

/// One `[[branches]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Which names it is about.
    pub(crate) pattern: At<Pattern>,
    /// Name of the database branch that a new one is made from.
    pub(crate) parent: Option<At<String>>,
    /// How long after it is made a new one goes to the trash.
    pub(crate) ttl: Option<At<Duration>>,
    /// Whether it can be deleted, reset, restored and renamed only by who says that he means it.
    pub(crate) protected: Option<At<bool>>,
    /// What has to hold of the data of a new one.
    pub(crate) masking: Option<At<Masking>>,
    /// The roles whose own sessions may write; all may if it does not say.
    pub(crate) writers: Option<At<Vec<String>>>,
    /// Whether `--override` goes past `protected` and `writers`.
    pub(crate) may_override: Option<At<bool>>,
    /// What happens when the git branch is checked out and there is no database branch.
    pub(crate) on_checkout: Option<At<OnCheckout>>,
    /// From how many bytes of its own on it is told.
    pub(crate) max_bytes: Option<At<u64>>,
    /// What a new one is given before anybody connects to it.
    pub(crate) initial: Initial,
}

/// How personal data have to have come into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masking {
    /// By all rules of `[masking.columns]` that there are now.
    Required,
    /// However they did.
    Any,
}

impl Masking {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Any => "any",
        }
    }
}

impl Rule {
    /// The line with `masking = "required"`.
    pub(crate) fn wants_masked(&self) -> Option<usize> {
        self.masking.as_ref().filter(|masking| masking.value == Masking::Required).map(|masking| masking.line)
    }

    /// The line with `override = false`.
    pub(crate) fn is_fixed(&self) -> Option<usize> {
        self.may_override.as_ref().filter(|may| !may.value).map(|may| may.line)
    }

    /// The line with `protected = true`.
    pub(crate) fn guards(&self) -> Option<usize> {
        self.protected.as_ref().filter(|protected| protected.value).map(|protected| protected.line)
    }
}

/// All rules of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    list: Vec<Rule>,
    set: GlobSet,
    /// `limits.branches`: how many database branches there may be.
    pub(crate) most_branches: Option<At<u64>>,
    /// `[[tiers]]`.
    pub(crate) tiers: Tiers,
    /// The columns that `[masking.columns]` masks.
    pub(crate) masked: Vec<String>,
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        (&self.list, &self.most_branches, &self.tiers, &self.masked)
            == (&other.list, &other.most_branches, &other.tiers, &other.masked)
    }
}

impl Eq for Rules {}

impl Rules {
    /// In the order of the file.
    pub(super) fn set(&mut self, rules: Vec<Rule>) {
        let mut set = GlobSetBuilder::new();
        for rule in &rules {
            set.add(rule.pattern.value.glob().clone());
        }
        // Each of them was compiled by itself before; only their sum can be too much.
        match set.build() {
            Ok(set) => (self.list, self.set) = (rules, set),
            Err(error) => tracing::warn!(%error, "the rules about branches are too many"),
        }
    }

    /// Any rule.
    pub(super) fn find_any(&self) -> Option<&Rule> {
        self.list.first()
    }

    /// The rule that decides about branches of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&Rule> {
        if self.list.is_empty() {
            return None;
        }
        self.set.matches(name).into_iter().min().and_then(|first| self.list.get(first))
    }

    /// Where masked data are asked for that no rule masks, once all of the file was read.
    pub(super) fn nothing_to_mask(&self) -> Option<Contradiction> {
        let rule = self.list.iter().find(|rule| rule.wants_masked().is_some() && self.masked.is_empty())?;
        let span = rule.masking.as_ref()?.span.clone();
        Some(Contradiction {
            span,
            message: "no branch can be made by this: `[masking.columns]` masks nothing".to_owned(),
            hint: "Name the columns there; `offshoot masking check` finds those that look personal."
                .to_owned(),
        })
    }

    /// The rules, in the order of the file.
    #[cfg(test)]
    pub(crate) fn all(&self) -> &[Rule] {
        &self.list
    }
}

#[cfg(test)]
mod tests;

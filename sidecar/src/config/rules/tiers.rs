//! `[[tiers]]`: the branches that migrations are promoted to, from the first to the last.

use std::time::Duration;

use super::contradictions::Contradiction;
use super::{At, Rules};

/// What has to hold on a throwaway of a tier's branch before migrations come to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Check {
    /// They run, all of them.
    Applies,
    /// A second run changes nothing.
    Idempotent,
    /// They can be taken back, and the schema is what it was.
    Reversible,
    /// The tier's branch has the schema that its migrations make.
    NoDrift,
    /// No rule for statements finds an error.
    Lint,
    /// The command of `migrations.check_command` succeeds.
    Command,
}

impl Check {
    /// All of them, by the words of the file.
    pub(crate) const WORDS: [(&'static str, Self); 6] = [
        ("applies", Self::Applies),
        ("idempotent", Self::Idempotent),
        ("reversible", Self::Reversible),
        ("no-drift", Self::NoDrift),
        ("lint", Self::Lint),
        ("command", Self::Command),
    ];

    /// As the file has it.
    pub(crate) fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, check)| *check == self).map_or("", |(word, _)| word)
    }
}

/// One `[[tiers]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tier {
    /// Name of the git branch and of the database branch.
    pub(crate) branch: At<String>,
    /// Besides [`Check::Applies`], which always holds.
    pub(crate) checks: Option<At<Vec<Check>>>,
    /// How long a table that is there may be closed to writers.
    pub(crate) max_lock: Option<At<Duration>>,
    /// How many bytes of tables and indexes may be written anew.
    pub(crate) max_rewrite: Option<At<u64>>,
    /// Whether a person may go past a check that failed.
    pub(crate) may_override: Option<At<bool>>,
}

impl Tier {
    fn wants(&self, check: Check) -> Option<&At<Vec<Check>>> {
        self.checks.as_ref().filter(|checks| checks.value.contains(&check))
    }
}

/// All tiers of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tiers {
    /// From the first to the last.
    pub(crate) list: Vec<Tier>,
    /// The command of [`Check::Command`].
    pub(crate) command: Option<String>,
}

impl Tiers {
    /// Where in the list the tier of a branch stands.
    pub(crate) fn at(&self, branch: &str) -> Option<usize> {
        self.list.iter().position(|tier| tier.branch.value == branch)
    }
}

impl Rules {
    /// Where in the list the tier stands that migrations of a branch go to next; none above the last.
    ///
    /// Of a branch that is no tier it is the nearest tier among its parents, as the rules have them, or else the first.
    pub(crate) fn next_tier(&self, branch: &str) -> Option<usize> {
        let tiers = &self.tiers;
        if let Some(at) = tiers.at(branch) {
            return Some(at + 1).filter(|next| *next < tiers.list.len());
        }
        let mut seen = vec![branch];
        let mut name = branch;
        while let Some(parent) = self.find(name).and_then(|rule| rule.parent.as_ref()) {
            if let Some(at) = tiers.at(&parent.value) {
                return Some(at);
            }
            if seen.contains(&parent.value.as_str()) {
                break;
            }
            name = &parent.value;
            seen.push(name);
        }
        (!tiers.list.is_empty()).then_some(0)
    }

    /// What of the tiers cannot all be meant, in the order of the file.
    pub(in crate::config) fn tier_contradictions(&self) -> Vec<Contradiction> {
        let mut found = Vec::new();
        for (at, tier) in self.tiers.list.iter().enumerate() {
            found.extend(self.twice(at, tier));
            found.extend(self.other_parent(at, tier));
            found.extend(self.expiring(tier));
            found.extend(self.no_command(tier));
        }
        found
    }

    fn twice(&self, at: usize, tier: &Tier) -> Option<Contradiction> {
        let first = &self.tiers.list[self.tiers.at(&tier.branch.value).filter(|first| *first < at)?];
        Some(Contradiction {
            span: tier.branch.span.clone(),
            message: format!("`{}` is a tier in line {} already", tier.branch.value, first.branch.line),
            hint: "A branch is one tier: put both into one.".to_owned(),
        })
    }

    /// Tiers are a chain of parents: what a tier's branch is made from is the next tier.
    fn other_parent(&self, at: usize, tier: &Tier) -> Option<Contradiction> {
        let name = &tier.branch.value;
        let parent = self.find(name)?.parent.as_ref()?;
        let next = self.tiers.list.get(at + 1).map(|next| next.branch.value.as_str());
        if next == Some(parent.value.as_str()) {
            return None;
        }
        let (message, hint) = match (next, self.tiers.at(&parent.value)) {
            (_, Some(before)) if before <= at => (
                format!(
                    "`{name}` is made from `{}` (line {}), which is a tier before it: promotion would go round in a circle",
                    parent.value, parent.line
                ),
                "Tiers stand from the first to the last; the parent of each is the next. Put them into that order.",
            ),
            (Some(next), _) => (
                format!(
                    "`{name}` is made from `{}` (line {}), and the next tier is `{next}`",
                    parent.value, parent.line
                ),
                "The parent of a tier is the next one: change `parent`, or the order of the tiers.",
            ),
            (None, None) => (
                format!(
                    "`{name}` is the last tier, and is made from `{}` (line {}), which is none",
                    parent.value, parent.line
                ),
                "Add a tier for the parent behind it, or take `parent` out.",
            ),
            // The parent is a tier behind this one, without one between: it is the next.
            (None, Some(_)) => return None,
        };
        Some(Contradiction { span: tier.branch.span.clone(), message, hint: hint.to_owned() })
    }

    fn expiring(&self, tier: &Tier) -> Option<Contradiction> {
        let ttl = self.find(&tier.branch.value)?.ttl.as_ref()?;
        Some(Contradiction {
            span: tier.branch.span.clone(),
            message: format!(
                "the tier `{}` would go to the trash by itself (line {})",
                tier.branch.value, ttl.line
            ),
            hint: "Put a rule for it before that one, without `ttl`.".to_owned(),
        })
    }

    fn no_command(&self, tier: &Tier) -> Option<Contradiction> {
        let checks = tier.wants(Check::Command).filter(|_| self.tiers.command.is_none())?;
        Some(Contradiction {
            span: checks.span.clone(),
            message: "the check \"command\" has no command".to_owned(),
            hint: "Name it: [migrations] check_command = \"npm test\".".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;

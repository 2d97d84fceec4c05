//! What a branch's parent did since the branch left it, where the two are compared.

use std::collections::{BTreeMap, BTreeSet};

use offshoot_schema::{Change, Object, PlanOptions, changes, renames, three_way};
use serde_json::{Value, json};

use super::comparison::{Comparison, kind_word, name, one_line, title};
use super::markdown::escape::{code, prose};
use super::reading::Read;

/// What is known of the parent, which is the first side.
pub(super) struct Parent {
    /// Whether it has changes since the fork point that the branch has not.
    pub(super) changed: bool,
    /// What both sides changed so that it cannot be both.
    conflicts: BTreeMap<Object, Vec<String>>,
}

impl Comparison {
    /// Takes into account what the second side was when it left the first one, its parent. What the parent did since is no
    /// reason to ask whether the branch has renamed something.
    pub(super) fn since(&mut self, fork: &Read, options: &PlanOptions) {
        let (parent, branch) = (&self.from.facts, &self.to.facts);
        // The parent's facts have the confirmed renames already.
        let renamed = options.renames.renamed(&fork.facts, branch);
        let fork = renamed.as_ref().unwrap_or(&fork.facts);
        let theirs: Vec<Change> = changes(fork, parent);
        if theirs.is_empty() {
            self.parent = Some(Parent { changed: false, conflicts: BTreeMap::new() });
            return;
        }
        let found = three_way(fork, branch, parent);
        let own: BTreeSet<String> = renames(fork, branch).into_iter().map(|found| found.line).collect();
        self.candidates.retain(|candidate| own.contains(&candidate.line));
        let mut conflicts: BTreeMap<Object, Vec<String>> = BTreeMap::new();
        for conflict in found.conflicts {
            conflicts.entry(conflict.object).or_default().push(conflict.reason);
        }
        let changed = !found.theirs.is_empty() || !conflicts.is_empty();
        self.parent = Some(Parent { changed, conflicts });
    }

    /// Says that the parent has gone on, if it has: on one line, without a mark before it.
    pub(super) fn warning(&self) -> Option<String> {
        self.parent.as_ref().filter(|parent| parent.changed)?;
        let (from, to) = (one_line(&self.from.name), one_line(&self.to.name));
        Some(format!(
            "{from} has changed since {to} left it: this would undo that. --from-fork shows what {to} did, --three-way both."
        ))
    }

    /// As [`Comparison::warning`], for a comment.
    pub(super) fn marked_warning(&self) -> Option<String> {
        self.parent.as_ref().filter(|parent| parent.changed)?;
        let (from, to) = (code(&self.from.name), code(&self.to.name));
        Some(format!(
            "**Warning:** {from} has changed since {to} left it: this would undo that. `offshoot diff --from-fork` shows what {to} \
             did, `--three-way` both."
        ))
    }

    fn conflicts(&self) -> impl Iterator<Item = (&Object, &Vec<String>)> {
        self.parent.iter().flat_map(|parent| &parent.conflicts)
    }

    /// Such as `2 conflicts with main`, for a verdict; `None` if there is none.
    pub(super) fn conflict_words(&self) -> Option<String> {
        let with = format!("with {}", code(&self.from.name));
        match self.conflicts().count() {
            0 => None,
            1 => Some(format!("1 conflict {with}")),
            many => Some(format!("{many} conflicts {with}")),
        }
    }

    /// The conflicts as items of a list.
    pub(super) fn conflict_items(&self) -> Vec<String> {
        self.conflicts().map(|(object, reasons)| conflict_item(object, reasons)).collect()
    }

    /// For programs: whether the parent has changed, which is null if the first side is not the parent or that is not known,
    /// and the conflicts.
    pub(super) fn parent_values(&self) -> (Value, Value) {
        let conflicts = self
            .conflicts()
            .map(|(object, reasons)| json!({ "object": object, "title": title(object), "reasons": reasons }));
        let changed = self.parent.as_ref().map(|parent| parent.changed);
        (json!(changed), conflicts.collect())
    }
}

/// A conflict as an item of a list.
pub(super) fn conflict_item(object: &Object, reasons: &[String]) -> String {
    let reasons = prose(&one_line(&reasons.join("; ")));
    format!("- {} {}: {reasons}", kind_word(object.kind), code(&name(object)))
}

//! The difference for programs; docs/diff.md describes it.

use offshoot_schema::plan::{SETTINGS, Step};
use serde_json::{Value, json};

use super::comparison::{Changed, Comparison, title};
use super::histories;
use super::reading::Read;

/// Raised whenever a field goes or means something else; new fields may come without.
pub(super) const VERSION: u32 = 1;

/// The document.
pub(super) fn document(comparison: &Comparison) -> Value {
    let (from, to) = (&comparison.from, &comparison.to);
    let changes: Vec<_> = comparison.changes.iter().map(change).collect();
    let parts = comparison.plan.parts.iter().enumerate();
    let steps: Vec<_> = parts
        .flat_map(|(at, part)| part.steps.iter().map(move |it| step(it, at, part.transactional)))
        .collect();
    let (parent_changed, conflicts) = comparison.parent_values();
    let mut document = json!({
        "version": VERSION,
        "from": side(from),
        "to": side(to),
        "different": comparison.is_different(),
        "parentChanged": parent_changed,
        "conflicts": conflicts,
        "changes": changes,
        "settings": SETTINGS,
        "steps": steps,
        "renamed": comparison.renamed,
        "renameCandidates": comparison.candidates,
        "unplanned": comparison.plan.unplanned,
        "unmodelled": { "from": from.facts.unmodelled, "to": to.facts.unmodelled },
        "unreadable": { "from": from.facts.unreadable, "to": to.facts.unreadable },
    });
    // Absent as a rule, so that digests of comments stay.
    if !comparison.left_out.is_empty() {
        document["leftOut"] = histories::values(&comparison.left_out);
    }
    document
}

pub(super) fn side(side: &Read) -> Value {
    json!({ "kind": side.kind, "name": side.name, "postgres": side.facts.major })
}

fn change(changed: &Changed) -> Value {
    let change = &changed.change;
    json!({
        "change": change.kind,
        "object": change.object,
        "title": title(&change.object),
        "from": changed.from,
        "to": changed.to,
        "beyondSql": changed.beyond_sql,
    })
}

fn step(step: &Step, part: usize, transactional: bool) -> Value {
    json!({
        "part": part,
        "transactional": transactional,
        "object": step.object,
        "what": step.what,
        "action": step.action,
        "statements": step.statements,
        "hazards": step.hazards,
        "lock": step.lock,
    })
}

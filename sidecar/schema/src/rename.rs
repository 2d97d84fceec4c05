//! Renames: what looks like one, with the reason. They are offered and never guessed.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diff::{Delta, Noise, diff};
use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::render::name;
use crate::sql;

/// Something that went and something that came, which may be the same under another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenameCandidate {
    /// What went.
    pub from: FactId,
    /// What came.
    pub to: FactId,
    /// Why it may be a rename, for people.
    pub reason: String,
    /// The statement that renames it.
    pub statement: String,
}

/// How many of a hundred columns have to be alike for a table to be offered.
const ALIKE_PERCENT: usize = 60;

/// The renames that a person may confirm, tables before columns.
///
/// A confirmed one is run on `from` before the schema is read again and planned.
pub fn renames(from: &Facts, to: &Facts) -> Vec<RenameCandidate> {
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    for difference in diff(from, to, &Noise::default()) {
        match difference.delta {
            Delta::Removed => gone.push(difference.id),
            Delta::Added => new.push(difference.id),
            Delta::Changed(_) => {}
        }
    }
    let mut candidates = Vec::new();
    for old in &gone {
        for fresh in new.iter().filter(|fresh| fresh.kind == old.kind && fresh.schema == old.schema) {
            let reason = match old.kind {
                Kind::Table => tables(from, to, old, fresh),
                Kind::Column if old.of == fresh.of => columns(from, to, old, fresh),
                _ => None,
            };
            candidates.extend(reason.map(|reason| candidate(old, fresh, reason)));
        }
    }
    candidates.sort_by(|a, b| (a.from.kind, &a.from, &a.to).cmp(&(b.from.kind, &b.from, &b.to)));
    candidates
}

fn candidate(from: &FactId, to: &FactId, reason: String) -> RenameCandidate {
    let new = sql::quote(&to.name);
    let statement = match from.kind {
        Kind::Column => {
            format!("{} RENAME COLUMN {} TO {new}", name::alter(from.owner()), sql::quote(&from.name))
        }
        _ => format!("{} RENAME TO {new}", name::alter(from)),
    };
    RenameCandidate { from: from.clone(), to: to.clone(), reason, statement }
}

fn tables(from: &Facts, to: &Facts, old: &Arc<FactId>, new: &Arc<FactId>) -> Option<String> {
    let shape = |facts: &Facts, id: &FactId| -> BTreeSet<(String, String)> {
        let columns = facts.parts_of_kind(id, Kind::Column);
        let shape = |(id, fact): (&Arc<FactId>, &Fact)| {
            (id.name.clone(), fact.text("type").unwrap_or_default().to_owned())
        };
        columns.into_iter().map(shape).collect()
    };
    let (before, after) = (shape(from, old), shape(to, new));
    let alike = before.intersection(&after).count();
    let most = before.len().max(after.len());
    (alike > 0 && alike * 100 >= most * ALIKE_PERCENT)
        .then(|| format!("{alike} of {most} columns have the same name and type"))
}

fn columns(from: &Facts, to: &Facts, old: &FactId, new: &FactId) -> Option<String> {
    let (old, new) = (from.get(old)?, to.get(new)?);
    let same = |name: &str| old.text(name) == new.text(name);
    let same_type = same("type") && same("collation") && same("generated") && same("identity");
    let place = if same("position") { " and stands in the same place" } else { "" };
    same_type.then(|| format!("it has the same type, {}{place}", new.text("type").unwrap_or_default()))
}

//! Renames: what looks like one, with the reason. They are offered and never guessed; a person confirms them.

mod apply;
mod fit;
mod parse;
mod rewrite;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diff::{Delta, Noise, diff};
use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::sql::quote;

pub(crate) use apply::Applied;
pub use fit::{Fitting, FittingSince, RenamedObject, Renamer, former_name};
pub use parse::{Rename, RenameError, Renames};

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
    /// The line that confirms it, `-- offshoot:rename table public.a -> b`; see [`Renames::parse`].
    pub line: String,
}

/// How many of a hundred columns have to be alike for a table to be offered.
const ALIKE_PERCENT: usize = 60;

/// The renames that a person may confirm: schemas and tables before their parts.
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
                Kind::View | Kind::MaterializedView | Kind::Type | Kind::Domain | Kind::Sequence => {
                    same_text(from, to, old, fresh)
                }
                Kind::Constraint | Kind::Policy if old.of == fresh.of => same_text(from, to, old, fresh),
                kind if kind.is_routine() => same_text(from, to, old, fresh),
                _ => None,
            };
            candidates.extend(reason.and_then(|reason| candidate(from, old, fresh, reason)));
        }
    }
    for difference in diff(from, to, &Noise::default()) {
        candidates.extend(values(from, to, &difference.id));
    }
    candidates.sort_by(|a, b| (a.from.kind, &a.from, &a.to).cmp(&(b.from.kind, &b.from, &b.to)));
    candidates
}

fn candidate(facts: &Facts, from: &FactId, to: &FactId, reason: String) -> Option<RenameCandidate> {
    let line = parse::line(from, to)?;
    let statement = apply::statement(facts, from, &parse::bare_name(to));
    Some(RenameCandidate { from: from.clone(), to: to.clone(), reason, statement, line })
}

/// Objects that are the same but for their names.
fn same_text(from: &Facts, to: &Facts, old: &FactId, new: &FactId) -> Option<String> {
    let parts = |facts: &Facts, id: &FactId| -> Vec<String> {
        let columns = facts.parts_of_kind(id, Kind::Column);
        columns.into_iter().map(|(id, fact)| format!("{} {:?}", id.name, fact.text("type"))).collect()
    };
    (apply::is_alike(from, old, to, new) && parts(from, old) == parts(to, new))
        .then(|| "it is the same under another name".to_owned())
}

/// A value of an enum that went from where one came.
fn values(from: &Facts, to: &Facts, id: &FactId) -> Option<RenameCandidate> {
    let (old, new) = (from.get(id)?.list("labels"), to.get(id)?.list("labels"));
    let differ: Vec<usize> =
        (0..old.len().min(new.len())).filter(|place| old[*place] != new[*place]).collect();
    let [place] = differ.as_slice() else { return None };
    let (before, after) = (&old[*place], &new[*place]);
    if old.len() != new.len() || old.contains(after) || new.contains(before) {
        return None;
    }
    let (line, statement) = parse::value_line(id, before, after);
    let reason = format!(
        "value {} -> {} of {id}: one value of the enum went and one came in its place",
        quote(before),
        quote(after)
    );
    Some(RenameCandidate { from: id.clone(), to: id.clone(), reason, statement, line })
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

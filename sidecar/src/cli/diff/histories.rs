//! The tables that migration tools keep for themselves, left out of a comparison.

use std::collections::BTreeSet;

use offshoot_schema::Kind;
use serde_json::{Value, json};

use super::comparison::title;
use super::reading::Read;
use crate::cli::args::{Counted, DiffArgs};
use crate::histories::{Histories, LeftOut};
use crate::project;

/// What compares them all the same.
const SWITCH: &str = "--count migration-history";

/// Takes them out of the sides, unless they are to count, and returns those that differ. Looks at the files of the worktree only if the
/// sides differ at all.
pub(super) fn leave_out(args: &DiffArgs, first: &mut Read, others: &mut [&mut Read]) -> Vec<LeftOut> {
    if args.count.contains(&Counted::MigrationHistory) { Vec::new() } else { leave_out_all(first, others) }
}

/// The same where nobody can ask for them.
pub(super) fn leave_out_all(first: &mut Read, others: &mut [&mut Read]) -> Vec<LeftOut> {
    if others.iter().all(|other| other.facts.facts == first.facts.facts) {
        return Vec::new();
    }
    let here = std::env::current_dir().ok().and_then(|folder| project::worktree(&folder).ok());
    let Some(worktree) = here else { return Vec::new() };
    let mut others: Vec<_> = others.iter_mut().map(|other| &mut other.facts).collect();
    Histories::of_folder(&worktree.path).leave_out(&mut first.facts, &mut others)
}

/// What was left out, on one line.
pub(super) fn line(left_out: &[LeftOut], named: impl Fn(&str) -> String) -> Option<String> {
    let is_seen = |one: &&LeftOut| matches!(one.object.kind, Kind::Schema | Kind::Table);
    let mut shown: Vec<_> = left_out.iter().filter(is_seen).collect();
    if shown.is_empty() {
        shown = left_out.iter().collect();
    }
    let tools: BTreeSet<&str> = left_out.iter().map(|one| one.tool).collect();
    let titles: Vec<_> = shown.iter().map(|one| named(&title(&one.object))).collect();
    let tools = tools.into_iter().collect::<Vec<_>>().join(" and ");
    (!titles.is_empty()).then(|| {
        let tables = titles.join(", ");
        format!("left out: {tables}, where {tools} keeps what it ran; {} compares it", named(SWITCH))
    })
}

/// The same for programs.
pub(super) fn values(left_out: &[LeftOut]) -> Value {
    let value =
        |one: &LeftOut| json!({ "object": one.object, "title": title(&one.object), "tool": one.tool });
    left_out.iter().map(value).collect()
}

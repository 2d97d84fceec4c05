//! The summary as a document in the language `offshoot-diff`: verdict, risks, objects by class, plan.

use std::collections::{BTreeMap, BTreeSet};

use offshoot_schema::plan::{HazardKind, Step};
use offshoot_schema::{ChangeKind, Facts, Object, Plan, PlanOptions, plan};

use crate::filter::Filter;
use crate::lines;
use crate::sides::{Entry, Group, Sides};
use crate::words::{class, count, mode, name, one_line, plain, sign, title};

/// The document. It ends with a line feed.
pub fn document(sides: &Sides<'_>, filter: &Filter) -> String {
    let all = sides.entries();
    let shown: Vec<&Entry> = all.iter().filter(|entry| filter.shows(entry)).collect();
    let plan = plan(sides.base(), sides.mine.facts, &PlanOptions::default());
    let dangers = dangers(&plan);
    let mut blocks = vec![head(sides, &all, &shown, &dangers)];
    let risks = risks(&shown, &dangers);
    if !risks.is_empty() {
        blocks.push(risks.join("\n"));
    }
    for (heading, group) in headings(sides, &shown) {
        blocks.push(format!("# {heading}"));
        blocks.extend(group.into_iter().map(|entry| object(sides, entry)));
    }
    blocks.extend(script(sides, &plan));
    blocks.extend(blind_spots(sides));
    blocks.join("\n\n") + "\n"
}

/// What the branch does, in one line.
pub(crate) fn verdict(sides: &Sides<'_>, all: &[Entry]) -> String {
    let of = |group: Group| all.iter().filter(|entry| entry.group == group).count();
    let (mine, theirs, both) = (of(Group::Mine), of(Group::Theirs), of(Group::Both));
    let (conflicts, unknown) = (of(Group::Conflict), of(Group::Unknown));
    let mut parts = Vec::new();
    if conflicts > 0 {
        parts.push(count(conflicts, "conflict"));
    }
    if mine > 0 {
        parts.push(format!("{} on {}", count(mine, "change"), one_line(sides.mine.name)));
    }
    if theirs > 0 {
        parts.push(format!("{} came in from {}", count(theirs, "change"), one_line(sides.theirs.name)));
    }
    if both > 0 {
        parts.push(format!("{} alike on both", count(both, "change")));
    }
    if unknown > 0 {
        let of = |kind: ChangeKind| all.iter().filter(|entry| entry.change == kind).count();
        let words = [
            (ChangeKind::Added, "added"),
            (ChangeKind::Changed, "changed"),
            (ChangeKind::Removed, "removed"),
        ];
        parts.extend(
            words
                .map(|(kind, word)| (of(kind), word))
                .iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, word)| format!("{n} {word}")),
        );
    }
    if parts.is_empty() { "no difference".to_owned() } else { parts.join(", ") }
}

fn head(sides: &Sides<'_>, all: &[Entry], shown: &[&Entry], dangers: &Dangers) -> String {
    let (mine, theirs) = (one_line(sides.mine.name), one_line(sides.theirs.name));
    let mut text = format!("# Database diff: {mine} ← {theirs}\n# {}", verdict(sides, all));
    let worst: BTreeSet<u8> = dangers.values().flatten().map(|danger| danger.rank).collect();
    let words: Vec<&str> = worst.into_iter().filter_map(|rank| RANKS.get(rank as usize).copied()).collect();
    match (all.is_empty(), words.is_empty()) {
        (true, _) => {}
        (false, true) => text.push_str("\n# no known risk"),
        (false, false) => text.push_str(&format!("\n# risks: {}", words.join(", "))),
    }
    if shown.len() < all.len() {
        text.push_str(&format!("\n# {} of {} shown", shown.len(), count(all.len(), "object")));
    }
    let (new, old) = (sides.mine.facts.major, sides.theirs.facts.major);
    if new != old {
        text.push_str(&format!("\n# Postgres {new} ← Postgres {old}"));
    }
    text
}

/// What the ranks of dangers mean, worst first.
const RANKS: [&str; 7] = [
    "deletes data",
    "locks out others",
    "rewrites tables",
    "builds indexes",
    "scans tables",
    "may fail",
    "changes privileges",
];

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Danger {
    rank: u8,
    line: String,
}

type Dangers = BTreeMap<Object, BTreeSet<Danger>>;

fn dangers(plan: &Plan) -> Dangers {
    let mut all = Dangers::new();
    for step in plan.steps() {
        let of_step = of_step(step);
        if !of_step.is_empty() {
            all.entry(step.object.clone()).or_default().extend(of_step);
        }
    }
    all
}

fn of_step(step: &Step) -> Vec<Danger> {
    let mut dangers: Vec<Danger> = step
        .hazards
        .iter()
        .map(|hazard| {
            let rank = match hazard.kind {
                HazardKind::DeletesData => 0,
                HazardKind::RewritesTable => 2,
                HazardKind::BuildsIndex => 3,
                HazardKind::ScansTable => 4,
                HazardKind::MayFail => 5,
                _ => 6,
            };
            Danger { rank, line: one_line(&hazard.to_string()) }
        })
        .collect();
    if let Some(lock) = step.lock.filter(|lock| !lock.brief) {
        let line = format!(
            "{} lock on {} while all its rows are gone through",
            mode(lock.level),
            name(&step.object)
        );
        dangers.push(Danger { rank: 1, line });
    }
    dangers
}

/// Conflicts, then dangers with the worst first.
fn risks(shown: &[&Entry], dangers: &Dangers) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in shown {
        lines.extend(
            entry
                .reasons
                .iter()
                .map(|why| format!("! conflict: {}: {}", title(&entry.object), one_line(why))),
        );
    }
    let sorted: BTreeSet<&Danger> = dangers.values().flatten().collect();
    lines.extend(sorted.into_iter().map(|danger| format!("! hazard: {}", danger.line)));
    lines
}

fn headings<'e>(sides: &Sides<'_>, shown: &[&'e Entry]) -> Vec<(String, Vec<&'e Entry>)> {
    let mut found: Vec<(String, Vec<&Entry>)> = Vec::new();
    for entry in shown {
        let heading = match entry.group {
            Group::Conflict => "Conflicts".to_owned(),
            Group::Theirs => format!("From {}", one_line(sides.theirs.name)),
            Group::Both => "Alike on both".to_owned(),
            Group::Mine | Group::Unknown => class(entry.object.kind).to_owned(),
        };
        match found.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, list)) => list.push(entry),
            None => found.push((heading, vec![entry])),
        }
    }
    found
}

fn object(sides: &Sides<'_>, entry: &Entry) -> String {
    let text = |facts: &Facts| facts.definition(&entry.object).unwrap_or_default();
    let (old, new) = (text(sides.before(entry.group)), text(sides.after(entry.group)));
    let mut lines = vec![format!("{} {}", sign(entry.change), title(&entry.object))];
    if old == new {
        lines.push("      -- the definitions are the same; parts of it differ that have no SQL".to_owned());
    } else {
        lines.extend(lines::compare(&old, &new));
    }
    lines.join("\n")
}

fn script(sides: &Sides<'_>, plan: &Plan) -> Vec<String> {
    let mut blocks = Vec::new();
    if !plan.is_empty() {
        let from = if sides.fork.is_some() { "as it was at the fork" } else { "as it is now" };
        let lines: Vec<String> = plain(plan.sql().trim_end())
            .replace("\n\n\n", "\n\n")
            .lines()
            .map(|line| format!("      {line}").trim_end().to_owned())
            .collect();
        let about =
            format!("# Plan: from {}, {from}, to {}", one_line(sides.theirs.name), one_line(sides.mine.name));
        blocks.push(format!("{about}\n{}", lines.join("\n")));
    }
    let rest: Vec<String> =
        plan.unplanned.iter().map(|why| format!("# not planned: {}", one_line(why))).collect();
    if !rest.is_empty() {
        blocks.push(rest.join("\n"));
    }
    blocks
}

fn blind_spots(sides: &Sides<'_>) -> Option<String> {
    let (old, new) = (sides.theirs.facts, sides.mine.facts);
    let kinds: BTreeSet<&String> = old.unmodelled.keys().chain(new.unmodelled.keys()).collect();
    let count = |facts: &Facts, kind: &String| facts.unmodelled.get(kind).copied().unwrap_or(0);
    let mut lines: Vec<String> = kinds
        .into_iter()
        .map(|kind| {
            let (new_count, old_count) = (count(new, kind), count(old, kind));
            one_line(&format!(
                "{kind}: {new_count} in {}, {old_count} in {}",
                sides.mine.name, sides.theirs.name
            ))
        })
        .collect();
    for side in [sides.theirs, sides.mine] {
        let unread = side.facts.unreadable.iter();
        lines.extend(
            unread.map(|(kind, why)| one_line(&format!("{kind} of {}, unreadable: {why}", side.name))),
        );
    }
    let lines: Vec<String> = lines.iter().map(|line| format!("? not modelled: {line}")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

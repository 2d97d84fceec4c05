//! The difference as a comment on a pull request.

pub(super) mod budget;
pub(super) mod escape;

use std::collections::BTreeMap;

use offshoot_schema::plan::HazardKind;
use offshoot_schema::{ChangeKind, Kind};
use sha2::{Digest, Sha256};

use super::comparison::{Comparison, Danger, kind_word, mode, name};
use super::lines::Line;
use super::text::how_long;
use super::{histories, json, lines, measure, text};
use budget::{folded, listed};
use escape::{code, prose};

/// Bytes of a comment. GitHub takes less than 65,536 characters; a byte is never more than one.
const LIMIT_BYTES: usize = 65_000;
const RISKS_BYTES: usize = 12_000;
const CONFLICTS_BYTES: usize = 6_000;
const OBJECTS_BYTES: usize = 14_000;
const REMARKS_BYTES: usize = 4_000;
const MEASURED_BYTES: usize = 8_000;

/// The comment. Its first line is hidden; it names the version and a digest of all that differs, shown or not, so that a
/// program finds the comment again and knows whether it is stale.
pub(super) fn comment(comparison: &Comparison) -> String {
    let mut out = format!("<!-- offshoot:diff v{} sha256={} -->\n", json::VERSION, digest(comparison));
    let (from, to) = (code(&comparison.from.name), code(&comparison.to.name));
    out.push_str(&format!("### Database diff: {to} ← {from}\n\n{}\n", verdict(comparison)));
    if let Some(warning) = comparison.marked_warning() {
        out.push_str(&format!("\n{warning}\n"));
    }
    let conflicts = comparison.conflict_items();
    if !conflicts.is_empty() {
        let heading = format!("\n#### Conflicts with {from}\n\n");
        out.push_str(&(heading + &listed(&conflicts, CONFLICTS_BYTES)));
    }
    let risks = risks(comparison);
    if !risks.is_empty() {
        out.push_str("\n#### Risks\n\n");
        out.push_str(&listed(&risks, RISKS_BYTES));
    }
    if !comparison.changes.is_empty() {
        out.push_str(&listed_objects(comparison));
    }
    if let Some((text, steps)) = measure::section(comparison) {
        out.push_str(&format!("\n#### Measured\n\n{text}\n{}", listed(&steps, MEASURED_BYTES)));
    }
    let remarks = remarks(comparison);
    if !remarks.is_empty() {
        out.push_str("\n#### Remarks\n\n");
        out.push_str(&listed(&remarks, REMARKS_BYTES));
    }
    fold_details(comparison, &mut out);
    debug_assert!(out.len() <= LIMIT_BYTES, "a comment of {} bytes", out.len());
    out.trim_end().to_owned()
}

fn digest(comparison: &Comparison) -> String {
    let mut text = json::document(comparison).to_string();
    if let Some(measured) = &comparison.measured {
        text.push_str(&measure::outcome(measured));
    }
    sha256(&text)
}

/// In hexadecimal.
pub(super) fn sha256(text: &str) -> String {
    let hash = Sha256::digest(text);
    hash.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn verdict(comparison: &Comparison) -> String {
    let hazards = comparison.hazards();
    let has = |kind: HazardKind| hazards.values().flatten().any(|danger| danger.kind == Some(kind));
    let words = [
        (HazardKind::DeletesData, "deletes data"),
        (HazardKind::RewritesTable, "rewrites tables"),
        (HazardKind::BuildsIndex, "builds indexes under a lock"),
        (HazardKind::ScansTable, "scans tables under a lock"),
        (HazardKind::MayFail, "may fail on existing rows"),
        (HazardKind::ChangesPrivileges, "changes privileges"),
    ];
    let expected = words.iter().filter(|(kind, _)| has(*kind));
    let mut found: Vec<String> = comparison.conflict_words().into_iter().collect();
    match &comparison.measured {
        None => found.extend(expected.map(|(_, word)| (*word).to_owned())),
        // What was tried takes the place of what may be.
        Some(measured) if !measured.steps.is_empty() => {
            found.push(measure::verdict(measured));
            let seen = expected.filter(|(kind, _)| measure::was_seen(measured, *kind));
            found.extend(seen.map(|(_, word)| (*word).to_owned()));
        }
        Some(_) => (),
    }
    let summary = comparison.summary();
    match (found.is_empty(), comparison.changes.is_empty()) {
        (false, _) => format!("**Verdict: {}.** {summary}.", found.join(", ")),
        (true, false) => format!("**Verdict: no risk found.** {summary}."),
        (true, true) => format!("**Verdict: {summary}.**"),
    }
}

/// Worst first, then by object.
fn risks(comparison: &Comparison) -> Vec<String> {
    let hazards = comparison.hazards();
    let mut all: Vec<(&Danger, String)> = hazards
        .iter()
        .flat_map(|(object, list)| {
            let place = format!("{} {}", kind_word(object.kind), code(&name(object)));
            list.iter().map(move |danger| (danger, place.clone()))
        })
        .collect();
    all.sort_by_key(|(danger, _)| danger.rank);
    all.into_iter()
        .map(|(danger, place)| match danger.kind {
            Some(_) => format!("- **{}** {place}: {}", danger.title, prose(&danger.message)),
            None => format!("- **{} lock** on {place} while all its rows are gone through", danger.title),
        })
        .collect()
}

fn listed_objects(comparison: &Comparison) -> String {
    let mut classes: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for changed in &comparison.changes {
        let (new, old) = lines::count(&text::compare(changed));
        let word = match changed.change.kind {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Changed => "changed",
        };
        let size = match changed.change.kind {
            ChangeKind::Changed if (new, old) == (0, 0) => {
                format!(", {}", prose(&changed.beyond_sql.join("; ")))
            }
            ChangeKind::Changed => format!(", +{new} −{old} lines"),
            _ => String::new(),
        };
        let object = &changed.change.object;
        classes.entry(object.kind).or_default().push(format!("- {word} {}{size}", code(&name(object))));
    }
    // Every class is named, and each gets its share.
    let share = OBJECTS_BYTES / classes.len().max(1);
    let sections = classes.iter().map(|(kind, items)| {
        let heading = format!("\n#### {} ({})\n\n", plural(kind_word(*kind)), items.len());
        let rest = share.saturating_sub(heading.len());
        heading + &listed(items, rest)
    });
    sections.collect()
}

/// The heading of a class, such as `Operator families`.
fn plural(word: &str) -> String {
    let plural = match word {
        "statistics" => word.to_owned(),
        word if word.ends_with('y') => format!("{}ies", word.trim_end_matches('y')),
        word if word.ends_with('s') => format!("{word}es"),
        word => format!("{word}s"),
    };
    let mut letters = plural.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn remarks(comparison: &Comparison) -> Vec<String> {
    let mut remarks = Vec::new();
    let (old, new) = (comparison.from.facts.major, comparison.to.facts.major);
    if old != new {
        remarks.push(format!("- Postgres {new} is compared with Postgres {old}"));
    }
    for (level, brief, names) in comparison.locks() {
        let names: Vec<_> = names.iter().map(|name| code(name)).collect();
        remarks.push(format!("- {} lock {}: {}", mode(level), how_long(brief), names.join(", ")));
    }
    let touched = comparison.also_touched().into_iter();
    remarks.extend(touched.map(|object| {
        format!("- the plan touches {} {} on the way", kind_word(object.kind), code(&name(object)))
    }));
    remarks.extend(comparison.renamed.iter().map(|line| format!("- renamed: {}", code(line))));
    let questions = comparison.rename_questions().into_iter();
    remarks.extend(
        questions.map(|(question, line)| format!("- {}; confirm with {}", prose(&question), code(&line))),
    );
    remarks.extend(comparison.plan.unplanned.iter().map(|why| format!("- not planned: {}", prose(why))));
    let left_out = histories::line(&comparison.left_out, code);
    remarks.extend(left_out.map(|line| format!("- {line}")));
    remarks.extend(comparison.blind_spots().iter().map(|what| format!("- not modelled: {}", prose(what))));
    remarks
}

/// The plan and the texts of the objects, within what is left of the limit.
fn fold_details(comparison: &Comparison, out: &mut String) {
    let script = text::script(comparison);
    let texts = differing_lines(comparison);
    let left = LIMIT_BYTES.saturating_sub(out.len());
    let (for_script, for_texts) = (folded_size(&script), folded_size(&texts));
    let half = left / 2;
    let script_share = left.saturating_sub(for_texts.min(half));
    let script = folded("SQL that makes the change", "sql", &script, script_share);
    let texts_share = left.saturating_sub(script.len()).min(for_texts.max(for_script));
    out.push_str(&folded("Definitions, line by line", "diff", &texts, texts_share));
    out.push_str(&script);
}

/// About how much room a folded text takes.
fn folded_size(text: &str) -> usize {
    if text.is_empty() { 0 } else { text.len() + budget::FRAME_BYTES }
}

fn differing_lines(comparison: &Comparison) -> String {
    let mut text = String::new();
    for changed in &comparison.changes {
        text.push_str(&format!("@@ {} @@\n", super::comparison::title(&changed.change.object)));
        if !changed.beyond_sql.is_empty() {
            text.extend(changed.beyond_sql.iter().map(|what| format!(" -- {what}\n")));
            continue;
        }
        for line in lines::shorten(text::compare(changed)) {
            text.push_str(&match line {
                Line::Both(line) => format!(" {line}\n"),
                Line::New(line) => format!("+{line}\n"),
                Line::Old(line) => format!("-{line}\n"),
                Line::Hidden(count) => format!(" -- {count} lines alike\n"),
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::plural;

    #[test]
    fn classes_have_headings() {
        for (word, heading) in [
            ("table", "Tables"),
            ("operator family", "Operator families"),
            ("operator class", "Operator classes"),
            ("statistics", "Statistics"),
            ("materialized view", "Materialized views"),
        ] {
            assert_eq!(plural(word), heading);
        }
    }
}

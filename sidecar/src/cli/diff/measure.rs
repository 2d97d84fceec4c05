//! What a plan costs, found on a throwaway of the branch, beside what was said of it before.

use std::fmt::Write;

use offshoot_protocol::measure::{MeasureFailure, MeasureParams, Measured, MeasuredLock, MeasuredStep};
use offshoot_protocol::method::SchemaMeasure;
use offshoot_schema::plan::HazardKind;
use offshoot_schema::{Object, Plan};
use serde_json::{Value, json};

use super::call::{self, Folder, absolute};
use super::comparison::{Comparison, one_line};
use super::markdown::escape::{code, prose};
use crate::cli::connect::Session;
use crate::cli::output::{Output, bytes};
use crate::failure::{Failure, Result};

/// Locks that are weaker hinder no reader and no writer.
const STRONG: [&str; 5] =
    ["SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"];

/// Runs the plan on a throwaway of `branch`.
pub(super) fn run(branch: &str, plan: &Plan, output: Output) -> Result<Measured> {
    call(branch, plan, false, output)
}

/// As [`run`], for statements of a person.
pub(super) fn script(branch: &str, plan: &Plan, output: Output) -> Result<Measured> {
    call(branch, plan, true, output)
}

fn call(branch: &str, plan: &Plan, script: bool, output: Output) -> Result<Measured> {
    if plan.is_empty() {
        return Ok(Measured::default());
    }
    let folder = Folder::new()?;
    let text = serde_json::to_vec(plan).map_err(|e| Failure::internal(format!("write the plan: {e}")))?;
    let file = folder.write("plan.json", &text)?;
    let mut session = Session::open(output)?;
    let plan = Some(absolute(&file)?);
    let params = MeasureParams { branch: branch.to_owned(), to: None, plan, online: false, script };
    call::long::<SchemaMeasure>(&mut session, &params, output.json)
}

/// What the plan did, to be told beside each object.
pub(super) struct Costs<'c> {
    measured: &'c Measured,
    /// The objects of the plan's steps, with the hazards that were expected.
    steps: Vec<(&'c Object, Vec<HazardKind>)>,
}

impl<'c> Costs<'c> {
    /// `None` if nothing was measured.
    pub(super) fn of(comparison: &'c Comparison) -> Option<Self> {
        let measured = comparison.measured.as_ref()?;
        let steps = comparison.plan.steps();
        let steps = steps.map(|step| (&step.object, step.hazards.iter().map(|hazard| hazard.kind).collect()));
        Some(Self { measured, steps: steps.collect() })
    }

    /// What was done to `object`, in one line; `None` if no step of it ran.
    pub(super) fn line(&self, object: &Object) -> Option<String> {
        let mut sum = MeasuredStep::default();
        let mut expected = Vec::new();
        let mut ran = false;
        for ((of, hazards), step) in self.steps.iter().zip(&self.measured.steps) {
            if *of != object {
                continue;
            }
            ran = true;
            expected.extend(hazards);
            sum.elapsed_us += step.elapsed_us;
            sum.rows_read += step.rows_read;
            sum.rows_written += step.rows_written;
            sum.wal_bytes += step.wal_bytes;
            sum.locks.extend(step.locks.iter().cloned());
            sum.rewritten.extend(step.rewritten.iter().cloned());
            sum.built.extend(step.built.iter().cloned());
        }
        ran.then(|| words(&sum, &expected))
    }
}

/// Time, locks, files, rows and WAL of a step; what was expected and not seen is said too.
fn words(step: &MeasuredStep, expected: &[HazardKind]) -> String {
    let mut parts = vec![time(step.elapsed_us)];
    parts.extend(strongest(&step.locks).iter().map(|lock| {
        let about = if lock.sampled { "at least " } else { "" };
        format!("{} on {} for {about}{}", lock.mode, lock.relation, time(lock.held_us))
    }));
    let rewritten = step.rewritten.iter().map(|file| file.bytes).sum();
    if !step.rewritten.is_empty() {
        parts.push(format!("{} rewritten", bytes(rewritten)));
    } else if expected.contains(&HazardKind::RewritesTable) {
        parts.push("nothing rewritten".to_owned());
    }
    let built = step.built.iter().map(|file| file.bytes).sum();
    if built > 0 {
        parts.push(format!("{} built", bytes(built)));
    }
    if step.rows_read > 0 {
        parts.push(format!("{} rows read", grouped(step.rows_read)));
    } else if expected.contains(&HazardKind::ScansTable) {
        parts.push("no rows read".to_owned());
    }
    if step.rows_written > 0 {
        parts.push(format!("{} rows written", grouped(step.rows_written)));
    }
    parts.push(format!("{} of WAL", bytes(step.wal_bytes)));
    parts.join(", ")
}

/// The strongest lock on each relation that hinders somebody.
fn strongest(locks: &[MeasuredLock]) -> Vec<&MeasuredLock> {
    let rank = |lock: &MeasuredLock| STRONG.iter().position(|mode| *mode == lock.mode);
    let mut kept: Vec<&MeasuredLock> = Vec::new();
    for lock in locks.iter().filter(|lock| rank(lock).is_some()) {
        match kept.iter_mut().find(|other| other.relation == lock.relation) {
            Some(other) if rank(lock) > rank(other) => *other = lock,
            Some(_) => (),
            None => kept.push(lock),
        }
    }
    kept
}

/// All of it, at the end of the document.
pub(super) fn summary(comparison: &Comparison, output: Output) -> Option<String> {
    Some(ending(comparison.measured.as_ref()?, &comparison.from.name, output))
}

/// The sums, and why it failed if it did.
pub(super) fn ending(measured: &Measured, branch: &str, output: Output) -> String {
    let mut lines = vec![format!("# measured on a throwaway of {}: {}", one_line(branch), whole(measured))];
    if let Some(failure) = &measured.failure {
        lines.extend(refusal(failure).iter().map(|line| output.bad(&format!("! failed: {line}"))));
    }
    lines.join("\n")
}

/// What each step cost, two lines each.
pub(super) fn lines(measured: &Measured) -> Vec<String> {
    let steps = measured.steps.iter();
    steps
        .map(|step| format!("{}\n# measured: {}", one_line(&step.what), one_line(&words(step, &[]))))
        .collect()
}

/// What each step cost, as items of a list.
pub(super) fn items(measured: &Measured) -> Vec<String> {
    let item = |step: &MeasuredStep| format!("- {}: {}", code(&step.what), prose(&words(step, &[])));
    measured.steps.iter().map(item).collect()
}

/// The sums.
pub(super) fn whole(measured: &Measured) -> String {
    let totals = &measured.totals;
    let mut parts =
        vec![format!("{} in all", time(totals.elapsed_us)), format!("{} of WAL", bytes(totals.wal_bytes))];
    if totals.rewritten_bytes > 0 {
        parts.push(format!("{} rewritten", bytes(totals.rewritten_bytes)));
    }
    if totals.built_bytes > 0 {
        parts.push(format!("{} built", bytes(totals.built_bytes)));
    }
    if totals.rows_read > 0 {
        parts.push(format!("{} rows read", grouped(totals.rows_read)));
    }
    if totals.rows_written > 0 {
        parts.push(format!("{} rows written", grouped(totals.rows_written)));
    }
    parts.join(", ")
}

/// Why the plan did not run to its end, a line each.
fn refusal(failure: &MeasureFailure) -> Vec<String> {
    let place = failure.position.map(|at| place_in(&failure.statement, at)).unwrap_or_default();
    let statement = failure.statement.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = vec![
        format!("step {}, {}: {}{place}", failure.step + 1, failure.what, failure.message),
        format!("the statement: {statement}"),
    ];
    lines.extend(failure.detail.iter().map(|detail| format!("detail: {detail}")));
    lines.extend(failure.hint.iter().map(|hint| format!("hint: {hint}")));
    if failure.rolled_back {
        lines.push("its transaction was rolled back".to_owned());
    }
    lines.iter().map(|line| one_line(line)).collect()
}

/// The line of a statement that a position, in characters from 1, stands in; nothing for a statement of one line.
fn place_in(statement: &str, position: u32) -> String {
    let before: String = statement.chars().take(position.saturating_sub(1) as usize).collect();
    let line = before.matches('\n').count();
    match statement.lines().nth(line) {
        Some(text) if statement.trim().contains('\n') => {
            format!(" (line {} of the statement: {})", line + 1, text.trim())
        }
        _ => format!(" (at character {position})"),
    }
}

/// The section of a comment: the whole, and the steps that took longest.
pub(super) fn section(comparison: &Comparison) -> Option<(String, Vec<String>)> {
    let measured = comparison.measured.as_ref()?;
    let mut text = format!("Run on a throwaway of {}: {}.\n", code(&comparison.from.name), whole(measured));
    if let Some(failure) = &measured.failure {
        let _ = writeln!(
            text,
            "\n**Failed** at step {}, {}: {}\n",
            failure.step + 1,
            code(&failure.what),
            prose(&failure.message)
        );
    }
    let mut slowest: Vec<_> = measured.steps.iter().collect();
    slowest.sort_by_key(|step| std::cmp::Reverse(step.elapsed_us));
    let steps = slowest.into_iter().cloned().collect();
    Some((text, items(&Measured { steps, ..Measured::default() })))
}

/// What is the same whenever the same is measured: whether it ran, or how it failed.
pub(super) fn outcome(measured: &Measured) -> String {
    match &measured.failure {
        None => "ran".to_owned(),
        Some(failure) => format!("failed {} {}", failure.step, failure.code),
    }
}

/// How it ended, for a verdict.
pub(super) fn verdict(measured: &Measured) -> String {
    match &measured.failure {
        None => format!("ran in {} on the real data", time(measured.totals.elapsed_us)),
        Some(failure) => format!("fails on the real data: {}", prose(&one_line(&failure.message))),
    }
}

/// Whether a danger that was expected is one of what was measured. Of a plan that broke off not all is known.
pub(super) fn was_seen(measured: &Measured, kind: HazardKind) -> bool {
    let totals = &measured.totals;
    let ran = measured.failure.is_none();
    match kind {
        HazardKind::MayFail => false,
        HazardKind::RewritesTable if ran => totals.rewritten_bytes > 0,
        HazardKind::BuildsIndex if ran => totals.built_bytes > 0 || totals.rewritten_bytes > 0,
        HazardKind::ScansTable if ran => totals.rows_read > 0,
        _ => true,
    }
}

/// For programs.
pub(super) fn value(measured: &Measured) -> Value {
    json!({
        "steps": measured.steps,
        "parts": measured.parts,
        "totals": measured.totals,
        "failure": measured.failure,
    })
}

/// Such as `0.3 ms`, `12 ms`, `3.4 s`, `5 min 3 s`.
fn time(us: u64) -> String {
    match us {
        0..10_000 => format!("{:.1} ms", us as f64 / 1000.0),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        1_000_000..60_000_000 => format!("{:.1} s", us as f64 / 1e6),
        _ => format!("{} min {} s", us / 60_000_000, us / 1_000_000 % 60),
    }
}

/// A number with commas.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [300, 9_999, 12_345, 3_400_000, 303_000_000].map(time),
            ["0.3 ms", "10.0 ms", "12 ms", "3.4 s", "5 min 3 s"]
        );
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn of_a_relation_the_strongest_lock_is_told() {
        let lock = |relation: &str, mode: &str| MeasuredLock {
            relation: relation.into(),
            mode: mode.into(),
            held_us: 1,
            sampled: false,
        };
        let locks = [
            lock("a", "ACCESS SHARE"),
            lock("b", "SHARE"),
            lock("b", "ACCESS EXCLUSIVE"),
            lock("b", "SHARE"),
        ];
        let told: Vec<_> = strongest(&locks).iter().map(|lock| lock.mode.as_str()).collect();
        assert_eq!(told, ["ACCESS EXCLUSIVE"]);
    }
}

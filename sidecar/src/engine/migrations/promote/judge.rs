//! What holds of what a tier wants.

use std::time::Duration;

use offshoot_protocol::measure::Measured;
use offshoot_protocol::migrations::{
    MigrationsDrift, MigrationsOutcome, MigrationsReport, MigrationsStep, MigrationsStepKind,
};
use offshoot_protocol::policy::PolicyPlace;
use offshoot_protocol::promote::PromoteCheck;

use super::lint::Findings;
use crate::config::duration_text;
use crate::config::rules::Check;
use crate::engine::policy::Wanted;
use crate::failure::Result;
use crate::size;

/// Objects, files and findings that are named in a sentence.
const MOST_NAMES: usize = 3;
/// Locks that keep others from writing.
const CLOSES: [&str; 4] = ["SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"];

/// One for each thing that is wanted, in their order.
pub(super) fn judged(
    wanted: &Wanted,
    report: &MigrationsReport,
    lacked: &[String],
    drift: Option<&Result<MigrationsDrift>>,
    lint: Option<&Findings>,
) -> Vec<PromoteCheck> {
    let applies = applies(report, lacked);
    let runs = match applies.outcome {
        MigrationsOutcome::Passed => Ok(()),
        MigrationsOutcome::Failed => Err("they do not apply"),
        MigrationsOutcome::Skipped => Err("it is not known whether they apply"),
    };
    let mut checks = Vec::new();
    for (check, place) in &wanted.checks {
        let steps = |kind| of_steps(report, kind, runs);
        let said = match check {
            Check::Applies => applies.clone(),
            Check::Idempotent => steps(MigrationsStepKind::Again),
            Check::Reversible => steps(MigrationsStepKind::Down),
            Check::Command => match &wanted.command {
                Some(_) => steps(MigrationsStepKind::Command),
                None => {
                    Said::skipped("there is no command: `[migrations] check_command` names it".to_owned())
                }
            },
            Check::NoDrift => drift.map_or_else(|| Said::skipped(String::new()), no_drift),
            Check::Lint => lint.map_or_else(|| Said::skipped(String::new()), clean),
        };
        checks.push(said.named(check.as_str(), place.clone()));
    }
    let measured = measured(report, runs);
    if let Some((most, place)) = &wanted.max_lock {
        checks.push(
            within(&measured, |measured| locks(measured, *most)).named("max_lock", Some(place.clone())),
        );
    }
    if let Some((most, place)) = &wanted.max_rewrite {
        let said = within(&measured, |measured| rewrites(measured, *most));
        checks.push(said.named("max_rewrite", Some(place.clone())));
    }
    checks
}

/// What is said of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    outcome: MigrationsOutcome,
    message: String,
    hint: Option<String>,
}

impl Said {
    fn passed(message: String) -> Self {
        Self { outcome: MigrationsOutcome::Passed, message, hint: None }
    }

    fn failed(message: String) -> Self {
        Self { outcome: MigrationsOutcome::Failed, message, hint: None }
    }

    fn skipped(message: String) -> Self {
        Self { outcome: MigrationsOutcome::Skipped, message, hint: None }
    }

    fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// As a step has it, with the place of what failed.
    fn of(step: &MigrationsStep) -> Self {
        let mut message = step.message.clone();
        let mut hint = step.hint.clone();
        if let Some(found) = &step.failure {
            message = format!("{}:{}:{}: {}", found.path, found.line, found.column, found.message);
            hint = found.hint.clone().or(hint);
        }
        if message.is_empty() && step.outcome == MigrationsOutcome::Failed {
            message.clone_from(&step.title);
        }
        Self { outcome: step.outcome, message, hint }
    }

    fn named(self, name: &str, place: Option<PolicyPlace>) -> PromoteCheck {
        let Self { outcome, message, hint } = self;
        PromoteCheck { name: name.to_owned(), outcome, message, hint, place }
    }
}

/// The steps whose outcome is another one than passed.
fn bad(report: &MigrationsReport, kind: MigrationsStepKind) -> impl Iterator<Item = &MigrationsStep> {
    report.steps.iter().filter(move |step| step.kind == kind && step.outcome != MigrationsOutcome::Passed)
}

fn applies(report: &MigrationsReport, lacked: &[String]) -> Said {
    let failed = |kind| bad(report, kind).next().map(Said::of);
    if let Some(said) = failed(MigrationsStepKind::Files).or_else(|| failed(MigrationsStepKind::Apply)) {
        return said;
    }
    match lacked.iter().find(|path| !report.ran.contains(path)) {
        Some(path) => Said::failed(format!("{path} did not run on the throwaway")),
        None => Said::passed(String::new()),
    }
}

/// All steps of a kind. What could not be tried does not hold.
fn of_steps(report: &MigrationsReport, kind: MigrationsStepKind, runs: Result<(), &'static str>) -> Said {
    if let Err(why) = runs {
        return Said::skipped(why.to_owned());
    }
    let worst = bad(report, kind).max_by_key(|step| step.outcome == MigrationsOutcome::Failed);
    if let Some(step) = worst {
        return Said::of(step);
    }
    if report.steps.iter().any(|step| step.kind == kind) {
        Said::passed(String::new())
    } else {
        Said::skipped("nothing of it was tried".to_owned())
    }
}

fn no_drift(drift: &Result<MigrationsDrift>) -> Said {
    match drift {
        Err(failure) => Said::skipped(format!("it cannot be told: {failure}")).hint(failure.0.hint.clone()),
        Ok(drift) => match drift.drifted {
            Some(false) => Said::passed(String::new()),
            Some(true) => {
                let objects = drift.changes.iter().map(|change| {
                    let schema =
                        change.object.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
                    format!("{} {schema}{}", change.object.kind, change.object.name)
                });
                let message =
                    format!("{} differs from what its migrations make: {}", drift.branch, named(objects));
                Said::failed(message).hint(drift.hint.clone())
            }
            None => {
                let why = drift.unknown.clone().unwrap_or_default();
                let said = Said::skipped(format!("its migrations cannot be replayed: {why}"));
                match &drift.hint {
                    Some(hint) => said.hint(hint.clone()),
                    None => said,
                }
            }
        },
    }
}

fn clean(found: &Findings) -> Said {
    if !found.errors.is_empty() {
        return Said::failed(named(found.errors.iter().cloned())).hint(
            "A comment `-- offshoot:ignore RULE` before a statement says that it is meant.".to_owned(),
        );
    }
    match found.programs.first() {
        Some(why) => Said::skipped(format!("it cannot be told: {why}")),
        None => Said::passed(String::new()),
    }
}

/// What was measured of all of them, or why not.
fn measured<'r>(
    report: &'r MigrationsReport,
    runs: Result<(), &'static str>,
) -> Result<&'r Measured, String> {
    runs?;
    if let Some(step) = bad(report, MigrationsStepKind::Cost).next() {
        return Err(format!("it was not measured: {}", step.message));
    }
    report.measured.as_ref().ok_or_else(|| "it was not measured".to_owned())
}

fn within(measured: &Result<&Measured, String>, judge: impl Fn(&Measured) -> Said) -> Said {
    match measured {
        Ok(measured) => judge(measured),
        Err(why) => Said::skipped(why.clone()),
    }
}

fn locks(measured: &Measured, most: Duration) -> Said {
    let longest = measured
        .steps
        .iter()
        .flat_map(|step| step.locks.iter().map(move |lock| (step, lock)))
        .filter(|(_, lock)| CLOSES.contains(&lock.mode.as_str()))
        .max_by_key(|(_, lock)| lock.held_us);
    let Some((step, lock)) = longest else { return Said::passed("no table is closed".to_owned()) };
    let held = Duration::from_micros(lock.held_us);
    let told = format!("{} is closed to writers for {:.1} ms", lock.relation, held.as_secs_f64() * 1000.0);
    if held <= most {
        return Said::passed(told);
    }
    Said::failed(format!("{told} ({}), and may be for {}", lock.mode, duration_text(most)))
        .hint(format!("The statement: {}", step.what))
}

fn rewrites(measured: &Measured, most: u64) -> Said {
    let bytes = measured.totals.rewritten_bytes;
    if bytes == 0 {
        return Said::passed("nothing is written anew".to_owned());
    }
    let mut files: Vec<_> = measured.steps.iter().flat_map(|step| &step.rewritten).collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.bytes));
    let names = named(files.iter().map(|file| format!("{} {}", file.kind, file.relation)));
    let told = format!("{} are written anew ({names})", size::show(bytes));
    if bytes <= most {
        Said::passed(told)
    } else {
        Said::failed(format!("{told}, and may be {}", size::show(most)))
    }
}

/// A few of them, and how many more there are.
fn named(all: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = all.collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    names.truncate(MOST_NAMES);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests;

//! Words for migrations.

use std::fmt::Write as _;

use offshoot_protocol::migrations::{
    MigrationDiagnostic, MigrationSeverity, MigrationState, MigrationsFailure, MigrationsOutcome,
    MigrationsStep,
};
use offshoot_protocol::types::{ChangeKind, SchemaChange};

use crate::cli::output::Output;

/// A number and what it counts.
pub(in crate::cli) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// So many migrations, and that they make something.
pub(super) fn migrations_make(number: usize) -> String {
    format!("{} make{}", count(number, "migration"), if number == 1 { "s" } else { "" })
}

/// A state, plain and painted.
pub(super) fn state(state: MigrationState, output: Output) -> (&'static str, String) {
    let word = match state {
        MigrationState::Applied => "applied",
        MigrationState::Pending => "pending",
        MigrationState::Failed => "failed",
        MigrationState::OutOfOrder => "out of order",
        MigrationState::Changed => "changed",
        MigrationState::Missing => "missing",
        MigrationState::UnknownRow => "unknown row",
        MigrationState::Baseline => "baseline",
        MigrationState::Ignored => "ignored",
        MigrationState::Unknown => "unknown",
    };
    let painted = match state {
        MigrationState::Applied => output.good(word),
        MigrationState::Pending | MigrationState::OutOfOrder => output.warn(word),
        MigrationState::Failed | MigrationState::Changed | MigrationState::Missing => output.bad(word),
        _ => output.faint(word),
    };
    (word, painted)
}

/// A finding, with its place and what to do.
pub(super) fn diagnostic(found: &MigrationDiagnostic, output: Output) -> String {
    let place =
        if found.path.is_empty() { String::new() } else { format!("{}:{}: ", found.path, found.line) };
    let word = match found.severity {
        MigrationSeverity::Error => output.bad("error:"),
        MigrationSeverity::Warning => output.warn("warning:"),
        MigrationSeverity::Note => output.faint("note:"),
    };
    let hint =
        if found.hint.is_empty() { String::new() } else { output.faint(&format!("\n      {}", found.hint)) };
    format!("    {word} {place}{}{hint}", found.message)
}

/// How a step went, in lines.
pub(in crate::cli) fn step(step: &MigrationsStep, output: Output) -> String {
    let word = match step.outcome {
        MigrationsOutcome::Passed => output.good("passed "),
        MigrationsOutcome::Failed => output.bad("failed "),
        MigrationsOutcome::Skipped => output.warn("skipped"),
    };
    let mut text = format!("  {word}  {}", step.title);
    if step.took_ms > 0 {
        text.push_str(&output.faint(&format!("  {} ms", step.took_ms)));
    }
    let found = step.failure.as_ref();
    // What was found of a failure is said with its place.
    if !step.message.is_empty() && found.is_none_or(|found| found.message != step.message) {
        let _ = write!(text, "\n           {}", step.message);
    }
    if let Some(found) = found {
        text.push_str(&failure(found));
    }
    if let Some(hint) =
        step.hint.as_ref().filter(|hint| found.is_none_or(|found| found.hint.as_ref() != Some(hint)))
    {
        text.push_str(&output.faint(&format!("\n           {hint}")));
    }
    text
}

fn failure(found: &MigrationsFailure) -> String {
    let MigrationsFailure { path, line, column, message, code, statement, hint } = found;
    let first: String = statement.lines().next().unwrap_or_default().chars().take(100).collect();
    let hint = hint.as_ref().map(|hint| format!("\n           {hint}")).unwrap_or_default();
    let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
    let first = if first.is_empty() { first } else { format!("\n             {first}") };
    format!("\n           {path}:{line}:{column}: {message}{code}{first}{hint}")
}

/// What changed in the schema, a line each.
pub(in crate::cli) fn changes(changes: &[SchemaChange], output: Output) -> Vec<String> {
    let line = |change: &SchemaChange| {
        let object = &change.object;
        let schema = object.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
        let name = format!("{} {schema}{}", object.kind, object.name);
        match change.change {
            ChangeKind::Added => output.good(&format!("  + {name}")),
            ChangeKind::Removed => output.bad(&format!("  - {name}")),
            ChangeKind::Changed | ChangeKind::Renamed => output.warn(&format!("  ~ {name}")),
        }
    };
    changes.iter().map(line).collect()
}

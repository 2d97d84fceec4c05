//! `offshoot migrations apply`, `down` and `undo`.

use std::io::{BufRead, IsTerminal, Write};

use offshoot_protocol::method::{MigrationsApply, MigrationsGetStatus, MigrationsUndo};
use offshoot_protocol::migrations::{
    MigrationsApplied, MigrationsApplyParams, MigrationsDirection, MigrationsStatusParams,
    MigrationsUndoParams,
};

use super::{call, text};
use crate::cli::args::ApplyArgs;
use crate::cli::connect::Session;
use crate::cli::output::{Output, bytes};
use crate::cli::plain::plain;
use crate::failure::{Failure, Result};
use crate::timestamp;

pub(super) fn apply(args: &ApplyArgs, output: Output) -> Result<u8> {
    let params = MigrationsApplyParams {
        tool: args.tool.clone(),
        throwaway: args.throwaway,
        branch: args.branch.clone(),
        to: args.to.clone(),
        measure: args.measure,
        no_snapshot: args.no_snapshot,
        ..MigrationsApplyParams::default()
    };
    run(params, output)
}

pub(super) fn down(tool: Option<String>, no_snapshot: bool, output: Output) -> Result<u8> {
    let direction = MigrationsDirection::Down;
    run(MigrationsApplyParams { tool, no_snapshot, direction, ..MigrationsApplyParams::default() }, output)
}

fn run(mut params: MigrationsApplyParams, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    (params.folder, params.environment) = (session.path(), call::environment());
    let down = params.direction == MigrationsDirection::Down;
    let applied = call::long::<MigrationsApply>(&mut session, &params, output.json)?;
    if output.json {
        output.value(&applied)?;
    } else {
        print(&applied, down, output);
    }
    Ok(if applied.passed { crate::cli::OK } else { crate::cli::NEGATIVE })
}

fn print(applied: &MigrationsApplied, down: bool, output: Output) {
    let branch = output.strong(&applied.branch);
    if applied.steps.is_empty() {
        output.line(format!("{branch}: {}.", if down { "nothing is applied" } else { "nothing is pending" }));
        return;
    }
    for step in &applied.steps {
        output.line(text::step(step, output));
    }
    let word = if down { "Took back" } else { "Ran" };
    let on = if applied.throwaway { format!("a throwaway of {branch}") } else { branch };
    if applied.passed || !applied.ran.is_empty() {
        output.line(format!("{word} {} on {on}.", text::count(applied.ran.len(), "migration")));
    }
    for path in &applied.ran {
        output.line(format!("  {path}"));
    }
    if applied.changes.is_empty() {
        output.line(format!("The schema of {on} is as it was."));
    } else {
        output.line("What it did to the schema:");
        for line in text::changes(&applied.changes, output) {
            output.line(line);
        }
    }
    if let Some(measured) = &applied.measured {
        output.line("What it cost:");
        cost(measured, output);
    }
    if applied.throwaway {
        output.line(output.faint("Nothing of it stays: it ran on a copy, and nothing was recorded."));
    }
    if let Some(taken) = &applied.snapshot {
        let branches =
            || applied.status.iter().flat_map(|status| &status.projects).flat_map(|one| &one.branches);
        // The root branch has none: it cannot be taken back in place.
        let has_undo = branches().any(|one| one.branch == applied.branch && one.undo.is_some());
        let how = if has_undo {
            "`offshoot migrations undo` goes back to it.".to_owned()
        } else {
            let from = format!("{}@{}", taken.branch, taken.name);
            format!("`offshoot branch create NAME --from {from}` makes a branch of it.")
        };
        output.line(format!("A snapshot was taken before: {}@{}. {how}", taken.branch, taken.name));
    }
}

/// Time, locks and rewrites of each statement.
pub(super) fn cost(measured: &offshoot_protocol::measure::Measured, output: Output) {
    for step in &measured.steps {
        let mut parts = vec![format!("{:.1} ms", step.elapsed_us as f64 / 1000.0)];
        let strong = step.locks.iter().filter(|lock| !lock.mode.ends_with(" SHARE") || lock.mode == "SHARE");
        parts.extend(strong.map(|lock| {
            format!("{} on {} for {:.1} ms", lock.mode, lock.relation, lock.held_us as f64 / 1000.0)
        }));
        let sum =
            |files: &[offshoot_protocol::measure::MeasuredFile]| files.iter().map(|file| file.bytes).sum();
        if !step.rewritten.is_empty() {
            parts.push(format!("{} rewritten", bytes(sum(&step.rewritten))));
        }
        if !step.built.is_empty() {
            parts.push(format!("{} built", bytes(sum(&step.built))));
        }
        if step.rows_written > 0 {
            parts.push(text::count(step.rows_written as usize, "row") + " written");
        }
        output.line(format!("  {}", step.what));
        output.line(output.faint(&format!("    {}", parts.join(", "))));
    }
}

pub(super) fn undo(branch: Option<String>, snapshot: Option<String>, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let params = MigrationsUndoParams { folder: session.path(), branch, snapshot };
    if !output.json && std::io::stdin().is_terminal() && !agreed(&mut session, &params)? {
        return Ok(crate::cli::NEGATIVE);
    }
    let undone = call::long::<MigrationsUndo>(&mut session, &params, output.json)?;
    if output.json {
        output.value(&undone)?;
    } else {
        output.line(format!(
            "{} is what it was {}: {}@{}. Migrations and data since then are gone from it; `{}` brings them back.",
            output.strong(&undone.branch),
            ago(undone.snapshot.created_at),
            undone.branch,
            undone.snapshot.name,
            undone.redo
        ));
    }
    Ok(crate::cli::OK)
}

/// Asks, if there is something to take back.
fn agreed(session: &mut Session, params: &MigrationsUndoParams) -> Result<bool> {
    let status = session.call::<MigrationsGetStatus>(&MigrationsStatusParams {
        folder: params.folder.clone(),
        branches: params.branch.iter().cloned().collect(),
        known_only: true,
        ..MigrationsStatusParams::default()
    })?;
    let found = status.projects.iter().flat_map(|one| &one.branches).find_map(|one| one.undo.clone());
    let what = match (&params.snapshot, found) {
        (Some(snapshot), _) => format!("Go back to the snapshot {}", plain(snapshot)),
        (None, Some(found)) => {
            let (branch, name) = (plain(&found.branch), plain(&found.name));
            format!("Take {branch} back to what it was {}, at {name}", ago(found.created_at))
        }
        // Whoever is asked tells why there is none.
        (None, None) => return Ok(true),
    };
    let fault = |e: &std::io::Error| Failure::io("ask a question", e);
    write!(std::io::stderr(), "{what}, without migrations and data since then? [y/N] ")
        .map_err(|e| fault(&e))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| fault(&e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// A time in seconds since 1970, as one says it.
fn ago(at: u64) -> String {
    let seconds = timestamp::seconds(std::time::SystemTime::now()).saturating_sub(at);
    let (number, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} ago", text::count(usize::try_from(number).unwrap_or(usize::MAX), unit))
}

//! `offshoot migrations apply` and `down`.

use offshoot_protocol::method::MigrationsApply;
use offshoot_protocol::migrations::{
    MigrationStanding, MigrationsApplied, MigrationsApplyParams, MigrationsDirection,
};

use super::{call, text};
use crate::cli::args::ApplyArgs;
use crate::cli::connect::Session;
use crate::cli::output::{Output, bytes};
use crate::failure::Result;

pub(super) fn apply(args: &ApplyArgs, output: Output) -> Result<u8> {
    let params = MigrationsApplyParams {
        tool: args.tool.clone(),
        throwaway: args.throwaway,
        branch: args.branch.clone(),
        to: args.to.clone(),
        measure: args.measure,
        no_snapshot: args.no_snapshot,
        override_rules: args.against.r#override,
        ..MigrationsApplyParams::default()
    };
    run(params, output)
}

pub(super) fn down(
    tool: Option<String>,
    no_snapshot: bool,
    override_rules: bool,
    output: Output,
) -> Result<u8> {
    let direction = MigrationsDirection::Down;
    let params = MigrationsApplyParams {
        tool,
        no_snapshot,
        direction,
        override_rules,
        ..MigrationsApplyParams::default()
    };
    run(params, output)
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
        let own = applied.status.iter().flat_map(|status| &status.projects).flat_map(|one| &one.branches);
        if !down && own.into_iter().any(|one| one.standing == MigrationStanding::Diverged) {
            output.line("Files and history differ all the same: `offshoot migrations status` tells in what.");
        }
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
        output.line("The schema was not changed.");
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
        // An apply that changed nothing has none.
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

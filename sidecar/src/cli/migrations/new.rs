//! `offshoot migrations new`.

use std::io::{BufRead, IsTerminal, Write};

use offshoot_protocol::method::{
    BranchReset, BranchUndo, MigrationsApply, MigrationsCreate, MigrationsGetStatus,
};
use offshoot_protocol::migrations::{
    MigrationsApplied, MigrationsApplyParams, MigrationsNew, MigrationsNewParams, MigrationsOutcome,
    MigrationsStatusParams,
};
use offshoot_protocol::types::{GuardedParams, UndoParams};
use serde_json::json;

use super::{call, text};
use crate::cli::args::NewArgs;
use crate::cli::connect::Session;
use crate::cli::output::Output;
use crate::cli::plain::plain;
use crate::cli::{NEGATIVE, OK};
use crate::failure::{Failure, Result};

pub(super) fn new(args: NewArgs, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    if args.reset && !args.yes && !output.json && std::io::stdin().is_terminal() && !agreed(&mut session)? {
        return Ok(NEGATIVE);
    }
    let params = MigrationsNewParams {
        folder: session.path(),
        name: args.name,
        tool: args.tool,
        from: args.from,
        empty: args.empty,
        environment: call::environment(),
    };
    let made = call::long::<MigrationsCreate>(&mut session, &params, output.json)?;
    let is_good = made.proof.as_ref().is_none_or(|proof| proof.outcome != MigrationsOutcome::Failed);
    if !output.json {
        print(&made, output);
    }
    let mut passed = is_good;
    let mut applied = None;
    if args.reset && is_good {
        let done = in_line(&mut session, &made, output)?;
        passed = done.passed;
        applied = Some(done);
    } else if !output.json && is_good {
        ways_on(&made, output);
    }
    if output.json {
        let mut value = serde_json::to_value(&made).map_err(|e| Failure::internal(e.to_string()))?;
        if let Some(applied) = applied {
            value["applied"] = json!(applied);
        }
        output.value(&value)?;
    }
    Ok(if passed { OK } else { NEGATIVE })
}

fn print(made: &MigrationsNew, output: Output) {
    made.files.iter().for_each(|path| output.line(format!("Wrote {}.", output.strong(path))));
    for note in &made.notes {
        output.line(format!("  {} {note}", output.warn("!")));
    }
    if let Some(proof) = &made.proof {
        output.line(text::step(proof, output));
    }
}

/// How the branch, which has what the migration does, comes to have it applied.
fn ways_on(made: &MigrationsNew, output: Output) {
    let Some(branch) = &made.branch else { return };
    let name = output.strong(branch);
    output.line(format!("{name} has all this already: run there, it would fail."));
    if !made.in_line.is_empty() {
        output.line("To make the branch anew from its parent and the files, without rows typed in by hand:");
        made.in_line.iter().for_each(|command| output.line(format!("    {command}")));
        output.line(output.faint("With `--reset`, `offshoot migrations new` does both by itself."));
    }
    match (&made.mark, made.in_line.is_empty()) {
        (Some(mark), is_only) => {
            let word = if is_only { "To" } else { "Or to" };
            output.line(format!("{word} keep the branch as it is, and record the migration as applied:"));
            output.line(format!("    {mark}"));
        }
        (None, true) => output.line(output.faint(
            "It is for branches that do not have it: `offshoot migrations check --against BRANCH` tries it.",
        )),
        (None, false) => {}
    }
}

/// Resets the branch and applies all files to it. If that fails, the branch is what it was.
fn in_line(session: &mut Session, made: &MigrationsNew, output: Output) -> Result<MigrationsApplied> {
    let (Some(branch), false) = (&made.branch, made.in_line.is_empty()) else {
        return Err(Failure::user("the branch cannot be reset to where the migration starts from")
            .hint("`--reset` is for a branch with a parent, a migration that starts there, and a tool that applies it. The file is written."));
    };
    let reset = GuardedParams { name: branch.clone(), override_rules: false };
    call::long::<BranchReset>(session, &reset, output.json)?;
    let params = MigrationsApplyParams {
        folder: session.path(),
        // A checkout in between leads elsewhere, and is refused then.
        branch: Some(branch.clone()),
        environment: call::environment(),
        ..MigrationsApplyParams::default()
    };
    let back = |session: &mut Session| {
        session
            .call::<BranchUndo>(&UndoParams { name: Some(branch.clone()), ..UndoParams::default() })
            .map(drop)
    };
    let as_before = "The branch is what it was before; the file is written.";
    match call::long::<MigrationsApply>(session, &params, output.json) {
        Ok(applied) if applied.passed => {
            if !output.json {
                output.line(format!(
                    "{} was reset, and {} ran on it. `offshoot undo {branch}` brings back what it was.",
                    output.strong(branch),
                    text::count(applied.ran.len(), "migration")
                ));
            }
            Ok(applied)
        }
        Ok(applied) => {
            back(session)?;
            if !output.json {
                applied.steps.iter().for_each(|step| output.line(text::step(step, output)));
                output.line(as_before);
            }
            Ok(applied)
        }
        Err(failure) => {
            back(session)?;
            output.aside(as_before);
            Err(failure)
        }
    }
}

fn agreed(session: &mut Session) -> Result<bool> {
    let status = session.call::<MigrationsGetStatus>(&MigrationsStatusParams {
        folder: session.path(),
        known_only: true,
        brief: true,
        ..MigrationsStatusParams::default()
    })?;
    let Some(branch) = status.branch else { return Ok(true) };
    let fault = |e: &std::io::Error| Failure::io("ask a question", e);
    write!(
        std::io::stderr(),
        "Write the migration, reset {0} to its parent and apply all files? Rows that were typed into {0} by hand are gone \
         from it then, until `offshoot undo {0}`. [y/N] ",
        plain(&branch)
    )
    .map_err(|e| fault(&e))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| fault(&e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

//! `offshoot promote`.

use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

use offshoot_protocol::method::Promote;
use offshoot_protocol::migrations::MigrationsOutcome;
use offshoot_protocol::policy::PolicyPlace;
use offshoot_protocol::promote::{PromoteCheck, PromoteParams, Promoted};

use super::args::PromoteArgs;
use super::connect::Session;
use super::migrations::{call, text};
use super::output::Output;
use super::plain::plain;
use super::{NEGATIVE, OK};
use crate::failure::{Failure, Result};

/// Letters of a commit's name that people are shown.
const SHOWN: usize = 8;
/// The last lines that a tool printed.
const MOST_LINES: usize = 12;

pub(super) fn run(args: PromoteArgs, output: Output) -> Result<u8> {
    let asks = !args.yes && !args.dry_run;
    if asks && (output.json || !std::io::stdin().is_terminal()) {
        return Err(Failure::user("nobody is there to be asked, and nothing was promoted")
            .hint("Say `--yes`, or `--dry-run` to see what would be promoted and what holds."));
    }
    let mut session = Session::open(output)?;
    let mut params = PromoteParams {
        folder: session.path(),
        branch: args.branch,
        to: args.to,
        commit: None,
        tool: args.tool,
        dry_run: args.dry_run || asks,
        override_rules: args.against.r#override,
        environment: call::environment(),
    };
    let mut promoted = call::long::<Promote>(&mut session, &params, output.json)?;
    if asks && promoted.passed && !promoted.lacked.is_empty() {
        for line in lines_before(&promoted, output) {
            output.line(&line);
        }
        if !agreed(&promoted)? {
            output.line("Nothing was promoted.");
            return Ok(NEGATIVE);
        }
        params.dry_run = false;
        params.commit = Some(promoted.commit);
        promoted = call::long::<Promote>(&mut session, &params, output.json)?;
    }
    if output.json {
        output.value(&promoted)?;
    } else {
        for line in told(&promoted, output) {
            output.line(&line);
        }
    }
    Ok(if promoted.passed { OK } else { NEGATIVE })
}

/// What a person is asked about.
fn lines_before(tried: &Promoted, output: Output) -> Vec<String> {
    let mut lines = told(tried, output);
    // The verdict speaks of a trial that nobody asked for.
    lines.pop();
    lines
}

fn agreed(tried: &Promoted) -> Result<bool> {
    let fault = |e: &std::io::Error| Failure::io("ask a question", e);
    let what = text::count(tried.lacked.len(), "migration");
    let (from, to) = (plain(&tried.branch), plain(&tried.to));
    write!(std::io::stderr(), "\nPromote {what} of {from} to {to}? [y/N] ").map_err(|e| fault(&e))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| fault(&e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// What came of it, line by line.
fn told(promoted: &Promoted, output: Output) -> Vec<String> {
    let (from, to) = (plain(&promoted.branch), output.strong(&plain(&promoted.to)));
    let mut lines = Vec::new();
    let notes = promoted.notes.iter().map(|note| output.faint(&format!("note: {}", plain(note))));
    if promoted.lacked.is_empty() {
        lines.push(format!("{to} has all migrations that are committed on {from}; nothing was run."));
        lines.extend(notes);
        return lines;
    }
    let commit = output.faint(&format!("({})", promoted.commit.get(..SHOWN).unwrap_or(&promoted.commit)));
    let lacked = text::count(promoted.lacked.len(), "migration");
    lines.push(format!("{to} lacks {lacked} of {from} {commit}:"));
    lines.extend(promoted.lacked.iter().map(|path| format!("  {}", plain(path))));
    lines.extend(notes);
    lines.push(format!("On a throwaway of {to}:"));
    let width = promoted.checks.iter().map(|one| one.name.len()).max().unwrap_or(0);
    lines.extend(promoted.checks.iter().map(|one| check(one, width, output)));
    if let Some(report) = &promoted.report {
        for step in report.steps.iter().filter(|step| step.outcome == MigrationsOutcome::Failed) {
            lines.extend(end_of(&step.log, output));
        }
    }
    match &promoted.applied {
        Some(applied) => {
            lines.extend(applied.steps.iter().map(|step| text::step(step, output)));
            if promoted.passed {
                lines.push(output.good(&format!(
                    "{} has {} of {from} now.",
                    promoted.to,
                    text::count(applied.ran.len(), "migration")
                )));
                if promoted.overridden {
                    lines.push(output.warn("What did not hold was gone past, as `--override` says."));
                }
                lines.extend(text::changes(&applied.changes, output));
                lines.extend(applied.snapshot.as_ref().map(|taken| {
                    format!(
                        "A snapshot was taken before: {}@{}. `offshoot migrations undo --branch {}` goes back to it.",
                        taken.branch, taken.name, promoted.to
                    )
                }));
            } else {
                for step in applied.steps.iter().filter(|step| step.outcome == MigrationsOutcome::Failed) {
                    lines.extend(end_of(&step.log, output));
                }
                lines.push(output.bad(&if promoted.taken_back {
                    format!("It failed on {} itself, which is again what it was before.", promoted.to)
                } else {
                    format!("It failed on {} itself, on which nothing was changed.", promoted.to)
                }));
            }
        }
        None if promoted.passed => lines.push(
            output.good(&format!("They can be promoted. {} is as it was: this was a trial.", promoted.to)),
        ),
        None => {
            lines.push(output.bad(&format!("They were not promoted: {} is as it was.", promoted.to)));
            if promoted.may_override {
                lines.push(format!(
                    "Correct what does not hold and commit it; `offshoot promote {from} --to {} --override` promotes them all the same.",
                    promoted.to
                ));
            } else {
                lines.push("Correct what does not hold, commit it, and promote again.".to_owned());
            }
        }
    }
    lines
}

fn check(check: &PromoteCheck, width: usize, output: Output) -> String {
    let word = match check.outcome {
        MigrationsOutcome::Passed => output.good("holds  "),
        MigrationsOutcome::Failed => output.bad("fails  "),
        MigrationsOutcome::Skipped => output.bad("unknown"),
    };
    let place = check.place.as_ref().map_or_else(|| "always".to_owned(), shown);
    let mut text = format!("  {word}  {:width$}  {}", check.name, output.faint(&place));
    if !check.message.is_empty() {
        let _ = write!(text, "\n           {}", plain(&check.message));
    }
    let hint = check.hint.iter().filter(|_| check.outcome != MigrationsOutcome::Passed);
    for line in hint.flat_map(|hint| hint.lines()) {
        text.push_str(&output.faint(&format!("\n           {}", plain(line))));
    }
    text
}

fn shown(place: &PolicyPlace) -> String {
    format!("{}:{}", plain(&place.file), place.line)
}

/// The end of what a tool printed.
fn end_of(log: &str, output: Output) -> Vec<String> {
    let lines: Vec<&str> = log.trim_end().lines().collect();
    let last = &lines[lines.len().saturating_sub(MOST_LINES)..];
    last.iter().map(|line| output.faint(&format!("    {}", plain(line)))).collect()
}

//! `offshoot migrations check`, `drift` and `rehearse`.

use std::fs;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

use offshoot_protocol::error::Reason;
use offshoot_protocol::method::{MigrationsCheck, MigrationsGetDrift, MigrationsRehearse};
use offshoot_protocol::migrations::{
    MigrationSeverity, MigrationsCheckParams, MigrationsDrift, MigrationsDriftParams, MigrationsOutcome,
    MigrationsPair, MigrationsRehearseParams, MigrationsReport, MigrationsStepKind,
};

use super::{call, text};
use crate::cli::args::{CheckArgs, RehearseArgs};
use crate::cli::connect::Session;
use crate::cli::diff::between;
use crate::cli::output::Output;
use crate::cli::plain::plain;
use crate::cli::{NEGATIVE, OK};
use crate::failure::{Failure, Result};

/// Lines of a drift that are shown.
const MOST_LINES: usize = 60;

pub(super) fn check(args: &CheckArgs, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let params = MigrationsCheckParams {
        folder: session.path(),
        against: args.against.clone(),
        tool: args.tool.clone(),
        environment: call::environment(),
    };
    let quiet = output.json || args.markdown;
    let report = call::long::<MigrationsCheck>(&mut session, &params, quiet)?;
    if let Some(file) = &args.report {
        write(file, &report)?;
    }
    if output.json {
        output.value(&report)?;
    } else if args.markdown {
        output.line(&report.markdown);
    } else {
        print(&report, output);
    }
    Ok(if report.passed { OK } else { NEGATIVE })
}

fn write(file: &Path, report: &MigrationsReport) -> Result<()> {
    let is_json = file.extension().is_some_and(|extension| extension == "json");
    let text = if is_json {
        serde_json::to_string_pretty(report).map_err(|e| Failure::internal(e.to_string()))? + "\n"
    } else {
        report.markdown.clone()
    };
    fs::write(file, text).map_err(|e| Failure::io(format!("write {}", file.display()), &e))
}

fn print(report: &MigrationsReport, output: Output) {
    let against = output.strong(&report.against);
    if report.steps.is_empty() {
        output.line(format!("Nothing is pending on {against}: there is nothing to check."));
        return;
    }
    // Files that are not sound are not tried.
    let is_tried = report.steps.iter().any(|step| step.kind != MigrationsStepKind::Files);
    let seconds = report.took_ms as f64 / 1000.0;
    output.line(if is_tried {
        format!("Checked on a throwaway of {against}, in {seconds:.1} s:")
    } else {
        "Checked the files; nothing was run:".to_owned()
    });
    report.steps.iter().for_each(|step| output.line(text::step(step, output)));
    if !report.changes.is_empty() {
        output.line("What they do to the schema:");
        for line in text::changes(&report.changes, output) {
            output.line(line);
        }
    }
    let failed = report.steps.iter().filter(|step| step.outcome == MigrationsOutcome::Failed).count();
    let gone = if is_tried { " The throwaway is gone." } else { "" };
    output.line(match failed {
        0 => output.good(&format!("The check passed.{gone}")),
        _ => output.bad(&format!("The check failed: {}.{gone}", text::count(failed, "step"))),
    });
    for step in report.steps.iter().filter(|step| step.outcome == MigrationsOutcome::Failed) {
        let lines: Vec<_> = step.log.trim_end().lines().collect();
        for line in &lines[lines.len().saturating_sub(12)..] {
            output.line(output.faint(&format!("    {line}")));
        }
    }
}

pub(super) fn drift(
    branch: Option<String>,
    tool: Option<String>,
    accept: bool,
    output: Output,
) -> Result<u8> {
    let mut session = Session::open(output)?;
    let params = MigrationsDriftParams {
        folder: session.path(),
        branch,
        tool,
        environment: call::environment(),
        accept,
    };
    let drift = call::long::<MigrationsGetDrift>(&mut session, &params, output.json)?;
    if output.json {
        output.value(&drift)?;
    } else {
        let branch = output.strong(&drift.branch);
        for step in drift.steps.iter().filter(|step| step.outcome != MigrationsOutcome::Passed) {
            output.line(text::step(step, output));
        }
        if !drift.passed {
            output.line(format!(
                "The migrations of {branch} could not be replayed: nothing is known of its drift."
            ));
            drift.hint.iter().for_each(|hint| output.line(output.faint(hint)));
        } else if accept {
            output.line(format!("The schema of {branch} is taken as given."));
        } else if drift.drifted == Some(true) {
            output.line(format!(
                "{branch} has another schema than its {}:",
                text::migrations_make(drift.replayed as usize)
            ));
            for line in text::changes(&drift.changes, output) {
                output.line(line);
            }
            differences(&drift, output);
            drift.hint.iter().for_each(|hint| output.line(output.faint(hint)));
        } else {
            output.line(format!(
                "{branch} has the schema that its {}.",
                text::migrations_make(drift.replayed as usize)
            ));
        }
        drift.notes.iter().for_each(|note| output.line(output.faint(&format!("note: {note}"))));
    }
    Ok(if drift.drifted == Some(false) { OK } else { NEGATIVE })
}

/// What the branch has and its files do not make, line by line.
fn differences(drift: &MigrationsDrift, output: Output) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let lines = between(&text(&drift.expected), &text(&drift.actual), output);
    let more = lines.len().saturating_sub(MOST_LINES);
    lines.iter().take(MOST_LINES).for_each(|line| output.line(line));
    if more > 0 {
        output.line(output.faint(&format!("      … and {more} more lines; `--json` has them, as SQL too")));
    }
}

pub(super) fn rehearse(args: RehearseArgs, output: Output) -> Result<u8> {
    let mut session = Session::open(output)?;
    let mut params = MigrationsRehearseParams {
        folder: session.path(),
        with: args.with,
        agreed: args.yes,
        base: args.base,
        tool: args.tool,
        environment: call::environment(),
    };
    let rehearsal = match call::long::<MigrationsRehearse>(&mut session, &params, output.json) {
        Err(failure)
            if failure.0.reason == Some(Reason::NotAgreed)
                && !output.json
                && std::io::stdin().is_terminal() =>
        {
            if !agreed(&failure)? {
                return Ok(NEGATIVE);
            }
            params.agreed = true;
            call::long::<MigrationsRehearse>(&mut session, &params, output.json)?
        }
        other => other?,
    };
    if output.json {
        output.value(&rehearsal)?;
    } else {
        let (mine, base) = (output.strong(&rehearsal.mine), output.strong(&rehearsal.base));
        if rehearsal.pairs.is_empty() {
            output.line(format!("There is no other git branch that is not merged into {base}."));
        } else {
            output.line(format!(
                "Rehearsed merging {mine} into {base} before and after {}, in {:.1} s:",
                text::count(rehearsal.pairs.len(), "branch").replace("branchs", "branches"),
                rehearsal.took_ms as f64 / 1000.0
            ));
        }
        rehearsal.pairs.iter().for_each(|pair| one_pair(pair, output));
        for note in &rehearsal.notes {
            output.line(output.faint(&format!("note: {note}")));
        }
    }
    Ok(if rehearsal.passed { OK } else { NEGATIVE })
}

fn agreed(failure: &Failure) -> Result<bool> {
    let fault = |e: &std::io::Error| Failure::io("ask a question", e);
    let text = plain(&failure.0.message);
    write!(
        std::io::stderr(),
        "{}{}, as a superuser of a throwaway database, which may start programs. Run them? [y/N] ",
        text.get(..1).unwrap_or_default().to_uppercase(),
        text.get(1..).unwrap_or_default()
    )
    .map_err(|e| fault(&e))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| fault(&e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn one_pair(pair: &MigrationsPair, output: Output) {
    let word = match pair.outcome {
        MigrationsOutcome::Passed => output.good("passed "),
        MigrationsOutcome::Failed => output.bad("failed "),
        MigrationsOutcome::Skipped => output.warn("skipped"),
    };
    output.line(format!("  {word}  {}: {}", output.strong(&pair.other), pair.message));
    let told = pair.findings.iter().filter(|found| found.severity != MigrationSeverity::Note);
    told.for_each(|found| output.line(text::diagnostic(found, output)));
    for line in text::changes(&pair.differs, output) {
        output.line(format!("    {line}"));
    }
}

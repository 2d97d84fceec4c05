//! A check's report as Markdown.

use std::fmt::Write;

use offshoot_protocol::measure::Measured;
use offshoot_protocol::migrations::{MigrationsOutcome, MigrationsReport};
use offshoot_protocol::types::ChangeKind;

/// Bytes of one log; a comment of a pull request has an end.
const LOG_BYTES: usize = 6_000;
/// Lines of a list.
const LINES: usize = 40;

/// The report. Everything that a repository or a tool says stands in code.
pub(super) fn markdown(report: &MigrationsReport) -> String {
    let mut text = String::new();
    let verdict = if report.passed { "passed" } else { "failed" };
    let _ = writeln!(text, "### Migrations: {verdict}\n");
    let seconds = report.took_ms as f64 / 1000.0;
    let _ = writeln!(
        text,
        "Tried on a throwaway of {} in {seconds:.1} s. {} ran.\n",
        code(&report.against),
        match report.ran.len() {
            0 if report.passed => "No migration is pending; none".to_owned(),
            0 => "No migration".to_owned(),
            1 => "One migration".to_owned(),
            many => format!("{many} migrations"),
        }
    );
    for path in report.ran.iter().take(LINES) {
        let _ = writeln!(text, "- {}", code(path));
    }
    if !report.steps.is_empty() {
        text.push_str("\n| step | outcome | |\n| --- | --- | --- |\n");
    }
    for step in &report.steps {
        let outcome = match step.outcome {
            MigrationsOutcome::Passed => "passed",
            MigrationsOutcome::Failed => "**failed**",
            MigrationsOutcome::Skipped => "not tried",
        };
        let mut said = cell(&step.message);
        if let Some(failure) = &step.failure {
            let place = format!("{}:{}:{}", failure.path, failure.line, failure.column);
            let _ = write!(said, " {} {}", code(&place), cell(&failure.message));
        }
        let _ = writeln!(text, "| {} | {outcome} | {} |", cell(&step.title), said.trim());
    }
    if !report.changes.is_empty() {
        text.push_str("\n#### What they do to the schema\n\n");
        for change in report.changes.iter().take(LINES) {
            let sign = match change.change {
                ChangeKind::Added => "added",
                ChangeKind::Removed => "removed",
                ChangeKind::Changed | ChangeKind::Renamed => "changed",
            };
            let object = &change.object;
            let schema = object.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
            let _ = writeln!(text, "- {sign}: {} {}", object.kind, code(&format!("{schema}{}", object.name)));
        }
        if report.changes.len() > LINES {
            let _ = writeln!(text, "- and {} more", report.changes.len() - LINES);
        }
    }
    if let Some(measured) = &report.measured {
        let _ = writeln!(text, "\n#### What they cost\n\n{}\n", cost(measured));
        for step in measured.steps.iter().take(LINES) {
            let locks: Vec<_> =
                step.locks.iter().take(3).map(|lock| format!("{} on {}", lock.mode, lock.relation)).collect();
            let ms = step.elapsed_us as f64 / 1000.0;
            let _ = writeln!(text, "- {} {ms:.1} ms {}", code(&step.what), cell(&locks.join(", ")));
        }
    }
    for step in report.steps.iter().filter(|step| !step.log.trim().is_empty()) {
        let fence = fence(&step.log);
        let _ = writeln!(
            text,
            "\n<details><summary>Log: {}</summary>\n\n{fence}text\n{}\n{fence}\n\n</details>",
            cell(&step.title),
            end_of(step.log.trim_end())
        );
    }
    text
}

/// A measurement in one sentence.
pub(super) fn cost(measured: &Measured) -> String {
    let totals = &measured.totals;
    let strongest = measured
        .steps
        .iter()
        .flat_map(|step| &step.locks)
        .filter(|lock| lock.mode == "ACCESS EXCLUSIVE")
        .max_by_key(|lock| lock.held_us);
    let lock = strongest.map_or_else(
        || "no table is closed to readers".to_owned(),
        |lock| {
            format!(
                "{} is closed to readers and writers for {:.1} ms",
                lock.relation,
                lock.held_us as f64 / 1000.0
            )
        },
    );
    let rewritten = if totals.rewritten_bytes > 0 {
        format!("{} KB are rewritten", totals.rewritten_bytes / 1000)
    } else {
        "nothing is rewritten".to_owned()
    };
    let written = match totals.rows_written {
        0 => "no rows are written".to_owned(),
        1 => "1 row is written".to_owned(),
        many => format!("{many} rows are written"),
    };
    format!("{:.1} ms, {lock}, {rewritten}, {written}", totals.elapsed_us as f64 / 1000.0)
}

fn end_of(log: &str) -> &str {
    let mut from = log.len().saturating_sub(LOG_BYTES);
    while !log.is_char_boundary(from) {
        from += 1;
    }
    &log[from..]
}

/// A fence that the text does not hold.
fn fence(text: &str) -> String {
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

fn code(text: &str) -> String {
    let flat: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let ticks = fence(&flat);
    let ticks = if flat.contains('`') { ticks.as_str() } else { "`" };
    let pad = if flat.starts_with('`') || flat.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{}{pad}{ticks}", flat.replace('|', "\\|"))
}

/// Text in a cell of a table, with nothing in it that Markdown or HTML acts on.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '|' | '*' | '_' | '[' | ']' | '`' | '#' | '\\' => {
                out.push('\\');
                out.push(letter);
            }
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

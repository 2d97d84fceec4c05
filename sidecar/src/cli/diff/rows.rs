//! `offshoot diff --rows`: which rows a branch changed.

use offshoot_protocol::measure::{
    ChangedRows, Presence, RowChange, RowsParams, SampleColumn, SampleRow, SampleValue, TableRows,
};
use offshoot_protocol::method::BranchGetRows;
use offshoot_schema::quote;
use serde_json::json;

use super::call;
use super::comparison::one_line;
use super::markdown::escape::{code, prose};
use super::measure::grouped;
use super::side::Sides;
use crate::cli::args::DiffArgs;
use crate::cli::connect::Session;
use crate::cli::output::Output;
use crate::failure::Result;

/// The version of the JSON.
const VERSION: u32 = 1;
/// How long a table may take.
const TABLE_LIMIT_MS: u64 = 10_000;
/// Letters of a value that people are shown.
const SHOWN_LETTERS: usize = 60;
/// Bytes of a list in a comment.
const LIST_BYTES: usize = 30_000;

pub(super) fn run(args: &DiffArgs, sample: u32, output: Output) -> Result<u8> {
    let branch = match &args.to {
        Some(name) => name.clone(),
        None => Sides::new(output).current()?.name,
    };
    let params = RowsParams { branch, base: args.from.clone(), sample, table_limit_ms: TABLE_LIMIT_MS };
    let mut session = Session::open(output)?;
    let found = call::long::<BranchGetRows>(&mut session, &params, output.json)?;
    if output.json {
        output.value(&json!({ "version": VERSION, "rows": found }))?;
    } else if args.markdown {
        output.line(markdown(&found));
    } else {
        output.line(text(&found, output));
    }
    let differs = found.tables.iter().any(|table| table.inserted + table.updated + table.deleted > 0);
    Ok(if args.exit_code && differs { crate::cli::NEGATIVE } else { crate::cli::OK })
}

fn base(found: &ChangedRows) -> String {
    if found.from_fork {
        format!("{} at its fork point", found.branch)
    } else {
        format!("{} as it is now", found.base)
    }
}

fn total(found: &ChangedRows) -> String {
    let sum = |of: fn(&TableRows) -> u64| found.tables.iter().map(of).sum();
    counts(sum(|table| table.inserted), sum(|table| table.updated), sum(|table| table.deleted))
}

fn counts(inserted: u64, updated: u64, deleted: u64) -> String {
    let words = [(inserted, "inserted"), (updated, "updated"), (deleted, "deleted")];
    let parts: Vec<_> = words
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", grouped(*count)))
        .collect();
    if parts.is_empty() { "no rows differ".to_owned() } else { parts.join(", ") }
}

fn name(table: &TableRows) -> String {
    one_line(&format!("{}.{}", quote(&table.schema), quote(&table.name)))
}

fn text(found: &ChangedRows, output: Output) -> String {
    let title = format!("# Changed rows: {} ← {}", one_line(&found.branch), one_line(&base(found)));
    let mut blocks = vec![format!(
        "{}\n# {}\n# {} tables looked into, {} pages read",
        output.strong(&title),
        total(found),
        grouped(found.tables_visited),
        grouped(found.pages_visited)
    )];
    blocks.extend(found.tables.iter().map(|table| {
        let mut lines = vec![output.strong(&format!("table {}: {}", name(table), told(table)))];
        lines.extend(remarks(table).iter().map(|remark| format!("  # {remark}")));
        lines.extend(table.sample.iter().map(|row| sampled(row, output)));
        lines.join("\n")
    }));
    blocks.join("\n\n")
}

fn told(table: &TableRows) -> String {
    let text = counts(table.inserted, table.updated, table.deleted);
    if table.incomplete.is_some() { format!("at least: {text}") } else { text }
}

fn remarks(table: &TableRows) -> Vec<String> {
    let mut remarks = Vec::new();
    match table.presence {
        Presence::Both => (),
        Presence::Branch => remarks.push("the table is new".to_owned()),
        Presence::Base => remarks.push("the table is not there any more".to_owned()),
    }
    if let Some(old) = &table.renamed_from {
        remarks.push(format!("was {}", one_line(old)));
    }
    if table.presence == Presence::Both {
        if table.whole {
            remarks.push("the table was rewritten, so that all of it was compared".to_owned());
        }
        if table.key.is_empty() {
            remarks.push(
                "without a key that both sides have; an updated row counts as deleted and inserted"
                    .to_owned(),
            );
        }
    }
    if let Some(why) = &table.incomplete {
        remarks.push(format!("not compared to its end: {}", one_line(why)));
    }
    remarks
}

fn sampled(row: &SampleRow, output: Output) -> String {
    let columns: Vec<_> = row.columns.iter().map(column).collect();
    let line = columns.join(", ");
    match row.change {
        RowChange::Inserted => output.good(&format!("  + {line}")),
        RowChange::Updated => output.warn(&format!("  ~ {line}")),
        RowChange::Deleted => output.bad(&format!("  - {line}")),
    }
}

/// `name: value`, or `name: old → new`.
fn column(column: &SampleColumn) -> String {
    let name = one_line(&column.name);
    match (&column.old, &column.new) {
        (Some(old), Some(new)) if old != new => format!("{name}: {} → {}", shown(old), shown(new)),
        (_, Some(value)) | (Some(value), None) => format!("{name}: {}", shown(value)),
        (None, None) => name,
    }
}

fn shown(value: &SampleValue) -> String {
    let Some(text) = &value.text else { return "NULL".to_owned() };
    let short: String = text.chars().take(SHOWN_LETTERS).collect();
    let dots = if value.cut || short.len() < text.len() { "…" } else { "" };
    one_line(&format!("{short}{dots}"))
}

fn markdown(found: &ChangedRows) -> String {
    let head = format!(
        "### Changed rows: {} ← {}\n\n**{}.**\n",
        code(&found.branch),
        prose(&base(found)),
        total(found)
    );
    let items: Vec<_> = found
        .tables
        .iter()
        .map(|table| {
            let remarks: Vec<_> =
                remarks(table).iter().map(|remark| format!("; {}", prose(remark))).collect();
            format!("- {}: {}{}", code(&name(table)), told(table), remarks.concat())
        })
        .collect();
    format!("{head}\n{}", super::markdown::budget::listed(&items, LIST_BYTES)).trim_end().to_owned()
}

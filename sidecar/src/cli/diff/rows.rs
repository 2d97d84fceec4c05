//! `offshoot diff --rows`: which rows a branch changed.

use offshoot_protocol::measure::{
    ChangedRows, Presence, RowChange, RowsParams, SampleColumn, SampleRow, SampleValue, TableRows,
};
use offshoot_protocol::method::BranchGetRows;
use offshoot_protocol::past::{Moment, MomentParams};
use offshoot_schema::quote;
use serde_json::json;

use super::call;
use super::comparison::one_line;
use super::markdown::escape::{code, prose};
use super::measure::grouped;
use super::side::{Sides, name_of};
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
    let Compared { branch, base, base_at } = sides(args, &mut Sides::new(output))?;
    let params = RowsParams { branch, base, base_at, sample, table_limit_ms: TABLE_LIMIT_MS };
    let mut session = Session::open(output)?;
    let found = call::long::<BranchGetRows>(&mut session, &params, output.json)?;
    if output.json {
        output.value(&json!({ "version": VERSION, "rows": found }))?;
    } else if args.markdown {
        output.line(markdown(&found));
    } else {
        output.line(text(&found, output));
    }
    // What was not compared may differ.
    let differs = !found.tables.is_empty();
    Ok(if args.exit_code && differs { crate::cli::NEGATIVE } else { crate::cli::OK })
}

/// The branch, and the one that it is compared with; none stands for its own fork point, as `B@fork` before `B` does.
fn sides(args: &DiffArgs, sides: &mut Sides) -> Result<Compared> {
    const WANTED: &str =
        "rows can be compared only between a branch and another one, a moment or a fork point";
    if let (Some(number), None) = (&args.from, &args.to)
        && number.parse::<u32>().is_ok()
        && let Err(failure) = sides.named(number, WANTED)
    {
        return Err(failure.hint(format!("How many rows to show is written `--rows={number}`.")));
    }
    let branch = match &args.to {
        Some(name) => sides.named(name, WANTED)?.name,
        None => sides.current()?.name,
    };
    let Some(from) = args.from.as_deref().filter(|from| *from != format!("{branch}@fork")) else {
        return Ok(Compared { branch, base: None, base_at: None });
    };
    if let Some((base, at)) = sides.past(from)? {
        return Ok(Compared { branch, base: Some(base), base_at: Some(at) });
    }
    Ok(Compared { branch, base: Some(sides.named(from, WANTED)?.name), base_at: None })
}

/// What is compared with what.
struct Compared {
    branch: String,
    base: Option<String>,
    base_at: Option<Moment>,
}

fn base(found: &ChangedRows) -> String {
    if let Some(at) = &found.base_at {
        return name_of(&MomentParams { branch: found.base.clone(), at: at.clone() });
    }
    if found.from_fork {
        format!("{} at its fork point", found.branch)
    } else {
        format!("{} as it is now", found.base)
    }
}

fn total(found: &ChangedRows) -> String {
    let sum = |of: fn(&TableRows) -> u64| found.tables.iter().map(of).sum();
    let counts = [sum(|table| table.inserted), sum(|table| table.updated), sum(|table| table.deleted)];
    let count = |is: fn(&TableRows) -> bool| found.tables.iter().filter(|table| is(table)).count() as u64;
    let incomplete = count(|table| table.incomplete.is_some());
    let partly = count(has_other_columns);
    let mut text = verdict(counts, incomplete > 0, partly > 0);
    if incomplete > 0 {
        text.push_str(&format!("; {} not compared to the end", number(incomplete, "table")));
    }
    if partly > 0 {
        text.push_str(&format!("; {} not compared in all columns", number(partly, "table")));
    }
    text
}

fn has_other_columns(table: &TableRows) -> bool {
    !table.new_columns.is_empty() || !table.gone_columns.is_empty()
}

/// What was counted, without saying more than was looked at.
fn verdict([inserted, updated, deleted]: [u64; 3], incomplete: bool, partly: bool) -> String {
    match counts(inserted, updated, deleted) {
        Some(text) if incomplete => format!("at least {text}"),
        Some(text) => text,
        None if incomplete => "no changed row was counted".to_owned(),
        None if partly => "no rows differ in the columns that both sides have".to_owned(),
        None => "no rows differ".to_owned(),
    }
}

/// Such as `1 table`, `2 tables`.
fn number(count: u64, thing: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{} {thing}{end}", grouped(count))
}

/// `None` if there are none.
fn counts(inserted: u64, updated: u64, deleted: u64) -> Option<String> {
    let words = [(inserted, "inserted"), (updated, "updated"), (deleted, "deleted")];
    let parts: Vec<_> = words
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", grouped(*count)))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn name(table: &TableRows) -> String {
    one_line(&format!("{}.{}", quote(&table.schema), quote(&table.name)))
}

fn text(found: &ChangedRows, output: Output) -> String {
    let title = format!("# Changed rows: {} ← {}", one_line(&found.branch), one_line(&base(found)));
    let mut blocks = vec![format!(
        "{}\n# {}\n# {} looked into, {} read",
        output.strong(&title),
        total(found),
        number(found.tables_visited, "table"),
        number(found.pages_visited, "page")
    )];
    blocks.extend(found.tables.iter().map(|table| {
        let mut lines = vec![output.strong(&format!("table {}: {}", name(table), told(table)))];
        lines.extend(remarks(table).iter().map(|remark| format!("  # {remark}")));
        lines.extend(table.sample.iter().map(|row| sampled(row, output)));
        lines.extend(left_out(table).iter().map(|remark| format!("  # {remark}")));
        lines.join("\n")
    }));
    blocks.join("\n\n")
}

fn told(table: &TableRows) -> String {
    let counts = [table.inserted, table.updated, table.deleted];
    verdict(counts, table.incomplete.is_some(), has_other_columns(table))
}

/// Of which rows only some are shown.
fn left_out(table: &TableRows) -> Vec<String> {
    let kinds = [
        (RowChange::Updated, table.updated, "updated"),
        (RowChange::Inserted, table.inserted, "inserted"),
        (RowChange::Deleted, table.deleted, "deleted"),
    ];
    let shown = |kind| table.sample.iter().filter(|row| row.change == kind).count() as u64;
    let some = kinds.iter().map(|(kind, count, word)| (shown(*kind), *count, word));
    some.filter(|(shown, count, _)| shown < count)
        .map(|(shown, count, word)| format!("{} of {} {word}", grouped(shown), number(count, "row")))
        .collect()
}

/// Such as `not compared: full_name is gone; first_name, last_name are new`.
fn other_columns(table: &TableRows) -> Option<String> {
    let named = |columns: &[String], what: &str| {
        let names: Vec<_> = columns.iter().map(|name| one_line(&quote(name))).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        (!names.is_empty()).then(|| format!("{} {verb} {what}", names.join(", ")))
    };
    let parts = [named(&table.gone_columns, "gone"), named(&table.new_columns, "new")];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("not compared: {}", parts.join("; ")))
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
    remarks.extend(other_columns(table));
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
    let text = format!("{head}\n{}", super::markdown::budget::listed(&items, LIST_BYTES));
    let digest = super::markdown::sha256(&(head + &items.concat()));
    format!("<!-- offshoot:rows v{VERSION} sha256={digest} -->\n{}", text.trim_end())
}

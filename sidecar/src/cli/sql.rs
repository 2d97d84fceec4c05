//! `offshoot sql`.

mod describe;
mod fault;
mod prompt;
mod scan;
mod script;
mod session;
mod table;

use std::io::Write;

use offshoot_protocol::method::PolicyExplain;
use offshoot_protocol::policy::PolicyExplainParams;
use serde_json::{Value, json};

use super::args::SqlArgs;
use super::connect::Session as EngineSession;
use super::output::Output;
use super::url::{address, owners_address};
use crate::failure::{Failure, Result};
use crate::sys;
use fault::SqlFault;
use session::{Answer, Feed, Session};

/// How a run of SQL ended, short of a failure to reach the database.
type Outcome = std::result::Result<(), SqlFault>;

pub(super) fn run(args: &SqlArgs, output: Output) -> Result<u8> {
    let mut engine = EngineSession::open(output)?;
    let branch = args.branch.as_deref();
    let address = if args.against.r#override {
        owners_address(&mut engine, branch, "offshoot sql", true)?
    } else {
        address(&mut engine, branch)?
    };
    if let Some(file) = &args.file {
        let explain = &mut |fault: &mut SqlFault| explain(&mut engine, args, &address.branch, fault);
        return script::run(file, &address, explain, output);
    }
    let mut session = Session::open(&address)?;
    // Not before: there is nothing to cancel while it connects, and waking a branch may take long.
    sys::catch_ctrl_c();
    if args.command.is_empty() {
        return prompt::run(&mut session, engine, args.branch.as_deref(), output);
    }
    let commands: Vec<String> =
        args.command.iter().map(|sql| statements(sql)).collect::<Result<Vec<_>>>()?.concat();
    let mut results = Vec::new();
    for sql in &commands {
        let outcome = execute(&mut session, sql, Feed::StandardInput, &mut |answer| {
            if output.json { results.push(value(&answer)) } else { print(&answer) }
        })?;
        if let Err(mut fault) = outcome {
            explain(&mut engine, args, &address.branch, &mut fault);
            fault.print(sql, output);
            return Ok(if fault.is_cancelled() { super::INTERRUPTED } else { super::NEGATIVE });
        }
    }
    if output.json {
        output.value(&json!({ "results": results }))?;
    }
    Ok(super::OK)
}

/// Says of a statement that is refused as sessions on `branch` only read which rule that is, and what goes past it.
fn explain(engine: &mut EngineSession, args: &SqlArgs, branch: &str, fault: &mut SqlFault) {
    if args.against.r#override || !fault.is_read_only() {
        return;
    }
    let params = PolicyExplainParams { name: branch.to_owned(), path: engine.path() };
    // What Postgres says stays true without.
    let Ok(explained) = engine.call::<PolicyExplain>(&params) else { return };
    let writers = explained.settings.into_iter().find(|setting| setting.key == "writers");
    if let Some(writers) = writers
        && let Some(place) = writers.place
    {
        let note = writers.note.unwrap_or_default();
        fault.hint = Some(format!("`writers` of `{branch}` ({}, line {}): {note}.", place.file, place.line));
    }
}

/// What to run for `-c`: SQL as it is, or the queries of a command such as `\dt`.
fn statements(sql: &str) -> Result<Vec<String>> {
    let command = sql.trim();
    if !command.starts_with('\\') {
        return Ok(vec![sql.to_owned()]);
    }
    describe::queries(command)
        .ok_or_else(|| Failure::user(format!("there is no command {command} here")).hint(describe::COMMANDS))
}

/// Runs what may be several statements; Postgres makes one transaction of them.
fn execute(
    session: &mut Session,
    sql: &str,
    mut feed: Feed<'_>,
    each: &mut dyn FnMut(Answer),
) -> Result<Outcome> {
    session.query(sql, &mut feed, each)
}

fn print(answer: &Answer) {
    let text = match answer {
        Answer::Rows { columns, rows, .. } => table::render(columns, rows),
        Answer::Done { tag } => tag.clone(),
        Answer::Empty => return,
    };
    // Whoever reads may have had enough.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn value(answer: &Answer) -> Value {
    match answer {
        Answer::Rows { columns, rows, tag } => {
            let names: Vec<_> = columns.iter().map(|column| &column.name).collect();
            let rows: Vec<Vec<Value>> = rows
                .iter()
                .map(|row| {
                    row.iter()
                        .zip(columns)
                        .map(|(cell, column)| table::json_cell(cell.as_deref(), column))
                        .collect()
                })
                .collect();
            json!({ "columns": names, "rows": rows, "command": tag })
        }
        Answer::Done { tag } => json!({ "columns": [], "rows": [], "command": tag }),
        Answer::Empty => json!({ "columns": [], "rows": [], "command": "" }),
    }
}

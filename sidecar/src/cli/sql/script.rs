//! Scripts, with their `COPY` blocks.

use std::io::{BufRead, BufReader};
use std::path::Path;

use offshoot_postgres::load::{self, LoadError, LoadReport, Refusal, Rows, ServerError, Target};
use offshoot_protocol::types::UrlResult;
use serde_json::{Value, json};

use super::fault::SqlFault;
use super::session::{Answer, Feed, Session};
use super::{print, value};
use crate::cli::output::Output;
use crate::cli::progress::Shown;
use crate::failure::{Failure, Result, chain};
use crate::sys;

/// Runs `file`, or standard input for `-`. Stops at the first error, of which `explain` says more.
pub(super) fn run(
    file: &Path,
    address: &UrlResult,
    explain: &mut dyn FnMut(&mut SqlFault),
    output: Output,
) -> Result<u8> {
    let cannot_read =
        |e: &dyn std::error::Error| Failure::user(format!("cannot read {}: {}", file.display(), chain(e)));
    let (mut reader, bytes): (Box<dyn BufRead>, Option<u64>) = if file == Path::new("-") {
        (Box::new(BufReader::new(std::io::stdin())), None)
    } else {
        let script = load::open_script(file).map_err(|e| cannot_read(&e).hint(e.hint()))?;
        (script, load::script_bytes(file).map_err(|e| cannot_read(&e))?)
    };
    let mut session = Session::open(address)?;
    sys::catch_ctrl_c();
    let shown = Shown::new(output.json || file == Path::new("-"));
    let mut results = Vec::new();
    let mut show = |answer: Answer| {
        if output.json {
            results.push(value(&answer));
        } else {
            shown.beside(|| print(&answer));
        }
    };
    let mut scripted = Scripted { session: &mut session, database: &address.database, show: &mut show };
    let outcome = load::run_script(&mut *reader, &mut scripted, bytes, &shown);
    shown.finish();
    match outcome {
        Ok(report) => {
            tell(&report, results, output)?;
            Ok(crate::cli::OK)
        }
        Err(LoadError::Cancelled) => Err(Failure::cancelled()),
        Err(LoadError::Statement { line, statement, message, code, hint }) => {
            let mut fault = SqlFault {
                severity: "ERROR".to_owned(),
                sqlstate: code.unwrap_or_default(),
                message,
                hint,
                context: Some(statement),
                script_line: Some(line),
                ..SqlFault::default()
            };
            explain(&mut fault);
            fault.print("", output);
            Ok(crate::cli::NEGATIVE)
        }
        Err(other) => Err(Failure::user(chain(&other)).hint(other.hint())),
    }
}

/// The session that a script runs in.
struct Scripted<'s> {
    session: &'s mut Session,
    database: &'s str,
    /// Takes what queries return.
    show: &'s mut dyn FnMut(Answer),
}

impl Scripted<'_> {
    /// Runs a statement and returns its last command tag.
    fn query(&mut self, sql: &str, feed: &mut Feed<'_>) -> Result<String, Refusal> {
        let mut last = String::new();
        let outcome = self.session.query(sql, feed, &mut |answer| match answer {
            Answer::Rows { .. } => (self.show)(answer),
            Answer::Done { tag } => last = tag,
            Answer::Empty => (),
        });
        match outcome {
            Ok(Ok(())) => Ok(last),
            Ok(Err(fault)) => Err(Refusal::Said(Box::new(ServerError {
                code: fault.sqlstate,
                message: fault.message,
                detail: fault.detail,
                hint: fault.hint,
                position: fault.position.and_then(|at| at.try_into().ok()),
                context: fault.context,
            }))),
            Err(failure) => Err(Refusal::Lost(failure.to_string())),
        }
    }
}

impl Target for Scripted<'_> {
    fn run(&mut self, sql: &str) -> Result<(), Refusal> {
        self.query(sql, &mut Feed::Nothing).map(drop)
    }

    fn copy_in(&mut self, sql: &str, rows: &mut dyn Rows) -> Result<Result<u64, Refusal>, LoadError> {
        let mut feed = Feed::Rows(rows);
        let tag = self.query(sql, &mut feed);
        if let Feed::Failed(error) = feed {
            return Err(error);
        }
        // `COPY 3`
        Ok(tag.map(|tag| tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)))
    }

    fn database(&mut self) -> Result<String, Refusal> {
        Ok(self.database.to_owned())
    }
}

fn tell(report: &LoadReport, results: Vec<Value>, output: Output) -> Result<()> {
    if output.json {
        let report = json!({
            "results": results,
            "statements": report.statements,
            "rowsCopied": report.rows_copied,
            "createdRoles": report.created_roles,
            "notes": report.notes,
        });
        return output.value(&report);
    }
    let copied = match report.rows_copied {
        0 => String::new(),
        rows => format!(", {rows} rows copied"),
    };
    let statements = if report.statements == 1 { "statement" } else { "statements" };
    output.line(format!("{} {statements}{copied}", report.statements));
    report.notes.iter().for_each(|note| output.aside(format!("note: {note}")));
    Ok(())
}

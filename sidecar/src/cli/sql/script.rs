//! Scripts, with their `COPY` blocks.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use offshoot_postgres::load::{self, LoadError, LoadReport};
use offshoot_protocol::types::UrlResult;
use postgres::{Client, Config, NoTls};
use serde_json::json;

use super::fault::SqlFault;
use crate::cli::output::Output;
use crate::cli::progress::Shown;
use crate::failure::{Failure, Result, chain};
use crate::sys;

const CONNECT_PATIENCE: Duration = Duration::from_secs(90);

/// Runs `file`, or standard input for `-`. Stops at the first error.
pub(super) fn run(file: &Path, address: &UrlResult, output: Output) -> Result<u8> {
    let cannot_read =
        |e: &dyn std::error::Error| Failure::user(format!("cannot read {}: {}", file.display(), chain(e)));
    let (mut reader, bytes): (Box<dyn BufRead>, Option<u64>) = if file == Path::new("-") {
        (Box::new(BufReader::new(std::io::stdin())), None)
    } else {
        let script = load::open_script(file).map_err(|e| cannot_read(&e).hint(e.hint()))?;
        (script, load::script_bytes(file).map_err(|e| cannot_read(&e))?)
    };
    let mut client = connect(address)?;
    sys::catch_ctrl_c();
    let shown = Shown::new(output.json || file == Path::new("-"));
    let outcome = load::load_script(&mut *reader, &mut client, bytes, &shown);
    shown.finish();
    match outcome {
        Ok(report) => {
            tell(&report, output)?;
            Ok(crate::cli::OK)
        }
        Err(LoadError::Cancelled) => Err(Failure::cancelled()),
        Err(LoadError::Statement { line, statement, message, code, hint }) => {
            let fault = SqlFault {
                severity: "ERROR".to_owned(),
                sqlstate: code.unwrap_or_default(),
                message,
                hint,
                context: Some(statement),
                script_line: Some(line),
                ..SqlFault::default()
            };
            fault.print("", output);
            Ok(crate::cli::NEGATIVE)
        }
        Err(other) => Err(Failure::user(chain(&other)).hint(other.hint())),
    }
}

fn connect(address: &UrlResult) -> Result<Client> {
    Config::new()
        .host(&address.host)
        .port(address.port)
        .user(&address.user)
        .password(&address.password)
        .dbname(&address.database)
        .application_name("offshoot")
        .connect_timeout(CONNECT_PATIENCE)
        .connect(NoTls)
        .map_err(|e| match e.as_db_error() {
            Some(refusal) => {
                let failure = Failure::engine(refusal.message());
                match refusal.hint() {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            None => Failure::engine(format!("cannot connect to the database: {}", chain(&e))),
        })
}

fn tell(report: &LoadReport, output: Output) -> Result<()> {
    if output.json {
        let results = json!({
            "results": [],
            "statements": report.statements,
            "rowsCopied": report.rows_copied,
            "createdRoles": report.created_roles,
            "notes": report.notes,
        });
        return output.value(&results);
    }
    let copied = match report.rows_copied {
        0 => String::new(),
        rows => format!(", {rows} rows copied"),
    };
    output.line(format!("{} statements{copied}", report.statements));
    report.notes.iter().for_each(|note| output.aside(format!("note: {note}")));
    Ok(())
}

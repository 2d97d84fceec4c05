//! `offshoot init`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use offshoot_postgres::mask::MaskedColumn;
use offshoot_postgres::subset::{SubsetReport, TableRows};
use offshoot_protocol::disk::PurgeParams;
use offshoot_protocol::error::Reason;
use offshoot_protocol::follow::FollowTurn;
use offshoot_protocol::method::DiskPurge;
use offshoot_storage::{CreateReport, DriverKind};

use serde_json::{Value, json};

use super::args::InitArgs;
use super::connect::{Session, connect};
use super::output::{Output, bytes};
use super::plain::plain;
use super::progress::Shown;
use super::status;
use crate::address::{hide_password, with_known_password};
use crate::config::FILE_NAME;
use crate::failure::{Failure, Result};
use crate::init::{Made, Physical, Request, prepare, subset, unmasked};
use crate::sys;

pub(super) fn run(args: &InitArgs, output: Output) -> Result<u8> {
    let here = std::env::current_dir().map_err(|e| Failure::io("find the current folder", &e))?;
    let mut request = Request {
        from: args.from.as_deref().map(with_known_password),
        postgres: args.postgres,
        bin_dir: args.bin_dir.clone(),
        database: args.database.clone(),
        root_branch: args.root_branch.clone(),
        driver: args.driver,
        physical: args.physical.then_some(Physical { max_rate_kb: args.max_rate }),
        follow: args.following.follow,
        subset: args.subset.asked(),
        run_seed: args.run_seed,
    };
    // Even finding out what the file system can do makes a folder, which an interrupt must not leave there.
    sys::catch_interrupts();
    let prepared = match prepare(crate::project::worktree(&here)?, &request, &output) {
        Err(failure) if asks(&failure, output) => {
            if !agreed(&failure)? {
                return Ok(super::NEGATIVE);
            }
            request.run_seed = true;
            prepare(crate::project::worktree(&here)?, &request, &output)?
        }
        other => other?,
    };
    let shown = Shown::new(output.json);
    let made = prepared.make(&shown);
    shown.finish();
    let made = made?;
    if let Some(from) = args.from.as_deref().filter(|_| args.following.follow) {
        return follow(made, from, args, output);
    }
    if !output.json {
        tell(&made.report, args, made.wrote_config, output);
        if made.driver.driver == DriverKind::Clone {
            output.line(format!("Branches are clones of files: {}.", made.driver.reason()));
        }
    }
    let load = made.report.load.unwrap_or_default();
    let (masked, taken) = (load.masked, load.subset);
    let client = connect(&made.project, output)?;
    let mut session = Session { project: made.project, client };
    if !output.json || masked.is_empty() && taken.is_none() {
        return status::print(&mut session, false, output);
    }
    let mut value = status::value(&mut session)?;
    value["masked"] = masked.iter().map(masked_value).collect();
    if let Some(taken) = &taken {
        value["subset"] = subset_value(taken);
    }
    output.value(&value)?;
    Ok(super::OK)
}

/// Has what was made follow the server; without that nothing of it stays.
fn follow(made: Made, from: &str, args: &InitArgs, output: Output) -> Result<u8> {
    let begin = || -> Result<(Session, FollowTurn)> {
        let client = connect(&made.project, output)?;
        let mut session = Session { project: made.project.clone(), client };
        let pace = (args.following.every, args.max_rate);
        let done = super::follow::start(&mut session, from, pace, false, output)?;
        Ok((session, done))
    };
    let (mut session, done) = match begin() {
        Ok(done) => done,
        Err(failure) => return Err(after(failure, made.take_back())),
    };
    // The empty root that was made for this is nobody's loss.
    if let Err(error) = session.call::<DiskPurge>(&PurgeParams { names: Vec::new() }) {
        tracing::warn!(%error, "the empty root is left in the trash");
    }
    if output.json {
        let mut value = status::value(&mut session)?;
        value["following"] =
            serde_json::to_value(&done.following).map_err(|e| Failure::internal(e.to_string()))?;
        value["notes"] = json!(done.notes);
        output.value(&value)?;
        return Ok(super::OK);
    }
    for note in &done.notes {
        output.line(format!("  note: {}", plain(note)));
    }
    if made.wrote_config {
        output.line(format!("Wrote {FILE_NAME}. `git checkout -b NAME` now branches the database too."));
    }
    status::print(&mut session, false, output)
}

/// Why following did not begin, and whether anything is left.
fn after(failure: Failure, taken_back: Result<()>) -> Failure {
    let hint = failure.0.hint.clone().map(|hint| format!("{hint}\n")).unwrap_or_default();
    match taken_back {
        Ok(()) if hint.contains("Nothing was left behind") => failure,
        Ok(()) => failure.hint(format!("{hint}Nothing was left behind.")),
        Err(error) => failure.hint(format!(
            "{hint}The empty database that was made for it is left: {error}. `offshoot follow start --from URL` goes on with it."
        )),
    }
}

/// Whether somebody is there who can be asked about the command of `[seed]`.
pub(super) fn asks(failure: &Failure, output: Output) -> bool {
    failure.0.reason == Some(Reason::NotAgreed) && !output.json && std::io::stdin().is_terminal()
}

/// Asks about it.
pub(super) fn agreed(failure: &Failure) -> Result<bool> {
    let fault = |e: &std::io::Error| Failure::io("ask a question", e);
    write!(std::io::stderr(), "{}. Run it? [y/N] ", plain(&failure.0.message)).map_err(|e| fault(&e))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| fault(&e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// What was done to a column, for programs.
pub(super) fn masked_value(masked: &MaskedColumn) -> Value {
    let follows = masked.follows.as_ref().map(ToString::to_string);
    json!({ "column": masked.column.to_string(), "with": masked.with, "follows": follows, "values": masked.values })
}

/// What was taken of a server, for programs.
fn subset_value(report: &SubsetReport) -> Value {
    let table = |one: &TableRows| json!({ "table": one.table, "taken": one.taken.as_str(), "chosen": one.chosen, "followed": one.followed });
    json!({ "tables": report.tables.iter().map(table).collect::<Vec<_>>(), "emptyTables": report.empty_tables })
}

/// What was done to a column, for people.
fn masked_line(masked: &MaskedColumn) -> String {
    let why = masked.follows.as_ref().map(|other| format!(", as {other}")).unwrap_or_default();
    format!("masked {}: {} values, {}{why}", masked.column, masked.values, masked.with)
}

/// How much a source held, for people. Rows that came by `INSERT` are not counted.
pub(super) fn loaded(statements: u64, rows: u64) -> String {
    let statements = match statements {
        1 => "1 statement".to_owned(),
        more => format!("{more} statements"),
    };
    match rows {
        0 => format!("{statements} run"),
        1 => format!("{statements}, 1 row loaded"),
        rows => format!("{statements}, {rows} rows loaded"),
    }
}

fn tell(report: &CreateReport, args: &InitArgs, wrote_config: bool, output: Output) {
    let from = args.from.as_deref().map(|from| format!(" from {}", hide_password(from))).unwrap_or_default();
    output.line(format!("Made a database{from}: {} on disk.", bytes(report.bytes)));
    if let Some(load) = &report.load {
        if load.files > 0 {
            output.line(format!("  {} files of the cluster copied, {}", load.files, bytes(load.bytes)));
        } else {
            output.line(format!("  {}", loaded(load.statements, load.rows_copied)));
        }
        for line in load.subset.iter().flat_map(subset::lines) {
            output.line(format!("  {line}"));
        }
        for note in &load.notes {
            output.line(format!("  note: {note}"));
        }
        for masked in &load.masked {
            output.line(format!("  {}", masked_line(masked)));
        }
        if let Some(note) = unmasked(load.unmasked) {
            output.line(format!("  note: {note}"));
        }
    }
    for note in &report.notes {
        output.line(format!("  note: {note}"));
    }
    if wrote_config {
        output.line(format!("Wrote {FILE_NAME}. `git checkout -b NAME` now branches the database too."));
    }
}

//! `offshoot migrations undo`.

use std::io::{BufRead, IsTerminal, Write};

use offshoot_protocol::method::MigrationsUndo;
use offshoot_protocol::migrations::{MigrationsConnection, MigrationsUndoParams, MigrationsUndone};

use super::{call, text};
use crate::cli::connect::Session;
use crate::cli::output::Output;
use crate::cli::plain::plain;
use crate::failure::{Failure, Result};
use crate::timestamp;

/// Connections that are listed; the rest is counted.
const LISTED: usize = 10;

pub(super) fn undo(
    branch: Option<String>,
    snapshot: Option<String>,
    yes: bool,
    override_rules: bool,
    output: Output,
) -> Result<u8> {
    let mut session = Session::open(output)?;
    let folder = session.path();
    let mut params = MigrationsUndoParams { folder, branch, snapshot, dry_run: false, override_rules };
    if !yes && !output.json && std::io::stdin().is_terminal() {
        params.dry_run = true;
        let meant = call::long::<MigrationsUndo>(&mut session, &params, false)?;
        if !agreed(&meant)? {
            return Ok(crate::cli::NEGATIVE);
        }
        // What was asked about, and not what came after it.
        (params.dry_run, params.snapshot) = (false, Some(meant.snapshot.name));
    }
    let undone = call::long::<MigrationsUndo>(&mut session, &params, output.json)?;
    if output.json {
        output.value(&undone)?;
        return Ok(crate::cli::OK);
    }
    output.line(format!(
        "{} is what it was {}: {}@{}. Migrations and data since then are gone from it; `{}` brings them back.",
        output.strong(&undone.branch),
        ago(undone.snapshot.created_at),
        undone.branch,
        undone.snapshot.name,
        undone.redo
    ));
    for line in ended(&undone.ended, "was ended", "were ended") {
        output.line(line);
    }
    Ok(crate::cli::OK)
}

/// Asks whether to take it back.
fn agreed(meant: &MigrationsUndone) -> Result<bool> {
    let fault = |e: &std::io::Error| Failure::io("ask a question", e);
    let (branch, name) = (plain(&meant.snapshot.branch), plain(&meant.snapshot.name));
    let mut question = String::new();
    for line in ended(&meant.ended, "will be ended", "will be ended") {
        question.push_str(&plain(&line));
        question.push('\n');
    }
    let when = ago(meant.snapshot.created_at);
    write!(
        std::io::stderr(),
        "{question}Take {branch} back to what it was {when}, at {name}, without migrations and data since then? [y/N] "
    )
    .map_err(|e| fault(&e))?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| fault(&e))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Whose connections these are, in lines; none if there are none.
fn ended(all: &[MigrationsConnection], one: &str, many: &str) -> Vec<String> {
    if all.is_empty() {
        return Vec::new();
    }
    let verb = if all.len() == 1 { one } else { many };
    let open = match all.iter().filter(|one| one.in_transaction).count() {
        0 => String::new(),
        1 => ", one with a transaction that is not committed".to_owned(),
        open => format!(", {open} with transactions that are not committed"),
    };
    let mut lines = vec![format!("{} {verb}{open}:", text::count(all.len(), "connection"))];
    lines.extend(all.iter().take(LISTED).map(|one| {
        let program = if one.application.is_empty() { "a program without a name" } else { &one.application };
        let state = if one.in_transaction { ", in a transaction" } else { "" };
        format!("  {program}, pid {}, as {}{state}", one.pid, one.user)
    }));
    if all.len() > LISTED {
        lines.push(format!("  and {} more", all.len() - LISTED));
    }
    lines
}

/// A time in seconds since 1970, as one says it.
fn ago(at: u64) -> String {
    timestamp::ago(timestamp::seconds(std::time::SystemTime::now()).saturating_sub(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_whose_connections_end() {
        let one = |application: &str, pid, in_transaction| MigrationsConnection {
            pid,
            application: application.into(),
            user: "app".into(),
            in_transaction,
        };
        assert!(ended(&[], "was", "were").is_empty());
        let shown = ended(&[one("psql", 12, true), one("", 13, false)], "was ended", "were ended").join("\n");
        insta::assert_snapshot!(shown, @r"
        2 connections were ended, one with a transaction that is not committed:
          psql, pid 12, as app, in a transaction
          a program without a name, pid 13, as app
        ");
        assert_eq!(ended(&[one("psql", 12, false)], "was ended", "were ended")[0], "1 connection was ended:");
    }
}

//! `schema/load`: the schema that SQL files make, read from a fresh database of a throwaway.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use offshoot_postgres::Progress;
use offshoot_postgres::load::{self, LoadError, Refusal, Rows, Target};
use offshoot_protocol::measure::{LoadFile, LoadParams};
use offshoot_protocol::types::Nothing;

use super::{Throwaway, connect, options};
use crate::engine::Engine;
use crate::engine::reporter::Reporter;
use crate::engine::server::Call;
use crate::failure::{Failure, Result, chain};

/// The database that the files are run in.
const DATABASE: &str = "offshoot_schema";
/// What people are told.
const WHAT: &str = "loading the schema files into an empty database";

/// `schema/load`.
pub(in crate::engine) async fn load(
    engine: &Arc<Engine>,
    params: LoadParams,
    call: &Call,
) -> Result<Nothing> {
    // Any branch will do: nothing of it is read but what it knows of roles.
    let root = engine.store.root_branch();
    let (throwaway, socket) = call.while_wanted(Throwaway::awake(engine, root, WHAT, call)).await?;
    let (reporter, stopper) = Reporter::new(engine, call);
    let work = engine.blocking(move |engine| run(engine, &socket, &params, &reporter));
    let outcome = call.while_wanted(work).await;
    stopper.stop();
    let removed = throwaway.remove().await;
    outcome?;
    removed?;
    Ok(Nothing {})
}

/// Runs the files and writes the facts down. Blocks.
fn run(engine: &Engine, socket: &Path, params: &LoadParams, reporter: &Reporter) -> Result<()> {
    let major = engine.store.info().postgres.version.major;
    // What a script has run at each login would also be run at ours.
    let options = format!("{}{}", options(major), if major >= 17 { " -c event_triggers=off" } else { "" });
    let refused =
        |error: &postgres::Error| Failure::engine(format!("cannot make an empty database: {}", chain(error)));
    let mut client = connect(engine, socket, None, &options)?;
    let encoding = "ENCODING 'UTF8' LOCALE 'C'";
    let sql = format!("CREATE DATABASE {DATABASE} TEMPLATE template0");
    client
        .batch_execute(&sql)
        // The cluster's own encoding may be another, which the cluster's locale then demands.
        .or_else(|_| client.batch_execute(&format!("{sql} {encoding}")))
        .map_err(|e| refused(&e))?;
    drop(client);
    for file in &params.files {
        // Each in a session of its own, as a person or a tool runs them.
        let client = connect(engine, socket, Some(DATABASE), &options)?;
        run_file(&mut Scripted(client), file, reporter)?;
    }
    // The scripts may have set anything in their session.
    let mut client = connect(engine, socket, Some(DATABASE), &options)?;
    reporter.step("reading the schema", 0, None);
    let facts = offshoot_schema::read(&mut client)
        .map_err(|e| Failure::engine(format!("the schema cannot be read: {}", chain(&e))).hint(e.hint()))?;
    fs::write(&params.output, facts.to_text())
        .map_err(|e| Failure::io(format!("write {}", params.output), &e))
}

/// A session that runs a script in a database of its own, but beside the roles of the branches: it may make them again.
struct Scripted(postgres::Client);

impl Target for Scripted {
    fn run(&mut self, sql: &str) -> std::result::Result<(), Refusal> {
        match Target::run(&mut self.0, sql) {
            Err(Refusal::Said(error)) if error.code == "42710" && makes_role(sql) => Ok(()),
            other => other,
        }
    }

    fn copy_in(
        &mut self,
        sql: &str,
        rows: &mut dyn Rows,
    ) -> std::result::Result<std::result::Result<u64, Refusal>, LoadError> {
        Target::copy_in(&mut self.0, sql, rows)
    }

    fn database(&mut self) -> std::result::Result<String, Refusal> {
        self.0.database()
    }
}

/// Whether a statement is `CREATE ROLE`, `USER` or `GROUP`; comments before it are passed over.
fn makes_role(sql: &str) -> bool {
    let code =
        sql.lines().map(str::trim).filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join(" ");
    let mut words = code.split_whitespace().map(str::to_ascii_uppercase);
    words.next().as_deref() == Some("CREATE")
        && words.next().is_some_and(|word| ["ROLE", "USER", "GROUP"].contains(&word.as_str()))
}

fn run_file(client: &mut Scripted, file: &LoadFile, reporter: &Reporter) -> Result<()> {
    let (path, name) = (Path::new(&file.path), &file.name);
    if !fs::metadata(path).is_ok_and(|facts| facts.is_file()) {
        return Err(Failure::user(format!("cannot read {name}: it is not a file")));
    }
    let unreadable =
        |e: &LoadError| Failure::user(format!("cannot read {name}: {}", chain(e))).hint(e.hint());
    let mut reader = load::open_script(path).map_err(|e| unreadable(&e))?;
    let bytes = load::script_bytes(path).ok().flatten();
    reporter.step(&format!("running {name}"), 0, bytes);
    let loaded = load::run_script(&mut *reader, client, bytes, reporter);
    loaded.map(drop).map_err(|error| match error {
        LoadError::Cancelled => Failure::cancelled(),
        LoadError::Statement { line, statement, message, hint, .. } => {
            let failure = Failure::user(format!("{name}: line {line}: {message}"));
            failure.hint(
                [Some(format!("The statement: {statement}")), hint]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join("\n"),
            )
        }
        other => Failure::user(format!("{name}: {}", chain(&other))).hint(other.hint()),
    })?;
    if is_in_transaction(&mut client.0) {
        return Err(Failure::user(format!(
            "{name} ends in the middle of a transaction, which would be lost"
        ))
        .hint("Put a COMMIT behind what belongs together."));
    }
    Ok(())
}

/// Whether the session has a transaction open: it began before the present statement then.
fn is_in_transaction(client: &mut postgres::Client) -> bool {
    let sql = "SELECT pg_catalog.now() OPERATOR(pg_catalog.<>) pg_catalog.statement_timestamp()";
    let messages = client.simple_query(sql).unwrap_or_default();
    messages
        .iter()
        .any(|message| matches!(message, postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some("t")))
}

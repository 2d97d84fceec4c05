//! `schema/load`: the schema that SQL files make, read from a fresh database of a throwaway.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use offshoot_postgres::Progress;
use offshoot_postgres::load::{self, LoadError};
use offshoot_protocol::measure::{LoadFile, LoadParams};
use offshoot_protocol::types::Nothing;

use super::{Throwaway, connect, options};
use crate::engine::Engine;
use crate::engine::server::Call;
use crate::failure::{Failure, Result, chain};

/// The database that the files are run in.
const DATABASE: &str = "offshoot_schema";

/// `schema/load`.
pub(in crate::engine) async fn load(
    engine: &Arc<Engine>,
    params: LoadParams,
    call: &Call,
) -> Result<Nothing> {
    // Any branch will do: nothing of it is read but what it knows of roles.
    let root = engine.store.info().root_branch;
    let (throwaway, socket) = call.while_wanted(Throwaway::awake(engine, root, call)).await?;
    let reporter = Reporter { call: call.clone(), over: Arc::default() };
    let over = Arc::clone(&reporter.over);
    let work = engine.blocking(move |engine| run(engine, &socket, &params, &reporter));
    let outcome = call.while_wanted(work).await;
    over.store(true, Ordering::Release);
    let removed = throwaway.remove().await;
    outcome?;
    removed?;
    Ok(Nothing {})
}

struct Reporter {
    call: Call,
    over: Arc<AtomicBool>,
}

impl Progress for Reporter {
    fn step(&self, what: &str, done: u64, total: Option<u64>) {
        self.call.progress(what, done, total);
    }

    fn is_cancelled(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// Runs the files and writes the facts down. Blocks.
fn run(engine: &Engine, socket: &Path, params: &LoadParams, reporter: &Reporter) -> Result<()> {
    let options = options(engine.store.info().postgres.version.major);
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
    let mut client = connect(engine, socket, Some(DATABASE), &options)?;
    for file in &params.files {
        run_file(&mut client, file, reporter)?;
    }
    drop(client);
    // The scripts may have set anything in their session.
    let mut client = connect(engine, socket, Some(DATABASE), &options)?;
    reporter.step("reading the schema", 0, None);
    let facts = offshoot_schema::read(&mut client)
        .map_err(|e| Failure::engine(format!("the schema cannot be read: {}", chain(&e))).hint(e.hint()))?;
    fs::write(&params.output, facts.to_text())
        .map_err(|e| Failure::io(format!("write {}", params.output), &e))
}

fn run_file(client: &mut postgres::Client, file: &LoadFile, reporter: &Reporter) -> Result<()> {
    let (path, name) = (Path::new(&file.path), &file.name);
    let unreadable =
        |e: &LoadError| Failure::user(format!("cannot read {name}: {}", chain(e))).hint(e.hint());
    let mut reader = load::open_script(path).map_err(|e| unreadable(&e))?;
    let bytes = load::script_bytes(path).ok().flatten();
    reporter.step(&format!("running {name}"), 0, bytes);
    load::load_script(&mut *reader, client, bytes, reporter).map(drop).map_err(|error| match error {
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
    })
}

//! What the tools' own tables say on each branch, read once for each state of a branch.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use offshoot_migrations::{History, Project, Rows};
use offshoot_storage::{BranchId, ComputeState};
use postgres::Client;

use crate::engine::upstream::WakeError;
use crate::engine::{Engine, throwaway};
use crate::failure::{Failure, Result, chain};

/// Histories kept; more than anybody has branches and tools.
const MOST: usize = 512;
/// How long Postgres may take over one of them.
const STATEMENT_MS: u32 = 10_000;

/// The histories that are known.
#[derive(Default)]
pub(in crate::engine) struct Histories(Mutex<HashMap<(BranchId, String), Known>>);

#[derive(Clone)]
struct Known {
    history: Arc<History>,
    /// What was counted of the branch's statements when it was read.
    beats: u64,
    at: Instant,
}

/// Which history: the name of the table as SQL. Plain files have none.
fn key(project: &Project) -> String {
    project.history.as_ref().map(offshoot_migrations::Table::sql).unwrap_or_default()
}

impl Histories {
    fn lock(&self) -> MutexGuard<'_, HashMap<(BranchId, String), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The history of `id` if nothing can have happened to it since it was read.
    fn known(&self, engine: &Engine, id: BranchId, table: &str) -> Option<Arc<History>> {
        let here = |id| self.lock().get(&(id, table.to_owned())).cloned();
        let is_now = |id, known: &Known| engine.activity.beats(id) == Some(known.beats);
        if let Some(known) = here(id) {
            return is_now(id, &known).then_some(known.history);
        }
        // One that was made and has not been awake has what its parent had then.
        let birth = engine.schemas.birth(id)?;
        let known = here(birth.parent)?;
        (known.at < birth.begun && is_now(birth.parent, &known)).then_some(known.history)
    }

    fn keep(&self, id: BranchId, table: String, known: Known) {
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert((id, table), known);
    }

    /// What is known of `id` may be no more.
    pub(in crate::engine) fn forget(&self, id: BranchId) {
        self.lock().retain(|(of, _), _| *of != id);
    }
}

/// The histories of `projects` on a branch, in their order; or why they cannot be had.
pub(super) async fn read(
    engine: &Arc<Engine>,
    id: BranchId,
    projects: &[&Project],
    may_wake: bool,
) -> Result<Vec<Arc<History>>, String> {
    let wanted: Vec<(String, Option<String>)> =
        projects.iter().map(|project| (key(project), query(project))).collect();
    let known = || -> Option<Vec<_>> {
        wanted
            .iter()
            .map(|(table, query)| match query {
                None => Some(Arc::new(History::Missing)),
                Some(_) => engine.migrations.histories.known(engine, id, table),
            })
            .collect()
    };
    if let Some(all) = known() {
        return Ok(all);
    }
    let awake =
        engine.blocking(move |engine| Ok(engine.store.branch(id)?.state == ComputeState::Awake)).await;
    if !awake.map_err(|failure| failure.to_string())? && !may_wake {
        return Err("it is asleep, and its history was not read yet".to_owned());
    }
    let socket = engine.wake(id).await.map_err(|error| match error {
        WakeError::NoSuchBranch => "it is gone".to_owned(),
        WakeError::Failed(failure) => failure.to_string(),
    })?;
    let read = engine.blocking(move |engine| {
        let (at, beats) = (Instant::now(), engine.activity.beats(id));
        let mut client = connect(engine, &socket, None)?;
        let mut all = Vec::new();
        for (table, query) in wanted {
            let Some(query) = query else {
                all.push(Arc::new(History::Missing));
                continue;
            };
            let history = Arc::new(ask(&mut client, &table, &query));
            if let Some(beats) = beats {
                engine.migrations.histories.keep(
                    id,
                    table,
                    Known { history: Arc::clone(&history), beats, at },
                );
            }
            all.push(history);
        }
        Ok(all)
    });
    read.await.map_err(|failure| failure.to_string())
}

/// The query for a project's history, in which names mean the built-in ones.
fn query(project: &Project) -> Option<String> {
    let query = project.history_query()?;
    Some(query.replacen("to_jsonb(history)::text", "pg_catalog.to_jsonb(history)::pg_catalog.text", 1))
}

/// A session that can only read, and not for long.
pub(super) fn connect(engine: &Engine, socket: &Path, database: Option<&str>) -> Result<Client> {
    let events = engine.store.info().postgres.version.major >= 17;
    let options = format!(
        "-c statement_timeout={STATEMENT_MS} -c lock_timeout=2000 -c default_transaction_read_only=on{}",
        if events { " -c event_triggers=off" } else { "" }
    );
    throwaway::connect(engine, socket, database, &options)
}

/// The history of a project in a database that is open. Blocks.
pub(super) fn of(client: &mut Client, project: &Project) -> History {
    query(project).map_or(History::Missing, |query| ask(client, &key(project), &query))
}

fn ask(client: &mut Client, table: &str, query: &str) -> History {
    let refused = |error: &postgres::Error| match error.as_db_error() {
        Some(said) => History::from_error(said.code().code(), said.message()),
        None => History::Failed { message: chain(error) },
    };
    // A view may run anybody's functions; no tool makes one.
    let kind = "SELECT c.relkind::pg_catalog.text FROM pg_catalog.pg_class c
                WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)";
    match client.query_opt(kind, &[&table]) {
        Ok(None) => return History::Missing,
        Ok(Some(row)) if !["r", "p"].contains(&row.get::<_, String>(0).as_str()) => {
            return History::Failed { message: format!("{table} is no table") };
        }
        Ok(Some(_)) => {}
        Err(error) => return refused(&error),
    }
    match client.query(query, &[]) {
        Ok(rows) => {
            let texts: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            Rows::parse(&texts)
                .map_or_else(|error| History::Failed { message: error.to_string() }, History::Rows)
        }
        Err(error) => refused(&error),
    }
}

/// What a failure to read means to somebody who asked for one branch only.
pub(super) fn unread(branch: &str, why: &str) -> Failure {
    Failure::engine(format!("the migrations of `{branch}` are not known: {why}"))
}

//! What the tools' own tables say on each branch, read once for each state of a branch.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use offshoot_migrations::{COLUMNS_QUERY, FOREIGN_QUERY, History, Project, Rows, TABLE_QUERY, Table};
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
    project.history.as_ref().map(Table::sql).unwrap_or_default()
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
    let wanted: Vec<(String, Option<Table>)> =
        projects.iter().map(|project| (key(project), project.history.clone())).collect();
    let known = || -> Option<Vec<_>> {
        wanted
            .iter()
            .map(|(table, history)| match history {
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
        for (table, history) in wanted {
            let Some(history) = history else {
                all.push(Arc::new(History::Missing));
                continue;
            };
            let history = Arc::new(ask(&mut client, &history));
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
    project.history.as_ref().map_or(History::Missing, |table| ask(client, table))
}

fn ask(client: &mut Client, table: &Table) -> History {
    asked(client, table).unwrap_or_else(|error| match error.as_db_error() {
        Some(said) => History::from_error(said.code().code(), said.message()),
        None => History::Failed { message: chain(&error) },
    })
}

/// Reads a table in such a way that only Postgres's own code runs: it is a superuser who asks, and whoever may change the
/// table is not one.
fn asked(client: &mut Client, table: &Table) -> Result<History, postgres::Error> {
    let mut read = client.build_transaction().read_only(true).start()?;
    let Some(found) = read.query_opt(TABLE_QUERY, &[&table.sql()])? else { return Ok(History::Missing) };
    // A view may run anybody's functions, and a foreign table anything at all; no tool makes one.
    if !["r", "p"].contains(&found.get::<_, &str>(2)) {
        return Ok(History::Failed { message: format!("{} is no table", table.sql()) });
    }
    let table = Table { schema: Some(found.get(0)), name: found.get(1) };
    let name = table.sql();
    // From here on names mean the built-in ones, and the table stays as it is.
    read.batch_execute(&format!(
        "SET LOCAL search_path = pg_catalog; LOCK TABLE {name} IN ACCESS SHARE MODE"
    ))?;
    let kind = read.query_opt(TABLE_QUERY, &[&name])?;
    if kind.is_none_or(|found| !["r", "p"].contains(&found.get::<_, &str>(2))) {
        return Ok(History::Failed { message: format!("{name} was replaced meanwhile") });
    }
    if read.query_one(FOREIGN_QUERY, &[&name])?.get(0) {
        return Ok(History::Failed { message: format!("a part of {name} is a foreign table") });
    }
    let (mut columns, mut unread) = (Vec::new(), Vec::new());
    for column in read.query(COLUMNS_QUERY, &[&name])? {
        let to = if column.get(1) { &mut columns } else { &mut unread };
        to.push(column.get::<_, String>(0));
    }
    let rows = read.query(&table.rows_query(&columns), &[])?;
    let rows = Rows::parse(rows.iter().map(|row| row.get::<_, &str>(0)));
    Ok(rows.map_or_else(
        |error| History::Failed { message: error.to_string() },
        |rows| History::Rows(rows.without(unread)),
    ))
}

/// What a failure to read means to somebody who asked for one branch only.
pub(super) fn unread(branch: &str, why: &str) -> Failure {
    Failure::engine(format!("the migrations of `{branch}` are not known: {why}"))
}

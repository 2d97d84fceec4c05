//! `branch/rows`: which rows a branch changed, found in those pages alone that it does not share with the other side.

mod compare;
mod sample;
mod side;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use offshoot_protocol::measure::{ChangedRows, Presence, RowsParams, TableRows};
use offshoot_protocol::past::Moment;
use offshoot_storage::{BranchId, ChangedBlocks, Store};

use tokio::sync::Semaphore;

use super::server::Call;
use super::throwaway::Throwaway;
use super::upstream::WakeError;
use super::{Engine, branches, restore, stopping};
use crate::failure::{Failure, Result};
use compare::{Limits, Outcome};
use side::{Side, Table};

/// Rows of each kind that a person can want to see of a table.
const MOST_SAMPLE: u32 = 100;
/// Characters of all samples together; a message has an end.
const SAMPLE_LETTERS: usize = 300_000;
/// Tables of one answer, likewise.
const MOST_TABLES: usize = 2000;

/// How many comparisons run at a time. Who comes later waits.
static ROOM: Semaphore = Semaphore::const_new(2);

/// `branch/rows`.
pub(super) async fn rows(engine: &Arc<Engine>, params: RowsParams, call: &Call) -> Result<ChangedRows> {
    let id = branches::named(engine, &params.branch).await?;
    let mut base = base_of(engine, id, &params, call).await?;
    if base.id == id {
        return Ok(nothing(&params, &base));
    }
    let then = base.then.take();
    let found = compare(engine, id, base, params, call).await;
    if let Some(then) = then {
        let id = then.id();
        then.remove().await?;
        engine.forget(id);
    }
    found
}

async fn compare(
    engine: &Arc<Engine>,
    id: BranchId,
    base: Base,
    params: RowsParams,
    call: &Call,
) -> Result<ChangedRows> {
    let _place = call.while_wanted(async { ROOM.acquire().await.map_err(|_| stopping()) }).await?;
    call.progress("waking both sides", 0, None);
    let leases = (engine.computes.lease(id), engine.computes.lease(base.id));
    let (socket, base_socket) = call
        .while_wanted(async {
            tokio::try_join!(wake(engine, id, &params.branch), wake(engine, base.id, &base.name))
        })
        .await?;
    let over = Arc::new(AtomicBool::new(false));
    let snapshot = base.is_snapshot.then_some(base.id);
    let job = Job { id, base, params, call: call.clone(), over: Arc::clone(&over) };
    let work = engine.blocking(move |engine| {
        let _leases = leases;
        job.run(engine, &socket, &base_socket)
    });
    let outcome = call.while_wanted(work).await;
    over.store(true, Ordering::Release);
    if let (Ok(_), Some(snapshot)) = (&outcome, snapshot) {
        // Nobody else needs it soon. Otherwise it falls asleep as every idle branch does.
        let turn = engine.computes.turn(snapshot).await;
        if engine.computes.connections(snapshot) == 0 {
            engine.sleep(snapshot, turn).await?;
        }
    }
    outcome
}

/// Nothing is different.
fn nothing(params: &RowsParams, base: &Base) -> ChangedRows {
    ChangedRows {
        branch: params.branch.clone(),
        base: base.name.clone(),
        from_fork: base.from_fork,
        base_at: base.at.clone(),
        tables: Vec::new(),
        tables_visited: 0,
        pages_visited: 0,
    }
}

/// What a branch is compared with.
struct Base {
    id: BranchId,
    name: String,
    from_fork: bool,
    /// When it was that, if that is past.
    at: Option<Moment>,
    /// Whether it is a snapshot, which nobody else needs awake.
    is_snapshot: bool,
    /// Whether it is something that this state of the branch once was: the same numbers mean the same there.
    is_former: bool,
    /// Goes when all is compared.
    then: Option<Throwaway>,
}

impl Base {
    fn present(id: BranchId, name: String) -> Self {
        Self { id, name, from_fork: false, at: None, is_snapshot: false, is_former: false, then: None }
    }

    fn fork(id: BranchId, name: String) -> Self {
        Self { from_fork: true, is_snapshot: true, is_former: true, ..Self::present(id, name) }
    }
}

async fn base_of(engine: &Arc<Engine>, id: BranchId, params: &RowsParams, call: &Call) -> Result<Base> {
    if let Some(at) = &params.base_at {
        let name = params.base.clone().unwrap_or_else(|| params.branch.clone());
        let of = branches::named(engine, &name).await?;
        let (then, base) = match restore::instant(at)? {
            None => (None, restore::snapshot(engine, of, &name, at.clone()).await?),
            Some(moment) => {
                let then = Throwaway::as_of(engine, of, moment, Store::create_throwaway_at, call).await?;
                let id = then.id();
                (Some(then), id)
            }
        };
        let is_former = engine.blocking(move |engine| Ok(engine.store.is_former_state(base, id)?)).await?;
        let is_snapshot = then.is_none();
        return Ok(Base { at: Some(at.clone()), is_snapshot, is_former, then, ..Base::present(base, name) });
    }
    if let Some(name) = &params.base {
        return Ok(Base::present(branches::named(engine, name).await?, name.clone()));
    }
    let branch = params.branch.clone();
    engine
        .blocking(move |engine| {
            if let Some(fork) = engine.store.fork_snapshot(id)? {
                return Ok(Base::fork(fork, branch));
            }
            let parent = engine.store.branch(id)?;
            let (Some(parent), Some(name)) = (parent.parent, parent.parent_name) else {
                let failure = Failure::user(format!("database branch {branch} has no parent"));
                return Err(failure.hint("Name what to compare it with: `offshoot diff --rows A`."));
            };
            // As long as its Postgres has not started, it is what it was.
            if engine.store.is_as_forked(id)? {
                return Ok(Base::fork(id, branch));
            }
            Ok(Base::present(parent, name))
        })
        .await
}

async fn wake(engine: &Arc<Engine>, id: BranchId, name: &str) -> Result<std::path::PathBuf> {
    engine.wake(id).await.map_err(|error| match error {
        WakeError::NoSuchBranch => branches::unknown(name),
        WakeError::Failed(failure) => failure,
    })
}

struct Job {
    id: BranchId,
    base: Base,
    params: RowsParams,
    call: Call,
    over: Arc<AtomicBool>,
}

impl Job {
    /// Blocks.
    fn run(&self, engine: &Engine, socket: &Path, base_socket: &Path) -> Result<ChangedRows> {
        let limit = Duration::from_millis(self.params.table_limit_ms);
        // What both see from here on is in the files after the checkpoints.
        let (mut ours, mut theirs) =
            (Side::open(engine, socket, limit)?, Side::open(engine, base_socket, limit)?);
        let (tables, base_tables) = (ours.tables()?, theirs.tables()?);
        self.call.progress("writing both sides' pages to their files", 0, None);
        side::checkpoint(engine, socket)?;
        side::checkpoint(engine, base_socket)?;
        let (database, other) = (ours.database()?, theirs.database()?);
        let mut changed = engine.store.changed_blocks(self.id, self.base.id, database)?;
        if other != database {
            // From before a refresh: nothing is shared, and not even the number of the database.
            changed = changed.and(engine.store.changed_blocks(self.id, self.base.id, other)?);
        }
        let pairs: Vec<Pair> = pairs(tables, base_tables, self.base.is_former)
            .into_iter()
            .filter(|pair| pair.may_differ(&changed))
            .collect();
        let total = pairs.len() as u64;
        let mut found = ChangedRows { tables_visited: total, ..nothing(&self.params, &self.base) };
        let mut letters = SAMPLE_LETTERS;
        for (number, pair) in pairs.iter().enumerate() {
            if self.over.load(Ordering::Acquire) {
                return Err(Failure::cancelled());
            }
            let shown = pair.shown();
            self.call.progress(
                &format!("comparing {}.{}", shown.schema, shown.name),
                number as u64,
                Some(total),
            );
            let limits = Limits::new(limit, self.params.sample.min(MOST_SAMPLE), &self.over);
            let outcome = compare::table(&mut ours, &mut theirs, pair, &changed, &limits)?;
            found.pages_visited += outcome.pages;
            if outcome.is_empty() {
                continue;
            }
            if found.tables.len() == MOST_TABLES {
                let text = format!("rows of more than {MOST_TABLES} tables differ");
                return Err(Failure::user(text).hint("Compare with a branch that is nearer."));
            }
            let sample = sample::rows(&mut ours, &mut theirs, pair, &outcome, &mut letters)?;
            found.tables.push(described(pair, outcome, sample));
        }
        found.tables.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        Ok(found)
    }
}

fn described(pair: &Pair, outcome: Outcome, sample: Vec<offshoot_protocol::measure::SampleRow>) -> TableRows {
    let shown = pair.shown();
    let renamed_from = match (&pair.ours, &pair.theirs) {
        (Some(ours), Some(theirs)) if (&ours.schema, &ours.name) != (&theirs.schema, &theirs.name) => {
            Some(theirs.sql())
        }
        _ => None,
    };
    TableRows {
        schema: shown.schema.clone(),
        name: shown.name.clone(),
        renamed_from,
        presence: match (&pair.ours, &pair.theirs) {
            (Some(_), Some(_)) => Presence::Both,
            (_, None) => Presence::Branch,
            (None, _) => Presence::Base,
        },
        key: outcome.key,
        inserted: outcome.inserted,
        updated: outcome.updated,
        deleted: outcome.deleted,
        pages: outcome.pages,
        whole: outcome.whole,
        new_columns: outcome.new_columns,
        gone_columns: outcome.gone_columns,
        incomplete: outcome.incomplete,
        sample,
    }
}

/// A table on both sides, or on one.
struct Pair {
    ours: Option<Table>,
    theirs: Option<Table>,
}

impl Pair {
    /// The one that is there; the branch's if both are.
    fn shown(&self) -> &Table {
        // One of them is there: `pairs` makes no others.
        self.ours.as_ref().or(self.theirs.as_ref()).unwrap_or(&side::NO_TABLE)
    }

    fn may_differ(&self, changed: &ChangedBlocks) -> bool {
        match (&self.ours, &self.theirs) {
            (Some(ours), Some(theirs)) => ours.file != theirs.file || changed.contains(ours.file),
            _ => true,
        }
    }
}

/// Matches tables. By OID only where one side is what the other one came from: else two different tables may have the same.
fn pairs(ours: Vec<Table>, theirs: Vec<Table>, by_oid: bool) -> Vec<Pair> {
    let mut theirs: Vec<Option<Table>> = theirs.into_iter().map(Some).collect();
    let mut pairs: Vec<Pair> =
        ours.into_iter().map(|table| Pair { ours: Some(table), theirs: None }).collect();
    let rules: [fn(&Table, &Table) -> bool; 2] =
        [|a, b| a.oid == b.oid, |a, b| (&a.schema, &a.name) == (&b.schema, &b.name)];
    for rule in rules.into_iter().skip(usize::from(!by_oid)) {
        for pair in pairs.iter_mut().filter(|pair| pair.theirs.is_none()) {
            let Some(ours) = &pair.ours else { continue };
            let fits = |theirs: &&mut Option<Table>| theirs.as_ref().is_some_and(|theirs| rule(ours, theirs));
            pair.theirs = theirs.iter_mut().find(fits).and_then(Option::take);
        }
    }
    pairs.extend(theirs.into_iter().flatten().map(|table| Pair { ours: None, theirs: Some(table) }));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(oid: u32, name: &str) -> Table {
        Table { oid, schema: "public".into(), name: name.into(), file: oid }
    }

    #[test]
    fn tables_are_matched_by_number_only_where_numbers_mean_the_same() {
        let names = |by_oid| -> Vec<(Option<String>, Option<String>)> {
            let ours = vec![table(1, "renamed"), table(2, "mine")];
            let theirs = vec![table(1, "old"), table(3, "mine")];
            let pairs = pairs(ours, theirs, by_oid);
            let name = |table: Option<Table>| table.map(|table| table.name);
            pairs.into_iter().map(|pair| (name(pair.ours), name(pair.theirs))).collect()
        };
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(names(true), [(some("renamed"), some("old")), (some("mine"), some("mine"))]);
        let by_name = [(some("renamed"), None), (some("mine"), some("mine")), (None, some("old"))];
        assert_eq!(names(false), by_name);
    }
}

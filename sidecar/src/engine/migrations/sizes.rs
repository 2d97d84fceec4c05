//! How large the tables of a branch are, for the rules about statements. No branch is woken for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use offshoot_protocol::migrations::MigrationTable;
use offshoot_storage::{BranchId, ComputeState};
use postgres::Client;

use super::history;
use crate::engine::Engine;
use crate::failure::chain;

/// Branches of which sizes are kept.
const MOST: usize = 64;
/// How long a lock on a table is waited for. Who holds one is at work on it; what was known before serves as well.
const LOCK_MS: u32 = 200;
/// Ancestors that are asked for a branch of which nothing is known.
const MOST_ANCESTORS: usize = 64;

/// The schemas that names without one are looked up in, in their order.
const PATH_QUERY: &str = "SELECT pg_catalog.current_schemas(true)";

/// The largest 2,000 tables: schema, name, whether partitioned, rows, bytes. Of a partitioned one the sums of its
/// partitions. Rows are what Postgres counted last, scaled to the table's present length, as its planner does.
const TABLES_QUERY: &str = "
    SELECT c.schema, c.relname, c.relkind = 'p', s.rows, s.bytes
    FROM (
        SELECT c.oid, n.nspname AS schema, c.relname, c.relkind
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
          AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
        ORDER BY c.relpages DESC, c.oid
        LIMIT 2000
    ) c,
    LATERAL (
        SELECT coalesce(sum(l.bytes), 0)::int8 AS bytes,
               CASE WHEN count(*) = count(l.rows) THEN coalesce(sum(l.rows), 0)::int8 END AS rows
        FROM (
            SELECT f.main + f.toast AS bytes,
                   CASE WHEN f.main = 0 THEN 0
                        WHEN f.reltuples >= 0 AND f.relpages > 0
                        THEN round(f.reltuples::numeric / f.relpages * f.main / current_setting('block_size')::int)
                        ELSE nullif(pg_stat_get_live_tuples(f.oid), 0) END AS rows
            FROM (
                -- Each look at a file counts where there are thousands.
                SELECT r.oid, r.reltuples, r.relpages, pg_relation_size(r.oid) AS main,
                       CASE WHEN r.reltoastrelid = 0 THEN 0 ELSE pg_relation_size(r.reltoastrelid) END AS toast
                FROM (
                    SELECT c.oid AS id WHERE c.relkind <> 'p'
                    UNION ALL
                    SELECT p.relid FROM pg_partition_tree(c.oid) p WHERE c.relkind = 'p' AND p.isleaf
                ) t JOIN pg_class r ON r.oid = t.id AND r.relkind IN ('r', 'm')
                OFFSET 0
            ) f
        ) l
    ) s";

/// The sizes that are known.
#[derive(Default)]
pub(in crate::engine) struct Sizes(Mutex<HashMap<BranchId, Known>>);

#[derive(Clone)]
struct Known {
    tables: Arc<Vec<MigrationTable>>,
    /// What was counted of the branch's statements when they were read.
    beats: Option<u64>,
}

impl Sizes {
    fn lock(&self) -> MutexGuard<'_, HashMap<BranchId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, id: BranchId, known: Known) {
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(id, known);
    }
}

/// The tables of a branch: as they are if it is awake, else as they were when they were seen last, there or on the branch
/// that it comes from. Empty if they were never seen.
pub(super) async fn of(engine: &Arc<Engine>, id: BranchId) -> Vec<MigrationTable> {
    let beats = engine.activity.beats(id);
    let known = engine.migrations.sizes.lock().get(&id).cloned();
    if let Some(known) = known.filter(|known| beats.is_some() && known.beats == beats) {
        return known.tables.to_vec();
    }
    // Whoever has the turn can look whether it is awake without it falling asleep meanwhile.
    let turn = engine.computes.turn(id).await;
    let read = engine.blocking(move |engine| {
        let awake = engine.store.branch(id)?.state == ComputeState::Awake;
        let socket = if awake { Some(engine.store.wake(id)?) } else { None };
        drop(turn);
        let Some(socket) = socket else { return Ok(remembered(engine, id)) };
        let mut client = history::connect(engine, &socket, None)?;
        Ok(match tables(&mut client) {
            Ok(tables) => {
                let tables = Arc::new(tables);
                engine.migrations.sizes.keep(id, Known { tables: Arc::clone(&tables), beats });
                tables
            }
            Err(error) => {
                tracing::debug!(error = chain(&error), "read the sizes of tables");
                remembered(engine, id)
            }
        })
    });
    read.await.map(|tables| tables.to_vec()).unwrap_or_default()
}

fn remembered(engine: &Engine, id: BranchId) -> Arc<Vec<MigrationTable>> {
    let mut at = Some(id);
    for _ in 0..MOST_ANCESTORS {
        let Some(id) = at else { break };
        if let Some(known) = engine.migrations.sizes.lock().get(&id) {
            return Arc::clone(&known.tables);
        }
        at = engine.store.branch(id).ok().and_then(|branch| branch.parent);
    }
    Arc::default()
}

fn tables(client: &mut Client) -> Result<Vec<MigrationTable>, postgres::Error> {
    let mut read = client.build_transaction().read_only(true).start()?;
    let path: Vec<String> = read.query_one(PATH_QUERY, &[])?.get(0);
    // From here on names mean the built-in ones.
    read.batch_execute(&format!("SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = {LOCK_MS}"))?;
    let rows = read.query(TABLES_QUERY, &[])?;
    let mut all: Vec<MigrationTable> = rows
        .iter()
        .map(|row| MigrationTable {
            schema: row.get(0),
            name: row.get(1),
            partitioned: row.get(2),
            rows: row.get::<_, Option<i64>>(3).map(i64::unsigned_abs),
            bytes: row.get::<_, i64>(4).unsigned_abs(),
            visible: false,
        })
        .collect();
    // The first schema of the path that has the name is meant.
    let mut meant: HashMap<String, (usize, usize)> = HashMap::new();
    for (at, table) in all.iter().enumerate() {
        let Some(rank) = path.iter().position(|schema| *schema == table.schema) else { continue };
        let best = meant.entry(table.name.clone()).or_insert((rank, at));
        if rank < best.0 {
            *best = (rank, at);
        }
    }
    for (_, at) in meant.into_values() {
        all[at].visible = true;
    }
    Ok(all)
}

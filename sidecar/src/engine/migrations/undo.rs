//! `migrations/undo`: back to the snapshot that was taken before migrations were applied.

use std::sync::Arc;
use std::time::Duration;

use offshoot_protocol::migrations::{
    MigrationsConnection, MigrationsSnapshot, MigrationsUndoParams, MigrationsUndone,
};
use offshoot_protocol::types::Subject;
use offshoot_storage::{BranchId, ComputeState, Snapshot};

use super::busy::Work;
use super::way_back::{self, WayBack};
use super::{history, status};
use crate::engine::book::Book;
use crate::engine::policy::Deed;
use crate::engine::server::Call;
use crate::engine::{Engine, branches, given};
use crate::failure::{Failure, Result};
use crate::timestamp;

/// How long transactions may go on when a branch is taken back.
const UNDO_GRACE: Duration = Duration::from_secs(1);

/// Those that clients have opened: pid, program, role, and whether a transaction is open. One that is still being let in loses nothing, and
/// may be our own, whose name is not known yet.
const CONNECTIONS: &str =
    "SELECT pid, coalesce(application_name, ''), coalesce(usename::pg_catalog.text, ''),
        xact_start IS NOT NULL
    FROM pg_catalog.pg_stat_activity
    WHERE backend_type OPERATOR(pg_catalog.=) 'client backend'
        AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
        AND application_name OPERATOR(pg_catalog.<>) ALL ('{offshoot engine,offshoot schema}')
        AND usename IS NOT NULL AND coalesce(state, '') OPERATOR(pg_catalog.<>) 'starting'
    ORDER BY backend_start";

/// `migrations/undo`.
pub(in crate::engine) async fn undo(
    engine: &Arc<Engine>,
    params: MigrationsUndoParams,
    call: &Call,
) -> Result<MigrationsUndone> {
    let place = status::place(engine, &params.folder).await?;
    let (id, name) = place.meant(engine, params.branch.as_deref()).await?;
    let _structure = engine.structure.lock().await;
    let deed = Deed::new(format!("offshoot migrations undo --branch {name}"), params.override_rules);
    branches::unguarded(engine, id, &name, deed).await?;
    let _taken = engine.migrations.busy.take(id, &name, Work::Undo)?;
    let (asked, of) = (params.snapshot.clone(), name.clone());
    let snapshot = engine.blocking(move |engine| meant(engine, id, &of, asked)).await?;
    if params.snapshot.is_none() && engine.migrations.busy.was_in_vain(id) {
        return Err(Failure::user(format!(
            "the last apply on {name} changed nothing, so there is nothing of it to undo"
        ))
        .hint(format!(
            "`offshoot migrations undo --snapshot {}` goes back further: to before the apply of {}, \
                 without all data since.",
            snapshot.name,
            age(&snapshot)
        )));
    }
    let ended = connected(engine, id).await;
    let undone = MigrationsUndone {
        redo: format!("offshoot undo {name}"),
        snapshot: MigrationsSnapshot {
            branch: name.clone(),
            name: snapshot.name.clone(),
            created_at: timestamp::seconds(snapshot.created_at),
        },
        branch: name.clone(),
        ended,
    };
    if params.dry_run {
        return Ok(undone);
    }
    let turn = engine.computes.turn(id).await;
    call.progress("closing connections", 0, Some(2));
    call.or_cancelled(engine.binding.drain(id, UNDO_GRACE)).await?;
    call.progress("going back", 1, Some(2));
    put_back(engine, id, snapshot).await?;
    drop(turn);
    // The snapshot stays: what was undone may be brought back, and undone again.
    Ok(undone)
}

/// Takes a branch, which nobody else changes meanwhile, back to a snapshot whether or not anybody still waits for it. What it has goes
/// to the trash.
pub(super) async fn take_back(engine: &Arc<Engine>, id: BranchId, snapshot: Snapshot) -> Result<()> {
    let _structure = engine.structure.lock().await;
    let _turn = engine.computes.turn(id).await;
    engine.binding.drain(id, UNDO_GRACE).await?;
    put_back(engine, id, snapshot).await
}

async fn put_back(engine: &Arc<Engine>, id: BranchId, taken: Snapshot) -> Result<()> {
    let new = engine
        .blocking(move |engine| {
            let seen = engine.store.branch(id)?;
            let branch = engine.store.restore_branch(id, taken.id)?;
            Book(&engine.store).keep_expiry(id, branch.id)?;
            status::carry_over(engine, id, branch.id)?;
            way_back::carry_over(engine, id, branch.id, &taken.name)?;
            given::carry(engine, id, branch.id)?;
            engine.forget(id);
            tracing::info!(branch = %seen.name, old = id.0, id = branch.id.0, "undid migrations");
            Ok(branch.id)
        })
        .await?;
    engine.generation.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
    engine.binding.replaced(id, Some(new)).await?;
    engine.migrations.busy.ended(id, false);
    engine.branches_changed();
    engine.changed(Subject::Migrations);
    Ok(())
}

/// The snapshot to go back to: the one that was `asked` for, else that of the newest apply to this state of the branch. Blocks.
fn meant(engine: &Engine, id: BranchId, name: &str, asked: Option<String>) -> Result<Snapshot> {
    if let Some(wanted) = asked {
        let found = engine.store.snapshots(id)?.into_iter().find(|one| one.name == wanted);
        return found.ok_or_else(|| {
            Failure::user(format!("there is no snapshot `{wanted}` of {name}"))
                .hint("`offshoot snapshot list` shows the snapshots; `offshoot migrations apply` takes one.")
        });
    }
    let why = match way_back::newest(engine, id)? {
        WayBack::To(snapshot) => return Ok(snapshot),
        WayBack::NothingApplied => {
            format!(
                "no migrations were applied to `{name}` that could be undone: none since it was made, reset or taken back"
            )
        }
        WayBack::NotTaken => {
            format!("the newest apply on `{name}` took no snapshot, so that it cannot be undone")
        }
        WayBack::Deleted(gone) => {
            format!("the snapshot `{gone}`, from before the newest apply on `{name}`, was deleted")
        }
    };
    let hint = match way_back::any(engine, id)? {
        None => {
            "`offshoot snapshot list` shows the snapshots; `offshoot migrations apply` takes one.".to_owned()
        }
        Some(older) => format!(
            "`offshoot migrations undo --snapshot {}` goes back further: to what `{name}` was {}, without all data since.",
            older.name,
            age(&older)
        ),
    };
    Err(Failure::user(why).hint(hint))
}

/// How long ago a snapshot was taken, as one says it.
fn age(snapshot: &Snapshot) -> String {
    let now = timestamp::seconds(std::time::SystemTime::now());
    timestamp::ago(now.saturating_sub(timestamp::seconds(snapshot.created_at)))
}

/// Who is connected to a branch, us left out. One that sleeps is not woken for that; what cannot be asked is nobody.
async fn connected(engine: &Arc<Engine>, id: BranchId) -> Vec<MigrationsConnection> {
    let asked = async {
        let is_awake =
            engine.blocking(move |engine| Ok(engine.store.branch(id)?.state == ComputeState::Awake)).await?;
        if !is_awake {
            return Ok(Vec::new());
        }
        let Ok(socket) = engine.wake(id).await else { return Ok(Vec::new()) };
        engine
            .blocking(move |engine| {
                let mut client = history::connect(engine, &socket, None)?;
                let rows = client.query(CONNECTIONS, &[]);
                let rows = rows.map_err(|e| Failure::engine(crate::failure::chain(&e)))?;
                Ok(rows.iter().map(connection).collect())
            })
            .await
    };
    asked.await.unwrap_or_else(|failure: Failure| {
        tracing::info!(id = id.0, error = %failure, "it is not known who is connected");
        Vec::new()
    })
}

fn connection(row: &postgres::Row) -> MigrationsConnection {
    MigrationsConnection {
        pid: u32::try_from(row.get::<_, i32>(0)).unwrap_or_default(),
        application: row.get(1),
        user: row.get(2),
        in_transaction: row.get(3),
    }
}

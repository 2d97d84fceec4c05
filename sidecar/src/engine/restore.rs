//! `branch/restore`: a branch is taken back in its place.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use offshoot_protocol::past::{Moment as Wanted, RestoreParams, RestoreResult};
use offshoot_protocol::snapshot::SnapshotParams;
use offshoot_storage::{BranchId, Moment, Store};

use super::book::Book;
use super::policy::Deed;
use super::server::Call;
use super::throwaway::Throwaway;
use super::{Engine, branches, given, migrations, snapshots};
use crate::failure::{Failure, Result};

/// How long transactions may go on in a branch that is taken back.
const GRACE: Duration = Duration::from_secs(5);

/// What is put in the place of a branch.
enum Former {
    Replayed(Throwaway, Moment),
    Snapshot(BranchId),
}

/// `branch/restore`. The branch works on while the moment is replayed; only then its connections end.
pub(super) async fn restore(
    engine: &Arc<Engine>,
    params: RestoreParams,
    call: &Call,
) -> Result<RestoreResult> {
    let RestoreParams { name, to, override_rules } = params;
    let deed = Deed::new(format!("offshoot restore {name} --at …"), override_rules);
    let id = branches::named(engine, &name).await?;
    branches::unguarded(engine, id, &name, deed.clone()).await?;
    let former = match instant(&to)? {
        Some(moment) => {
            let replayed = Throwaway::as_of(engine, id, moment, Store::prepare_restore, call).await?;
            Former::Replayed(replayed, moment)
        }
        None => Former::Snapshot(snapshot(engine, id, &name, to).await?),
    };
    let _structure = engine.structure.lock().await;
    if branches::named(engine, &name).await? != id {
        return Err(Failure::user(format!("`{name}` was reset, restored or deleted meanwhile"))
            .hint("`offshoot log` shows what happened; try again if it is still wanted."));
    }
    branches::unguarded(engine, id, &name, deed).await?;
    let turn = engine.computes.turn(id).await;
    call.progress("closing connections", 0, Some(2));
    call.or_cancelled(engine.binding.drain(id, GRACE)).await?;
    call.progress("going back", 1, Some(2));
    let (new, kept_as) = engine
        .blocking(move |engine| {
            let branch = match former {
                Former::Replayed(throwaway, moment) => {
                    engine.store.restore_branch_to(id, throwaway.give_up(), moment)?
                }
                Former::Snapshot(snapshot) => engine.store.restore_branch(id, snapshot)?,
            };
            Book(&engine.store).keep_expiry(id, branch.id)?;
            migrations::carry_over(engine, id, branch.id)?;
            given::carry(engine, id, branch.id)?;
            engine.forget(id);
            tracing::info!(branch = %branch.name, old = id.0, id = branch.id.0, "restored a branch");
            Ok((branch.id, engine.store.kept_as()?.remove(&id).unwrap_or_default()))
        })
        .await?;
    engine.generation.fetch_add(1, Ordering::AcqRel);
    engine.binding.replaced(id, Some(new)).await?;
    drop(turn);
    engine.branches_changed();
    Ok(RestoreResult { branch: branches::describe_one(engine, new).await?, kept_as })
}

/// The moment in the store's words; `None` for a snapshot.
pub(super) fn instant(wanted: &Wanted) -> Result<Option<Moment>> {
    Ok(match wanted {
        Wanted::TimeUs(us) => Some(Moment::Time(UNIX_EPOCH + Duration::from_micros(*us))),
        Wanted::Lsn(text) => {
            let lsn = text.parse().map_err(|error| Failure::user(format!("{error}")))?;
            Some(Moment::Lsn(lsn))
        }
        Wanted::Snapshot(_) => None,
    })
}

/// The number of a named snapshot of a branch, or of its fork point.
pub(super) async fn snapshot(
    engine: &Arc<Engine>,
    id: BranchId,
    branch: &str,
    wanted: Wanted,
) -> Result<BranchId> {
    let Wanted::Snapshot(name) = wanted else {
        return Err(Failure::internal("a moment was taken for a snapshot"));
    };
    if name != snapshots::FORK {
        let params = SnapshotParams { branch: branch.to_owned(), name };
        return snapshots::named(engine, id, &params).await;
    }
    let fork = engine.blocking(move |engine| Ok(engine.store.fork_snapshot(id)?)).await?;
    fork.ok_or_else(|| {
        Failure::user(format!(
            "`{branch}` has not changed since it was made, or what it was then is not kept"
        ))
        .hint("`offshoot log` shows the moments that it can go back to.")
    })
}

//! The snapshot that is taken before a tool is run.

use std::sync::Arc;

use offshoot_protocol::migrations::MigrationsSnapshot;
use offshoot_protocol::snapshot::SnapshotParams;
use offshoot_storage::{BranchId, SnapshotKind};

use super::super::status::{self, SNAPSHOT};
use super::super::way_back;
use crate::engine::{Engine, snapshots};
use crate::failure::{Failure, Result};
use crate::timestamp;

/// How many snapshots of ours a branch keeps.
const KEPT: usize = 10;

/// Takes a snapshot if one is `wanted`, and notes that it is what an undo goes back to.
pub(super) async fn begin(
    engine: &Arc<Engine>,
    id: BranchId,
    name: &str,
    wanted: bool,
) -> Result<Option<MigrationsSnapshot>> {
    let snapshot = if wanted { Some(keep(engine, id, name).await?) } else { None };
    let taken = snapshot.as_ref().map(|taken| taken.name.clone());
    engine.blocking(move |engine| way_back::push(engine, id, taken.as_deref())).await?;
    Ok(snapshot)
}

/// Removes the snapshot of a run that did nothing, so that an undo has nothing to do with it.
pub(super) async fn in_vain(engine: &Arc<Engine>, id: BranchId, snapshot: Option<MigrationsSnapshot>) {
    if let Err(failure) = engine.blocking(move |engine| way_back::pop(engine, id)).await {
        tracing::warn!(id = id.0, error = %failure, "an apply that did nothing is noted as one to undo");
    }
    drop_snapshot(engine, snapshot).await;
}

/// Takes a snapshot, and removes the oldest of ours.
async fn keep(engine: &Arc<Engine>, id: BranchId, name: &str) -> Result<MigrationsSnapshot> {
    let now = timestamp::utc(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default(),
    );
    let digits: String = now.chars().filter(char::is_ascii_digit).collect();
    let snapshot = format!("{SNAPSHOT}{}", digits.get(..17).unwrap_or(&digits));
    let taken = snapshots::create(engine, SnapshotParams { branch: name.to_owned(), name: snapshot }).await?;
    let surplus = engine.blocking(move |engine| {
        let mut ours: Vec<_> = engine
            .store
            .snapshots(id)?
            .into_iter()
            .filter(|one| one.kind == SnapshotKind::Named && status::is_ours(&one.name))
            .collect();
        ours.truncate(ours.len().saturating_sub(KEPT));
        for old in ours {
            engine.store.delete_snapshot(old.id)?;
        }
        Ok(())
    });
    if let Err(failure) = surplus.await {
        tracing::warn!(branch = name, error = %failure, "an old snapshot is left");
    }
    Ok(MigrationsSnapshot { branch: taken.branch, name: taken.name, created_at: taken.created_at })
}

/// Removes a snapshot that nobody needs. One that is left is no harm.
async fn drop_snapshot(engine: &Arc<Engine>, snapshot: Option<MigrationsSnapshot>) {
    if let Some(taken) = snapshot {
        let _ = snapshots::delete(engine, SnapshotParams { branch: taken.branch, name: taken.name }).await;
    }
}

/// Says of a failure how the branch becomes what it was.
pub(super) fn with_undo(failure: Failure, snapshot: Option<&MigrationsSnapshot>) -> Failure {
    match snapshot {
        Some(taken) => {
            failure.hint(format!("`offshoot migrations undo` goes back to {}@{}.", taken.branch, taken.name))
        }
        None => failure,
    }
}

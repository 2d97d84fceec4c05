//! Runs of tools that the engine did not see to their end, because it was ended itself.

use std::sync::Arc;
use std::time::SystemTime;

use offshoot_protocol::migrations::{MigrationDiagnostic, MigrationSeverity, MigrationsSnapshot};
use offshoot_storage::BranchId;
use serde::{Deserialize, Serialize};

use super::undo;
use crate::engine::Engine;
use crate::failure::{Failure, Result};
use crate::timestamp;

/// Under which name a branch's notes hold the run that is under way.
const NOTE: &str = "migrations-under-way";

/// A run that was begun.
#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    /// Seconds since 1970.
    at: u64,
    /// Name of the snapshot that was taken before.
    snapshot: Option<String>,
    /// Whether the branch is to be what it was unless the whole run ends well.
    #[serde(default)]
    takes_back: bool,
}

/// Notes on the disk that a tool is about to be run. [`ended`] takes it back.
pub(super) async fn begin(
    engine: &Arc<Engine>,
    id: BranchId,
    snapshot: Option<&MigrationsSnapshot>,
    takes_back: bool,
) -> Result<()> {
    let begun = Begun {
        takes_back,
        at: timestamp::seconds(SystemTime::now()),
        snapshot: snapshot.map(|taken| taken.name.clone()),
    };
    set(engine, id, &begun).await
}

async fn set(engine: &Arc<Engine>, id: BranchId, begun: &Begun) -> Result<()> {
    let text = serde_json::to_string(begun).map_err(|e| Failure::internal(e.to_string()))?;
    engine.blocking(move |engine| Ok(engine.store.set_note(id, NOTE, &text)?)).await
}

/// Notes that the run has ended, however it ended.
pub(super) async fn ended(engine: &Arc<Engine>, id: BranchId) {
    let done = engine.blocking(move |engine| {
        if engine.store.note(id, NOTE)?.is_some_and(|text| !text.is_empty()) {
            engine.store.set_note(id, NOTE, "")?;
        }
        Ok(())
    });
    if let Err(failure) = done.await {
        tracing::warn!(id = id.0, error = %failure, "a run of migrations that ended is still noted as under way");
    }
}

/// What to tell of a branch on which a run was cut short. Blocks.
pub(super) fn told(engine: &Engine, id: BranchId, name: &str) -> Result<Option<MigrationDiagnostic>> {
    if engine.migrations.busy.has(id) {
        return Ok(None);
    }
    let text = engine.store.note(id, NOTE)?.unwrap_or_default();
    let Ok(begun) = serde_json::from_str::<Begun>(&text) else { return Ok(None) };
    let at = timestamp::utc(std::time::Duration::from_secs(begun.at));
    let is_there = |snapshot: &String| {
        Ok::<_, Failure>(engine.store.snapshots(id)?.iter().any(|one| one.name == *snapshot))
    };
    let snapshot = match begun.snapshot {
        Some(snapshot) if is_there(&snapshot)? => Some(snapshot),
        _ => None,
    };
    let way_back = match snapshot {
        Some(snapshot) => {
            format!(
                " `offshoot migrations undo --branch {name} --snapshot {snapshot}` goes back to before it."
            )
        }
        None => String::new(),
    };
    Ok(Some(MigrationDiagnostic {
        path: String::new(),
        line: 1,
        severity: MigrationSeverity::Warning,
        code: "cutShort".to_owned(),
        message: format!(
            "the run of migrations that began on {name} at {} was cut short: Offshoot's engine was ended, and the tool \
             with it",
            at.get(..19).unwrap_or(&at).replace('T', " ")
        ),
        hint: format!("Look at the states below; `offshoot migrations apply` goes on.{way_back}"),
    }))
}

/// Takes branches back on which a run was cut short that was to be whole or not at all. As the engine starts, before it serves.
pub(in crate::engine) async fn recover(engine: &Arc<Engine>) {
    let cut = engine.blocking(|engine| {
        let mut cut = Vec::new();
        for (id, text) in engine.store.notes(NOTE)? {
            let Ok(begun) = serde_json::from_str::<Begun>(&text) else { continue };
            // Of what is in the trash, nothing is taken back.
            let Some(branch) = engine.store.branch(id).ok().filter(|_| begun.takes_back) else { continue };
            let snapshots = engine.store.snapshots(id)?;
            let snapshot = snapshots.into_iter().find(|one| begun.snapshot.as_ref() == Some(&one.name));
            cut.push((branch, begun, snapshot));
        }
        Ok(cut)
    });
    let cut = cut.await.unwrap_or_else(|failure| {
        tracing::error!(error = %failure, "it is not known which promotions were cut short");
        Vec::new()
    });
    for (branch, begun, snapshot) in cut {
        let (id, name) = (branch.id, &branch.name);
        // Without a snapshot it had done nothing yet.
        let Some(snapshot) = snapshot else {
            ended(engine, id).await;
            continue;
        };
        match undo::take_back(engine, id, snapshot).await {
            Ok(()) => {
                ended(engine, id).await;
                tracing::warn!(branch = %name, id = id.0, "a promotion was cut short; the branch is again what it was before");
            }
            Err(failure) => {
                tracing::error!(branch = %name, error = %failure, "a promotion was cut short, and cannot be taken back");
                // Not again at the next start: somebody may have worked on it by then. It is told with the way back.
                if let Err(failure) = set(engine, id, &Begun { takes_back: false, ..begun }).await {
                    tracing::warn!(branch = %name, error = %failure, "cannot note that");
                }
            }
        }
    }
}

/// Logs, as the engine starts, on which branches a run was cut short. Blocks.
pub(in crate::engine) fn notice(engine: &Engine) -> Result<()> {
    let noted = engine.store.notes(NOTE)?;
    for branch in engine.store.branches()? {
        if noted.iter().any(|(id, text)| *id == branch.id && !text.is_empty()) {
            tracing::warn!(branch = %branch.name, id = branch.id.0, "a run of migrations was cut short here");
        }
    }
    Ok(())
}

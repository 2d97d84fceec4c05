//! What a database had before its migrations: the schema that a person took as given, and the files that had run by then.
//!
//! A database that began from a dump has tables that no migration made. Its files alone make another schema, or do not run at all. From what is
//! accepted on, files and database are compared again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use offshoot_migrations::Scan;
use offshoot_schema::plan::SETTINGS;
use offshoot_schema::{Facts, PlanOptions};
use offshoot_storage::BranchId;
use serde::{Deserialize, Serialize};

use super::files::id_of;
use super::replay::Wanted;
use super::stage::Stage;
use crate::engine::{Engine, notes, throwaway};
use crate::failure::{Failure, Result, chain};

/// The note about a branch.
const NOTE: &str = "migrations-accepted";

/// What was accepted of a branch, or of one that it was made of.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Accepted {
    /// What the history calls the files that had run, by project.
    files: BTreeMap<String, BTreeSet<String>>,
    /// The schema, as [`Facts::to_text`] writes it.
    schema: String,
}

/// The newest that there is for a branch. Blocks.
pub(super) fn of(engine: &Engine, id: BranchId) -> Result<Option<Accepted>> {
    let hint = "`offshoot migrations drift --accept` takes the schema of now, in its place.";
    for id in notes::lineage(engine, id) {
        if let Some(accepted) = notes::read(engine, id, NOTE).map_err(|failure| failure.hint(hint))? {
            return Ok(Some(accepted));
        }
    }
    Ok(None)
}

/// Takes the schema of a branch as given. Blocks.
pub(super) fn accept(engine: &Engine, id: BranchId, scan: &Scan, ran: &Wanted, schema: &Facts) -> Result<()> {
    let mut accepted = Accepted { schema: schema.to_text(), ..Accepted::default() };
    for (at, files) in ran {
        let project = &scan.projects[*at];
        let keys = files.iter().map(|place| project.migrations[*place].key.clone());
        accepted.files.entry(id_of(project)).or_default().extend(keys);
    }
    notes::write(engine, id, NOTE, &accepted)?;
    tracing::info!(id = id.0, "took a schema as given");
    Ok(())
}

/// The branch `new` is what `old` was at some moment. Blocks.
pub(super) fn carry_over(engine: &Engine, old: BranchId, new: BranchId) -> Result<()> {
    notes::carry(engine, NOTE, old, new)
}

impl Accepted {
    /// Of files that are to run, those that are not in the schema yet.
    pub(super) fn without(&self, scan: &Scan, mut files: Wanted) -> Wanted {
        for (at, places) in &mut files {
            let project = &scan.projects[*at];
            if let Some(keys) = self.files.get(&id_of(project)) {
                places.retain(|place| !keys.contains(&project.migrations[*place].key));
            }
        }
        files
    }

    /// Makes the schema in an empty database.
    pub(super) async fn make(&self, engine: &Arc<Engine>, stage: &Stage, empty: Arc<Facts>) -> Result<()> {
        let wanted = Facts::from_text(&self.schema)
            .map_err(|why| Failure::internal(format!("an accepted schema cannot be read: {}", why.what)))?;
        let (socket, database) = (stage.socket.clone(), stage.database);
        let work = move |engine: &Arc<Engine>| {
            let plan = offshoot_schema::plan(&empty, &wanted, &PlanOptions::default());
            let options = throwaway::options(engine.store.info().postgres.version.major);
            let mut client = throwaway::connect(engine, &socket, database, &options)?;
            let statements = SETTINGS
                .iter()
                .copied()
                .chain(plan.steps().flat_map(|step| &step.statements).map(String::as_str));
            for statement in statements {
                client.batch_execute(statement).map_err(|e| {
                    Failure::engine(format!("the schema that was accepted cannot be made: {}", chain(&e))).hint(
                        "`offshoot migrations drift --accept` takes the schema of now; `offshoot diff` compares with the parent.",
                    )
                })?;
            }
            Ok(())
        };
        engine.blocking(work).await
    }
}

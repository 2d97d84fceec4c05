//! New data for the root branch: a new cluster, made beside the store's branches, takes its place.
//!
//! It is loaded in a folder of its own, which nothing else looks at, while the old root goes on serving. Only when it is complete
//! and on the disk do its files move to where branches and layers are, and one transaction makes it the root. A kill before that
//! leaves a folder, which the next start of the engine removes; a kill between the moves and the transaction leaves files that
//! belong to nobody, which it removes as well.

use std::fs;
use std::path::{Path, PathBuf};

use offshoot_postgres::account::Account;
use offshoot_postgres::client::ClientTools;
use offshoot_postgres::load::LoadReport;
use offshoot_postgres::mask::Rule;
use offshoot_postgres::{Progress, server};
use rusqlite::{Transaction, params};

use crate::branches::{name_taken, now_ms};
use crate::create::{Fill, Filled, MASKED, Seed, SeedCache, Source, masked_columns};
use crate::error::{Context as _, StorageError};
use crate::events::{self, EventKind};
use crate::files::{disk_usage, make_private, remove_tree, set_mode, sync_file_system, sync_folder};
use crate::metadata;
use crate::paths::Paths;
use crate::store::{Branch, Shared, Store, locked};
use crate::{BranchId, DriverKind, LayerId, compute, past, trash};

/// The branch's number while it is made.
pub(crate) const MADE_AS: BranchId = BranchId(1);

/// New data for the root branch.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// Where they come from.
    pub source: Source,
    /// `pg_dump` and `pg_restore`, for an archive or a server.
    pub tools: Option<ClientTools>,
    /// What becomes of personal data on their way.
    pub masking: Vec<Rule>,
    /// What to run behind them, in order.
    pub seed: Vec<Seed>,
    /// Where what the seed alone makes is kept for the next time, if it shall be.
    pub seed_cache: Option<SeedCache>,
}

/// The note of the root branch that says when it got new data, in milliseconds since 1970.
pub const REFRESHED: &str = "refreshed";

/// A root branch that is made but not in its place. It is gone when this is dropped.
pub struct NewRoot {
    building: Building,
    paths: Paths,
    stack: Option<(LayerId, LayerId)>,
    /// Bytes of it on the disk.
    pub bytes: u64,
    /// What was loaded.
    pub load: Option<LoadReport>,
    /// What somebody should know of the seed.
    pub notes: Vec<String>,
    /// The columns that were masked, if anything was imported.
    masked: Option<String>,
}

/// The folder in which a new root is made; gone when this is dropped.
pub(crate) struct Building(pub(crate) PathBuf);

impl Drop for Building {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.0) {
            tracing::warn!(%error, "a refresh that did not end is left");
        }
    }
}

impl Store {
    /// Makes a root branch of new data, beside the one that there is, which goes on serving.
    ///
    /// # Errors
    /// As [`crate::create_store`]; [`StorageError::Refused`] while another refresh is under way. Nothing is left then.
    pub fn prepare_refresh(
        &self,
        request: &Refresh,
        progress: &dyn Progress,
    ) -> Result<NewRoot, StorageError> {
        let shared = &self.shared;
        let row = shared.branch_row(self.root_branch())?;
        let building = begin(shared)?;
        let paths = Paths::new(&building.0, shared.paths.runtime()).with_driver(shared.info.driver);
        for folder in [paths.branches(), paths.layers()] {
            make_private(&folder, None)?;
            // What lies in it is private; Postgres, as another user, must be able to pass through.
            set_mode(&folder, 0o711)?;
        }
        let fill = Fill {
            installation: &shared.info.postgres,
            account: shared.account.as_ref(),
            runtime_dir: shared.paths.runtime(),
            branch: &row.name,
            database: &shared.info.database,
            source: &request.source,
            tools: request.tools.as_ref(),
            masking: &request.masking,
            masking_key: shared.paths.masking_key(),
            seed: &request.seed,
            seed_cache: request.seed_cache.as_ref(),
            driver: shared.info.driver,
            password: &shared.password,
        };
        let Filled { load, stack, notes } = fill.make(&paths, &paths.branch(MADE_AS), progress)?;
        if progress.is_cancelled() {
            return Err(StorageError::Cancelled);
        }
        progress.step("Write to disk", 0, None);
        sync_file_system(&building.0)?;
        let bytes = disk_usage(&building.0);
        let masked = masked_columns(&request.masking, &request.source);
        Ok(NewRoot { building, paths, stack, bytes, load, notes, masked })
    }

    /// Whether data were ever masked on their way into this store.
    pub fn has_masked(&self) -> bool {
        self.shared.paths.masking_key().exists()
    }

    /// The columns that rules masked when data were imported last, as `schema.table.column`; `None` if that is not known.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn masked_columns(&self) -> Result<Option<Vec<String>>, StorageError> {
        let lines = self.shared.metadata.property(MASKED)?;
        Ok(lines.map(|lines| lines.lines().map(str::to_owned).collect()))
    }

    /// Puts a new root in the place of the one that there is. What that was goes to the trash, from where [`Store::undo`] brings it
    /// back; its connections end. Its children keep what they have, and are children of the new root.
    ///
    /// # Errors
    /// Failures to stop Postgres, and of the disk. Nothing is changed then.
    pub fn replace_root(&self, made: NewRoot) -> Result<Branch, StorageError> {
        let shared = &self.shared;
        let NewRoot { building, paths: made, stack, masked, .. } = made;
        let old = self.root_branch();
        // In this order everywhere: what removes things waits for all who make something.
        let _making = self.making();
        let cell = shared.cell(old);
        let mut compute = locked(&cell.compute);
        let row = shared.branch_row(old)?;
        compute::stop(shared, row.id, &cell, &mut compute)?;
        self.stop_snapshots(row.id)?;
        let new = shared.metadata.reserve_branch(&shared.next_branch)?;
        let moved = move_in(shared, &made, new, stack).and_then(|()| {
            shared.metadata.transaction(|transaction| {
                trash::replace(transaction, &row, new, "refresh")?;
                metadata::adopt_snapshots(transaction, row.id, new)?;
                metadata::insert_root(transaction, (new, &row.name), stack, &shared.boot)
                    .map_err(|error| name_taken(error, &row.name))?;
                // What was before that is looked for in the old root.
                transaction.execute(
                    "UPDATE branches SET moment_us = ?2 WHERE id = ?1",
                    params![new.0 as i64, past::now_us() as i64],
                )?;
                transaction.execute(
                    "INSERT INTO notes VALUES (?1, ?2, ?3)",
                    params![new.0 as i64, REFRESHED, now_ms().to_string()],
                )?;
                if let Some(masked) = &masked {
                    transaction.execute(
                        "INSERT OR REPLACE INTO properties VALUES (?1, ?2)",
                        params![MASKED, masked],
                    )?;
                }
                events::record(
                    transaction,
                    EventKind::Refreshed,
                    (new, &row.name),
                    (Some(row.id), None),
                    None,
                )?;
                crash_point!(RefreshWritten);
                Ok(())
            })
        });
        if let Err(error) = moved {
            shared.driver.discard(new);
            for layer in stack.into_iter().flat_map(|(base, top)| [base, top]) {
                let _ = remove_tree(&shared.paths.layer(layer));
            }
            return Err(error);
        }
        crash_point!(RefreshCommitted);
        self.root_replaced(row.id, new);
        drop((compute, building));
        tracing::info!(branch = row.name, "got new data");
        self.branch(new)
    }
}

pub(crate) fn move_in(
    shared: &Shared,
    made: &Paths,
    new: BranchId,
    stack: Option<(LayerId, LayerId)>,
) -> Result<(), StorageError> {
    let rename = |from: &Path, to: &Path| fs::rename(from, to).context("move into place", to);
    for layer in stack.into_iter().flat_map(|(base, top)| [base, top]) {
        rename(&made.layer(layer), &shared.paths.layer(layer))?;
    }
    crash_point!(RefreshLayersMoved);
    rename(made.branch(MADE_AS).folder(), shared.paths.branch(new).folder())?;
    if shared.info.driver == DriverKind::Layers {
        sync_folder(&shared.paths.layers()).context("sync", &shared.paths.layers())?;
    }
    sync_folder(&shared.paths.branches()).context("sync", &shared.paths.branches())
}

pub(crate) fn begin(shared: &Shared) -> Result<Building, StorageError> {
    let folder = shared.paths.refreshing();
    match fs::create_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(StorageError::Refused { what: "The refresh".into(), why: "another one is under way".into() })
        }
        Err(error) => Err(StorageError::io("create the folder", &folder, error)),
        Ok(()) => {
            let building = Building(folder);
            set_mode(&building.0, 0o711)?;
            Ok(building)
        }
    }
}

/// Gives `to`, which is a state of the root branch of old, the mark of when `state`, the one that it was taken of, got its data.
pub(crate) fn keep_mark(
    transaction: &Transaction<'_>,
    state: Option<BranchId>,
    to: BranchId,
) -> Result<(), StorageError> {
    let Some(state) = state else { return Ok(()) };
    transaction.execute(
        "INSERT OR REPLACE INTO notes SELECT ?2, key, value FROM notes WHERE branch = ?1 AND key = ?3",
        params![state.0 as i64, to.0 as i64, REFRESHED],
    )?;
    Ok(())
}

/// Removes what a refresh left that ended with its engine.
pub(crate) fn clear(paths: &Paths, account: Option<&Account>) -> Result<(), StorageError> {
    let folder = paths.refreshing();
    if !folder.exists() {
        return Ok(());
    }
    let made = Paths::new(&folder, paths.runtime());
    server::stop_orphan(&made.branch(MADE_AS).data(), account)?;
    remove_tree(&folder)
}

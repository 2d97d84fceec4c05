//! From the standby to a fresh root: a fork of it, recovered and made one's own, takes the root's place.

use std::fs;
use std::time::{Duration, Instant};

use offshoot_postgres::physical::{Adopt, adopt};
use offshoot_postgres::server::{Server, StopMode};
use offshoot_postgres::{Lsn, Progress};
use rusqlite::params;

use super::{key, set};
use crate::branches::{name_taken, now_ms};
use crate::compute::{self, Purpose};
use crate::create::{Seed, Source, USER, seed};
use crate::error::{Context as _, StorageError};
use crate::events::{self, EventKind};
use crate::files::remove_tree;
use crate::refresh::REFRESHED;
use crate::store::{Branch, ComputeState, Store, locked};
use crate::{BranchId, past, trash};

/// The note of a root branch that came from the source that is followed: up to where it has the source's changes.
const FOLLOWED: &str = "followed";
const STOP_PATIENCE: Duration = Duration::from_mins(5);
const START_PATIENCE: Duration = Duration::from_mins(2);

impl Store {
    /// Forks the standby, recovers the fork to the end of the WAL that it has, makes it one's own as a copy is, and runs `seed` on it. The
    /// throwaway that it returns is asleep; [`Store::place_followed`] makes it the root, and who does without removes it.
    ///
    /// # Errors
    /// [`StorageError::Physical`], [`StorageError::Seed`], [`StorageError::Cancelled`]; failures of the disk. Nothing is left then.
    pub fn fork_followed(&self, seeds: &[Seed], progress: &dyn Progress) -> Result<FreshRoot, StorageError> {
        let Some((following, standby)) = self.standby()? else {
            return Err(StorageError::Refused {
                what: "A fresh root".into(),
                why: "nothing is followed".into(),
            });
        };
        let throwaway = self.create_throwaway(standby)?;
        crash_point!(FollowForked);
        let made = self
            .own(throwaway, &following.database, progress)
            .and_then(|notes| self.sow(throwaway, seeds, progress).map(|()| notes))
            .and_then(|notes| self.shared.driver.settle(throwaway).map(|()| notes));
        match made {
            Ok(notes) => Ok(FreshRoot { throwaway, at: following.applied, notes }),
            Err(error) => {
                if let Err(error) = self.remove_throwaway(throwaway) {
                    tracing::warn!(%throwaway, %error, "a fork of the standby is left; the next start removes it");
                }
                Err(error)
            }
        }
    }

    /// Recovers a fork of the standby and makes it one's own.
    fn own(
        &self,
        id: BranchId,
        database: &str,
        progress: &dyn Progress,
    ) -> Result<Vec<String>, StorageError> {
        let shared = &self.shared;
        let cell = shared.cell(id);
        let _compute = locked(&cell.compute);
        let signal = shared.paths.branch(id).data().join("standby.signal");
        fs::remove_file(&signal).context("remove", &signal)?;
        let opened = shared.driver.open(id)?;
        let order = Adopt {
            installation: &shared.info.postgres,
            data_dir: &opened.data_dir,
            account: shared.account.as_ref(),
            superuser: USER,
            password: &shared.password,
            source_database: database,
            database: &shared.info.database,
            env: &opened.env,
            durable: true,
        };
        let adopted = adopt(&order, progress);
        shared.driver.close(id);
        Ok(adopted?.notes)
    }

    /// Runs the scripts of the repository.
    fn sow(&self, id: BranchId, seeds: &[Seed], progress: &dyn Progress) -> Result<(), StorageError> {
        if seeds.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        let cell = shared.cell(id);
        let _compute = locked(&cell.compute);
        let purpose = Purpose {
            settings: Vec::new(),
            cancelled: &|| progress.is_cancelled(),
            recovers: false,
            patience: START_PATIENCE,
        };
        let begun = Instant::now();
        cell.set_state(ComputeState::Waking, None);
        let name = shared.live_row(id)?.name;
        let sown = compute::start(shared, id, &name, &purpose, || ()).and_then(|mut server: Server| {
            let sown = seed(&self.standby_fill(&Source::Empty, seeds), server.spec(), progress);
            let stopped = server.stop(StopMode::Fast, STOP_PATIENCE);
            shared.driver.close(id);
            sown.map(drop).and(stopped.map(drop).map_err(Into::into))
        });
        let _ = remove_tree(&shared.paths.sockets(id));
        cell.set_state(ComputeState::Asleep, None);
        tracing::debug!(ms = begun.elapsed().as_millis(), "ran the seed");
        sown
    }

    /// Puts a fresh root in the place of the one that there is, whose connections end. What that was goes to the trash, from where
    /// [`Store::undo`] brings it back, unless it came from the source too and nobody has changed it: then it goes for good. Its
    /// children keep what they have, and are children of the new root. `is_unused`: nobody has ever connected to it, as far as the caller
    /// knows; without that, it is unchanged if no Postgres has run on it.
    ///
    /// # Errors
    /// Failures to stop Postgres, and of the disk. Nothing is changed then, and the fresh root is gone.
    pub fn place_followed(&self, fresh: FreshRoot, is_unused: bool) -> Result<Branch, StorageError> {
        let placed = self.take_roots_place(&fresh, is_unused);
        if placed.is_err()
            && let Err(error) = self.remove_throwaway(fresh.throwaway)
        {
            tracing::warn!(%error, "a fork of the standby is left; the next start removes it");
        }
        let (row, is_untouched) = placed?;
        if is_untouched && let Err(error) = self.purge_trash_now(Some(&[row])) {
            tracing::warn!(%error, "the root before is left in the trash");
        }
        self.branch(fresh.throwaway)
    }

    /// Whether something was done to a root since it came from the source.
    fn has_other_events(&self, id: BranchId) -> Result<bool, StorageError> {
        self.shared.metadata.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE branch = ?1 AND kind <> ?2)")?;
            statement.query_row(params![id.0 as i64, EventKind::Refreshed.word()], |row| row.get(0))
        })
    }

    /// Returns the old root, and whether nobody needs it any more.
    fn take_roots_place(&self, fresh: &FreshRoot, is_unused: bool) -> Result<(BranchId, bool), StorageError> {
        let shared = &self.shared;
        let (old, new) = (self.root_branch(), fresh.throwaway);
        // In this order everywhere: what removes things waits for all who make something.
        let _making = self.making();
        let cell = shared.cell(old);
        let mut compute = locked(&cell.compute);
        let row = shared.branch_row(old)?;
        compute::stop(shared, old, &cell, &mut compute)?;
        self.stop_snapshots(old)?;
        let is_untouched = shared.metadata.note(old, FOLLOWED)?.is_some()
            && (is_unused || self.is_as_made(&row)?)
            && !self.has_other_events(old)?;
        let made_control = shared.driver.control(new)?;
        shared.metadata.transaction(|transaction| {
            trash::replace(transaction, &row, new, "refresh")?;
            crate::metadata::adopt_snapshots(transaction, old, new)?;
            let now = now_ms() as i64;
            // What was before that is looked for in the old root.
            transaction
                .execute(
                    "UPDATE branches SET name = ?2, parent = NULL, fork_lsn = NULL, fork_control = NULL, origin = NULL,
                        moment_us = ?3, made_control = ?4, created_ms = ?5 WHERE id = ?1",
                    params![new.0 as i64, row.name, past::now_us() as i64, made_control, now],
                )
                .map_err(|error| name_taken(error.into(), &row.name))?;
            for (key, value) in [(REFRESHED, now.to_string()), (FOLLOWED, fresh.at.to_string())] {
                transaction.execute(
                    "INSERT OR REPLACE INTO notes VALUES (?1, ?2, ?3)",
                    params![new.0 as i64, key, value],
                )?;
            }
            set(transaction, key::PLACED, &fresh.at.0.to_string())?;
            if is_untouched {
                // Of many that nobody has looked at, the last one is enough.
                transaction.execute(
                    "DELETE FROM events WHERE branch = ?1 AND kind = ?2",
                    params![old.0 as i64, EventKind::Refreshed.word()],
                )?;
            }
            events::record(transaction, EventKind::Refreshed, (new, &row.name), (Some(old), None), None)?;
            crash_point!(FollowPlaced);
            Ok(())
        })?;
        self.root_replaced(old, new);
        crash_point!(FollowRootCommitted);
        drop(compute);
        tracing::info!(branch = row.name, at = %fresh.at, "has the source's changes");
        Ok((old, is_untouched))
    }
}

/// A fork of the standby that is to be the root.
#[derive(Debug)]
pub struct FreshRoot {
    /// The throwaway that it is so far.
    pub throwaway: BranchId,
    /// Up to where it has the source's changes.
    pub at: Lsn,
    /// What somebody should know of its data.
    pub notes: Vec<String>,
}

//! Throwaway branches: each made of a branch for one job, in no list and under no name that a person can use, and
//! removed for good afterwards, without a stay in the trash.

use std::sync::PoisonError;
use std::time::Duration;

use offshoot_postgres::server::StopMode;
use rusqlite::Transaction;

use crate::error::{Context as _, StorageError};
use crate::files::remove_tree;
use crate::metadata;
use crate::store::{ComputeState, Store, locked};
use crate::{BranchId, LayerId};

/// How their names begin. Git takes no `~` in a name, so nobody's branch is called so.
const PREFIX: &str = "~throwaway/";

/// How long Postgres may take to end at once, before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// The name of the branch that is the standby of a source that is followed.
pub(crate) const STANDBY: &str = "~standby";

/// Whether a branch with this name is in no list: a throwaway, or the standby.
pub(crate) fn is_unlisted(name: &str) -> bool {
    name == STANDBY || is_throwaway(name)
}

/// Whether a branch with this name is a throwaway.
pub(crate) fn is_throwaway(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The name of a throwaway with this number.
pub(crate) fn new_name(number: LayerId) -> String {
    format!("{PREFIX}{number}")
}

impl Store {
    /// Makes a throwaway of `parent` as it is now. It is asleep; [`Store::wake`] wakes it by its number.
    ///
    /// # Errors
    /// As [`Store::create_branch`]; nothing is left of it then.
    pub fn create_throwaway(&self, parent: BranchId) -> Result<BranchId, StorageError> {
        let number = LayerId::random().context("name a throwaway in", self.shared.paths.store())?;
        let making = self.making();
        let id = self.fork_and_commit(&making, &new_name(number), parent, |_| Ok(()))?;
        tracing::info!(branch = %id, %parent, "made a throwaway");
        Ok(id)
    }

    /// All throwaways, oldest first.
    ///
    /// # Errors
    /// Only if the metadata cannot be read.
    pub fn throwaways(&self) -> Result<Vec<BranchId>, StorageError> {
        let rows = self.shared.metadata.branches()?;
        Ok(rows.into_iter().filter(|row| is_throwaway(&row.name)).map(|row| row.id).collect())
    }

    /// Removes a throwaway for good. Its Postgres ends without a checkpoint; its connections end. Nothing happens if it is
    /// gone already.
    ///
    /// # Errors
    /// [`StorageError::Stalled`] and other failures to stop its Postgres, and those of the disk. It is found again by
    /// [`Store::throwaways`] then.
    pub fn remove_throwaway(&self, id: BranchId) -> Result<(), StorageError> {
        let is_one = self.shared.metadata.branch(id)?.is_some_and(|row| is_throwaway(&row.name));
        if is_one {
            self.remove_hidden(id, &|_| Ok(()))?;
        }
        Ok(())
    }

    /// Removes a branch for good that is in no list, together with what `also` does to the metadata.
    pub(crate) fn remove_hidden(
        &self,
        id: BranchId,
        also: &dyn Fn(&Transaction<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let shared = &self.shared;
        {
            let cell = shared.cell(id);
            let mut compute = locked(&cell.compute);
            if let Some(server) = &mut compute.server {
                cell.set_state(ComputeState::Stopping, None);
                server.stop(StopMode::Immediate, STOP_PATIENCE)?;
                compute.server = None;
                shared.driver.close(id);
                let _ = remove_tree(&shared.paths.sockets(id));
                cell.set_state(ComputeState::Asleep, None);
            }
        }
        let _turn = locked(&shared.merging);
        let _alone = shared.making.write().unwrap_or_else(PoisonError::into_inner);
        shared.metadata.transaction(|transaction| {
            metadata::forget_branch(transaction, id)?;
            also(transaction)
        })?;
        locked(&shared.cells).remove(&id);
        shared.driver.reclaim()?;
        tracing::info!(branch = %id, "removed a branch that was in no list");
        Ok(())
    }
}

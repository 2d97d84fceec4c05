//! Deleting with a way back: branches go to the trash first.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Transaction, params};

use crate::branches::{name_taken, now_ms};
use crate::error::StorageError;
use crate::metadata::{self, BranchRow};
use crate::store::{Branch, Store, locked};
use crate::{BranchId, compute};

/// How long the trash keeps a branch.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Hours of running engines that it keeps a branch at the least.
const KEPT_HOURS: u64 = 24;

/// What [`Store::undo`] did.
#[derive(Clone, Debug)]
pub struct Undone {
    /// The branch that is back.
    pub branch: Branch,
    /// Whether it took the place of another state of the same branch, which is in the trash now.
    pub replaced: bool,
}

/// Moves a branch to the trash.
pub(crate) fn put_in(
    transaction: &Transaction<'_>,
    id: BranchId,
    replaced_by: Option<BranchId>,
) -> Result<(), StorageError> {
    transaction.execute(
        "UPDATE branches SET trashed_ms = ?2, replaced_by = ?3,
            trashed_hours = (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM properties WHERE key = 'hours'),
            trash_order = (SELECT coalesce(max(trash_order), 0) + 1 FROM branches) WHERE id = ?1",
        params![id.0 as i64, now_ms() as i64, replaced_by.map(|id| id.0 as i64)],
    )?;
    Ok(())
}

/// Makes the live children of `from` children of `to`.
pub(crate) fn adopt_children(
    transaction: &Transaction<'_>,
    from: BranchId,
    to: BranchId,
) -> Result<(), StorageError> {
    transaction.execute(
        "UPDATE branches SET parent = ?2 WHERE parent = ?1 AND id <> ?2",
        params![from.0 as i64, to.0 as i64],
    )?;
    Ok(())
}

impl Store {
    /// Deletes a branch: it goes to the trash, for seven days. Its Postgres stops; its children keep working and
    /// become children of its parent.
    ///
    /// # Errors
    /// [`StorageError::IsRoot`], [`StorageError::NoSuchBranch`].
    pub fn delete_branch(&self, id: BranchId) -> Result<(), StorageError> {
        let row = self.shared.live_row(id)?;
        let parent = match row.parent {
            Some(parent) if id != self.shared.info.root_branch => parent,
            _ => return Err(StorageError::IsRoot { name: row.name }),
        };
        let cell = self.shared.cell(id);
        let mut compute = locked(&cell.compute);
        compute::stop(&self.shared, id, &cell, &mut compute)?;
        self.shared.metadata.transaction(|transaction| {
            put_in(transaction, id, None)?;
            adopt_children(transaction, id, parent)
        })?;
        drop(compute);
        tracing::info!(branch = row.name, "deleted; it is in the trash");
        Ok(())
    }

    /// Brings the branch that was deleted or reset last back.
    ///
    /// After a reset, the present state goes to the trash in its stead, so that undoing twice changes nothing.
    ///
    /// # Errors
    /// [`StorageError::NothingToUndo`]; [`StorageError::BranchExists`] when another branch has its name by now.
    pub fn undo(&self) -> Result<Undone, StorageError> {
        let newest = self
            .shared
            .metadata
            .branches()?
            .into_iter()
            .filter(|row| row.trashed_ms.is_some())
            .max_by_key(|row| row.trash_order);
        let Some(row) = newest else { return Err(StorageError::NothingToUndo) };
        let present = match row.replaced_by {
            Some(id) => self.shared.metadata.branch(id)?.filter(|present| present.trashed_ms.is_none()),
            None => None,
        };
        match &present {
            Some(present) => {
                let cell = self.shared.cell(present.id);
                let mut compute = locked(&cell.compute);
                compute::stop(&self.shared, present.id, &cell, &mut compute)?;
                self.swap(&row, Some(present))?;
            }
            None => self.swap(&row, None)?,
        }
        tracing::info!(branch = row.name, "back from the trash");
        Ok(Undone { branch: self.branch(row.id)?, replaced: present.is_some() })
    }

    /// Makes `row` live again, in the place of `present`.
    fn swap(&self, row: &BranchRow, present: Option<&BranchRow>) -> Result<(), StorageError> {
        let name = present.map_or(&row.name, |present| &present.name);
        let parent = self.living_ancestor(row.parent)?;
        self.shared.metadata.transaction(|transaction| {
            if let Some(present) = present {
                put_in(transaction, present.id, Some(row.id))?;
                adopt_children(transaction, present.id, row.id)?;
            }
            transaction
                .execute(
                    "UPDATE branches SET trashed_ms = NULL, trashed_hours = NULL, trash_order = NULL, replaced_by = NULL,
                        name = ?2, parent = ?3 WHERE id = ?1",
                    params![row.id.0 as i64, name, parent.map(|id| id.0 as i64)],
                )
                .map_err(|error| name_taken(error.into(), name))?;
            Ok(())
        })
    }

    /// The nearest of `id` and its ancestors that is live; the one that replaced it if it was reset.
    fn living_ancestor(&self, id: Option<BranchId>) -> Result<Option<BranchId>, StorageError> {
        let mut next = id;
        let mut steps = 0;
        while let Some(id) = next {
            steps += 1;
            match self.shared.metadata.branch(id)? {
                Some(row) if row.trashed_ms.is_none() => return Ok(Some(id)),
                Some(row) if steps < 10_000 => next = row.replaced_by.or(row.parent),
                _ => break,
            }
        }
        Ok(Some(self.shared.info.root_branch))
    }

    /// Removes for good what has been in the trash for seven days at `now`, and for a day of running engines. Call it
    /// once an hour: it counts the calls, so that a clock that jumps ahead empties nothing.
    ///
    /// # Errors
    /// The first failure; the rest is tried again the next time.
    pub fn purge_trash(&self, now: SystemTime) -> Result<(), StorageError> {
        let metadata = &self.shared.metadata;
        let hours = metadata.property("hours")?.and_then(|hours| hours.parse::<u64>().ok()).unwrap_or(0) + 1;
        metadata.set_property("hours", &hours.to_string())?;
        let now_ms = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let limit_ms = now_ms.saturating_sub(KEPT.as_millis() as u64);
        let old: Vec<BranchRow> = metadata
            .branches()?
            .into_iter()
            .filter(|row| row.trashed_ms.is_some_and(|trashed| trashed < limit_ms))
            .filter(|row| row.trashed_hours.is_some_and(|trashed| trashed + KEPT_HOURS <= hours))
            .collect();
        if old.is_empty() {
            return Ok(());
        }
        let _alone = self.shared.making.write().unwrap_or_else(PoisonError::into_inner);
        self.shared.metadata.transaction(|transaction| {
            for row in &old {
                metadata::forget_branch(transaction, row.id)?;
            }
            Ok(())
        })?;
        for row in &old {
            locked(&self.shared.cells).remove(&row.id);
        }
        self.shared.driver.reclaim()
    }
}

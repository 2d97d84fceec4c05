//! Making a branch of what was unpacked.

use rusqlite::params;

use super::apply::Unpacked;
use crate::branches::now_ms;
use crate::error::StorageError;
use crate::events::{self, EventKind};
use crate::metadata::{self, BranchRow, Past};
use crate::refresh::REFRESHED;
use crate::snapshots::SnapshotKind;
use crate::store::{Branch, Store, locked};
use crate::{BranchId, compute, trash};

impl Store {
    /// Makes branch `name` of what was unpacked, in one step; the throwaway goes, whatever comes of it.
    ///
    /// # Errors
    /// As [`Store::create_branch`]; nothing is left of it then.
    pub fn adopt_bundle(&self, unpacked: &Unpacked, name: &str) -> Result<Branch, StorageError> {
        let made = self.adopt(unpacked, name);
        self.put_away(unpacked.throwaway);
        self.branch(made?)
    }

    /// Puts what was unpacked in the place of the root branch. What that was goes to the trash, from where [`Store::undo`] brings it
    /// back; its connections end. Its children keep what they have. The throwaway goes, whatever comes of it.
    ///
    /// # Errors
    /// As [`Store::replace_root`].
    pub fn adopt_bundle_as_root(&self, unpacked: &Unpacked) -> Result<Branch, StorageError> {
        let made = self.adopt_as_root(unpacked);
        self.put_away(unpacked.throwaway);
        self.branch(made?)
    }

    fn adopt(&self, unpacked: &Unpacked, name: &str) -> Result<BranchId, StorageError> {
        let shared = &self.shared;
        let throwaway = unpacked.throwaway;
        let row = shared.branch_row(throwaway)?;
        let parent = row.parent.map(|parent| shared.branch_row(parent)).transpose()?;
        let making = self.making();
        let fork = unpacked.fork_point.map(|of| self.fork_fork_point(of)).transpose()?.flatten();
        let id = self.fork_and_commit(&making, name, throwaway, |(transaction, id)| {
            metadata::adopt_snapshots(transaction, throwaway, id)?;
            if let Some(fork) = &fork {
                let fork = BranchRow { snapshot: Some((id, SnapshotKind::Fork)), ..fork.clone() };
                metadata::insert_branch(transaction, &fork)?;
            }
            let from = parent.as_ref().map(|parent| parent.name.as_str());
            crash_point!(CarryWritten);
            events::record(transaction, EventKind::Created, (id, name), (row.parent, from), None)
        });
        if id.is_err()
            && let Some(fork) = &fork
        {
            shared.driver.discard(fork.id);
        }
        let id = id?;
        if let Some(fork) = &fork {
            self.settle_soon(fork.id);
        } else {
            // What it was when it was made is unknown: that was somewhere else.
            shared.metadata.transaction(|transaction| {
                transaction
                    .execute("UPDATE branches SET fork_control = NULL WHERE id = ?1", [id.0 as i64])?;
                Ok(())
            })?;
        }
        crash_point!(CarryCommitted);
        tracing::info!(branch = name, "made of a bundle");
        Ok(id)
    }

    /// A copy of the state that a bundle was made against, to be the fork point of its branch. A failure is no reason not to make that.
    fn fork_fork_point(&self, of: BranchId) -> Result<Option<BranchRow>, StorageError> {
        let shared = &self.shared;
        let id = shared.metadata.reserve_branch(&shared.next_branch)?;
        let cell = shared.cell(of);
        let _compute = locked(&cell.compute);
        let row = shared.live_row(of)?;
        match shared.driver.fork(of, id) {
            Ok(fork) => Ok(Some(BranchRow {
                id,
                name: "fork".to_owned(),
                parent: None,
                fork_lsn: Some(fork.lsn),
                created_ms: now_ms(),
                unsettled_boot: Some(shared.boot.clone()),
                past: Past { made_control: Some(fork.control), ..row.past },
                ..row
            })),
            Err(error) => {
                tracing::warn!(%error, "the base of a bundle is not kept as the fork point of its branch");
                Ok(None)
            }
        }
    }

    fn adopt_as_root(&self, unpacked: &Unpacked) -> Result<BranchId, StorageError> {
        let shared = &self.shared;
        let old = self.root_branch();
        let throwaway = unpacked.throwaway;
        shared.metadata.transaction(|transaction| {
            transaction.execute(
                "UPDATE branches SET parent = ?2 WHERE id = ?1",
                params![throwaway.0 as i64, old.0 as i64],
            )?;
            Ok(())
        })?;
        // In this order everywhere: what removes things waits for all who make something.
        let making = self.making();
        let cell = shared.cell(old);
        let mut compute = locked(&cell.compute);
        let row = shared.branch_row(old)?;
        compute::stop(shared, old, &cell, &mut compute)?;
        self.stop_snapshots(old)?;
        let new = self.fork_and_commit(&making, &row.name, throwaway, |(transaction, new)| {
            trash::replace(transaction, &row, new, "refresh")?;
            metadata::adopt_snapshots(transaction, old, new)?;
            // The root has the state already where the bundle was applied before.
            metadata::adopt_new_snapshots(transaction, throwaway, new)?;
            transaction.execute(
                "INSERT INTO notes VALUES (?1, ?2, ?3)",
                params![new.0 as i64, REFRESHED, now_ms().to_string()],
            )?;
            events::record(transaction, EventKind::Refreshed, (new, &row.name), (Some(old), None), None)
        })?;
        self.root_replaced(old, new);
        drop(compute);
        tracing::info!(branch = row.name, "got the data of a bundle");
        Ok(new)
    }
}

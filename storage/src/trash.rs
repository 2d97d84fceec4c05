//! Deleting with a way back: branches go to the trash first.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Transaction, params};

use crate::branches::{name_taken, now_ms};
use crate::error::StorageError;
use crate::events::{self, EventKind};
use crate::metadata::{self, BranchRow};
use crate::store::{Branch, Store, locked};
use crate::{BranchId, compute, past};

/// How many states of one branch are looked through.
const MOST_STATES: usize = 10_000;

/// What [`Store::undo`] did.
#[derive(Clone, Debug)]
pub struct Undone {
    /// The branch that is back.
    pub branch: Branch,
    /// Whether it took the place of another state of the same branch, which is in the trash now.
    pub replaced: bool,
}

/// Which branch [`Store::undo`] brings back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Former {
    /// The one that was deleted or reset last; not what an undo put into the trash.
    Last,
    /// The newest former state of the branch with this name.
    Named(String),
    /// The one with this id, which it had before it was deleted or reset.
    Id(BranchId),
}

/// What [`Store::undo`] would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undoable {
    /// The name of the branch that would come back.
    pub name: String,
    /// The live branch in whose place it would come.
    pub replaces: Option<BranchId>,
}

/// Marks a branch in the trash as what an undo put there: it comes back only when it is named.
fn displace(transaction: &Transaction<'_>, id: BranchId) -> Result<(), StorageError> {
    transaction
        .execute("UPDATE branches SET trash_order = -trash_order WHERE id = ?1", params![id.0 as i64])?;
    Ok(())
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
            trash_order = (SELECT coalesce(max(abs(trash_order)), 0) + 1 FROM branches) WHERE id = ?1",
        params![id.0 as i64, now_ms() as i64, replaced_by.map(|id| id.0 as i64)],
    )?;
    Ok(())
}

/// The key of the note that says what a state in the trash is called that another one took the place of.
const KEPT_AS: &str = "kept-as";

/// Puts `old` into the trash, with `new` in its place. `act` says in its name there before what that was.
pub(crate) fn replace(
    transaction: &Transaction<'_>,
    old: &BranchRow,
    new: BranchId,
    act: &str,
) -> Result<(), StorageError> {
    put_in(transaction, old.id, Some(new))?;
    // Git takes no `~` in a name, so nobody's branch is called so.
    let kept_as =
        free_name(transaction, format!("{}~before-{act}-{}", old.name, past::compact(past::now_us())))?;
    transaction.execute(
        "INSERT OR REPLACE INTO notes VALUES (?1, ?2, ?3)",
        params![old.id.0 as i64, KEPT_AS, kept_as],
    )?;
    metadata::replace_root(transaction, old.id, new)?;
    adopt_children(transaction, old.id, new)
}

/// `name`, or with a number behind it where another state has it: two may be replaced in one second.
fn free_name(transaction: &Transaction<'_>, name: String) -> Result<String, StorageError> {
    let mut taken = transaction.prepare("SELECT 1 FROM notes WHERE key = ?1 AND value = ?2")?;
    let mut free = name.clone();
    let mut number = 1;
    while taken.exists(params![KEPT_AS, free])? {
        number += 1;
        free = format!("{name}-{number}");
    }
    Ok(free)
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

/// The key of the note that a branch has as long as `deleted`, which lies in the trash, was its parent.
fn orphan_of(deleted: BranchId) -> String {
    format!("orphan-of-{deleted}")
}

/// Notes that `deleted` is the parent of its children, which are to be somebody else's.
fn note_orphans(transaction: &Transaction<'_>, deleted: BranchId) -> Result<(), StorageError> {
    transaction.execute(
        "INSERT OR REPLACE INTO notes SELECT id, ?2, '' FROM branches WHERE parent = ?1",
        params![deleted.0 as i64, orphan_of(deleted)],
    )?;
    Ok(())
}

/// Gives `back` its children again that are still where they went when it was deleted, which is with `parent`.
fn take_orphans_back(
    transaction: &Transaction<'_>,
    back: BranchId,
    parent: Option<BranchId>,
) -> Result<(), StorageError> {
    let key = orphan_of(back);
    transaction.execute(
        "UPDATE branches SET parent = ?1 WHERE parent = ?2 AND id IN (SELECT branch FROM notes WHERE key = ?3)",
        params![back.0 as i64, parent.map(|id| id.0 as i64), key],
    )?;
    transaction.execute("DELETE FROM notes WHERE key = ?1", params![key])?;
    Ok(())
}

impl Store {
    /// Deletes a branch: it goes to the trash, for seven days. Its Postgres stops; its children keep working and
    /// become children of its parent, until it is back.
    ///
    /// # Errors
    /// [`StorageError::IsRoot`], [`StorageError::NoSuchBranch`].
    pub fn delete_branch(&self, id: BranchId) -> Result<(), StorageError> {
        let row = self.shared.branch_row(id)?;
        let parent = match row.parent {
            Some(parent) if id != self.root_branch() => parent,
            _ => return Err(StorageError::IsRoot { name: row.name }),
        };
        let cell = self.shared.cell(id);
        let mut compute = locked(&cell.compute);
        compute::stop(&self.shared, id, &cell, &mut compute)?;
        self.stop_snapshots(id)?;
        crash_point!(DeleteStopped);
        self.shared.metadata.transaction(|transaction| {
            put_in(transaction, id, None)?;
            note_orphans(transaction, id)?;
            adopt_children(transaction, id, parent)?;
            events::record(transaction, EventKind::Deleted, (id, &row.name), (None, None), None)?;
            crash_point!(DeleteWritten);
            Ok(())
        })?;
        crash_point!(DeleteCommitted);
        drop(compute);
        tracing::info!(branch = row.name, "deleted; it is in the trash");
        Ok(())
    }

    /// What [`Store::undo`] would bring back; `None` if it would fail, as nothing is in the trash or another branch has
    /// the name by now. Changes nothing.
    ///
    /// # Errors
    /// Only if the metadata cannot be read.
    pub fn undoable(&self, which: &Former) -> Result<Option<Undoable>, StorageError> {
        let Some((row, present)) = self.newest_in_trash(which)? else { return Ok(None) };
        if let Some(present) = present {
            return Ok(Some(Undoable { name: present.name, replaces: Some(present.id) }));
        }
        let taken = self.shared.metadata.live_branch(&row.name)?.is_some();
        Ok((!taken).then_some(Undoable { name: row.name, replaces: None }))
    }

    /// The branch that is meant, and the live one that took its place when it was reset.
    fn newest_in_trash(
        &self,
        which: &Former,
    ) -> Result<Option<(BranchRow, Option<BranchRow>)>, StorageError> {
        let metadata = &self.shared.metadata;
        let mut rows = metadata.branches()?;
        rows.retain(BranchRow::is_in_trash);
        rows.sort_by_key(|row| std::cmp::Reverse(row.trash_order.map(i64::abs)));
        let kept_as = self.kept_as()?;
        for row in rows {
            let present = self.live_state(&row)?;
            let known_as = present.as_ref().map_or(&row.name, |present| &present.name);
            let meant = match which {
                Former::Last => row.trash_order > Some(0),
                Former::Named(name) => name == known_as || kept_as.get(&row.id) == Some(name),
                Former::Id(id) => *id == row.id,
            };
            if meant {
                return Ok(Some((row, present)));
            }
        }
        Ok(None)
    }

    /// The live state of a branch of which `before` is an earlier one; what took its place may have been replaced as well, and be gone.
    fn live_state(&self, before: &BranchRow) -> Result<Option<BranchRow>, StorageError> {
        let metadata = &self.shared.metadata;
        let mut before = before.clone();
        for _ in 0..MOST_STATES {
            let Some(id) = before.replaced_by else { break };
            let mut next = metadata.branch(id)?;
            if next.is_none() {
                let told = metadata.note(before.id, metadata::LEADS_TO)?.and_then(|id| id.parse().ok());
                next = told.map(|id| metadata.branch(BranchId(id))).transpose()?.flatten();
            }
            match next {
                Some(row) if row.trashed_ms.is_none() => return Ok(Some(row)),
                Some(row) => before = row,
                None => break,
            }
        }
        Ok(None)
    }

    /// Brings back a branch that was deleted or reset.
    ///
    /// After a reset, the present state goes to the trash in its stead. No further undo brings it back but one with the
    /// branch's name, which swaps the two: so undoing goes further back each time and buries nothing.
    ///
    /// # Errors
    /// [`StorageError::NothingToUndo`]; [`StorageError::BranchExists`] when another branch has its name by now.
    pub fn undo(&self, which: &Former) -> Result<Undone, StorageError> {
        let Some((row, present)) = self.newest_in_trash(which)? else {
            return Err(StorageError::NothingToUndo);
        };
        match &present {
            Some(present) => {
                let cell = self.shared.cell(present.id);
                let mut compute = locked(&cell.compute);
                compute::stop(&self.shared, present.id, &cell, &mut compute)?;
                self.stop_snapshots(present.id)?;
                crash_point!(UndoStopped);
                self.swap(&row, Some(present))?;
                self.root_replaced(present.id, row.id);
            }
            None => self.swap(&row, None)?,
        }
        crash_point!(UndoCommitted);
        tracing::info!(branch = row.name, "back from the trash");
        Ok(Undone { branch: self.branch(row.id)?, replaced: present.is_some() })
    }

    /// Makes `row` live again, in the place of `present`.
    fn swap(&self, row: &BranchRow, present: Option<&BranchRow>) -> Result<(), StorageError> {
        let name = present.map_or(&row.name, |present| &present.name);
        let is_root = present.is_some_and(|present| present.id == self.root_branch());
        let parent = if is_root { None } else { self.living_ancestor(row.parent)? };
        self.shared.metadata.transaction(|transaction| {
            if let Some(present) = present {
                replace(transaction, present, row.id, "undo")?;
                displace(transaction, present.id)?;
                metadata::adopt_snapshots(transaction, present.id, row.id)?;
                if present.fork_control.is_none() || row.fork_control.is_none() {
                    metadata::adopt_fork_point(transaction, present.id, row.id)?;
                }
            }
            let back = transaction
                .execute(
                    "UPDATE branches SET trashed_ms = NULL, trashed_hours = NULL, trash_order = NULL, replaced_by = NULL,
                        name = ?2, parent = ?3 WHERE id = ?1",
                    params![row.id.0 as i64, name, parent.map(|id| id.0 as i64)],
                )
                .map_err(|error| name_taken(error.into(), name))?;
            if back == 0 {
                // The trash was emptied while the present state was stopped: that one stays.
                return Err(StorageError::NothingToUndo);
            }
            take_orphans_back(transaction, row.id, parent)?;
            transaction
                .execute("DELETE FROM notes WHERE branch = ?1 AND key IN (?2, ?3)", params![row.id.0 as i64, KEPT_AS, metadata::LEADS_TO])?;
            let displaced = present.map(|present| present.id);
            events::record(transaction, EventKind::Undone, (row.id, name), (displaced, None), None)?;
            crash_point!(UndoWritten);
            Ok(())
        })
    }

    /// What lies in the trash, with the name that each had as a branch and when it went there.
    ///
    /// # Errors
    /// Only if the metadata cannot be read.
    pub fn in_trash(&self) -> Result<HashMap<BranchId, (String, SystemTime)>, StorageError> {
        let rows = self.shared.metadata.branches()?.into_iter().filter(BranchRow::is_in_trash);
        let went = |row: BranchRow| {
            let at = UNIX_EPOCH + Duration::from_millis(row.trashed_ms.unwrap_or(0));
            (row.id, (row.name, at))
        };
        Ok(rows.map(went).collect())
    }

    /// What states in the trash are called that others took the place of, such as `feature~before-restore-20261120T140307Z`.
    /// [`Former::Named`] takes these names.
    ///
    /// # Errors
    /// Only if the metadata cannot be read.
    pub fn kept_as(&self) -> Result<HashMap<BranchId, String>, StorageError> {
        Ok(self.shared.metadata.notes(KEPT_AS)?.into_iter().collect())
    }

    /// The nearest of `id` and its ancestors that is live; the one that replaced it if it was reset.
    fn living_ancestor(&self, id: Option<BranchId>) -> Result<Option<BranchId>, StorageError> {
        let mut next = id;
        let mut steps = 0;
        while let Some(id) = next {
            steps += 1;
            match self.shared.metadata.branch(id)? {
                Some(row) if row.trashed_ms.is_none() => return Ok(Some(id)),
                Some(row) if steps < MOST_STATES => next = row.replaced_by.or(row.parent),
                _ => break,
            }
        }
        Ok(Some(self.root_branch()))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn states_that_are_replaced_in_one_second_have_names_of_their_own() {
        let mut metadata = Connection::open_in_memory().unwrap();
        metadata.execute_batch("CREATE TABLE notes (branch INTEGER, key TEXT, value TEXT)").unwrap();
        let transaction = metadata.transaction().unwrap();
        let mut names = Vec::new();
        for branch in 1..=3 {
            let name = free_name(&transaction, "a~before-reset-20261120T140307Z".to_owned()).unwrap();
            transaction
                .execute("INSERT INTO notes VALUES (?1, ?2, ?3)", params![branch, KEPT_AS, name])
                .unwrap();
            names.push(name);
        }
        let first = "a~before-reset-20261120T140307Z";
        assert_eq!(names, [first.to_owned(), format!("{first}-2"), format!("{first}-3")]);
    }
}

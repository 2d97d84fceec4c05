//! The branches and their stacks in memory.
//!
//! A store of a thousand branches has ten thousand rows of stacks, and much asks for all of them. Triggers of this connection note which
//! branches a commit has touched, and only those are read again. What others have written, `data_version` tells; then all is read.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension as _};

use super::{BranchRow, Metadata};
use crate::BranchId;
use crate::error::StorageError;

/// The notes are rolled back with the transaction that made them.
const WATCH: &str = "
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE touched (branch INTEGER PRIMARY KEY) STRICT;
CREATE TEMP TRIGGER row_made AFTER INSERT ON main.branches BEGIN INSERT OR IGNORE INTO touched VALUES (new.id); END;
CREATE TEMP TRIGGER row_changed AFTER UPDATE ON main.branches BEGIN INSERT OR IGNORE INTO touched VALUES (new.id); END;
CREATE TEMP TRIGGER row_gone AFTER DELETE ON main.branches BEGIN INSERT OR IGNORE INTO touched VALUES (old.id); END;
CREATE TEMP TRIGGER stack_made AFTER INSERT ON main.stacks BEGIN INSERT OR IGNORE INTO touched VALUES (new.branch); END;
CREATE TEMP TRIGGER stack_changed AFTER UPDATE ON main.stacks BEGIN INSERT OR IGNORE INTO touched VALUES (new.branch); END;
CREATE TEMP TRIGGER stack_gone AFTER DELETE ON main.stacks BEGIN INSERT OR IGNORE INTO touched VALUES (old.branch); END;
";

/// What the tables say of one branch or snapshot.
#[derive(Default)]
pub(crate) struct Entry {
    /// None of a branch that is just being made.
    pub(crate) row: Option<BranchRow>,
    /// Numbers of layers, top first.
    pub(crate) stack: Vec<u64>,
    /// Another one each time that the entry was read.
    pub(crate) version: u64,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Mirror {
    entries: BTreeMap<BranchId, Entry>,
    /// What `data_version` was; `None` if nothing was read yet, or nothing is noted.
    as_of: Option<i64>,
    is_watched: bool,
    version: u64,
}

impl Mirror {
    /// Every branch and snapshot, oldest first.
    pub(crate) fn entries(&self) -> &BTreeMap<BranchId, Entry> {
        &self.entries
    }

    /// The rows of all of them.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &BranchRow> {
        self.entries.values().filter_map(|entry| entry.row.as_ref())
    }

    /// Reads what has changed. Returns how many notes there were.
    fn refresh(&mut self, connection: &Connection) -> Result<u64, StorageError> {
        let now: i64 = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        let is_known = self.is_watched && self.as_of == Some(now);
        // Not known until all of it is read.
        self.as_of = None;
        let touched = if self.is_watched { touched(connection)? } else { Vec::new() };
        self.version += 1;
        if is_known {
            for branch in &touched {
                self.read_one(connection, *branch)?;
            }
        } else {
            self.read_all(connection)?;
        }
        let mut cleared = 0;
        if !touched.is_empty() {
            cleared = connection.prepare_cached("DELETE FROM touched")?.execute([])? as u64;
        }
        self.as_of = Some(now);
        Ok(cleared)
    }

    fn read_one(&mut self, connection: &Connection, branch: i64) -> Result<(), StorageError> {
        let id = BranchId(branch as u64);
        let row = connection
            .prepare_cached("SELECT * FROM branches WHERE id = ?1")?
            .query_row([branch], BranchRow::read)
            .optional()?;
        let stack = connection
            .prepare_cached("SELECT layer FROM stacks WHERE branch = ?1 ORDER BY height DESC")?
            .query_map([branch], |row| Ok(row.get::<_, i64>(0)? as u64))?
            .collect::<Result<Vec<_>, _>>()?;
        if row.is_none() && stack.is_empty() {
            self.entries.remove(&id);
        } else {
            self.entries.insert(id, Entry { row, stack, version: self.version });
        }
        Ok(())
    }

    fn read_all(&mut self, connection: &Connection) -> Result<(), StorageError> {
        self.entries.clear();
        let version = self.version;
        let mut rows = connection.prepare_cached("SELECT * FROM branches")?;
        for row in rows.query_map([], BranchRow::read)? {
            let row = row?;
            self.entries.insert(row.id, Entry { row: Some(row), stack: Vec::new(), version });
        }
        let mut stacks =
            connection.prepare_cached("SELECT branch, layer FROM stacks ORDER BY branch, height DESC")?;
        let mut stacks = stacks.query([])?;
        while let Some(row) = stacks.next()? {
            let entry = self.entries.entry(BranchId(row.get::<_, i64>(0)? as u64)).or_default();
            entry.version = version;
            entry.stack.push(row.get::<_, i64>(1)? as u64);
        }
        Ok(())
    }
}

fn touched(connection: &Connection) -> Result<Vec<i64>, StorageError> {
    let mut statement = connection.prepare_cached("SELECT branch FROM touched")?;
    let touched = statement.query_map([], |row| row.get(0))?;
    Ok(touched.collect::<Result<_, _>>()?)
}

impl Metadata {
    /// Notes from now on what a commit has touched. Without it, each look at the mirror reads all.
    pub(super) fn watch(&self) -> Result<(), StorageError> {
        let mut mirror = self.mirror.lock().unwrap_or_else(PoisonError::into_inner);
        self.connection().execute_batch(WATCH)?;
        mirror.is_watched = true;
        Ok(())
    }

    /// Looks at all branches and their stacks as they are now. `look` must not use the metadata.
    pub(crate) fn mirrored<T>(&self, look: impl FnOnce(&Mirror) -> T) -> Result<T, StorageError> {
        let mut mirror = self.mirror.lock().unwrap_or_else(PoisonError::into_inner);
        let cleared = mirror.refresh(&self.connection())?;
        self.notes_cleared.fetch_add(cleared, Ordering::Relaxed);
        Ok(look(&mirror))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerId;
    use crate::metadata::{forget_branch, push_layer};

    fn insert(connection: &Connection, id: i64, name: &str) {
        let made = "INSERT INTO branches (id, name, created_ms) VALUES (?1, ?2, 7)";
        connection.execute(made, rusqlite::params![id, name]).unwrap();
    }

    /// What the mirror says, and that the tables say the same.
    fn said(metadata: &Metadata) -> Vec<(u64, Option<String>, Vec<u64>)> {
        let of = |mirror: &Mirror| -> Vec<_> {
            let entries = mirror.entries().iter();
            let name = |entry: &Entry| entry.row.as_ref().map(|row| row.name.clone());
            entries.map(|(id, entry)| (id.0, name(entry), entry.stack.clone())).collect()
        };
        let mirrored = metadata.mirrored(of).unwrap();
        let mut anew = Mirror::default();
        anew.read_all(&metadata.connection()).unwrap();
        assert_eq!(mirrored, of(&anew));
        mirrored
    }

    #[test]
    fn changes_of_all_kinds_are_seen_and_those_that_are_rolled_back_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meta.sqlite");
        let metadata = Metadata::create(&path).unwrap();
        insert(&metadata.connection(), 1, "main");
        metadata.transaction(|transaction| push_layer(transaction, BranchId(1), LayerId(10), "b")).unwrap();
        assert_eq!(said(&metadata), [(1, Some("main".into()), vec![10])]);
        let version = metadata.mirrored(|mirror| mirror.entries()[&BranchId(1)].version).unwrap();
        let failed = metadata.transaction(|transaction| {
            push_layer(transaction, BranchId(1), LayerId(11), "b")?;
            Err::<(), _>(StorageError::Cancelled)
        });
        assert!(failed.is_err());
        assert_eq!(said(&metadata), [(1, Some("main".into()), vec![10])]);
        metadata.transaction(|transaction| push_layer(transaction, BranchId(2), LayerId(20), "b")).unwrap();
        metadata.transaction(|transaction| push_layer(transaction, BranchId(2), LayerId(21), "b")).unwrap();
        assert_eq!(said(&metadata)[1], (2, None, vec![21, 20]));
        assert_eq!(metadata.branches().unwrap().len(), 1);
        let same = metadata.mirrored(|mirror| mirror.entries()[&BranchId(1)].version).unwrap();
        assert_eq!(version, same, "what was not touched is not read again");
        metadata.transaction(|transaction| forget_branch(transaction, BranchId(2))).unwrap();
        assert_eq!(said(&metadata).len(), 1);
        // From elsewhere.
        insert(&Connection::open(&path).unwrap(), 3, "other");
        assert_eq!(said(&metadata)[1], (3, Some("other".into()), vec![]));
    }

    #[test]
    fn looking_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::create(&folder.path().join("meta.sqlite")).unwrap();
        let before = metadata.changes();
        insert(&metadata.connection(), 1, "main");
        let after = metadata.changes();
        assert_ne!(before, after);
        metadata.branches().unwrap();
        assert_eq!(metadata.changes(), after);
    }
}

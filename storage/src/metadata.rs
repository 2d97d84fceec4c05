//! The store's metadata: one SQLite database, the truth about branches, stacks and settings.
//!
//! A commit is on the disk when it returns (`synchronous=FULL`). What a branch is made of is prepared first and
//! comes into being with the commit of its row.

mod changes;
mod format;
mod mirror;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use offshoot_pages::control::StackLayer;
use offshoot_postgres::Lsn;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use crate::error::StorageError;
use crate::files::is_btrfs;
use crate::snapshots::SnapshotKind;
use crate::{BranchId, LayerId};
pub(crate) use changes::{
    LEADS_TO, adopt_fork_point, adopt_new_snapshots, adopt_snapshots, forget_branch, forget_trashed,
    insert_branch, insert_root, move_fork_point, pop_layer, push_layer, replace_layers, replace_root,
    snapshot_ids, write_stack,
};
use changes::{forget_ownerless, lose_branch};
pub(crate) use format::FORMAT;
pub(crate) use mirror::Mirror;

/// A row of the table of branches.
#[derive(Clone, Debug)]
pub(crate) struct BranchRow {
    pub(crate) id: BranchId,
    pub(crate) name: String,
    pub(crate) parent: Option<BranchId>,
    pub(crate) fork_lsn: Option<Lsn>,
    pub(crate) created_ms: u64,
    pub(crate) unsettled_boot: Option<String>,
    pub(crate) trashed_ms: Option<u64>,
    pub(crate) trashed_hours: Option<u64>,
    /// Grows with every branch that goes to the trash; negative for what an undo put there, which no other undo brings back
    /// unless it is named.
    pub(crate) trash_order: Option<i64>,
    pub(crate) replaced_by: Option<BranchId>,
    /// The branch that it is a snapshot of, and what for.
    pub(crate) snapshot: Option<(BranchId, SnapshotKind)>,
    /// The checksum of its control file when it was made.
    pub(crate) fork_control: Option<u32>,
    /// What it is in time.
    pub(crate) past: Past,
}

/// Where a branch or a snapshot stands in time. All are unknown of what is older than format 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// The state of a branch whose WAL leads to this one: for a snapshot, the branch as it was when the snapshot was taken.
    /// Never another one later, and perhaps no longer there.
    pub(crate) origin: Option<BranchId>,
    /// When it was made, in microseconds since 1970: all that was committed in it by then is in it.
    pub(crate) moment_us: Option<u64>,
    /// The checksum of its control file when it was made, of whatever it is.
    pub(crate) made_control: Option<u32>,
}

impl BranchRow {
    /// Whether it is in the trash by itself.
    pub(crate) fn is_in_trash(&self) -> bool {
        self.trashed_ms.is_some() && self.snapshot.is_none()
    }

    /// Whether it is a branch that people know.
    pub(crate) fn is_listed(&self) -> bool {
        self.trashed_ms.is_none() && self.snapshot.is_none()
    }

    /// The branch whose bytes these are.
    pub(crate) fn owner(&self) -> BranchId {
        self.snapshot.map_or(self.id, |(of, _)| of)
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let number =
            |name: &str| row.get::<_, Option<i64>>(name).map(|value| value.map(|value| value as u64));
        Ok(Self {
            id: BranchId(row.get::<_, i64>("id")? as u64),
            name: row.get("name")?,
            parent: number("parent")?.map(BranchId),
            fork_lsn: number("fork_lsn")?.map(Lsn),
            created_ms: row.get::<_, i64>("created_ms")? as u64,
            unsettled_boot: row.get("unsettled_boot")?,
            trashed_ms: number("trashed_ms")?,
            trashed_hours: number("trashed_hours")?,
            trash_order: row.get("trash_order")?,
            replaced_by: number("replaced_by")?.map(BranchId),
            snapshot: number("snapshot_of")?
                .map(BranchId)
                .zip(SnapshotKind::parse(row.get::<_, Option<String>>("snapshot_kind")?.as_deref())),
            fork_control: row.get("fork_control")?,
            past: Past {
                origin: number("origin")?.map(BranchId),
                moment_us: number("moment_us")?,
                made_control: row.get("made_control")?,
            },
        })
    }
}

/// The open database. One connection, used by one thread at a time.
pub(crate) struct Metadata {
    connection: Mutex<Connection>,
    /// Taken before the connection.
    mirror: Mutex<Mirror>,
    /// Changes that only the mirror's own notes had.
    notes_cleared: AtomicU64,
}

impl Metadata {
    fn new(connection: Connection) -> Self {
        Self {
            connection: Mutex::new(connection),
            mirror: Mutex::default(),
            notes_cleared: AtomicU64::new(0),
        }
    }

    /// Makes the database of a new store.
    pub(crate) fn create(path: &Path) -> Result<Self, StorageError> {
        let connection = Connection::open(path)?;
        configure(&connection, path)?;
        let metadata = Self::new(connection);
        metadata.transaction(|transaction| Ok(format::create(transaction)?))?;
        metadata.watch()?;
        Ok(metadata)
    }

    /// Opens the database of a store that another process may be using, as it is.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, StorageError> {
        let connection = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        Ok(Self::new(connection))
    }

    /// Opens the database of a store.
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        let not_a_store = || StorageError::NotAStore { path: path.parent().unwrap_or(path).to_owned() };
        if !path.is_file() {
            return Err(not_a_store());
        }
        let connection = Connection::open(path)?;
        let metadata = Self::new(connection);
        let format: Option<u32> = metadata.property("format")?.and_then(|format| format.parse().ok());
        match format {
            None => Err(not_a_store()),
            Some(found) if found > FORMAT => Err(StorageError::FormatTooNew { found, known: FORMAT }),
            Some(found) => {
                configure(&metadata.connection(), path)?;
                if found < FORMAT {
                    metadata.transaction(|transaction| Ok(format::upgrade(transaction, found)?))?;
                    tracing::info!(found, now = FORMAT, "the store's format was upgraded");
                }
                metadata.watch()?;
                Ok(metadata)
            }
        }
    }

    /// Removes the branches that were made in another boot than `boot` and may not be on the disk, as if they had never been.
    pub(crate) fn lose_unsettled(&self, boot: &str) -> Result<(), StorageError> {
        // The newest first: what it replaced may be lost as well.
        for branch in self.branches()?.iter().rev() {
            if branch.unsettled_boot.as_ref().is_some_and(|made_in| made_in != boot) {
                tracing::warn!(branch = branch.name, "made just before the machine went down; it is gone");
                self.transaction(|transaction| lose_branch(transaction, branch.id))?;
            }
        }
        self.transaction(forget_ownerless)
    }

    /// A number that changes with every change of the metadata.
    pub(crate) fn changes(&self) -> u64 {
        let connection = self.connection();
        connection.total_changes() - self.notes_cleared.load(Ordering::Relaxed)
    }

    /// Lets commits stay in memory, for tests that no kill concerns.
    #[cfg(test)]
    pub(crate) fn forget_durability(&self) {
        let _ = self.connection().pragma_update(None, "synchronous", "OFF");
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic in a transaction rolled it back: the connection is as good as before.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction: all of it, or nothing.
    pub(crate) fn transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut connection = self.connection();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Reads what no other function reads.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        Ok(work(&self.connection())?)
    }

    pub(crate) fn property(&self, key: &str) -> Result<Option<String>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached("SELECT value FROM properties WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    pub(crate) fn set_property(&self, key: &str, value: &str) -> Result<(), StorageError> {
        self.connection().execute("INSERT OR REPLACE INTO properties VALUES (?1, ?2)", [key, value])?;
        Ok(())
    }

    pub(crate) fn setting(&self, key: &str) -> Result<Option<String>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached("SELECT value FROM settings WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    pub(crate) fn set_setting(&self, key: &str, value: Option<&str>) -> Result<(), StorageError> {
        let connection = self.connection();
        match value {
            Some(value) => {
                connection.execute("INSERT OR REPLACE INTO settings VALUES (?1, ?2)", [key, value])?
            }
            None => connection.execute("DELETE FROM settings WHERE key = ?1", [key])?,
        };
        Ok(())
    }

    pub(crate) fn settings(&self, prefix: &str) -> Result<Vec<(String, String)>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT key, value FROM settings WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key",
        )?;
        let rows = statement.query_map([prefix], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All branches, the trash and the snapshots among them, oldest first.
    pub(crate) fn branches(&self) -> Result<Vec<BranchRow>, StorageError> {
        self.mirrored(|mirror| mirror.rows().cloned().collect())
    }

    pub(crate) fn branch(&self, id: BranchId) -> Result<Option<BranchRow>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached("SELECT * FROM branches WHERE id = ?1")?;
        Ok(statement.query_row([id.0 as i64], BranchRow::read).optional()?)
    }

    pub(crate) fn live_branch(&self, name: &str) -> Result<Option<BranchRow>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT * FROM branches WHERE name = ?1 AND trashed_ms IS NULL AND snapshot_of IS NULL",
        )?;
        Ok(statement.query_row([name], BranchRow::read).optional()?)
    }

    /// The snapshots of a branch, oldest first.
    pub(crate) fn snapshots(&self, of: BranchId) -> Result<Vec<BranchRow>, StorageError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare_cached("SELECT * FROM branches WHERE snapshot_of = ?1 ORDER BY id")?;
        let rows = statement.query_map([of.0 as i64], BranchRow::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The snapshots that were taken of this state of a branch, whosever they are now.
    pub(crate) fn states_of(&self, origin: BranchId) -> Result<Vec<BranchRow>, StorageError> {
        let connection = self.connection();
        let mut statement = connection
            .prepare_cached("SELECT * FROM branches WHERE origin = ?1 AND snapshot_of IS NOT NULL")?;
        let rows = statement.query_map([origin.0 as i64], BranchRow::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn note(&self, branch: BranchId, key: &str) -> Result<Option<String>, StorageError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare_cached("SELECT value FROM notes WHERE branch = ?1 AND key = ?2")?;
        Ok(statement.query_row(params![branch.0 as i64, key], |row| row.get(0)).optional()?)
    }

    /// Keeps a note about a branch, if that exists.
    pub(crate) fn set_note(&self, branch: BranchId, key: &str, value: &str) -> Result<bool, StorageError> {
        let written = self.connection().execute(
            "INSERT OR REPLACE INTO notes SELECT id, ?2, ?3 FROM branches WHERE id = ?1",
            params![branch.0 as i64, key, value],
        )?;
        Ok(written > 0)
    }

    pub(crate) fn notes(&self, key: &str) -> Result<Vec<(BranchId, String)>, StorageError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare_cached("SELECT branch, value FROM notes WHERE key = ?1 ORDER BY branch")?;
        let rows =
            statement.query_map([key], |row| Ok((BranchId(row.get::<_, i64>(0)? as u64), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A number for a branch that is about to be made; it is not used again even if that fails.
    pub(crate) fn reserve_branch(&self, candidate: &AtomicU64) -> Result<BranchId, StorageError> {
        use std::sync::atomic::Ordering::SeqCst;
        let connection = self.connection();
        let mut statement = connection
            .prepare_cached("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'branches'")?;
        let highest: i64 = statement.query_row([], |row| row.get(0))?;
        candidate.fetch_max(highest as u64, SeqCst);
        Ok(BranchId(candidate.fetch_add(1, SeqCst) + 1))
    }

    /// The stack of a branch, top first.
    pub(crate) fn stack(&self, branch: BranchId) -> Result<Vec<StackLayer>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT layers.id, layers.volatile_boot IS NULL FROM stacks JOIN layers ON layers.id = stacks.layer
             WHERE stacks.branch = ?1 ORDER BY stacks.height DESC",
        )?;
        let rows = statement.query_map([branch.0 as i64], |row| {
            Ok(StackLayer { id: row.get::<_, i64>(0)? as u64, durable: row.get(1)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The stacks of all branches, each top first.
    pub(crate) fn stacks(&self) -> Result<Vec<Vec<StackLayer>>, StorageError> {
        read_stacks(&self.connection()).map(|stacks| stacks.into_iter().map(|(_, stack)| stack).collect())
    }

    /// All layers that were last written in another boot than `boot` and may have lost pages.
    pub(crate) fn layers_of_other_boots(&self, boot: &str) -> Result<Vec<LayerId>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare("SELECT id FROM layers WHERE volatile_boot <> ?1")?;
        let rows = statement.query_map([boot], |row| Ok(LayerId(row.get::<_, i64>(0)? as u64)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn set_layer_boot(&self, layer: LayerId, boot: Option<&str>) -> Result<(), StorageError> {
        self.connection()
            .execute("UPDATE layers SET volatile_boot = ?2 WHERE id = ?1", params![layer.0 as i64, boot])?;
        Ok(())
    }

    pub(crate) fn set_settled(&self, branch: BranchId) -> Result<(), StorageError> {
        self.connection().execute(
            "UPDATE branches SET unsettled_boot = NULL WHERE id = ?1 AND unsettled_boot IS NOT NULL",
            [branch.0 as i64],
        )?;
        Ok(())
    }

    /// A branch and its snapshots.
    pub(crate) fn parts(&self, branch: BranchId) -> Result<Vec<BranchId>, StorageError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare_cached("SELECT id FROM branches WHERE id = ?1 OR snapshot_of = ?1")?;
        let rows =
            statement.query_map([branch.0 as i64], |row| Ok(BranchId(row.get::<_, i64>(0)? as u64)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Layers of a branch and its snapshots that others read as well.
    pub(crate) fn shared_layers(&self, branch: BranchId) -> Result<HashSet<u64>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "WITH parts AS MATERIALIZED (SELECT id FROM branches WHERE id = ?1 OR snapshot_of = ?1),
             mine AS MATERIALIZED (SELECT layer FROM stacks WHERE branch IN parts)
             SELECT DISTINCT layer FROM stacks WHERE layer IN mine AND branch NOT IN parts",
        )?;
        let rows = statement.query_map([branch.0 as i64], |row| Ok(row.get::<_, i64>(0)? as u64))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Each branch with each layer of its stack.
    pub(crate) fn stacked_layers(&self) -> Result<Vec<(BranchId, LayerId)>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached("SELECT branch, layer FROM stacks")?;
        let rows = statement.query_map([], |row| {
            Ok((BranchId(row.get::<_, i64>(0)? as u64), LayerId(row.get::<_, i64>(1)? as u64)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Each branch with its stack, top first.
fn read_stacks(connection: &Connection) -> Result<Vec<(i64, Vec<StackLayer>)>, StorageError> {
    let mut statement = connection.prepare_cached(
        "SELECT stacks.branch, layers.id, layers.volatile_boot IS NULL FROM stacks
         JOIN layers ON layers.id = stacks.layer ORDER BY stacks.branch, stacks.height DESC",
    )?;
    let mut rows = statement.query([])?;
    let mut stacks: Vec<(i64, Vec<StackLayer>)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (branch, layer) =
            (row.get(0)?, StackLayer { id: row.get::<_, i64>(1)? as u64, durable: row.get(2)? });
        match stacks.last_mut() {
            Some((last, stack)) if *last == branch => stack.push(layer),
            _ => stacks.push((branch, vec![layer])),
        }
    }
    Ok(stacks)
}

fn configure(connection: &Connection, path: &Path) -> Result<(), StorageError> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    // With a write-ahead log, SQLite writes through memory that is mapped to a file. btrfs takes new room for each such write, and where
    // there is none, it ends the process.
    let journal = if is_btrfs(path) { "TRUNCATE" } else { "WAL" };
    connection.pragma_update(None, "journal_mode", journal)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    // Small: the engine's memory is counted, and the database has a few hundred rows.
    connection.pragma_update(None, "cache_size", -512)?;
    Ok(())
}

//! The store's metadata: one SQLite database, the truth about branches, stacks and settings.
//!
//! A commit is on the disk when it returns (`synchronous=FULL`). What a branch is made of is prepared first and
//! comes into being with the commit of its row.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use offshoot_pages::control::StackLayer;
use offshoot_postgres::Lsn;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use crate::error::StorageError;
use crate::{BranchId, LayerId};

/// The version of everything in a store.
pub(crate) const FORMAT: u32 = 1;

const SCHEMA: &str = "
CREATE TABLE properties (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE branches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    parent INTEGER,
    fork_lsn INTEGER,
    created_ms INTEGER NOT NULL,
    -- Set while what the branch stands on may not be on the disk: the boot in which it was made.
    unsettled_boot TEXT,
    trashed_ms INTEGER,
    -- Hours that an engine had run in all, and a number that counts up, when the branch went to the trash.
    trashed_hours INTEGER,
    trash_order INTEGER,
    -- The branch that took this one's place when it was reset.
    replaced_by INTEGER
) STRICT;
CREATE UNIQUE INDEX live_names ON branches (name) WHERE trashed_ms IS NULL;
CREATE TABLE layers (
    id INTEGER PRIMARY KEY,
    -- Set while the layer may hold pages that are not on the disk: the boot in which it was last written.
    volatile_boot TEXT
) STRICT;
CREATE TABLE stacks (
    branch INTEGER NOT NULL,
    -- Counts up from the bottom, so that freezing adds one row.
    height INTEGER NOT NULL,
    layer INTEGER NOT NULL,
    PRIMARY KEY (branch, height)
) STRICT, WITHOUT ROWID;
";

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
}

impl BranchRow {
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
        })
    }
}

/// The open database. One connection, used by one thread at a time.
pub(crate) struct Metadata(Mutex<Connection>);

impl Metadata {
    /// Makes the database of a new store.
    pub(crate) fn create(path: &Path) -> Result<Self, StorageError> {
        let connection = Connection::open(path)?;
        configure(&connection)?;
        connection.execute_batch(SCHEMA)?;
        connection.execute("INSERT INTO properties VALUES ('format', ?1)", [FORMAT.to_string()])?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Opens the database of a store.
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        let not_a_store = || StorageError::NotAStore { path: path.parent().unwrap_or(path).to_owned() };
        if !path.is_file() {
            return Err(not_a_store());
        }
        let connection = Connection::open(path)?;
        let metadata = Self(Mutex::new(connection));
        let format: Option<u32> = metadata.property("format")?.and_then(|format| format.parse().ok());
        match format {
            None => Err(not_a_store()),
            Some(found) if found > FORMAT => Err(StorageError::FormatTooNew { found, known: FORMAT }),
            Some(_) => {
                configure(&metadata.connection())?;
                Ok(metadata)
            }
        }
    }

    /// A number that changes with every change of the metadata.
    pub(crate) fn changes(&self) -> u64 {
        self.connection().total_changes()
    }

    /// Lets commits stay in memory, for tests that no kill concerns.
    #[cfg(test)]
    pub(crate) fn forget_durability(&self) {
        let _ = self.connection().pragma_update(None, "synchronous", "OFF");
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic in a transaction rolled it back: the connection is as good as before.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// All branches, the trash among them, oldest first.
    pub(crate) fn branches(&self) -> Result<Vec<BranchRow>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached("SELECT * FROM branches ORDER BY id")?;
        let rows = statement.query_map([], BranchRow::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn branch(&self, id: BranchId) -> Result<Option<BranchRow>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached("SELECT * FROM branches WHERE id = ?1")?;
        Ok(statement.query_row([id.0 as i64], BranchRow::read).optional()?)
    }

    pub(crate) fn live_branch(&self, name: &str) -> Result<Option<BranchRow>, StorageError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare_cached("SELECT * FROM branches WHERE name = ?1 AND trashed_ms IS NULL")?;
        Ok(statement.query_row([name], BranchRow::read).optional()?)
    }

    /// A number for a branch that is about to be made; it is not used again even if that fails.
    pub(crate) fn reserve_branch(
        &self,
        candidate: &std::sync::atomic::AtomicU64,
    ) -> Result<BranchId, StorageError> {
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

/// Takes the neighbours `gone`, top first, out of every stack, and puts `by`, a layer that is on the disk, in their place.
/// Returns those that no stack has any more.
pub(crate) fn replace_layers(
    transaction: &Transaction<'_>,
    gone: &[u64],
    by: Option<LayerId>,
) -> Result<Vec<LayerId>, StorageError> {
    if let Some(by) = by {
        transaction.execute("INSERT INTO layers (id, volatile_boot) VALUES (?1, NULL)", [by.0 as i64])?;
    }
    let holders: Vec<i64> = read_stacks(transaction)?
        .into_iter()
        .filter(|(_, stack)| {
            stack
                .windows(gone.len())
                .any(|window| window.iter().map(|layer| layer.id).eq(gone.iter().copied()))
        })
        .map(|(branch, _)| branch)
        .collect();
    for branch in holders {
        for (place, layer) in gone.iter().enumerate() {
            let to = by.filter(|_| place == 0);
            let (branch, layer) = (branch, *layer as i64);
            match to {
                Some(to) => transaction.execute(
                    "UPDATE stacks SET layer = ?3 WHERE branch = ?1 AND layer = ?2",
                    params![branch, layer, to.0 as i64],
                )?,
                None => transaction
                    .execute("DELETE FROM stacks WHERE branch = ?1 AND layer = ?2", params![branch, layer])?,
            };
        }
    }
    let mut statement = transaction
        .prepare_cached("DELETE FROM layers WHERE id NOT IN (SELECT layer FROM stacks) RETURNING id")?;
    let released = statement.query_map([], |row| Ok(LayerId(row.get::<_, i64>(0)? as u64)))?;
    Ok(released.collect::<Result<_, _>>()?)
}

fn configure(connection: &Connection) -> Result<(), StorageError> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    // Small: the engine's memory is counted, and the database has a few hundred rows.
    connection.pragma_update(None, "cache_size", -512)?;
    Ok(())
}

/// Adds a writable layer on top of a branch's stack.
pub(crate) fn push_layer(
    transaction: &Transaction<'_>,
    branch: BranchId,
    layer: LayerId,
    boot: &str,
) -> Result<(), StorageError> {
    transaction
        .execute("INSERT INTO layers (id, volatile_boot) VALUES (?1, ?2)", params![layer.0 as i64, boot])?;
    transaction.execute(
        "INSERT INTO stacks SELECT ?1, coalesce(max(height), 0) + 1, ?2 FROM stacks WHERE branch = ?1",
        params![branch.0 as i64, layer.0 as i64],
    )?;
    Ok(())
}

/// Takes a layer that nothing was written to off a branch's stack.
pub(crate) fn pop_layer(
    transaction: &Transaction<'_>,
    branch: BranchId,
    layer: LayerId,
) -> Result<(), StorageError> {
    transaction.execute(
        "DELETE FROM stacks WHERE branch = ?1 AND layer = ?2",
        params![branch.0 as i64, layer.0 as i64],
    )?;
    transaction.execute("DELETE FROM layers WHERE id = ?1", [layer.0 as i64])?;
    Ok(())
}

/// Gives a branch the stack `top` over `below` (top first).
pub(crate) fn write_stack(
    transaction: &Transaction<'_>,
    branch: BranchId,
    top: LayerId,
    below: &[StackLayer],
    boot: &str,
) -> Result<(), StorageError> {
    let mut statement = transaction.prepare_cached("INSERT INTO stacks VALUES (?1, ?2, ?3)")?;
    for (height, layer) in (1i64..).zip(below.iter().rev()) {
        statement.execute(params![branch.0 as i64, height, layer.id as i64])?;
    }
    push_layer(transaction, branch, top, boot)
}

/// Inserts a branch: from the commit on it exists.
pub(crate) fn insert_branch(transaction: &Transaction<'_>, row: &BranchRow) -> Result<(), StorageError> {
    transaction.execute(
        "INSERT INTO branches (id, name, parent, fork_lsn, created_ms, unsettled_boot) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            row.id.0 as i64,
            row.name,
            row.parent.map(|parent| parent.0 as i64),
            row.fork_lsn.map(|lsn| lsn.0 as i64),
            row.created_ms as i64,
            row.unsettled_boot,
        ],
    )?;
    Ok(())
}

/// Removes a branch that went with the machine, as if it had never been made: the state that it replaced in a reset is
/// back in its place, and its children are that one's, or its parent's.
pub(crate) fn lose_branch(transaction: &Transaction<'_>, branch: BranchId) -> Result<(), StorageError> {
    let lost =
        transaction.query_row("SELECT * FROM branches WHERE id = ?1", [branch.0 as i64], BranchRow::read)?;
    let replaced: Option<i64> = match lost.trashed_ms {
        None => transaction.query_row(
            "SELECT max(id) FROM branches WHERE replaced_by = ?1 AND trashed_ms IS NOT NULL",
            [branch.0 as i64],
            |row| row.get(0),
        )?,
        Some(_) => None,
    };
    let parent = lost.parent.map(|parent| parent.0 as i64);
    forget_branch(transaction, branch)?;
    transaction.execute(
        "UPDATE branches SET name = ?2, parent = ?3, trashed_ms = NULL, replaced_by = NULL WHERE id = ?1",
        params![replaced, lost.name, parent],
    )?;
    transaction.execute(
        "UPDATE branches SET parent = ?2 WHERE parent = ?1 AND id <> ?2",
        params![branch.0 as i64, replaced.or(parent)],
    )?;
    Ok(())
}

/// As [`forget_branch`], if the branch is in the trash; false if it is not.
pub(crate) fn forget_trashed(transaction: &Transaction<'_>, branch: BranchId) -> Result<bool, StorageError> {
    let trashed: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM branches WHERE id = ?1 AND trashed_ms IS NOT NULL)",
        [branch.0 as i64],
        |row| row.get(0),
    )?;
    if trashed {
        forget_branch(transaction, branch)?;
    }
    Ok(trashed)
}

/// Removes a branch and its stack; layers that no stack holds any more go too.
pub(crate) fn forget_branch(transaction: &Transaction<'_>, branch: BranchId) -> Result<(), StorageError> {
    transaction.execute("DELETE FROM branches WHERE id = ?1", [branch.0 as i64])?;
    transaction.execute("DELETE FROM stacks WHERE branch = ?1", [branch.0 as i64])?;
    transaction.execute("DELETE FROM layers WHERE id NOT IN (SELECT layer FROM stacks)", [])?;
    Ok(())
}

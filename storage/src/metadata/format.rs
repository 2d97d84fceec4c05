//! The tables of the metadata, and how those of older formats become the present ones.

use rusqlite::Transaction;

/// The version of everything in a store.
pub(crate) const FORMAT: u32 = 4;

/// The tables of format 1; newer ones are made of them by the steps below, so that there is one way to each.
const FIRST: &str = "
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
INSERT INTO properties VALUES ('format', '1');
";

/// Each makes the next format of the one before it, the first one format 2.
const STEPS: [&str; FORMAT as usize - 1] = ["
-- A snapshot is a branch that belongs to another one, lives and goes with it, and is in no list.
ALTER TABLE branches ADD COLUMN snapshot_of INTEGER;
ALTER TABLE branches ADD COLUMN snapshot_kind TEXT;
-- The checksum of the control file when the branch was made. Postgres writes another one to the disk before it changes anything
-- else: as long as it is the same, the branch is what its parent was. Not known of branches that are older than this column.
ALTER TABLE branches ADD COLUMN fork_control INTEGER;
DROP INDEX live_names;
CREATE UNIQUE INDEX live_names ON branches (name) WHERE trashed_ms IS NULL AND snapshot_of IS NULL;
CREATE UNIQUE INDEX snapshot_names ON branches (snapshot_of, snapshot_kind, name) WHERE snapshot_of IS NOT NULL;
-- What the caller keeps about a branch; it goes with the branch.
CREATE TABLE notes (
    branch INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (branch, key)
) STRICT, WITHOUT ROWID;
", "
-- Where it stands in time: the state of a branch whose WAL leads to it, when it was made in microseconds since 1970, and the
-- checksum of its control file then.
ALTER TABLE branches ADD COLUMN origin INTEGER;
ALTER TABLE branches ADD COLUMN moment_us INTEGER;
ALTER TABLE branches ADD COLUMN made_control INTEGER;
", "
-- What happened to branches, and when: see `events.rs`. It outlives them.
CREATE TABLE events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    branch INTEGER NOT NULL,
    name TEXT NOT NULL,
    other INTEGER,
    other_name TEXT,
    detail TEXT
) STRICT;
-- Of what is older than the table, as much as is known.
INSERT INTO events (at_us, kind, branch, name, other, other_name, detail)
    SELECT * FROM (
        SELECT one.created_ms * 1000 AS at_us, iif(before.id IS NULL, 'created', 'reset'), one.id, one.name,
            coalesce(before.id, one.parent), parent.name, NULL
        FROM branches one LEFT JOIN branches parent ON parent.id = one.parent
        LEFT JOIN branches before ON before.replaced_by = one.id AND before.id < one.id
        WHERE one.snapshot_of IS NULL AND one.name NOT LIKE '~%' GROUP BY one.id
        UNION ALL
        SELECT created_ms * 1000, 'snapshot', snapshot_of, (SELECT name FROM branches of WHERE of.id = taken.snapshot_of),
            NULL, NULL, name
        FROM branches taken WHERE snapshot_kind = 'named' AND snapshot_of IN (SELECT id FROM branches)
        UNION ALL
        SELECT trashed_ms * 1000, 'deleted', id, name, NULL, NULL, NULL
        FROM branches WHERE trashed_ms IS NOT NULL AND replaced_by IS NULL AND snapshot_of IS NULL
    ) ORDER BY at_us;
"];

/// Makes the tables of a new store.
pub(super) fn create(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(FIRST)?;
    upgrade(transaction, 1)
}

/// Brings the tables of format `found` to the present one.
pub(super) fn upgrade(transaction: &Transaction<'_>, found: u32) -> rusqlite::Result<()> {
    for step in STEPS.iter().skip(found.saturating_sub(1) as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.execute("UPDATE properties SET value = ?1 WHERE key = 'format'", [FORMAT.to_string()])?;
    Ok(())
}

//! Changes to the tables, each a part of a transaction.

use offshoot_pages::control::StackLayer;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{BranchRow, Past, read_stacks};
use crate::branches::now_ms;
use crate::error::StorageError;
use crate::snapshots::SnapshotKind;
use crate::{BranchId, LayerId};

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
        "INSERT INTO branches (id, name, parent, fork_lsn, created_ms, unsettled_boot, snapshot_of, snapshot_kind, fork_control,
            origin, moment_us, made_control)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            row.id.0 as i64,
            row.name,
            row.parent.map(|parent| parent.0 as i64),
            row.fork_lsn.map(|lsn| lsn.0 as i64),
            row.created_ms as i64,
            row.unsettled_boot,
            row.snapshot.map(|(of, _)| of.0 as i64),
            row.snapshot.map(|(_, kind)| kind.as_str()),
            row.fork_control,
            row.past.origin.map(|origin| origin.0 as i64),
            row.past.moment_us.map(|moment| moment as i64),
            row.past.made_control,
        ],
    )?;
    Ok(())
}

/// Removes a branch that went with the machine, as if it had never been made: the state that it replaced in a reset is
/// back in its place, and its children are that one's, or its parent's.
pub(crate) fn lose_branch(transaction: &Transaction<'_>, branch: BranchId) -> Result<(), StorageError> {
    let row = transaction
        .query_row("SELECT * FROM branches WHERE id = ?1", [branch.0 as i64], BranchRow::read)
        .optional()?;
    // A snapshot went with its branch.
    let Some(lost) = row else { return Ok(()) };
    let replaced: Option<i64> = match lost.trashed_ms {
        None => transaction.query_row(
            "SELECT max(id) FROM branches WHERE replaced_by = ?1 AND trashed_ms IS NOT NULL",
            [branch.0 as i64],
            |row| row.get(0),
        )?,
        Some(_) => None,
    };
    let parent = lost.parent.map(|parent| parent.0 as i64);
    if let Some(replaced) = replaced {
        adopt_snapshots(transaction, branch, BranchId(replaced as u64))?;
        replace_root(transaction, branch, BranchId(replaced as u64))?;
    }
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

/// Writes down a root branch that was just made, with its base layer and its top if it has layers.
pub(crate) fn insert_root(
    transaction: &Transaction<'_>,
    (id, name): (BranchId, &str),
    stack: Option<(LayerId, LayerId)>,
    boot: &str,
) -> Result<(), StorageError> {
    if let Some((base, top)) = stack {
        transaction.execute("INSERT INTO layers (id, volatile_boot) VALUES (?1, NULL)", [base.0 as i64])?;
        let base = StackLayer { id: base.0, durable: true };
        write_stack(transaction, id, top, &[base], boot)?;
    }
    let row = BranchRow {
        id,
        name: name.to_owned(),
        parent: None,
        fork_lsn: None,
        created_ms: now_ms(),
        unsettled_boot: None,
        trashed_ms: None,
        trashed_hours: None,
        trash_order: None,
        replaced_by: None,
        snapshot: None,
        fork_control: None,
        past: Past::default(),
    };
    insert_branch(transaction, &row)
}

/// The key of the note of a state in the trash whose successor is gone for good: what took the place of that.
pub(crate) const LEADS_TO: &str = "leads-to";

/// As [`forget_branch`], if the branch is in the trash; false if it is not.
pub(crate) fn forget_trashed(transaction: &Transaction<'_>, branch: BranchId) -> Result<bool, StorageError> {
    let trashed: bool = transaction.query_row(
        "SELECT EXISTS (SELECT 1 FROM branches WHERE id = ?1 AND trashed_ms IS NOT NULL)",
        [branch.0 as i64],
        |row| row.get(0),
    )?;
    if trashed {
        // What it took the place of is still a former state of what took its own: an undo has to find that.
        transaction.execute(
            "INSERT OR REPLACE INTO notes SELECT before.id, ?2, gone.replaced_by FROM branches before, branches gone
                WHERE before.replaced_by = gone.id AND gone.id = ?1 AND gone.replaced_by IS NOT NULL",
            params![branch.0 as i64, LEADS_TO],
        )?;
        transaction.execute(
            "UPDATE notes SET value = (SELECT replaced_by FROM branches WHERE id = ?1)
                WHERE key = ?2 AND CAST(value AS INTEGER) = ?1
                AND EXISTS (SELECT 1 FROM branches WHERE id = ?1 AND replaced_by IS NOT NULL)",
            params![branch.0 as i64, LEADS_TO],
        )?;
        forget_branch(transaction, branch)?;
    }
    Ok(trashed)
}

/// Makes the named snapshots of `from` those of `to`. What `from` was when it was forked stays its own.
pub(crate) fn adopt_snapshots(
    transaction: &Transaction<'_>,
    from: BranchId,
    to: BranchId,
) -> Result<(), StorageError> {
    give_snapshots(transaction, SnapshotKind::Named, from, to)
}

/// Makes the named snapshots of `from` those of `to`, but for names that `to` has: these stay with `from`, and go with it.
pub(crate) fn adopt_new_snapshots(
    transaction: &Transaction<'_>,
    from: BranchId,
    to: BranchId,
) -> Result<(), StorageError> {
    transaction.execute(
        "UPDATE branches SET snapshot_of = ?2 WHERE snapshot_of = ?1 AND snapshot_kind = ?3
            AND name NOT IN (SELECT name FROM branches WHERE snapshot_of = ?2 AND snapshot_kind = ?3)",
        params![from.0 as i64, to.0 as i64, SnapshotKind::Named.as_str()],
    )?;
    Ok(())
}

/// Makes the fork point of `from`, a state of a branch, the one of `to`, which is that state again.
pub(crate) fn move_fork_point(
    transaction: &Transaction<'_>,
    from: BranchId,
    to: BranchId,
) -> Result<(), StorageError> {
    give_snapshots(transaction, SnapshotKind::Fork, from, to)
}

fn give_snapshots(
    transaction: &Transaction<'_>,
    kind: SnapshotKind,
    from: BranchId,
    to: BranchId,
) -> Result<(), StorageError> {
    transaction.execute(
        "UPDATE branches SET snapshot_of = ?2 WHERE snapshot_of = ?1 AND snapshot_kind = ?3",
        params![from.0 as i64, to.0 as i64, kind.as_str()],
    )?;
    Ok(())
}

/// Makes `to` the root branch if `from` is it.
pub(crate) fn replace_root(
    transaction: &Transaction<'_>,
    from: BranchId,
    to: BranchId,
) -> Result<(), StorageError> {
    transaction.execute(
        "UPDATE properties SET value = ?2 WHERE key = 'root_branch' AND value = ?1",
        [from.to_string(), to.to_string()],
    )?;
    Ok(())
}

/// Makes the fork point of `from` the one of `to`, if that has none: of two states of a branch of which one is the other, taken
/// back to a snapshot. One of its own, made after both, stays.
pub(crate) fn adopt_fork_point(
    transaction: &Transaction<'_>,
    from: BranchId,
    to: BranchId,
) -> Result<(), StorageError> {
    transaction.execute(
        "UPDATE branches SET snapshot_of = ?2 WHERE snapshot_of = ?1 AND snapshot_kind = ?3
            AND created_ms < (SELECT max(created_ms) FROM branches WHERE id IN (?1, ?2))
            AND NOT EXISTS (SELECT 1 FROM branches WHERE snapshot_of = ?2 AND snapshot_kind = ?3)",
        params![from.0 as i64, to.0 as i64, SnapshotKind::Fork.as_str()],
    )?;
    Ok(())
}

/// The snapshots of a branch.
pub(crate) fn snapshot_ids(
    transaction: &Transaction<'_>,
    of: BranchId,
) -> Result<Vec<BranchId>, StorageError> {
    let mut statement = transaction.prepare_cached("SELECT id FROM branches WHERE snapshot_of = ?1")?;
    let ids = statement.query_map([of.0 as i64], |row| Ok(BranchId(row.get::<_, i64>(0)? as u64)))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// Removes snapshots whose branch is gone.
pub(crate) fn forget_ownerless(transaction: &Transaction<'_>) -> Result<(), StorageError> {
    let mut statement = transaction.prepare(
        "SELECT id FROM branches WHERE snapshot_of IS NOT NULL AND snapshot_of NOT IN (SELECT id FROM branches)",
    )?;
    let ids = statement.query_map([], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()?;
    ids.into_iter().try_for_each(|id| forget_branch(transaction, BranchId(id as u64)))
}

/// Removes a branch and its stack, with its snapshots and notes; layers that no stack holds any more go too.
pub(crate) fn forget_branch(transaction: &Transaction<'_>, branch: BranchId) -> Result<(), StorageError> {
    let id = [branch.0 as i64];
    transaction.execute(
        "DELETE FROM stacks WHERE branch = ?1 OR branch IN (SELECT id FROM branches WHERE snapshot_of = ?1)",
        id,
    )?;
    transaction.execute(
        "DELETE FROM notes WHERE branch = ?1 OR branch IN (SELECT id FROM branches WHERE snapshot_of = ?1)",
        id,
    )?;
    transaction.execute("DELETE FROM branches WHERE id = ?1 OR snapshot_of = ?1", id)?;
    transaction.execute("DELETE FROM layers WHERE id NOT IN (SELECT layer FROM stacks)", [])?;
    Ok(())
}

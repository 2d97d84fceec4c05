//! What the store has on the disk, and emptying its trash.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use offshoot_protocol::disk::{BranchDiskUsage, DiskShare, DiskUsage, PurgeParams, PurgeResult};
use offshoot_storage::{BranchId, BranchUsage, SeedCache};

use super::{Engine, room};
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::{sys, timestamp};

/// `disk/usage`.
pub(super) async fn usage(engine: &Arc<Engine>) -> Result<DiskUsage> {
    engine
        .blocking(|engine| {
            let begin = Instant::now();
            let usage = engine.store.usage()?;
            room::measured(engine, &usage, begin);
            let trash: HashMap<BranchId, u64> = engine
                .store
                .trash()?
                .into_iter()
                .map(|trashed| (trashed.id, timestamp::seconds(trashed.trashed_at)))
                .collect();
            let ids: Vec<BranchId> = trash.keys().copied().collect();
            let kept_as = engine.store.kept_as()?;
            let describe = |branch: &BranchUsage| BranchDiskUsage {
                id: branch.id.0,
                name: kept_as.get(&branch.id).unwrap_or(&branch.name).clone(),
                trashed_at: trash.get(&branch.id).copied(),
                own_bytes: branch.own_bytes,
                shared_bytes: branch.shared_bytes,
            };
            let mut branches: Vec<BranchDiskUsage> = usage.branches.iter().map(describe).collect();
            // Parents are older than their children.
            branches.sort_by_key(|branch| {
                (branch.trashed_at.is_some(), branch.trashed_at.map(std::cmp::Reverse), branch.id)
            });
            let share = |share: &offshoot_storage::Share| DiskShare {
                readers: share.readers.iter().map(|id| id.0).collect(),
                bytes: share.bytes,
            };
            let mut shares: Vec<DiskShare> = usage.shares.iter().map(share).collect();
            shares.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.readers.cmp(&b.readers)));
            let path = &engine.store.info().path;
            let free_bytes = sys::free_bytes(path).map_err(|error| {
                Failure::io(format!("see how much room there is at {}", path.display()), &error)
            })?;
            // A branch that is damaged is no reason not to tell of the others.
            let past = engine.store.kept_past().unwrap_or_default();
            let limits = room::limits(engine)?;
            let standby = engine.store.following()?.and_then(|following| following.standby);
            let seeds = Paths::from_env().map(|paths| SeedCache::list(&paths.seeds())).unwrap_or_default();
            Ok(DiskUsage {
                seed_cache_bytes: seeds.bytes(),
                max_bytes: limits.max_bytes,
                min_free_bytes: limits.min_free_bytes,
                total_bytes: usage.total_bytes(),
                other_bytes: usage.other_bytes,
                trash_bytes: usage.freed_by(&ids),
                free_bytes,
                past_wal_bytes: past.wal_bytes,
                past_snapshot_bytes: past.snapshot_bytes,
                standby_bytes: standby.map_or(0, |id| usage.freed_by(&[id])),
                standby: standby.map(|id| id.0),
                branches,
                shares,
            })
        })
        .await
}

/// `disk/purge`.
pub(super) async fn purge(engine: &Arc<Engine>, params: PurgeParams) -> Result<PurgeResult> {
    // Nobody brings back meanwhile what goes.
    let _structure = engine.structure.lock().await;
    let purged = engine
        .blocking(move |engine| {
            let trash = engine.store.trash()?;
            let kept_as = engine.store.kept_as()?;
            let is_called = |trashed: &offshoot_storage::Trashed, name: &String| {
                trashed.name == *name || kept_as.get(&trashed.id) == Some(name)
            };
            if let Some(absent) =
                params.names.iter().find(|name| !trash.iter().any(|trashed| is_called(trashed, name)))
            {
                return Err(not_in_trash(engine, absent)?);
            }
            let wanted = |trashed: &&offshoot_storage::Trashed| {
                params.names.is_empty() || params.names.iter().any(|name| is_called(trashed, name))
            };
            let ids: Vec<BranchId> = trash.iter().filter(wanted).map(|trashed| trashed.id).collect();
            let purged = engine.store.purge_trash_now(Some(&ids));
            room::freed(engine);
            Ok(purged?)
        })
        .await?;
    // What `undo` would bring back is told with the branches.
    engine.branches_changed();
    Ok(PurgeResult { branches: purged.branches, freed_bytes: purged.freed_bytes })
}

fn not_in_trash(engine: &Engine, name: &str) -> Result<Failure> {
    let failure = Failure::user(format!("there is no `{name}` in the trash"));
    Ok(match engine.store.branch_named(name)? {
        Some(_) => failure.hint(format!("It is there to be used. `offshoot branch delete {name}` first.")),
        None => failure.hint("`offshoot du` shows what is."),
    })
}

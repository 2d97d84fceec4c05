//! Branches that go to the trash by themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use offshoot_protocol::types::{Branch, ExpireParams, Subject};
use offshoot_storage::{BranchId, Store};

use tokio::sync::OwnedMutexGuard;

use super::book::{Book, By};
use super::{Engine, branches, hooks, policy};
use crate::failure::{Failure, Result};
use crate::timestamp;

/// How long until a branch is looked at again that is due and in use, in seconds.
const AGAIN: u64 = 60;

/// When the next branch is due, so that a look costs nothing most of the time.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    /// Seconds since 1970; `0` until the first look.
    next: AtomicU64,
}

impl Expiry {
    /// Something is due at `at`.
    pub(super) fn look_at(&self, at: u64) {
        self.next.fetch_min(at, Ordering::AcqRel);
    }
}

/// `branch/expire`.
pub(super) async fn set(engine: &Arc<Engine>, params: ExpireParams) -> Result<Branch> {
    let ExpireParams { name, at } = params;
    let id = branches::named(engine, &name).await?;
    if at.is_some() && id == engine.store.root_branch() {
        return Err(Failure::user(format!("`{name}` is the root branch, which every other branch rests on"))
            .hint("It cannot expire."));
    }
    engine.blocking(move |engine| Book(&engine.store).set_expiry(id, at, By::Person)).await?;
    if let Some(at) = at {
        engine.expiry.look_at(at);
    }
    tracing::info!(branch = %name, id = id.0, at, "changed a branch's expiry");
    engine.changed(Subject::Branches);
    branches::describe_one(engine, id).await
}

/// The moment so long after now, in seconds since 1970.
pub(super) fn after(ttl: Option<Duration>) -> Option<u64> {
    ttl.map(|ttl| timestamp::seconds(SystemTime::now() + ttl))
}

/// Notes when a branch goes that was just made; nothing if it stays. Blocks.
pub(super) fn begin(engine: &Engine, id: BranchId, at: Option<u64>, by: By) -> Result<()> {
    let Some(at) = at else { return Ok(()) };
    Book(&engine.store).set_expiry(id, Some(at), by)?;
    engine.expiry.look_at(at);
    Ok(())
}

/// Takes away an expiry that has passed: who brings a branch back wants to have it. Whether there was one.
pub(super) fn spare(store: &Store, id: BranchId) -> Result<bool> {
    let now = timestamp::seconds(SystemTime::now());
    match Book(store).expiry(id)? {
        Some(at) if at <= now => Book(store).set_expiry(id, None, By::Person).map(|()| true),
        _ => Ok(false),
    }
}

/// Moves what is due to the trash. What is in use stays, and is looked at again later.
pub(super) async fn run(engine: &Arc<Engine>, now: SystemTime) -> Result<()> {
    let now = timestamp::seconds(now);
    if engine.expiry.next.load(Ordering::Acquire) > now {
        return Ok(());
    }
    // Before the look, so that what is set meanwhile is not missed.
    engine.expiry.next.store(u64::MAX, Ordering::Release);
    let known = engine
        .blocking(move |engine| {
            let expiries = Book(&engine.store).expiries()?;
            let branches = engine.store.branches()?;
            let expiry = |branch: offshoot_storage::Branch| Some((branch.id, *expiries.get(&branch.id)?));
            Ok(branches.into_iter().filter_map(expiry).collect::<Vec<_>>())
        })
        .await
        .inspect_err(|_| engine.expiry.look_at(now + AGAIN))?;
    for (id, at) in known {
        if at > now {
            engine.expiry.look_at(at);
        } else if !expire(engine, id, now).await.inspect_err(|_| engine.expiry.look_at(now + AGAIN))? {
            engine.expiry.look_at(now + AGAIN);
        }
    }
    Ok(())
}

/// Moves `id` to the trash unless somebody needs it. Whether it is gone.
async fn expire(engine: &Arc<Engine>, id: BranchId, now: u64) -> Result<bool> {
    // What failed is told by its status.
    // Its turn is given back at once: the command wants to connect.
    let is_free = free(engine, id, now).await?.is_some();
    if !is_free || hooks::before_delete(engine, id, None).await.is_err() {
        return Ok(false);
    }
    let _structure = engine.structure.lock().await;
    let Some((name, turn)) = free(engine, id, now).await? else { return Ok(false) };
    branches::to_trash(engine, id, turn).await?;
    tracing::info!(branch = %name, id = id.0, "a branch expired");
    Ok(true)
}

/// The name of a branch that is due and that nobody needs, with its turn.
async fn free(engine: &Arc<Engine>, id: BranchId, now: u64) -> Result<Option<(String, OwnedMutexGuard<()>)>> {
    let stands_on = engine.binding.fresh_views().await?.iter().any(|view| view.branch.as_ref() == Ok(&id));
    // Waits for nobody who is about to use it.
    let turn = engine.computes.turn(id).await;
    if stands_on || engine.computes.connections(id) > 0 || engine.migrations.runs_on(id) {
        return Ok(None);
    }
    let name = engine
        .blocking(move |engine| {
            let book = Book(&engine.store);
            // Somebody may have changed his mind meanwhile.
            let due = book.expiry(id)?.is_some_and(|at| at <= now);
            let branches = engine.store.branches()?;
            let has_children = branches.iter().any(|branch| branch.parent == Some(id));
            let branch = branches.into_iter().find(|branch| branch.id == id);
            let free = due && !has_children && !book.is_protected(id)?;
            let rules = policy::now(engine)?;
            let branch = branch.filter(|branch| free && rules.guard(&branch.name).is_none());
            Ok(branch.map(|branch| branch.name))
        })
        .await?;
    Ok(name.map(|name| (name, turn)))
}

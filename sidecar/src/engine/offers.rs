//! What git did that leaves something to decide about databases: a branch that was left with something of its own, a merge, a rebase,
//! a revert. Nothing is done here: `offshoot status` and the editor tell of it once, and quietly.

mod left;
mod moved;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use offshoot_protocol::offers::{Offer, OfferKind};
use offshoot_protocol::snapshot::SnapshotParams;
use offshoot_protocol::types::Subject;
use offshoot_storage::BranchId;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::book::{Book, SeatKey};
use super::{Engine, policy, snapshots};
use crate::failure::Result;
use crate::names::quoted;
use crate::timestamp;

/// Signs of git may be lost; then this finds what happened.
const INTERVAL: Duration = Duration::from_secs(30);
/// Offers at a time; the oldest goes first.
const MOST: usize = 8;
/// Migrations that are named in a sentence.
const MOST_NAMES: usize = 3;

/// A checkout that led an endpoint elsewhere.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) key: SeatKey,
    /// The worktree.
    pub(super) path: PathBuf,
    pub(super) from: BranchId,
    pub(super) to: BranchId,
    /// Ends with how many transactions that has cut off.
    pub(super) drained: Option<JoinHandle<u32>>,
}

/// What is offered now.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    woken: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    shown: VecDeque<Shown>,
    leavings: VecDeque<Leaving>,
}

/// An offer, and what ends it.
#[derive(Debug)]
struct Shown {
    key: SeatKey,
    /// The branch that it is about; what takes its place is another one.
    about: BranchId,
    /// The branch whose migrations it names.
    runs_on: BranchId,
    offer: Offer,
}

impl Offers {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something in the git directory changed. Does not wait.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    /// An endpoint was led elsewhere. Does not wait.
    pub(super) fn left(&self, leaving: Leaving) {
        let mut state = self.state();
        if state.leavings.len() == MOST {
            state.leavings.pop_front();
        }
        state.leavings.push_back(leaving);
        self.woken.notify_one();
    }

    fn put(&self, engine: &Engine, shown: Shown) {
        {
            let mut state = self.state();
            let is_same = |one: &Shown| {
                (&one.key, one.about, one.offer.kind) == (&shown.key, shown.about, shown.offer.kind)
            };
            state.shown.retain(|one| !is_same(one));
            if state.shown.len() == MOST {
                state.shown.pop_front();
            }
            state.shown.push_back(shown);
        }
        engine.changed(Subject::Worktrees);
    }

    /// What is offered in a worktree whose endpoint leads to `here`. Blocks.
    pub(super) fn shown(&self, engine: &Engine, key: &SeatKey, here: BranchId) -> Vec<Offer> {
        let mut state = self.state();
        // What was left and come back to is not left any more; what is deleted or replaced is settled.
        state.shown.retain(|one| {
            let is_back = one.key == *key && one.offer.kind == OfferKind::Left && one.about == here;
            !is_back && engine.store.branch(one.about).is_ok()
        });
        let here = state.shown.iter().filter(|one| one.key == *key);
        let offers: Vec<_> = here.map(|one| (one.about, one.offer.clone())).collect();
        drop(state);
        offers.into_iter().filter_map(|(about, offer)| as_ruled(engine, about, offer)).collect()
    }

    /// Migrations ran on `id`.
    pub(super) fn applied(&self, id: BranchId) {
        let mut state = self.state();
        let is_done = |one: &Shown| one.runs_on == id && one.offer.kind != OfferKind::Merged;
        state.shown.retain(|one| one.offer.kind == OfferKind::Left || !is_done(one));
        for one in
            state.shown.iter_mut().filter(|one| one.runs_on == id && one.offer.kind == OfferKind::Merged)
        {
            one.offer.migrations.clear();
            word(&mut one.offer);
        }
    }

    /// Never mind what is offered in a worktree.
    pub(super) fn dismiss(&self, key: &SeatKey) {
        self.state().shown.retain(|one| one.key != *key);
    }

    /// Takes snapshots of the branches that were left, which settles that.
    pub(super) async fn keep_left(&self, engine: &Arc<Engine>, key: &SeatKey) -> Result<()> {
        let is_left = |one: &Shown| one.key == *key && one.offer.kind == OfferKind::Left;
        let branches: Vec<String> = self
            .state()
            .shown
            .iter()
            .filter(|one| is_left(one))
            .map(|one| one.offer.branch.clone())
            .collect();
        if branches.is_empty() {
            return Err(crate::failure::Failure::user("no branch was left with something of its own")
                .hint("`offshoot snapshot create B@NAME` takes a snapshot of any branch."));
        }
        let second = timestamp::utc(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default());
        let name = format!("left-{}", second.replace(['-', ':'], ""));
        for branch in branches {
            snapshots::create(engine, SnapshotParams { branch, name: name.clone() }).await?;
        }
        self.state().shown.retain(|one| !is_left(one));
        Ok(())
    }
}

/// Finds what there is to offer. Never returns while the engine runs.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut tips = moved::Tips::default();
    loop {
        let leavings = std::mem::take(&mut engine.offers.state().leavings);
        for leaving in leavings {
            let engine = Arc::clone(&engine);
            // By itself, as it waits for transactions.
            tokio::spawn(async move {
                if let Err(failure) = left::look(&engine, leaving).await {
                    tracing::debug!(error = %failure, "cannot tell what a checkout left behind");
                }
            });
        }
        if let Err(failure) = tips.look(&engine).await {
            tracing::debug!(error = %failure, "cannot tell what git did to branches");
        }
        let _ = tokio::time::timeout(INTERVAL, engine.offers.woken.notified()).await;
        if engine.is_stopping() {
            return;
        }
    }
}

/// The offer as rules have it now: a branch that is to stay is none to delete after a merge. `None` if that leaves nothing to decide.
fn as_ruled(engine: &Engine, about: BranchId, mut offer: Offer) -> Option<Offer> {
    if offer.kind == OfferKind::Merged && stays(engine, about, &offer.branch) {
        offer.keeps = true;
        word(&mut offer);
        return (!offer.migrations.is_empty()).then_some(offer);
    }
    Some(offer)
}

/// Whether a branch is protected, or a tier. One of which that is not known is not offered to be deleted. Blocks, not for long.
pub(super) fn stays(engine: &Engine, id: BranchId, name: &str) -> bool {
    let is_kept = || -> Result<bool> {
        let rules = policy::now(engine)?;
        Ok(Book(&engine.store).is_protected(id)? || rules.guard(name).is_some() || rules.tier(name).is_some())
    };
    is_kept().unwrap_or(true)
}

/// Says an offer in words.
fn word(offer: &mut Offer) {
    let Offer { kind, branch, into, migrations, changes, transactions, keeps, .. } = &*offer;
    let (into, count) = (into.as_deref().unwrap_or_default(), migrations.len());
    let named = named(migrations);
    let name = quoted(branch);
    let (its, wait) = if count == 1 { ("migration", "waits") } else { ("migrations", "wait") };
    (offer.text, offer.hint) = match kind {
        OfferKind::Left => {
            let mut parts = Vec::new();
            if *changes {
                parts.push("changes of its schema that are in no migration".to_owned());
            }
            if count > 0 {
                parts.push(format!("{count} {its} that `{into}` lacks ({named})"));
            }
            match transactions {
                0 => (),
                1 => parts.push("a transaction that was open, and is rolled back".to_owned()),
                many => parts.push(format!("{many} transactions that were open, and are rolled back")),
            }
            (
                format!("`{branch}` was left with {}", parts.join("; and with ")),
                format!(
                    "`git switch {name}` and `offshoot migrations new NAME` write a migration, `offshoot answer snapshot` keeps a \
                     snapshot.\n`offshoot status --dismiss`: never mind. `on_leave` in offshoot.toml says it for all."
                ),
            )
        }
        OfferKind::Merged => {
            let delete = if *keeps {
                String::new()
            } else {
                format!("`offshoot branch delete {name}` moves its database branch to the trash.\n")
            };
            let never =
                "`offshoot status --dismiss`: never mind. `on_merge` in offshoot.toml says it for all.";
            if count == 0 {
                (format!("git branch `{branch}` was merged into `{into}`"), format!("{delete}{never}"))
            } else {
                (
                    format!(
                        "git branch `{branch}` was merged into `{into}`, on which {count} {its} {wait} ({named})"
                    ),
                    format!(
                        "`offshoot migrations apply --throwaway` tries them, `offshoot migrations apply` runs them.\n{delete}{never}"
                    ),
                )
            }
        }
        OfferKind::Rebased => (
            format!(
                "git branch `{branch}` was rebased; its database is the one from before, on which {count} {its} {wait} ({named})"
            ),
            format!(
                "`offshoot branch reset {name}` and `offshoot migrations apply` start anew from its parent; `offshoot undo {name}` brings \
                 back what it has now.\n`offshoot migrations apply` runs them where they are. `offshoot status --dismiss`: never mind."
            ),
        ),
        OfferKind::Reverted => (
            format!(
                "a commit was reverted on `{branch}`, and {count} {its} of it {} still applied ({named})",
                if count == 1 { "is" } else { "are" }
            ),
            format!(
                "`offshoot migrations undo` goes back to before the newest ones ran, `offshoot branch reset {name}` to what its parent has.\n\
                 To run what takes a migration back: `git checkout HEAD~1 -- FILE`, `offshoot migrations down`, `git checkout HEAD -- .`.\n\
                 `offshoot status --dismiss`: never mind."
            ),
        ),
    };
}

fn named(migrations: &[String]) -> String {
    let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut names: Vec<String> = migrations.iter().take(MOST_NAMES).map(name).collect();
    if migrations.len() > MOST_NAMES {
        names.push(format!("{} more", migrations.len() - MOST_NAMES));
    }
    names.join(", ")
}

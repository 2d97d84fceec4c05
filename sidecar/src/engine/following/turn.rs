//! A turn: what the source has is fetched, and a fresh root takes its place.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use offshoot_postgres::Progress;
use offshoot_protocol::error::Reason;
use offshoot_protocol::follow::{FollowState, FollowTurn};
use offshoot_storage::{FreshRoot, Seed, StorageError, check_masking};

use super::super::policy::Deed;
use super::super::reporter::unless_cancelled;
use super::super::server::Call;
use super::super::{Engine, branches, refresh, room};
use super::agreed::Copies;
use super::{FRESH, Moving, Quiet, followed};
use crate::config::{ConfigFile, broken};
use crate::failure::{Failure, Result};
use crate::{init, timestamp};

/// How long transactions may go on in the old root.
const GRACE: Duration = Duration::from_secs(5);

/// What was fetched.
struct Fetched {
    /// When the source was looked at.
    at: SystemTime,
    has_news: bool,
    notes: Vec<String>,
    seeds: Vec<Seed>,
}

/// A turn that nobody asked for. It leaves a root alone that is in use.
pub(super) async fn by_itself(engine: &Arc<Engine>) -> Result<()> {
    let done = try_by_itself(engine).await;
    if let Err(failure) = &done {
        take_in(engine, failure);
    }
    done
}

async fn try_by_itself(engine: &Arc<Engine>) -> Result<()> {
    let fetched = engine.blocking(|engine| fetch(engine, &Quiet(Arc::clone(engine)))).await?;
    let mut is_placed = !fetched.has_news;
    if !is_placed && !is_in_use(engine) {
        let seeds = fetched.seeds;
        let fork = move |engine: &Arc<Engine>| {
            let copies = Copies::of(&seeds)?;
            copies.check(engine)?;
            let fresh = engine.store.fork_followed(&copies.seeds, &Quiet(Arc::clone(engine)));
            Ok(fresh.map_err(|error| copies.named(error))?)
        };
        let fresh = engine.blocking(fork).await?;
        is_placed = place(engine, fresh, None, None).await?;
    }
    if is_placed {
        return is_fresh(engine, fetched.at).await;
    }
    engine.following.set(FollowState::InUse, None);
    engine.branches_changed();
    Ok(())
}

/// A turn that a client waits for. Connections to the old root end.
pub(super) async fn asked_for(engine: &Arc<Engine>, deed: Option<Deed>, call: &Call) -> Result<FollowTurn> {
    let done = try_asked_for(engine, deed, call).await;
    if let Err(failure) = &done {
        take_in(engine, failure);
    }
    done
}

async fn try_asked_for(engine: &Arc<Engine>, deed: Option<Deed>, call: &Call) -> Result<FollowTurn> {
    let mut fetched = unless_cancelled(engine, call, fetch).await?;
    // Also without news: what comes next runs them.
    let seeds = std::mem::take(&mut fetched.seeds);
    let agree = move |engine: &Arc<Engine>| {
        let copies = Copies::of(&seeds)?;
        copies.agree(engine)?;
        Ok(copies)
    };
    let copies = engine.blocking(agree).await?;
    let refreshed = fetched.has_news;
    if refreshed {
        let fork = move |engine: &Arc<Engine>, progress: &dyn Progress| {
            let fresh = engine.store.fork_followed(&copies.seeds, progress);
            Ok(fresh.map_err(|error| copies.named(error))?)
        };
        let mut fresh = unless_cancelled(engine, call, fork).await?;
        fetched.notes.append(&mut fresh.notes);
        place(engine, fresh, deed, Some(call)).await?;
    }
    is_fresh(engine, fetched.at).await?;
    let notes = fetched.notes;
    engine
        .blocking(move |engine| {
            let all = engine.store.branches()?;
            let old = refresh::stale(&engine.store, &all)?;
            let stale = all.iter().filter(|one| old.contains_key(&one.id)).map(|one| one.name.clone());
            let following = followed(engine)?.ok_or_else(|| Failure::user("nothing is followed any more"))?;
            let branch = engine.store.branch(engine.store.root_branch())?.name;
            Ok(FollowTurn { following, branch, refreshed, notes, stale: stale.collect() })
        })
        .await
}

/// Fetches what the source has. Blocks.
fn fetch(engine: &Arc<Engine>, progress: &dyn Progress) -> Result<Fetched> {
    match engine.store.following()? {
        Some(following) if following.standby.is_none() => {
            // A start that ended with its engine.
            engine.store.clear_following()?;
            return Err(Failure::user("a start to follow was cut short, and is cleared away")
                .hint("`offshoot follow start --from URL` follows a source."));
        }
        Some(_) => {}
        None => {
            return Err(Failure::user("nothing is followed").hint(
                "`offshoot refresh --from SOURCE` brings new data once; `offshoot follow start --from URL` follows a server.",
            ));
        }
    }
    engine.following.begins();
    room::admit(engine)?;
    let main = engine.repository.worktrees().ok().and_then(|all| all.into_iter().next());
    let (mut masking, mut seeds) = (Vec::new(), Vec::new());
    if let Some(main) = main {
        let file = ConfigFile::open(&main.path);
        if let Some(error) = file.error() {
            return Err(broken(error));
        }
        masking.clone_from(&file.config().masking);
        // Nobody is there who could agree to the command.
        seeds = init::seed::files(file.config(), &main.path)?;
    }
    if let Err(error) = check_masking(&masking) {
        let hint = "`offshoot follow stop` removes the standby, which holds the data as they are; `offshoot refresh --from URL` \
                    masks them on the way.";
        engine.following.set(FollowState::Masking, Some((error.to_string(), Some(hint.to_owned()))));
        return Err(Failure::from(error).hint(hint));
    }
    let at = SystemTime::now();
    let turn = match engine.store.fetch_followed(&Moving(&engine.following, progress)) {
        Ok(turn) => turn,
        Err(StorageError::Follow(trouble)) => {
            let state = FollowState::parse(trouble.state()).unwrap_or(FollowState::Failed);
            engine.following.set(state, Some((trouble.to_string(), Some(trouble.hint()))));
            return Err(StorageError::Follow(trouble).into());
        }
        Err(error) => return Err(error.into()),
    };
    let mut notes = Vec::new();
    if turn.slot_made_anew {
        notes.push("the slot was gone from the source and was made anew; nothing was missed".to_owned());
    }
    engine.following.told().seen = Some(turn.seen);
    if turn.has_news {
        engine.following.moves();
    }
    Ok(Fetched { at, has_news: turn.has_news, notes, seeds })
}

/// Takes in why a turn brought nothing, unless that is known more exactly.
fn take_in(engine: &Arc<Engine>, failure: &Failure) {
    if engine.following.told().state.is_well() {
        if failure.is(Reason::Cancelled) {
            engine.following.set(FollowState::Waiting, None);
        } else {
            let trouble = (failure.0.message.clone(), failure.0.hint.clone());
            engine.following.set(FollowState::Failed, Some(trouble));
        }
    }
    engine.branches_changed();
}

/// The root has what the source had at `at`.
async fn is_fresh(engine: &Arc<Engine>, at: SystemTime) -> Result<()> {
    engine.following.set(FollowState::Current, None);
    let keep =
        move |engine: &Arc<Engine>| Ok(engine.store.put(FRESH, Some(&timestamp::seconds(at).to_string()))?);
    engine.blocking(keep).await?;
    engine.branches_changed();
    Ok(())
}

/// Whether somebody is connected to the root, or applies migrations to it.
fn is_in_use(engine: &Arc<Engine>) -> bool {
    let root = engine.store.root_branch();
    engine.computes.connections(root) > 0 || engine.migrations.check_idle(root).is_err()
}

/// Puts a fresh root in its place. With a `call` the old one's connections end; without, it is left alone if it is in use, and the
/// answer is no.
async fn place(
    engine: &Arc<Engine>,
    fresh: FreshRoot,
    deed: Option<Deed>,
    call: Option<&Call>,
) -> Result<bool> {
    let throwaway = fresh.throwaway;
    let placed = take_place(engine, fresh, deed, call).await;
    if !matches!(placed, Ok(true)) {
        let remove = move |engine: &Arc<Engine>| Ok(engine.store.remove_throwaway(throwaway)?);
        engine.blocking(remove).await?;
    }
    placed
}

async fn take_place(
    engine: &Arc<Engine>,
    fresh: FreshRoot,
    deed: Option<Deed>,
    call: Option<&Call>,
) -> Result<bool> {
    let _structure = engine.structure.lock().await;
    let old = engine.store.root_branch();
    let name = engine.blocking(move |engine| Ok(engine.store.branch(old)?.name)).await?;
    if let Some(deed) = deed {
        branches::unguarded(engine, old, &name, deed).await?;
    }
    let turn = engine.computes.turn(old).await;
    match call {
        Some(call) => call.or_cancelled(engine.binding.drain(old, GRACE)).await?,
        // A connection takes its lease before it waits for its turn.
        None if is_in_use(engine) => return Ok(false),
        None => {}
    }
    let is_ours = engine.following.told().placed == Some(old);
    let is_unused = is_ours && engine.activity.is_untouched(old);
    let new = engine
        .blocking(move |engine| {
            let branch = engine.store.place_followed(fresh, is_unused)?;
            engine.forget(old);
            tracing::info!(branch = %branch.name, old = old.0, id = branch.id.0, "has what the source has");
            Ok(branch.id)
        })
        .await?;
    engine.following.told().placed = Some(new);
    engine.generation.fetch_add(1, Ordering::AcqRel);
    engine.binding.replaced(old, Some(new)).await?;
    drop(turn);
    Ok(true)
}

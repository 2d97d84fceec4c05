//! What is asked of branches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offshoot_git::Head;
use offshoot_protocol::follow::Follows;
use offshoot_protocol::types::{
    Branch, BranchParams, ComputeState, CreateParams, GuardedParams, Nothing, ProtectParams, RenameParams,
    Subject, UndoParams, UndoResult, UrlResult,
};
use offshoot_storage::{BranchId, BranchSize, Former, StorageError, Store};
use tokio::sync::OwnedMutexGuard;

use super::binding::View;
use super::book::{Book, By};
use super::computes::{Passing, Usage};
use super::policy::{self, Birthplace, Deed};
use super::prepare::Preparing;
use super::server::Call;
use super::upstream::WakeError;
use super::{Engine, detached, expiry, following, hooks, past, prepare, refresh, room, snapshots, worktrees};
use crate::failure::{Failure, Result};
use crate::{names, timestamp};

/// How long transactions may go on in a branch that is reset.
const RESET_GRACE: Duration = Duration::from_secs(5);

/// One branch as the wire has it.
pub(super) async fn describe_one(engine: &Arc<Engine>, id: BranchId) -> Result<Branch> {
    let views = engine.binding.views().await?;
    engine
        .blocking(move |engine| {
            let branch = engine.store.branch(id)?;
            let size = engine.store.size(id)?;
            let rules = policy::now(engine)?;
            let in_git = engine.repository.has_branch(&branch.name).unwrap_or(false);
            let by_hand = Book(&engine.store).is_protected(id)?;
            let marks = Marks {
                max_bytes: rules.max_bytes(&branch.name),
                in_git,
                promotes_to: rules.promotes_to(&branch.name).filter(|_| in_git),
                protected: by_hand || rules.guard(&branch.name).is_some(),
                overridable: !by_hand && rules.may_override_guard(&branch.name),
                expires_at: Book(&engine.store).expiry(id)?,
                stale_since: refresh::stale(&engine.store, &engine.store.branches()?)?.get(&id).copied(),
                usage: engine.computes.usage_of(id),
                follows: if branch.is_root { following::in_short(engine)? } else { None },
            };
            Ok(describe(branch, size, marks, &views))
        })
        .await
}

/// The branch that an endpoint leads to; or what took its place, as a reset is done before endpoints are told of it; or, where it was
/// deleted, the root. Blocks.
pub(super) fn here(store: &Store, id: BranchId) -> Result<offshoot_storage::Branch> {
    let mut next = id;
    loop {
        let error = match store.branch(next) {
            Err(error @ StorageError::NoSuchBranch { .. }) => error,
            found => return Ok(found?),
        };
        let successor = store.undoable(&Former::Id(next))?.and_then(|former| former.replaces);
        let other = successor.unwrap_or_else(|| store.root_branch());
        if other == next {
            return Err(error.into());
        }
        next = other;
    }
}

/// [`describe_one`] of the branch that an endpoint leads to by now.
pub(super) async fn describe_here(engine: &Arc<Engine>, id: BranchId) -> Result<Branch> {
    let mut id = id;
    loop {
        let failure = match describe_one(engine, id).await {
            Ok(branch) => return Ok(branch),
            Err(failure) => failure,
        };
        let now = engine.blocking(move |engine| Ok(here(&engine.store, id)?.id)).await?;
        if now == id {
            return Err(failure);
        }
        id = now;
    }
}

/// What others than the store know of a branch.
pub(super) struct Marks {
    pub(super) in_git: bool,
    pub(super) protected: bool,
    pub(super) overridable: bool,
    pub(super) expires_at: Option<u64>,
    pub(super) max_bytes: Option<u64>,
    pub(super) stale_since: Option<u64>,
    pub(super) usage: Usage,
    pub(super) follows: Option<Follows>,
    pub(super) promotes_to: Option<String>,
}

pub(super) fn describe(
    branch: offshoot_storage::Branch,
    size: BranchSize,
    marks: Marks,
    views: &[View],
) -> Branch {
    let here = views.iter().filter(|view| view.branch.as_ref() == Ok(&branch.id));
    Branch {
        id: branch.id.0,
        worktrees: here.map(|view| view.path.to_string_lossy().into_owned()).collect(),
        connections: marks.usage.connections,
        name: branch.name,
        parent: branch.parent_name,
        fork_lsn: branch.fork_lsn.map(|lsn| lsn.to_string()),
        created_at: timestamp::seconds(branch.created_at),
        state: state(branch.state, marks.usage.passing),
        failure: branch.failure,
        root: branch.is_root,
        own_bytes: size.own_bytes,
        shared_bytes: size.shared_bytes,
        in_git: marks.in_git,
        protected: marks.protected,
        overridable: marks.overridable,
        expires_at: marks.expires_at,
        max_bytes: marks.max_bytes,
        stale_since: marks.stale_since,
        follows: marks.follows,
        promotes_to: marks.promotes_to,
    }
}

pub(super) fn state(state: offshoot_storage::ComputeState, passing: Option<Passing>) -> ComputeState {
    use offshoot_storage::ComputeState as S;
    match state {
        S::Asleep | S::Failed if passing == Some(Passing::Waking) => ComputeState::Waking,
        S::Awake if passing == Some(Passing::Stopping) => ComputeState::Stopping,
        S::Asleep => ComputeState::Asleep,
        S::Waking => ComputeState::Waking,
        S::Awake => ComputeState::Awake,
        S::Stopping => ComputeState::Stopping,
        S::Failed => ComputeState::Failed,
    }
}

/// `branch/create`.
pub(super) async fn create(
    engine: &Arc<Engine>,
    params: CreateParams,
    call: Option<&Call>,
) -> Result<Branch> {
    names::check(&params.name)?;
    let moment = past::moment(&params)?;
    let name = params.name.clone();
    let birth = engine.blocking(move |engine| Ok(policy::now(engine)?.birth(&name))).await?;
    if let Some(from) = &params.from {
        policy::check_parent(&params.name, from, &birth, params.override_rules)?;
    }
    let parent = match (&params.from, &params.path) {
        (None, _) if birth.parent.is_some() && !params.override_rules => {
            ruled_parent(engine, &params.name, &birth).await?
        }
        (Some(from), _) => match snapshots::parent(engine, from).await? {
            Some(snapshot) if !is_branch(engine, from).await? => snapshot,
            _ => named(engine, from).await?,
        },
        (None, Some(path)) => {
            let seat = worktrees::seat(engine, path).await?;
            engine.binding.settle(&seat).await?
        }
        (None, None) => engine.store.root_branch(),
    };
    let from = if moment.is_some() { Birthplace::PastOf(parent) } else { Birthplace::Of(parent) };
    let (name, overridden) = (params.name.clone(), params.override_rules);
    let may = move |engine: &Arc<Engine>| {
        policy::may_be_made(engine, &name, from, &format!("offshoot branch create {name}"), overridden)
    };
    engine.blocking(may).await?;
    let name = params.name.clone();
    let preparing = engine.blocking(move |engine| Preparing::begin(Arc::clone(engine), &name)).await?;
    let made = match moment.zip(call) {
        Some((moment, call)) => {
            let (name, overridden) = (params.name.clone(), params.override_rules);
            let admit = move |engine: &Arc<Engine>| {
                policy::admit(engine, &policy::now(engine)?, &name, overridden).map(drop)
            };
            engine.blocking(admit).await?;
            Some(past::create(engine, params.name.clone(), parent, moment, call).await?)
        }
        None => None,
    };
    let turn = engine.computes.turn(parent).await;
    let id = engine
        .blocking(move |engine| {
            let _turn = turn;
            let branch = if let Some(made) = made {
                made
            } else {
                room::admit(engine)?;
                let rules = policy::now(engine)?;
                let _births = policy::admit(engine, &rules, &params.name, params.override_rules)?;
                let begun = Instant::now();
                let branch = engine.store.create_branch(&params.name, parent)?;
                engine.schemas.born(branch.id, parent, begun);
                branch
            };
            preparing.finish(branch.id)?;
            room::made(engine, branch.id);
            Book(&engine.store).set_parent(&branch.name, None)?;
            if engine.repository.has_branch(&branch.name).unwrap_or(false) {
                Book(&engine.store).set_name_in_git(branch.id, Some(&branch.name))?;
            }
            let by = if params.expires_at.is_some() { By::Person } else { By::Rule };
            expiry::begin(engine, branch.id, params.expires_at.or_else(|| expiry::after(birth.ttl)), by)?;
            tracing::info!(branch = %branch.name, id = branch.id.0, parent = parent.0, "made a branch");
            Ok(branch.id)
        })
        .await?;
    engine.branches_changed();
    hooks::after_create(engine, id, None, hooks::Made::ByHand).await?;
    describe_one(engine, id).await
}

/// `branch/delete`.
pub(super) async fn delete(engine: &Arc<Engine>, params: GuardedParams) -> Result<Nothing> {
    let command = format!("offshoot branch delete {}", params.name);
    let deed = Deed::new(&command, params.override_rules);
    if !params.override_rules {
        // First what would refuse it anyway: a command must not run for nothing.
        let id = deletable(engine, &params.name, deed.clone()).await?;
        hooks::before_delete(engine, id, Some(&command)).await?;
    }
    let _structure = engine.structure.lock().await;
    let id = deletable(engine, &params.name, deed).await?;
    let name = params.name;
    let turn = engine.computes.turn(id).await;
    engine.binding.drain(id, Duration::ZERO).await?;
    to_trash(engine, id, turn).await?;
    tracing::info!(branch = %name, id = id.0, "deleted a branch");
    Ok(Nothing {})
}

/// The branch that is to be deleted, unless something is in the way.
async fn deletable(engine: &Arc<Engine>, name: &str, deed: Deed) -> Result<BranchId> {
    let id = named(engine, name).await?;
    if id == engine.store.root_branch() {
        return Err(Failure::user(format!("`{name}` is the root branch, which every other branch rests on"))
            .hint("Delete other branches, or rename this one with `offshoot branch rename`."));
    }
    unguarded(engine, id, name, deed).await?;
    if let Some(view) =
        engine.binding.fresh_views().await?.iter().find(|view| view.branch.as_ref() == Ok(&id))
    {
        let checked_out = matches!(&view.head, Some(Head::Branch(head)) if head == name);
        let hint = if checked_out {
            format!(
                "Check out another git branch there first; `offshoot branch reset {name}` takes its data back instead."
            )
        } else {
            "Check out a git branch with a database branch of its own there first.".to_owned()
        };
        return Err(
            Failure::user(format!("the worktree {} stands on `{name}`", view.path.display())).hint(hint)
        );
    }
    Ok(id)
}

/// Moves a branch to the trash that nobody is connected to. The caller holds the structure and the branch's turn.
pub(super) async fn to_trash(engine: &Arc<Engine>, id: BranchId, turn: OwnedMutexGuard<()>) -> Result<()> {
    engine
        .blocking(move |engine| {
            let _turn = turn;
            let name = engine.store.branch(id)?.name;
            engine.store.delete_branch(id)?;
            engine.forget(id);
            hooks::forget(engine, id, &name);
            Ok(())
        })
        .await?;
    engine.generation.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
    engine.binding.replaced(id, None).await?;
    engine.branches_changed();
    Ok(())
}

/// `branch/rename`.
pub(super) async fn rename(engine: &Arc<Engine>, params: RenameParams) -> Result<Branch> {
    names::check(&params.to)?;
    let _structure = engine.structure.lock().await;
    let id = named(engine, &params.name).await?;
    let (from, to) = (params.name, params.to);
    let deed = Deed::new(format!("offshoot branch rename {from} {to}"), params.override_rules);
    unguarded(engine, id, &from, deed).await?;
    let follows = |view: &&View| matches!(&view.head, Some(Head::Branch(head)) if *head == from);
    if let Some(view) = engine.binding.fresh_views().await?.iter().find(follows) {
        let text = format!(
            "git branch `{from}` is checked out in {}, and its database carries its name",
            view.path.display()
        );
        return Err(Failure::user(text).hint(format!("`git branch -m {from} {to}` renames both.")));
    }
    let turn = engine.computes.turn(id).await;
    engine
        .blocking(move |engine| {
            let _turn = turn;
            engine.store.rename_branch(id, &to)?;
            Book(&engine.store).set_parent(&to, None)?;
            tracing::info!(branch = %to, id = id.0, from, "renamed a branch");
            Ok(())
        })
        .await?;
    engine.branches_changed();
    describe_one(engine, id).await
}

/// `branch/reset`.
pub(super) async fn reset(engine: &Arc<Engine>, params: GuardedParams, call: &Call) -> Result<Branch> {
    let _structure = engine.structure.lock().await;
    let id = named(engine, &params.name).await?;
    let deed = Deed::new(format!("offshoot branch reset {}", params.name), params.override_rules);
    unguarded(engine, id, &params.name, deed).await?;
    let turn = engine.computes.turn(id).await;
    let parent = engine.blocking(move |engine| {
        let branch = engine.store.branch(id)?;
        branch.parent.ok_or_else(|| StorageError::HasNoParent { name: branch.name }.into())
    });
    let parent = parent.await?;
    let (name, overridden) = (params.name.clone(), params.override_rules);
    let may = move |engine: &Arc<Engine>| {
        let command = format!("offshoot branch reset {name}");
        policy::may_be_made(engine, &name, Birthplace::Of(parent), &command, overridden)
    };
    engine.blocking(may).await?;
    call.progress("closing connections", 0, Some(2));
    call.or_cancelled(engine.binding.drain(id, RESET_GRACE)).await?;
    call.progress("resetting", 1, Some(2));
    let parents_turn = engine.computes.turn(parent).await;
    let new = engine
        .blocking(move |engine| {
            let _parents_turn = parents_turn;
            let begun = Instant::now();
            let branch = engine.store.reset_branch(id)?;
            Book(&engine.store).keep_expiry(id, branch.id)?;
            let book = Book(&engine.store);
            book.set_name_in_git(branch.id, book.name_in_git(id)?.as_deref())?;
            engine.schemas.born(branch.id, parent, begun);
            prepare::prepare_again(engine, branch.id, id, &branch.name)?;
            engine.forget(id);
            tracing::info!(branch = %branch.name, old = id.0, id = branch.id.0, "reset a branch");
            Ok(branch.id)
        })
        .await?;
    engine.generation.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
    engine.binding.replaced(id, Some(new)).await?;
    drop(turn);
    engine.branches_changed();
    describe_one(engine, new).await
}

/// `branch/undo`.
pub(super) async fn undo(engine: &Arc<Engine>, params: UndoParams) -> Result<UndoResult> {
    let _structure = engine.structure.lock().await;
    let overridden = params.override_rules;
    let meant = match params {
        UndoParams { id: Some(id), .. } => Former::Id(BranchId(id)),
        UndoParams { name: Some(name), .. } => Former::Named(name),
        UndoParams { .. } => Former::Last,
    };
    let asked = meant.clone();
    let undoable = engine.blocking(move |engine| Ok(engine.store.undoable(&asked)?)).await?;
    if let Some((id, name)) = undoable.and_then(|undoable| Some((undoable.replaces?, undoable.name))) {
        let deed = Deed::new(format!("offshoot undo {name}"), overridden);
        unguarded(engine, id, &name, deed).await?;
    }
    let (undone, before, had_expired) = engine
        .blocking(move |engine| {
            let before = engine.store.branches()?;
            let undone = engine.store.undo(&meant).map_err(|error| not_there(error, &meant))?;
            let had_expired = expiry::spare(&engine.store, undone.branch.id)?;
            detached::keep(engine, undone.branch.id)?;
            let (book, name) = (Book(&engine.store), &undone.branch.name);
            book.set_parent(name, None)?;
            // Who brings a branch back wants to have it, whether git has one of its name or not.
            let in_git = engine.repository.has_branch(name).unwrap_or(false);
            book.set_name_in_git(undone.branch.id, in_git.then_some(name))?;
            Ok((undone, before, had_expired))
        })
        .await?;
    let new = undone.branch.id;
    tracing::info!(branch = %undone.branch.name, id = new.0, "brought a branch back");
    engine.generation.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
    let displaced = before.iter().find(|branch| branch.name == undone.branch.name && branch.id != new);
    if let Some(old) = displaced {
        engine.binding.drain(old.id, Duration::ZERO).await?;
        engine.forget(old.id);
        engine.binding.replaced(old.id, Some(new)).await?;
    }
    engine.branches_changed();
    Ok(UndoResult { branch: describe_one(engine, new).await?, replaced: undone.replaced, had_expired })
}

/// What an undo failed of, in the words of what was asked for.
fn not_there(error: StorageError, meant: &Former) -> Failure {
    match (error, meant) {
        (StorageError::NothingToUndo, Former::Named(name)) => {
            Failure::user(format!("there is no former state of `{name}` to bring back")).hint(
                "`offshoot log --all` shows what was deleted, reset or restored, with the command that brings it back.",
            )
        }
        (error, _) => error.into(),
    }
}

/// `branch/url`.
pub(super) async fn url(engine: &Arc<Engine>, params: BranchParams) -> Result<UrlResult> {
    let id = named(engine, &params.name).await?;
    let port = engine.binding.branch_port(id, &params.name).await?;
    Ok(UrlResult { branch: params.name, ..worktrees::address(engine, port) })
}

/// `branch/wake`.
pub(super) async fn wake(engine: &Arc<Engine>, params: BranchParams, call: &Call) -> Result<Branch> {
    let id = named(engine, &params.name).await?;
    call.progress("starting Postgres", 0, Some(1));
    let woken = call.or_cancelled(async {
        match engine.wake(id).await {
            Ok(_) => Ok(()),
            Err(WakeError::NoSuchBranch) => Err(unknown(&params.name)),
            Err(WakeError::Failed(failure)) => Err(failure),
        }
    });
    woken.await?;
    describe_one(engine, id).await
}

/// `branch/sleep`.
pub(super) async fn sleep(engine: &Arc<Engine>, params: BranchParams) -> Result<Branch> {
    let id = named(engine, &params.name).await?;
    engine.migrations.check_idle(id)?;
    let turn = engine.computes.turn(id).await;
    engine.binding.drain(id, Duration::ZERO).await?;
    engine.sleep(id, turn).await?;
    describe_one(engine, id).await
}

/// `branch/protect`.
pub(super) async fn protect(engine: &Arc<Engine>, params: ProtectParams) -> Result<Branch> {
    // Nothing that a protection refuses is under way.
    let _structure = engine.structure.lock().await;
    let id = named(engine, &params.name).await?;
    let name = params.name.clone();
    engine
        .blocking(move |engine| {
            let book = Book(&engine.store);
            if !params.on
                && !book.is_protected(id)?
                && let Some(guard) = policy::now(engine)?.guard(&name)
            {
                return Err(Failure::user(format!("`{name}` is protected by {guard}"))
                    .hint("Change the rule; or say `--override` to the command that it is in the way of."));
            }
            book.set_protected(id, params.on)
        })
        .await?;
    tracing::info!(branch = %params.name, id = id.0, protected = params.on, "changed a branch's protection");
    engine.changed(Subject::Branches);
    describe_one(engine, id).await
}

/// Refuses for a branch that is protected, by hand or by a rule that `deed` does not override, or on which migrations are being applied.
pub(super) async fn unguarded(engine: &Arc<Engine>, id: BranchId, name: &str, deed: Deed) -> Result<()> {
    let of = name.to_owned();
    let by_hand = move |engine: &Arc<Engine>| {
        let by_hand = Book(&engine.store).is_protected(id)?;
        if !by_hand {
            policy::now(engine)?.check(&of, &deed)?;
        }
        Ok(by_hand)
    };
    if engine.blocking(by_hand).await? {
        return Err(Failure::user(format!("`{name}` is protected"))
            .hint(format!("`offshoot branch unprotect {name}` takes the protection away.")));
    }
    engine.migrations.check_idle(id)
}

/// The parent that a rule names for a branch that is to be made.
async fn ruled_parent(engine: &Arc<Engine>, name: &str, birth: &policy::Birth) -> Result<BranchId> {
    let Some((parent, line)) = birth.parent.clone() else {
        return Err(Failure::internal("no rule names a parent"));
    };
    let name = name.to_owned();
    let find = move |engine: &Arc<Engine>| match engine.store.branch_named(&parent)? {
        Some(branch) => Ok(branch.id),
        None => Err(policy::no_parent(&name, &parent, line)),
    };
    engine.blocking(find).await
}

async fn is_branch(engine: &Arc<Engine>, name: &str) -> Result<bool> {
    let name = name.to_owned();
    engine.blocking(move |engine| Ok(engine.store.branch_named(&name)?.is_some())).await
}

pub(super) async fn named(engine: &Arc<Engine>, name: &str) -> Result<BranchId> {
    let wanted = name.to_owned();
    let found = engine.blocking(move |engine| Ok(engine.store.branch_named(&wanted)?)).await?;
    found.map(|branch| branch.id).ok_or_else(|| unknown(name))
}

pub(super) fn unknown(name: &str) -> Failure {
    match names::check(name) {
        Ok(()) => Failure::user(format!("there is no database branch `{name}`"))
            .hint("`offshoot branch list` shows those that there are."),
        Err(not_a_name) => not_a_name,
    }
}

//! Git branches that got another name or are gone, wherever they were checked out.
//!
//! A checkout is followed by whoever asks for its endpoint (see [`super::binding`]). What git does to branches that no worktree has
//! checked out is followed here: with a rename goes the database branch, and for a deletion `on_delete` says what becomes of it.

mod find;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use offshoot_protocol::types::{Note, NoteKind, Subject};
use offshoot_storage::BranchId;
use tokio::sync::{Notify, OwnedMutexGuard};

use super::book::Book;
use super::{Engine, branches, detached, hooks, policy, room};
use crate::config::OnDelete;
use crate::failure::Result;
use crate::names::quoted;
use find::{Rename, find};

/// Signs of git may be lost; then this finds what happened.
const INTERVAL: Duration = Duration::from_secs(30);
/// How long a git branch has to be gone before that counts: a rename is, for a moment, one that is gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long renames of it are looked for: git writes them down after the references.
const SEARCHED: Duration = Duration::from_secs(4);
/// How long until a branch is looked at again that is to go and is in use.
const AGAIN: Duration = Duration::from_secs(5);
/// How long until it is looked again while branches are being deleted or reset.
const BUSY: Duration = Duration::from_millis(200);
/// Branches that are named in a note.
const MOST_NAMES: usize = 3;

/// What others know of the follower.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    woken: Notify,
    known: tokio::sync::Mutex<Known>,
    /// Database branches that are still there without their git branch, by name.
    left_behind: Mutex<Vec<String>>,
}

impl Follower {
    /// Something in the git directory changed. Does not wait.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    fn left_behind(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.left_behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a person should know about git branches that are gone.
    pub(super) fn note(&self) -> Option<Note> {
        let names = self.left_behind();
        let shown: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
        let (first, more) = (names.first()?, names.len().saturating_sub(MOST_NAMES));
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = match names.len() {
            1 => format!("git branch `{first}` is gone; its database branch is still there"),
            _ => format!(
                "git branches {}{more} are gone; their database branches are still there",
                shown.join(", ")
            ),
        };
        let name = quoted(first);
        let hint = format!(
            "`offshoot branch delete {name}` puts it into the trash, `offshoot branch protect {name}` keeps it. `on_delete` in \
             offshoot.toml says it for all."
        );
        Some(Note { kind: NoteKind::Gone, text, hint: Some(hint) })
    }
}

/// Whether a database branch may be moved to the trash because a git branch gets its name: it is not the root branch, not protected,
/// belonged to a git branch, and no endpoint leads to it.
pub(super) fn may_give_way(engine: &Engine, id: BranchId) -> Result<bool> {
    let store = &*engine.store;
    let book = Book(store);
    let name = store.branch(id)?.name;
    Ok(id != store.root_branch()
        && !book.is_protected(id)?
        && policy::now(engine)?.guard(&name).is_none()
        && book.name_in_git(id)?.as_ref() == Some(&name)
        && book.all_bound()?.iter().all(|(_, bound)| *bound != id))
}

/// Follows git's branches. Never returns while the engine runs.
pub(super) async fn run(engine: Arc<Engine>) {
    loop {
        let next_look = look(&engine).await;
        let next_sweep = detached::sweep(&engine).await.unwrap_or_else(|failure| {
            tracing::warn!(error = %failure, "the throwaway of a commit is left for now");
            None
        });
        let next_look = next_sweep.map_or(next_look, |next_sweep| next_sweep.min(next_look));
        let _ = tokio::time::timeout(next_look, engine.follower.woken.notified()).await;
        if engine.is_stopping() {
            return;
        }
    }
}

/// Looks at git's branches and follows what happened to them. Waits for nobody's deletion or reset. Returns when to look again at the
/// latest.
pub(super) async fn look(engine: &Arc<Engine>) -> Duration {
    let mut known = engine.follower.known.lock().await;
    match known.look(engine).await {
        Ok(()) => known.failing = false,
        Err(failure) => {
            if !known.failing {
                tracing::warn!(error = %failure, "cannot follow git's branches; it is tried again quietly");
            }
            known.failing = true;
        }
    }
    known.next_look.unwrap_or(INTERVAL)
}

#[derive(Debug, Default)]
struct Known {
    /// The branches of git at the last look.
    listed: Option<BTreeSet<String>>,
    /// Since when database branches are without their git branch.
    gone: HashMap<BranchId, Instant>,
    /// How soon something is to be looked at again.
    next_look: Option<Duration>,
    /// Whether the last attempt failed; it was told then.
    failing: bool,
}

impl Known {
    async fn look(&mut self, engine: &Arc<Engine>) -> Result<()> {
        let settled = self.gone.iter().filter(|(_, since)| since.elapsed() >= SEARCHED);
        let (listed, known_gone) = (self.listed.clone(), settled.map(|(id, _)| *id).collect());
        let found = engine.blocking(move |engine| find(engine, listed, &known_gone)).await?;
        for rename in found.renames {
            let Ok(structure) = engine.structure.try_lock() else {
                // What was new stays new for the next look.
                self.next_look = Some(BUSY);
                return Ok(());
            };
            self.gone.remove(&rename.id);
            follow_rename(engine, rename).await?;
            drop(structure);
        }
        self.listed = Some(found.listed);
        self.gone.retain(|id, _| found.gone.iter().any(|(gone, _)| gone == id));
        for (id, _) in &found.gone {
            self.gone.entry(*id).or_insert_with(Instant::now);
        }
        self.see_to_gone(engine, found.gone).await
    }

    /// Does with database branches whose git branch is gone what the project wants.
    async fn see_to_gone(&mut self, engine: &Arc<Engine>, gone: Vec<(BranchId, String)>) -> Result<()> {
        self.next_look = None;
        let on_delete = engine.blocking(|engine| Ok(room::on_delete(engine))).await?;
        let mut left_behind = Vec::new();
        for (id, name) in gone {
            let is_sure = self.gone.get(&id).is_some_and(|since| since.elapsed() >= PATIENCE);
            match on_delete {
                _ if !is_sure => self.next_look = Some(PATIENCE),
                OnDelete::Keep => (),
                OnDelete::Ask => left_behind.push(name),
                OnDelete::Trash => {
                    if !trash(engine, id, &name).await? {
                        self.next_look.get_or_insert(AGAIN);
                    }
                }
            }
        }
        let before = std::mem::replace(&mut *engine.follower.left_behind(), left_behind.clone());
        if before != left_behind {
            for name in left_behind.iter().filter(|name| !before.contains(name)) {
                tracing::info!(branch = %name, "its git branch is gone; the database branch stays until it is deleted");
            }
            engine.changed(Subject::Worktrees);
        }
        Ok(())
    }
}

/// Gives a database branch the new name of its git branch. What has the name by then goes to the trash, if it may. The caller holds the
/// structure.
async fn follow_rename(engine: &Arc<Engine>, rename: Rename) -> Result<()> {
    let Rename { id, from, to, over } = rename;
    if let Some(over) = over {
        let led_to = engine.binding.fresh_views().await?.iter().any(|view| view.branch.as_ref() == Ok(&over));
        let turn = engine.computes.turn(over).await;
        let may = !led_to && engine.blocking(move |engine| may_give_way(engine, over)).await?;
        if !may || engine.migrations.runs_on(over) {
            return Ok(());
        }
        engine.binding.drain(over, Duration::ZERO).await?;
        branches::to_trash(engine, over, turn).await?;
        tracing::info!(branch = %to, id = over.0, "a git branch of another database got its name; it is in the trash");
    }
    let turn = engine.computes.turn(id).await;
    let renamed = engine
        .blocking(move |engine| {
            let _turn = turn;
            // Whoever has it checked out may have been faster.
            if engine.store.branch(id)?.name != from || engine.store.branch_named(&to)?.is_some() {
                return Ok(false);
            }
            engine.store.rename_branch(id, &to)?;
            let book = Book(&engine.store);
            book.set_parent(&to, None)?;
            book.set_name_in_git(id, Some(&to))?;
            tracing::info!(branch = %to, id = id.0, from, "renamed a branch with its git branch");
            Ok(true)
        })
        .await?;
    if renamed {
        engine.branches_changed();
    }
    Ok(())
}

/// Moves a database branch to the trash whose git branch is gone, unless somebody needs it. Whether it is gone.
async fn trash(engine: &Arc<Engine>, id: BranchId, name: &str) -> Result<bool> {
    // Its turn is given back at once: the command wants to connect.
    let is_free = free(engine, id, name).await?.is_some();
    if !is_free || hooks::before_delete(engine, id, None).await.is_err() {
        return Ok(false);
    }
    let Ok(_structure) = engine.structure.try_lock() else { return Ok(false) };
    let Some(turn) = free(engine, id, name).await? else { return Ok(false) };
    branches::to_trash(engine, id, turn).await?;
    tracing::info!(branch = %name, id = id.0, "its git branch is gone; it is in the trash");
    Ok(true)
}

/// The turn of a branch that nobody needs.
async fn free(engine: &Arc<Engine>, id: BranchId, name: &str) -> Result<Option<OwnedMutexGuard<()>>> {
    let stands_on = engine.binding.fresh_views().await?.iter().any(|view| view.branch.as_ref() == Ok(&id));
    let turn = engine.computes.turn(id).await;
    if stands_on || engine.computes.connections(id) > 0 || engine.migrations.runs_on(id) {
        return Ok(None);
    }
    let wanted = name.to_owned();
    let is_free = engine
        .blocking(move |engine| {
            let book = Book(&engine.store);
            let is_used = book.parents()?.iter().any(|(_, parent)| *parent == id);
            let is_back = engine.repository.has_branch(&wanted).unwrap_or(true);
            let is_it = engine.store.branch_named(&wanted)?.is_some_and(|branch| branch.id == id);
            Ok(is_it && !is_back && !is_used && may_give_way(engine, id)?)
        })
        .await?;
    Ok(is_free.then_some(turn))
}

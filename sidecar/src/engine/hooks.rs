//! Commands of `offshoot.toml` around branches.
//!
//! They come with a repository, so that none runs before a person has seen them: `offshoot policy trust`. What is trusted is their text, as it
//! is then. A branch of a checkout gets its command run behind the checkout, not within it: the command may ask for the work tree's address.

mod command;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use offshoot_protocol::error::Reason;
use offshoot_protocol::hooks::{HookCommand, Trust, TrustParams};
use offshoot_protocol::types::{Note, NoteKind, Subject};
use offshoot_storage::BranchId;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::book::Book;
use super::{Engine, branches, policy, room};
use crate::config::rules::At;
use crate::config::{FILE_NAME, Hooks};
use crate::failure::{Failure, Result};
use command::run_shell;

/// How long until a deletion is tried again that a command stopped and nobody asked for.
const AGAIN: Duration = Duration::from_hours(1);

/// When a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    AfterCreate,
    BeforeDelete,
}

impl Event {
    fn key(self) -> &'static str {
        match self {
            Self::AfterCreate => "hooks.after_create",
            Self::BeforeDelete => "hooks.before_delete",
        }
    }

    fn of(self, hooks: &Hooks) -> Option<&At<String>> {
        match self {
            Self::AfterCreate => hooks.after_create.as_ref(),
            Self::BeforeDelete => hooks.before_delete.as_ref(),
        }
    }
}

/// For whom a command runs after a branch was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// Somebody who asked for the branch, and waits.
    ByHand,
    /// A checkout, which goes on meanwhile.
    ByCheckout,
    /// Nobody any more: the branch was there, and may hold work, before the command was trusted.
    LongAgo,
}

/// What is known of commands.
#[derive(Debug, Default)]
pub(super) struct Runner {
    woken: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Branches whose command is still to run, with the work tree.
    due: Vec<(BranchId, PathBuf, Made)>,
    /// Those where it is not trusted.
    untrusted: Vec<(BranchId, PathBuf)>,
    /// What a person should know, by the branch's name.
    failed: BTreeMap<String, Failure>,
    /// Names of branches that went again, as their command failed, with the commands that there were.
    gone: HashMap<String, String>,
    /// When deletions that nobody asked for were stopped.
    stopped: HashMap<BranchId, Instant>,
}

impl Runner {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a person should know about commands.
pub(super) fn notes(engine: &Engine) -> Vec<Note> {
    let state = engine.hooks.state();
    let told = |(name, failure): (&String, &Failure)| {
        let mut note = note(failure);
        // Why there is no branch is told for as long as there is none.
        if !state.gone.contains_key(name) {
            let hint = note.hint.take().map(|hint| format!("{hint}\n")).unwrap_or_default();
            note.hint = Some(format!("{hint}`offshoot status --dismiss`: never mind."));
        }
        note
    };
    let mut notes: Vec<Note> = state.failed.iter().map(told).collect();
    if let Some((id, _)) = state.untrusted.first()
        && let Ok(branch) = engine.store.branch(*id)
        && let Some(command) = &hooks(engine).after_create
    {
        notes.push(note(&untrusted(&branch.name, Event::AfterCreate, command)));
    }
    notes
}

/// Never mind what failed.
pub(super) fn dismiss(engine: &Engine) {
    let mut state = engine.hooks.state();
    let State { failed, gone, .. } = &mut *state;
    failed.retain(|name, _| gone.contains_key(name));
}

fn note(failure: &Failure) -> Note {
    Note { kind: NoteKind::Hook, text: failure.0.message.clone(), hint: failure.0.hint.clone() }
}

fn hooks(engine: &Engine) -> Hooks {
    room::with_file(engine, |file| file.map(|file| file.config().hooks.clone()).unwrap_or_default())
}

/// `policy/trust`.
pub(super) async fn trust(engine: &Arc<Engine>, params: TrustParams) -> Result<Trust> {
    let answer = engine
        .blocking(move |engine| {
            if !params.revoke {
                policy::now(engine)?.known("no command is known, and none runs.")?;
            }
            let now = trust_now(engine)?;
            let book = Book(&engine.store);
            if params.revoke {
                book.distrust()?;
                return Ok(Trust { trusted: false, ..now });
            }
            match params.trust {
                None => Ok(now),
                Some(digest) if digest == now.digest => {
                    book.trust(&digest)?;
                    tracing::info!(
                        commands = now.commands.len() as u64,
                        "the commands of {FILE_NAME} are trusted"
                    );
                    Ok(Trust { trusted: true, ..now })
                }
                Some(_) => {
                    Err(Failure::user(format!("the commands of {FILE_NAME} changed since they were shown"))
                        .hint("`offshoot policy trust` shows them as they are."))
                }
            }
        })
        .await?;
    if answer.trusted {
        let mut state = engine.hooks.state();
        let skipped = std::mem::take(&mut state.untrusted);
        state.due.extend(skipped.into_iter().map(|(id, worktree)| (id, worktree, Made::LongAgo)));
        drop(state);
        engine.hooks.woken.notify_one();
    }
    engine.changed(Subject::Worktrees);
    Ok(answer)
}

fn trust_now(engine: &Engine) -> Result<Trust> {
    trust_of(engine, &hooks(engine))
}

/// Whether these very commands are trusted: the file may be another one a moment later.
fn trust_of(engine: &Engine, hooks: &Hooks) -> Result<Trust> {
    let commands: Vec<HookCommand> = [Event::AfterCreate, Event::BeforeDelete]
        .into_iter()
        .filter_map(|event| {
            let at = event.of(hooks)?;
            Some(HookCommand { key: event.key().to_owned(), command: at.value.clone(), line: at.line })
        })
        .collect();
    let mut hash = Sha256::new();
    for command in &commands {
        hash.update(format!("{}\0{}\0", command.key, command.command));
    }
    let digest = hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let trusted = Book(&engine.store).is_trusted(&digest)?;
    Ok(Trust { commands, trusted, digest })
}

/// A checkout made a branch: its command runs soon. Does not wait.
pub(super) fn made(engine: &Engine, id: BranchId, worktree: PathBuf) {
    if hooks(engine).after_create.is_some() {
        engine.hooks.state().due.push((id, worktree, Made::ByCheckout));
        engine.hooks.woken.notify_one();
    }
}

/// Refuses to make a branch again by itself whose command failed, as long as the commands are the same.
pub(super) fn may_be_made(engine: &Engine, name: &str) -> Result<()> {
    let state = engine.hooks.state();
    let (Some(commands), Some(failure)) = (state.gone.get(name), state.failed.get(name)) else {
        return Ok(());
    };
    let (commands, failure) = (commands.clone(), failure.clone());
    drop(state);
    if trust_now(engine)?.digest == commands { Err(failure) } else { Ok(()) }
}

/// Runs what is due behind checkouts. Never returns while the engine runs.
pub(super) async fn run(engine: Arc<Engine>) {
    loop {
        let next = {
            let mut state = engine.hooks.state();
            if state.due.is_empty() { None } else { Some(state.due.remove(0)) }
        };
        let Some((id, worktree, made)) = next else {
            engine.hooks.woken.notified().await;
            continue;
        };
        if engine.is_stopping() {
            return;
        }
        // It is remembered, and status tells.
        if let Err(failure) = after_create(&engine, id, Some(worktree), made).await {
            tracing::warn!(id = id.0, error = %failure, "the command after a checkout");
        }
        engine.changed(Subject::Worktrees);
    }
}

/// Runs the command for a branch that was made.
///
/// # Errors
/// If it fails. The branch stays then, unless the file has it undone and it is as new as it seems.
pub(super) async fn after_create(
    engine: &Arc<Engine>,
    id: BranchId,
    worktree: Option<PathBuf>,
    made: Made,
) -> Result<()> {
    let Some((name, hooks, trust)) = known(engine, id).await? else { return Ok(()) };
    let Some(command) = hooks.after_create.clone() else { return Ok(()) };
    {
        let mut state = engine.hooks.state();
        state.failed.remove(&name);
        state.gone.remove(&name);
    }
    if !trust.trusted {
        let worktree = match worktree {
            Some(worktree) => worktree,
            None => main_worktree(engine).await?,
        };
        engine.hooks.state().untrusted.push((id, worktree));
        // A branch was asked for, and is there.
        return Ok(());
    }
    let Err(why) = execute(engine, Event::AfterCreate, id, &name, &command, &hooks, worktree).await? else {
        return Ok(());
    };
    let undo = hooks.undo && made != Made::LongAgo;
    let what = if undo { "is not made" } else { "is made, but its command failed" };
    let (key, line) = (Event::AfterCreate.key(), command.line);
    let retry = if undo {
        format!("`offshoot branch create {name}` tries it again.")
    } else if hooks.undo {
        "The branch stays as it is: it was in use before the command was trusted.".to_owned()
    } else {
        "The branch stays as it is.".to_owned()
    };
    let failure =
        Failure::user(format!("`{name}` {what}: `{key}` ({FILE_NAME}, line {line}) {}", why.message))
            .hint(format!("{}{retry}", why.output));
    if undo {
        if made != Made::ByHand {
            engine.hooks.state().gone.insert(name.clone(), trust.digest);
        }
        let _structure = engine.structure.lock().await;
        let turn = engine.computes.turn(id).await;
        engine.binding.drain(id, Duration::ZERO).await?;
        branches::to_trash(engine, id, turn).await?;
    }
    if made != Made::ByHand || !undo {
        engine.hooks.state().failed.insert(name, failure.clone());
    }
    Err(failure)
}

/// Runs the command for a branch that is about to go to the trash. `by_hand`: somebody waits for it, with that command line.
///
/// # Errors
/// If it is not trusted or fails: the branch stays then.
pub(super) async fn before_delete(engine: &Arc<Engine>, id: BranchId, by_hand: Option<&str>) -> Result<()> {
    let Some((name, hooks, trust)) = known(engine, id).await? else { return Ok(()) };
    let Some(command) = hooks.before_delete.clone() else { return Ok(()) };
    let is_early = engine.hooks.state().stopped.get(&id).is_some_and(|at| at.elapsed() < AGAIN);
    if by_hand.is_none() && is_early {
        return Err(Failure::user(format!("`{name}` stays, as its command failed lately")));
    }
    let all_the_same =
        by_hand.map(|line| format!("\n`{line} --override` deletes it without.")).unwrap_or_default();
    let failure = if trust.trusted {
        match execute(engine, Event::BeforeDelete, id, &name, &command, &hooks, None).await? {
            Ok(()) => None,
            Err(why) => {
                let (key, line) = (Event::BeforeDelete.key(), command.line);
                let text = format!("`{name}` stays: `{key}` ({FILE_NAME}, line {line}) {}", why.message);
                let hint = format!("{}{}", why.output, all_the_same.trim_start());
                Some(Failure::user(text).hint(hint))
            }
        }
    } else {
        let failure = untrusted(&name, Event::BeforeDelete, &command);
        let hint = failure.0.hint.clone().unwrap_or_default();
        Some(failure.hint(format!("{hint}{all_the_same}")))
    };
    let mut state = engine.hooks.state();
    state.failed.remove(&name);
    let Some(failure) = failure.map(|failure| failure.reason(Reason::Ruled)) else { return Ok(()) };
    if by_hand.is_none() {
        state.stopped.insert(id, Instant::now());
        state.failed.insert(name, failure.clone());
    }
    Err(failure)
}

/// A branch is gone: nothing is to be told of it any more, but why it is gone.
pub(super) fn forget(engine: &Engine, id: BranchId, name: &str) {
    let mut state = engine.hooks.state();
    state.due.retain(|(due, ..)| *due != id);
    state.untrusted.retain(|(due, _)| *due != id);
    state.stopped.remove(&id);
    if !state.gone.contains_key(name) {
        state.failed.remove(name);
    }
}

fn untrusted(name: &str, event: Event, command: &At<String>) -> Failure {
    let (key, line) = (event.key(), command.line);
    Failure::user(format!(
        "`{key}` ({FILE_NAME}, line {line}) did not run for `{name}`: nobody trusts it on this machine yet"
    ))
    .hint("`offshoot policy trust` shows the commands of the file, and asks.")
}

/// The branch's name, and the commands. Nothing for a branch that is gone.
async fn known(engine: &Arc<Engine>, id: BranchId) -> Result<Option<(String, Hooks, Trust)>> {
    engine
        .blocking(move |engine| {
            let hooks = hooks(engine);
            if hooks == Hooks::default() {
                return Ok(None);
            }
            let Ok(branch) = engine.store.branch(id) else { return Ok(None) };
            let trust = trust_of(engine, &hooks)?;
            Ok(Some((branch.name, hooks, trust)))
        })
        .await
}

async fn main_worktree(engine: &Arc<Engine>) -> Result<PathBuf> {
    engine
        .blocking(|engine| {
            let all = engine.repository.worktrees().map_err(|e| super::binding::git_failure(&e))?;
            Ok(all.into_iter().next().map_or_else(|| engine.repository.common_dir.clone(), |main| main.path))
        })
        .await
}

/// Why a command did not do what it was to do.
struct Why {
    /// The end of a sentence.
    message: String,
    /// The last of what it printed, with a line end.
    output: String,
}

async fn execute(
    engine: &Arc<Engine>,
    event: Event,
    id: BranchId,
    name: &str,
    command: &At<String>,
    hooks: &Hooks,
    worktree: Option<PathBuf>,
) -> Result<std::result::Result<(), Why>> {
    let root = match worktree {
        Some(worktree) => worktree,
        None => main_worktree(engine).await?,
    };
    let variables = [("OFFSHOOT_BRANCH", name), ("OFFSHOOT_HOOK", event.key())];
    let ended = run_shell(engine, id, &root, &command.value, &variables, hooks.timeout).await?;
    tracing::info!(branch = name, hook = event.key(), status = ?ended.how, took_ms = ended.took.as_millis() as u64, "ran a command of {FILE_NAME}");
    let log = engine.store.info().path.join(format!("{}.log", event.key()));
    let text = format!("# {} for {name}: {}\n{}", event.key(), ended.how, ended.output);
    engine
        .blocking(move |_| {
            if let Err(error) = command::write_private(&log, &text) {
                tracing::warn!(path = %log.display(), %error, "the output of a command is not kept");
            }
            Ok(())
        })
        .await?;
    Ok(if ended.is_good() {
        Ok(())
    } else {
        Err(Why { message: ended.how.to_string(), output: ended.tail() })
    })
}

//! Env files, kept in step with their work trees.
//!
//! What a line was before it was first written is noted in the store, and comes back when the key is taken out of `offshoot.toml` or a person
//! wants it so. A line that a person changes since is theirs: it is left alone, and told.

mod record;

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use offshoot_git::{Environment, Worktree};
use offshoot_protocol::env::{EnvAction, EnvParams, EnvState, EnvStatus};
use offshoot_protocol::types::{Note, NoteKind, UrlResult};
use tokio::sync::Notify;

use super::binding::{View, git_failure};
use super::book::{Book, SeatKey};
use super::{Engine, branches, worktrees};
use crate::config::{AddressOf, ConfigError, ConfigFile, Connection, FILE_NAME, broken};
use crate::env_file::{Before, Contents, Place, Refusal, find, put_back, set};
use crate::failure::{Failure, Result};
use record::{Record, Written};

/// How often files are looked at that nobody told of.
const INTERVAL: Duration = Duration::from_secs(30);
/// How often it is looked whether somebody saved an `offshoot.toml`: nothing watches work trees.
const GLANCE: Duration = Duration::from_secs(1);
/// How often a file is looked at that changes meanwhile.
const MOST_LOOKS: u32 = 3;
/// How long until a file is looked at again that cannot be written.
const AGAIN: Duration = Duration::from_secs(5);

/// What is known of the env files of all work trees.
#[derive(Debug, Default)]
pub(super) struct EnvFiles {
    woken: Notify,
    known: Mutex<HashMap<SeatKey, Known>>,
    /// One at a time.
    turn: Mutex<()>,
}

/// What a look at one of them found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    wanted: Option<(Connection, Vec<(String, String)>)>,
    file: Stamp,
    /// Of what tells git whether to ignore it.
    ignoring: Vec<Stamp>,
    status: EnvStatus,
    at: Instant,
}

/// What tells two states of a file apart.
type Stamp = Option<(u64, i64, i64, u64)>;

impl EnvFiles {
    /// A work tree or its configuration changed. Does not wait.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<SeatKey, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a look at a file found.
    fn note(&self, seat: &SeatKey) -> Option<Note> {
        let status = self.known().get(seat)?.status.clone();
        let (EnvState::ByHand | EnvState::Refused, Some(file)) = (status.state, status.file) else {
            return None;
        };
        let names = status.variables.join(", ");
        let text = format!("{names} in {file}: {}", status.why.unwrap_or_default());
        Some(Note { kind: NoteKind::EnvFile, text, hint: status.hint })
    }
}

/// What a person should know about the file of a work tree. Does first what is due.
pub(super) async fn note(engine: &Arc<Engine>, view: &View) -> Option<Note> {
    let is_refused = |known: &Known| known.status.state == EnvState::Refused;
    if engine.env_files.known().get(&view.key).is_some_and(is_refused) {
        engine.env_files.known().remove(&view.key);
    }
    if let Err(failure) = follow(engine, view).await {
        tracing::warn!(worktree = %view.path.display(), error = %failure, "cannot keep an env file in step");
    }
    engine.env_files.note(&view.key)
}

/// Keeps the files in step. Never returns while the engine runs.
pub(super) async fn run(engine: Arc<Engine>) {
    loop {
        let mut next = INTERVAL;
        let views = engine.binding.views().await.unwrap_or_default();
        let configs: Vec<_> = views.iter().map(|view| view.path.join(FILE_NAME)).collect();
        let before = stamps(&engine, &configs).await;
        for view in views {
            match follow(&engine, &view).await {
                Ok(EnvState::Refused) => next = AGAIN,
                Ok(_) => (),
                Err(failure) => {
                    tracing::warn!(worktree = %view.path.display(), error = %failure, "cannot keep an env file in step");
                }
            }
        }
        let looked = Instant::now();
        while looked.elapsed() < next {
            let is_woken = tokio::time::timeout(GLANCE, engine.env_files.woken.notified()).await.is_ok();
            if engine.is_stopping() {
                return;
            }
            if is_woken || stamps(&engine, &configs).await != before {
                break;
            }
        }
    }
}

/// What tells the states of these files apart.
async fn stamps(engine: &Arc<Engine>, files: &[PathBuf]) -> Vec<Stamp> {
    let files = files.to_vec();
    let look = move |_: &Arc<Engine>| Ok(files.iter().map(|file| stamp(file)).collect());
    engine.blocking(look).await.unwrap_or_default()
}

/// `worktree/env`.
pub(super) async fn env(engine: &Arc<Engine>, params: EnvParams) -> Result<EnvStatus> {
    let key = worktrees::seat(engine, &params.path).await?;
    engine.binding.settle(&key).await?;
    let view = engine.binding.view(&key).await?;
    let connection = match connection(engine, &view).await? {
        Ok(connection) => connection,
        Err(error) => return Err(broken(&error)),
    };
    let address = address(engine, &view, connection.as_ref()).await?;
    let action = params.action;
    engine.blocking(move |engine| step(engine, &view, connection, &address, action, true)).await
}

async fn follow(engine: &Arc<Engine>, view: &View) -> Result<EnvState> {
    if view.branch.is_err() || !view.listening {
        // The file stays what it is: there is no better address.
        return Ok(EnvState::Due);
    }
    // What a file with a mistake asks for is not known: nothing is written, and nothing is taken back.
    let Ok(connection) = connection(engine, view).await? else { return Ok(EnvState::Due) };
    let address = address(engine, view, connection.as_ref()).await?;
    let view = view.clone();
    let work = move |engine: &Arc<Engine>| {
        let before = engine.env_files.known().get(&view.key).map(|known| known.status.clone());
        let status = step(engine, &view, connection, &address, EnvAction::Write, false)?;
        let is_told = matches!(status.state, EnvState::Refused | EnvState::ByHand);
        if before.as_ref() != Some(&status) && (is_told || before.is_some()) {
            let (state, why) = (status.state, status.why.as_deref().unwrap_or_default());
            tracing::info!(worktree = %view.path.display(), ?state, why, "an env file");
        }
        Ok(status.state)
    };
    engine.blocking(work).await
}

/// What the file of a work tree asks for, or what is wrong with that file.
async fn connection(
    engine: &Arc<Engine>,
    view: &View,
) -> Result<std::result::Result<Option<Connection>, ConfigError>> {
    let path = view.path.clone();
    let read = move |_: &Arc<Engine>| {
        let file = ConfigFile::open(&path);
        Ok(file.error().map_or_else(|| Ok(file.config().connection.clone()), |error| Err(error.clone())))
    };
    engine.blocking(read).await
}

async fn address(engine: &Arc<Engine>, view: &View, connection: Option<&Connection>) -> Result<UrlResult> {
    let port = match (connection.map(|connection| connection.address), &view.branch) {
        (Some(AddressOf::Branch), Ok(id)) => {
            let id = *id;
            let here = engine.blocking(move |engine| branches::here(&engine.store, id)).await?;
            engine.binding.branch_port(here.id, &here.name).await?
        }
        _ => view.port,
    };
    Ok(worktrees::address(engine, port))
}

/// Looks at one file and does what is due. `by_hand`: a person asks for it. Blocks.
fn step(
    engine: &Engine,
    view: &View,
    connection: Option<Connection>,
    address: &UrlResult,
    action: EnvAction,
    by_hand: bool,
) -> Result<EnvStatus> {
    let _turn = engine.env_files.turn.lock().unwrap_or_else(PoisonError::into_inner);
    let wanted = connection.map(|connection| {
        let values = connection.values(address);
        (connection, values)
    });
    let stamp = wanted.as_ref().and_then(|(of, _)| stamp(&view.path.join(&of.env_file)));
    let ignoring = wanted.as_ref().map_or(Vec::new(), |(of, _)| ignoring(engine, view, &of.env_file));
    if let Some(known) = engine.env_files.known().get(&view.key)
        && !by_hand
        && (&known.wanted, known.file, &known.ignoring) == (&wanted, stamp, &ignoring)
        && (known.status.state != EnvState::Refused || known.at.elapsed() < AGAIN)
    {
        return Ok(known.status.clone());
    }
    engine.env_files.known().remove(&view.key);
    let book = Book(&engine.store);
    let mut file = stamp;
    let mut looks = 0;
    let status = loop {
        let record = Record::read(&book, &view.key)?;
        let status =
            if wanted.is_none() && record.lines.is_empty() && !(by_hand && action == EnvAction::Write) {
                nothing(EnvState::None)
            } else {
                let worktree = offshoot_git::discover_with(&view.path, &Environment::clean())
                    .map_err(|e| git_failure(&e))?;
                Job { book: &book, key: &view.key, record, worktree }.run(wanted.as_ref(), action, by_hand)?
            };
        let after = wanted.as_ref().and_then(|(of, _)| self::stamp(&view.path.join(&of.env_file)));
        looks += 1;
        // What was found is about the file as it was; it was written since, by this or by somebody else.
        if after == file || looks == MOST_LOOKS {
            break status;
        }
        file = after;
    };
    let known = Known { wanted, file, ignoring, status: status.clone(), at: Instant::now() };
    engine.env_files.known().insert(view.key.clone(), known);
    Ok(status)
}

/// The states of what tells git whether to track or ignore `file`: its index, and the lists of what is ignored.
fn ignoring(engine: &Engine, view: &View, file: &str) -> Vec<Stamp> {
    let common = &engine.repository.common_dir;
    let mut places = vec![common.join(view.key.as_str()).join("index"), common.join("info/exclude")];
    let folders = Path::new(file).ancestors().skip(1).map(|folder| view.path.join(folder).join(".gitignore"));
    places.extend(folders);
    places.iter().map(|place| stamp(place)).collect()
}

fn stamp(path: &Path) -> Stamp {
    let of = |facts: Metadata| (facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.len());
    std::fs::metadata(path).ok().map(of)
}

fn nothing(state: EnvState) -> EnvStatus {
    EnvStatus { file: None, line: None, variables: Vec::new(), state, why: None, hint: None }
}

struct Job<'b> {
    book: &'b Book<'b>,
    key: &'b SeatKey,
    record: Record,
    worktree: Worktree,
}

impl Job<'_> {
    fn run(
        mut self,
        wanted: Option<&(Connection, Vec<(String, String)>)>,
        action: EnvAction,
        by_hand: bool,
    ) -> Result<EnvStatus> {
        let Some((connection, values)) = wanted else {
            if action == EnvAction::Write && by_hand {
                return Err(none_named());
            }
            let undone = self.take_back(action)?;
            return Ok(EnvStatus { why: undone.map(|refusal| refusal.why), ..nothing(EnvState::None) });
        };
        let status = |state, refusal: Option<Refusal>| {
            let (why, hint) = refusal.map_or((None, None), |refusal| (Some(refusal.why), Some(refusal.hint)));
            EnvStatus {
                file: Some(connection.env_file.clone()),
                line: Some(connection.line),
                variables: values.iter().map(|(name, _)| name.clone()).collect(),
                state,
                why,
                hint,
            }
        };
        if action == EnvAction::Undo || (self.record.off && action == EnvAction::Write && !by_hand) {
            self.record.off = true;
            let undone = self.take_back(action)?;
            return match undone {
                Some(refusal) if action == EnvAction::Undo => {
                    Err(named(&connection.env_file, refusal).into())
                }
                _ => Ok(status(EnvState::Off, Some(off()))),
            };
        }
        if action == EnvAction::Show {
            return Ok(match self.look(&connection.env_file, values) {
                _ if self.record.off => status(EnvState::Off, Some(off())),
                Ok(Look::InStep) => match self.check_private(&connection.env_file) {
                    Ok(()) => status(EnvState::InStep, None),
                    Err(refusal) => status(EnvState::Refused, Some(refusal)),
                },
                Ok(Look::Due) => status(EnvState::Due, None),
                Ok(Look::ByHand(refusal)) => status(EnvState::ByHand, Some(refusal)),
                Err(refusal) => status(EnvState::Refused, Some(refusal)),
            });
        }
        if by_hand {
            self.record.off = false;
        }
        let has_moved = self.record.file != connection.env_file
            || self.record.lines.iter().any(|line| !values.iter().any(|(name, _)| *name == line.name));
        if has_moved {
            self.take_back(action)?;
        }
        if !by_hand && let Ok(Look::ByHand(refusal)) = self.look(&connection.env_file, values) {
            return Ok(status(EnvState::ByHand, Some(refusal)));
        }
        let refusal = self.write(&connection.env_file, values)?;
        // What it holds already may have been ignored only when it was written.
        match refusal.or_else(|| self.check_private(&connection.env_file).err()) {
            None => Ok(status(EnvState::InStep, None)),
            Some(refusal) if by_hand => Err(named(&connection.env_file, refusal).into()),
            Some(refusal) => Ok(status(EnvState::Refused, Some(refusal))),
        }
    }

    /// Whether git could see the password that is in the file.
    fn check_private(&self, file: &str) -> std::result::Result<(), Refusal> {
        Place::find(&self.worktree, file)?.check_private()
    }

    /// How the file stands to what it should have.
    fn look(&self, file: &str, values: &[(String, String)]) -> std::result::Result<Look, Refusal> {
        let contents = Place::find(&self.worktree, file)?.read()?;
        let mut is_due = !contents.is_there();
        for (name, value) in values {
            let found = find(&contents.bytes, name)?;
            if found.as_ref().is_some_and(|(found, _)| found == value) {
                continue;
            }
            is_due = true;
            let ours = self.record.lines.iter().find(|line| line.name == *name);
            // What was about to be written when the engine ended may not have been.
            let Some(ours) = ours.filter(|_| !self.record.pending && contents.is_there()) else { continue };
            let why = match &found {
                None => format!("the line of `{name}` is gone"),
                Some((found, _)) if *found == ours.value => continue,
                Some((_, number)) => {
                    format!("line {number} is another one than was written; it is left alone")
                }
            };
            let hint = "`offshoot env write` sets it again, `offshoot env undo` ends it.".to_owned();
            return Ok(Look::ByHand(Refusal { why, hint }));
        }
        Ok(if is_due { Look::Due } else { Look::InStep })
    }

    /// Sets the variables. Returns why not.
    fn write(&mut self, file: &str, values: &[(String, String)]) -> Result<Option<Refusal>> {
        let place = match Place::find(&self.worktree, file) {
            Ok(place) => place,
            Err(refusal) => return Ok(Some(refusal)),
        };
        let mut failure = None;
        let (book, key, old) = (self.book, self.key, self.record.clone());
        let mut record = old.clone();
        let edited = place.edit(true, |contents| {
            let (bytes, lines) = set_all(&contents.bytes, values, &old.lines, contents.is_there())?;
            let made = if contents.is_there() { old.made } else { true };
            record = Record { off: false, file: file.to_owned(), made, lines, pending: true };
            // Noted first: what a line was must not be lost if the engine ends in between.
            if (bytes != contents.bytes || !contents.is_there())
                && let Err(error) = record.write(book, key)
            {
                failure = Some(error);
                return Ok(None);
            }
            Ok(Some(bytes))
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        match edited {
            Ok(_) => {
                record.pending = false;
                record.write(book, key)?;
                self.record = record;
                Ok(None)
            }
            Err(refusal) => {
                old.write(book, key)?;
                Ok(Some(refusal))
            }
        }
    }

    /// Makes the lines what they were before they were first written. Those that a person changed stay. Returns why not.
    fn take_back(&mut self, action: EnvAction) -> Result<Option<Refusal>> {
        if action == EnvAction::Show || self.record.lines.is_empty() {
            if action == EnvAction::Undo {
                self.record.write(self.book, self.key)?;
            }
            return Ok(None);
        }
        let lines = self.record.lines.clone();
        let undone = Place::find(&self.worktree, &self.record.file).and_then(|place| {
            // Who asks for it wants the password out, wherever it is by now.
            place.edit(action != EnvAction::Undo, |contents: &Contents| {
                if !contents.is_there() {
                    return Ok(None);
                }
                let mut bytes = contents.bytes.clone();
                for line in lines.iter().rev() {
                    if find(&bytes, &line.name)?.is_some_and(|(value, _)| value == line.value) {
                        bytes = put_back(&bytes, &line.name, &line.before)?;
                    }
                }
                Ok(Some(bytes))
            })?;
            if self.record.made { place.remove_if_empty() } else { Ok(()) }
        });
        match undone {
            Ok(()) => {
                self.record = Record { off: self.record.off, ..Record::default() };
                self.record.write(self.book, self.key)?;
                Ok(None)
            }
            Err(refusal) => Ok(Some(refusal)),
        }
    }
}

enum Look {
    InStep,
    Due,
    ByHand(Refusal),
}

/// The file with all variables set, and what their lines were before the first time.
fn set_all(
    bytes: &[u8],
    values: &[(String, String)],
    old: &[Written],
    is_there: bool,
) -> std::result::Result<(Vec<u8>, Vec<Written>), Refusal> {
    let mut bytes = bytes.to_vec();
    let mut lines = Vec::new();
    for (name, value) in values {
        let known = old.iter().find(|line| line.name == *name).filter(|_| is_there);
        let before = match find(&bytes, name)? {
            Some((found, _)) if found == *value && known.is_some() => known.map(|known| known.before.clone()),
            Some((found, _)) if known.is_some_and(|known| known.value == found) => {
                bytes = set(&bytes, name, value)?.0;
                known.map(|known| known.before.clone())
            }
            _ => {
                let (after, before) = set(&bytes, name, value)?;
                bytes = after;
                Some(before)
            }
        };
        let before = before.unwrap_or(Before::Nothing { ended: false });
        lines.push(Written { name: name.clone(), value: value.clone(), before });
    }
    Ok((bytes, lines))
}

fn off() -> Refusal {
    let why = "it was taken back in this work tree".to_owned();
    Refusal { why, hint: "`offshoot env write` sets it again.".to_owned() }
}

fn named(file: &str, refusal: Refusal) -> Refusal {
    Refusal { why: format!("{file}: {}", refusal.why), ..refusal }
}

fn none_named() -> Failure {
    Failure::user("offshoot.toml names no file for the address")
        .hint("Put `env_file = \".env\"` below `[connection]`.")
}

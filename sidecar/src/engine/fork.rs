//! The schemas that branches had when they left their parents.
//!
//! They are looked for only when somebody asks: in memory, in the store, in the branch itself as long as it has never been
//! awake, in its parent if that has the same catalogs as before the branch was made, and at last in the snapshot that the
//! store took before the branch's Postgres first started. That one is woken, read and put to sleep; nobody can connect to it.
//!
//! What was found stays in the store, in a file that is named by the hash of its content, so that branches of the same state
//! share it. A note about the branch names the file, and goes with the branch.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use offshoot_schema::Facts;
use offshoot_storage::BranchId;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedMutexGuard;

use super::computes::Turns;
use super::schemas::bytes_of;
use super::{Engine, catalogs, schema};
use crate::failure::{Failure, Result};

/// The note about a branch: the name of its file.
const NOTE: &str = "schema.fork";
const FOLDER: &str = "facts";
const EXTENSION: &str = "facts";
/// How long a file without a branch stays.
const FRESH: Duration = Duration::from_mins(10);
/// Bytes of schemas kept in memory, and how many.
const MOST_BYTES: usize = 8 << 20;
const MOST_SCHEMAS: usize = 16;

/// The schemas at fork points that were asked for lately.
#[derive(Default)]
pub(super) struct Forks {
    /// Who looks for a branch's has the turn.
    turns: Turns,
    kept: Mutex<HashMap<BranchId, Kept>>,
    /// Held while a file has no note yet, and while those without one are removed.
    files: Mutex<()>,
}

struct Kept {
    facts: Arc<Facts>,
    bytes: usize,
    used: Instant,
}

/// What is known of a fork point.
#[derive(Clone, Debug)]
pub(super) enum ForkFacts {
    /// The schema.
    Known(Arc<Facts>),
    /// Nothing, and why.
    Unknown(String),
}

impl Forks {
    fn get(&self, id: BranchId) -> Option<Arc<Facts>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.get_mut(&id)?;
        found.used = Instant::now();
        Some(Arc::clone(&found.facts))
    }

    fn keep(&self, id: BranchId, facts: &Arc<Facts>) {
        let bytes = bytes_of(facts);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(id, Kept { facts: Arc::clone(facts), bytes, used: Instant::now() });
        while kept.len() > MOST_SCHEMAS || kept.values().map(|kept| kept.bytes).sum::<usize>() > MOST_BYTES {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.used).map(|(id, _)| *id);
            if oldest.and_then(|oldest| kept.remove(&oldest)).is_none() {
                return;
            }
        }
    }

    /// The turn to look for the schema of `id`, a branch or a snapshot.
    pub(super) async fn turn(&self, id: BranchId) -> OwnedMutexGuard<()> {
        self.turns.turn(id).await
    }

    /// Branch `id` is gone.
    pub(super) fn forget(&self, id: BranchId) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// The schema that `id` had when it was made or last reset. May wake its fork snapshot, which takes as long as a start of
/// Postgres, once for each branch.
pub(super) async fn facts(engine: &Arc<Engine>, id: BranchId) -> Result<ForkFacts> {
    if let Some(facts) = engine.forks.get(id) {
        return Ok(ForkFacts::Known(facts));
    }
    let turn = engine.forks.turns.turn(id).await;
    if let Some(facts) = engine.forks.get(id) {
        return Ok(ForkFacts::Known(facts));
    }
    let found = match engine.blocking(move |engine| Ok(from_file(engine, id))).await? {
        Some(facts) => facts,
        None => match search(engine, id, turn).await? {
            Ok(facts) => keep(engine, id, facts).await?,
            Err(reason) => return Ok(ForkFacts::Unknown(reason)),
        },
    };
    engine.forks.keep(id, &found);
    Ok(ForkFacts::Known(found))
}

/// The schema that `id` had when it was made, if that is known or can be known without waking anything.
pub(super) async fn known(engine: &Arc<Engine>, id: BranchId) -> Result<Option<Arc<Facts>>> {
    if let Some(facts) = engine.forks.get(id) {
        return Ok(Some(facts));
    }
    match engine.blocking(move |engine| Ok(from_file(engine, id))).await? {
        Some(facts) => Ok(Some(facts)),
        None => without_waking(engine, id).await,
    }
}

/// Finds what is not kept; or says why that cannot be.
async fn search(
    engine: &Arc<Engine>,
    id: BranchId,
    turn: OwnedMutexGuard<()>,
) -> Result<Result<Arc<Facts>, String>> {
    if let Some(facts) = without_waking(engine, id).await? {
        return Ok(Ok(facts));
    }
    if let Some(name) = engine.blocking(move |engine| never_awake(engine, id)).await? {
        // Its first wake takes the snapshot.
        schema::schema(engine, id, &name).await?;
    }
    // It goes on if nobody waits for it any more: the snapshot must not stay awake.
    engine
        .blocking(move |engine| {
            let _turn = turn;
            Ok(from_snapshot(engine, id)?.map(Arc::new))
        })
        .await
}

/// The file with the schema that `id`, called `name`, had when it was made.
pub(super) async fn file(engine: &Arc<Engine>, id: BranchId, name: &str) -> Result<PathBuf> {
    let known = facts(engine, id).await?;
    let facts = match known {
        ForkFacts::Known(facts) => facts,
        ForkFacts::Unknown(reason) => return Err(unknown(name, &reason)),
    };
    engine
        .blocking(move |engine| match path_of(engine, id)?.filter(|path| path.is_file()) {
            Some(path) => Ok(path),
            None => write(engine, id, &facts),
        })
        .await
}

/// The file with the schema of the snapshot `id`. Wakes it if that is not known yet.
pub(super) async fn snapshot_file(engine: &Arc<Engine>, id: BranchId) -> Result<PathBuf> {
    let turn = engine.forks.turn(id).await;
    engine
        .blocking(move |engine| {
            let _turn = turn;
            if from_file(engine, id).is_some()
                && let Some(path) = path_of(engine, id)?
            {
                return Ok(path);
            }
            let facts = read(engine, id)?;
            write(engine, id, &facts)
        })
        .await
}

/// The file with the schema of a throwaway, which wakes for it. Nothing needs the file later, but it stays for a while.
pub(super) async fn file_of_throwaway(engine: &Arc<Engine>, id: BranchId) -> Result<PathBuf> {
    let work = move |engine: &Arc<Engine>| {
        let facts = read(engine, id)?;
        write(engine, id, &facts)
    };
    engine.blocking(work).await
}

/// Says that the fork point of a branch is not known.
pub(super) fn unknown(name: &str, reason: &str) -> Failure {
    Failure::user(format!("the schema of `{name}` at its fork point is not known: {reason}"))
        .hint(format!("Compare with the parent as it is now: `offshoot diff`; or reset `{name}`."))
}

/// The schema of a branch that has never been awake is its own, and may still be its parent's of today.
async fn without_waking(engine: &Arc<Engine>, id: BranchId) -> Result<Option<Arc<Facts>>> {
    if let Some(current) = schema::present(engine, id).await.unwrap_or_default() {
        let as_forked = engine.blocking(move |engine| Ok(engine.store.is_as_forked(id)?)).await?;
        if as_forked {
            return Ok(Some(current.facts));
        }
    }
    let Some(parent) = engine.schemas.origin(id) else { return Ok(None) };
    let parent = schema::present(engine, parent).await.unwrap_or_default();
    Ok(parent.and_then(|_| engine.schemas.at_birth(id)))
}

/// The name of `id` if its Postgres has never started.
fn never_awake(engine: &Arc<Engine>, id: BranchId) -> Result<Option<String>> {
    let as_forked = engine.store.is_as_forked(id)?;
    Ok(if as_forked { Some(engine.store.branch(id)?.name) } else { None })
}

/// Reads the fork snapshot of `id`; or says why there is nothing to read.
fn from_snapshot(engine: &Arc<Engine>, id: BranchId) -> Result<Result<Facts, String>> {
    let Some(snapshot) = engine.store.fork_snapshot(id)? else {
        let branch = engine.store.branch(id)?;
        let reason = if branch.parent.is_none() {
            "it has no parent"
        } else {
            "nothing was kept of what it was, as it is older than that, or the disk was full or the machine went down"
        };
        return Ok(Err(reason.to_owned()));
    };
    read(engine, snapshot).map(Ok)
}

/// Wakes a snapshot, reads its schema and puts it to sleep.
fn read(engine: &Arc<Engine>, snapshot: BranchId) -> Result<Facts> {
    if engine.is_stopping() {
        return Err(super::stopping());
    }
    let began = Instant::now();
    let looked = engine
        .store
        .wake(snapshot)
        .map_err(Failure::from)
        .and_then(|socket| catalogs::look(&engine.store, &socket, None));
    // Somebody may be comparing its rows.
    let in_use = engine.computes.connections(snapshot) > 0;
    let slept = if in_use { Ok(()) } else { engine.store.sleep(snapshot) };
    if let Err(error) = slept {
        tracing::warn!(snapshot = snapshot.0, %error, "a snapshot does not fall asleep");
    }
    let took_ms = began.elapsed().as_millis() as u64;
    tracing::info!(snapshot = snapshot.0, took_ms, "read the schema of a snapshot");
    match looked?.facts {
        Some(facts) => Ok(facts),
        None => Err(Failure::internal("a look at a snapshot found nothing")),
    }
}

async fn keep(engine: &Arc<Engine>, id: BranchId, facts: Arc<Facts>) -> Result<Arc<Facts>> {
    engine
        .blocking(move |engine| {
            // What cannot be written is found again.
            if let Err(failure) = write(engine, id, &facts) {
                tracing::warn!(id = id.0, error = %failure, "the schema of a fork point is not kept on the disk");
            }
            Ok(facts)
        })
        .await
}

fn folder(engine: &Engine) -> PathBuf {
    engine.store.info().path.join(FOLDER)
}

fn path_of(engine: &Engine, id: BranchId) -> Result<Option<PathBuf>> {
    let hash = engine.store.note(id, NOTE)?;
    Ok(hash.map(|hash| folder(engine).join(hash).with_extension(EXTENSION)))
}

/// What an earlier engine wrote, unless it is gone, damaged or of another version.
fn from_file(engine: &Engine, id: BranchId) -> Option<Arc<Facts>> {
    let path = path_of(engine, id).ok().flatten()?;
    let text = fs::read_to_string(&path).ok()?;
    let named = path.file_stem().and_then(|stem| stem.to_str()) == Some(&hash(&text));
    match Facts::from_text(&text) {
        Ok(facts) if named => Some(Arc::new(facts)),
        _ => {
            tracing::warn!(path = %path.display(), "a file of facts is damaged; its schema is read again");
            None
        }
    }
}

fn write(engine: &Engine, id: BranchId, facts: &Facts) -> Result<PathBuf> {
    let text = facts.to_text();
    let name = hash(&text);
    let folder = folder(engine);
    let path = folder.join(&name).with_extension(EXTENSION);
    let _files = engine.forks.files.lock().unwrap_or_else(PoisonError::into_inner);
    write_private(&folder, &path, &text).map_err(|e| Failure::io(format!("write {}", path.display()), &e))?;
    engine.store.set_note(id, NOTE, &name)?;
    Ok(path)
}

/// Replaces the file as a whole: a damaged one of that name may be there.
fn write_private(folder: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let temporary = path.with_extension("tmp");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether somebody may be about to read a file that no branch needs.
fn is_fresh(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
    age.is_some_and(|age| age < FRESH)
}

/// Removes the files that no branch needs any more.
pub(super) fn sweep(engine: &Engine) -> Result<()> {
    let _files = engine.forks.files.lock().unwrap_or_else(PoisonError::into_inner);
    let needed: Vec<String> = engine.store.notes(NOTE)?.into_iter().map(|(_, hash)| hash).collect();
    let folder = folder(engine);
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_needed = path.extension().is_some_and(|extension| extension == EXTENSION)
            && path.file_stem().is_some_and(|stem| needed.iter().any(|hash| stem == hash.as_str()));
        if !is_needed && !is_fresh(&path) {
            fs::remove_file(&path).map_err(|e| Failure::io(format!("remove {}", path.display()), &e))?;
        }
    }
    Ok(())
}

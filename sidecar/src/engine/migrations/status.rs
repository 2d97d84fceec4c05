//! `migrations/status`: files and histories brought together.

mod judged;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use offshoot_migrations::{BranchStatus, Observed, Project, Scan, Scanner, State, Subject};
use offshoot_protocol::migrations::{
    MigrationBranch, MigrationState, MigrationsOnCheckout, MigrationsSnapshot, MigrationsStatus,
    MigrationsStatusParams,
};
use offshoot_storage::BranchId;
use tokio::task::JoinSet;

use super::files::{self, id_of};
use super::git::Git;
use super::way_back::{self, WayBack};
use super::{accepted, cut_short, history, ran, sizes, wire, written};
use crate::config::ConfigFile;
use crate::engine::server::Call;
use crate::engine::{Engine, branches, worktrees};
use crate::failure::{Failure, Result};
use judged::{Judged, OnBranch};

/// How snapshots are called that are taken before migrations are applied.
pub(super) const SNAPSHOT: &str = "before-migrations-";
/// Digits that follow: the time to the millisecond.
const SNAPSHOT_DIGITS: usize = 17;
/// Under which name a branch's notes hold what was seen when migrations ran.
const SEEN: &str = "migrations-seen";
/// Entries from which on the length of an answer is looked at, and how long it may be.
const MANY: usize = 2_000;
const ANSWER_BYTES: usize = 900_000;
/// Branches looked at at the same time.
const AT_ONCE: usize = 6;

/// A worktree as it is now.
pub(super) struct Place {
    pub(super) root: PathBuf,
    /// The database branch that it leads to.
    pub(super) branch: Result<(BranchId, String)>,
    pub(super) on_checkout: MigrationsOnCheckout,
    pub(super) check_command: Option<String>,
    /// Set if the files are those of a commit, unpacked.
    pub(super) unpacked_of: Option<Commit>,
}

/// A commit whose files stand in a folder of their own.
pub(super) struct Commit {
    /// A worktree of its repository.
    pub(super) worktree: PathBuf,
    /// Git's name of it.
    pub(super) id: String,
}

/// The worktree that holds `folder`.
pub(super) async fn place(engine: &Arc<Engine>, folder: &str) -> Result<Place> {
    let key = worktrees::seat(engine, folder).await?;
    // A checkout that could not be followed is told as the branch's absence.
    let _ = engine.binding.settle(&key).await;
    let view = engine.binding.view(&key).await?;
    let root = view.path.clone();
    let branch = view.branch;
    engine
        .blocking(move |engine| {
            let branch =
                branch.and_then(|id| branches::here(&engine.store, id)).map(|here| (here.id, here.name));
            let file = ConfigFile::open(&root);
            let config = file.config();
            let (on_checkout, check_command) =
                (config.migrations_on_checkout, config.migrations_check.clone());
            Ok(Place { root, branch, on_checkout, check_command, unpacked_of: None })
        })
        .await
}

impl Place {
    /// The branch that is meant: the named one, else the worktree's.
    pub(super) async fn meant(
        &self,
        engine: &Arc<Engine>,
        named: Option<&str>,
    ) -> Result<(BranchId, String)> {
        match named {
            Some(name) => Ok((branches::named(engine, name).await?, name.to_owned())),
            None => self.branch.clone().map_err(|failure| {
                Failure::user(format!("this worktree has no database branch: {failure}"))
                    .hint("Name one with `--branch`, or see `offshoot status`.")
            }),
        }
    }

    /// Where git knows the branches.
    pub(super) fn repository(&self) -> &Path {
        self.unpacked_of.as_ref().map_or(&self.root, |commit| &commit.worktree)
    }

    /// The files of the worktree.
    pub(super) async fn scan(&self, engine: &Arc<Engine>) -> Result<Arc<Scan>> {
        let root = self.root.clone();
        engine.blocking(move |engine| engine.migrations.trees.scan(&root)).await
    }
}

/// `migrations/status`.
pub(in crate::engine) async fn status(
    engine: &Arc<Engine>,
    params: MigrationsStatusParams,
    call: &Call,
) -> Result<MigrationsStatus> {
    let place = place(engine, &params.folder).await?;
    let scan = match params.commit.clone() {
        None => place.scan(engine).await?,
        Some(commit) => {
            let root = place.root.clone();
            let read = engine.blocking(move |_| {
                let git = Git::of(&root);
                let tree = git.tree(&git.commit(&commit)?)?;
                files::scanned(&mut Scanner::default(), &tree)
            });
            read.await?
        }
    };
    let mut meant: Vec<(BranchId, String)> = Vec::new();
    if params.all {
        let all = engine.blocking(|engine| Ok(engine.store.branches()?)).await?;
        meant.extend(all.into_iter().map(|branch| (branch.id, branch.name)));
    } else if params.branches.is_empty() {
        meant.extend(place.branch.clone().ok());
    } else {
        for name in &params.branches {
            meant.push((branches::named(engine, name).await?, name.clone()));
        }
    }
    if let Ok(own) = &place.branch {
        meant.sort_by_key(|(id, _)| *id != own.0);
    }
    call.or_cancelled(of(engine, &place, &scan, meant, &params)).await
}

/// The status of the branch of `place` by the files of `scan`.
pub(super) async fn of_place(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
) -> Result<MigrationsStatus> {
    let meant = place.branch.clone().ok().into_iter().collect();
    of(engine, place, scan, meant, &MigrationsStatusParams::default()).await
}

/// The status of these branches.
async fn of(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    meant: Vec<(BranchId, String)>,
    params: &MigrationsStatusParams,
) -> Result<MigrationsStatus> {
    let (mut projects, branches) = judged::judged(engine, place, scan, meant, params).await?;
    let own = place.branch.as_ref().ok().map(|(id, _)| *id);
    let from_commit = params.commit.is_some();
    let mut waiting = branches.into_iter().enumerate();
    let mut under_way = JoinSet::new();
    let mut found: BTreeMap<usize, Vec<MigrationBranch>> = BTreeMap::new();
    let count = projects.len();
    loop {
        while under_way.len() < AT_ONCE
            && let Some((at, branch)) = waiting.next()
        {
            let engine = Arc::clone(engine);
            let is_own = own == Some(branch.id);
            let look = Look {
                may_wake: !params.known_only,
                brief: params.brief && !is_own,
                notes_down: (is_own && !from_commit).then(|| place.root.clone()),
            };
            under_way.spawn(async move { (at, one(&engine, branch, count, look).await) });
        }
        match under_way.join_next().await {
            None => break,
            Some(Ok((at, branches))) => drop(found.insert(at, branches?)),
            Some(Err(panic)) => {
                return Err(Failure::internal(format!("a task of the engine failed: {panic}")));
            }
        }
    }
    for branches in found.into_values() {
        for (project, branch) in projects.iter_mut().zip(branches) {
            project.branches.push(branch);
        }
    }
    let tables = match own.filter(|_| params.sizes) {
        Some(id) => sizes::of(engine, id).await,
        None => Vec::new(),
    };
    let status = MigrationsStatus {
        tables,
        worktree: place.root.to_string_lossy().into_owned(),
        branch: place.branch.as_ref().ok().map(|(_, name)| name.clone()),
        commit: params.commit.clone(),
        projects,
        diagnostics: scan.diagnostics.iter().map(wire::diagnostic).collect(),
        on_checkout: place.on_checkout,
    };
    engine.blocking(move |_| fitting(status)).await
}

/// Leaves out what is plainly applied, of other branches first, where an answer would be too long for one message.
fn fitting(mut status: MigrationsStatus) -> Result<MigrationsStatus> {
    let size = |status: &MigrationsStatus| serde_json::to_vec(status).map_or(usize::MAX, |text| text.len());
    let many = |status: &MigrationsStatus| {
        status.projects.iter().any(|project| project.files.len() * (1 + project.branches.len()) > MANY)
    };
    let own = status.branch.clone();
    for with_own in [false, true] {
        if !many(&status) || size(&status) <= ANSWER_BYTES {
            return Ok(status);
        }
        for branch in status.projects.iter_mut().flat_map(|project| &mut project.branches) {
            if with_own || Some(&branch.branch) != own.as_ref() {
                let is_plain = |state| matches!(state, MigrationState::Applied | MigrationState::Ignored);
                branch.entries.retain(|entry| entry.row.is_some() || !is_plain(entry.state));
            }
        }
    }
    if size(&status) <= ANSWER_BYTES {
        return Ok(status);
    }
    let hint = match &status.projects[..] {
        [only] if only.branches.len() <= 1 => format!(
            "{} has {} files in {}. Bring the old ones together in one (a squash or a baseline of the tool), and take \
             their files out of the folder.",
            only.name,
            only.files.len(),
            only.folders.join(", ")
        ),
        [_] => "Ask for one branch, not for all.".to_owned(),
        _ => "Ask for one tool with `--tool`, and for one branch.".to_owned(),
    };
    Err(Failure::user("there are too many migrations for one answer").hint(hint))
}

/// How a branch is looked at.
struct Look {
    may_wake: bool,
    brief: bool,
    /// The worktree whose files are taken note of.
    notes_down: Option<PathBuf>,
}

/// All projects on one branch.
async fn one(
    engine: &Arc<Engine>,
    branch: OnBranch,
    count: usize,
    look: Look,
) -> Result<Vec<MigrationBranch>> {
    let OnBranch { id, name, files_of, projects } = branch;
    let projects = match projects {
        Ok(projects) => projects,
        Err(why) => return Ok((0..count).map(|_| wire::unread(&name, why.clone(), files_of)).collect()),
    };
    let of: Vec<&Project> = projects.iter().map(Judged::project).collect();
    let histories = history::read(engine, id, &of, look.may_wake).await;
    engine
        .blocking(move |engine| {
            let undo = undo_of(engine, id, &name)?;
            let cut_short = cut_short::told(engine, id, &name)?;
            let mut branches = Vec::new();
            for (at, judged) in projects.iter().enumerate() {
                let project = judged.project();
                let mut branch = match &histories {
                    Ok(histories) => {
                        let observed = observed(engine, id, project)?;
                        let status = project.status(&histories[at], &observed.0);
                        if let Some(root) = &look.notes_down {
                            note(engine, id, project, &status, &observed.1, root)?;
                        }
                        let names = wire::Names { project, places: judged.places.as_deref(), files_of };
                        let mut branch = wire::branch(&name, &status, look.brief, &names);
                        branch.diagnostics.extend(written::told(engine, id, &name, project, &status)?);
                        branch
                    }
                    Err(why) => wire::unread(&name, why.clone(), files_of),
                };
                branch.undo.clone_from(&undo);
                branch.diagnostics.splice(0..0, cut_short.clone());
                branches.push(branch);
            }
            Ok(branches)
        })
        .await
}

/// Keys and blobs that were seen when migrations ran, of tools that keep no checksums.
pub(super) type Seen = BTreeMap<String, String>;

/// Those of all projects, by id.
fn seen(engine: &Engine, id: BranchId) -> Result<BTreeMap<String, Seen>> {
    let text = engine.store.note(id, SEEN)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

fn set_seen(engine: &Engine, id: BranchId, all: &BTreeMap<String, Seen>) -> Result<()> {
    let text = serde_json::to_string(all).map_err(|e| Failure::internal(e.to_string()))?;
    Ok(engine.store.set_note(id, SEEN, &text)?)
}

/// What was seen on the branch; the first time, on its parent.
pub(super) fn observed(engine: &Engine, id: BranchId, project: &Project) -> Result<(Observed, Seen)> {
    let mut all = seen(engine, id)?.remove(&id_of(project));
    if all.is_none()
        && let Some(parent) = engine.store.branch(id)?.parent
    {
        all = seen(engine, parent)?.remove(&id_of(project));
    }
    let all = all.unwrap_or_default();
    let mut observed = Observed::default();
    for (key, blob) in &all {
        observed.note(key.clone(), blob.clone());
    }
    Ok((observed, all))
}

/// Takes down what the files are that were applied since the last look.
fn note(
    engine: &Engine,
    id: BranchId,
    project: &Project,
    status: &BranchStatus,
    before: &Seen,
    root: &Path,
) -> Result<()> {
    let mut now = Seen::new();
    let mut fresh = Vec::new();
    for entry in &status.entries {
        if let (Subject::File(place), State::Unknown) = (&entry.subject, entry.state) {
            // What is not known now may be known again.
            let key = &project.migrations[*place].key;
            now.extend(before.get(key).map(|blob| (key.clone(), blob.clone())));
        }
        if let (Subject::File(place), State::Applied | State::Changed) = (&entry.subject, entry.state) {
            let file = &project.migrations[*place];
            // One that is half written now was not when it ran.
            if file.checksums.is_empty() && !file.blob.is_empty() {
                let blob = before.get(&file.key).or((!file.broken).then_some(&file.blob));
                if !before.contains_key(&file.key) && blob.is_some() {
                    fresh.push((file.path.as_str(), file.blob.as_str()));
                }
                now.extend(blob.map(|blob| (file.key.clone(), blob.clone())));
            }
        }
    }
    // A file that is not here just now, as in the middle of a rebase, is to be known again when it is back.
    if status.count(State::Missing) > 0 {
        let here: BTreeSet<&str> = project.migrations.iter().map(|file| file.key.as_str()).collect();
        let gone = before.iter().filter(|(key, _)| !here.contains(key.as_str()));
        now.extend(gone.map(|(key, blob)| (key.clone(), blob.clone())));
    }
    ran::keep(engine, id, root, &fresh)?;
    let mut all = seen(engine, id)?;
    if all.get(&id_of(project)) != Some(&now) {
        all.insert(id_of(project), now);
        set_seen(engine, id, &all)?;
    }
    Ok(())
}

/// Whether a snapshot was taken before migrations, by its name. People may begin names of theirs as ours begin.
pub(super) fn is_ours(name: &str) -> bool {
    name.strip_prefix(SNAPSHOT)
        .is_some_and(|rest| rest.len() == SNAPSHOT_DIGITS && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The snapshot that an undo would go back to.
fn undo_of(engine: &Engine, id: BranchId, name: &str) -> Result<Option<MigrationsSnapshot>> {
    let WayBack::To(snapshot) = way_back::newest(engine, id)? else { return Ok(None) };
    let at = snapshot.created_at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Ok(Some(MigrationsSnapshot { branch: name.to_owned(), name: snapshot.name, created_at: at.as_secs() }))
}

/// Gives a branch that takes another one's place what was seen there, and what was accepted.
pub(in crate::engine) fn carry_over(engine: &Engine, from: BranchId, to: BranchId) -> Result<()> {
    set_seen(engine, to, &seen(engine, from)?)?;
    accepted::carry_over(engine, from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_of_ones_own_are_not_taken_for_ours() {
        assert!(is_ours("before-migrations-20260131235959123"));
        for own in [
            "before-migrations-of-june",
            "before-migrations-2026",
            "before-migrations-202601312359591234",
            "x",
        ] {
            assert!(!is_ours(own), "{own}");
        }
    }
}

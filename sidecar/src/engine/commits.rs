//! Snapshots at git commits, where `snapshots.on_commit` asks for them.
//!
//! A commit on a git branch that has a database branch of its own is a reason to keep that one as it is, under the first letters of
//! the commit. They go when they are older than the restore window, or too many; those that people take by themselves stay.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use offshoot_git::Head;
use offshoot_storage::{BranchId, RestoreWindow, Snapshot};

use super::binding::git_failure;
use super::{Engine, room};
use crate::failure::{Result, chain};

/// The note about a snapshot: the commit that it was taken at.
const NOTE: &str = "git-commit";
/// Letters of a commit in a snapshot's name.
const LETTERS: usize = 10;
/// Signs of git may be lost; then this finds the commit.
const INTERVAL: Duration = Duration::from_secs(30);
const TRIM_INTERVAL: Duration = Duration::from_mins(10);
/// How many a branch has at the most.
const MOST: usize = 200;

/// The commit of each git branch, by the branch's name.
pub(super) type Tips = HashMap<String, String>;

/// What the git branches are at as the engine starts, if that matters. To be read before anything is served: what was committed while no
/// engine ran is not what a database is by the time of the first look, as the statement that started the engine may have changed it. Blocks.
pub(super) fn tips(engine: &Engine) -> Tips {
    if !room::snapshots_on_commit(engine) {
        return Tips::new();
    }
    engine.repository.tips().unwrap_or_else(|error| {
        tracing::warn!(error = chain(&error), "cannot read what commits the branches are at");
        Tips::new()
    })
}

/// Takes snapshots as commits are made. Never returns while the engine runs.
pub(super) async fn run(engine: Arc<Engine>, before: Tips) {
    let mut keeper = Keeper { before, ..Keeper::default() };
    loop {
        let _ = tokio::time::timeout(INTERVAL, engine.committed.notified()).await;
        if engine.is_stopping() {
            return;
        }
        match keeper.look(&engine).await {
            Ok(()) => keeper.failing = false,
            Err(failure) => {
                if !keeper.failing {
                    tracing::warn!(error = %failure, "cannot take snapshots at commits; it is tried again quietly");
                }
                keeper.failing = true;
            }
        }
    }
}

#[derive(Debug, Default)]
struct Keeper {
    /// What the git branches were at before the engine served.
    before: Tips,
    /// The commit that was seen last on each branch.
    seen: HashMap<BranchId, String>,
    trimmed: Option<Instant>,
    /// Whether the last attempt failed; it was told then.
    failing: bool,
}

impl Keeper {
    async fn look(&mut self, engine: &Arc<Engine>) -> Result<()> {
        if self.trimmed.is_none_or(|at| at.elapsed() >= TRIM_INTERVAL) {
            self.trimmed = Some(Instant::now());
            trim(engine, SystemTime::now()).await?;
        }
        if !engine.blocking(|engine| Ok(room::snapshots_on_commit(engine))).await? {
            self.seen.clear();
            return Ok(());
        }
        for (id, name, commit) in heads(engine).await? {
            let seen = self.seen.get(&id);
            if seen == Some(&commit) {
                continue;
            }
            let is_first = seen.is_none();
            if is_first && self.before.get(&name) == Some(&commit) {
                self.seen.insert(id, commit);
                continue;
            }
            if keep(engine, id, commit.clone(), is_first).await? > MOST + MOST / 10 {
                // Many commits in a short time, such as those of a script, do not wait for the next look.
                self.trimmed = None;
            }
            // Only now: what fails is tried again.
            self.seen.insert(id, commit);
        }
        Ok(())
    }
}

/// Database branches that stand where the git branch of their name is checked out, with that name and its commit.
async fn heads(engine: &Arc<Engine>) -> Result<Vec<(BranchId, String, String)>> {
    let views = engine.binding.fresh_views().await?;
    engine
        .blocking(move |engine| {
            let mut own = Vec::new();
            for view in &views {
                let (Some(Head::Branch(head)), Ok(id)) = (&view.head, &view.branch) else { continue };
                if engine.store.branch(*id).is_ok_and(|branch| branch.name == *head) {
                    own.push((*id, head.as_str()));
                }
            }
            // Those of the branches, not what HEAD is at: it may have moved on since, as a bisection's does.
            let names: Vec<&str> = own.iter().map(|(_, name)| *name).collect();
            let tips = engine.repository.tips_of(&names).map_err(|e| git_failure(&e))?;
            // A branch without a commit has none.
            let with_tip =
                |(id, name): (BranchId, &str)| Some((id, name.to_owned(), tips.get(name)?.clone()));
            Ok(own.into_iter().filter_map(with_tip).collect())
        })
        .await
}

/// Keeps `id` as it is now for `commit`, unless there is a snapshot of that already. A branch that is seen for the first time and has
/// nothing of its own needs none. Returns how many snapshots the branch has.
async fn keep(engine: &Arc<Engine>, id: BranchId, commit: String, is_first: bool) -> Result<usize> {
    let turn = engine.computes.turn(id).await;
    engine
        .blocking(move |engine| {
            let _turn = turn;
            let name = short(&commit).to_owned();
            let snapshots = engine.store.snapshots(id)?;
            let there = snapshots.iter().any(|snapshot| snapshot.name == name);
            if there || (is_first && engine.store.is_as_forked(id)?) {
                return Ok(snapshots.len());
            }
            room::admit(engine)?;
            let taken = engine.store.create_snapshot(id, &name)?;
            room::made(engine, taken.id);
            engine.store.set_note(taken.id, NOTE, &commit)?;
            tracing::info!(id = id.0, commit, "took a snapshot at a commit");
            Ok(snapshots.len() + 1)
        })
        .await
}

/// The commits that snapshots were taken at. Blocks.
pub(super) fn commits(engine: &Engine) -> Result<HashMap<BranchId, String>> {
    Ok(engine.store.notes(NOTE)?.into_iter().collect())
}

/// The first letters of a commit, as snapshots are called by.
pub(super) fn short(commit: &str) -> &str {
    commit.get(..LETTERS).unwrap_or(commit)
}

/// The snapshot at `commit`: of `here` or of what that comes from, or else of the branch made last. Blocks.
pub(super) fn taken_at(engine: &Engine, commit: &str, here: BranchId) -> Result<Option<BranchId>> {
    let commits = commits(engine)?;
    if !commits.values().any(|taken_at| taken_at == commit) {
        return Ok(None);
    }
    let branches = engine.store.branches()?;
    let parent = |id| branches.iter().find(|branch| branch.id == id).and_then(|branch| branch.parent);
    let line: Vec<BranchId> =
        std::iter::successors(Some(here), |id| parent(*id)).take(branches.len()).collect();
    let mut found = Vec::new();
    for branch in &branches {
        let is_it = |one: &Snapshot| commits.get(&one.id).is_some_and(|taken_at| taken_at == commit);
        let taken = engine.store.snapshots(branch.id)?.into_iter().find(is_it);
        let rank = line.iter().position(|id| *id == branch.id).unwrap_or(line.len());
        found.extend(taken.map(|taken| (rank, std::cmp::Reverse(branch.id), taken.id)));
    }
    Ok(found.into_iter().min().map(|(_, _, id)| id))
}

/// Removes what is too old or too much.
async fn trim(engine: &Arc<Engine>, now: SystemTime) -> Result<()> {
    let old = engine
        .blocking(move |engine| {
            let commits = commits(engine)?;
            if commits.is_empty() {
                return Ok(Vec::new());
            }
            let window = room::restore(engine).unwrap_or_default();
            let mut old = Vec::new();
            for branch in engine.store.branches()? {
                let mut taken = engine.store.snapshots(branch.id)?;
                taken.retain(|snapshot| commits.contains_key(&snapshot.id));
                old.extend(due(&taken, window, now));
            }
            Ok(old)
        })
        .await?;
    for id in old {
        let turn = engine.forks.turn(id).await;
        let remove = move |engine: &Arc<Engine>| {
            let _turn = turn;
            engine.store.delete_snapshot(id)?;
            engine.forks.forget(id);
            Ok(())
        };
        engine.blocking(remove).await?;
    }
    Ok(())
}

/// Those of a branch's snapshots at commits, oldest first, that are to go.
fn due(taken: &[Snapshot], window: RestoreWindow, now: SystemTime) -> impl Iterator<Item = BranchId> {
    let too_many = taken.len().saturating_sub(MOST);
    let is_old = move |snapshot: &Snapshot| {
        now.duration_since(snapshot.created_at).is_ok_and(|age| age > window.window)
    };
    let gone = taken.iter().enumerate().filter(move |(at, snapshot)| *at < too_many || is_old(snapshot));
    gone.map(|(_, snapshot)| snapshot.id).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use offshoot_storage::SnapshotKind;

    use super::*;

    #[test]
    fn snapshots_at_commits_go_with_the_window_and_beyond_their_number() {
        let day = |day: u64| UNIX_EPOCH + Duration::from_hours(24 * day);
        let taken = |days: std::ops::Range<u64>| -> Vec<Snapshot> {
            let snapshot = |at| Snapshot {
                id: BranchId(at),
                of: BranchId(1),
                kind: SnapshotKind::Named,
                name: at.to_string(),
                created_at: day(at),
            };
            days.map(snapshot).collect()
        };
        let gone = |snapshots: &[Snapshot], now| -> Vec<u64> {
            due(snapshots, RestoreWindow::default(), day(now)).map(|id| id.0).collect()
        };
        assert_eq!(gone(&taken(10..20), 19), [10, 11]);
        assert_eq!(gone(&taken(10..20), 5), [0; 0], "a clock that was ahead removes nothing");
        let mut crowd = taken(0..202);
        for snapshot in &mut crowd {
            snapshot.created_at = day(300);
        }
        assert_eq!(gone(&crowd, 300), [0, 1]);
    }
}

//! What a branch has beside its migrations, as far as that is known without waking anything.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use offshoot_migrations::{Project, Scan, State, Subject};
use offshoot_protocol::policy::Given;
use offshoot_schema::Facts;
use offshoot_storage::BranchId;
use sha2::{Digest as _, Sha256};

use super::files::id_of;
use super::git::Git;
use super::{history, stage, status};
use crate::engine::{Engine, fork, given, schema};
use crate::failure::Result;

/// The note about a branch: the schema after its migrations ran last, and which had run by then.
const NOTE: &str = "migrations-schema";

/// How a branch stands to the files of a worktree.
#[derive(Debug, Default)]
pub(in crate::engine) struct Standing {
    /// Files that will run, relative to the worktree.
    pub(in crate::engine) pending: Vec<String>,
    /// What ran and has no file.
    pub(in crate::engine) missing: Vec<String>,
    /// Files that ran.
    applied: Vec<String>,
    /// Stands for the rows of the histories. Of these alone: what a file is called there is not known where the file is not.
    rows: String,
}

impl Standing {
    /// Whether anything ran.
    fn has_run(&self) -> bool {
        !self.missing.is_empty() || !self.applied.is_empty()
    }
}

/// What a branch has that was left.
#[derive(Debug, Default)]
pub(in crate::engine) struct Left {
    /// Migrations that ran on it and have no file where one is now.
    pub(in crate::engine) ran: Vec<String>,
    /// What stands for its schema, if that has changes that are in no migration.
    pub(in crate::engine) changed: Option<String>,
}

/// What `id`, the database of the git branch `name`, has that the files of the worktree at `root` have not, as far as that is known. A
/// tool that is not known there is taken from the files of the branch.
pub(in crate::engine) async fn left(
    engine: &Arc<Engine>,
    root: &Path,
    id: BranchId,
    name: &str,
) -> Result<Left> {
    let (root, name) = (root.to_owned(), name.to_owned());
    let scans = move |engine: &Arc<Engine>| {
        let here = engine.migrations.trees.scan(&root)?;
        let own = engine.migrations.commits.of_branch(&Git::of(&root), &name)?;
        Ok((here, own))
    };
    let (here, own) = engine.blocking(scans).await?;
    let mut left = Left::default();
    if let Some(standing) = of(engine, &here, id, false).await? {
        left.ran = standing.missing;
    }
    let is_here = |project: &&Project| here.projects.iter().any(|one| id_of(one) == id_of(project));
    let unknown = own.as_ref().map_or(Vec::new(), |own| {
        own.projects.iter().filter(|project| !is_here(project)).cloned().collect::<Vec<_>>()
    });
    if unknown.is_empty() {
        left.changed = aside(engine, &here, id).await?;
        return Ok(left);
    }
    let unknown = Arc::new(Scan { projects: unknown, ..Scan::default() });
    if let Some(standing) = of(engine, &unknown, id, false).await? {
        left.ran.extend(standing.applied.into_iter().chain(standing.missing));
    }
    let own = own.unwrap_or(here);
    left.changed = aside(engine, &own, id).await?;
    Ok(left)
}

/// How `id` stands to the files of the worktree at `root`; `None` if that is not known, as without `may_wake` of one that sleeps.
pub(in crate::engine) async fn standing(
    engine: &Arc<Engine>,
    root: &Path,
    id: BranchId,
    may_wake: bool,
) -> Result<Option<Standing>> {
    let root = root.to_owned();
    let scan = engine.blocking(move |engine| engine.migrations.trees.scan(&root)).await?;
    of(engine, &scan, id, may_wake).await
}

async fn of(
    engine: &Arc<Engine>,
    scan: &Arc<Scan>,
    id: BranchId,
    may_wake: bool,
) -> Result<Option<Standing>> {
    let projects: Vec<&Project> = scan.projects.iter().collect();
    let Ok(histories) = history::read(engine, id, &projects, may_wake).await else { return Ok(None) };
    let scan = Arc::clone(scan);
    let work = move |engine: &Arc<Engine>| {
        let mut standing = Standing { rows: hash(&format!("{histories:?}")), ..Standing::default() };
        for (project, history) in scan.projects.iter().zip(histories) {
            let (observed, _) = status::observed(engine, id, project)?;
            for entry in project.status(&history, &observed).entries {
                let name = match &entry.subject {
                    Subject::File(place) => project.migrations[*place].path.clone(),
                    Subject::Row(row) => row.clone(),
                };
                match entry.state {
                    State::Pending | State::OutOfOrder => standing.pending.push(name),
                    State::Missing => standing.missing.push(name),
                    State::Applied | State::Changed => standing.applied.push(name),
                    _ => (),
                }
            }
        }
        Ok(Some(standing))
    };
    engine.blocking(work).await
}

/// Takes down what the migrations made of the schema of `id`.
pub(super) async fn note(engine: &Arc<Engine>, id: BranchId, scan: &Arc<Scan>, after: &Arc<Facts>) {
    let noted = async {
        let Some(standing) = of(engine, scan, id, false).await? else { return Ok(()) };
        let (scan, after) = (Arc::clone(scan), Arc::clone(after));
        let work = move |engine: &Arc<Engine>| {
            let text = format!("{} {}", digest(&after, &scan, &given::of(engine, id)?), standing.rows);
            Ok(engine.store.set_note(id, NOTE, &text)?)
        };
        engine.blocking(work).await
    };
    if let Err(failure) = noted.await {
        tracing::warn!(id = id.0, error = %failure, "what migrations made of a schema is not written down");
    }
}

/// What stands for the schema of `id`, if it has changes that are in no migration. `None`, too, if that cannot be told at once: it
/// sleeps and is not known, or migrations ran by other means than Offshoot's.
async fn aside(engine: &Arc<Engine>, scan: &Arc<Scan>, id: BranchId) -> Result<Option<String>> {
    let Some(present) = schema::present(engine, id).await? else { return Ok(None) };
    let Some(standing) = of(engine, scan, id, false).await? else { return Ok(None) };
    let work = move |engine: &Arc<Engine>| Ok((engine.store.note(id, NOTE)?, given::of(engine, id)?));
    let (noted, given) = engine.blocking(work).await?;
    let now = digest(&present.facts, scan, &given);
    if let Some((schema, ran)) = noted.as_deref().and_then(|noted| noted.split_once(' ')) {
        let is_known = ran == standing.rows;
        return Ok((is_known && schema != now).then_some(now));
    }
    // None ran here; then it should be as it was made.
    let parent = engine.blocking(move |engine| Ok(engine.store.branch(id)?.parent)).await?;
    let Some(parent) = parent else { return Ok(None) };
    let is_as_parent = of(engine, scan, parent, false).await?.is_some_and(|its| its.rows == standing.rows);
    if !is_as_parent && standing.has_run() {
        return Ok(None);
    }
    let Some(fork) = fork::known(engine, id).await? else { return Ok(None) };
    Ok((digest(&fork, scan, &given) != now).then_some(now))
}

/// A number for a schema without the tables that the tools keep for themselves, and without what rules gave the branch.
fn digest(facts: &Facts, scan: &Scan, given: &Given) -> String {
    let mut facts = stage::without_histories(facts, scan.projects.iter());
    crate::given::take(given, &mut facts);
    hash(&facts.to_text())
}

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

//! Databases of throwaways in which migrations are tried.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offshoot_migrations::{BranchStatus, History, Next, Observed, Project, Scan, State, Subject, Tool};
use offshoot_protocol::types::{SchemaChange, SchemaObject};
use offshoot_schema::{Facts, Kind, Object, PlanOptions, Renames};
use offshoot_storage::BranchId;

use super::git::Git;
use super::history;
use super::tool::Address;
use crate::engine::server::Call;
use crate::engine::throwaway::{self, Throwaway};
use crate::engine::{Engine, given, groups, prepare};
use crate::failure::{Failure, Result, chain};
use crate::histories::Histories;

/// The empty database that all files are replayed in.
const REPLAYED: &str = "offshoot_replay";

/// A database of a throwaway. Goes with this value.
pub(super) struct Stage {
    throwaway: Throwaway,
    pub(super) socket: PathBuf,
    pub(super) database: Option<&'static str>,
}

impl Stage {
    /// A copy of a branch.
    pub(super) async fn of(engine: &Arc<Engine>, parent: BranchId, what: &str, call: &Call) -> Result<Self> {
        let (throwaway, socket) = call.while_wanted(Throwaway::awake(engine, parent, what, call)).await?;
        Ok(Self { throwaway, socket, database: None })
    }

    /// An empty database beside the roles of a branch.
    pub(super) async fn empty(
        engine: &Arc<Engine>,
        parent: BranchId,
        what: &str,
        call: &Call,
    ) -> Result<Self> {
        let mut stage = Self::of(engine, parent, what, call).await?;
        let socket = stage.socket.clone();
        let made = engine.blocking(move |engine| {
            let major = engine.store.info().postgres.version.major;
            let mut client = throwaway::connect(engine, &socket, None, &throwaway::options(major))?;
            let sql = format!("CREATE DATABASE {REPLAYED} TEMPLATE template0");
            client
                .batch_execute(&sql)
                // The cluster's own encoding may be another, which the cluster's locale then demands.
                .or_else(|_| client.batch_execute(&format!("{sql} ENCODING 'UTF8' LOCALE 'C'")))
                .map_err(|e| Failure::engine(format!("cannot make an empty database: {}", chain(&e))))
        });
        if let Err(failure) = made.await {
            stage.remove().await?;
            return Err(failure);
        }
        stage.database = Some(REPLAYED);
        Ok(stage)
    }

    /// Gives it the extensions and roles that rules gave the branch `id`: they are none of its migrations' making.
    pub(super) async fn equip(&self, engine: &Arc<Engine>, id: BranchId) -> Result<()> {
        let (socket, database) = (self.socket.clone(), self.database);
        let work = move |engine: &Arc<Engine>| {
            let given = given::of(engine, id)?;
            if crate::given::is_nothing(&given) {
                return Ok(());
            }
            let options = throwaway::options(engine.store.info().postgres.version.major);
            let mut client = throwaway::connect(engine, &socket, database, &options)?;
            prepare::equip(&mut client, &given).map_err(|e| {
                Failure::engine(format!(
                    "what a rule gave the branch cannot be made on a throwaway: {}",
                    chain(&e)
                ))
            })
        };
        engine.blocking(work).await
    }

    /// Its address for a tool.
    pub(super) async fn address(&self, engine: &Engine) -> Result<Address> {
        Address::of_socket(engine, 0, &self.socket, self.database).await
    }

    /// Its schema.
    pub(super) async fn facts(&self, engine: &Arc<Engine>) -> Result<Arc<Facts>> {
        let (socket, database) = (self.socket.clone(), self.database);
        engine
            .blocking(move |engine| {
                let events = engine.store.info().postgres.version.major >= 17;
                let options = format!(
                    "-c statement_timeout=60000 -c lock_timeout=5000 -c default_transaction_read_only=on \
                     -c search_path=pg_catalog -c role=none{}",
                    if events { " -c event_triggers=off" } else { "" }
                );
                let mut client = throwaway::connect(engine, &socket, database, &options)?;
                let facts = offshoot_schema::read(&mut client).map_err(|e| {
                    Failure::engine(format!("the schema cannot be read: {}", chain(&e))).hint(e.hint())
                })?;
                Ok(Arc::new(facts))
            })
            .await
    }

    /// The state of the project at `at` of `scan`.
    pub(super) async fn status(
        &self,
        engine: &Arc<Engine>,
        scan: &Arc<Scan>,
        at: usize,
    ) -> Result<BranchStatus> {
        self.status_seen(engine, scan, at, &Observed::default()).await
    }

    /// The same where this was seen of what ran.
    pub(super) async fn status_seen(
        &self,
        engine: &Arc<Engine>,
        scan: &Arc<Scan>,
        at: usize,
        observed: &Observed,
    ) -> Result<BranchStatus> {
        let (socket, database, scan) = (self.socket.clone(), self.database, Arc::clone(scan));
        let observed = observed.clone();
        engine
            .blocking(move |engine| {
                let mut client = history::connect(engine, &socket, database)?;
                let history: History = history::of(&mut client, &scan.projects[at]);
                Ok(scan.projects[at].status(&history, &observed))
            })
            .await
    }

    /// Removes it.
    pub(super) async fn remove(self) -> Result<()> {
        self.throwaway.remove().await
    }
}

/// The places of the projects that are meant.
pub(super) fn places(scan: &Scan, tool: Option<&str>) -> Result<Vec<usize>> {
    let meant = super::files::required(scan, tool)?;
    let at = |project: &&Project| scan.projects.iter().position(|one| std::ptr::eq(one, *project));
    Ok(meant.iter().filter_map(at).collect())
}

/// What would run next: places of files, in the tool's order, up to and with the file `to`.
///
/// # Errors
/// If there is no such file, or if it cannot be told what would run.
pub(super) fn pending(project: &Project, status: &BranchStatus, to: Option<&str>) -> Result<Vec<usize>> {
    let mut found: Vec<usize> = status
        .entries
        .iter()
        .filter(|entry| {
            let untold = project.tool == Tool::PlainSql && entry.state == State::Unknown;
            entry.next == Next::Runs || untold
        })
        .filter_map(|entry| match entry.subject {
            Subject::File(place) => Some(place),
            Subject::Row(_) => None,
        })
        .collect();
    if project.tool != Tool::PlainSql
        && let Some(why) = unknown(status)
    {
        return Err(why);
    }
    if let Some(to) = to {
        let is_it = |place: &usize| {
            let file = &project.migrations[*place];
            file.path == to
                || file.key == to
                || file.version.as_deref() == Some(to)
                || file.path.ends_with(&format!("/{to}"))
        };
        let last = found.iter().position(is_it).ok_or_else(|| {
            Failure::user(format!("no pending migration is `{to}`"))
                .hint("Name a file, a key or a version of `offshoot migrations status`.")
        })?;
        found.truncate(last + 1);
    }
    Ok(found)
}

/// The places of the files that ran.
pub(super) fn ran(status: &BranchStatus) -> impl Iterator<Item = usize> {
    status.entries.iter().filter_map(|entry| match (&entry.subject, entry.state) {
        (Subject::File(place), State::Applied | State::Changed) => Some(*place),
        _ => None,
    })
}

/// Why nothing can be told of a branch.
pub(super) fn unknown(status: &BranchStatus) -> Option<Failure> {
    let is_untold = status.standing == offshoot_migrations::Standing::Unknown;
    let error = status.diagnostics.iter().find(|one| one.severity == offshoot_migrations::Severity::Error)?;
    is_untold.then(|| Failure::user(error.message.clone()).hint(error.hint.clone()))
}

/// Plain files say nothing of what ran: those that the git branch called `branch` has count as applied.
pub(super) fn without_merged(root: &Path, branch: &str, project: &Project, places: &mut Vec<usize>) {
    let git = Git::of(root);
    let tree = git.commit(&format!("refs/heads/{branch}")).and_then(|commit| git.tree(&commit));
    if let (Tool::PlainSql, Ok(tree)) = (project.tool, tree) {
        places.retain(|place| !tree.has(&project.migrations[*place].path));
    }
}

/// A schema without the tables that the tools keep for themselves.
pub(super) fn without_histories<'p>(facts: &Facts, projects: impl Iterator<Item = &'p Project>) -> Facts {
    let mut kept = facts.clone();
    Histories::of(projects).take(&mut kept);
    kept
}

/// A schema as migrations are compared: without the tables that the tools keep for themselves, and all owned by `user`.
///
/// Whoever runs a migration owns what it makes. That is another role here than where a dump came from.
pub(super) fn comparable<'p>(
    facts: &Facts,
    projects: impl Iterator<Item = &'p Project>,
    user: &str,
) -> Facts {
    let mut kept = without_histories(facts, projects);
    // What another owner may do beyond what owners may do anyhow goes with the owner.
    kept.facts.retain(|id, fact| {
        let object = id.of.as_ref().filter(|_| id.kind == Kind::Grant && !fact.is("public"));
        let owner = object.and_then(|object| facts.facts.get(object)?.text("owner"));
        owner.is_none_or(|owner| owner == user || fact.text("grantee") != Some(owner))
    });
    for fact in kept.facts.values_mut().filter(|fact| fact.text("owner").is_some()) {
        fact.set("owner", user);
    }
    kept
}

/// That roles other than `user`, as whom migrations run here, own something; and that it is not compared.
pub(super) fn owners(facts: &Facts, user: &str) -> Option<String> {
    let is_other = |owner: &&str| *owner != user && *owner != "pg_database_owner";
    let others: BTreeSet<&str> =
        facts.facts.values().filter_map(|fact| fact.text("owner")).filter(is_other).collect();
    let names: Vec<&str> = others.iter().take(3).copied().collect();
    let more = if others.len() > names.len() { " and others" } else { "" };
    (!others.is_empty())
        .then(|| format!("who owns what is not compared: objects here belong to {}{more}", names.join(", ")))
}

/// What `to` has that `from` has not, and the SQL that makes it.
pub(super) fn difference(from: &Facts, to: &Facts) -> (Vec<SchemaChange>, String) {
    let changes = groups::two_way(from, to, &Renames::default());
    if changes.is_empty() {
        return (changes, String::new());
    }
    let sql = offshoot_schema::plan(from, to, &PlanOptions::default()).sql();
    (changes, sql)
}

/// The changed objects as a side has them, one after the other; none if nothing changed.
pub(super) fn definitions(facts: &Facts, changes: &[SchemaChange]) -> Option<String> {
    let object = |change: &SchemaChange| {
        let SchemaObject { kind, schema, name } = change.object.clone();
        Some(Object { kind: Kind::parse(&kind)?, schema, name })
    };
    let objects = changes.iter().filter_map(object);
    let texts: Vec<String> = objects.filter_map(|object| facts.definition(&object)).collect();
    (!changes.is_empty()).then(|| texts.join("\n"))
}

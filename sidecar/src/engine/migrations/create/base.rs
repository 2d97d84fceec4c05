//! What a new migration starts from: the schema that its target will have before it runs.

use std::collections::BTreeSet;
use std::sync::Arc;

use offshoot_migrations::{BranchStatus, Observed, Project, State, Subject, Tool};
use offshoot_protocol::migrations::{MigrationsOutcome, MigrationsStep};
use offshoot_schema::Facts;
use offshoot_storage::BranchId;

use crate::engine::fork::{self, ForkFacts};
use crate::engine::migrations::accepted::{self, Accepted};
use crate::engine::migrations::files::id_of;
use crate::engine::migrations::passage::{self, Passage};
use crate::engine::migrations::replay::{Replay, Replayed, Wanted};
use crate::engine::migrations::stage::{self, Stage};
use crate::engine::migrations::{advice, history, status};
use crate::engine::{given, schema};
use crate::failure::{Failure, Result};
use crate::names::quoted;

/// The branch that a migration is made of.
pub(super) struct Subjects<'s> {
    pub(super) id: BranchId,
    pub(super) name: &'s str,
    /// The branch that it starts from, which is its parent if `is_parent`; none for an empty database.
    pub(super) from: Option<(BranchId, String)>,
    pub(super) is_parent: bool,
    /// Whether it has no parent to be made anew from.
    pub(super) is_root: bool,
}

/// The schemas between which a migration leads, and the throwaway that has the first one.
pub(super) struct Base {
    pub(super) stage: Stage,
    pub(super) from: Arc<Facts>,
    pub(super) to: Facts,
    pub(super) notes: Vec<String>,
}

impl Replay<'_> {
    /// Makes a throwaway with all files run on it, and finds what the branch has besides.
    pub(super) async fn base(&self, of: &Subjects<'_>, places: &[usize]) -> Result<Base> {
        self.call.progress("reading the schema", 0, None);
        let ours = self.call.or_cancelled(schema::schema(self.engine, of.id, of.name)).await?.facts;
        let stage = match &of.from {
            Some((from, name)) => {
                Stage::of(self.engine, *from, &format!("making a throwaway copy of {name}"), self.call)
                    .await?
            }
            None => self.empty().await?,
        };
        let made = async {
            let id = of.id;
            let accepted = match of.from {
                // What was there before the migrations is none of their making.
                None => self.engine.blocking(move |engine| accepted::of(engine, id)).await?,
                Some(_) => None,
            };
            self.begin(&stage, id, accepted.as_ref()).await?;
            Box::pin(self.on_stage(&stage, of, places, accepted.as_ref(), &ours)).await
        };
        match Box::pin(made).await {
            Ok((from, to, notes)) => Ok(Base { stage, from, to, notes }),
            Err(failure) => {
                stage.remove().await?;
                Err(failure)
            }
        }
    }

    async fn on_stage(
        &self,
        stage: &Stage,
        of: &Subjects<'_>,
        places: &[usize],
        accepted: Option<&Accepted>,
        ours: &Arc<Facts>,
    ) -> Result<(Arc<Facts>, Facts, Vec<String>)> {
        let (mut wanted, gone) = self.wanted(stage, of, places).await?;
        self.complete(of, places, &gone).await?;
        wanted.extend(self.of_others(stage, of, places).await?);
        wanted.sort_by_key(|one| one.0);
        if let Some(accepted) = accepted {
            wanted = accepted.without(self.scan, wanted);
        }
        let before = self.facts(stage).await?;
        let user = &self.engine.store.info().user;
        let Replayed { facts, steps, passages } = Box::pin(self.on(stage, &wanted)).await?;
        let from = facts.ok_or_else(|| not_run(of, &steps))?;
        let mut passages = passages;
        let mut notes = Vec::new();
        // What came in underneath since the branch was made is nothing that the branch dropped.
        if let (true, Some((_, name))) = (of.is_parent, &of.from) {
            match self.call.or_cancelled(fork::facts(self.engine, of.id)).await? {
                ForkFacts::Known(fork) => {
                    let fork = Arc::new(stage::comparable(&fork, self.scan.projects.iter(), user));
                    let by = name.clone();
                    passages.insert(0, Passage { by, before: fork, after: before });
                }
                ForkFacts::Unknown(reason) => notes.push(format!(
                    "what {name} got since {} was made of it is not known ({reason}), and may be among what is dropped",
                    of.name
                )),
            }
        }
        let of_others = stage::owners(ours, user);
        let mut ours = stage::comparable(ours, self.scan.projects.iter(), user);
        let (id, end) = (of.id, Arc::clone(&from));
        let work = self.engine.blocking(move |engine| {
            crate::given::without_grants(&given::of(engine, id)?, &mut ours, &end);
            Ok(passage::as_if_passed(&ours, &passages, &end))
        });
        let (to, untold) = work.await?;
        notes.extend(untold.iter().map(|by| match &of.from {
            Some((_, name)) if of.is_parent && by == name => {
                format!("{name} has changed since {} was made of it; that is left as it is", of.name)
            }
            _ => advice::untold(by, of.name),
        }));
        notes.extend(of_others);
        Ok((from, to, notes))
    }

    /// The files that a throwaway lacks, and the rows without a file that it has.
    async fn wanted(
        &self,
        stage: &Stage,
        of: &Subjects<'_>,
        places: &[usize],
    ) -> Result<(Wanted, BTreeSet<String>)> {
        let (mut wanted, mut gone) = (Wanted::new(), BTreeSet::new());
        for &at in places {
            let project = &self.scan.projects[at];
            let Some((from, name)) = &of.from else {
                wanted.push((at, (0..project.migrations.len()).collect()));
                continue;
            };
            let observed = self.observed(*from, at).await?;
            let status = stage.status_seen(self.engine, self.scan, at, &observed).await?;
            let mut waiting = stage::pending(project, &status, None)?;
            stage::without_merged(self.place.repository(), name, project, &mut waiting);
            wanted.push((at, waiting));
            gone.extend(missing(&status));
        }
        Ok((wanted, gone))
    }

    /// The files of all other projects that the branch has applied and a throwaway lacks: what they make is no part of the new migration.
    ///
    /// Those that the branch lacks too are left out, as nobody misses what they make.
    async fn of_others(&self, stage: &Stage, of: &Subjects<'_>, places: &[usize]) -> Result<Wanted> {
        let others: Vec<usize> = (0..self.scan.projects.len()).filter(|at| !places.contains(at)).collect();
        let projects: Vec<&Project> = others.iter().map(|at| &self.scan.projects[*at]).collect();
        let histories = history::read(self.engine, of.id, &projects, true).await;
        let histories = histories.map_err(|why| history::unread(of.name, &why))?;
        let mut found = Wanted::new();
        for ((project, history), at) in projects.into_iter().zip(histories).zip(others) {
            let status = project.status(&history, &self.observed(of.id, at).await?);
            let ran: BTreeSet<usize> = stage::ran(&status).collect();
            let mut waiting = match &of.from {
                None => ran.iter().copied().collect(),
                Some((from, _)) => {
                    let observed = self.observed(*from, at).await?;
                    let there = stage.status_seen(self.engine, self.scan, at, &observed).await?;
                    stage::pending(project, &there, None)?
                }
            };
            match &of.from {
                Some((_, name)) if project.tool == Tool::PlainSql => {
                    stage::without_merged(self.place.repository(), name, project, &mut waiting);
                }
                _ => waiting.retain(|place| ran.contains(place)),
            }
            if !waiting.is_empty() {
                found.push((at, waiting));
            }
        }
        Ok(found)
    }

    /// What was seen of a project when it ran on a branch.
    async fn observed(&self, id: BranchId, at: usize) -> Result<Observed> {
        let scan = Arc::clone(self.scan);
        self.engine.blocking(move |engine| Ok(status::observed(engine, id, &scan.projects[at])?.0)).await
    }

    /// Refuses for a branch that has not applied all files: what it lacks would be taken for something to drop.
    async fn complete(&self, of: &Subjects<'_>, places: &[usize], gone: &BTreeSet<String>) -> Result<()> {
        let projects: Vec<&Project> = places.iter().map(|at| &self.scan.projects[*at]).collect();
        let histories = history::read(self.engine, of.id, &projects, true).await;
        let histories = histories.map_err(|why| history::unread(of.name, &why))?;
        for ((project, history), at) in projects.into_iter().zip(histories).zip(places) {
            let status = project.status(&history, &self.observed(of.id, *at).await?);
            if let Some(why) = stage::unknown(&status) {
                return Err(why);
            }
            // Of plain files nothing is known, which is dealt with file by file.
            let is_plain = project.tool == Tool::PlainSql;
            let open = status.entries.iter().find(|entry| match (&entry.subject, entry.state) {
                (Subject::Row(row), State::Missing) => !gone.contains(row),
                (_, State::Applied | State::Changed | State::Ignored | State::Baseline) => false,
                (_, State::Unknown) => !is_plain,
                _ => true,
            });
            let Some(first) = open else { continue };
            let what = match &first.subject {
                Subject::File(place) => project.migrations[*place].path.clone(),
                Subject::Row(row) => row.clone(),
            };
            return Err(Failure::user(format!(
                "`{}` does not have what the migrations of {} make: {what} is {} there",
                of.name,
                id_of(project),
                first.state.id()
            ))
            .hint(match &first.subject {
                Subject::File(_) => format!(
                    "What it lacks would be taken for something to drop. Apply what is pending first: `offshoot migrations apply`. \
                     Or, if it was written from {}, which has what it makes: {}.",
                    of.name,
                    advice::written_from(project, &what, of.name, of.is_root)
                ),
                Subject::Row(_) => "What it lacks would be taken for something to drop. Apply what is pending first: \
                     `offshoot migrations apply`."
                    .to_owned(),
            }));
        }
        Ok(())
    }
}

/// Rows of a history whose files are not here.
fn missing(status: &BranchStatus) -> impl Iterator<Item = String> + '_ {
    status.entries.iter().filter_map(|entry| match (&entry.subject, entry.state) {
        (Subject::Row(row), State::Missing) => Some(row.clone()),
        _ => None,
    })
}

/// Why there is nothing to start from.
fn not_run(of: &Subjects<'_>, steps: &[MigrationsStep]) -> Failure {
    let failed = steps.iter().rfind(|step| step.outcome == MigrationsOutcome::Failed);
    let why = failed.map_or_else(String::new, |step| match &step.failure {
        Some(failure) => format!("{}:{}: {}", failure.path, failure.line, failure.message),
        None => step.message.clone(),
    });
    match &of.from {
        Some((_, name)) => {
            Failure::user(format!("what is pending on {name} does not run on a throwaway of it: {why}"))
                .hint("`offshoot migrations check` shows it in full; `--from BRANCH` starts from another branch.")
        }
        None => Failure::user(format!("the migrations do not run in an empty database: {why}")).hint(format!(
            "{0} has no parent, so that there is nothing else to compare with. Make the change on a branch of it, and the \
             migration there: `git checkout -b NAME`. Or `--from BRANCH` starts from another branch. If {0} began from a dump, \
             `offshoot migrations drift --branch {1} --accept` takes as given what it has now.",
            of.name,
            quoted(of.name)
        )),
    }
}

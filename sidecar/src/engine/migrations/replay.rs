//! Files run on a database in which nothing of them stays.

use std::sync::Arc;
use std::time::Instant;

use offshoot_migrations::{Direction, Project, Scan, Tool};
use offshoot_protocol::migrations::{
    MigrationsDirection, MigrationsOutcome, MigrationsStep, MigrationsStepKind, MigrationsVariable,
};
use offshoot_schema::Facts;
use offshoot_storage::BranchId;

use super::accepted::Accepted;
use super::apply::{no_command, step_of};
use super::blame;
use super::check::count;
use super::elsewhere;
use super::files::{called, id_of};
use super::passage::Passage;
use super::runner::Item;
use super::stage::{self, Stage};
use super::status::Place;
use super::tool;
use super::trial::{items, try_items};
use crate::engine::Engine;
use crate::engine::server::Call;
use crate::failure::Result;

/// Files without a history after each of which the schema is read. The ones before them are taken together.
const MOST_READ: usize = 30;

/// What a replay came to.
pub(super) struct Replayed {
    /// The schema, if all went well.
    pub(super) facts: Option<Arc<Facts>>,
    pub(super) steps: Vec<MigrationsStep>,
    /// What those files did one by one of which nothing tells whether they ran.
    pub(super) passages: Vec<Passage>,
}

/// Files to run: the place of the project in the scan, and their places in the project.
pub(super) type Wanted = Vec<(usize, Vec<usize>)>;

/// Where and for whom files are run.
pub(super) struct Replay<'r> {
    pub(super) engine: &'r Arc<Engine>,
    pub(super) place: &'r Place,
    pub(super) scan: &'r Arc<Scan>,
    pub(super) environment: &'r [MigrationsVariable],
    pub(super) call: &'r Call,
}

impl Replay<'_> {
    /// Runs files in a database that has nothing but what rules gave the branch `of`, and what was accepted of it.
    pub(super) async fn in_empty(
        &self,
        of: BranchId,
        accepted: Option<&Accepted>,
        wanted: &Wanted,
    ) -> Result<Replayed> {
        let stage = self.empty().await?;
        let outcome = match self.begin(&stage, of, accepted).await {
            Ok(()) => Box::pin(self.on(&stage, wanted)).await,
            Err(failure) => Err(failure),
        };
        self.call.progress("removing the throwaway", 0, None);
        let removed = stage.remove().await;
        let replayed = outcome?;
        removed?;
        Ok(replayed)
    }

    /// What a branch has that no migration makes.
    pub(super) async fn begin(&self, stage: &Stage, of: BranchId, accepted: Option<&Accepted>) -> Result<()> {
        stage.equip(self.engine, of).await?;
        let Some(accepted) = accepted else { return Ok(()) };
        let empty = self.facts(stage).await?;
        accepted.make(self.engine, stage, empty).await
    }

    /// An empty database.
    pub(super) async fn empty(&self) -> Result<Stage> {
        let root = self.engine.store.root_branch();
        Stage::empty(self.engine, root, "making an empty database", self.call).await
    }

    /// Runs files on a stage.
    pub(super) async fn on(&self, stage: &Stage, wanted: &Wanted) -> Result<Replayed> {
        let mut replayed = Replayed { facts: None, steps: Vec::new(), passages: Vec::new() };
        for (at, files) in wanted.iter().filter(|(_, files)| !files.is_empty()) {
            let project = &self.scan.projects[*at];
            let title = format!("replaying {} of {}", count(files.len()), called(project));
            self.call.progress(&title, 0, None);
            let mut step = match items(&self.place.root, project, files, Direction::Up) {
                Ok(items) => self.sql(stage, project, title, items, &mut replayed.passages).await?,
                Err(_) => self.tool(stage, *at, files, title).await?,
            };
            let failed = step.outcome == MigrationsOutcome::Failed;
            if failed {
                step.hint.get_or_insert_with(|| {
                    "The files alone do not make a database: something was there before them, or a file was changed.".to_owned()
                });
            }
            replayed.steps.push(step);
            if failed {
                return Ok(replayed);
            }
        }
        replayed.facts = Some(self.facts(stage).await?);
        Ok(replayed)
    }

    /// Runs SQL ourselves. After each file of which nothing tells whether it ran, the schema is read.
    async fn sql(
        &self,
        stage: &Stage,
        project: &Project,
        title: String,
        items: Vec<Item>,
        passages: &mut Vec<Passage>,
    ) -> Result<MigrationsStep> {
        let begun = Instant::now();
        let mut step = MigrationsStep {
            kind: MigrationsStepKind::Apply,
            project: Some(id_of(project)),
            title,
            outcome: MigrationsOutcome::Passed,
            message: String::new(),
            hint: None,
            took_ms: 0,
            log: String::new(),
            failure: None,
        };
        let mut known = None;
        for (by, items) in runs(project, items) {
            if by.is_some() && known.is_none() {
                known = Some(self.facts(stage).await?);
            }
            let tried = try_items(self.engine, stage, items, false, self.call).await?;
            step.log.push_str(&tried.log);
            if tried.failure.is_some() {
                step.outcome = MigrationsOutcome::Failed;
                step.failure = tried.failure;
                break;
            }
            if let (Some(by), Some(before)) = (by, known.take()) {
                let after = self.facts(stage).await?;
                known = Some(Arc::clone(&after));
                passages.push(Passage { by, before, after });
            }
        }
        step.took_ms = begun.elapsed().as_millis() as u64;
        Ok(step)
    }

    /// The schema as it is now, as migrations are compared.
    pub(super) async fn facts(&self, stage: &Stage) -> Result<Arc<Facts>> {
        let facts = stage.facts(self.engine).await?;
        let user = &self.engine.store.info().user;
        Ok(Arc::new(stage::comparable(&facts, self.scan.projects.iter(), user)))
    }

    /// Has the tool apply everything, which must be what is wanted.
    async fn tool(&self, stage: &Stage, at: usize, files: &[usize], title: String) -> Result<MigrationsStep> {
        let project = &self.scan.projects[at];
        let status = stage.status(self.engine, self.scan, at).await?;
        let pending = stage::pending(project, &status, None)?;
        let others = pending.iter().filter(|place| !files.contains(place)).count();
        let only = if others > 0 { project.apply_only(files) } else { None };
        if others > 0 && only.is_none() {
            return Ok(MigrationsStep {
                kind: MigrationsStepKind::Apply,
                project: Some(id_of(project)),
                title,
                outcome: MigrationsOutcome::Failed,
                message: format!(
                    "{} {} not applied, and {} can only be told to replay all",
                    count(others),
                    if others == 1 { "is" } else { "are" },
                    project.tool.name()
                ),
                hint: Some("Apply them first: `offshoot migrations apply`.".to_owned()),
                took_ms: 0,
                log: String::new(),
                failure: None,
            });
        }
        if project.commands.apply.is_empty() {
            return Err(no_command(project, MigrationsDirection::Up));
        }
        let address = stage.address(self.engine).await?;
        let words = only.as_ref().unwrap_or(&project.commands.apply);
        let ready = tool::prepare(&self.place.root, project, words, &address.url, self.environment)?;
        let done = Box::pin(tool::run(ready, &title, self.call)).await?;
        let mut step = step_of(MigrationsStepKind::Apply, project, title, &done);
        if step.outcome == MigrationsOutcome::Failed {
            // These files ran elsewhere: there is nothing to correct and to apply.
            step.hint = elsewhere::driver(project, &done.log);
            blame::tell(&mut step, &self.place.root, project, "the throwaway");
        }
        Ok(step)
    }
}

/// What is run at a time, with what it is called where the schema is to be read after it.
fn runs(project: &Project, mut items: Vec<Item>) -> Vec<(Option<String>, Vec<Item>)> {
    if project.tool != Tool::PlainSql {
        return vec![(None, items)];
    }
    let last = items.split_off(items.len().saturating_sub(MOST_READ));
    let mut all = Vec::new();
    if let Some(newest) = items.last() {
        all.push((Some(format!("{} and the files before it", newest.path)), items));
    }
    all.extend(last.into_iter().map(|item| (Some(item.path.clone()), vec![item])));
    all
}

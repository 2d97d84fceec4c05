//! `migrations/check`: pending migrations tried on a throwaway, and taken back.

mod back;
mod cost;
mod files;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use offshoot_migrations::{Direction, Project, Scan};
use offshoot_protocol::migrations::{
    MigrationsCheckParams, MigrationsDirection, MigrationsOutcome, MigrationsReport, MigrationsStep,
    MigrationsStepKind,
};
use offshoot_schema::Facts;
use offshoot_storage::BranchId;

use super::apply::step_of;
use super::files::{called, id_of};
use super::stage::{self, Stage};
use super::status::{self, Place};
use super::trial::{items, try_items};
use super::{advice, blame, elsewhere, report, tool, unchanged};
use crate::engine::Engine;
use crate::engine::server::Call;
use crate::failure::{Failure, Result};

/// `migrations/check`.
pub(in crate::engine) async fn check(
    engine: &Arc<Engine>,
    params: MigrationsCheckParams,
    call: &Call,
) -> Result<MigrationsReport> {
    let place = status::place(engine, &params.folder).await?;
    let scan = place.scan(engine).await?;
    let on = target(engine, &place, params.against.as_deref()).await?;
    Box::pin(of(engine, &place, &scan, on, &params, Parts::ALL, call)).await
}

/// What is tried besides applying, and the command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    /// A second run.
    pub(super) again: bool,
    /// The way back.
    pub(super) down: bool,
    /// Time, locks and rewrites.
    pub(super) cost: bool,
    /// That the project's own tool applies them: what runs in its place tells nothing of it.
    pub(super) own_tool: bool,
}

impl Parts {
    const ALL: Self = Self { again: true, down: true, cost: true, own_tool: false };
}

/// Tries the files of `place` on throwaways of the branch `id`, called `against`.
pub(super) async fn of(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    (id, against): (BranchId, String),
    params: &MigrationsCheckParams,
    parts: Parts,
    call: &Call,
) -> Result<MigrationsReport> {
    let begun = Instant::now();
    let places = stage::places(scan, params.tool.as_deref())?;
    let mut report = MigrationsReport {
        worktree: place.root.to_string_lossy().into_owned(),
        against,
        passed: true,
        steps: places.iter().filter_map(|at| files::sound(&scan.projects[*at])).collect(),
        ran: Vec::new(),
        changes: Vec::new(),
        sql: String::new(),
        measured: None,
        took_ms: 0,
        markdown: String::new(),
    };
    if report.steps.iter().all(|step| step.outcome != MigrationsOutcome::Failed) {
        let stage = Stage::of(engine, id, "making a throwaway copy of the branch", call).await?;
        let job = Job { engine, place, scan, params, parts, call, stage: &stage, target: id };
        let outcome = Box::pin(job.run(id, &places, &mut report)).await;
        call.progress("removing the throwaway", 0, None);
        let removed = stage.remove().await;
        outcome?;
        removed?;
        // That also tells to the column where it failed.
        let failed = report.steps.iter().any(|step| step.outcome == MigrationsOutcome::Failed);
        if parts.cost || failed {
            Box::pin(cost::cost(engine, place, scan, &places, id, call, &mut report)).await?;
        }
    }
    report.passed = report.steps.iter().all(|step| step.outcome != MigrationsOutcome::Failed);
    report.took_ms = begun.elapsed().as_millis() as u64;
    report.markdown = report::markdown(&report);
    Ok(report)
}

/// The branch that migrations are tried against: the named one, else the parent of the worktree's, else the root.
async fn target(engine: &Arc<Engine>, place: &Place, named: Option<&str>) -> Result<(BranchId, String)> {
    if named.is_some() {
        return place.meant(engine, named).await;
    }
    let own = place.branch.as_ref().ok().map(|(id, _)| *id);
    engine
        .blocking(move |engine| {
            let parent = match own {
                Some(id) => engine.store.branch(id)?.parent,
                None => None,
            };
            let id = parent.unwrap_or(engine.store.root_branch());
            Ok((id, engine.store.branch(id)?.name))
        })
        .await
}

/// One throwaway, on which everything is tried in turn.
struct Job<'j> {
    engine: &'j Arc<Engine>,
    place: &'j Place,
    scan: &'j Arc<Scan>,
    params: &'j MigrationsCheckParams,
    parts: Parts,
    call: &'j Call,
    stage: &'j Stage,
    target: BranchId,
}

impl Job<'_> {
    fn root(&self) -> &Path {
        &self.place.root
    }

    async fn pending(&self, at: usize, against: &str) -> Result<Vec<usize>> {
        let project = &self.scan.projects[at];
        let status = self.stage.status(self.engine, self.scan, at).await?;
        let mut waiting = stage::pending(project, &status, None)?;
        stage::without_merged(self.place.repository(), against, project, &mut waiting);
        Ok(waiting)
    }

    async fn facts(&self) -> Result<Facts> {
        let facts = self.stage.facts(self.engine).await?;
        Ok(stage::without_histories(&facts, self.scan.projects.iter()))
    }

    async fn run(&self, id: BranchId, places: &[usize], report: &mut MigrationsReport) -> Result<()> {
        let before = self.facts().await?;
        for &at in places {
            report.steps.extend(self.unchanged(at, id, &report.against).await?);
        }
        let mut tried = Vec::new();
        for &at in places {
            let waiting = self.pending(at, &report.against).await?;
            if waiting.is_empty() {
                continue;
            }
            let by_tool = Box::pin(self.up(at, &waiting, report)).await?;
            let Some(by_tool) = by_tool else { return self.compare(&before, report).await };
            tried.push((at, waiting, by_tool));
        }
        self.compare(&before, report).await?;
        for (at, _, by_tool) in tried.iter().filter(|_| self.parts.again) {
            self.again(*at, *by_tool, report).await?;
        }
        self.command(report).await?;
        for (at, waiting, by_tool) in tried.iter().rev().filter(|_| self.parts.down) {
            Box::pin(self.down(*at, waiting, *by_tool, report)).await?;
        }
        if !tried.is_empty()
            && report.steps.iter().any(|step| {
                step.kind == MigrationsStepKind::Down && step.outcome == MigrationsOutcome::Passed
            })
        {
            self.is_as_before(&before, report).await?;
        }
        Ok(())
    }

    async fn compare(&self, before: &Facts, report: &mut MigrationsReport) -> Result<()> {
        (report.changes, report.sql) = stage::difference(before, &self.facts().await?);
        Ok(())
    }

    /// Applies what is pending. Returns whether the tool did it; `None` if it failed.
    async fn up(&self, at: usize, waiting: &[usize], report: &mut MigrationsReport) -> Result<Option<bool>> {
        let project = &self.scan.projects[at];
        unchanged::check(self.engine, self.place, &self.params.folder, project, None).await?;
        let title = format!("applies cleanly: {} of {}", count(waiting.len()), called(project));
        self.call.progress(&title, 0, None);
        let address = self.stage.address(self.engine).await?;
        let words = &project.commands.apply;
        let ready = if words.is_empty() {
            Err(Failure::user(format!("{} have no command", project.tool.name())))
        } else {
            tool::prepare(self.root(), project, words, &address.url, &self.params.environment)
        };
        let sql = items(self.root(), project, waiting, Direction::Up);
        let paths = || waiting.iter().map(|place| project.migrations[*place].path.clone());
        let (mut step, by_tool) = match (ready, sql) {
            (Ok(ready), _) => {
                let done = Box::pin(tool::run(ready, &title, self.call)).await?;
                let mut step = step_of(MigrationsStepKind::Apply, project, title, &done);
                if step.outcome == MigrationsOutcome::Failed {
                    let on = format!("the throwaway of {}", report.against);
                    blame::tell(&mut step, self.root(), project, &on);
                }
                let left = self.pending(at, &report.against).await?;
                let connected = address.was_used();
                if step.outcome == MigrationsOutcome::Passed && waiting.iter().all(|one| left.contains(one)) {
                    Self::nowhere(&mut step, project, MigrationsDirection::Up, connected, report);
                } else if step.outcome == MigrationsOutcome::Passed && !left.is_empty() {
                    step.outcome = MigrationsOutcome::Failed;
                    let first = &project.migrations[left[0]].path;
                    step.message = format!(
                        "the tool ended well, and {} are still pending, such as {first}",
                        count(left.len())
                    );
                }
                report.ran.extend(
                    paths().zip(waiting).filter(|(_, place)| !left.contains(place)).map(|(path, _)| path),
                );
                (step, true)
            }
            (Err(why), Ok(items)) => {
                let begun = Instant::now();
                let tried = try_items(self.engine, self.stage, items, false, self.call).await?;
                report.ran.extend(tried.ran);
                let (outcome, message, hint) = match (&tried.failure, self.parts.own_tool) {
                    (None, true) => {
                        let message =
                            format!("it cannot be told, as {why}; run by Offshoot itself they apply");
                        (MigrationsOutcome::Skipped, message, why.0.hint.clone())
                    }
                    (None, false) => {
                        (MigrationsOutcome::Passed, format!("run by Offshoot itself, as {why}"), None)
                    }
                    (Some(_), _) => {
                        (MigrationsOutcome::Failed, format!("run by Offshoot itself, as {why}"), None)
                    }
                };
                let step = MigrationsStep {
                    kind: MigrationsStepKind::Apply,
                    project: Some(id_of(project)),
                    title,
                    outcome,
                    message,
                    hint,
                    took_ms: begun.elapsed().as_millis() as u64,
                    log: tried.log,
                    failure: tried.failure,
                };
                (step, false)
            }
            (Err(why), Err(_)) => return Err(why),
        };
        let passed = step.outcome == MigrationsOutcome::Passed;
        let is_root = self.target == self.engine.store.root_branch();
        let is_other = self.place.branch.as_ref().is_ok_and(|(own, _)| *own != self.target);
        let on = (report.against.as_str(), is_root, is_other);
        // The tool went no further than the first that is still pending.
        let left = if passed { Vec::new() } else { self.pending(at, &report.against).await? };
        let at = left.first().map(|place| project.migrations[*place].path.as_str());
        advice::already_on(&mut step, project, self.root(), waiting.iter().copied(), (at, on));
        if !passed {
            // What a tool did elsewhere nobody knows.
            let what = if by_tool { "." } else { "; nothing was changed by this." };
            step.hint.get_or_insert_with(|| format!("Correct the migration and check again{what}"));
        }
        report.steps.push(step);
        Ok(passed.then_some(by_tool))
    }

    /// Fails a step of a tool that left no trace on the throwaway.
    fn nowhere(
        step: &mut MigrationsStep,
        project: &Project,
        direction: MigrationsDirection,
        connected: bool,
        report: &MigrationsReport,
    ) {
        let stage = format!("the throwaway of {}", report.against);
        elsewhere::fail(step, project, direction, &stage, connected);
    }

    /// A second run must change nothing.
    async fn again(&self, at: usize, by_tool: bool, report: &mut MigrationsReport) -> Result<()> {
        let project = &self.scan.projects[at];
        let title = format!("a second run of {} changes nothing", called(project));
        if !by_tool {
            let why = "only the tool can tell, and it did not run".to_owned();
            report.steps.push(skipped(MigrationsStepKind::Again, project, title, why));
            return Ok(());
        }
        self.call.progress(&title, 0, None);
        let before = self.facts().await?;
        let address = self.stage.address(self.engine).await?;
        let words = &project.commands.apply;
        let ready = tool::prepare(self.root(), project, words, &address.url, &self.params.environment)?;
        let done = Box::pin(tool::run(ready, &title, self.call)).await?;
        let mut step = step_of(MigrationsStepKind::Again, project, title, &done);
        let (changes, sql) = stage::difference(&before, &self.facts().await?);
        if step.outcome == MigrationsOutcome::Passed && !changes.is_empty() {
            step.outcome = MigrationsOutcome::Failed;
            step.message = match changes.len() {
                1 => "it changed an object of the schema".to_owned(),
                many => format!("it changed {many} objects of the schema"),
            };
            step.log.push_str(&sql);
        }
        report.steps.push(step);
        Ok(())
    }

    /// The command of the repository's own.
    async fn command(&self, report: &mut MigrationsReport) -> Result<()> {
        let Some(command) = &self.place.check_command else { return Ok(()) };
        let title = format!("`{command}`");
        self.call.progress(&title, 0, None);
        let address = self.stage.address(self.engine).await?;
        let ready = tool::shell(self.root(), command, &address.url, &self.params.environment);
        let done = Box::pin(tool::run(ready, &title, self.call)).await?;
        let passed = done.status == Some(0);
        report.steps.push(MigrationsStep {
            kind: MigrationsStepKind::Command,
            project: None,
            title,
            outcome: if passed { MigrationsOutcome::Passed } else { MigrationsOutcome::Failed },
            message: match done.status {
                Some(0) => String::new(),
                Some(status) => format!("it ended with exit status {status}"),
                None => "it was ended by a signal".to_owned(),
            },
            hint: None,
            took_ms: done.took.as_millis() as u64,
            log: done.log,
            failure: None,
        });
        Ok(())
    }
}

/// A step that was not tried.
pub(super) fn skipped(
    kind: MigrationsStepKind,
    project: &Project,
    title: String,
    why: String,
) -> MigrationsStep {
    MigrationsStep {
        kind,
        project: Some(id_of(project)),
        title,
        outcome: MigrationsOutcome::Skipped,
        message: why,
        hint: None,
        took_ms: 0,
        log: String::new(),
        failure: None,
    }
}

/// So many migrations, for people.
pub(super) fn count(number: usize) -> String {
    format!("{number} migration{}", if number == 1 { "" } else { "s" })
}

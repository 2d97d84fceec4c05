//! The way back: what was applied taken back on the throwaway.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Instant;

use offshoot_migrations::{BranchStatus, Direction, Down};
use offshoot_protocol::migrations::{
    MigrationsDirection, MigrationsOutcome, MigrationsReport, MigrationsStep, MigrationsStepKind,
};
use offshoot_schema::Facts;

use super::{Job, count, skipped};
use crate::engine::migrations::apply::step_of;
use crate::engine::migrations::files::called;
use crate::engine::migrations::trial::{items, try_items};
use crate::engine::migrations::{advice, stage, tool};
use crate::failure::Result;

impl Job<'_> {
    /// Takes back what was applied.
    pub(super) async fn down(
        &self,
        at: usize,
        waiting: &[usize],
        by_tool: bool,
        report: &mut MigrationsReport,
    ) -> Result<()> {
        let project = &self.scan.projects[at];
        let kind = MigrationsStepKind::Down;
        let title = format!("{} of {} taken back", count(waiting.len()), called(project));
        let without = waiting.iter().find(|place| project.migrations[**place].down == Down::None);
        if let Some(place) = without {
            let why = format!("{} does not say how it is taken back", project.migrations[*place].path);
            report.steps.push(skipped(kind, project, title, why));
            return Ok(());
        }
        self.call.progress(&title, 0, None);
        if by_tool && project.commands.down.is_empty() {
            let why = format!("{} cannot take migrations back", project.tool.name());
            report.steps.push(skipped(kind, project, title, why));
            return Ok(());
        }
        if !by_tool {
            let reversed: Vec<usize> = waiting.iter().rev().copied().collect();
            let step = match items(self.root(), project, &reversed, Direction::Down) {
                Err(why) => skipped(kind, project, title, why),
                Ok(items) => {
                    let begun = Instant::now();
                    let tried = try_items(self.engine, self.stage, items, false, self.call).await?;
                    let mut step = skipped(kind, project, title, String::new());
                    let failed = tried.failure.is_some();
                    step.outcome = if failed { MigrationsOutcome::Failed } else { MigrationsOutcome::Passed };
                    (step.failure, step.log) = (tried.failure, tried.log);
                    step.took_ms = begun.elapsed().as_millis() as u64;
                    step
                }
            };
            report.steps.push(step);
            return Ok(());
        }
        let address = self.stage.address(self.engine).await?;
        let mut whole: Option<MigrationsStep> = None;
        // A tool takes back one at a time, or all of one run.
        let mut left = self.pending(at, &report.against).await?.len();
        for _ in waiting {
            let before = self.stage.status(self.engine, self.scan, at).await?;
            if let Some(next) = project.taken_back(&before).filter(|next| !waiting.contains(next)) {
                let why = format!(
                    "{} takes {} back first, which is none of those that were just run",
                    project.tool.name(),
                    project.migrations[next].path
                );
                whole = Some(together(whole, skipped(kind, project, title.clone(), why)));
                break;
            }
            let words = &project.down_command(stage::ran(&before).count());
            let ready = tool::prepare(self.root(), project, words, &address.url, &self.params.environment)?;
            let done = Box::pin(tool::run(ready, &title, self.call)).await?;
            let mut step = step_of(kind, project, title.clone(), &done);
            let now = self.pending(at, &report.against).await?.len();
            let after = self.stage.status(self.engine, self.scan, at).await?;
            let ran = |status: &BranchStatus| stage::ran(status).collect::<BTreeSet<_>>();
            let other = ran(&before).difference(&ran(&after)).copied().find(|one| !waiting.contains(one));
            if let Some(other) = other {
                let why = format!(
                    "{} took {} back, which is none of those that were just run",
                    project.tool.name(),
                    project.migrations[other].path
                );
                step = MigrationsStep {
                    log: step.log,
                    took_ms: step.took_ms,
                    ..skipped(kind, project, title.clone(), why)
                };
            } else if advice::is_ambiguous(project, &step) {
                let why = "a merge of several revisions is taken back, from which Alembic does not know where one step back \
                           leads"
                    .to_owned();
                step = MigrationsStep {
                    log: step.log,
                    took_ms: step.took_ms,
                    ..skipped(kind, project, title.clone(), why)
                };
            } else if step.outcome == MigrationsOutcome::Failed {
                step.hint = Some(
                    "The log has what it printed; correct the way back of the migration and check again."
                        .to_owned(),
                );
            } else if now == left {
                Self::nowhere(&mut step, project, MigrationsDirection::Down, address.was_used(), report);
            }
            step = together(whole.take(), step);
            let go_on = step.outcome == MigrationsOutcome::Passed && now < waiting.len();
            left = now;
            whole = Some(step);
            if !go_on {
                break;
            }
        }
        report.steps.extend(whole);
        Ok(())
    }

    /// After all was taken back, the schema must be what it was.
    pub(super) async fn is_as_before(&self, before: &Facts, report: &mut MigrationsReport) -> Result<()> {
        let all_back = report
            .steps
            .iter()
            .filter(|step| step.kind == MigrationsStepKind::Down)
            .all(|step| step.outcome == MigrationsOutcome::Passed);
        if !all_back {
            return Ok(());
        }
        let (changes, sql) = stage::difference(before, &self.facts().await?);
        if let Some(step) = report.steps.iter_mut().rfind(|step| step.kind == MigrationsStepKind::Down)
            && !changes.is_empty()
        {
            let objects: Vec<_> = changes
                .iter()
                .take(5)
                .map(|change| format!("{} {}", change.object.kind, change.object.name))
                .collect();
            step.outcome = MigrationsOutcome::Failed;
            step.message = format!("the schema is not what it was before: {}", objects.join(", "));
            step.hint = Some(
                "Have the way back undo all that the migration does; the log has the difference as SQL."
                    .to_owned(),
            );
            let _ = write!(step.log, "\n-- what is there now and was not before\n{sql}");
        }
        Ok(())
    }
}

/// A step with what the runs before it printed and took.
fn together(before: Option<MigrationsStep>, mut step: MigrationsStep) -> MigrationsStep {
    if let Some(before) = before {
        step.log.insert_str(0, &before.log);
        step.took_ms += before.took_ms;
    }
    step
}

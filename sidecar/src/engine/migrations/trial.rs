//! Migrations tried where nothing of them stays.

use std::path::Path;
use std::sync::Arc;

use offshoot_migrations::{Direction, DiskSource, Project, Scan};
use offshoot_protocol::measure::Measured;
use offshoot_protocol::migrations::{
    MigrationsApplied, MigrationsApplyParams, MigrationsDirection, MigrationsFailure, MigrationsOutcome,
    MigrationsStep, MigrationsStepKind,
};

use super::apply::{no_command, nothing, step_of};
use super::check::skipped;
use super::files::{called, id_of};
use super::runner::{self, Item};
use super::stage::{self, Stage};
use super::status::Place;
use super::{blame, elsewhere, tool, unchanged};
use crate::engine::server::Call;
use crate::engine::{Engine, measure};
use crate::failure::{Failure, Result};

/// The migrations of `project` at these places as SQL; or why they are none.
pub(super) fn items(
    root: &Path,
    project: &Project,
    places: &[usize],
    direction: Direction,
) -> Result<Vec<Item>, String> {
    let source = DiskSource::new(root);
    places
        .iter()
        .map(|place| runner::item(&source, project, &project.migrations[*place], direction))
        .collect()
}

/// Why SQL that was run was not measured.
pub(super) const NOT_MEASURED: &str = "rows behind a COPY are not measured";

/// What running SQL ourselves came to.
pub(super) struct Tried {
    pub(super) ran: Vec<String>,
    pub(super) failure: Option<MigrationsFailure>,
    pub(super) log: String,
    pub(super) measured: Option<Measured>,
}

/// Runs SQL on a stage, measured if that is wanted.
pub(super) async fn try_items(
    engine: &Arc<Engine>,
    stage: &Stage,
    items: Vec<Item>,
    measured: bool,
    call: &Call,
) -> Result<Tried> {
    let (socket, database) = (stage.socket.clone(), stage.database);
    let reporter = call.clone();
    let work = engine.blocking(move |engine| {
        if measured && let Ok((plan, places)) = runner::plan(&items) {
            let measured = measure::run(engine, &socket, &plan, &[], &reporter)?;
            let outcome = runner::outcome(&items, &places, &measured);
            let (ran, failure, log) = (outcome.ran, outcome.failure, outcome.log);
            return Ok(Tried { ran, failure, log, measured: Some(measured) });
        }
        let outcome = runner::run(engine, &socket, database, &items)?;
        Ok(Tried { ran: outcome.ran, failure: outcome.failure, log: outcome.log, measured: None })
    });
    // Whoever gives up leaves the work behind; it ends as its Postgres goes.
    call.while_wanted(work).await
}

/// Tries pending migrations on a throwaway.
pub(super) async fn on_throwaway(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    params: &MigrationsApplyParams,
    call: &Call,
) -> Result<MigrationsApplied> {
    if params.direction == MigrationsDirection::Down {
        return Err(Failure::user("migrations are taken back on the branch itself only")
            .hint("`offshoot migrations check` tries it on a throwaway."));
    }
    let (id, name) = place.meant(engine, params.branch.as_deref()).await?;
    let places = stage::places(scan, params.tool.as_deref())?;
    let stage = Stage::of(engine, id, "making a throwaway copy of the branch", call).await?;
    let mut applied = nothing(&name, true);
    let job = tried(engine, place, scan, params, call, &places, &stage, &mut applied);
    let outcome = Box::pin(job).await;
    call.progress("removing the throwaway", 0, None);
    let removed = stage.remove().await;
    outcome?;
    removed?;
    Ok(applied)
}

#[allow(clippy::too_many_arguments, reason = "one job, cut in two so that the throwaway goes in any case")]
async fn tried(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    params: &MigrationsApplyParams,
    call: &Call,
    places: &[usize],
    stage: &Stage,
    applied: &mut MigrationsApplied,
) -> Result<()> {
    let before = stage.facts(engine).await?;
    for &at in places {
        let project = &scan.projects[at];
        let status = stage.status(engine, scan, at).await?;
        let mut waiting = stage::pending(project, &status, params.to.as_deref())?;
        stage::without_merged(place.repository(), &applied.branch, project, &mut waiting);
        if waiting.is_empty() {
            continue;
        }
        let title = format!("trying the migrations of {}", called(project));
        call.progress(&title, 0, None);
        let meant = place.branch.as_ref().ok().map(|(id, _)| *id).filter(|_| params.branch.is_none());
        unchanged::check(engine, place, &params.folder, project, meant).await?;
        let mut not_measured = None;
        let step = match items(&place.root, project, &waiting, Direction::Up) {
            Ok(items) => {
                let begun = std::time::Instant::now();
                let tried = try_items(engine, stage, items, params.measure, call).await?;
                applied.ran.extend(tried.ran);
                if tried.measured.is_none() {
                    not_measured = Some(NOT_MEASURED.to_owned());
                }
                applied.measured = applied.measured.take().or(tried.measured);
                MigrationsStep {
                    kind: MigrationsStepKind::Apply,
                    project: Some(id_of(project)),
                    title,
                    outcome: if tried.failure.is_some() {
                        MigrationsOutcome::Failed
                    } else {
                        MigrationsOutcome::Passed
                    },
                    message: tried
                        .failure
                        .as_ref()
                        .map(|failure| failure.message.clone())
                        .unwrap_or_default(),
                    hint: tried.failure.as_ref().and_then(|failure| failure.hint.clone()),
                    took_ms: begun.elapsed().as_millis() as u64,
                    log: tried.log,
                    failure: tried.failure,
                }
            }
            Err(why) if params.to.is_some() => {
                return Err(
                    Failure::user(why).hint("Without `--to` the tool itself is run on the throwaway.")
                );
            }
            Err(why) => {
                not_measured = Some(why);
                let address = stage.address(engine).await?;
                let commands = &project.commands.apply;
                if commands.is_empty() {
                    return Err(no_command(project, MigrationsDirection::Up));
                }
                let ready = tool::prepare(&place.root, project, commands, &address.url, &params.environment)?;
                let done = Box::pin(tool::run(ready, &title, call)).await?;
                let after = stage.status(engine, scan, at).await?;
                let left = stage::pending(project, &after, None)?;
                let ran = waiting.iter().filter(|place| !left.contains(place));
                applied.ran.extend(ran.map(|place| project.migrations[*place].path.clone()));
                let mut step = step_of(MigrationsStepKind::Apply, project, title, &done);
                let on = format!("the throwaway of {}", applied.branch);
                if step.outcome == MigrationsOutcome::Failed {
                    blame::tell(&mut step, &place.root, project, &on);
                }
                if step.outcome == MigrationsOutcome::Passed && waiting.iter().all(|one| left.contains(one)) {
                    elsewhere::fail(&mut step, project, MigrationsDirection::Up, &on, address.was_used());
                }
                step
            }
        };
        applied.passed &= step.outcome != MigrationsOutcome::Failed;
        applied.steps.push(step);
        if let Some(why) = not_measured.filter(|_| params.measure) {
            let title = "time, locks and rewrites".to_owned();
            applied.steps.push(skipped(MigrationsStepKind::Cost, project, title, why));
        }
        if !applied.passed {
            break;
        }
    }
    let after = stage.facts(engine).await?;
    let scan = Arc::clone(scan);
    let compared = engine.blocking(move |_| {
        let (from, to) = (
            stage::without_histories(&before, scan.projects.iter()),
            stage::without_histories(&after, scan.projects.iter()),
        );
        Ok(stage::difference(&from, &to))
    });
    (applied.changes, applied.sql) = compared.await?;
    Ok(())
}

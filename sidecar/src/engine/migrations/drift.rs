//! `migrations/drift`: what a branch has that its migrations do not make.

use std::sync::Arc;
use std::time::Instant;

use offshoot_migrations::{BranchStatus, Direction, Project, Scan, State, Subject, Tool};
use offshoot_protocol::migrations::{
    MigrationsDrift, MigrationsDriftParams, MigrationsOutcome, MigrationsStep, MigrationsStepKind,
    MigrationsVariable,
};
use offshoot_schema::Facts;

use super::apply::step_of;
use super::files::id_of;
use super::stage::{self, Stage};
use super::status::{self, Place};
use super::trial::{items, try_items};
use super::{history, tool};
use crate::engine::server::Call;
use crate::engine::{Engine, schema};
use crate::failure::{Failure, Result};

/// `migrations/drift`.
pub(in crate::engine) async fn drift(
    engine: &Arc<Engine>,
    params: MigrationsDriftParams,
    call: &Call,
) -> Result<MigrationsDrift> {
    let begun = Instant::now();
    let place = status::place(engine, &params.folder).await?;
    let scan = place.scan(engine).await?;
    let (id, branch) = place.meant(engine, params.branch.as_deref()).await?;
    let places = stage::places(&scan, params.tool.as_deref())?;
    let projects: Vec<&Project> = places.iter().map(|at| &scan.projects[*at]).collect();
    let histories = call.or_cancelled(async { Ok(history::read(engine, id, &projects, true).await) }).await?;
    let histories = histories.map_err(|why| history::unread(&branch, &why))?;
    let mut wanted = Vec::new();
    for (at, history) in places.into_iter().zip(histories) {
        let status = scan.projects[at].status(&history, &offshoot_migrations::Observed::default());
        if scan.projects[at].tool != Tool::PlainSql
            && let Some(why) = stage::unknown(&status)
        {
            return Err(why);
        }
        wanted.push((at, applied(&scan.projects[at], &status)?));
    }
    call.progress("reading the schema", 0, None);
    let ours = call.or_cancelled(schema::schema(engine, id, &branch)).await?.facts;
    let replayed = Box::pin(replay(engine, &place, &scan, &wanted, &params.environment, call)).await?;
    let mut drift = MigrationsDrift {
        branch,
        drifted: false,
        replayed: wanted.iter().map(|(_, files)| files.len() as u32).sum(),
        changes: Vec::new(),
        sql: String::new(),
        expected: None,
        actual: None,
        took_ms: 0,
        passed: replayed.facts.is_some(),
        steps: replayed.steps,
    };
    if let Some(theirs) = replayed.facts {
        let work = engine.blocking(move |_| {
            let ours = stage::without_histories(&ours, scan.projects.iter());
            let (changes, sql) = stage::difference(&theirs, &ours);
            let [expected, actual] = [&theirs, &ours].map(|facts| stage::definitions(facts, &changes));
            Ok((changes, sql, expected, actual))
        });
        (drift.changes, drift.sql, drift.expected, drift.actual) = work.await?;
        drift.drifted = !drift.changes.is_empty();
    }
    drift.took_ms = begun.elapsed().as_millis() as u64;
    Ok(drift)
}

/// The files that a branch has applied.
///
/// # Errors
/// If its history begins at a baseline, before which nobody knows what there was.
fn applied(project: &Project, status: &BranchStatus) -> Result<Vec<usize>> {
    if status.count(State::Baseline) > 0 {
        return Err(Failure::user(format!(
            "the history of {} begins at a baseline, and what was there before is in no file",
            project.tool.name()
        ))
        .hint("Compare with another branch: `offshoot diff main`."));
    }
    let ran = |state: State| matches!(state, State::Applied | State::Changed | State::Failed);
    let plain = project.tool == Tool::PlainSql;
    let entries = status.entries.iter().filter(|entry| ran(entry.state) || plain);
    let places = entries.filter_map(|entry| match entry.subject {
        Subject::File(place) => Some(place),
        Subject::Row(_) => None,
    });
    Ok(places.collect())
}

/// What a replay came to.
pub(super) struct Replayed {
    /// The schema, if all went well.
    pub(super) facts: Option<Facts>,
    pub(super) steps: Vec<MigrationsStep>,
}

/// Runs files of several projects in an empty database.
pub(super) async fn replay(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    wanted: &[(usize, Vec<usize>)],
    environment: &[MigrationsVariable],
    call: &Call,
) -> Result<Replayed> {
    let root = engine.store.info().root_branch;
    let stage = Stage::empty(engine, root, "making an empty database", call).await?;
    let outcome = Box::pin(replay_on(engine, place, scan, wanted, environment, call, &stage)).await;
    call.progress("removing the throwaway", 0, None);
    let removed = stage.remove().await;
    let replayed = outcome?;
    removed?;
    Ok(replayed)
}

async fn replay_on(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    wanted: &[(usize, Vec<usize>)],
    environment: &[MigrationsVariable],
    call: &Call,
    stage: &Stage,
) -> Result<Replayed> {
    let mut steps = Vec::new();
    for (at, files) in wanted.iter().filter(|(_, files)| !files.is_empty()) {
        let project = &scan.projects[*at];
        let title = format!("replaying {} of {}", files.len(), id_of(project));
        call.progress(&title, 0, None);
        let begun = Instant::now();
        let mut step = match items(&place.root, project, files, Direction::Up) {
            Ok(items) => {
                let tried = try_items(engine, stage, items, false, call).await?;
                MigrationsStep {
                    kind: MigrationsStepKind::Apply,
                    project: Some(id_of(project)),
                    title,
                    outcome: if tried.failure.is_some() {
                        MigrationsOutcome::Failed
                    } else {
                        MigrationsOutcome::Passed
                    },
                    message: String::new(),
                    hint: None,
                    took_ms: begun.elapsed().as_millis() as u64,
                    log: tried.log,
                    failure: tried.failure,
                }
            }
            // The tool applies all that there is, so what the branch has not applied must not be there.
            Err(_) if files.len() < project.migrations.len() => MigrationsStep {
                kind: MigrationsStepKind::Apply,
                project: Some(id_of(project)),
                title,
                outcome: MigrationsOutcome::Failed,
                message: format!(
                    "{} of its migrations are not applied, and only the tool can replay the others",
                    project.migrations.len() - files.len()
                ),
                hint: Some("Apply them first: `offshoot migrations apply`.".to_owned()),
                took_ms: 0,
                log: String::new(),
                failure: None,
            },
            Err(_) => {
                let address = stage.address(engine).await?;
                let ready =
                    tool::prepare(&place.root, project, &project.commands.apply, &address.url, environment)?;
                let done = Box::pin(tool::run(ready, &title, call)).await?;
                step_of(MigrationsStepKind::Apply, project, title, &done)
            }
        };
        let failed = step.outcome == MigrationsOutcome::Failed;
        if failed {
            step.hint.get_or_insert_with(|| {
                "The files alone do not make a database: something was there before them, or a file was changed.".to_owned()
            });
        }
        steps.push(step);
        if failed {
            return Ok(Replayed { facts: None, steps });
        }
    }
    let facts = stage.facts(engine).await?;
    Ok(Replayed { facts: Some(stage::without_histories(&facts, scan.projects.iter())), steps })
}

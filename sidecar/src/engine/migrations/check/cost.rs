//! What a check's migrations cost.

use std::sync::Arc;
use std::time::Instant;

use offshoot_migrations::{Direction, Scan};
use offshoot_protocol::migrations::{
    MigrationsOutcome, MigrationsReport, MigrationsStep, MigrationsStepKind,
};
use offshoot_storage::BranchId;

use super::skipped;
use crate::engine::Engine;
use crate::engine::migrations::files::id_of;
use crate::engine::migrations::report;
use crate::engine::migrations::stage::{self, Stage};
use crate::engine::migrations::status::Place;
use crate::engine::migrations::trial::{NOT_MEASURED, items, try_items};
use crate::engine::server::Call;
use crate::failure::{Failure, Result};

/// What SQL migrations cost, on a throwaway of their own.
pub(super) async fn cost(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    places: &[usize],
    id: BranchId,
    call: &Call,
    report: &mut MigrationsReport,
) -> Result<()> {
    let (mut all, mut ids) = (Vec::new(), Vec::new());
    let stage = Stage::of(engine, id, "making a throwaway copy of the branch", call).await?;
    let outcome = async {
        for &at in places {
            let project = &scan.projects[at];
            let status = stage.status(engine, scan, at).await?;
            let mut waiting = stage::pending(project, &status, None)?;
            stage::without_merged(place.repository(), &report.against, project, &mut waiting);
            if waiting.is_empty() {
                continue;
            }
            let title = "time, locks and rewrites".to_owned();
            match items(&place.root, project, &waiting, Direction::Up) {
                Ok(found) => {
                    all.extend(found);
                    ids.push(id_of(project));
                }
                Err(why) => report.steps.push(skipped(MigrationsStepKind::Cost, project, title, why)),
            }
        }
        if all.is_empty() {
            return Ok::<(), Failure>(());
        }
        let begun = Instant::now();
        let tried = try_items(engine, &stage, all, true, call).await?;
        // A tool says in its own words what failed; here it is known to the column.
        for step in report.steps.iter_mut().filter(|step| step.outcome == MigrationsOutcome::Failed) {
            if step.kind == MigrationsStepKind::Apply && step.failure.is_none() {
                step.failure.clone_from(&tried.failure);
            }
        }
        let measured = tried.measured;
        report.steps.push(MigrationsStep {
            kind: MigrationsStepKind::Cost,
            project: None,
            title: format!("time, locks and rewrites of {}", ids.join(", ")),
            outcome: if measured.is_some() && tried.failure.is_none() {
                MigrationsOutcome::Passed
            } else {
                MigrationsOutcome::Skipped
            },
            message: match (&measured, &tried.failure) {
                (Some(measured), None) => report::cost(measured),
                (None, None) => NOT_MEASURED.to_owned(),
                (_, Some(_)) => "a statement failed".to_owned(),
            },
            hint: None,
            took_ms: begun.elapsed().as_millis() as u64,
            log: tried.log,
            failure: None,
        });
        report.measured = measured;
        Ok(())
    };
    let outcome = outcome.await;
    let removed = stage.remove().await;
    outcome?;
    removed
}

//! `schema/measure`: what a plan costs, found by running it on a throwaway of the branch with all its data.

mod files;
mod locks;
mod session;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use offshoot_protocol::measure::{
    MeasureFailure, MeasureParams, Measured, MeasuredPart, MeasuredStep, MeasuredTotals,
};
use offshoot_schema::plan::{Part, SETTINGS, Step};
use offshoot_schema::{Plan, PlanOptions};
use offshoot_storage::BranchId;

use super::server::Call;
use super::throwaway::Throwaway;
use super::{Engine, branches, given, schema, snapshots};
use crate::failure::{Failure, Result, chain};
use session::{Refusal, Session};

/// Steps of one answer; a message has an end.
const MOST_STEPS: usize = 2000;
/// What people are told.
const WHAT: &str = "making a throwaway copy of the branch";

/// `schema/measure`.
pub(super) async fn measure(engine: &Arc<Engine>, params: MeasureParams, call: &Call) -> Result<Measured> {
    let id = data_of(engine, &params.branch).await?;
    let plan = plan_of(engine, &params, call).await?;
    let steps = plan.steps().count();
    if steps > MOST_STEPS {
        let text = format!("the plan has {steps} steps, and at most {MOST_STEPS} can be measured");
        return Err(Failure::user(text).hint("Measure it in parts, with SQL files or branches in between."));
    }
    let (throwaway, socket) = call.while_wanted(Throwaway::awake(engine, id, WHAT, call)).await?;
    let reporter = call.clone();
    // Whoever gives up leaves the work behind; it ends as its Postgres goes.
    let settings = if params.script { &[][..] } else { SETTINGS };
    let work = engine.blocking(move |engine| run(engine, &socket, &plan, settings, &reporter));
    let outcome = call.while_wanted(work).await;
    call.progress("removing the throwaway", 0, None);
    let removed = throwaway.remove().await;
    let measured = outcome?;
    removed?;
    Ok(measured)
}

/// The branch, or the snapshot `B@NAME` or `B@fork`, of which a throwaway is made.
async fn data_of(engine: &Arc<Engine>, name: &str) -> Result<BranchId> {
    match branches::named(engine, name).await {
        Err(failure) => snapshots::parent(engine, name).await?.ok_or(failure),
        found => found,
    }
}

async fn plan_of(engine: &Arc<Engine>, params: &MeasureParams, call: &Call) -> Result<Plan> {
    match (&params.plan, &params.to) {
        (Some(path), _) => {
            let path = PathBuf::from(path);
            engine.blocking(move |_| read_plan(&path)).await
        }
        (None, Some(to)) => {
            let from_id = branches::named(engine, &params.branch).await?;
            let to_id = branches::named(engine, to).await?;
            call.progress("reading the schemas", 0, None);
            let (from, to) = call
                .or_cancelled(async {
                    tokio::try_join!(
                        schema::schema(engine, from_id, &params.branch),
                        schema::schema(engine, to_id, to)
                    )
                })
                .await?;
            let options = PlanOptions { online: params.online, ..PlanOptions::default() };
            engine
                .blocking(move |engine| {
                    let (mut from, mut to) = ((*from.facts).clone(), (*to.facts).clone());
                    let given = given::of(engine, to_id)?;
                    crate::given::leave_out(&given, &mut to, &mut from, &mut []);
                    Ok(offshoot_schema::plan(&from, &to, &options))
                })
                .await
        }
        (None, None) => Err(Failure::internal("neither a plan nor a branch to plan for was given")),
    }
}

fn read_plan(path: &Path) -> Result<Plan> {
    let text = fs::read(path).map_err(|e| Failure::io(format!("read {}", path.display()), &e))?;
    let broken = |e| Failure::internal(format!("{} holds no plan: {e}", path.display()));
    serde_json::from_slice(&text).map_err(broken)
}

/// Runs the plan where nothing is lost by it. Blocks.
pub(super) fn run(
    engine: &Engine,
    socket: &Path,
    plan: &Plan,
    settings: &[&str],
    call: &Call,
) -> Result<Measured> {
    let session = Session::open(engine, socket, settings)?;
    let total = plan.steps().count() as u64;
    let mut run = Run { session, measured: Measured::default(), done: 0, total, call };
    for (number, part) in plan.parts.iter().enumerate() {
        run.part(number as u32, part)?;
        if run.measured.failure.is_some() {
            break;
        }
    }
    let mut measured = run.measured;
    measured.totals = totals(&measured.steps, &measured.parts, measured.totals.wal_bytes);
    Ok(measured)
}

struct Run<'r> {
    session: Session,
    measured: Measured,
    done: u64,
    total: u64,
    call: &'r Call,
}

impl Run<'_> {
    fn part(&mut self, number: u32, part: &Part) -> Result<()> {
        let first = self.measured.steps.len();
        let mut took = Duration::ZERO;
        if part.transactional {
            self.session.begin()?;
        }
        for step in &part.steps {
            let message = format!("step {} of {}: {}", self.done + 1, self.total, step.what);
            self.call.progress(&message, self.done, Some(self.total));
            let (measured, refusal) = self.step(number, step, part.transactional)?;
            took += Duration::from_micros(measured.elapsed_us);
            self.measured.steps.push(measured);
            if let Some((statement, refusal)) = refusal {
                self.fail(&step.what, statement, refusal, part.transactional);
                break;
            }
            self.done += 1;
        }
        let mut commit = Duration::ZERO;
        if part.transactional && self.measured.failure.is_none() {
            let (took, wal, refusal) = self.session.commit()?;
            (commit, self.measured.totals.wal_bytes) = (took, self.measured.totals.wal_bytes + wal);
            if let (Some(refusal), Some(last)) = (refusal, part.steps.last()) {
                self.done = self.done.saturating_sub(1);
                self.fail(&last.what, "COMMIT".to_owned(), refusal, true);
            }
        } else if part.transactional {
            self.session.roll_back();
        }
        for step in &mut self.measured.steps[first..] {
            self.session.close(&mut step.locks);
        }
        self.measured.parts.push(MeasuredPart {
            transactional: part.transactional,
            elapsed_us: micros(took + commit),
            commit_us: micros(commit),
        });
        Ok(())
    }

    /// Runs the statements of a step, up to the first that is refused.
    fn step(
        &mut self,
        part: u32,
        step: &Step,
        transactional: bool,
    ) -> Result<(MeasuredStep, Option<(String, Refusal)>)> {
        let mut measured = MeasuredStep { part, what: step.what.clone(), ..MeasuredStep::default() };
        let before = self.session.files()?;
        for statement in &step.statements {
            let cost = self.session.statement(statement, transactional)?;
            measured.elapsed_us += micros(cost.took);
            measured.wal_bytes += cost.wal_bytes;
            measured.rows_read += cost.rows_read;
            measured.rows_written += cost.rows_written;
            measured.locks.extend(cost.locks);
            if let Some(refusal) = cost.refusal {
                return Ok((measured, Some((statement.clone(), refusal))));
            }
        }
        (measured.rewritten, measured.built) = self.session.new_files(&before)?;
        locks::strongest_first(&mut measured.locks);
        Ok((measured, None))
    }

    fn fail(&mut self, what: &str, statement: String, refusal: Refusal, rolled_back: bool) {
        self.measured.failure = Some(MeasureFailure {
            step: self.done as u32,
            what: what.to_owned(),
            statement,
            message: refusal.message,
            code: refusal.code,
            position: refusal.position,
            detail: refusal.detail,
            hint: refusal.hint,
            rolled_back,
        });
    }
}

fn totals(steps: &[MeasuredStep], parts: &[MeasuredPart], commit_wal: u64) -> MeasuredTotals {
    let mut totals = MeasuredTotals {
        elapsed_us: parts.iter().map(|part| part.elapsed_us).sum(),
        wal_bytes: commit_wal,
        ..MeasuredTotals::default()
    };
    for step in steps {
        totals.rows_read += step.rows_read;
        totals.rows_written += step.rows_written;
        totals.wal_bytes += step.wal_bytes;
        totals.rewritten_bytes += step.rewritten.iter().map(|file| file.bytes).sum::<u64>();
        totals.built_bytes += step.built.iter().map(|file| file.bytes).sum::<u64>();
    }
    totals
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

fn lost(error: &postgres::Error) -> Failure {
    Failure::engine(format!("the measurement broke off: {}", chain(error)))
        .hint("`offshoot engine logs` tells more.")
}

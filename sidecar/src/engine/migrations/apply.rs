//! `migrations/apply`: the tool's own command, after a snapshot.

mod before;
mod meant;

use std::collections::BTreeSet;
use std::sync::Arc;

use offshoot_migrations::{Project, Scan};
use offshoot_protocol::migrations::{
    MigrationsApplied, MigrationsApplyParams, MigrationsDirection, MigrationsOutcome, MigrationsStatusParams,
    MigrationsStep, MigrationsStepKind,
};
use offshoot_protocol::types::Subject;
use offshoot_storage::BranchId;

use super::busy::{Taken, Work};
use super::files::{called, id_of};
use super::status::{self, Place};
use super::tool::{self, Address, Done, Prepared};
use super::trial::on_throwaway;
use super::{advice, aside, blame, cut_short, elsewhere, history, lost, stage, told, unchanged};
use crate::engine::policy::{self, Deed};
use crate::engine::server::Call;
use crate::engine::{Engine, branches, schema};
use crate::failure::{Failure, Result};
use before::{begin, with_undo};
use meant::{Meant, to_run};

/// `migrations/apply`.
pub(in crate::engine) async fn apply(
    engine: &Arc<Engine>,
    params: MigrationsApplyParams,
    call: &Call,
) -> Result<MigrationsApplied> {
    let place = status::place(engine, &params.folder).await?;
    let scan = place.scan(engine).await?;
    if params.throwaway {
        return Box::pin(on_throwaway(engine, &place, &scan, &params, call)).await;
    }
    let (id, name) = place.meant(engine, None).await?;
    if params.to.is_some() || params.branch.as_ref().is_some_and(|branch| *branch != name) {
        return Err(Failure::user("the tool's own command applies all that is pending, to the worktree's branch")
            .hint("With `--throwaway` there are `--to` and `--branch`; check another git branch out for its database."));
    }
    let command = match params.direction {
        MigrationsDirection::Up => "offshoot migrations apply",
        MigrationsDirection::Down => "offshoot migrations down",
    };
    let (of, deed) = (name.clone(), Deed::new(command, params.override_rules));
    engine.blocking(move |engine| policy::may_write(engine, &of, &deed)).await?;
    let _taken = take(engine, id, &name, params.direction).await?;
    Box::pin(on_branch(engine, &place, &scan, (id, name), &params, call)).await
}

/// Takes the branch while nobody resets, renames or deletes it.
pub(super) async fn take(
    engine: &Arc<Engine>,
    id: BranchId,
    name: &str,
    direction: MigrationsDirection,
) -> Result<Taken> {
    let _structure = engine.structure.lock().await;
    if branches::named(engine, name).await? != id {
        return Err(Failure::user(format!("`{name}` was replaced by another state of it just now"))
            .hint("Begin again with `offshoot migrations status`."));
    }
    let work = match direction {
        MigrationsDirection::Up => Work::Apply,
        MigrationsDirection::Down => Work::Down,
    };
    engine.migrations.busy.take(id, name, work)
}

/// Runs the tools on a branch that is taken.
pub(super) async fn on_branch(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    (id, name): (BranchId, String),
    params: &MigrationsApplyParams,
    call: &Call,
) -> Result<MigrationsApplied> {
    let all = to_run(engine, scan, id, &name, params).await?;
    let address = Address::of_branch(engine, id).await?;
    let (mut prepared, mut announced) = (Vec::new(), None);
    for Meant { at, must, back, ran } in all {
        let project = &scan.projects[at];
        let words = match params.direction {
            MigrationsDirection::Up => project.commands.apply.clone(),
            MigrationsDirection::Down => project.down_command(ran),
        };
        if words.is_empty() {
            return Err(no_command(project, params.direction));
        }
        let command = tool::prepare(&place.root, project, &words, &address.url, &params.environment)?;
        if let (MigrationsDirection::Down, Some(place)) = (params.direction, back) {
            announced = Some(project.migrations[place].path.clone());
        }
        prepared.push(Ready { at, must, command, title: title(project, params.direction, back) });
    }
    if prepared.is_empty() {
        let mut nothing = nothing(&name, false);
        nothing.status = Some(status_of(engine, place, scan, params, call).await?);
        return Ok(nothing);
    }
    call.progress("reading the schema", 0, None);
    let before = call.or_cancelled(schema::schema(engine, id, &name)).await?.facts;
    let was = applied(engine, scan, id).await?;
    let snapshot = call.or_cancelled(begin(engine, id, &name, !params.no_snapshot)).await?;
    // A promotion is whole or not at all, and ends later.
    let is_promotion = place.unpacked_of.is_some();
    cut_short::begin(engine, id, snapshot.as_ref(), is_promotion).await?;
    let job = Job { engine, call, params, place, scan, id, name: &name, address: &address };
    let ran = Box::pin(job.run(prepared, &was)).await;
    // A tool that the engine ended as it stops was cut short.
    if !engine.is_stopping() && !is_promotion {
        cut_short::ended(engine, id).await;
    }
    let (mut steps, nowhere) = match ran {
        Ok(done) => done,
        Err((failure, began)) => {
            engine.changed(Subject::Migrations);
            if !began {
                before::in_vain(engine, id, snapshot).await;
                return Err(failure);
            }
            // The snapshot stays: nobody knows what the tool had done by then.
            engine.migrations.busy.ended(id, false);
            return Err(with_undo(failure, snapshot.as_ref()));
        }
    };
    drop(address);
    engine.changed(Subject::Migrations);
    let after = call.or_cancelled(schema::schema(engine, id, &name)).await?.facts;
    let is = applied(engine, scan, id).await?;
    let (changes, sql) = {
        let (scan, now) = (Arc::clone(scan), Arc::clone(&after));
        let work = engine.blocking(move |_| {
            let projects = || scan.projects.iter();
            let (from, to) =
                (stage::without_histories(&before, projects()), stage::without_histories(&now, projects()));
            Ok(stage::difference(&from, &to))
        });
        work.await?
    };
    let new = match params.direction {
        MigrationsDirection::Up => is.difference(&was),
        MigrationsDirection::Down => was.difference(&is),
    };
    let mut now: Vec<String> =
        new.map(|(at, file)| scan.projects[*at].migrations[*file].path.clone()).collect();
    now.dedup();
    let failed = steps.last_mut().filter(|_| params.direction == MigrationsDirection::Up);
    if let Some((step, at)) = failed.and_then(|step| {
        let at = scan.projects.iter().position(|one| step.project == Some(id_of(one)))?;
        Some((step, at))
    }) {
        let project = &scan.projects[at];
        let of_run = (0..project.migrations.len()).filter(|place| !was.contains(&(at, *place)));
        let is_root = id == engine.store.root_branch();
        advice::already_there(step, project, &place.root, of_run, (&name, is_root));
    }
    if let (Some((at, connected)), Some(step)) = (nowhere, steps.last_mut()) {
        let project = &scan.projects[at];
        if connected && !changes.is_empty() {
            elsewhere::unrecorded(step, project, &name);
        } else {
            elsewhere::fail(step, project, params.direction, &name, connected);
        }
    }
    if let (Some(step), Some(path)) = (steps.last_mut(), announced)
        && let Some(project) = scan.projects.iter().find(|one| step.project == Some(id_of(one)))
        && !now.is_empty()
        && !now.contains(&path)
    {
        advice::took_another(step, project, &path, &now);
    }
    if let Some(step) = steps.last_mut()
        && let Some(project) = scan.projects.iter().find(|one| step.project == Some(id_of(one)))
        && unchanged::check(engine, place, &params.folder, project, Some(id)).await.is_err()
    {
        unchanged::tell(step, project, &name);
    }
    let passed = steps.iter().all(|step| step.outcome == MigrationsOutcome::Passed);
    let in_vain = !passed && now.is_empty() && changes.is_empty();
    engine.migrations.busy.ended(id, in_vain);
    if passed && !in_vain {
        aside::note(engine, id, scan, &after).await;
    }
    if !in_vain {
        if passed {
            engine.offers.applied(id);
        }
        told::tell(engine, id, place, params.direction, &now, passed).await;
    }
    // In vain: nothing happened that could be undone.
    let snapshot = if in_vain {
        before::in_vain(engine, id, snapshot).await;
        None
    } else {
        snapshot
    };
    Ok(MigrationsApplied {
        branch: name,
        throwaway: false,
        passed,
        snapshot,
        steps,
        ran: now,
        changes,
        sql,
        measured: None,
        status: Some(status_of(engine, place, scan, params, call).await?),
    })
}

/// A tool that is to run.
struct Ready {
    /// Its project's place in the scan.
    at: usize,
    /// Whether it is known that it has something to do.
    must: bool,
    command: Prepared,
    title: String,
}

/// Pairs of the places of a project and of one of its files.
type Applied = BTreeSet<(usize, usize)>;

/// The tools' runs.
struct Job<'j> {
    engine: &'j Arc<Engine>,
    call: &'j Call,
    params: &'j MigrationsApplyParams,
    place: &'j Place,
    scan: &'j Arc<Scan>,
    id: BranchId,
    name: &'j str,
    address: &'j Address,
}

impl Job<'_> {
    /// Runs one after the other, up to the first that fails. Also returns the project of the last one if it ended well
    /// and nothing of it is in the history, with whether it had connected. A failure comes with whether a tool ran.
    async fn run(
        &self,
        prepared: Vec<Ready>,
        was: &Applied,
    ) -> Result<(Vec<MigrationsStep>, Option<(usize, bool)>), (Failure, bool)> {
        let mut steps = Vec::new();
        for Ready { at, must, command, title } in prepared {
            let project = &self.scan.projects[at];
            let began = !steps.is_empty();
            unchanged::check(self.engine, self.place, &self.params.folder, project, Some(self.id))
                .await
                .map_err(|failure| (failure, began))?;
            self.call.progress(&title, 0, None);
            self.address.was_used();
            let done = Box::pin(tool::run(command, &title, self.call)).await;
            self.engine.migrations.histories.forget(self.id);
            let mut step =
                step_of(MigrationsStepKind::Apply, project, title, &done.map_err(|failure| (failure, true))?);
            let passed = step.outcome == MigrationsOutcome::Passed;
            if !passed && self.params.direction == MigrationsDirection::Up {
                if let Some(line) = lost::line(&step.log).map(str::to_owned) {
                    lost::until_back(self.engine, self.id).await;
                    lost::tell(&mut step, project, self.name, &line);
                } else {
                    let found = blame::find(
                        self.engine,
                        self.id,
                        &self.place.root,
                        self.scan,
                        at,
                        &step.log,
                        self.call,
                    );
                    step.failure = Box::pin(found).await;
                }
            } else if !passed {
                advice::not_taken_back(&mut step, project);
            }
            steps.push(step);
            if !passed {
                break;
            }
            let is = applied(self.engine, self.scan, self.id).await.map_err(|failure| (failure, true))?;
            let of = |all: &Applied| all.iter().filter(|one| one.0 == at).copied().collect::<Applied>();
            let nothing = match self.params.direction {
                MigrationsDirection::Up => of(&is).is_subset(&of(was)),
                MigrationsDirection::Down => of(was).is_subset(&of(&is)),
            };
            let connected = self.address.was_used();
            if nothing && (must || !connected) {
                return Ok((steps, Some((at, connected))));
            }
        }
        Ok((steps, None))
    }
}

/// Why a tool cannot be asked for this.
pub(super) fn no_command(project: &Project, direction: MigrationsDirection) -> Failure {
    let name = project.tool.name();
    match direction {
        MigrationsDirection::Up => Failure::user(format!("{name} have no command that applies them"))
            .hint("`offshoot migrations apply --throwaway` tries them out, `offshoot sql -f FILE` runs one."),
        MigrationsDirection::Down => Failure::user(format!("{name} cannot take a migration back"))
            .hint("`offshoot migrations undo` goes back to before they were applied."),
    }
}

/// A run in which there was nothing to do.
pub(super) fn nothing(branch: &str, throwaway: bool) -> MigrationsApplied {
    MigrationsApplied {
        branch: branch.to_owned(),
        throwaway,
        passed: true,
        snapshot: None,
        steps: Vec::new(),
        ran: Vec::new(),
        changes: Vec::new(),
        sql: String::new(),
        measured: None,
        status: None,
    }
}

fn title(project: &Project, direction: MigrationsDirection, back: Option<usize>) -> String {
    let id = called(project);
    match (direction, back) {
        (MigrationsDirection::Up, _) => format!("applying migrations with {id}"),
        (MigrationsDirection::Down, Some(place)) => {
            format!("taking {} back with {id}", project.migrations[place].path)
        }
        (MigrationsDirection::Down, None) => format!("taking the newest migration back with {id}"),
    }
}

async fn status_of(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    params: &MigrationsApplyParams,
    call: &Call,
) -> Result<offshoot_protocol::migrations::MigrationsStatus> {
    if place.unpacked_of.is_some() {
        return call.or_cancelled(Box::pin(status::of_place(engine, place, scan))).await;
    }
    let folder = params.folder.clone();
    let params = MigrationsStatusParams { folder, ..MigrationsStatusParams::default() };
    Box::pin(status::status(engine, params, call)).await
}

/// The files that are applied.
async fn applied(engine: &Arc<Engine>, scan: &Arc<Scan>, id: BranchId) -> Result<Applied> {
    let projects: Vec<&Project> = scan.projects.iter().collect();
    let histories = history::read(engine, id, &projects, true).await;
    let histories = histories.map_err(|why| history::unread("the branch", &why))?;
    let mut found = Applied::new();
    for (at, (project, history)) in projects.into_iter().zip(histories).enumerate() {
        let status = project.status(&history, &offshoot_migrations::Observed::default());
        found.extend(stage::ran(&status).map(|place| (at, place)));
    }
    Ok(found)
}

/// What a run of a tool came to.
pub(super) fn step_of(
    kind: MigrationsStepKind,
    project: &Project,
    title: String,
    done: &Done,
) -> MigrationsStep {
    let name = project.tool.name();
    let (outcome, message) = match done.status {
        Some(0) => (MigrationsOutcome::Passed, String::new()),
        Some(status) => (MigrationsOutcome::Failed, format!("{name} ended with exit status {status}")),
        None => (MigrationsOutcome::Failed, format!("{name} was ended by a signal")),
    };
    MigrationsStep {
        kind,
        project: Some(id_of(project)),
        title,
        hint: (outcome == MigrationsOutcome::Failed).then(|| {
            let known = elsewhere::driver(project, &done.log);
            known.or_else(|| elsewhere::lost_revision(project, &done.log)).unwrap_or_else(|| {
                "What it printed says why; correct the migration and apply again.".to_owned()
            })
        }),
        outcome,
        message,
        took_ms: done.took.as_millis() as u64,
        log: done.log.clone(),
        failure: None,
    }
}

//! `migrations/apply`: the tool's own command, after a snapshot.

use std::sync::Arc;

use offshoot_migrations::{Project, Scan, State};
use offshoot_protocol::migrations::{
    MigrationsApplied, MigrationsApplyParams, MigrationsDirection, MigrationsOutcome, MigrationsSnapshot,
    MigrationsStatusParams, MigrationsStep, MigrationsStepKind,
};
use offshoot_protocol::snapshot::SnapshotParams;
use offshoot_protocol::types::Subject;
use offshoot_storage::BranchId;

use super::files::id_of;
use super::status::{self, SNAPSHOT};
use super::tool::{self, Address, Done};
use super::trial::on_throwaway;
use super::{history, stage};
use crate::engine::server::Call;
use crate::engine::{Engine, schema, snapshots};
use crate::failure::{Failure, Result};
use crate::timestamp;

/// How many snapshots of ours a branch keeps.
const KEPT: usize = 10;
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
    if params.to.is_some() || params.branch.is_some() {
        return Err(Failure::user("the tool's own command applies all that is pending, to the worktree's branch")
            .hint("With `--throwaway` there are `--to` and `--branch`; check another git branch out for its database."));
    }
    let (id, name) = place.meant(engine, None).await?;
    let meant = to_run(engine, &scan, id, &name, &params).await?;
    let address = Address::of_branch(engine, id).await?;
    let mut prepared = Vec::new();
    for at in meant {
        let project = &scan.projects[at];
        let words = match params.direction {
            MigrationsDirection::Up => &project.commands.apply,
            MigrationsDirection::Down => &project.commands.down,
        };
        if words.is_empty() {
            return Err(no_command(project, params.direction));
        }
        prepared.push((at, tool::prepare(&place.root, project, words, &address.url, &params.environment)?));
    }
    if prepared.is_empty() {
        let mut nothing = nothing(&name, false);
        nothing.status = Some(status_of(engine, &params, call).await?);
        return Ok(nothing);
    }
    call.progress("reading the schema", 0, None);
    let before = call.or_cancelled(schema::schema(engine, id, &name)).await?.facts;
    let files_before = applied(engine, &scan, id).await?;
    let snapshot =
        if params.no_snapshot { None } else { Some(call.or_cancelled(keep(engine, id, &name)).await?) };
    let mut steps = Vec::new();
    for (at, ready) in prepared {
        let project = &scan.projects[at];
        let title = title(project, params.direction);
        call.progress(&title, 0, None);
        let done = Box::pin(tool::run(ready, &title, call)).await;
        engine.migrations.histories.forget(id);
        let step = match done {
            Ok(done) => step_of(MigrationsStepKind::Apply, project, title, &done),
            // The snapshot stays: nobody knows what the tool had done by then.
            Err(failure) => {
                engine.changed(Subject::Migrations);
                return Err(with_undo(failure, snapshot.as_ref()));
            }
        };
        let passed = step.outcome == MigrationsOutcome::Passed;
        steps.push(step);
        if !passed {
            break;
        }
    }
    drop(address);
    engine.changed(Subject::Migrations);
    let after = call.or_cancelled(schema::schema(engine, id, &name)).await?.facts;
    let files_after = applied(engine, &scan, id).await?;
    let (changes, sql) = {
        let scan = Arc::clone(&scan);
        let work = engine.blocking(move |_| {
            let projects = || scan.projects.iter();
            let (from, to) =
                (stage::without_histories(&before, projects()), stage::without_histories(&after, projects()));
            Ok(stage::difference(&from, &to))
        });
        work.await?
    };
    let now: Vec<String> = match params.direction {
        MigrationsDirection::Up => {
            files_after.iter().filter(|one| !files_before.contains(one)).cloned().collect()
        }
        MigrationsDirection::Down => {
            files_before.iter().filter(|one| !files_after.contains(one)).cloned().collect()
        }
    };
    let passed = steps.iter().all(|step| step.outcome == MigrationsOutcome::Passed);
    let snapshot = if !passed && now.is_empty() && changes.is_empty() {
        // Nothing happened that could be undone. One that is left is no harm.
        if let Some(taken) = snapshot {
            let params = SnapshotParams { branch: taken.branch, name: taken.name };
            let _ = snapshots::delete(engine, params).await;
        }
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
        status: Some(status_of(engine, &params, call).await?),
    })
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

fn title(project: &Project, direction: MigrationsDirection) -> String {
    let id = id_of(project);
    match direction {
        MigrationsDirection::Up => format!("applying migrations with {id}"),
        MigrationsDirection::Down => format!("taking the newest migration back with {id}"),
    }
}

fn with_undo(failure: Failure, snapshot: Option<&MigrationsSnapshot>) -> Failure {
    match snapshot {
        Some(taken) => {
            failure.hint(format!("`offshoot migrations undo` goes back to {}@{}.", taken.branch, taken.name))
        }
        None => failure,
    }
}

async fn status_of(
    engine: &Arc<Engine>,
    params: &MigrationsApplyParams,
    call: &Call,
) -> Result<offshoot_protocol::migrations::MigrationsStatus> {
    let folder = params.folder.clone();
    let params = MigrationsStatusParams { folder, ..MigrationsStatusParams::default() };
    Box::pin(status::status(engine, params, call)).await
}

/// The projects that have something to run.
async fn to_run(
    engine: &Arc<Engine>,
    scan: &Arc<Scan>,
    id: BranchId,
    name: &str,
    params: &MigrationsApplyParams,
) -> Result<Vec<usize>> {
    let places = stage::places(scan, params.tool.as_deref())?;
    let projects: Vec<&Project> = places.iter().map(|at| &scan.projects[*at]).collect();
    let histories = history::read(engine, id, &projects, true).await;
    let histories = histories.map_err(|why| history::unread(name, &why))?;
    let mut meant = Vec::new();
    for (at, history) in places.into_iter().zip(histories) {
        let project = &scan.projects[at];
        let status = project.status(&history, &offshoot_migrations::Observed::default());
        if let Some(why) = stage::unknown(&status) {
            return Err(why);
        }
        // A file that the tool refuses is for the tool to complain of.
        let open = |state: State| {
            matches!(state, State::Pending | State::OutOfOrder | State::Failed | State::Unknown)
        };
        let wanted = match params.direction {
            MigrationsDirection::Up => status.entries.iter().any(|entry| open(entry.state)),
            MigrationsDirection::Down => status.count(State::Applied) + status.count(State::Changed) > 0,
        };
        if wanted {
            meant.push(at);
        }
    }
    if params.direction == MigrationsDirection::Down && meant.len() > 1 {
        let ids: Vec<_> = meant.iter().map(|at| id_of(&scan.projects[*at])).collect();
        return Err(Failure::user("several tools have applied migrations here")
            .hint(format!("Say whose newest is meant, with `--tool`: {}.", ids.join(", "))));
    }
    Ok(meant)
}

/// The files that are applied, in the tools' orders.
async fn applied(engine: &Arc<Engine>, scan: &Arc<Scan>, id: BranchId) -> Result<Vec<String>> {
    let projects: Vec<&Project> = scan.projects.iter().collect();
    // One that cannot be read has been complained of.
    let histories = history::read(engine, id, &projects, true).await.unwrap_or_default();
    let mut found = Vec::new();
    for (project, history) in scan.projects.iter().zip(histories) {
        let status = project.status(&history, &offshoot_migrations::Observed::default());
        found.extend(status.entries.iter().filter_map(|entry| match (&entry.subject, entry.state) {
            (offshoot_migrations::Subject::File(place), State::Applied | State::Changed) => {
                Some(project.migrations[*place].path.clone())
            }
            _ => None,
        }));
    }
    Ok(found)
}

/// Takes a snapshot, and removes the oldest of ours.
async fn keep(engine: &Arc<Engine>, id: BranchId, name: &str) -> Result<MigrationsSnapshot> {
    let now = timestamp::utc(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default(),
    );
    let digits: String = now.chars().filter(char::is_ascii_digit).collect();
    let snapshot = format!("{SNAPSHOT}{}", digits.get(..17).unwrap_or(&digits));
    let taken = snapshots::create(engine, SnapshotParams { branch: name.to_owned(), name: snapshot }).await?;
    let surplus = engine.blocking(move |engine| {
        let mut ours: Vec<_> =
            engine.store.snapshots(id)?.into_iter().filter(|one| one.name.starts_with(SNAPSHOT)).collect();
        ours.truncate(ours.len().saturating_sub(KEPT));
        for old in ours {
            engine.store.delete_snapshot(old.id)?;
        }
        Ok(())
    });
    if let Err(failure) = surplus.await {
        tracing::warn!(branch = name, error = %failure, "an old snapshot is left");
    }
    Ok(MigrationsSnapshot { branch: taken.branch, name: taken.name, created_at: taken.created_at })
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
        hint: (outcome == MigrationsOutcome::Failed)
            .then(|| "The log has what it printed; correct the migration and apply again.".to_owned()),
        outcome,
        message,
        took_ms: done.took.as_millis() as u64,
        log: done.log.clone(),
        failure: None,
    }
}

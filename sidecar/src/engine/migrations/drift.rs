//! `migrations/drift`: what a branch has that its migrations do not make.

use std::sync::Arc;
use std::time::Instant;

use offshoot_migrations::{BranchStatus, Code, Diagnostic, Project, Scan, Standing, State, Subject, Tool};
use offshoot_protocol::migrations::{
    MigrationsDrift, MigrationsDriftParams, MigrationsOutcome, MigrationsStep,
};
use offshoot_schema::Facts;
use offshoot_storage::BranchId;

use super::replay::{Replay, Wanted};
use super::status::Place;
use super::{accepted, advice, history, passage, stage, status};
use crate::engine::server::Call;
use crate::engine::{Engine, given, offers, schema};
use crate::failure::{Failure, Result};
use crate::names::quoted;

/// `migrations/drift`.
pub(in crate::engine) async fn drift(
    engine: &Arc<Engine>,
    params: MigrationsDriftParams,
    call: &Call,
) -> Result<MigrationsDrift> {
    let place = status::place(engine, &params.folder).await?;
    let scan = place.scan(engine).await?;
    let on = place.meant(engine, params.branch.as_deref()).await?;
    Box::pin(of(engine, &place, &scan, on, &params, call)).await
}

/// The same of the branch `id`, by the files of `place`.
pub(super) async fn of(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    (id, branch): (BranchId, String),
    params: &MigrationsDriftParams,
    call: &Call,
) -> Result<MigrationsDrift> {
    let begun = Instant::now();
    let places = stage::places(scan, params.tool.as_deref())?;
    let projects: Vec<&Project> = places.iter().map(|at| &scan.projects[*at]).collect();
    let histories = call.or_cancelled(async { Ok(history::read(engine, id, &projects, true).await) }).await?;
    let histories = histories.map_err(|why| history::unread(&branch, &why))?;
    // What is accepted now takes the place of what was, readable or not.
    let accepted =
        if params.accept { None } else { engine.blocking(move |engine| accepted::of(engine, id)).await? };
    let mut wanted = Wanted::new();
    let mut found: Vec<Diagnostic> = Vec::new();
    for (at, history) in places.into_iter().zip(histories) {
        // Of two files with one version what was seen tells which one ran.
        let observed = {
            let scan = Arc::clone(scan);
            engine.blocking(move |engine| Ok(status::observed(engine, id, &scan.projects[at])?.0)).await?
        };
        let status = scan.projects[at].status(&history, &observed);
        if scan.projects[at].tool != Tool::PlainSql
            && let Some(why) = stage::unknown(&status).or_else(|| nothing_known(&status))
        {
            return Err(why);
        }
        found.extend(status.diagnostics.iter().filter(|one| is_drift(one)).cloned());
        wanted
            .push((at, applied(&scan.projects[at], &status, &branch, accepted.is_some() || params.accept)?));
    }
    call.progress("reading the schema", 0, None);
    let ours = call.or_cancelled(schema::schema(engine, id, &branch)).await?.facts;
    if params.accept {
        return accept(engine, scan, (id, branch), wanted, ours, begun).await;
    }
    let run = Replay { engine, place, scan, environment: &params.environment, call };
    let (wanted, is_accepted) = match &accepted {
        Some(accepted) => (accepted.without(scan, wanted), true),
        None => (wanted, false),
    };
    let replayed = Box::pin(run.in_empty(id, accepted.as_ref(), &wanted)).await?;
    let mut drift = MigrationsDrift {
        branch,
        drifted: None,
        unknown: unknown(&replayed.steps),
        replayed: wanted.iter().map(|(_, files)| files.len() as u32).sum(),
        changes: Vec::new(),
        sql: String::new(),
        expected: None,
        actual: None,
        took_ms: 0,
        passed: replayed.facts.is_some(),
        steps: replayed.steps,
        notes: Vec::new(),
        hint: None,
    };
    if let Some(theirs) = replayed.facts {
        let owners = stage::owners(&ours, &engine.store.info().user);
        let (of, passages) = (Arc::clone(scan), replayed.passages);
        let name = drift.branch.clone();
        let work = engine.blocking(move |engine| {
            let mut ours = stage::comparable(&ours, of.projects.iter(), &engine.store.info().user);
            crate::given::without_grants(&given::of(engine, id)?, &mut ours, &theirs);
            let (ours, untold) = passage::as_if_passed(&ours, &passages, &theirs);
            let (changes, sql) = stage::difference(&theirs, &ours);
            let [expected, actual] = [&*theirs, &ours].map(|facts| stage::definitions(facts, &changes));
            let accept = if is_accepted { None } else { accepting(engine, id, &name) };
            Ok((changes, sql, expected, actual, untold, accept))
        });
        let (untold, accept);
        (drift.changes, drift.sql, drift.expected, drift.actual, untold, accept) = work.await?;
        drift.notes = untold.iter().map(|file| advice::untold(file, &drift.branch)).collect();
        drift.notes.extend(owners);
        drift.drifted = Some(!drift.changes.is_empty());
        let projects = wanted.iter().map(|(at, _)| &scan.projects[*at]);
        // What a file that is gone or was changed had made is nothing to write a migration of.
        drift.hint = (!drift.changes.is_empty()).then(|| {
            if found.is_empty() {
                [Some(advice::new(projects)), accept].into_iter().flatten().collect::<Vec<_>>().join("\n")
            } else {
                found.iter().map(in_words).collect::<Vec<_>>().join(" ")
            }
        });
    } else {
        drift.hint = Some(accepting_hint(&drift.branch));
    }
    drift.took_ms = begun.elapsed().as_millis() as u64;
    Ok(drift)
}

/// Takes what a branch has as given.
async fn accept(
    engine: &Arc<Engine>,
    scan: &Arc<Scan>,
    (id, branch): (BranchId, String),
    ran: Wanted,
    ours: Arc<Facts>,
    begun: Instant,
) -> Result<MigrationsDrift> {
    let of = Arc::clone(scan);
    let work = move |engine: &Arc<Engine>| {
        let mut ours = stage::comparable(&ours, of.projects.iter(), &engine.store.info().user);
        crate::given::without_grants(&given::of(engine, id)?, &mut ours, &Facts::default());
        accepted::accept(engine, id, &of, &ran, &ours)
    };
    engine.blocking(work).await?;
    let note = format!("what {branch} has now is taken as given: what comes later is compared with it");
    Ok(MigrationsDrift {
        branch,
        drifted: Some(false),
        unknown: None,
        replayed: 0,
        changes: Vec::new(),
        sql: String::new(),
        expected: None,
        actual: None,
        took_ms: begun.elapsed().as_millis() as u64,
        passed: true,
        steps: Vec::new(),
        notes: vec![note],
        hint: None,
    })
}

/// How a database comes to be compared that has what no migration made.
fn accepting_hint(branch: &str) -> String {
    format!(
        "If the database began from a dump, so that no migration made what it has: `offshoot migrations drift --branch {} --accept` takes \
         that as given, once.",
        quoted(branch)
    )
}

/// The same for the root branch and those that stay, such as tiers: what others have besides their parent is for `new`. Blocks.
fn accepting(engine: &Engine, id: BranchId, branch: &str) -> Option<String> {
    (id == engine.store.root_branch() || offers::stays(engine, id, branch)).then(|| accepting_hint(branch))
}

/// Why a replay failed, in a line; none if it did not.
fn unknown(steps: &[MigrationsStep]) -> Option<String> {
    let failed = steps.iter().rfind(|step| step.outcome == MigrationsOutcome::Failed)?;
    Some(match &failed.failure {
        Some(failure) => format!("{}:{}: {}", failure.path, failure.line, failure.message),
        None => failed.message.clone(),
    })
}

/// That nothing is known of what ran, if every file is one of which nothing tells.
fn nothing_known(status: &BranchStatus) -> Option<Failure> {
    let is_unknown = status.standing == Standing::Unknown
        && status.count(State::Unknown) > 0
        && status.count(State::Applied) + status.count(State::Changed) == 0;
    is_unknown.then(|| match status.diagnostics.first() {
        Some(found) => Failure::user(format!("nothing tells which migrations ran: {}", found.message))
            .hint(found.hint.clone()),
        None => Failure::user("nothing tells which migrations ran")
            .hint("`offshoot migrations status` has what is known of each."),
    })
}

/// Whether this makes a branch differ from what its files make.
fn is_drift(found: &Diagnostic) -> bool {
    matches!(found.code, Code::ChangedAfterApply | Code::MissingFile)
}

/// A finding, with its file and what to do.
fn in_words(found: &Diagnostic) -> String {
    let path = if found.path.is_empty() { String::new() } else { format!("{}: ", found.path) };
    format!("{path}{}. {}", found.message, found.hint)
}

/// The files that a branch has applied.
///
/// # Errors
/// If its history begins at a baseline, before which nobody knows what there was, and nothing was accepted.
fn applied(project: &Project, status: &BranchStatus, branch: &str, is_accepted: bool) -> Result<Vec<usize>> {
    if status.count(State::Baseline) > 0 && !is_accepted {
        return Err(Failure::user(format!(
            "the history of {} begins at a baseline, and what was there before is in no file",
            project.tool.name()
        ))
        .hint(format!("{}\n`offshoot diff` compares with another branch.", accepting_hint(branch))));
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

//! `migrations/new`: a new migration from a difference.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use offshoot_migrations::{Content, NewFile, Observed, Project, State, Tool};
use offshoot_protocol::migrations::{MigrationsNew, MigrationsNewParams};
use offshoot_schema::{Facts, Plan, PlanOptions, Renames};
use offshoot_storage::BranchId;

use super::files::id_of;
use super::stage;
use super::status::{self, Place};
use super::{drift, history};
use crate::engine::server::Call;
use crate::engine::{Engine, schema};
use crate::failure::{Failure, Result};
use crate::{renames, timestamp};

/// `migrations/new`.
pub(in crate::engine) async fn create(
    engine: &Arc<Engine>,
    params: MigrationsNewParams,
    call: &Call,
) -> Result<MigrationsNew> {
    if !params.name.chars().any(char::is_alphanumeric) {
        return Err(Failure::user("a migration needs a name with letters in it")
            .hint("`offshoot migrations new add_tags`"));
    }
    let place = status::place(engine, &params.folder).await?;
    let scan = place.scan(engine).await?;
    let places = stage::places(&scan, params.tool.as_deref())?;
    let able: Vec<usize> = places.iter().copied().filter(|at| scan.projects[*at].can_write()).collect();
    let at = match (able.as_slice(), places.as_slice()) {
        ([one], _) => *one,
        ([], all) => {
            let names: Vec<_> = all.iter().map(|at| scan.projects[*at].tool.name()).collect();
            return Err(Failure::user(format!("a migration of {} cannot be written from a difference", names.join(", ")))
                .hint("Its migrations are programs, or it keeps a list of them: make an empty one with the tool, and take the statements of `offshoot diff --sql`."));
        }
        (several, _) => {
            let ids: Vec<_> = several.iter().map(|at| id_of(&scan.projects[*at])).collect();
            return Err(Failure::user("there are several tools here")
                .hint(format!("Say which with `--tool`: {}.", ids.join(", "))));
        }
    };
    let mut notes = Vec::new();
    let content = if params.empty {
        Content::default()
    } else {
        let (id, name) = place.meant(engine, None).await?;
        call.progress("reading the schemas", 0, None);
        let to = call.or_cancelled(schema::schema(engine, id, &name)).await?.facts;
        let from = if let Some(branch) = &params.from {
            let of = place.meant(engine, Some(branch)).await?.0;
            let facts = call.or_cancelled(schema::schema(engine, of, branch)).await?.facts;
            stage::without_histories(&facts, scan.projects.iter())
        } else {
            complete(engine, &scan, &places, (id, &name)).await?;
            replayed(engine, &place, &scan, &places, call).await?
        };
        let to = stage::without_histories(&to, scan.projects.iter());
        let root = place.root.clone();
        let lines = engine.blocking(move |_| renames::of_worktree(&root)).await?;
        let (content, said) = content(&from, &to, &renames::confirmed(&lines)?);
        notes.extend(said);
        if content.up.is_empty() {
            return Err(Failure::user(format!("`{name}` has nothing that the migrations do not make")).hint(
                "Change its schema first, for example with `offshoot sql`; or `--empty` writes an empty one.",
            ));
        }
        content
    };
    let project = &scan.projects[at];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let time: String = timestamp::utc(now).chars().filter(char::is_ascii_digit).take(14).collect();
    let files = project.new_files(&params.name, &time, &content);
    let files = files.ok_or_else(|| Failure::internal("a tool that can be written for has no format"))?;
    notes.extend(after(project));
    let root = place.root.clone();
    let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    engine.blocking(move |_| write(&root, &files)).await?;
    Ok(MigrationsNew { project: id_of(project), files: paths, sql: content.up, notes })
}

/// Refuses for a branch that has not applied all files: what it lacks would be taken for something to drop.
async fn complete(
    engine: &Arc<Engine>,
    scan: &Arc<offshoot_migrations::Scan>,
    places: &[usize],
    (id, name): (BranchId, &str),
) -> Result<()> {
    let projects: Vec<&Project> = places.iter().map(|at| &scan.projects[*at]).collect();
    let histories = history::read(engine, id, &projects, true).await;
    let histories = histories.map_err(|why| history::unread(name, &why))?;
    for (project, history) in projects.into_iter().zip(histories) {
        let status = project.status(&history, &Observed::default());
        if let Some(why) = stage::unknown(&status) {
            return Err(why);
        }
        let done =
            |state: State| matches!(state, State::Applied | State::Changed | State::Ignored | State::Unknown);
        let open = status.entries.iter().filter(|entry| !done(entry.state)).count();
        if open > 0 {
            let text = format!(
                "`{name}` does not have what the migrations of {} make: {open} are not plainly applied",
                id_of(project)
            );
            return Err(Failure::user(text).hint(
                "`offshoot migrations status` shows them; apply them first, or start from a branch: `--from main`.",
            ));
        }
    }
    Ok(())
}

/// The schema that all files make.
async fn replayed(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<offshoot_migrations::Scan>,
    places: &[usize],
    call: &Call,
) -> Result<Facts> {
    let all: Vec<(usize, Vec<usize>)> =
        places.iter().map(|at| (*at, (0..scan.projects[*at].migrations.len()).collect())).collect();
    let instead = "`--from BRANCH` starts from the schema of a branch instead.";
    let replayed = drift::replay(engine, place, scan, &all, &[], call).await?;
    replayed.facts.ok_or_else(|| {
        let failed = replayed.steps.last();
        let why = failed.and_then(|step| step.failure.as_ref()).map_or_else(
            || failed.map(|step| step.message.clone()).unwrap_or_default(),
            |failure| format!("{}:{}: {}", failure.path, failure.line, failure.message),
        );
        Failure::user(format!("the migrations do not run in an empty database: {why}")).hint(instead)
    })
}

/// The statements there and back, and what to look at.
fn content(from: &Facts, to: &Facts, confirmed: &Renames) -> (Content, Vec<String>) {
    let renames = confirmed.fitting(from, to).renames;
    let offered = offshoot_schema::renames(from, to);
    let lines = renames.lines();
    let unconfirmed =
        offered.into_iter().filter(|one| !lines.iter().any(|line| one.line.ends_with(line.as_str())));
    let with = |renames| PlanOptions { renames, ..PlanOptions::default() };
    let back = offshoot_schema::plan(to, from, &with(renames.reversed()));
    let there = offshoot_schema::plan(from, to, &with(renames));
    let mut notes: Vec<String> =
        there.steps().flat_map(|step| &step.hazards).map(ToString::to_string).collect();
    notes.extend(there.unplanned.iter().map(|what| format!("left out: {what}")));
    notes.extend(unconfirmed.map(|one| {
        format!(
            "a rename, perhaps: {}. With the line `{}` in a file that `[schema] renames` of offshoot.toml names, nothing is deleted.",
            one.reason, one.line
        )
    }));
    notes.dedup();
    let loose = there.parts.iter().any(|part| !part.transactional && !part.steps.is_empty());
    (Content { up: statements(&there), down: statements(&back), loose }, notes)
}

/// The statements of a plan without the settings and transactions around them: the tool has its own.
fn statements(plan: &Plan) -> String {
    let mut text = String::new();
    for step in plan.steps() {
        for hazard in &step.hazards {
            let _ = writeln!(text, "-- {hazard}");
        }
        for statement in &step.statements {
            text.push_str(statement.trim_end());
            text.push_str(";\n");
        }
    }
    text
}

/// What the tool wants to be told of a new file.
fn after(project: &Project) -> Option<String> {
    match project.tool {
        Tool::Atlas => Some("Run `atlas migrate hash`: the sum file does not have it yet.".to_owned()),
        Tool::Prisma => {
            Some("schema.prisma is not changed: `prisma db pull` takes the schema over.".to_owned())
        }
        _ => None,
    }
}

/// Writes files that are not there. If one of them is, none is written.
fn write(root: &Path, files: &[NewFile]) -> Result<()> {
    let fault = |path: &str, e: &std::io::Error| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::user(format!("{path} is there already, and stays as it is")).hint("Take another name.")
        }
        _ => Failure::io(format!("write {path}"), e),
    };
    let mut written: Vec<&NewFile> = Vec::new();
    for file in files {
        let path = root.join(&file.path);
        let done = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            let mut open = OpenOptions::new().write(true).create_new(true).open(&path)?;
            open.write_all(file.text.as_bytes())
        });
        if let Err(error) = done {
            for one in written {
                let _ = fs::remove_file(root.join(&one.path));
            }
            return Err(fault(&file.path, &error));
        }
        written.push(file);
    }
    Ok(())
}

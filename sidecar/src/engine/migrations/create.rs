//! `migrations/new`: a new migration from a difference.

mod base;
mod proof;

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use offshoot_migrations::{Content, NewFile, Project, Scan, Tool};
use offshoot_protocol::migrations::{MigrationsNew, MigrationsNewParams};
use offshoot_schema::{Facts, Plan, PlanOptions, Renames};

use super::files::id_of;
use super::replay::Replay;
use super::status::{self, Place};
use super::{advice, stage, written};
use crate::engine::Engine;
use crate::engine::server::Call;
use crate::failure::{Failure, Result};
use crate::{renames, timestamp};
use base::{Base, Subjects};

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
    let at = one_that_can(&scan, &places)?;
    if params.empty {
        let files = new_files(&scan.projects[at], &params.name, &Content::default())?;
        let paths = paths(&files);
        write(engine, &place, files).await?;
        return Ok(MigrationsNew {
            project: id_of(&scan.projects[at]),
            files: paths,
            sql: String::new(),
            notes: after(&scan.projects[at]).into_iter().collect(),
            branch: None,
            proof: None,
            in_line: Vec::new(),
            mark: None,
        });
    }
    let (id, name) = place.meant(engine, None).await?;
    let parent = engine.blocking(move |engine| {
        let branch = engine.store.branch(id)?;
        Ok(branch.parent.zip(branch.parent_name))
    });
    let parent = parent.await?;
    let from = match &params.from {
        Some(named) => Some((place.meant(engine, Some(named)).await?.0, named.clone())),
        None => parent.clone(),
    };
    let is_parent = from.is_some() && from.as_ref().map(|one| one.0) == parent.as_ref().map(|one| one.0);
    let of = Subjects { id, name: &name, from, is_parent, is_root: parent.is_none() };
    let run = Replay { engine, place: &place, scan: &scan, environment: &params.environment, call };
    let base = Box::pin(run.base(&of, &places)).await?;
    let made = Box::pin(written(&run, &of, at, &params.name, &base)).await;
    call.progress("removing the throwaway", 0, None);
    let removed = base.stage.remove().await;
    let mut made = made?;
    removed?;
    made.notes.splice(0..0, base.notes);
    Ok(made)
}

/// The only one of these projects that a migration can be written for.
fn one_that_can(scan: &Scan, places: &[usize]) -> Result<usize> {
    let able: Vec<usize> = places.iter().copied().filter(|at| scan.projects[*at].can_write()).collect();
    match (able.as_slice(), places) {
        ([one], _) => Ok(*one),
        ([], all) => {
            let names: Vec<_> = all.iter().map(|at| scan.projects[*at].tool.name()).collect();
            let text = format!("a migration of {} cannot be written from a difference", names.join(", "));
            let ways: Vec<_> = all.iter().map(|at| advice::of_program(&scan.projects[*at])).collect();
            Err(Failure::user(text).hint(ways.join("\n")))
        }
        (several, _) => {
            let ids: Vec<_> = several.iter().map(|at| id_of(&scan.projects[*at])).collect();
            Err(Failure::user("there are several tools here")
                .hint(format!("Say which with `--tool`: {}.", ids.join(", "))))
        }
    }
}

/// Writes the migration from `base`, and tries it there.
async fn written(
    run: &Replay<'_>,
    of: &Subjects<'_>,
    at: usize,
    name: &str,
    base: &Base,
) -> Result<MigrationsNew> {
    let project = &run.scan.projects[at];
    let root = run.place.root.clone();
    let lines = run.engine.blocking(move |_| renames::of_worktree(&root)).await?;
    let (content, mut notes) =
        content(&base.from, &base.to, &renames::confirmed(&lines)?, &run.engine.store.info().user);
    if content.up.is_empty() {
        let than = of.from.as_ref().map_or("the migrations make".to_owned(), |(_, name)| {
            format!("`{name}` and the migrations make")
        });
        return Err(Failure::user(format!("`{}` has nothing but what {than}", of.name)).hint(
            "Change its schema first, for example with `offshoot sql`; or `--empty` writes an empty one.",
        ));
    }
    notes.extend(after(project));
    let new = new_files(project, name, &content)?;
    let root = &run.place.root;
    if let Some(there) = new.iter().find(|file| fs::symlink_metadata(root.join(&file.path)).is_ok()) {
        return Err(is_there(&there.path));
    }
    // Written only once it is tried: whoever gives up, or is killed, leaves no file.
    let proof = Box::pin(proof::proof(run, &base.stage, &id_of(project), &new, &base.to)).await?;
    let files = paths(&new);
    write(run.engine, run.place, new).await?;
    let can_apply = !project.commands.apply.is_empty();
    let (id, paths) = (of.id, files.clone());
    run.engine.blocking(move |engine| written::note(engine, id, &paths)).await?;
    let in_line = if of.is_parent && can_apply {
        vec![format!("offshoot branch reset {}", of.name), "offshoot migrations apply".to_owned()]
    } else {
        Vec::new()
    };
    let mark = files.first().and_then(|path| advice::mark(project, path));
    if of.is_root && can_apply && mark.is_none() {
        notes.push(format!(
            "{} has no parent to be made anew from: record the file as applied with the tool, or take back by hand what it \
             makes, before the next apply",
            of.name
        ));
    }
    Ok(MigrationsNew {
        project: id_of(project),
        files,
        sql: content.up,
        notes,
        branch: Some(of.name.to_owned()),
        proof: Some(proof),
        in_line,
        mark,
    })
}

/// The statements there and back, and what to look at.
///
/// Whoever runs it becomes the owner of what it makes: owners are all `user` here, and none is said.
fn content(from: &Facts, to: &Facts, confirmed: &Renames, user: &str) -> (Content, Vec<String>) {
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
    (Content { up: statements(&there, user), down: statements(&back, user), loose }, notes)
}

/// The statements of a plan without the settings and transactions around them: the tool has its own.
fn statements(plan: &Plan, user: &str) -> String {
    let mut text = String::new();
    let to_user = format!(" OWNER TO {}", offshoot_schema::quote(user));
    for step in plan.steps() {
        for hazard in &step.hazards {
            let _ = writeln!(text, "-- {hazard}");
        }
        for statement in &step.statements {
            if statement.trim_end().ends_with(&to_user) {
                continue;
            }
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

/// The files of a new migration, which are not written yet.
fn new_files(project: &Project, name: &str, content: &Content) -> Result<Vec<NewFile>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let time: String = timestamp::utc(now).chars().filter(char::is_ascii_digit).take(14).collect();
    let files = project.new_files(name, &time, content);
    files.ok_or_else(|| Failure::internal("a tool that can be written for has no format"))
}

fn paths(files: &[NewFile]) -> Vec<String> {
    files.iter().map(|file| file.path.clone()).collect()
}

async fn write(engine: &Arc<Engine>, place: &Place, files: Vec<NewFile>) -> Result<()> {
    let root = place.root.clone();
    engine.blocking(move |_| put(&root, &files)).await
}

fn is_there(path: &str) -> Failure {
    Failure::user(format!("{path} is there already, and stays as it is")).hint("Take another name.")
}

/// Writes files that are not there. If one of them is, none is written.
fn put(root: &Path, files: &[NewFile]) -> Result<()> {
    let fault = |path: &str, e: &std::io::Error| match e.kind() {
        std::io::ErrorKind::AlreadyExists => is_there(path),
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

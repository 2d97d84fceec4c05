//! What to do next about migrations, in the words of each tool.

use std::fmt::Write as _;
use std::path::Path;

use offshoot_migrations::{Project, Tool};
use offshoot_protocol::migrations::{MigrationsOutcome, MigrationsStep};

use super::files::called;
use super::twice;

/// How migrations are made of what a branch has besides.
pub(super) fn new<'p>(projects: impl Iterator<Item = &'p Project>) -> String {
    let mut lines: Vec<String> = Vec::new();
    for project in projects {
        let line = if project.can_write() {
            "`offshoot migrations new NAME` writes a migration of what the branch has besides.".to_owned()
        } else {
            of_program(project)
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join(" ")
}

/// How a command is run in the project's folder with the branch's address.
fn exec_of(project: &Project) -> String {
    if project.root.is_empty() {
        "offshoot exec --".to_owned()
    } else {
        format!("cd {} && offshoot exec --", project.root)
    }
}

/// How a migration is made by a tool whose migrations are programs, or that keeps a list of them.
pub(super) fn of_program(project: &Project) -> String {
    let name = project.tool.name();
    let exec = exec_of(project);
    let from_models = |command: &str| {
        format!("{name} makes migrations from the models: change those, and run `{exec} {command}`.")
    };
    let by_hand = |command: &str| {
        format!(
            "The migrations of {name} are written by hand: `{exec} {command}` makes an empty one, and `offshoot diff \
             --sql` has the statements."
        )
    };
    match project.tool {
        Tool::Alembic => from_models("alembic revision --autogenerate -m NAME"),
        Tool::Django => from_models("python manage.py makemigrations"),
        Tool::Drizzle => from_models("npx drizzle-kit generate --name NAME"),
        Tool::TypeOrm => from_models("npx typeorm migration:generate -d DATA_SOURCE PATH/NAME"),
        Tool::EfCore => from_models("dotnet ef migrations add NAME"),
        Tool::Rails => by_hand("bin/rails generate migration NAME"),
        Tool::Knex => by_hand("npx knex migrate:make NAME"),
        Tool::Kysely => by_hand("npx kysely migrate:make NAME"),
        Tool::Sequelize => by_hand("npx sequelize-cli migration:generate --name NAME"),
        Tool::NodePgMigrate => by_hand("npx node-pg-migrate create NAME"),
        Tool::Sqitch => by_hand("sqitch add NAME -n NOTE"),
        Tool::SeaOrm => by_hand("sea-orm-cli migrate generate NAME"),
        _ => {
            format!("Make an empty migration with {name}; `offshoot diff --sql` has the statements.")
        }
    }
}

/// The command that records what is pending as applied without running it, where the tool has one that needs no address
/// on its command line. `path` is the new file.
///
/// For tools that keep no checksum it is the row that they would write, on the worktree's branch.
///
/// Sources: the manuals of `prisma migrate resolve` and of node-pg-migrate (`--fake`); the history tables of the others.
pub(super) fn mark(project: &Project, path: &str) -> Option<String> {
    let exec = exec_of(project);
    match project.tool {
        Tool::Prisma => {
            let name = path.rsplit('/').nth(1)?;
            Some(format!("{exec} npx prisma migrate resolve --applied {name}"))
        }
        Tool::NodePgMigrate => Some(format!("{exec} npx node-pg-migrate up --fake")),
        Tool::Alembic => Some(format!("{exec} alembic stamp {}", plain_key(project, path)?)),
        Tool::Django => {
            let (app, name) = plain_key(project, path)?.split_once('.')?;
            Some(format!("{exec} python manage.py migrate {app} {name} --fake"))
        }
        _ => row(project, path).map(|sql| format!("offshoot sql -c \"{sql}\"")),
    }
}

/// What the history knows the file at `path` by, if a shell takes it as it is.
fn plain_key<'p>(project: &'p Project, path: &str) -> Option<&'p str> {
    let key = project.migrations.iter().find(|one| one.path == path)?.key.as_str();
    let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    is_plain.then_some(key)
}

/// The statement with which a tool would record the file at `path`.
fn row(project: &Project, path: &str) -> Option<String> {
    let history = project.history.as_ref()?;
    let table = match &history.schema {
        Some(schema) => format!("{schema}.{}", history.name),
        None => history.name.clone(),
    };
    // Nothing that SQL or a shell would want in quotes.
    if !table.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.".contains(&byte))
    {
        return None;
    }
    let mut parts = path.rsplit('/');
    let name = if project.tool == Tool::Diesel { parts.nth(1) } else { parts.next() }?;
    let version = name.split(['_', '.']).next()?.replace('-', "");
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Before the first run of a tool there is no table.
    let is_first = project.migrations.iter().all(|one| one.path == path);
    match project.tool {
        Tool::Dbmate => Some(format!(
            "create table if not exists {table} (version varchar primary key); insert into {table} (version) values \
             ('{version}')"
        )),
        _ if is_first => None,
        Tool::Diesel | Tool::Supabase => Some(format!("insert into {table} (version) values ('{version}')")),
        Tool::Goose => Some(format!("insert into {table} (version_id, is_applied) values ({version}, true)")),
        Tool::GolangMigrate => Some(format!("update {table} set version = {version}, dirty = false")),
        Tool::Tern => Some(format!("update {table} set version = {version}")),
        _ => None,
    }
}

/// What to do with a file that is pending on `branch`, if it was written from what that branch has.
pub(super) fn written_from(project: &Project, path: &str, branch: &str, is_root: bool) -> String {
    let mut text = format!("delete {path} to have it written anew");
    if !is_root {
        let _ = write!(
            text,
            "; or `offshoot branch reset {branch}` and then `offshoot migrations apply`, which makes the branch anew from \
             its parent and the files"
        );
    }
    match mark(project, path) {
        Some(command) => {
            let _ = write!(text, "; or record it as applied: `{command}`");
        }
        None if is_root => text.push_str("; or record it as applied with the tool"),
        None => {}
    }
    text
}

/// That nothing tells whether a file ran on a branch, and what was done about it.
pub(super) fn untold(file: &str, branch: &str) -> String {
    format!(
        "nothing tells whether {file} ran on {branch}: what it makes is missing there at least in part, and is taken as \
         pending, not as dropped"
    )
}

/// Whether a step back failed because Alembic stands on a merge, from which several revisions are one step back.
pub(super) fn is_ambiguous(project: &Project, step: &MigrationsStep) -> bool {
    project.tool == Tool::Alembic
        && step.outcome == MigrationsOutcome::Failed
        && step.log.contains("Ambiguous walk")
}

/// Says of a way back that failed what to do instead.
pub(super) fn not_taken_back(step: &mut MigrationsStep, project: &Project) {
    let snapshot = "`offshoot migrations undo` goes back to before the newest apply, with the data of then.";
    step.hint = Some(if is_ambiguous(project, step) {
        step.message = String::from(
            "a merge of several revisions would be taken back, from which Alembic does not know where one step back leads",
        );
        let exec = exec_of(project);
        format!("Name the revision to go to: `{exec} alembic downgrade REVISION`. Or {snapshot}")
    } else {
        format!("The log has what it printed. Correct the way back of the migration; or {snapshot}")
    });
}

/// As [`already_there`], of a run on a throwaway of `branch`, which `is_other` than the worktree's, and that stopped at the file `at`.
pub(super) fn already_on(
    step: &mut MigrationsStep,
    project: &Project,
    root: &Path,
    of_run: impl Iterator<Item = usize>,
    (at, (branch, is_root, is_other)): (Option<&str>, (&str, bool, bool)),
) {
    of_file(step, project, root, of_run, (at, branch, is_root));
    if let Some(hint) = step.hint.as_mut().filter(|_| is_other) {
        let at = quoted(branch);
        *hint = hint
            .replace("`offshoot sql -c ", &format!("`offshoot sql --branch {at} -c "))
            .replace("offshoot exec -- ", &format!("offshoot exec --branch {at} -- "));
    }
}

/// Says of a way back that took none of what was announced that it did so. `took` are the files that are not applied any more.
pub(super) fn took_another(step: &mut MigrationsStep, project: &Project, announced: &str, took: &[String]) {
    step.outcome = MigrationsOutcome::Failed;
    step.message = format!("{} took {} back, and not {announced}", project.tool.name(), took.join(", "));
    step.hint = Some("`offshoot migrations undo` goes back to before it, with the data of then.".to_owned());
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|letter| letter.is_alphanumeric() || "-_./".contains(letter));
    if is_plain { name.to_owned() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

/// Tells of a run that failed because what it makes is on the branch already what that may mean, and the ways on.
///
/// `of_run` are the places of the files that ran in this run, failed, or wait: two of them may make the same object.
pub(super) fn already_there(
    step: &mut MigrationsStep,
    project: &Project,
    root: &Path,
    of_run: impl Iterator<Item = usize>,
    (branch, is_root): (&str, bool),
) {
    of_file(step, project, root, of_run, (None, branch, is_root));
}

fn of_file(
    step: &mut MigrationsStep,
    project: &Project,
    root: &Path,
    of_run: impl Iterator<Item = usize>,
    (at, branch, is_root): (Option<&str>, &str, bool),
) {
    // As Postgres says it in English, and as SQLSTATE.
    let signs = ["already exists", "42P07", "42701", "42710", "42P06"];
    let code = step.failure.as_ref().map_or("", |failure| &failure.code);
    if step.outcome != MigrationsOutcome::Failed
        || !signs.iter().any(|sign| step.log.contains(sign) || code == *sign)
    {
        return;
    }
    let failed = step.failure.as_ref().map(|failure| failure.path.clone()).or_else(|| at.map(str::to_owned));
    let others = of_run.filter(|place| failed.as_ref() != Some(&project.migrations[*place].path));
    // Without the file that failed nothing tells it from another one.
    if let (Some(failed), Some(name)) = (&failed, twice::what_is_there(step))
        && let Some(other) = twice::maker(root, project, others, &name)
    {
        step.hint = Some(format!(
            "{other} makes `{name}` as well as {failed}, and was not applied before this run either: take it out of one of \
             them, and apply again."
        ));
        return;
    }
    let mut hint = format!(
        "{branch} seems to have what the migration makes, and the history of {} does not say so: it was made by hand \
         or by a run that failed halfway, or the migration was written from this branch.",
        called(project)
    );
    if is_root {
        hint.push_str(" Take it away by hand, or record the migration with the tool.");
    } else {
        let _ = write!(
            hint,
            " `offshoot branch reset {branch}` and then `offshoot migrations apply` make the branch anew from its parent \
             and the files; rows that were typed in by hand are gone then, until `offshoot undo {branch}`."
        );
    }
    if let Some(command) = mark(project, failed.as_deref().unwrap_or("NAME/migration.sql")) {
        let _ = write!(hint, " Or record it without running it: `{command}`.");
    }
    step.hint = Some(hint);
}

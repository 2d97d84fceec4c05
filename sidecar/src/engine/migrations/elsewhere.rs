//! Tools that use another database than the one that they are given.

use std::path::Path;

use offshoot_migrations::{Project, Tool};
use offshoot_protocol::migrations::{MigrationsDirection, MigrationsOutcome, MigrationsStep};

use crate::failure::{Failure, Result};

/// The address in Alembic's own template.
const PLACEHOLDER: &str = "driver://user:pass@localhost/dbname";
/// The line that has Alembic use the branch, whatever the scheme of `DATABASE_URL` and the default driver of `SQLAlchemy`.
const ALEMBIC_LINE: &str = "config.set_main_option(\"sqlalchemy.url\", \"postgresql+psycopg2://\" + \
     os.environ[\"DATABASE_URL\"].partition(\"://\")[2].replace(\"%\", \"%%\"))";
/// Which driver that line names.
const DRIVER: &str = "With psycopg 3 write `postgresql+psycopg` there.";
/// Signs that Alembic's env.py takes the address from elsewhere than the configuration file.
const SIGNS: [&str; 7] = [
    "database_url",
    "environ",
    "getenv",
    "set_main_option(",
    "set_section_option(",
    "create_engine(",
    "create_async_engine(",
];

/// Says of a run that ended well and left no trace on the branch what that means, and what to do.
pub(super) fn told(
    project: &Project,
    direction: MigrationsDirection,
    branch: &str,
    connected: bool,
) -> (String, String) {
    let tool = project.tool.name();
    let what = match direction {
        MigrationsDirection::Up => "none of its pending migrations is on",
        MigrationsDirection::Down => "none of its migrations was taken back on",
    };
    let why =
        if connected { "it may have used" } else { "it did not connect to the branch, and may have used" };
    let message = format!(
        "{tool} ended well, and {what} {branch}: {why} another database than the one that DATABASE_URL names, and \
         changed that one"
    );
    (message, hint(project))
}

/// What to do for a tool to use the branch.
fn hint(project: &Project) -> String {
    let tool = project.tool.name();
    match project.tool {
        Tool::Alembic => {
            format!(
                "Look at the other database. In env.py `{ALEMBIC_LINE}` has {tool} use the branch. {DRIVER}"
            )
        }
        _ => format!("Look at the other database, and let the configuration of {tool} read DATABASE_URL."),
    }
}

/// Makes a step that passed one that failed, as nothing of it is on `branch`.
pub(super) fn fail(
    step: &mut MigrationsStep,
    project: &Project,
    direction: MigrationsDirection,
    branch: &str,
    connected: bool,
) {
    step.outcome = MigrationsOutcome::Failed;
    let (message, hint) = told(project, direction, branch, connected);
    (step.message, step.hint) = (message, Some(hint));
}

/// As [`fail`], for a tool that changed the branch, and whose history does not say so.
pub(super) fn unrecorded(step: &mut MigrationsStep, project: &Project, branch: &str) {
    let tool = project.tool.name();
    step.outcome = MigrationsOutcome::Failed;
    step.message = format!(
        "{tool} ended well and changed the schema of {branch}, and its history there is as it was: it may keep \
         another table than the one that Offshoot reads"
    );
    let table = project.history.as_ref().map(offshoot_migrations::Table::sql).unwrap_or_default();
    step.hint = Some(format!("Offshoot reads {table}; name the table plainly in the tool's configuration."));
}

/// Refuses what would surely go to another database: Alembic with an address in its file and nothing that replaces it.
///
/// # Errors
/// With the file and the line to add.
pub(super) fn refuse(root: &Path, project: &Project) -> Result<()> {
    if project.tool != Tool::Alembic {
        return Ok(());
    }
    let folder = root.join(&project.root);
    let beside = |name: &str| {
        let path = if project.root.is_empty() { name.to_owned() } else { format!("{}/{name}", project.root) };
        std::fs::read_to_string(root.join(&path)).ok().map(|text| (path, text))
    };
    let files: Vec<(String, String)> =
        ["alembic.ini", "pyproject.toml"].into_iter().filter_map(beside).collect();
    let own = files.iter().find_map(|(path, text)| {
        let (line, url) = setting(text, "sqlalchemy.url")?;
        (!url.is_empty()).then_some((path, line, url == PLACEHOLDER))
    });
    let Some((path, line, is_template)) = own else { return Ok(()) };
    let location = files.iter().find_map(|(_, text)| setting(text, "script_location"));
    let location = location.map_or_else(|| "alembic".to_owned(), |(_, value)| value.replace("%(here)s", "."));
    let env = folder.join(&location).join("env.py");
    let Ok(code) = std::fs::read_to_string(&env) else { return Ok(()) };
    let code: String =
        code.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let code = code.to_lowercase();
    // The template's address stays in many a file whose env.py has an engine from elsewhere, which shows by what it does not call.
    if SIGNS.iter().any(|sign| code.contains(sign)) || is_template && !code.contains("engine_from_config(") {
        return Ok(());
    }
    let env = env.strip_prefix(root).unwrap_or(&env).display();
    let text = if is_template {
        format!("Alembic is not set up yet: {path}:{line} has the address of the template")
    } else {
        format!("Alembic would use another database: {path}:{line} has an address of its own")
    };
    Err(Failure::configuration(format!("{text}, and {env} does not read DATABASE_URL")).hint(format!(
        "Add to {env}, after `config = context.config`: `import os` and `{ALEMBIC_LINE}`. {DRIVER} Nothing was run."
    )))
}

/// What to do about a run that failed as SQLAlchemy has no driver for the address; none if it failed for another reason.
///
/// Source: `sqlalchemy.util.langhelpers`, which loads dialects, and the dialects' `import_dbapi`.
pub(super) fn driver(project: &Project, log: &str) -> Option<String> {
    let has_none = log.contains("NoSuchModuleError")
        || ["No module named 'psycopg2'", "No module named 'psycopg'"].iter().any(|sign| log.contains(sign));
    (project.tool == Tool::Alembic && has_none).then(|| {
        format!(
            "Not the migration is at fault but the scheme of the address, which names the driver. In env.py \
             `{ALEMBIC_LINE}` takes psycopg2. {DRIVER}"
        )
    })
}

/// What to do about a run that failed as a revision that ran has no file here; none if it failed for another reason.
///
/// Source: `alembic.script.base`, which looks revisions up.
pub(super) fn lost_revision(project: &Project, log: &str) -> Option<String> {
    let (_, rest) = log.split_once("Can't locate revision identified by '")?;
    let (revision, _) = rest.split_once('\'')?;
    (project.tool == Tool::Alembic).then(|| {
        format!(
            "{revision} was applied here, and its file is not: it may be on another git branch. Merge that, or reset the \
             database branch."
        )
    })
}

/// A setting of Alembic's section, and its line.
fn setting(text: &str, name: &str) -> Option<(usize, String)> {
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            inside = matches!(section.trim_end_matches(']').trim(), "alembic" | "tool.alembic");
        } else if inside
            && let Some((key, value)) = line.split_once(['=', ':'])
            && key.trim().trim_matches('"') == name
        {
            return Some((at + 1, value.trim().trim_matches(['"', '\'']).to_owned()));
        }
    }
    None
}

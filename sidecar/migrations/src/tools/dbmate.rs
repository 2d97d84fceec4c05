//! dbmate: SQL files with a part `-- migrate:up` and a part `-- migrate:down`.

use super::Adapter;
use super::common::{database_url, keyed, numbered_files, words_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct Dbmate;

fn parse(file: &File<'_>, facts: &mut Facts) {
    facts.marked = text::line_with(file.text, "-- migrate:up").is_some();
    facts.down = text::line_with(file.text, "-- migrate:down").is_some();
    if !facts.marked {
        facts.broken = true;
        let hint = "dbmate refuses it; start the statements with `-- migrate:up`.";
        let message = "the file has no line `-- migrate:up`";
        facts.diagnostics.push(Diagnostic::error(Code::Incomplete, file.path, 1, message, hint));
    }
}

fn passes(name: &str) -> bool {
    name.ends_with(".sql") && name.starts_with(|letter: char| letter.is_ascii_digit())
}

impl Adapter for Dbmate {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for folder in context.folders_with(passes) {
            let usual = folder == "db/migrations" || folder.ends_with("/db/migrations");
            let root = folder.strip_suffix("db/migrations").map_or_else(
                || {
                    context
                        .nearest(&folder, ".env")
                        .map(|path| text::split_path(&path).0.to_owned())
                        .unwrap_or_default()
                },
                |root| root.trim_end_matches('/').to_owned(),
            );
            let env = text::join(&root, ".env");
            let mut project = Project::new(Tool::Dbmate, &root);
            let settings = context.ini(&env, &mut Vec::new()).unwrap_or_default();
            let named = settings
                .get("", "DBMATE_MIGRATIONS_DIR")
                .is_some_and(|named| text::join(&root, named) == folder);
            if context.is_claimed(&folder)
                || !(named || usual || has_mark(context, &folder))
                || !has_mark(context, &folder)
            {
                continue;
            }
            if settings.get("", "DBMATE_MIGRATIONS_TABLE").is_some() || named {
                project.config = Some(env);
            }
            let table = settings.get("", "DBMATE_MIGRATIONS_TABLE").unwrap_or("schema_migrations");
            let (schema, table) =
                table.split_once('.').map_or((None, table), |(schema, table)| (Some(schema), table));
            project.history = Some(Table::new(schema, table));
            project.late =
                if settings.get("", "DBMATE_STRICT") == Some("true") { Late::Refuses } else { Late::Runs };
            numbered_files(context, &mut project, &folder, passes, parse);
            for migration in &mut project.migrations {
                migration.key = migration.version.clone().unwrap_or_default();
            }
            project.migrations.sort_by(|a, b| a.path.cmp(&b.path));
            let here = folder.strip_prefix(&root).unwrap_or(&folder).trim_start_matches('/').to_owned();
            // The address is read from a variable: https://github.com/amacneil/dbmate, "Command Line Options".
            // A `.env` of the project does not replace one that is set.
            let verb = |verb: &str| {
                let options = ["--env", "DATABASE_URL", "--migrations-dir", &here, "--no-dump-schema"];
                words_of(&[&["dbmate"], &options[..], &[verb]].concat())
            };
            project.commands.env = database_url();
            project.commands.apply = verb("migrate");
            project.commands.status = verb("status");
            project.commands.down = verb("rollback");
            project.folders = vec![folder];
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        keyed(project, rows, "version", None)
    }
}

/// Whether the first files of a folder bear the tool's mark.
fn has_mark(context: &mut Context<'_>, folder: &str) -> bool {
    let files: Vec<String> =
        context.children(folder).into_iter().filter(|path| passes(text::split_path(path).1)).collect();
    files
        .iter()
        .take(3)
        .any(|path| context.text(path).is_some_and(|text| text::line_with(&text, "-- migrate:up").is_some()))
}

//! goose: SQL files with `-- +goose Up` and `-- +goose Down`, and Go files.

use super::Adapter;
use super::common::{database_url, lacks, numbered_files, sort_by_number, words_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::{Outcome, Reading, Record};
use crate::text;
use crate::tool::Tool;

pub(crate) struct Goose;

fn parse(file: &File<'_>, facts: &mut Facts) {
    if file.path.ends_with(".go") {
        facts.down = true;
        return;
    }
    facts.down = text::line_with(file.text, "-- +goose down").is_some();
    if text::line_with(file.text, "-- +goose up").is_none() {
        facts.broken = true;
        let hint = "goose refuses it; start the statements with `-- +goose Up`.";
        let message = "the file has no line `-- +goose Up`";
        facts.diagnostics.push(Diagnostic::error(Code::Incomplete, file.path, 1, message, hint));
    }
}

fn passes(name: &str) -> bool {
    let (digits, rest) = text::leading_digits(name);
    !digits.is_empty()
        && rest.starts_with('_')
        && (name.ends_with(".sql") || (name.ends_with(".go") && !name.ends_with("_test.go")))
}

impl Adapter for Goose {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for folder in context.folders_with(|name| passes(name) && name.ends_with(".sql")) {
            if context.is_claimed(&folder) || !has_mark(context, &folder) {
                continue;
            }
            let root = context
                .nearest(&folder, "go.mod")
                .map(|path| text::split_path(&path).0.to_owned())
                .unwrap_or_default();
            let mut project = Project::new(Tool::Goose, &root);
            let env = text::join(&root, ".env");
            let settings = context.ini(&env, &mut Vec::new()).unwrap_or_default();
            let table = settings.get("", "GOOSE_TABLE").unwrap_or("goose_db_version");
            let (schema, table) =
                table.split_once('.').map_or((None, table), |(schema, table)| (Some(schema), table));
            project.history = Some(Table::new(schema, table));
            project.late = Late::Refuses;
            numbered_files(context, &mut project, &folder, passes, parse);
            for migration in &mut project.migrations {
                migration.key = text::number(migration.version.as_deref().unwrap_or_default()).to_string();
            }
            sort_by_number(&mut project.migrations);
            let here = folder.strip_prefix(&root).unwrap_or(&folder).trim_start_matches('/').to_owned();
            // Its driver takes the password from PGPASSWORD: https://pkg.go.dev/github.com/jackc/pgx/v5/pgconn#ParseConfig.
            let verb = |verb: &str| words_of(&["goose", "-dir", &here, "postgres", "{bare_url}", verb]);
            project.commands.apply = verb("up");
            project.commands.status = verb("status");
            project.commands.down = verb("down");
            project.commands.env = database_url();
            project.folders = vec![folder];
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["version_id", "is_applied"]) {
            return Reading::untold(Some(lacking));
        }
        let records =
            rows.by_number("id").into_iter().filter(|row| row.int("version_id") != Some(0)).map(|row| {
                let mut record = Record::applied(row.text("version_id").unwrap_or_default());
                record.at = row.text("tstamp");
                if row.truth("is_applied") == Some(false) {
                    record.outcome = Outcome::RolledBack;
                }
                record
            });
        Reading { records: records.collect(), ..Reading::default() }
    }
}

fn has_mark(context: &mut Context<'_>, folder: &str) -> bool {
    let files: Vec<String> =
        context.children(folder).into_iter().filter(|path| path.ends_with(".sql")).collect();
    files
        .iter()
        .take(3)
        .any(|path| context.text(path).is_some_and(|text| text::line_with(&text, "-- +goose up").is_some()))
}

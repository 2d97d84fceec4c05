//! tern: SQL files numbered without gaps; the history is one number.

use super::Adapter;
use super::common::{lacks, numbered_files, opaque, sort_by_number, words_of};
use super::golang_migrate::up_to;
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Down, Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct Tern;

/// What parts a file's way up from its way down.
const DIVIDER: &str = "---- create above / drop below ----";

fn parse(file: &File<'_>, facts: &mut Facts) {
    opaque(file, facts);
    facts.down = file.text.contains(DIVIDER);
}

fn passes(name: &str) -> bool {
    let (digits, rest) = text::leading_digits(name);
    !digits.is_empty() && rest.starts_with('_') && name.ends_with(".sql")
}

impl Adapter for Tern {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects: Vec<Project> = Vec::new();
        let mut folders: Vec<(String, Option<String>)> = context
            .named(&["tern.conf"])
            .into_iter()
            .map(|config| {
                let root = text::split_path(&config).0.to_owned();
                let below = text::join(&root, "migrations");
                (if context.has_folder(&below) { below } else { root }, Some(config))
            })
            .collect();
        for folder in context.folders_with(passes) {
            if context.is_claimed(&folder) || folders.iter().any(|(other, _)| *other == folder) {
                continue;
            }
            let files: Vec<String> =
                context.children(&folder).into_iter().filter(|path| path.ends_with(".sql")).collect();
            if files.iter().take(2).any(|path| context.text(path).is_some_and(|text| text.contains(DIVIDER)))
            {
                folders.push((folder, None));
            }
        }
        for (folder, config) in folders {
            let root = config
                .as_deref()
                .map_or_else(|| folder.clone(), |config| text::split_path(config).0.to_owned());
            let mut project = Project::new(Tool::Tern, &root);
            let ini = config
                .as_deref()
                .and_then(|config| context.ini(config, &mut project.diagnostics))
                .unwrap_or_default();
            let table = ini.get("database", "version_table").unwrap_or("public.schema_version");
            let (schema, table) =
                table.split_once('.').map_or((None, table), |(schema, table)| (Some(schema), table));
            project.history = Some(Table::new(schema, table));
            project.config = config;
            project.late = Late::Skips;
            numbered_files(context, &mut project, &folder, passes, parse);
            for migration in &mut project.migrations {
                migration.key = text::number(migration.version.as_deref().unwrap_or_default()).to_string();
                if migration.down != Down::SameFile {
                    migration.down = Down::None;
                }
            }
            sort_by_number(&mut project.migrations);
            check_gaps(&mut project);
            let here = folder.strip_prefix(&root).unwrap_or(&folder).trim_start_matches('/').to_owned();
            let here = if here.is_empty() { ".".to_owned() } else { here };
            // Its driver takes the password from PGPASSWORD: https://pkg.go.dev/github.com/jackc/pgx/v5/pgconn#ParseConfig.
            let verb = |words: &[&str]| {
                words_of(
                    &[&["tern"], words, &["--migrations", &here, "--conn-string", "{bare_url}"]].concat(),
                )
            };
            project.commands.apply = verb(&["migrate"]);
            project.commands.status = verb(&["status"]);
            project.commands.down = verb(&["migrate", "--destination", "-1"]);
            project.folders = vec![folder];
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["version"]) {
            return Reading::untold(Some(lacking));
        }
        up_to(project, rows, "version", |_| false)
    }
}

fn check_gaps(project: &mut Project) {
    for (expected, migration) in (1_i64..).zip(&project.migrations) {
        if text::number(&migration.key) > expected {
            let message = format!("the number {expected} is missing before {}", migration.key);
            let hint = "tern refuses gaps; give the files the numbers from 1 on without one.";
            project.diagnostics.push(Diagnostic::error(Code::OutOfStep, &migration.path, 1, message, hint));
            return;
        }
    }
}

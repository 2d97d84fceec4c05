//! Diesel: a folder with `up.sql` and `down.sql` for each migration.

use super::Adapter;
use super::common::{check_folder, keyed, opaque, words_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Down, Late, Project, Table};
use crate::scan::Context;
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct Diesel;

impl Adapter for Diesel {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects: Vec<Project> = Vec::new();
        for config in context.named(&["diesel.toml", "Cargo.toml"]) {
            let root = text::split_path(&config).0.to_owned();
            let own = config.ends_with("diesel.toml");
            let mut project = Project::new(Tool::Diesel, &root);
            let mut folder = text::join(&root, "migrations");
            if own {
                let table = context.toml(&config, &mut project.diagnostics).unwrap_or_default();
                let directory = table.get("migrations_directory").and_then(|table| table.get("dir"));
                if let Some(directory) = directory.and_then(toml::Value::as_str) {
                    // `diesel setup` writes the absolute path; only its end can be in the repository.
                    folder = if directory.starts_with('/') {
                        text::join(&root, text::split_path(directory).1)
                    } else {
                        text::join(&root, directory)
                    };
                }
                check_folder(context, &mut project, &folder);
            } else if !context.text(&config).is_some_and(|text| text::has_word(&text, "diesel"))
                || !context.has_folder(&folder)
            {
                continue;
            }
            if projects.iter().any(|other| other.folders.contains(&folder)) {
                continue;
            }
            project.config = Some(config);
            project.late = Late::Runs;
            project.history = Some(Table::new(None, "__diesel_schema_migrations"));
            for sub in context.subfolders(&folder) {
                let name = text::split_path(&sub).1.to_owned();
                let path = text::join(&sub, "up.sql");
                if name.starts_with('.') || !name.starts_with(|letter: char| letter.is_ascii_digit()) {
                    continue;
                }
                if !context.exists(&path) {
                    let first = context.below(&sub).into_iter().next().unwrap_or(sub);
                    let hint = "Write it, or delete the folder; Diesel takes no notice of it as it is.";
                    let message = format!("the migration {name} has no up.sql");
                    project.diagnostics.push(Diagnostic::warning(Code::Incomplete, &first, 1, message, hint));
                    continue;
                }
                let (mut migration, _) = context.migration(&mut project, &path, opaque);
                let (version, title) = name.split_once('_').unwrap_or((&name, ""));
                migration.key = version.replace('-', "");
                migration.version = Some(version.to_owned());
                title.clone_into(&mut migration.name);
                let down = text::join(&sub, "down.sql");
                if context.exists(&down) {
                    migration.down = Down::File(down);
                }
                project.migrations.push(migration);
            }
            if !own && project.migrations.is_empty() {
                continue;
            }
            project.migrations.sort_by(|a, b| a.key.cmp(&b.key));
            project.folders = vec![folder];
            // libpq takes the password from PGPASSWORD: https://www.postgresql.org/docs/current/libpq-envars.html.
            let verb = |verb: &str| words_of(&["diesel", "migration", verb, "--database-url", "{bare_url}"]);
            project.commands.apply = verb("run");
            project.commands.status = verb("list");
            project.commands.down = verb("revert");
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        keyed(project, rows, "version", Some("run_on"))
    }
}

//! Knex: script files in the order of their names.

use super::Adapter;
use super::common::{check_folder, database_url, keyed, literal, node_program, opaque, property};
use crate::history::Rows;
use crate::model::{Down, Late, Project, Table};
use crate::scan::Context;
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct Knex;

/// The extensions that are loaded unless `loadExtensions` says otherwise.
const EXTENSIONS: &[&str] = &["co", "coffee", "eg", "iced", "js", "cjs", "mjs", "litcoffee", "ls", "ts"];

impl Adapter for Knex {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for config in context.named(&["knexfile.js", "knexfile.ts", "knexfile.mjs", "knexfile.cjs"]) {
            let root = text::split_path(&config).0.to_owned();
            let mut project = Project::new(Tool::Knex, &root);
            project.config = Some(config.clone());
            let Some(script) = context.script(&config, &mut project.diagnostics) else { continue };
            let found =
                script.property_in("migrations", "directory").or_else(|| script.property("directory"));
            let folders = literal(found, &config, "directory", &mut project.diagnostics);
            let folders = folders.unwrap_or_else(|| vec!["migrations".to_owned()]);
            let extensions = literal(
                script.property("loadExtensions"),
                &config,
                "loadExtensions",
                &mut project.diagnostics,
            );
            let extensions =
                extensions.unwrap_or_else(|| EXTENSIONS.iter().map(|ext| format!(".{ext}")).collect());
            let table = property(&script, &config, "tableName", &mut project);
            let schema = property(&script, &config, "schemaName", &mut project);
            project.history =
                Some(Table::new(schema.as_deref(), table.as_deref().unwrap_or("knex_migrations")));
            project.late = Late::Runs;
            for folder in folders {
                let folder = text::join(&root, &folder);
                check_folder(context, &mut project, &folder);
                for path in context.children(&folder) {
                    let name = text::split_path(&path).1.to_owned();
                    if !extensions.iter().any(|extension| name.ends_with(extension.as_str())) {
                        continue;
                    }
                    let (mut migration, _) = context.migration(&mut project, &path, opaque);
                    let (digits, rest) = text::leading_digits(text::stem(&name));
                    migration.version = (!digits.is_empty()).then(|| digits.to_owned());
                    rest.trim_start_matches('_').clone_into(&mut migration.name);
                    migration.key = name;
                    migration.down = Down::SameFile;
                    project.migrations.push(migration);
                }
                project.folders.push(folder);
            }
            project.migrations.sort_by(|a, b| a.key.cmp(&b.key));
            project.commands.env = database_url();
            project.commands.apply = node_program(context, &root, &["knex", "migrate:latest"]);
            project.commands.status = node_program(context, &root, &["knex", "migrate:list"]);
            project.commands.down = node_program(context, &root, &["knex", "migrate:down"]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        keyed(project, rows, "name", Some("migration_time"))
    }
}

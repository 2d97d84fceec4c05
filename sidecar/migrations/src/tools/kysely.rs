//! Kysely: script files in the order of their names, run by kysely-ctl or by the application.

use super::Adapter;
use super::common::{check_folder, database_url, keyed, literal_text, node_program, opaque};
use crate::history::Rows;
use crate::model::{Down, Late, Project, Table};
use crate::scan::Context;
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct Kysely;

const CONFIGS: &[&str] =
    &["kysely.config.ts", "kysely.config.js", "kysely.config.mjs", "kysely.config.mts", "kysely.config.cjs"];

impl Adapter for Kysely {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for config in context.named(CONFIGS) {
            let folder = text::split_path(&config).0;
            // The configuration may also lie in `.config`.
            let root =
                folder.strip_suffix(".config").map_or(folder, |root| root.trim_end_matches('/')).to_owned();
            let mut project = Project::new(Tool::Kysely, &root);
            let Some(script) = context.script(&config, &mut project.diagnostics) else { continue };
            let mut get = |name: &str| {
                literal_text(script.property_in("migrations", name), &config, name, &mut project.diagnostics)
            };
            let folder =
                text::join(&root, &get("migrationFolder").unwrap_or_else(|| "migrations".to_owned()));
            let (table, schema) = (get("migrationTableName"), get("migrationTableSchema"));
            project.history =
                Some(Table::new(schema.as_deref(), table.as_deref().unwrap_or("kysely_migration")));
            project.late =
                if script.contains("allowUnorderedMigrations: true") { Late::Runs } else { Late::Refuses };
            project.config = Some(config);
            check_folder(context, &mut project, &folder);
            for path in context.children(&folder) {
                let name = text::split_path(&path).1;
                if !["ts", "js", "mjs", "mts", "cjs"].contains(&text::extension(name))
                    || name.ends_with(".d.ts")
                    || name.ends_with(".d.mts")
                {
                    continue;
                }
                let (mut migration, _) = context.migration(&mut project, &path, opaque);
                migration.version =
                    Some(text::leading_digits(name).0.to_owned()).filter(|digits| !digits.is_empty());
                migration.down = Down::SameFile;
                project.migrations.push(migration);
            }
            project.migrations.sort_by(|a, b| a.key.cmp(&b.key));
            project.folders = vec![folder];
            project.commands.env = database_url();
            project.commands.apply = node_program(context, &root, &["kysely", "migrate:latest"]);
            project.commands.status = node_program(context, &root, &["kysely", "migrate:list"]);
            project.commands.down = node_program(context, &root, &["kysely", "migrate:down"]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        keyed(project, rows, "name", Some("timestamp"))
    }
}

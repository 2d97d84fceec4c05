//! Sequelize and umzug: script files in the order of their names.

use super::Adapter;
use super::common::{check_folder, database_url, keyed, literal_text, node_program, opaque};
use crate::history::Rows;
use crate::model::{Down, Late, Project, Table};
use crate::scan::Context;
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct Sequelize;

impl Adapter for Sequelize {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut roots: Vec<String> = Vec::new();
        for path in context.named(&[".sequelizerc", "package.json"]) {
            let root = text::split_path(&path).0.to_owned();
            let uses = path.ends_with(".sequelizerc")
                || context.text(&path).is_some_and(|text| {
                    text::has_word(&text, "sequelize-cli")
                        || (text::has_word(&text, "sequelize") && text::has_word(&text, "umzug"))
                });
            if uses && !roots.contains(&root) {
                roots.push(root);
            }
        }
        let mut projects = Vec::new();
        for root in roots {
            let mut project = Project::new(Tool::Sequelize, &root);
            let mut get = |context: &mut Context<'_>, name: &str| {
                let path = text::join(&root, ".sequelizerc");
                let script = context.script(&path, &mut project.diagnostics)?;
                literal_text(script.property(name), &path, name, &mut project.diagnostics)
            };
            let folder = get(context, "migrations-path").unwrap_or_else(|| "migrations".to_owned());
            let config = get(context, "config");
            project.config = Some(text::join(&root, ".sequelizerc")).filter(|path| context.exists(path));
            let (table, schema) = storage(context, &root, config.as_deref(), &mut project);
            project.history =
                Some(Table::new(schema.as_deref(), table.as_deref().unwrap_or("SequelizeMeta")));
            project.late = Late::Runs;
            let folder = text::join(&root, &folder);
            if project.config.is_some() {
                check_folder(context, &mut project, &folder);
            } else if !context.has_folder(&folder) || context.is_claimed(&folder) {
                continue;
            }
            for path in context.children(&folder) {
                let name = text::split_path(&path).1.to_owned();
                let passes = ["js", "cjs", "mjs", "ts", "cts"].contains(&text::extension(&name))
                    && !name.ends_with(".d.ts");
                if !passes {
                    continue;
                }
                let (mut migration, _) = context.migration(&mut project, &path, opaque);
                let (digits, rest) = text::leading_digits(text::stem(&name));
                migration.version = (!digits.is_empty()).then(|| digits.to_owned());
                rest.trim_start_matches(['-', '_']).clone_into(&mut migration.name);
                migration.key = name;
                migration.down = Down::SameFile;
                project.migrations.push(migration);
            }
            project.migrations.sort_by(|a, b| a.key.cmp(&b.key));
            project.folders = vec![folder];
            project.commands.env = database_url();
            project.commands.apply = node_program(context, &root, &["sequelize-cli", "db:migrate"]);
            project.commands.status = node_program(context, &root, &["sequelize-cli", "db:migrate:status"]);
            project.commands.down = node_program(context, &root, &["sequelize-cli", "db:migrate:undo"]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        keyed(project, rows, "name", None)
    }
}

/// The history table that the configuration names, and its schema.
fn storage(
    context: &mut Context<'_>,
    root: &str,
    config: Option<&str>,
    project: &mut Project,
) -> (Option<String>, Option<String>) {
    let names = config.map_or_else(|| vec!["config/config.json", "config/config.js"], |config| vec![config]);
    for name in names {
        let path = text::join(root, name);
        if path.ends_with(".json") {
            let Some(settings) = context.json(&path, &mut project.diagnostics) else { continue };
            let environment = settings.get("development").unwrap_or(&settings).clone();
            let get =
                |name: &str| environment.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
            return (get("migrationStorageTableName"), get("migrationStorageTableSchema"));
        }
        let Some(script) = context.script(&path, &mut project.diagnostics) else { continue };
        let mut get = |name: &str| literal_text(script.property(name), &path, name, &mut project.diagnostics);
        return (get("migrationStorageTableName"), get("migrationStorageTableSchema"));
    }
    (None, None)
}

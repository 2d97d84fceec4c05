//! node-pg-migrate: script or SQL files in the order of the number in front.

use super::Adapter;
use super::common::{check_folder, database_url, keyed, node_program, sort_by_number};
use crate::history::Rows;
use crate::model::{Down, Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct NodePgMigrate;

fn parse(file: &File<'_>, facts: &mut Facts) {
    facts.down = !file.path.ends_with(".sql") || text::line_with(file.text, "-- down migration").is_some();
}

/// The value of a command line's flag in one of the manifest's scripts.
fn flag(scripts: &str, flags: &[&str]) -> Option<String> {
    let words: Vec<&str> =
        scripts.split([' ', '=', '"', '\'', '\\']).filter(|word| !word.is_empty()).collect();
    words.windows(2).find(|pair| flags.contains(&pair[0])).map(|pair| pair[1].to_owned())
}

impl Adapter for NodePgMigrate {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for manifest in context.named(&["package.json"]) {
            let Some(text) = context.text(&manifest) else { continue };
            if !text::has_word(&text, "node-pg-migrate") {
                continue;
            }
            let root = text::split_path(&manifest).0.to_owned();
            let mut project = Project::new(Tool::NodePgMigrate, &root);
            let package = context.json(&manifest, &mut project.diagnostics);
            let scripts = package
                .as_ref()
                .and_then(|package| package.get("scripts"))
                .and_then(serde_json::Value::as_object);
            let scripts: String = scripts
                .into_iter()
                .flat_map(|scripts| scripts.values())
                .filter_map(serde_json::Value::as_str)
                .filter(|script| script.contains("node-pg-migrate"))
                .fold(String::new(), |all, script| all + script + " ");
            let mut config = None;
            for name in ["config/default.json", "config/local.json", ".pgmigraterc.json"] {
                let path = text::join(&root, name);
                if context.exists(&path) {
                    config = context.json(&path, &mut project.diagnostics);
                    project.config = Some(path);
                }
            }
            let setting = |flags: &[&str], name: &str| {
                let entry = config.as_ref().map(|config| config.get("db").unwrap_or(config));
                let value = entry.and_then(|entry| entry.get(name)).and_then(serde_json::Value::as_str);
                flag(&scripts, flags).or_else(|| value.map(str::to_owned))
            };
            let folder = setting(&["-m", "--migrations-dir"], "migrations-dir")
                .unwrap_or_else(|| "migrations".to_owned());
            let folder = text::join(&root, &folder);
            let table = setting(&["-t", "--migrations-table"], "migrations-table");
            let schema = setting(&["--migrations-schema"], "migrations-schema")
                .or_else(|| setting(&["-s", "--schema"], "schema"));
            project.history = Some(Table::new(schema.as_deref(), table.as_deref().unwrap_or("pgmigrations")));
            project.config.get_or_insert(manifest);
            let unordered = scripts.contains("--no-check-order");
            project.late = if unordered { Late::Runs } else { Late::Refuses };
            check_folder(context, &mut project, &folder);
            let passes = |name: &str| {
                !name.starts_with('.')
                    && !name.ends_with(".d.ts")
                    && !name.ends_with(".map")
                    && ["js", "ts", "cjs", "mjs", "cts", "mts", "sql"].contains(&text::extension(name))
            };
            super::common::numbered_files(context, &mut project, &folder, passes, parse);
            for migration in &mut project.migrations {
                if migration.down == Down::None && !migration.path.ends_with(".sql") {
                    migration.down = Down::SameFile;
                }
            }
            sort_by_number(&mut project.migrations);
            project.folders = vec![folder];
            project.commands.env = database_url();
            project.commands.apply = node_program(context, &root, &["node-pg-migrate", "up"]);
            project.commands.status = node_program(context, &root, &["node-pg-migrate", "up", "--dry-run"]);
            project.commands.down = node_program(context, &root, &["node-pg-migrate", "down"]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        keyed(project, rows, "name", Some("run_on"))
    }
}

//! TypeORM: classes whose names end with the time that they were made.

use std::collections::BTreeMap;

use super::Adapter;
use super::common::{check_folder, database_url, lacks, literal, literal_text, node_program};
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::{Reading, Record};
use crate::text::{self, Script};
use crate::tool::Tool;

pub(crate) struct TypeOrm;

fn parse(file: &File<'_>, facts: &mut Facts) {
    let classes = file.text.match_indices("class ").filter_map(|(at, word)| {
        let rest = &file.text[at + word.len()..];
        let name: String =
            rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
        (timestamp(&name) > 0).then(|| (name, text::line_at(file.text, at)))
    });
    let Some((class, line)) = classes.into_iter().next() else {
        facts.broken = true;
        let hint =
            "Name the class with the time in milliseconds at its end, as `typeorm migration:create` does.";
        let message = "the file has no class whose name ends with a time";
        facts.diagnostics.push(Diagnostic::error(Code::Incomplete, file.path, 1, message, hint));
        return;
    };
    let script = Script::new(file.text);
    let named = ["name = '", "name = \"", "name: string = '"].iter().find_map(|start| {
        let at = file.text.find(start)?;
        let rest = &file.text[at + start.len()..];
        rest.find(['\'', '"']).map(|end| rest[..end].to_owned())
    });
    facts.key = Some(named.filter(|name| timestamp(name) > 0).unwrap_or(class));
    facts.extra.push(("line", line.to_string()));
    facts.down = script.contains("down(");
}

/// The last 13 digits of a name, in milliseconds since 1970; 0 without them.
fn timestamp(name: &str) -> i64 {
    let digits = name.len().checked_sub(13).and_then(|at| name.get(at..)).unwrap_or_default();
    if digits.bytes().all(|digit| digit.is_ascii_digit()) { text::number(digits) } else { 0 }
}

impl Adapter for TypeOrm {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects: Vec<Project> = Vec::new();
        let usual = |name: &str| {
            let name = name.to_ascii_lowercase();
            let stem = text::stem(&name);
            ["js", "ts", "mjs", "cjs"].contains(&text::extension(&name))
                && (stem.contains("datasource")
                    || stem.contains("data-source")
                    || stem.contains("data_source")
                    || stem.contains("ormconfig")
                    || stem.contains("typeorm"))
        };
        let mut configs: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for folder in context.folders_with(usual) {
            for path in context.children(&folder) {
                if usual(text::split_path(&path).1) {
                    configs.entry(package_root(context, &folder)).or_default().push(path);
                }
            }
        }
        for (root, paths) in configs {
            for config in paths {
                let Some(text) = context.text(&config) else { continue };
                if !text.contains("DataSource") && !config.contains("ormconfig") {
                    continue;
                }
                let mut project = Project::new(Tool::TypeOrm, &root);
                let Some(script) = context.script(&config, &mut project.diagnostics) else { continue };
                if script.property("migrations").is_none() {
                    continue;
                }
                if script.property("type").and_then(|found| found.0.text().map(|kind| kind != "postgres"))
                    == Some(true)
                {
                    continue;
                }
                let globs =
                    literal(script.property("migrations"), &config, "migrations", &mut project.diagnostics);
                let mut get =
                    |name: &str| literal_text(script.property(name), &config, name, &mut project.diagnostics);
                let (table, schema) = (get("migrationsTableName"), get("schema"));
                project.history =
                    Some(Table::new(schema.as_deref(), table.as_deref().unwrap_or("migrations")));
                project.folders = folders(context, &root, &config, globs.as_deref());
                project.config = Some(config);
                finish(context, &mut project);
                if !projects
                    .iter()
                    .any(|other| other.root == project.root && other.folders == project.folders)
                {
                    projects.push(project);
                }
            }
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["timestamp", "name"]) {
            return Reading::untold(Some(lacking));
        }
        let records =
            rows.by_number("id").into_iter().map(|row| Record::applied(row.text("name").unwrap_or_default()));
        Reading { records: records.collect(), ..Reading::default() }
    }
}

fn package_root(context: &Context<'_>, folder: &str) -> String {
    let manifest = context.nearest(folder, "package.json");
    manifest.map_or_else(|| folder.to_owned(), |path| text::split_path(&path).0.to_owned())
}

/// The folders that patterns such as `src/migration/*.ts` name. Built files lead back to their sources.
fn folders(context: &Context<'_>, root: &str, config: &str, globs: Option<&[String]>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let beside = text::split_path(config).0;
    for glob in globs.unwrap_or_default() {
        let literal = glob.split(['*', '{']).next().unwrap_or_default();
        let folder = if literal.ends_with('/') { literal } else { text::split_path(literal).0 };
        let candidates = [
            text::join(root, folder),
            text::join(beside, folder),
            text::join(root, &folder.replacen("dist", "src", 1)),
        ];
        if let Some(folder) =
            candidates.into_iter().find(|folder| !folder.is_empty() && context.has_folder(folder))
            && !found.contains(&folder)
        {
            found.push(folder);
        }
    }
    if found.is_empty() {
        let usual = ["src/migration", "src/migrations", "migration", "migrations"];
        found.extend(
            usual.iter().map(|name| text::join(root, name)).find(|folder| context.has_folder(folder)),
        );
    }
    found
}

fn finish(context: &mut Context<'_>, project: &mut Project) {
    project.late = Late::Runs;
    for folder in project.folders.clone() {
        check_folder(context, project, &folder);
        for path in context.children(&folder) {
            let name = text::split_path(&path).1;
            if !["ts", "js", "mjs", "cjs"].contains(&text::extension(name))
                || name.ends_with(".d.ts")
                || name.starts_with("index.")
            {
                continue;
            }
            let (mut migration, facts) = context.migration(project, &path, parse);
            migration.line = facts.extra("line").and_then(|line| line.parse().ok()).unwrap_or(1);
            migration.when_ms = Some(timestamp(&migration.key));
            migration.version = migration.when_ms.map(|when| when.to_string());
            migration.name.clone_from(&migration.key);
            project.migrations.push(migration);
        }
    }
    project.migrations.sort_by(|a, b| (a.when_ms, &a.key).cmp(&(b.when_ms, &b.key)));
    let (root, config) = (project.root.clone(), project.config.clone().unwrap_or_default());
    let source = if root.is_empty() {
        config.clone()
    } else {
        config[root.len()..].trim_start_matches('/').to_owned()
    };
    let program = if source.ends_with(".ts") { "typeorm-ts-node-commonjs" } else { "typeorm" };
    let verb = |verb: &str| node_program(context, &root, &[program, verb, "-d", &source]);
    project.commands.apply = verb("migration:run");
    project.commands.status = verb("migration:show");
    project.commands.down = verb("migration:revert");
    project.commands.env = database_url();
}

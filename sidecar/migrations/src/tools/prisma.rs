//! Prisma: a folder with `migration.sql` for each migration.

use super::Adapter;
use super::common::{database_url, lacks, literal_text, millis_between, node_program};
use crate::checksum;
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::{Outcome, Reading, Record};
use crate::text;
use crate::tool::Tool;

pub(crate) struct Prisma;

fn parse(file: &File<'_>, facts: &mut Facts) {
    facts.checksums = checksum::prisma(file.bytes);
}

impl Adapter for Prisma {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects: Vec<Project> = Vec::new();
        for config in context.named(&["prisma.config.ts", "prisma.config.js", "prisma.config.mjs"]) {
            let root = text::split_path(&config).0.to_owned();
            let mut project = Project::new(Tool::Prisma, &root);
            let Some(script) = context.script(&config, &mut project.diagnostics) else { continue };
            let schema = literal_text(script.property("schema"), &config, "schema", &mut project.diagnostics);
            let schema = schema.unwrap_or_else(|| "prisma/schema.prisma".to_owned());
            let named = literal_text(
                script.property_in("migrations", "path"),
                &config,
                "path",
                &mut project.diagnostics,
            );
            let beside = match schema.strip_suffix(".prisma") {
                Some(_) => text::join(text::split_path(&schema).0, "migrations"),
                None => text::join(&schema, "migrations"),
            };
            project.folders = vec![text::join(&root, &named.unwrap_or(beside))];
            project.config = Some(config);
            finish(context, project, &mut projects);
        }
        for config in context.named(&["migration_lock.toml", "schema.prisma"]) {
            let folder = text::split_path(&config).0;
            let folder = if config.ends_with(".prisma") {
                text::join(folder, "migrations")
            } else {
                folder.to_owned()
            };
            if projects.iter().any(|project| project.folders.contains(&folder))
                || !context.has_folder(&folder)
            {
                continue;
            }
            let manifest = context.nearest(&folder, "package.json");
            let root = manifest.map_or_else(
                || text::split_path(text::split_path(&folder).0).0.to_owned(),
                |path| text::split_path(&path).0.to_owned(),
            );
            let mut project = Project::new(Tool::Prisma, &root);
            project.folders = vec![folder];
            project.config = Some(config);
            finish(context, project, &mut projects);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        let columns = ["migration_name", "checksum", "started_at", "finished_at", "rolled_back_at"];
        if let Some(lacking) = lacks(project, rows, &columns) {
            return Reading::untold(Some(lacking));
        }
        let mut rows: Vec<_> = rows.iter().collect();
        rows.sort_by_key(|row| row.text("started_at"));
        let records = rows.into_iter().map(|row| {
            let mut record = Record::applied(row.text("migration_name").unwrap_or_default());
            let (started, finished) = (row.text("started_at"), row.text("finished_at"));
            record.took_ms =
                started.as_deref().zip(finished.as_deref()).and_then(|(from, to)| millis_between(from, to));
            record.outcome = match (&finished, row.text("rolled_back_at")) {
                (_, Some(_)) => Outcome::RolledBack,
                (None, None) => Outcome::Failed,
                (Some(_), None) => Outcome::Applied,
            };
            if record.outcome == Outcome::Failed {
                record.note = row.text("logs").and_then(|logs| {
                    let line = logs
                        .lines()
                        .find(|line| line.contains("ERROR") || line.starts_with("Database error"));
                    line.or_else(|| logs.lines().find(|line| !line.trim().is_empty()))
                        .map(|line| line.trim().to_owned())
                });
            }
            record.at = finished.or(started);
            record.checksum = row.text("checksum");
            record
        });
        Reading { records: records.collect(), ..Reading::default() }
    }
}

fn finish(context: &mut Context<'_>, mut project: Project, projects: &mut Vec<Project>) {
    let folder = project.folders[0].clone();
    let lock = text::join(&folder, "migration_lock.toml");
    if context.exists(&lock) {
        let provider = context.toml(&lock, &mut project.diagnostics);
        let provider =
            provider.as_ref().and_then(|table| table.get("provider")).and_then(toml::Value::as_str);
        if provider.is_some_and(|provider| provider != "postgresql") {
            return;
        }
    } else if let Some(schema) = context.text(&text::join(text::split_path(&folder).0, "schema.prisma"))
        && ["mysql", "sqlite", "sqlserver", "mongodb"]
            .iter()
            .any(|other| schema.contains(&format!("\"{other}\"")))
    {
        return;
    }
    for folder in context.subfolders(&folder) {
        let name = text::split_path(&folder).1.to_owned();
        let path = text::join(&folder, "migration.sql");
        if !context.exists(&path) {
            let first = context.below(&folder).into_iter().next().unwrap_or(folder);
            let hint = "Prisma stops at such a folder; restore the file, or delete the folder.";
            let message = format!("the migration {name} has no migration.sql");
            project.diagnostics.push(Diagnostic::error(Code::Incomplete, &first, 1, message, hint));
            continue;
        }
        let (mut migration, _) = context.migration(&mut project, &path, parse);
        let (digits, rest) = text::leading_digits(&name);
        migration.version = (!digits.is_empty()).then(|| digits.to_owned());
        rest.trim_start_matches('_').clone_into(&mut migration.name);
        migration.key = name;
        project.migrations.push(migration);
    }
    project.migrations.sort_by(|a, b| a.key.cmp(&b.key));
    project.history = Some(Table::new(None, "_prisma_migrations"));
    project.late = Late::Runs;
    let root = project.root.clone();
    project.commands.env = database_url();
    project.commands.apply = node_program(context, &root, &["prisma", "migrate", "deploy"]);
    project.commands.status = node_program(context, &root, &["prisma", "migrate", "status"]);
    projects.push(project);
}

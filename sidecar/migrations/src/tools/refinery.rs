//! Refinery: `V1__name.sql` or `.rs`, and `U1__name` for those that may run out of order.

use super::Adapter;
use super::common::{lacks, words_of};
use crate::checksum;
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::{Next, Reading, Record, State};
use crate::text;
use crate::tool::Tool;

pub(crate) struct Refinery;

/// The letter, the version and the name of a file.
fn parts(name: &str) -> Option<(char, i64, &str)> {
    let letter = name.chars().next().filter(|letter| matches!(letter, 'V' | 'U'))?;
    let (digits, rest) = text::leading_digits(&name[1..]);
    let title = rest.strip_prefix("__")?;
    let title = title.strip_suffix(".sql").or_else(|| title.strip_suffix(".rs"))?;
    (!digits.is_empty()).then(|| (letter, text::number(digits), title))
}

fn parse(file: &File<'_>, facts: &mut Facts) {
    if let Some((_, version, title)) = parts(text::split_path(file.path).1)
        && file.path.ends_with(".sql")
    {
        facts.checksums = checksum::refinery(title, version, file.text);
    }
}

impl Adapter for Refinery {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for folder in context.folders_with(|name| parts(name).is_some()) {
            let manifest = context.nearest(&folder, "Cargo.toml");
            let config = context.nearest(&folder, "refinery.toml");
            let uses = config.is_some() || context.depends(&folder, "Cargo.toml", "refinery");
            if !uses || context.is_claimed(&folder) {
                continue;
            }
            let root = config.as_ref().or(manifest.as_ref()).map(|path| text::split_path(path).0.to_owned());
            let mut project = Project::new(Tool::Refinery, &root.unwrap_or_default());
            if let Some(config) = &config {
                let _ = context.toml(config, &mut project.diagnostics);
            }
            project.config = config.or(manifest);
            project.history = Some(Table::new(None, "refinery_schema_history"));
            // It prints that the file was not applied, and goes on without it.
            project.late = Late::Skips;
            let mut unordered = Vec::new();
            for path in context.children(&folder) {
                let Some((letter, version, title)) = parts(text::split_path(&path).1) else { continue };
                let (mut migration, _) = context.migration(&mut project, &path, parse);
                migration.key = version.to_string();
                migration.version = Some(version.to_string());
                title.clone_into(&mut migration.name);
                if letter == 'U' {
                    unordered.push(migration.key.clone());
                }
                project.migrations.push(migration);
            }
            project.options.insert("unordered".to_owned(), unordered.join(","));
            project.migrations.sort_by_key(|migration| text::number(&migration.key));
            project.commands.env = vec![("REFINERY_URL".to_owned(), "{url}".to_owned())];
            let here = folder.strip_prefix(&project.root).unwrap_or(&folder).trim_start_matches('/');
            project.commands.apply = words_of(&["refinery", "migrate", "-e", "REFINERY_URL", "-p", here]);
            project.folders = vec![folder];
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["version", "name", "checksum"]) {
            return Reading::untold(Some(lacking));
        }
        let mut reading = Reading::default();
        let mut newest = i64::MIN;
        for row in rows.by_number("version") {
            newest = newest.max(row.int("version").unwrap_or(i64::MIN));
            let mut record = Record::applied(row.text("version").unwrap_or_default());
            let title = row.text("name").unwrap_or_default();
            record.name = Some(format!("V{}__{title}", record.key));
            record.at = row.text("applied_on");
            record.checksum = row.text("checksum");
            reading.records.push(record);
        }
        for key in project.options.get("unordered").map(String::as_str).unwrap_or_default().split(',') {
            let place = project.migrations.iter().position(|migration| migration.key == key);
            if let Some(place) = place
                && text::number(key) < newest
                && !reading.records.iter().any(|record| record.key == key)
            {
                reading.overrides.insert(place, (State::OutOfOrder, Next::Runs));
            }
        }
        reading
    }
}

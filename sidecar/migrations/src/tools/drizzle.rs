//! Drizzle: with a journal up to 0.x, with a folder for each migration from 1.0.

use std::collections::{HashMap, HashSet};

use super::Adapter;
use super::common::{check_folder, database_url, lacks, literal_text, node_program};
use crate::checksum;
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Late, Migration, Project, Table};
use crate::scan::{Context, Facts, File, malformed};
use crate::status::{Next, Reading, Record, State};
use crate::text;
use crate::tool::Tool;

pub(crate) struct Drizzle;

fn parse(file: &File<'_>, facts: &mut Facts) {
    // The tool reads the file as UTF-8 text and hashes that.
    facts.checksums = vec![checksum::sha256(file.text.as_bytes())];
}

const CONFIGS: &[&str] = &[
    "drizzle.config.ts",
    "drizzle.config.js",
    "drizzle.config.mjs",
    "drizzle.config.cjs",
    "drizzle.config.mts",
];

impl Adapter for Drizzle {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for config in context.named(CONFIGS) {
            let root = text::split_path(&config).0.to_owned();
            let mut project = Project::new(Tool::Drizzle, &root);
            let Some(script) = context.script(&config, &mut project.diagnostics) else { continue };
            let mut get = |found, name: &str| literal_text(found, &config, name, &mut project.diagnostics);
            if get(script.property("dialect"), "dialect").is_some_and(|dialect| dialect != "postgresql") {
                continue;
            }
            let out = get(script.property("out"), "out").unwrap_or_else(|| "drizzle".to_owned());
            let table = get(script.property_in("migrations", "table"), "migrations.table");
            let schema = get(script.property_in("migrations", "schema"), "migrations.schema");
            project.history = Some(Table::new(
                Some(schema.as_deref().unwrap_or("drizzle")),
                table.as_deref().unwrap_or("__drizzle_migrations"),
            ));
            project.config = Some(config);
            let folder = text::join(&root, &out);
            check_folder(context, &mut project, &folder);
            let journal = text::join(&folder, "meta/_journal.json");
            if context.exists(&journal) {
                project.layout = Some("0.x");
                project.late = Late::Skips;
                with_journal(context, &mut project, &folder, &journal);
            } else {
                project.layout = Some("1.0");
                project.late = Late::Runs;
                with_folders(context, &mut project, &folder);
            }
            project.folders = vec![folder];
            project.commands.env = database_url();
            project.commands.apply = node_program(context, &root, &["drizzle-kit", "migrate"]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["hash", "created_at"]) {
            return Reading::untold(Some(lacking));
        }
        let mut reading = Reading::default();
        let by_time: HashMap<i64, &Migration> =
            project.migrations.iter().filter_map(|migration| Some((migration.when_ms?, migration))).collect();
        let mut newest = i64::MIN;
        for row in rows.by_number("id") {
            let created = row.int("created_at");
            newest = newest.max(created.unwrap_or(i64::MIN));
            let name = row.text("name");
            let file = created.and_then(|created| by_time.get(&created));
            let key = name.or_else(|| file.map(|file| file.key.clone()));
            let mut record =
                Record::applied(key.unwrap_or_else(|| format!("the one of {}", created.unwrap_or_default())));
            record.checksum = row.text("hash");
            record.at = row.text("applied_at");
            reading.records.push(record);
        }
        // Up to 0.x, whatever is not younger than the newest row is passed over, wherever it stands in the journal.
        let applied: HashSet<String> = reading.records.iter().map(|record| record.key.clone()).collect();
        for (place, migration) in project.migrations.iter().enumerate() {
            let applied = applied.contains(&migration.key);
            let state = match migration.when_ms {
                None if project.layout == Some("0.x") => (State::Ignored, Next::Nothing),
                _ if applied || project.layout != Some("0.x") => continue,
                Some(when) if when <= newest => (State::OutOfOrder, Next::Skips),
                _ => (State::Pending, Next::Runs),
            };
            reading.overrides.insert(place, state);
        }
        reading
    }
}

fn with_journal(context: &mut Context<'_>, project: &mut Project, folder: &str, journal: &str) {
    let text = context.text(journal).unwrap_or_default();
    let list = if let Some(line) = text::conflict_line(&text) {
        project.diagnostics.push(malformed(journal, line, "a merge is not finished here"));
        None
    } else {
        context.json(journal, &mut project.diagnostics)
    };
    let entries = list.as_ref().and_then(|list| list.get("entries")).and_then(serde_json::Value::as_array);
    let mut listed = Vec::new();
    for entry in entries.into_iter().flatten() {
        let tag = entry.get("tag").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let line = text.find(&format!("\"{tag}\"")).map_or(1, |at| text::line_at(&text, at));
        let Some(when) = entry.get("when").and_then(serde_json::Value::as_i64) else {
            project.diagnostics.push(malformed(journal, line, "an entry has no `when`"));
            continue;
        };
        let path = text::join(folder, &format!("{tag}.sql"));
        listed.push(path.clone());
        if !context.exists(&path) {
            let hint = "Restore the file, or take the entry out of the journal if it was applied nowhere.";
            let message = format!("the journal lists {tag}, and its file is not there");
            project.diagnostics.push(Diagnostic::error(Code::OutOfStep, journal, line, message, hint));
            continue;
        }
        let (mut migration, _) = context.migration(project, &path, parse);
        migration.when_ms = Some(when);
        push(project, migration, &tag);
    }
    if entries.is_some() {
        check_times(project, journal, &text);
    }
    for path in context.children(folder) {
        if !path.ends_with(".sql") || listed.contains(&path) {
            continue;
        }
        if entries.is_some() {
            let hint = "Generate it with `drizzle-kit generate`, or add it to meta/_journal.json; Drizzle takes no notice of it.";
            let message = "the file is not in the journal";
            project.diagnostics.push(Diagnostic::warning(Code::OutOfStep, &path, 1, message, hint));
        }
        let (migration, _) = context.migration(project, &path, parse);
        let tag = text::stem(text::split_path(&path).1).to_owned();
        push(project, migration, &tag);
    }
}

/// An entry that is not younger than one before it is never applied to a database that has that one.
fn check_times(project: &mut Project, journal: &str, text: &str) {
    let mut newest = i64::MIN;
    for migration in &project.migrations {
        let when = migration.when_ms.unwrap_or(i64::MAX);
        if when <= newest {
            let line = text.find(&format!("\"{}\"", migration.key)).map_or(1, |at| text::line_at(text, at));
            let hint = "Give it a later `when`, for example by generating it again after the merge.";
            let message =
                format!("{} is older than an entry before it: Drizzle may never run it", migration.key);
            project.diagnostics.push(Diagnostic::warning(Code::OutOfOrder, journal, line, message, hint));
        }
        newest = newest.max(when);
    }
}

fn with_folders(context: &mut Context<'_>, project: &mut Project, folder: &str) {
    for folder in context.subfolders(folder) {
        let path = text::join(&folder, "migration.sql");
        if !context.exists(&path) {
            continue;
        }
        let (mut migration, _) = context.migration(project, &path, parse);
        let name = text::split_path(&folder).1.to_owned();
        migration.when_ms = utc_millis(&name);
        push(project, migration, &name);
    }
    project.migrations.sort_by(|a, b| a.key.cmp(&b.key));
}

fn push(project: &mut Project, mut migration: Migration, tag: &str) {
    let (digits, rest) = text::leading_digits(tag);
    migration.version = (!digits.is_empty()).then(|| digits.to_owned());
    rest.trim_start_matches('_').clone_into(&mut migration.name);
    tag.clone_into(&mut migration.key);
    project.migrations.push(migration);
}

/// The time that a name of 14 digits stands for, in milliseconds since 1970.
fn utc_millis(name: &str) -> Option<i64> {
    let part = |from: usize, to: usize| name.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    Some((days * 86_400 + part(8, 10)? * 3600 + part(10, 12)? * 60 + part(12, 14)?) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_times() {
        assert_eq!(utc_millis("19700101000000_x"), Some(0));
        // date -u -d '2024-03-01 12:30:45' +%s
        assert_eq!(utc_millis("20240301123045_premium"), Some(1_709_296_245_000));
    }
}

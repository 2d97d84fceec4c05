//! Atlas: versioned SQL files with `atlas.sum`, which holds a running hash of the folder.

use std::collections::{HashMap, HashSet};

use super::Adapter;
use super::common::{lacks, numbered_files, words_of};
use crate::checksum;
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::{Context, Facts, File, malformed};
use crate::status::{Outcome, Reading, Record};
use crate::text;
use crate::tool::Tool;

pub(crate) struct Atlas;

fn parse(file: &File<'_>, facts: &mut Facts) {
    // The running hash needs the content of all files before this one.
    facts.extra.push(("content", file.text.to_owned()));
}

fn passes(name: &str) -> bool {
    name.ends_with(".sql") && name.starts_with(|letter: char| letter.is_ascii_digit())
}

impl Adapter for Atlas {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for sum in context.named(&["atlas.sum"]) {
            let folder = text::split_path(&sum).0.to_owned();
            let config = context.nearest(&folder, "atlas.hcl");
            let root = config
                .as_deref()
                .map_or_else(|| text::split_path(&folder).0, |config| text::split_path(config).0)
                .to_owned();
            let mut project = Project::new(Tool::Atlas, &root);
            let hcl = config.as_deref().and_then(|config| context.text(config)).unwrap_or_default();
            let setting = |name: &str| {
                let line =
                    hcl.lines().find(|line| line.trim_start().starts_with(name) && line.contains('='))?;
                Some(line.split_once('"')?.1.split_once('"')?.0.to_owned())
            };
            let schema = setting("revisions_schema").unwrap_or_else(|| "atlas_schema_revisions".to_owned());
            project.history = Some(Table::new(Some(&schema), "atlas_schema_revisions"));
            project.late = if hcl.contains("NON_LINEAR") {
                Late::Runs
            } else if hcl.contains("LINEAR_SKIP") {
                Late::Skips
            } else {
                Late::Refuses
            };
            project.config = config;
            numbered_files(context, &mut project, &folder, passes, parse);
            project.migrations.sort_by(|a, b| a.path.cmp(&b.path));
            for migration in &mut project.migrations {
                let name = text::stem(text::split_path(&migration.path).1);
                let (version, title) = name.split_once('_').unwrap_or((name, ""));
                version.clone_into(&mut migration.key);
                migration.version = Some(version.to_owned());
                title.clone_into(&mut migration.name);
            }
            check_sum(context, &mut project, &sum);
            let here = folder.strip_prefix(&root).unwrap_or(&folder).trim_start_matches('/').to_owned();
            let folder_url = format!("file://{here}");
            // Its driver takes the password from PGPASSWORD, as libpq does: https://pkg.go.dev/github.com/lib/pq.
            let verb = |verb: &str| {
                words_of(&["atlas", "migrate", verb, "--url", "{bare_url}", "--dir", &folder_url])
            };
            project.commands.apply = verb("apply");
            project.commands.status = verb("status");
            project.folders = vec![folder];
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["version", "hash", "applied", "total"]) {
            return Reading::untold(Some(lacking));
        }
        let mut rows: Vec<_> = rows
            .iter()
            .filter(|row| row.text("version").is_some_and(|version| !version.starts_with('.')))
            .collect();
        rows.sort_by_key(|row| row.text("version"));
        // A hash covers the files before it: after the first one that differs, the others tell nothing.
        let mut told = true;
        let mut reading = Reading::default();
        let places: HashMap<&str, usize> = project
            .migrations
            .iter()
            .enumerate()
            .map(|(place, migration)| (migration.key.as_str(), place))
            .collect();
        let applied: HashSet<String> = rows.iter().filter_map(|row| row.text("version")).collect();
        let first_unapplied =
            project.migrations.iter().position(|migration| !applied.contains(&migration.key));
        for row in rows {
            let version = row.text("version").unwrap_or_default();
            let sum = row.text("hash").map(|sum| format!("h1:{}", sum.trim_start_matches("h1:")));
            let mut record = Record::applied(version.clone());
            record.name = row.text("description").map(|name| format!("{version} {name}"));
            record.at = row.text("executed_at");
            record.took_ms = row.float("execution_time").map(|nanos| nanos / 1e6);
            record.note = row.text("error").filter(|error| !error.is_empty());
            if row.int("applied") < row.int("total") {
                record.outcome = Outcome::Failed;
            } else if row.int("type") == Some(1) {
                record.outcome = Outcome::Baseline;
            }
            let file = places.get(version.as_str()).copied();
            let late_before = file.zip(first_unapplied).is_some_and(|(file, unapplied)| unapplied < file);
            if told && !late_before {
                record.checksum = sum;
            }
            if let (Some(file), Some(sum)) = (file, &record.checksum) {
                told = told && project.migrations[file].checksums.contains(sum);
            }
            reading.records.push(record);
        }
        reading
    }
}

fn check_sum(context: &mut Context<'_>, project: &mut Project, path: &str) {
    let mut contents = Vec::new();
    for migration in &project.migrations {
        let facts = context.facts(Tool::Atlas, &migration.path, parse);
        let script = facts.as_ref().and_then(|facts| facts.extra("content")).unwrap_or_default().to_owned();
        contents.push((text::split_path(&migration.path).1.to_owned(), script));
    }
    let counted = contents.iter().filter(|(_, content)| {
        let head = content.lines().take_while(|line| line.starts_with("--"));
        !head.into_iter().any(|line| line.contains("atlas:sum ignore"))
    });
    let (sums, whole) =
        checksum::atlas(counted.clone().map(|(name, content)| (name.as_str(), content.as_bytes())));
    let by_name: Vec<(&str, &String)> = counted.map(|(name, _)| name.as_str()).zip(&sums).collect();
    for migration in &mut project.migrations {
        let name = text::split_path(&migration.path).1;
        migration.checksums =
            by_name.iter().filter(|(other, _)| *other == name).map(|(_, sum)| (*sum).clone()).collect();
    }
    let text = context.text(path).unwrap_or_default();
    let hint = "Look at what changed, then run `atlas migrate hash`; Atlas refuses to apply until they fit.";
    if let Some(line) = text::conflict_line(&text) {
        project.diagnostics.push(malformed(path, line, "a merge is not finished here"));
        return;
    }
    if text.lines().next().map(str::trim) == Some(whole.as_str()) {
        return;
    }
    for (line, entry) in text.lines().enumerate().skip(1) {
        let Some((name, sum)) = entry.rsplit_once(' ') else { continue };
        match by_name.iter().find(|(other, _)| *other == name.trim()) {
            Some((_, now)) if now.as_str() == sum.trim() => continue,
            Some(_) => {
                let message = format!("{name} is not what atlas.sum says, or a file before it changed");
                project.diagnostics.push(Diagnostic::error(
                    Code::OutOfStep,
                    path,
                    line as u32 + 1,
                    message,
                    hint,
                ));
            }
            None => {
                let message = format!("atlas.sum lists {name}, which is not there");
                project.diagnostics.push(Diagnostic::error(
                    Code::OutOfStep,
                    path,
                    line as u32 + 1,
                    message,
                    hint,
                ));
            }
        }
        return;
    }
    project.diagnostics.push(Diagnostic::error(
        Code::OutOfStep,
        path,
        1,
        "atlas.sum does not fit the files",
        hint,
    ));
}

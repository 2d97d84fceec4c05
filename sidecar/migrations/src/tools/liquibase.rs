//! Liquibase: change sets in changelogs of XML, YAML, JSON or SQL. Its checksums are its own affair.

use std::collections::HashMap;

use super::Adapter;
use super::common::{lacks, words_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Late, Migration, MigrationKind, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::{Outcome, Reading, Record};
use crate::text;
use crate::tool::Tool;

pub(crate) struct Liquibase;

/// A value behind a name in any of the formats: `id="1"`, `"id": "1"`, `id: 1`.
fn value(text: &str, name: &str) -> Option<String> {
    let at = text.match_indices(name).find(|(at, _)| {
        let before = text[..*at].chars().next_back();
        before.is_none_or(|letter| letter.is_whitespace() || matches!(letter, '"' | '{' | ',' | '-'))
            && text[at + name.len()..].trim_start_matches('"').trim_start().starts_with(['=', ':'])
    })?;
    let rest = text[at.0 + name.len()..].trim_start_matches('"').trim_start().get(1..)?.trim_start();
    let quoted = rest.chars().next().filter(|letter| matches!(letter, '"' | '\''));
    Some(match quoted {
        Some(quote) => rest[1..].split(quote).next().unwrap_or_default().to_owned(),
        None => rest.split(['\n', ',', '}', '#']).next().unwrap_or_default().trim().to_owned(),
    })
}

/// Finds change sets and inclusions. `parts` holds id and author; an inclusion has the author `\0include`.
fn parse(file: &File<'_>, facts: &mut Facts) {
    let text = file.text;
    if file.path.ends_with(".sql") {
        facts.marked = text::line_with(text, "--liquibase formatted sql").is_some()
            || text::line_with(text, "-- liquibase formatted sql").is_some();
        for (line, content) in text.lines().enumerate() {
            let Some(rest) = content.trim_start().strip_prefix("--").map(str::trim_start) else { continue };
            let Some(rest) =
                rest.get(..9).filter(|head| head.eq_ignore_ascii_case("changeset")).map(|_| rest[9..].trim())
            else {
                continue;
            };
            match rest.split_whitespace().next().and_then(|name| name.split_once(':')) {
                Some((author, id)) => facts.parts.push((id.to_owned(), author.to_owned(), line as u32 + 1)),
                None => incomplete(file, facts, line as u32 + 1),
            }
        }
        return;
    }
    facts.marked = text.contains("databaseChangeLog");
    let xml = file.path.ends_with(".xml");
    let starts: &[&str] = if xml {
        &["<changeSet", "<include ", "<includeAll"]
    } else {
        &["changeSet", "include", "includeAll"]
    };
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (kind, start) in starts.iter().enumerate() {
        for (at, _) in text.match_indices(start) {
            let after = text[at + start.len()..].chars().next();
            let key = xml
                || (after.is_some_and(|letter| matches!(letter, ':' | '"'))
                    && !text[..at].ends_with(|letter: char| letter.is_alphanumeric()));
            if key && !commented(text, at) {
                found.push((at, kind));
            }
        }
    }
    found.sort_unstable();
    for (place, (at, kind)) in found.iter().enumerate() {
        let end = found.get(place + 1).map_or(text.len(), |next| next.0);
        let mut body = &text[at + starts[*kind].len()..end];
        if xml {
            body = body.split('>').next().unwrap_or_default();
        }
        let line = text::line_at(text, *at);
        if *kind == 0 {
            match (value(body, "id"), value(body, "author")) {
                (Some(id), Some(author)) => {
                    if body.contains("runOnChange") && value(body, "runOnChange").as_deref() == Some("true") {
                        facts.extra.push(("repeatable", format!("{id}::{author}")));
                    }
                    facts.parts.push((id, author, line));
                }
                _ => incomplete(file, facts, line),
            }
            continue;
        }
        let Some(path) = value(body, if *kind == 1 { "file" } else { "path" }) else { continue };
        let relative = value(body, "relativeToChangelogFile").as_deref() == Some("true");
        let path =
            if relative { text::join(text::split_path(file.path).0, &path) } else { format!("/{path}") };
        facts.parts.push((path, "\0include".to_owned(), line));
    }
}

fn commented(text: &str, at: usize) -> bool {
    text[..at].rfind("<!--").is_some_and(|open| !text[open..at].contains("-->"))
        || text[..at].rsplit('\n').next().is_some_and(|line| line.trim_start().starts_with('#'))
}

fn incomplete(file: &File<'_>, facts: &mut Facts, line: u32) {
    let hint = "Give it both; Liquibase refuses it as it is.";
    let message = "the change set lacks an id or an author";
    facts.diagnostics.push(Diagnostic::error(Code::Incomplete, file.path, line, message, hint));
}

impl Adapter for Liquibase {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects: Vec<Project> = Vec::new();
        let mut starts: Vec<(String, Option<String>, String)> = Vec::new();
        for config in context.named(&["liquibase.properties"]) {
            let root = text::split_path(&config).0.to_owned();
            let mut project = Project::new(Tool::Liquibase, &root);
            let ini = context.ini(&config, &mut project.diagnostics).unwrap_or_default();
            let get = |names: [&str; 2]| names.iter().find_map(|name| ini.get("", name)).map(str::to_owned);
            let table = get(["liquibase.databaseChangelogTableName", "databaseChangelogTableName"]);
            let schema = get(["liquibase.liquibaseSchemaName", "liquibaseSchemaName"]);
            starts.extend(
                get(["changeLogFile", "changelog-file"]).map(|log| (log, Some(config.clone()), root.clone())),
            );
            project.history =
                Some(Table::new(schema.as_deref(), table.as_deref().unwrap_or("databasechangelog")));
            project.config = Some(config);
            projects.push(project);
        }
        let usual = |name: &str| {
            name.starts_with("db.changelog-master.")
                || name.starts_with("changelog-master.")
                || name.starts_with("db.changelog-root.")
        };
        for folder in context.folders_with(usual) {
            for path in context.children(&folder) {
                if usual(text::split_path(&path).1) {
                    let root = folder
                        .find("src/main/")
                        .map_or_else(|| text::split_path(&folder).0, |at| folder[..at].trim_end_matches('/'));
                    if starts.iter().any(|(log, _, other)| {
                        path.ends_with(log.as_str()) && path.starts_with(other.as_str())
                    }) {
                        continue;
                    }
                    starts.push((path.clone(), None, root.to_owned()));
                    let mut project = Project::new(Tool::Liquibase, root);
                    project.history = Some(Table::new(None, "databasechangelog"));
                    projects.push(project);
                }
            }
        }
        for (log, config, root) in starts {
            let Some(project) =
                projects.iter_mut().find(|project| project.root == root && project.config == config)
            else {
                continue;
            };
            if let Some(path) = resolve(context, &root, &log) {
                include(context, project, &path, 0);
            } else {
                let path = config.unwrap_or_default();
                let message = format!("the changelog {log} is not there");
                let hint = "Correct changeLogFile.";
                project.diagnostics.push(Diagnostic::error(Code::MissingFolder, &path, 1, message, hint));
            }
            project.late = Late::Runs;
            // Read since 4.18, before the properties file:
            // https://docs.liquibase.com/concepts/connections/liquibase-environment-variables.html.
            project.commands.env = vec![("LIQUIBASE_COMMAND_PASSWORD".to_owned(), "{password}".to_owned())];
            let credentials = ["--url={jdbc_url}", "--username={user}"];
            let changelog = format!("--changelog-file={log}");
            let verb =
                |words: &[&str]| words_of(&[&["liquibase"], &credentials[..], &[&changelog], words].concat());
            project.commands.apply = verb(&["update"]);
            project.commands.status = verb(&["status", "--verbose"]);
            project.commands.down = verb(&["rollback-count", "--count=1"]);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["id", "author", "filename"]) {
            return Reading::untold(Some(lacking));
        }
        let mut by_id: HashMap<&str, Vec<&Migration>> = HashMap::new();
        for migration in &project.migrations {
            by_id.entry(migration.version.as_deref().unwrap_or_default()).or_default().push(migration);
        }
        let records = rows.by_number("orderexecuted").into_iter().map(|row| {
            let get = |column: &str| row.text(column).unwrap_or_default();
            let (id, author, file) = (get("id"), get("author"), get("filename"));
            let file = file.trim_start_matches("classpath:").trim_start_matches('/').to_owned();
            // The history has paths below some class path root, of which we have the end.
            let suffix = format!("/{file}");
            let ours = by_id.get(id.as_str()).into_iter().flatten().find(|migration| {
                migration.name.ends_with(&format!(":{author}"))
                    && (migration.path == file || migration.path.ends_with(&suffix))
            });
            let mut record = Record::applied(
                ours.map_or_else(|| format!("{file}::{id}::{author}"), |ours| ours.key.clone()),
            );
            record.at = row.text("dateexecuted");
            if row.text("exectype").is_some_and(|kind| kind == "FAILED") {
                record.outcome = Outcome::Failed;
            } else if row.text("exectype").is_some_and(|kind| kind == "SKIPPED") {
                record.outcome = Outcome::RolledBack;
            }
            record
        });
        Reading { records: records.collect(), ..Reading::default() }
    }
}

/// A changelog's path in the repository: beside the configuration, or in the resources of a Java program.
fn resolve(context: &Context<'_>, root: &str, log: &str) -> Option<String> {
    let log = log.trim_start_matches("classpath:").trim_start_matches('/');
    let places =
        [text::join(root, log), text::join(root, &format!("src/main/resources/{log}")), log.to_owned()];
    places.into_iter().find(|path| context.exists(path) || context.has_folder(path))
}

/// Changelogs include each other; a circle ends here.
const DEPTH_MAX: usize = 20;

fn include(context: &mut Context<'_>, project: &mut Project, path: &str, depth: usize) {
    let before = context.diagnostics.len();
    let facts = context.facts(Tool::Liquibase, path, parse);
    project.diagnostics.extend(context.diagnostics.drain(before..));
    let Some(facts) = facts else { return };
    project.diagnostics.extend(facts.diagnostics.iter().cloned());
    let folder = text::split_path(path).0.to_owned();
    if !project.folders.contains(&folder) {
        project.folders.push(folder);
    }
    for (id, author, line) in &facts.parts {
        if author != "\0include" {
            let mut migration =
                Migration::new(&format!("{path}::{id}::{author}"), &format!("{id}:{author}"), path);
            migration.version = Some(id.clone());
            migration.line = *line;
            migration.blob.clone_from(&facts.blob);
            migration.broken = facts.broken;
            if facts.extra.iter().any(|(_, key)| *key == format!("{id}::{author}")) {
                migration.kind = MigrationKind::Repeatable;
            }
            project.migrations.push(migration);
            continue;
        }
        let target = match id.strip_prefix('/') {
            Some(log) => resolve(context, &project.root.clone(), log),
            None => Some(id.clone()).filter(|path| context.exists(path) || context.has_folder(path)),
        };
        match target {
            _ if depth >= DEPTH_MAX => {
                let message = "the changelogs include each other too deeply";
                project.diagnostics.push(Diagnostic::error(
                    Code::Cycle,
                    path,
                    *line,
                    message,
                    "Take the circle out.",
                ));
            }
            Some(target) if context.exists(&target) => include(context, project, &target, depth + 1),
            Some(target) => {
                for below in context.below(&target) {
                    if ["xml", "yaml", "yml", "json", "sql"].contains(&text::extension(&below)) {
                        include(context, project, &below, depth + 1);
                    }
                }
            }
            None => {
                let message = format!("the included changelog {} is not there", id.trim_start_matches('/'));
                let hint = "Correct the path; Liquibase refuses it.";
                project.diagnostics.push(Diagnostic::error(Code::OutOfStep, path, *line, message, hint));
            }
        }
    }
}

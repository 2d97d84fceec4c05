//! Alembic: revisions that name their parents; the history table holds only the heads.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Adapter;
use super::common::{database_url, lacks, sort_by_parents, words_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Late, Migration, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::{Reading, Record};
use crate::text::{self, Python, PythonValue};
use crate::tool::Tool;

pub(crate) struct Alembic;

fn parse(file: &File<'_>, facts: &mut Facts) {
    let code = Python::new(file.text);
    let Some((PythonValue::Text(revision), line)) = code.assigned("revision") else {
        facts.broken = true;
        let hint = "Write `revision = \"…\"`, or finish the file.";
        let found = Diagnostic::error(Code::Incomplete, file.path, 1, "the file has no revision", hint);
        facts.diagnostics.push(found);
        return;
    };
    match code.assigned("down_revision") {
        Some((PythonValue::Computed, line)) => {
            facts.broken = true;
            let hint = "Write the parent's revision as a plain string.";
            let message = "the parent of this revision is computed or half written";
            facts.diagnostics.push(Diagnostic::error(Code::Incomplete, file.path, line, message, hint));
        }
        Some((value, _)) => facts.parents = value.texts(),
        None => {}
    }
    if let Some((value, _)) = code.assigned("depends_on") {
        facts.parents.extend(value.texts());
    }
    facts.key = Some(revision);
    facts.down = code.contains("def downgrade(");
    facts.extra.push(("line", line.to_string()));
    if let Some((value, _)) = code.assigned("branch_labels")
        && !value.texts().is_empty()
    {
        facts.extra.push(("label", value.texts().join(",")));
    }
    let title = file.text.trim_start().strip_prefix("\"\"\"").and_then(|rest| rest.lines().next());
    facts.name = title
        .map(|title| title.trim_end_matches("\"\"\"").trim().to_owned())
        .filter(|title| !title.is_empty());
}

impl Adapter for Alembic {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for config in context.named(&["alembic.ini", "pyproject.toml"]) {
            let (root, name) = text::split_path(&config);
            if name == "pyproject.toml" && context.exists(&text::join(root, "alembic.ini")) {
                continue;
            }
            let mut project = Project::new(Tool::Alembic, root);
            let Some((location, versions)) = settings(context, &config, &mut project) else { continue };
            project.config = Some(config.clone());
            let script = text::join(root, &location.replace("%(here)s", "."));
            project.folders = match versions {
                Some(folders) => folders
                    .split(['\n', ' ', ',', ':', ';'])
                    .filter(|folder| !folder.trim().is_empty())
                    .map(|folder| text::join(root, &folder.trim().replace("%(here)s", ".")))
                    .collect(),
                None => vec![text::join(&script, "versions")],
            };
            history_table(context, &text::join(&script, "env.py"), &mut project);
            let mut labelled = 0;
            for folder in project.folders.clone() {
                super::common::check_folder(context, &mut project, &folder);
                for path in context.children(&folder) {
                    let name = text::split_path(&path).1;
                    if !name.ends_with(".py") || name.starts_with("__init__") || name.starts_with(".#") {
                        continue;
                    }
                    let (mut migration, facts) = context.migration(&mut project, &path, parse);
                    migration.line = facts.extra("line").and_then(|line| line.parse().ok()).unwrap_or(1);
                    labelled += usize::from(facts.extra("label").is_some());
                    migration.version.clone_from(&facts.key);
                    project.migrations.push(migration);
                }
            }
            project.late = Late::Graph;
            check_graph(&mut project, labelled);
            sort_by_parents(&mut project);
            let heads = if heads(&project.migrations).len() > 1 { "heads" } else { "head" };
            project.commands.env = database_url();
            project.commands.apply = words_of(&["alembic", "upgrade", heads]);
            project.commands.status = words_of(&["alembic", "current", "--verbose"]);
            project.commands.down = words_of(&["alembic", "downgrade", "-1"]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["version_num"]) {
            return Reading::untold(Some(lacking));
        }
        let by_key: HashMap<&str, &Migration> =
            project.migrations.iter().map(|migration| (migration.key.as_str(), migration)).collect();
        let mut reading = Reading::default();
        let mut seen = HashSet::new();
        for head in rows.iter().filter_map(|row| row.text("version_num")) {
            if !by_key.contains_key(head.as_str()) {
                // Its ancestors are unknown with it, so that nothing else can be called pending.
                reading.untold = true;
                reading.records.push(Record::applied(head));
                continue;
            }
            let mut open = vec![head];
            while let Some(key) = open.pop() {
                if let Some(migration) = by_key.get(key.as_str())
                    && seen.insert(key.clone())
                {
                    open.extend(migration.parents.iter().cloned());
                    reading.records.push(Record::applied(key));
                }
            }
        }
        reading
    }
}

/// The folder of scripts, and the folders of versions if they are named.
fn settings(
    context: &mut Context<'_>,
    config: &str,
    project: &mut Project,
) -> Option<(String, Option<String>)> {
    if config.ends_with(".ini") {
        let ini = context.ini(config, &mut project.diagnostics)?;
        let location = ini.get("alembic", "script_location");
        if location.is_none() {
            let line = 1;
            let hint = "Write `script_location = …` below `[alembic]`; `alembic` is assumed.";
            let message = "the configuration does not say where the scripts are";
            project.diagnostics.push(Diagnostic::error(Code::MalformedConfig, config, line, message, hint));
        }
        let versions = ini.get("alembic", "version_locations").map(str::to_owned);
        return Some((location.unwrap_or("alembic").to_owned(), versions));
    }
    let text = context.text(config)?;
    if !text.contains("[tool.alembic") {
        return None;
    }
    let table = context.toml(config, &mut project.diagnostics)?;
    let alembic = table.get("tool")?.get("alembic")?;
    let location = alembic.get("script_location").and_then(toml::Value::as_str).unwrap_or("alembic");
    let versions = alembic.get("version_locations").and_then(toml::Value::as_array);
    let versions =
        versions.map(|list| list.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join("\n"));
    Some((location.to_owned(), versions))
}

fn history_table(context: &mut Context<'_>, env: &str, project: &mut Project) {
    let code = context.text(env).map(|text| Python::new(&text));
    let mut setting = |name: &str| match code.as_ref().and_then(|code| code.assigned(name)) {
        Some((PythonValue::Text(text), _)) => Some(text),
        Some((PythonValue::Computed, line)) => {
            let message = format!("`{name}` is computed when the file is run; the default is assumed");
            let hint = "Write it as a plain string if the default is wrong.";
            project.diagnostics.push(Diagnostic::warning(Code::ComputedSetting, env, line, message, hint));
            None
        }
        _ => None,
    };
    let (name, schema) = (setting("version_table"), setting("version_table_schema"));
    project.history = Some(Table::new(schema.as_deref(), name.as_deref().unwrap_or("alembic_version")));
}

fn heads(migrations: &[Migration]) -> Vec<&Migration> {
    let parents: HashSet<&str> =
        migrations.iter().flat_map(|migration| &migration.parents).map(String::as_str).collect();
    migrations
        .iter()
        .filter(|migration| !migration.broken && !parents.contains(migration.key.as_str()))
        .collect()
}

fn check_graph(project: &mut Project, labelled: usize) {
    let mut found = Vec::new();
    let known: BTreeMap<&str, &Migration> =
        project.migrations.iter().map(|migration| (migration.key.as_str(), migration)).collect();
    for migration in &project.migrations {
        for parent in migration.parents.iter().filter(|parent| !known.contains_key(parent.as_str())) {
            let message = format!("revision {} follows {parent}, which is not here", migration.key);
            let hint = "Get the missing file, for example by merging the branch that has it, or correct down_revision.";
            found.push(Diagnostic::error(
                Code::UnknownParent,
                &migration.path,
                migration.line,
                message,
                hint,
            ));
        }
    }
    let heads = heads(&project.migrations);
    if heads.len() > 1 && labelled == 0 {
        let all: Vec<&str> = heads.iter().map(|head| head.key.as_str()).collect();
        for head in heads {
            let message = format!("there are {} heads: {}", all.len(), all.join(", "));
            let hint = "Join them with `alembic merge heads`, or let one follow the other.";
            found.push(Diagnostic::error(Code::SeveralHeads, &head.path, head.line, message, hint));
        }
    }
    project.diagnostics.extend(found);
}

//! Django: migrations of several applications that name what they depend on.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Adapter;
use super::common::{database_url, lacks, sort_by_parents, words_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::{Next, Outcome, Reading, Record, State};
use crate::text::{self, Python, PythonValue};
use crate::tool::Tool;

pub(crate) struct Django;

fn pairs(value: &PythonValue) -> Vec<String> {
    let PythonValue::Groups(groups) = value else { return Vec::new() };
    groups.iter().filter(|group| group.len() == 2).map(|group| group.join(".")).collect()
}

fn parse(file: &File<'_>, facts: &mut Facts) {
    let code = Python::new(file.text);
    if !code.contains("class Migration") {
        facts.broken = true;
        let hint = "Django refuses such a file; finish it or delete it.";
        let message = "the file has no class Migration";
        facts.diagnostics.push(Diagnostic::error(Code::Incomplete, file.path, 1, message, hint));
        return;
    }
    facts.marked = true;
    if let Some((value, line)) = code.assigned("dependencies") {
        facts.parents = pairs(&value);
        if value == PythonValue::Computed {
            let hint = "Close the list, or write the dependencies as plain pairs.";
            let message = "the dependencies are computed or half written";
            facts.diagnostics.push(Diagnostic::warning(Code::Incomplete, file.path, line, message, hint));
            facts.broken |= file.text.contains("dependencies = [");
        }
    }
    let mut list = |name: &'static str| {
        let found = code.assigned(name).map(|(value, _)| pairs(&value)).filter(|found| !found.is_empty());
        facts.extra.extend(found.map(|found| (name, found.join(","))));
    };
    list("replaces");
    list("run_before");
    facts.down = true;
}

impl Adapter for Django {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for config in context.named(&["manage.py"]) {
            if !context.text(&config).is_some_and(|text| text.contains("django")) {
                continue;
            }
            let root = text::split_path(&config).0.to_owned();
            let mut project = Project::new(Tool::Django, &root);
            project.config = Some(config.clone());
            let mut run_before = Vec::new();
            let folders: BTreeSet<String> = context
                .below(&root)
                .iter()
                .filter_map(|path| {
                    path.strip_suffix("/migrations/__init__.py").map(|app| format!("{app}/migrations"))
                })
                .collect();
            for folder in folders {
                let label = label(context, text::split_path(&folder).0);
                for path in context.children(&folder) {
                    let name = text::split_path(&path).1;
                    if !name.ends_with(".py") || name.starts_with(['_', '~', '.']) {
                        continue;
                    }
                    let (mut migration, facts) = context.migration(&mut project, &path, parse);
                    migration.name = format!("{label}.{}", text::stem(name));
                    migration.key.clone_from(&migration.name);
                    migration.version = Some(text::stem(name).to_owned());
                    if let Some(replaced) = facts.extra("replaces") {
                        project.options.insert(format!("replaces {}", migration.key), replaced.to_owned());
                    }
                    let later = facts
                        .extra("run_before")
                        .unwrap_or_default()
                        .split(',')
                        .filter(|key| !key.is_empty());
                    run_before.extend(later.map(|later| (later.to_owned(), migration.key.clone())));
                    project.migrations.push(migration);
                }
                project.options.insert(format!("app {label}"), folder.clone());
                project.folders.push(folder);
            }
            for (later, earlier) in run_before {
                if let Some(migration) =
                    project.migrations.iter_mut().find(|migration| migration.key == later)
                {
                    migration.parents.push(earlier);
                }
            }
            project.history = Some(Table::new(None, "django_migrations"));
            project.late = Late::Graph;
            check_graph(&mut project);
            sort_by_parents(&mut project);
            project.commands.env = database_url();
            project.commands.apply = words_of(&["python", "manage.py", "migrate"]);
            project.commands.status = words_of(&["python", "manage.py", "showmigrations"]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["app", "name", "applied"]) {
            return Reading::untold(Some(lacking));
        }
        let mut reading = Reading::default();
        for row in rows.by_number("id") {
            let app = row.text("app").unwrap_or_default();
            let mut record = Record::applied(format!("{app}.{}", row.text("name").unwrap_or_default()));
            record.at = row.text("applied");
            if !project.options.contains_key(&format!("app {app}")) {
                record.outcome = Outcome::Foreign;
            }
            reading.records.push(record);
        }
        squashed(project, &mut reading);
        reading
    }
}

/// A squashed migration stands for those that it replaces, unless only some of them ran.
fn squashed(project: &Project, reading: &mut Reading) {
    let applied: HashSet<String> = reading.records.iter().map(|record| record.key.clone()).collect();
    let places: HashMap<&str, usize> = project
        .migrations
        .iter()
        .enumerate()
        .map(|(place, migration)| (migration.key.as_str(), place))
        .collect();
    for (option, replaced) in &project.options {
        let Some(key) = option.strip_prefix("replaces ") else { continue };
        let Some(place) = places.get(key).copied() else { continue };
        let replaced: Vec<&str> = replaced.split(',').collect();
        let ran = replaced.iter().filter(|key| applied.contains(**key)).count();
        // Rows that the squashed migration covers have their file in it.
        if ran == replaced.len() || applied.contains(key) || ran == 0 {
            for record in reading.records.iter_mut().filter(|record| replaced.contains(&record.key.as_str()))
            {
                if !places.contains_key(record.key.as_str()) {
                    record.outcome = Outcome::Foreign;
                }
            }
            for old in replaced.iter().filter_map(|key| places.get(key)) {
                reading.overrides.insert(*old, (State::Ignored, Next::Nothing));
            }
            if ran == replaced.len() && !applied.contains(key) {
                reading.overrides.insert(place, (State::Applied, Next::Nothing));
            }
        } else {
            reading.overrides.insert(place, (State::Ignored, Next::Nothing));
        }
    }
}

/// The name that an application has in the history: its label, else its folder's name.
fn label(context: &mut Context<'_>, app: &str) -> String {
    let named = context.text(&text::join(app, "apps.py")).and_then(|text| {
        let (value, _) = Python::new(&text).assigned("label")?;
        value.texts().into_iter().next()
    });
    named.unwrap_or_else(|| text::split_path(app).1.to_owned())
}

fn check_graph(project: &mut Project) {
    let known: HashSet<&str> = project.migrations.iter().map(|migration| migration.key.as_str()).collect();
    let replaced: HashSet<&str> = project
        .options
        .iter()
        .filter(|(option, _)| option.starts_with("replaces "))
        .flat_map(|(_, keys)| keys.split(','))
        .collect();
    // What another migration of the same application names as its parent.
    let followed: HashSet<&str> = project
        .migrations
        .iter()
        .flat_map(|migration| {
            migration.parents.iter().map(|parent| (parent.as_str(), migration.key.as_str()))
        })
        .filter(|(parent, key)| parent.split('.').next() == key.split('.').next())
        .map(|(parent, _)| parent)
        .collect();
    let mut found = Vec::new();
    let mut leaves: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, migration) in project.migrations.iter().enumerate() {
        let app = |key: &str| key.split_once('.').map(|(app, _)| app.to_owned()).unwrap_or_default();
        for parent in &migration.parents {
            let ours = project.options.contains_key(&format!("app {}", app(parent)));
            let special = parent.ends_with(".__first__") || parent.ends_with(".__latest__");
            if ours && !special && !known.contains(parent.as_str()) && !replaced.contains(parent.as_str()) {
                let message = format!("{} depends on {parent}, which is not here", migration.key);
                let hint = "Get the missing file, for example by merging the branch that has it.";
                found.push(Diagnostic::error(Code::UnknownParent, &migration.path, 1, message, hint));
            }
        }
        let followed = followed.contains(migration.key.as_str());
        if !followed && !migration.broken && !replaced.contains(migration.key.as_str()) {
            leaves.entry(migration.key.split('.').next().unwrap_or_default()).or_default().push(place);
        }
    }
    for (app, places) in leaves.iter().filter(|(_, places)| places.len() > 1) {
        for place in places {
            let message = format!("the application {app} has {} newest migrations", places.len());
            let hint = "Join them with `python manage.py makemigrations --merge`.";
            found.push(Diagnostic::error(
                Code::SeveralHeads,
                &project.migrations[*place].path,
                1,
                message,
                hint,
            ));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    project.diagnostics.extend(found);
}

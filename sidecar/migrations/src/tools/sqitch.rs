//! Sqitch: changes listed in a plan, each with scripts to deploy, revert and verify.

use std::fmt::Write as _;

use super::Adapter;
use super::common::{lacks, words_of};
use crate::checksum;
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Down, Late, Migration, Project, Table};
use crate::scan::{Context, Facts, File, malformed};
use crate::status::{Reading, Record};
use crate::text;
use crate::tool::Tool;

pub(crate) struct Sqitch;

fn parse(file: &File<'_>, facts: &mut Facts) {
    facts.checksums = vec![checksum::sha1(file.bytes)];
}

impl Adapter for Sqitch {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for config in context.named(&["sqitch.conf"]) {
            let root = text::split_path(&config).0.to_owned();
            let mut project = Project::new(Tool::Sqitch, &root);
            let Some(ini) = context.ini(&config, &mut project.diagnostics) else { continue };
            if ini.get("core", "engine").is_some_and(|engine| engine != "pg") {
                continue;
            }
            let top = text::join(&root, ini.get("core", "top_dir").unwrap_or("."));
            let plan = ini
                .get("core", "plan_file")
                .map_or_else(|| text::join(&top, "sqitch.plan"), |plan| text::join(&root, plan));
            let folder = |name: &str| {
                text::join(
                    &root,
                    &ini.get("core", &format!("{name}_dir")).map_or_else(
                        || text::join(ini.get("core", "top_dir").unwrap_or("."), name),
                        str::to_owned,
                    ),
                )
            };
            let registry = ini
                .get("engine \"pg\"", "registry")
                .or_else(|| ini.get("core", "registry"))
                .unwrap_or("sqitch");
            project.history = Some(Table::new(Some(registry), "changes"));
            project.late = Late::Refuses;
            project.config = Some(config.clone());
            project.folders = vec![folder("deploy")];
            read_plan(context, &mut project, &plan, &folder("deploy"), &folder("revert"));
            // These come before all others: https://sqitch.org/docs/manual/sqitch-authentication/.
            project.commands.env = [("SQITCH_USERNAME", "{user}"), ("SQITCH_PASSWORD", "{password}")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec();
            let verb =
                |words: &[&str]| words_of(&[&["sqitch"], words, &["--target", "db:{bare_url}"]].concat());
            project.commands.apply = verb(&["deploy"]);
            project.commands.status = verb(&["status"]);
            project.commands.down = verb(&["revert", "--to", "@HEAD^", "-y"]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["change_id", "change", "project"]) {
            return Reading::untold(Some(lacking));
        }
        let ours = project.options.get("project").map(String::as_str).unwrap_or_default();
        let mut rows: Vec<_> =
            rows.iter().filter(|row| row.text("project").as_deref() == Some(ours)).collect();
        rows.sort_by_key(|row| row.text("committed_at"));
        let records = rows.into_iter().map(|row| {
            let mut record = Record::applied(row.text("change_id").unwrap_or_default());
            record.name = row.text("change");
            record.at = row.text("committed_at");
            // Older registries have no hash of the script.
            record.checksum = row.text("script_hash");
            record
        });
        Reading { records: records.collect(), ..Reading::default() }
    }
}

/// What a line of the plan says.
struct Change<'a> {
    name: &'a str,
    requires: Vec<&'a str>,
    conflicts: Vec<&'a str>,
    date: &'a str,
    planner: &'a str,
    note: String,
}

impl<'a> Change<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let (head, note) = match line.split_once(" # ") {
            Some((head, note)) => (head, note),
            None => (line.trim_end().strip_suffix(" #").unwrap_or(line), ""),
        };
        let (name, mut rest) = head.trim().split_once(' ')?;
        let (mut requires, mut conflicts) = (Vec::new(), Vec::new());
        rest = rest.trim_start();
        if let Some(inner) = rest.strip_prefix('[') {
            let (list, after) = inner.split_once(']')?;
            for word in list.split_whitespace() {
                match word.strip_prefix('!') {
                    Some(word) => conflicts.push(word),
                    None => requires.push(word),
                }
            }
            rest = after.trim_start();
        }
        let (date, planner) = rest.split_once(' ')?;
        (date.len() == 20 && planner.contains('<')).then(|| Self {
            name,
            requires,
            conflicts,
            date,
            planner: planner.trim(),
            note: note.trim().replace("\\n", "\n").replace("\\r", "\r").replace("\\\\", "\\"),
        })
    }

    /// The id: what git would give an object of kind `change` with this description.
    fn id(&self, project: &str, uri: Option<&str>, parent: Option<&str>) -> String {
        let mut info = format!("project {project}\n");
        if let Some(uri) = uri {
            let _ = writeln!(info, "uri {uri}");
        }
        let _ = writeln!(info, "change {}", self.name);
        if let Some(parent) = parent {
            let _ = writeln!(info, "parent {parent}");
        }
        let _ = write!(info, "planner {}\ndate {}", self.planner, self.date);
        for (title, sign, list) in [("requires", '+', &self.requires), ("conflicts", '-', &self.conflicts)] {
            if !list.is_empty() {
                let _ = write!(info, "\n{title}");
                for word in list {
                    let _ = write!(info, "\n  {sign} {word}");
                }
            }
        }
        if !self.note.is_empty() {
            let _ = write!(info, "\n\n{}", self.note);
        }
        checksum::sha1(format!("change {}\0{info}", info.len()).as_bytes())
    }
}

fn read_plan(context: &mut Context<'_>, project: &mut Project, plan: &str, deploy: &str, revert: &str) {
    let Some(text) = context.text(plan) else {
        let path = project.config.clone().unwrap_or_default();
        let hint = "Correct top_dir or plan_file, or make the plan with `sqitch init`.";
        project.diagnostics.push(Diagnostic::error(
            Code::MissingFolder,
            &path,
            1,
            format!("the plan {plan} is not there"),
            hint,
        ));
        return;
    };
    if let Some(line) = text::conflict_line(&text) {
        project.diagnostics.push(malformed(plan, line, "a merge is not finished here"));
    }
    let pragma = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('=').map(str::trim))
    };
    let (name, uri) = (pragma("%project").unwrap_or_default(), pragma("%uri"));
    project.options.insert("project".to_owned(), name.to_owned());
    let mut parent: Option<String> = None;
    let mut seen: Vec<(String, usize)> = Vec::new();
    let mut tag = String::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let line_number = at as u32 + 1;
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['%', '#', '<', '>', '=']) {
            continue;
        }
        if let Some(rest) = trimmed.strip_prefix('@') {
            rest.split_whitespace().next().unwrap_or_default().clone_into(&mut tag);
            // A change that is listed again later keeps its old scripts under the name of this tag.
            for (name, place) in &mut seen {
                let script = text::join(deploy, &format!("{name}@{tag}.sql"));
                if project.migrations[*place].version.is_none() {
                    project.migrations[*place].version = Some(tag.clone());
                }
                if context.exists(&script) {
                    let found = context.facts(Tool::Sqitch, &script, parse);
                    if let Some(facts) = found {
                        project.migrations[*place].checksums.clone_from(&facts.checksums);
                        project.migrations[*place].path = script;
                    }
                }
            }
            seen.clear();
            continue;
        }
        let Some(change) = Change::of(trimmed) else {
            project.diagnostics.push(malformed(plan, line_number, "this is neither a change nor a tag"));
            continue;
        };
        let path = text::join(deploy, &format!("{}.sql", change.name));
        let id = change.id(name, uri, parent.as_deref());
        let mut migration = if context.exists(&path) {
            Some(context.migration(project, &path, parse).0)
        } else {
            let message = format!("the plan lists {}, and {path} is not there", change.name);
            let hint = "Restore the script, or take the change out of the plan.";
            project.diagnostics.push(Diagnostic::error(Code::OutOfStep, plan, line_number, message, hint));
            None
        }
        .unwrap_or_else(|| Migration::new(&id, change.name, plan));
        migration.key.clone_from(&id);
        change.name.clone_into(&mut migration.name);
        let down = text::join(revert, &format!("{}.sql", change.name));
        if context.exists(&down) {
            migration.down = Down::File(down);
        }
        seen.push((change.name.to_owned(), project.migrations.len()));
        project.migrations.push(migration);
        parent = Some(id);
    }
}

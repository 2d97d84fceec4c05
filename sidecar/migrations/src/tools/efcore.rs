//! Entity Framework Core: C# classes with an attribute `[Migration("…")]`.

use super::Adapter;
use super::common::{keyed, words_of};
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct EfCore;

fn parse(file: &File<'_>, facts: &mut Facts) {
    let id = file.text.find("[Migration(\"").map(|at| &file.text[at + "[Migration(\"".len()..]);
    facts.marked = file.text.contains(": Migration");
    facts.down = file.text.contains("void Down(");
    facts.key = id.and_then(|rest| rest.split_once('"')).map(|(id, _)| id.to_owned());
}

fn passes(name: &str) -> bool {
    let (digits, rest) = text::leading_digits(name);
    digits.len() == 14 && rest.starts_with('_') && name.ends_with(".cs") && !name.ends_with(".Designer.cs")
}

impl Adapter for EfCore {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for folder in context.folders_with(passes) {
            if context.is_claimed(&folder) {
                continue;
            }
            let mut above = folder.as_str();
            let has_manifest =
                |folder: &str| context.children(folder).into_iter().find(|path| path.ends_with(".csproj"));
            let manifest = loop {
                match has_manifest(above) {
                    Some(found) => break Some(found),
                    None if above.is_empty() => break None,
                    None => above = text::split_path(above).0,
                }
            };
            let mut project = Project::new(Tool::EfCore, above);
            for path in context.children(&folder) {
                if !passes(text::split_path(&path).1) {
                    continue;
                }
                let (mut migration, facts) = context.migration(&mut project, &path, parse);
                if !facts.marked {
                    continue;
                }
                // The attribute stands in the file that the designer keeps.
                let designer = path.replace(".cs", ".Designer.cs");
                if facts.key.is_none()
                    && let Some(facts) = context.facts(Tool::EfCore, &designer, parse)
                    && let Some(key) = &facts.key
                {
                    migration.key.clone_from(key);
                }
                let (digits, rest) = text::leading_digits(&migration.key);
                migration.version = Some(digits.to_owned());
                rest.trim_start_matches('_').clone_into(&mut migration.name);
                project.migrations.push(migration);
            }
            if project.migrations.is_empty() {
                continue;
            }
            project.migrations.sort_by(|a, b| a.key.cmp(&b.key));
            project.config = manifest;
            project.history = Some(Table::new(None, "__EFMigrationsHistory"));
            project.late = Late::Runs;
            project.folders = vec![folder];
            // Npgsql takes the password from PGPASSWORD: https://www.npgsql.org/doc/connection-string-parameters.html.
            let verb = |words: &[&str]| words_of(&[&["dotnet", "ef"], words].concat());
            project.commands.apply = verb(&[
                "database",
                "update",
                "--connection",
                "Host={host};Port={port};Username={user};Database={database}",
            ]);
            project.commands.status = verb(&[
                "migrations",
                "list",
                "--connection",
                "Host={host};Port={port};Username={user};Database={database}",
            ]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        // With a naming convention for snake case the columns are called otherwise.
        let snake = rows.iter().any(|row| row.has("migration_id"));
        keyed(project, rows, if snake { "migration_id" } else { "MigrationId" }, None)
    }
}

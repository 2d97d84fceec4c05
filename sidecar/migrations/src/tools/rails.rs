//! Rails: Ruby files in `db/migrate`, in the order of their versions.

use super::Adapter;
use super::common::{database_url, keyed, numbered_files, sort_by_number, words_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct Rails;

fn parse(file: &File<'_>, facts: &mut Facts) {
    facts.down = file.text.contains("def change") || file.text.contains("def down");
    if !file.text.contains("ActiveRecord::Migration") {
        facts.broken = true;
        let hint = "Rails refuses it; finish the class, or delete the file.";
        let message = "the file has no class of ActiveRecord::Migration";
        facts.diagnostics.push(Diagnostic::error(Code::Incomplete, file.path, 1, message, hint));
    }
}

fn passes(name: &str) -> bool {
    let (digits, rest) = text::leading_digits(name);
    !digits.is_empty() && rest.starts_with('_') && name.ends_with(".rb")
}

impl Adapter for Rails {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for folder in context.folders_with(passes) {
            let Some(root) =
                folder.strip_suffix("db/migrate").map(|root| root.trim_end_matches('/').to_owned())
            else {
                continue;
            };
            let mut project = Project::new(Tool::Rails, &root);
            let config = text::join(&root, "config/application.rb");
            let setting = |name: &str, text: &str| {
                let (_, value) = text
                    .lines()
                    .find(|line| line.contains(name) && !line.trim_start().starts_with('#'))?
                    .split_once('=')?;
                Some(value.trim().trim_matches(['"', '\'', ':']).to_owned())
            };
            let text = context.text(&config).unwrap_or_default();
            let table = setting("schema_migrations_table_name", &text);
            project.config = Some(config).filter(|path| context.exists(path));
            project.history = Some(Table::new(None, table.as_deref().unwrap_or("schema_migrations")));
            project.late = Late::Runs;
            numbered_files(context, &mut project, &folder, passes, parse);
            for migration in &mut project.migrations {
                migration.key = text::number(migration.version.as_deref().unwrap_or_default()).to_string();
            }
            sort_by_number(&mut project.migrations);
            project.folders = vec![folder];
            project.commands.env = database_url();
            project.commands.apply = words_of(&["bin/rails", "db:migrate"]);
            project.commands.status = words_of(&["bin/rails", "db:migrate:status"]);
            project.commands.down = words_of(&["bin/rails", "db:rollback"]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        keyed(project, rows, "version", None)
    }
}

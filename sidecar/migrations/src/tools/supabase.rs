//! Supabase: SQL files in `supabase/migrations`.

use super::Adapter;
use super::common::{lacks, node_program, numbered_files, opaque, sort_by_number};
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::Context;
use crate::status::{Reading, Record};
use crate::text;
use crate::tool::Tool;

pub(crate) struct Supabase;

fn passes(name: &str) -> bool {
    let (digits, rest) = text::leading_digits(name);
    !digits.is_empty() && rest.starts_with('_') && name.ends_with(".sql")
}

impl Adapter for Supabase {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for config in context.named(&["config.toml"]) {
            let folder = text::split_path(&config).0;
            if text::split_path(folder).1 != "supabase" {
                continue;
            }
            let root = text::split_path(folder).0.to_owned();
            let folder = text::join(folder, "migrations");
            let mut project = Project::new(Tool::Supabase, &root);
            let _ = context.toml(&config, &mut project.diagnostics);
            project.config = Some(config);
            project.history = Some(Table::new(Some("supabase_migrations"), "schema_migrations"));
            project.late = Late::Refuses;
            numbered_files(context, &mut project, &folder, passes, opaque);
            for migration in &mut project.migrations {
                migration.key = migration.version.clone().unwrap_or_default();
            }
            sort_by_number(&mut project.migrations);
            project.folders = vec![folder];
            // Its driver takes the password from PGPASSWORD: https://pkg.go.dev/github.com/jackc/pgx/v5/pgconn#ParseConfig.
            project.commands.apply = node_program(
                context,
                &root,
                &["supabase", "migration", "up", "--yes", "--db-url", "{bare_url}"],
            );
            project.commands.status =
                node_program(context, &root, &["supabase", "migration", "list", "--db-url", "{bare_url}"]);
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["version"]) {
            return Reading::untold(Some(lacking));
        }
        let records = rows.by_number("version").into_iter().map(|row| {
            let version = row.text("version").unwrap_or_default();
            let name = row.text("name").map(|name| format!("{version}_{name}"));
            Record { name, ..Record::applied(version) }
        });
        Reading { records: records.collect(), ..Reading::default() }
    }
}

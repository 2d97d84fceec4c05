//! golang-migrate: pairs of `1_name.up.sql` and `1_name.down.sql`; the history is one number.

use super::Adapter;
use super::common::{lacks, sort_by_number, up_and_down, words_of};
use crate::history::Rows;
use crate::model::{Late, Project, Table};
use crate::scan::Context;
use crate::status::{Outcome, Reading, Record};
use crate::text;
use crate::tool::Tool;

pub(crate) struct GolangMigrate;

impl Adapter for GolangMigrate {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        let fits = |name: &str| name.ends_with(".up.sql") && text::leading_digits(name).1.starts_with('_');
        for folder in context.folders_with(fits) {
            if context.is_claimed(&folder) {
                continue;
            }
            let root = context
                .nearest(&folder, "go.mod")
                .map(|path| text::split_path(&path).0.to_owned())
                .unwrap_or_default();
            let mut project = Project::new(Tool::GolangMigrate, &root);
            project.history = Some(Table::new(None, "schema_migrations"));
            project.late = Late::Skips;
            up_and_down(context, &mut project, &folder);
            for migration in &mut project.migrations {
                migration.key = text::number(migration.version.as_deref().unwrap_or_default()).to_string();
            }
            sort_by_number(&mut project.migrations);
            let here = folder.strip_prefix(&root).unwrap_or(&folder).trim_start_matches('/').to_owned();
            // Its drivers take the password from PGPASSWORD, as libpq does: https://pkg.go.dev/github.com/lib/pq.
            let verb = |words: &[&str]| {
                words_of(&[&["migrate", "-path", &here, "-database", "{bare_url}"], words].concat())
            };
            project.commands.apply = verb(&["up"]);
            project.commands.status = verb(&["version"]);
            project.commands.down = verb(&["down", "1"]);
            project.folders = vec![folder];
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["version", "dirty"]) {
            return Reading::untold(Some(lacking));
        }
        up_to(project, rows, "version", |row| row.truth("dirty") == Some(true))
    }
}

/// Records of a history that is the number of the newest migration: all up to it are taken as applied.
pub(super) fn up_to(
    project: &Project,
    rows: &Rows,
    column: &str,
    failed: impl Fn(crate::history::Row<'_>) -> bool,
) -> Reading {
    let mut reading = Reading::default();
    let Some((row, newest)) = rows.iter().find_map(|row| Some((row, row.int(column)?))) else {
        return reading;
    };
    for migration in &project.migrations {
        let number = text::number(&migration.key);
        if number <= newest {
            let mut record = Record::applied(migration.key.clone());
            record.assumed = number < newest;
            if number == newest && failed(row) {
                record.outcome = Outcome::Failed;
            }
            reading.records.push(record);
        }
    }
    if newest > 0 && !project.migrations.iter().any(|migration| migration.key == newest.to_string()) {
        reading.records.push(Record::applied(newest.to_string()));
    }
    reading
}

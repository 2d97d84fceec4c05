//! Numbered SQL files that no tool was recognised for. Nothing tells what was applied.

use super::Adapter;
use super::common::{numbered_files, opaque, sort_by_number};
use crate::history::Rows;
use crate::model::{Late, Project};
use crate::scan::Context;
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct PlainSql;

/// Folders of this name hold migrations, not just any scripts.
const FOLDERS: &[&str] = &["migrations", "migration", "migrate"];

fn passes(name: &str) -> bool {
    let (digits, rest) = text::leading_digits(name);
    !digits.is_empty()
        && name.ends_with(".sql")
        && !name.ends_with(".down.sql")
        && rest.starts_with(['_', '-', '.'])
}

impl Adapter for PlainSql {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for folder in context.folders_with(passes) {
            let (root, name) = text::split_path(&folder);
            if !FOLDERS.contains(&name) || context.is_claimed(&folder) {
                continue;
            }
            let mut project = Project::new(Tool::PlainSql, root);
            project.late = Late::Runs;
            numbered_files(context, &mut project, &folder, passes, opaque);
            for migration in &mut project.migrations {
                text::split_path(&migration.path).1.clone_into(&mut migration.key);
            }
            sort_by_number(&mut project.migrations);
            project.folders = vec![folder.clone()];
            projects.push(project);
        }
        projects
    }

    fn read(&self, _: &Project, _: &Rows) -> Reading {
        Reading::untold(None)
    }
}

//! SeaORM: a crate of migrations, which its `Migrator` lists in order.

use super::Adapter;
use super::common::{database_url, keyed, opaque, words_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Down, Late, Project, Table};
use crate::scan::Context;
use crate::status::Reading;
use crate::text;
use crate::tool::Tool;

pub(crate) struct SeaOrm;

impl Adapter for SeaOrm {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for manifest in context.named(&["Cargo.toml"]) {
            let root = text::split_path(&manifest).0.to_owned();
            let library = text::join(&root, "src/lib.rs");
            if !context.text(&manifest).is_some_and(|text| text::has_word(&text, "sea-orm-migration")) {
                continue;
            }
            let Some(list) = context.text(&library).filter(|text| text.contains("MigratorTrait")) else {
                continue;
            };
            let mut project = Project::new(Tool::SeaOrm, &root);
            let folder = text::join(&root, "src");
            project.history = Some(Table::new(None, "seaql_migrations"));
            project.late = Late::Runs;
            project.config = Some(library.clone());
            let mut order = Vec::new();
            for path in context.children(&folder) {
                let name = text::stem(text::split_path(&path).1).to_owned();
                let numbered = name
                    .strip_prefix('m')
                    .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()));
                if !path.ends_with(".rs") || !numbered {
                    continue;
                }
                let (mut migration, _) = context.migration(&mut project, &path, opaque);
                let (digits, rest) = text::leading_digits(&name[1..]);
                migration.version = Some(digits.to_owned());
                rest.trim_start_matches('_').clone_into(&mut migration.name);
                migration.down = Down::SameFile;
                if let Some(at) = list.find(&format!("{name}::Migration")) {
                    order.push((at, migration));
                } else {
                    let message =
                        format!("{name} is not in the list of the Migrator, which takes no notice of it");
                    let hint = "Add `mod` and `Box::new(…::Migration)` to lib.rs.";
                    project.diagnostics.push(Diagnostic::warning(Code::OutOfStep, &path, 1, message, hint));
                }
            }
            order.sort_by_key(|(at, _)| *at);
            project.migrations = order.into_iter().map(|(_, migration)| migration).collect();
            project.folders = vec![folder];
            project.commands.env = database_url();
            // Without `-u` the tool would hand DATABASE_URL on as an argument of `cargo run`. Its driver takes the
            // password from PGPASSWORD: https://docs.rs/sqlx/latest/sqlx/postgres/struct.PgConnectOptions.html.
            let verb =
                |verb: &str| words_of(&["sea-orm-cli", "migrate", verb, "-u", "{bare_url}", "-d", "."]);
            project.commands.apply = verb("up");
            project.commands.status = verb("status");
            project.commands.down = verb("down");
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        keyed(project, rows, "version", Some("applied_at"))
    }
}

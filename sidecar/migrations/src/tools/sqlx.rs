//! sqlx: `<version>_<name>.sql`, or a pair of `.up.sql` and `.down.sql`.

use super::Adapter;
use super::common::{lacks, opaque, sort_by_number, words_of};
use crate::checksum;
use crate::history::Rows;
use crate::model::{Down, Late, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::{Outcome, Reading, Record};
use crate::text;
use crate::tool::Tool;

pub(crate) struct Sqlx;

fn parse(file: &File<'_>, facts: &mut Facts) {
    facts.checksums = vec![checksum::sha384(file.bytes)];
}

fn passes(name: &str) -> bool {
    name.ends_with(".sql")
        && !name.ends_with(".down.sql")
        && text::leading_digits(name).1.starts_with('_')
        && !name.starts_with('_')
}

impl Adapter for Sqlx {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for manifest in context.named(&["Cargo.toml"]) {
            let Some(text) = context.text(&manifest) else { continue };
            let root = text::split_path(&manifest).0.to_owned();
            let config = text::join(&root, "sqlx.toml");
            if !(text::has_word(&text, "sqlx") || context.exists(&config)) {
                continue;
            }
            let mut project = Project::new(Tool::Sqlx, &root);
            let settings = context.toml(&config, &mut project.diagnostics);
            let migrate = settings.as_ref().and_then(|settings| settings.get("migrate"));
            let get =
                |name: &str| migrate.and_then(|migrate| migrate.get(name)).and_then(toml::Value::as_str);
            let folder = text::join(&root, get("migrations-dir").unwrap_or("migrations"));
            if !context.has_folder(&folder) || context.is_claimed(&folder) {
                continue;
            }
            let (schema, table) =
                get("table-name").unwrap_or("_sqlx_migrations").split_once('.').map_or_else(
                    || (None, get("table-name").unwrap_or("_sqlx_migrations")),
                    |(schema, table)| (Some(schema), table),
                );
            project.history = Some(Table::new(schema, table));
            project.config = Some(if context.exists(&config) { config } else { manifest.clone() });
            project.late = Late::Runs;
            // Characters that the tool is told to leave out of the hash change every checksum.
            let ignores = migrate.and_then(|migrate| migrate.get("ignored-chars")).is_some();
            super::common::numbered_files(
                context,
                &mut project,
                &folder,
                passes,
                if ignores { opaque } else { parse },
            );
            if project.migrations.is_empty() {
                continue;
            }
            for migration in &mut project.migrations {
                let digits = migration.version.clone().unwrap_or_default();
                migration.key = text::number(&digits).to_string();
                migration.name = migration.name.replace('_', " ");
                let down = migration.path.replace(".up.sql", ".down.sql");
                if down != migration.path && context.exists(&down) {
                    migration.down = Down::File(down);
                }
            }
            sort_by_number(&mut project.migrations);
            project.folders = vec![folder];
            // `sqlx.toml` may name another variable than DATABASE_URL. The password is taken from PGPASSWORD:
            // https://docs.rs/sqlx/latest/sqlx/postgres/struct.PgConnectOptions.html.
            let verb = |verb: &str| words_of(&["sqlx", "migrate", verb, "--database-url", "{bare_url}"]);
            project.commands.apply = verb("run");
            project.commands.status = verb("info");
            if project.migrations.iter().any(|migration| migration.down != Down::None) {
                project.commands.down = verb("revert");
            }
            projects.push(project);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) = lacks(project, rows, &["version", "success", "checksum"]) {
            return Reading::untold(Some(lacking));
        }
        let records = rows.by_number("version").into_iter().map(|row| {
            let mut record = Record::applied(row.text("version").unwrap_or_default());
            record.name = row.text("description").map(|name| format!("{} {name}", record.key));
            record.at = row.text("installed_on");
            record.took_ms =
                row.float("execution_time").filter(|nanos| *nanos >= 0.0).map(|nanos| nanos / 1e6);
            record.checksum = row.hex("checksum");
            if row.truth("success") != Some(true) {
                record.outcome = Outcome::Failed;
            }
            record
        });
        Reading { records: records.collect(), ..Reading::default() }
    }
}

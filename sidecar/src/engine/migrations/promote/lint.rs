//! What the rules for statements say of files that wait.

use std::sync::Arc;

use offshoot_migrations::sql::{Known, TableSize, Weight, lint_on, place_of_offset};
use offshoot_migrations::{Direction, Scan};
use offshoot_storage::BranchId;

use super::Waiting;
use crate::engine::Engine;
use crate::engine::migrations::sizes;
use crate::engine::migrations::status::Place;
use crate::failure::Result;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Errors, with their places.
    pub(super) errors: Vec<String>,
    /// Why files could not be looked at.
    pub(super) programs: Vec<String>,
}

/// The errors of files on a branch, whose tables are as large as they are.
pub(super) async fn findings(
    engine: &Arc<Engine>,
    place: &Place,
    scan: &Arc<Scan>,
    waiting: &Waiting,
    id: BranchId,
) -> Result<Findings> {
    let tables = sizes::of(engine, id).await.into_iter().map(|table| TableSize {
        schema: table.schema,
        name: table.name,
        rows: table.rows,
        bytes: table.bytes,
        partitioned: table.partitioned,
        visible: table.visible,
    });
    let known = Known::of_tables(tables);
    let (root, scan, waiting) = (place.root.clone(), Arc::clone(scan), waiting.clone());
    let work = move |engine: &Arc<Engine>| {
        let major = engine.store.info().postgres.version.major;
        let mut found = Findings::default();
        for (at, files) in waiting {
            let project = &scan.projects[at];
            for migration in files.into_iter().map(|file| &project.migrations[file]) {
                let read = |path: &str| {
                    std::fs::read(root.join(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                };
                let (path, beside) = match project.script_files(migration, Direction::Up) {
                    Ok(files) => files,
                    Err(not_sql) => {
                        found.programs.push(not_sql.message(&migration.path));
                        continue;
                    }
                };
                let text = match read(&path) {
                    Ok(text) => text,
                    Err(error) => {
                        found.programs.push(format!("{path} cannot be read: {error}"));
                        continue;
                    }
                };
                let beside = beside.and_then(|path| read(&path).ok());
                let script = match project.script(migration, Direction::Up, &text, beside.as_deref()) {
                    Ok(script) => script,
                    Err(not_sql) => {
                        found.programs.push(not_sql.message(&path));
                        continue;
                    }
                };
                let start = script.range.start;
                let all = lint_on(&text[script.range.clone()], major, script.transactional, &known);
                found.errors.extend(all.into_iter().filter(|finding| finding.weight == Weight::Error).map(
                    |finding| {
                        let line = place_of_offset(&text, start + finding.range.start).line;
                        format!("{path}:{line}: {} ({})", finding.message, finding.rule)
                    },
                ));
            }
        }
        Ok(found)
    };
    engine.blocking(work).await
}

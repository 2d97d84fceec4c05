//! Migrations that were written from a branch, which has what they make.

use offshoot_migrations::{BranchStatus, Next, Project, Subject};
use offshoot_protocol::migrations::{MigrationDiagnostic, MigrationSeverity};
use offshoot_storage::BranchId;

use super::advice;
use crate::engine::Engine;
use crate::failure::{Failure, Result};

/// Under which name a branch's notes hold the paths of such files.
const NOTE: &str = "migrations-written";
/// Paths that are kept.
const MOST: usize = 50;

fn list(engine: &Engine, id: BranchId) -> Result<Vec<String>> {
    let text = engine.store.note(id, NOTE)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Notes that these files were written from the branch. Blocks.
pub(super) fn note(engine: &Engine, id: BranchId, files: &[String]) -> Result<()> {
    let mut paths = list(engine, id)?;
    paths.extend(files.iter().cloned());
    let text = serde_json::to_string(&paths[paths.len().saturating_sub(MOST)..]);
    let text = text.map_err(|e| Failure::internal(e.to_string()))?;
    Ok(engine.store.set_note(id, NOTE, &text)?)
}

/// What to tell of such files that wait on the branch: an apply would fail on them. Blocks.
pub(super) fn told(
    engine: &Engine,
    id: BranchId,
    name: &str,
    project: &Project,
    status: &BranchStatus,
) -> Result<Vec<MigrationDiagnostic>> {
    let paths = list(engine, id)?;
    let waiting = status.entries.iter().filter_map(|entry| match entry.subject {
        Subject::File(place) if entry.next == Next::Runs => Some(&project.migrations[place]),
        _ => None,
    });
    let is_root = id == engine.store.root_branch();
    let theirs = waiting.filter(|migration| paths.contains(&migration.path));
    Ok(theirs
        .map(|migration| MigrationDiagnostic {
            path: migration.path.clone(),
            line: migration.line,
            severity: MigrationSeverity::Warning,
            code: "writtenHere".to_owned(),
            message: format!(
                "it was written from {name}, which has what it makes: an apply there would fail"
            ),
            hint: hint(name, is_root, advice::mark(project, &migration.path)),
        })
        .collect())
}

/// How the branch comes to have the file applied. A root branch has no parent to be reset to.
fn hint(name: &str, is_root: bool, mark: Option<String>) -> String {
    let mut ways = Vec::new();
    if !is_root {
        ways.push(format!(
            "`offshoot branch reset {name}` and then `offshoot migrations apply` make the branch anew from its parent and the \
             files, without rows typed in by hand."
        ));
    }
    ways.extend(mark.map(|command| format!("`{command}` records it as applied.")));
    if ways.is_empty() {
        ways.push("Record it as applied with the tool.".to_owned());
    }
    ways.join(" ")
}

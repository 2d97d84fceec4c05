//! The line above a migration: what it has done to this branch, and what can be done with it.

use std::collections::BTreeSet;
use std::path::Path;

use offshoot_protocol::migrations::{MigrationBranch, MigrationNext, MigrationProject, MigrationState};
use serde_json::json;
use tower_lsp_server::ls_types::{CodeLens, Command, Position, Range};

use super::book::{Book, Found, entry, own_branch};

/// The lenses of a file.
pub(super) fn lenses(book: &Book, root: &Path, path: &str) -> Vec<CodeLens> {
    let unfinished: BTreeSet<&str> = book.unfinished().collect();
    book.migrations_in(path).flat_map(|found| of_migration(root, &found, &unfinished)).collect()
}

/// The lenses of a migration. `unfinished` are the files with a merge in them that is not finished: the tool would run its markers.
fn of_migration(root: &Path, found: &Found<'_>, unfinished: &BTreeSet<&str>) -> Vec<CodeLens> {
    let Found { project, index, file } = *found;
    let Some(branch) = own_branch(project) else { return Vec::new() };
    let line = file.line.saturating_sub(1);
    let range = Range::new(Position::new(line, 0), Position::new(line, 0));
    let argument = json!({ "worktree": root.to_string_lossy(), "project": project.id, "path": file.path });
    let lens = |title: String, command: &str| CodeLens {
        range,
        command: Some(Command {
            title,
            command: command.to_owned(),
            arguments: Some(vec![argument.clone()]),
        }),
        data: None,
    };
    let name = &branch.branch;
    let Some(entry) = entry(branch, index).filter(|_| branch.unread.is_none()) else {
        return vec![
            lens(format!("$(question) Not known on {name}"), "offshoot.migrations.focus"),
            lens("Read".to_owned(), "offshoot.refreshMigrations"),
        ];
    };
    let (icon, words) = words(entry.state, entry.next);
    let shows = if entry.state == MigrationState::Changed {
        "offshoot.compareMigration"
    } else {
        "offshoot.migrations.focus"
    };
    let mut all = vec![lens(format!("$({icon}) {words} {name}"), shows)];
    if entry.next == MigrationNext::Runs && !unfinished.contains(file.path.as_str()) {
        if project.commands.apply.is_some() && !waits_on(project, branch, unfinished) {
            all.push(lens(with_others("Apply Here", branch), "offshoot.applyMigrations"));
        }
        let of_tool = |title: &str| {
            // What is a program runs only with all that is pending.
            if project.can_replay { title.to_owned() } else { with_others(title, branch) }
        };
        all.push(lens(of_tool("Apply on a Throwaway"), "offshoot.tryMigration"));
        all.push(lens(of_tool("Preview Diff"), "offshoot.previewMigration"));
        if project.can_replay {
            all.push(lens("Measure Locks".to_owned(), "offshoot.measureMigration"));
        }
    }
    if branch.undo.is_some() && entry.state == MigrationState::Applied && is_newest(found) {
        all.push(lens("Undo".to_owned(), "offshoot.undoMigrations"));
    }
    all
}

/// The title of what runs all that is pending.
fn with_others(title: &str, branch: &MigrationBranch) -> String {
    match branch.pending.saturating_sub(1) {
        0 => title.to_owned(),
        1 => format!("{title}, with 1 Other"),
        others => format!("{title}, with {others} Others"),
    }
}

/// Whether the tool would run one of these files, too.
fn waits_on(project: &MigrationProject, branch: &MigrationBranch, files: &BTreeSet<&str>) -> bool {
    let next = branch.entries.iter().filter(|entry| entry.next == MigrationNext::Runs);
    let paths = next.filter_map(|entry| project.files.get(entry.file? as usize));
    paths.into_iter().any(|file| files.contains(file.path.as_str()))
}

/// Whether no later migration has run.
fn is_newest(found: &Found<'_>) -> bool {
    let applied = own_branch(found.project).into_iter().flat_map(|branch| &branch.entries);
    let files = applied.filter(|entry| entry.state == MigrationState::Applied).filter_map(|entry| entry.file);
    files.max().is_some_and(|file| file as usize == found.index)
}

/// An icon, and a state in words that the name of a branch follows.
pub(super) fn words(state: MigrationState, next: MigrationNext) -> (&'static str, &'static str) {
    match (state, next) {
        (MigrationState::Applied, _) => ("check", "Applied to"),
        (MigrationState::Pending, MigrationNext::Refuses) => {
            ("warning", "Pending, and refused by the tool, on")
        }
        (MigrationState::Pending, MigrationNext::Skips) => {
            ("warning", "Pending, and passed over by the tool, on")
        }
        (MigrationState::Pending, _) => ("circle-outline", "Pending on"),
        (MigrationState::Failed, _) => ("error", "Failed on"),
        (MigrationState::OutOfOrder, MigrationNext::Refuses) => {
            ("warning", "Older than the newest applied one, and refused by the tool, on")
        }
        (MigrationState::OutOfOrder, MigrationNext::Skips) => {
            ("warning", "Older than the newest applied one, and passed over by the tool, on")
        }
        (MigrationState::OutOfOrder, _) => ("warning", "Older than the newest applied one on"),
        (MigrationState::Changed, _) => ("warning", "Changed since it ran on"),
        (MigrationState::Missing, _) => ("warning", "Without a file on"),
        (MigrationState::UnknownRow, _) => ("question", "Not placed on"),
        (MigrationState::Baseline, _) => ("dash", "Before the beginning of the history of"),
        (MigrationState::Ignored, _) => ("dash", "Taken no notice of on"),
        (MigrationState::Unknown, _) => ("question", "Not known on"),
    }
}

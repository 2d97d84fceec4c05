//! What is told of a migration under the pointer, at its first line.

use std::fmt::Write as _;

use offshoot_protocol::migrations::MigrationState;
use tower_lsp_server::ls_types::{Hover, HoverContents, MarkupContent, MarkupKind, Position};

use super::book::{Book, Found, entry, is_absent, own_branch};
use super::lens::words;

/// Branches that are named for a state; of more the number is told.
const MOST_NAMES: usize = 8;

/// The hover at a position of a file.
pub(super) fn hover(book: &Book, path: &str, at: Position) -> Option<Hover> {
    let found = book.migrations_in(path).find(|found| found.file.line.saturating_sub(1) == at.line)?;
    let value = text(book, &found);
    Some(Hover {
        contents: HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value }),
        range: None,
    })
}

fn text(book: &Book, found: &Found<'_>) -> String {
    let Found { project, index, file } = *found;
    let mut text = format!("**{}** migration `{}`", project.name, code(&file.name));
    if let Some(version) = &file.version {
        let _ = write!(text, ", version `{}`", code(version));
    }
    text.push_str("\n\n");
    if let Some(branch) = own_branch(project) {
        match entry(branch, index) {
            Some(entry) if branch.unread.is_none() => {
                let _ = write!(text, "- {} `{}`", words(entry.state, entry.next).1, code(&branch.branch));
                if let Some(at) = &entry.at {
                    let _ = write!(text, ", {at}");
                }
                if let Some(took) = entry.took_ms {
                    let _ = write!(text, ", in {}", milliseconds(took));
                }
                text.push('\n');
                if let Some(note) = &entry.note {
                    let _ = writeln!(text, "- {}", note.replace('\n', "\n  "));
                }
            }
            _ => {
                let why = branch.unread.as_deref().unwrap_or("its history was not read");
                let _ = writeln!(text, "- Not known on `{}`: {why}", code(&branch.branch));
            }
        }
    }
    elsewhere(&mut text, found);
    if let Some(history) = &project.history {
        let _ = writeln!(text, "- History: `{}`", code(history));
    }
    if let Some(sum) = checksum(book, found) {
        let _ = writeln!(text, "- Checksum: `{}`", code(&sum));
    }
    if file.has_down {
        text.push_str("- It can be taken back.\n");
    }
    text
}

/// The other branches by state. Applied entries of theirs are left out on the wire.
fn elsewhere(text: &mut String, found: &Found<'_>) {
    let mut states: Vec<(&str, Vec<&str>)> = Vec::new();
    for branch in found.project.branches.iter().skip(1).filter(|branch| branch.unread.is_none()) {
        let word = match entry(branch, found.index) {
            Some(entry) => words(entry.state, entry.next).1,
            None if is_absent(branch, found.index) => "Not among the files of",
            None => words(MigrationState::Applied, offshoot_protocol::migrations::MigrationNext::Nothing).1,
        };
        match states.iter_mut().find(|(known, _)| *known == word) {
            Some((_, names)) => names.push(&branch.branch),
            None => states.push((word, vec![&branch.branch])),
        }
    }
    for (word, names) in states {
        let named: Vec<String> =
            names.iter().take(MOST_NAMES).map(|name| format!("`{}`", code(name))).collect();
        let more = match names.len().saturating_sub(MOST_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(text, "- {word} {}{more}", named.join(", "));
    }
}

/// The tool's checksum of the file as it is saved, if it has one.
fn checksum(book: &Book, found: &Found<'_>) -> Option<String> {
    let projects = book.scan.projects.iter();
    let mut same = projects
        .filter(|project| project.tool.id() == found.project.tool && project.root == found.project.root);
    let migrations = &same.next()?.migrations;
    migrations.iter().find(|migration| migration.key == found.file.key)?.checksums.first().cloned()
}

/// Text between backquotes.
fn code(text: &str) -> String {
    text.replace('`', "'")
}

fn milliseconds(took: f64) -> String {
    if took < 1000.0 { format!("{took:.0} ms") } else { format!("{:.1} s", took / 1000.0) }
}

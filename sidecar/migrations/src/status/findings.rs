//! What is said on lines of the state of migrations.

use super::{Entry, Next, State, Subject};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::model::Project;

/// What an entry is to be complained of.
pub(super) fn finding(project: &Project, entry: &Entry) -> Option<Diagnostic> {
    let (path, line, name) = match &entry.subject {
        Subject::File(place) => {
            let migration = &project.migrations[*place];
            (migration.path.as_str(), migration.line, migration.name.as_str())
        }
        Subject::Row(name) => ("", 1, name.as_str()),
    };
    let tool = project.tool.name();
    let (severity, code, message, hint) = match entry.state {
        State::Changed => (
            Severity::Warning,
            Code::ChangedAfterApply,
            format!("{name} was changed after it was applied"),
            "Take the change back and write a new migration, or reset the branch and apply it again."
                .to_owned(),
        ),
        State::Failed => (
            Severity::Error,
            Code::FailedMigration,
            match &entry.note {
                Some(note) => format!("{name} failed: {note}"),
                None => format!("{name} failed or was left half done"),
            },
            format!("Correct it, repair the history as {tool} wants it, and apply again."),
        ),
        State::OutOfOrder => (
            Severity::Warning,
            Code::OutOfOrder,
            format!("{name} was not applied, although a newer one was"),
            match entry.next {
                Next::Skips => format!("{tool} will never run it; give it a newer version."),
                Next::Refuses => {
                    format!("{tool} refuses to go on; give it a newer version, or allow it out of order.")
                }
                _ => format!("{tool} will run it now, after the newer ones."),
            },
        ),
        State::Missing => (
            Severity::Warning,
            Code::MissingFile,
            format!("{name} was applied, and its file is not here"),
            "It may be on another git branch; merge it, or reset the database branch.".to_owned(),
        ),
        State::UnknownRow => (
            Severity::Warning,
            Code::UnknownRow,
            format!("the history has a row {name} that {tool} does not write like this"),
            "Look at the history table; the row may be another tool's.".to_owned(),
        ),
        _ => return None,
    };
    Some(Diagnostic::new(severity, code, path, line, message, hint))
}

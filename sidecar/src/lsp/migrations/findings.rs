//! What is wrong with a file, as the editor shows it.

use offshoot_protocol::migrations::{MigrationDiagnostic, MigrationSeverity, MigrationsFailure};
use tower_lsp_server::ls_types::{Diagnostic, DiagnosticSeverity, NumberOrString, Position, Range};

use super::book::Book;

/// Who says so.
pub(super) const SOURCE: &str = "Offshoot";
/// Beyond the end of every line; editors take it for the end.
const END_OF_LINE: u32 = 10_000;

/// What the engine says of a file, and what failed in it.
pub(super) fn of_book(book: &Book, path: &str) -> Vec<Diagnostic> {
    let told = book.diagnostics().filter(|found| found.path == path).map(diagnostic);
    let failures = book.failures.iter().filter(|failure| failure.path == path).map(failed);
    let mut all: Vec<Diagnostic> = Vec::new();
    // Several migrations of a file may have the same to say.
    for found in told.chain(failures) {
        if !all.contains(&found) {
            all.push(found);
        }
    }
    all
}

fn diagnostic(found: &MigrationDiagnostic) -> Diagnostic {
    let line = found.line.saturating_sub(1);
    let severity = match found.severity {
        MigrationSeverity::Note => DiagnosticSeverity::INFORMATION,
        MigrationSeverity::Warning => DiagnosticSeverity::WARNING,
        MigrationSeverity::Error => DiagnosticSeverity::ERROR,
    };
    Diagnostic {
        range: Range::new(Position::new(line, 0), Position::new(line, END_OF_LINE)),
        severity: Some(severity),
        code: Some(NumberOrString::String(found.code.clone())),
        source: Some(SOURCE.to_owned()),
        message: with_hint(&found.message, Some(&found.hint)),
        ..Diagnostic::default()
    }
}

fn failed(failure: &MigrationsFailure) -> Diagnostic {
    let line = failure.line.saturating_sub(1);
    let start = Position::new(line, failure.column.saturating_sub(1));
    Diagnostic {
        range: Range::new(start, Position::new(line, END_OF_LINE)),
        severity: Some(DiagnosticSeverity::ERROR),
        code: Some(NumberOrString::String(failure.code.clone())),
        source: Some("Postgres".to_owned()),
        message: with_hint(&failure.message, failure.hint.as_ref()),
        ..Diagnostic::default()
    }
}

/// A message, and on another line what to do.
pub(super) fn with_hint(message: &str, hint: Option<&String>) -> String {
    match hint.filter(|hint| !hint.is_empty()) {
        Some(hint) => format!("{message}\n{hint}"),
        None => message.to_owned(),
    }
}

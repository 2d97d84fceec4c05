//! What is wrong with a configuration, a migration file or a history table, and where.

use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Something to know.
    Note,
    /// The status may be wrong or the tool may behave unexpectedly.
    Warning,
    /// The tool refuses, or the status cannot be told.
    Error,
}

/// The kind of a diagnostic, stable for tests and settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// A configuration file is not of its format.
    MalformedConfig,
    /// A setting is computed at run time, so that the default is assumed.
    ComputedSetting,
    /// A setting names a folder that is not there.
    MissingFolder,
    /// A file could not be read.
    Unreadable,
    /// A merge was not finished in a file.
    ConflictMarkers,
    /// A migration file has no content.
    EmptyFile,
    /// A migration file lacks a part that its tool needs.
    Incomplete,
    /// Two files claim one version.
    DuplicateVersion,
    /// There is more than one newest revision.
    SeveralHeads,
    /// A file refers to a migration that does not exist.
    UnknownParent,
    /// Migrations wait for each other in a circle.
    Cycle,
    /// The tool's own list or sum file does not fit the files.
    OutOfStep,
    /// A file changed after it was applied.
    ChangedAfterApply,
    /// A file is older than the newest applied one.
    OutOfOrder,
    /// A migration failed, or was left half done.
    FailedMigration,
    /// The history names a migration without a file.
    MissingFile,
    /// The history has a row that the tool's module cannot place.
    UnknownRow,
    /// The history table has not the columns that are expected.
    HistoryShape,
    /// The history table must not be read.
    NoPermission,
    /// The history table could not be read.
    HistoryFailed,
}

/// One finding: where it is, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, relative to the repository. Empty if it is about no file, but the database.
    pub path: String,
    /// Line in the file, from 1.
    pub line: u32,
    /// How bad.
    pub severity: Severity,
    /// Its kind.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to do next. May be empty.
    pub hint: String,
}

impl Diagnostic {
    pub(crate) fn new(
        severity: Severity,
        code: Code,
        path: &str,
        line: u32,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            line: line.max(1),
            severity,
            code,
            message: message.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn error(
        code: Code,
        path: &str,
        line: u32,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Error, code, path, line, message, hint)
    }

    pub(crate) fn warning(
        code: Code,
        path: &str,
        line: u32,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(Severity::Warning, code, path, line, message, hint)
    }
}

impl fmt::Display for Diagnostic {
    /// `path:line: message`, as compilers write it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(out, "{}:{}: ", self.path, self.line)?;
        }
        out.write_str(&self.message)
    }
}

//! Open migration files, and what the rules for dangerous statements say of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use offshoot_migrations::sql::{Edit, Finding, Known, Piece, Weight, lint_on, place_of_offset, split};
use offshoot_migrations::{Direction, Project, Scan};
use tower_lsp_server::ls_types::{
    CodeDescription, Diagnostic, DiagnosticSeverity, NumberOrString, Position, Range, Uri,
};

use super::findings::{SOURCE, with_hint};
use super::{Migrations, Shared};

/// Longer files are data.
const MOST_BYTES: usize = 1 << 20;
/// Where squawk explains its rules.
const RULES: &str = "https://squawkhq.com/docs/";
/// How the names of our own rules begin.
const OURS: &str = "long-";
/// Rules about style, and about settings that a person may have made elsewhere.
const MINOR: &[&str] = &[
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-robust-stmts",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "require-lock-timeout",
    "require-statement-timeout",
];

/// A file that is open in the editor.
pub(super) struct Document {
    pub(super) uri: Uri,
    pub(super) text: Arc<str>,
    /// Of the text that was checked last.
    findings: Vec<Finding>,
    checked: Option<Arc<str>>,
    /// It is to be checked.
    stale: bool,
    checking: bool,
}

impl Document {
    pub(super) fn new(uri: Uri) -> Self {
        Self { uri, text: Arc::from(""), findings: Vec::new(), checked: None, stale: true, checking: false }
    }

    /// Takes the text. Returns whether it is another than before.
    pub(super) fn set(&mut self, uri: &Uri, text: String) -> bool {
        self.uri = uri.clone();
        let is_change = self.checked.is_some() && *self.text != *text;
        self.text = text.into();
        self.stale = true;
        is_change
    }

    /// The findings, if they are about the present text.
    pub(super) fn current(&self) -> &[Finding] {
        let is_current = self.checked.as_ref().is_some_and(|checked| Arc::ptr_eq(checked, &self.text));
        if is_current { &self.findings } else { &[] }
    }

    /// The findings as the editor shows them.
    pub(super) fn diagnostics(&self) -> impl Iterator<Item = Diagnostic> {
        let text = self.checked.clone().unwrap_or_else(|| Arc::clone(&self.text));
        self.findings.iter().map(move |finding| Diagnostic {
            range: range(&text, finding.range.clone()),
            severity: Some(severity(finding)),
            code: Some(NumberOrString::String(finding.rule.clone())),
            code_description: explained(&finding.rule),
            source: Some(SOURCE.to_owned()),
            message: with_hint(&finding.message, finding.help.as_ref()),
            ..Diagnostic::default()
        })
    }
}

fn severity(finding: &Finding) -> DiagnosticSeverity {
    match finding.weight {
        _ if MINOR.contains(&finding.rule.as_str()) => DiagnosticSeverity::HINT,
        Weight::Hint => DiagnosticSeverity::HINT,
        Weight::Warning => DiagnosticSeverity::WARNING,
        Weight::Error => DiagnosticSeverity::ERROR,
    }
}

/// Where a rule is explained; ours say all in their message.
fn explained(rule: &str) -> Option<CodeDescription> {
    if rule.starts_with(OURS) {
        return None;
    }
    format!("{RULES}{rule}").parse().ok().map(|href| CodeDescription { href })
}

/// Bytes as lines and UTF-16 units. Only the first line of a long statement is underlined.
pub(super) fn range(text: &str, bytes: std::ops::Range<usize>) -> Range {
    let place = |offset: usize| {
        let place = place_of_offset(text, offset);
        Position::new(place.line - 1, place.utf16)
    };
    let first_line = text[bytes.start.min(text.len())..].find('\n').map_or(text.len(), |at| bytes.start + at);
    Range::new(place(bytes.start), place(bytes.end.min(first_line).max(bytes.start)))
}

/// The title of a quick fix, and its edits.
type Fix = (String, Vec<Edit>);

/// What it takes to check a file.
struct Context {
    scan: Arc<Scan>,
    name: String,
    root: PathBuf,
    postgres: u32,
    tables: Arc<Known>,
}

impl Migrations {
    /// Checks the open files of a worktree again.
    pub(super) fn lint_below(&self, shared: &Arc<Shared>, root: &Path) {
        let paths: Vec<PathBuf> = {
            let mut state = self.lock();
            let below = state.open.iter_mut().filter(|(path, _)| path.starts_with(root));
            below.map(|(path, document)| (document.stale = true, path.clone()).1).collect()
        };
        for path in paths {
            self.lint(shared, path);
        }
    }

    /// Checks a file, on a thread.
    pub(super) fn lint(&self, shared: &Arc<Shared>, path: PathBuf) {
        {
            let mut state = self.lock();
            let Some(document) = state.open.get_mut(&path) else { return };
            if std::mem::replace(&mut document.checking, true) {
                return;
            }
        }
        let shared = Arc::clone(shared);
        tokio::task::spawn_blocking(move || while shared.migrations.lint_once(&path) {});
    }

    /// Returns whether to look again.
    fn lint_once(&self, path: &Path) -> bool {
        let (text, context) = {
            let mut state = self.lock();
            let context = state.place(path).and_then(|(root, name)| {
                let book = state.books.get(root)?;
                let mut found = book.migrations_in(name);
                let wanted = found.any(|found| !book.is_settled(found.project, found.index));
                wanted.then(|| Context {
                    scan: Arc::clone(&book.scan),
                    name: name.to_owned(),
                    root: root.clone(),
                    postgres: book.postgres(),
                    tables: Arc::clone(&book.tables),
                })
            });
            let Some(document) = state.open.get_mut(path) else { return false };
            if !std::mem::take(&mut document.stale) {
                document.checking = false;
                return false;
            }
            (Arc::clone(&document.text), context)
        };
        let findings = context.map(|context| self.check(&context, &text)).unwrap_or_default();
        let mut state = self.lock();
        let Some(document) = state.open.get_mut(path) else { return false };
        document.findings = findings;
        document.checked = Some(text);
        self.publish(&mut state, path);
        true
    }
}

impl Migrations {
    /// What the rules say of all halves of a file that apply something.
    fn check(&self, context: &Context, text: &str) -> Vec<Finding> {
        if text.len() > MOST_BYTES {
            return Vec::new();
        }
        let mut all = Vec::new();
        for project in &context.scan.projects {
            for migration in project.migrations.iter().filter(|migration| migration.path == context.name) {
                let beside =
                    project.script_files(migration, Direction::Up).ok().and_then(|(_, beside)| beside);
                let beside = beside.and_then(|path| std::fs::read_to_string(context.root.join(path)).ok());
                // A program or a template is for its tool to understand.
                let Ok(script) = project.script(migration, Direction::Up, text, beside.as_deref()) else {
                    continue;
                };
                let start = script.range.start;
                let measured = self
                    .lock()
                    .books
                    .get(&context.root)
                    .map(|book| book.measured.of(&context.name, text, start));
                let known = Known::clone(&context.tables).with_measured(measured.unwrap_or_default());
                let part = &text[script.range.clone()];
                let found = lint_on(part, context.postgres, script.transactional, &known);
                let found = found.into_iter().filter(|finding| finding.rule != "syntax-error");
                all.extend(found.map(|finding| {
                    let mut finding = moved(finding, start);
                    if finding.alone && script.transactional {
                        finding.fix = take_out(finding.fix, project, text, part);
                    }
                    finding
                }));
            }
        }
        all
    }
}

/// A fix whose result cannot run in the transaction that the tool holds the file in, with what makes the tool hold it in none.
/// There is none if the tool has no word for that, or other statements would lose their transaction.
fn take_out(fix: Option<Fix>, project: &Project, text: &str, part: &str) -> Option<Fix> {
    let (title, mut edits) = fix?;
    let (at, word) = project.without_transaction(text)?;
    if split(part).iter().filter(|statement| statement.piece == Piece::Sql).count() != 1 {
        return None;
    }
    edits.push(Edit { range: at..at, text: word.to_owned() });
    Some((format!("{title}, Outside of a Transaction"), edits))
}

/// A finding of a part of a text as one of the whole.
fn moved(mut finding: Finding, by: usize) -> Finding {
    let shift = |range: std::ops::Range<usize>| range.start + by..range.end + by;
    finding.range = shift(finding.range);
    finding.fix = finding.fix.map(|(title, edits)| {
        let edits = edits.into_iter().map(|edit| Edit { range: shift(edit.range), ..edit });
        (title, edits.collect())
    });
    finding
}

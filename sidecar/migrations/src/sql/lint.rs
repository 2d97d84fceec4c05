//! Rules for statements that lock, break or lose data: squawk's, and ours where the database is known.
//!
//! `-- offshoot:ignore` on the line before a statement, or on its line, silences all rules for it;
//! `-- offshoot:ignore rule-a, rule-b` silences these. squawk's own comments work as well.

mod known;
mod touch;
mod weigh;

use std::ops::Range;

use squawk_linter::{Linter, Rule, Version};
use squawk_syntax::SourceFile;

use super::split::{Statement, split};
pub use known::{Known, Measurement, TableSize};
use weigh::{How, silences, weigh};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It does no harm on this branch.
    Hint,
    /// Something to look at.
    Warning,
    /// Others will wait for long.
    Error,
}

/// A change of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What to replace, in bytes.
    pub range: Range<usize>,
    /// What comes there instead.
    pub text: String,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule, such as `adding-required-field`; `syntax-error` if the script cannot be parsed there.
    pub rule: String,
    /// Where, in bytes.
    pub range: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do instead.
    pub help: Option<String>,
    /// The title of the quick fix and its edits.
    pub fix: Option<(String, Vec<Edit>)>,
    /// How much it weighs.
    pub weight: Weight,
    /// Whether what the fix makes can only run outside of a transaction.
    pub alone: bool,
}

/// Checks a script for a server of this major version. `in_transaction` says whether the tool runs it inside of one.
///
/// Syntax that the rules' parser does not know is left out: Postgres has the last word there.
pub fn lint(script: &str, postgres_major: u32, in_transaction: bool) -> Vec<Finding> {
    lint_on(script, postgres_major, in_transaction, &Known::default())
}

/// As [`lint`], on a database of which something is known: see [`Known`].
pub fn lint_on(script: &str, postgres_major: u32, in_transaction: bool, known: &Known) -> Vec<Finding> {
    let statements = split(script);
    let parsed = SourceFile::parse(script);
    let mut linter = Linter::with_default_rules();
    if let Ok(version) = postgres_major.to_string().parse::<Version>() {
        linter.settings.pg_version = version;
    }
    linter.settings.assume_in_transaction = in_transaction;
    let mut findings: Vec<Finding> = linter
        .lint(&parsed, script)
        .into_iter()
        .map(|violation| Finding {
            weight: Weight::Warning,
            alone: violation.code == Rule::RequireConcurrentIndexCreation,
            rule: violation.code.to_string(),
            range: usize::from(violation.text_range.start())..usize::from(violation.text_range.end()),
            message: violation.message,
            help: violation.help,
            fix: violation.fix.map(|fix| {
                let edits = fix.edits.into_iter();
                let edits = edits.map(|edit| Edit {
                    range: usize::from(edit.text_range.start())..usize::from(edit.text_range.end()),
                    text: edit.text.unwrap_or_default(),
                });
                (fix.title, edits.collect())
            }),
        })
        .collect();
    weigh(
        &mut findings,
        &parsed.tree(),
        known,
        &How { statements: &statements, in_transaction, postgres_major },
    );
    findings.retain(|finding| !ignored(script, &statements, finding));
    findings.sort_by(|a, b| (a.range.start, &a.rule).cmp(&(b.range.start, &b.rule)));
    findings
}

fn ignored(script: &str, statements: &[Statement], finding: &Finding) -> bool {
    let statement = statements.iter().rev().find(|statement| statement.range.start <= finding.range.start);
    let start = statement.map_or(finding.range.start, |statement| statement.range.start);
    let line_start = script[..start].rfind('\n').map_or(0, |at| at + 1);
    let end = statement.map_or(start, |statement| statement.range.end);
    let line_end = script[end..].find('\n').map_or(script.len(), |at| end + at);
    let before = script[..line_start].trim_end_matches('\n').rsplit('\n').next().unwrap_or_default();
    let before = if before.trim_start().starts_with("--") { before } else { "" };
    [before, &script[line_start..line_end]].iter().flat_map(|text| text.lines()).any(|line| {
        let Some((_, names)) = line.split_once("-- offshoot:ignore") else { return false };
        let mut names = names.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty()).peekable();
        names.peek().is_none() || names.any(|name| silences(name, &finding.rule))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(script: &str) -> Vec<String> {
        lint(script, 17, true).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_rule_fires_and_is_silenced_by_name_or_altogether() {
        let bad = "alter table t add column c int not null;\n";
        assert!(rules(bad).contains(&"adding-required-field".to_owned()), "{:?}", rules(bad));
        assert!(rules(&format!("-- offshoot:ignore\n{bad}")).is_empty());
        assert!(
            !rules(&format!("-- offshoot:ignore adding-required-field\n{bad}"))
                .contains(&"adding-required-field".to_owned())
        );
        assert!(
            rules(&format!("-- offshoot:ignore other\n{bad}")).contains(&"adding-required-field".to_owned())
        );
        assert!(
            rules(&format!("select 1; -- offshoot:ignore\n\n{bad}"))
                .contains(&"adding-required-field".to_owned())
        );
    }

    #[test]
    fn nonsense_is_no_finding_and_no_crash() {
        for script in ["", ";;;", "creat tabel", "select '", "\u{0}", "<<<<<<< HEAD"] {
            let _ = lint(script, 17, false);
        }
    }
}

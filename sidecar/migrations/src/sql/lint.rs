//! Rules for statements that lock, break or lose data, by squawk's linter; ours may be added by the caller.
//!
//! `-- offshoot:ignore` on the line before a statement, or on its line, silences all rules for it;
//! `-- offshoot:ignore rule-a, rule-b` silences these. squawk's own comments work as well.

use std::ops::Range;

use squawk_linter::{Linter, Version};
use squawk_syntax::SourceFile;

use super::split::{Statement, split};

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
}

/// Checks a script for a server of this major version. `in_transaction` says whether the tool runs it inside of one.
///
/// Syntax that the rules' parser does not know is left out: Postgres has the last word there.
pub fn lint(script: &str, postgres_major: u32, in_transaction: bool) -> Vec<Finding> {
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
        .filter(|finding| !ignored(script, &statements, finding))
        .collect();
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
        names.peek().is_none() || names.any(|name| name == finding.rule)
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

//! Quick fixes of findings: the rule's own, and a comment that silences it.

use std::collections::HashMap;

use offshoot_migrations::sql::{Finding, split};
use tower_lsp_server::ls_types::{
    CodeAction, CodeActionKind, CodeActionOrCommand, Position, Range, TextEdit, Uri, WorkspaceEdit,
};

use super::linting::{Document, range};

/// The comment that silences rules for the statement below.
const IGNORE: &str = "-- offshoot:ignore";

/// What can be done about the findings in a range.
pub(super) fn actions(document: &Document, wanted: Range) -> Vec<CodeActionOrCommand> {
    let text = document.text.as_ref();
    let touched = document.current().iter().filter(|finding| {
        let found = range(text, finding.range.clone());
        found.start <= wanted.end && wanted.start <= found.end
    });
    touched.flat_map(|finding| of_finding(&document.uri, text, finding)).collect()
}

fn of_finding(uri: &Uri, text: &str, finding: &Finding) -> Vec<CodeActionOrCommand> {
    let mut all = Vec::new();
    if let Some((title, edits)) = &finding.fix {
        let edits =
            edits.iter().map(|edit| TextEdit::new(exact(text, edit.range.clone()), edit.text.clone()));
        all.push(action(uri, title.clone(), edits.collect(), true));
    }
    all.push(action(
        uri,
        format!("Ignore {} for This Statement", finding.rule),
        vec![ignore(text, finding)],
        false,
    ));
    all
}

fn action(uri: &Uri, title: String, edits: Vec<TextEdit>, preferred: bool) -> CodeActionOrCommand {
    #[allow(clippy::mutable_key_type, reason = "the type is the protocol's; nothing in it is changed")]
    let changes = HashMap::from([(uri.clone(), edits)]);
    CodeActionOrCommand::CodeAction(CodeAction {
        title,
        kind: Some(CodeActionKind::QUICKFIX),
        edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
        is_preferred: preferred.then_some(true),
        ..CodeAction::default()
    })
}

/// A comment on the line above the statement, or one name more in the comment that is there.
fn ignore(text: &str, finding: &Finding) -> TextEdit {
    let statements = split(text);
    let statement = statements.iter().rev().find(|statement| statement.range.start <= finding.range.start);
    let start = statement.map_or(finding.range.start, |statement| statement.range.start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let indent: String = text[line_start..].chars().take_while(|c| *c == ' ' || *c == '\t').collect();
    let above =
        text[..line_start].strip_suffix('\n').map(|above| above.rsplit('\n').next().unwrap_or_default());
    if let Some(above) = above.filter(|above| above.trim_start().starts_with(&format!("{IGNORE} "))) {
        let end = line_start - 1 - (above.len() - above.trim_end().len());
        return TextEdit::new(exact(text, end..end), format!(", {}", finding.rule));
    }
    TextEdit::new(exact(text, line_start..line_start), format!("{indent}{IGNORE} {}\n", finding.rule))
}

/// Bytes as the protocol counts, over as many lines as they are.
fn exact(text: &str, bytes: std::ops::Range<usize>) -> Range {
    let place = |offset: usize| {
        let place = offshoot_migrations::sql::place_of_offset(text, offset);
        Position::new(place.line - 1, place.utf16)
    };
    Range::new(place(bytes.start), place(bytes.end))
}

#[cfg(test)]
mod tests {
    use offshoot_migrations::sql::lint;

    use super::*;

    fn ignored(text: &str) -> String {
        let finding =
            lint(text, 17, true).into_iter().find(|finding| finding.rule == "adding-required-field").unwrap();
        let edit = ignore(text, &finding);
        let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let line = &mut lines[edit.range.start.line as usize];
        line.insert_str(edit.range.start.character as usize, &edit.new_text);
        lines.join("\n")
    }

    #[test]
    fn a_comment_silences_the_rule_for_the_statement() {
        let text = "select 1;\n  alter table t\n    add column c int not null;\n";
        let wanted = "select 1;\n  -- offshoot:ignore adding-required-field\n  alter table t\n    add column c int not null;\n";
        assert_eq!(ignored(text), wanted);
        assert!(lint(wanted, 17, true).iter().all(|finding| finding.rule != "adding-required-field"));
    }

    #[test]
    fn a_comment_that_is_there_gets_one_name_more() {
        let text = "-- offshoot:ignore other  \nalter table t add column c int not null;\n";
        assert_eq!(ignored(text).lines().next(), Some("-- offshoot:ignore other, adding-required-field  "));
        assert!(lint(&ignored(text), 17, true).iter().all(|finding| finding.rule != "adding-required-field"));
    }
}

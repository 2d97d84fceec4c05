//! Errors and notices of Postgres.

use std::io::Write;

use serde_json::json;
use unicode_width::UnicodeWidthStr;

use super::session::text;
use crate::cli::output::Output;

/// SQLSTATE of a statement that was cancelled.
const CANCELLED: &str = "57014";
/// SQLSTATE of a statement that writes where a transaction only reads.
const READ_ONLY: &str = "25006";
/// Longest part of a line that is shown with an error.
const SHOWN_CHARS: usize = 100;

/// What Postgres said about a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SqlFault {
    pub(super) severity: String,
    pub(super) sqlstate: String,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) hint: Option<String>,
    /// Character of the statement, from 1.
    pub(super) position: Option<usize>,
    pub(super) context: Option<String>,
    /// Line of the script, where one is known without a position.
    pub(super) script_line: Option<u64>,
}

impl SqlFault {
    /// From the body of an error or a notice.
    pub(super) fn parse(body: &[u8]) -> Self {
        let mut fault = Self::default();
        let mut at = 0;
        while let Some(&kind) = body.get(at).filter(|&&kind| kind != 0) {
            let (value, next) = text(body, at + 1);
            at = next;
            match kind {
                b'S' => fault.severity = value,
                b'C' => fault.sqlstate = value,
                b'M' => fault.message = value,
                b'D' => fault.detail = Some(value),
                b'H' => fault.hint = Some(value),
                b'P' => fault.position = value.parse().ok(),
                b'W' => fault.context = Some(value),
                _ => (),
            }
        }
        fault
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.sqlstate == CANCELLED
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.sqlstate == READ_ONLY
    }

    /// One line.
    pub(super) fn summary(&self) -> String {
        format!("{} (SQLSTATE {})", self.message, self.sqlstate)
    }

    /// The error as people read it, with the line of `sql` that it is about.
    pub(super) fn human(&self, sql: &str) -> String {
        let mut lines = vec![format!("{}:  {}", self.severity, self.summary())];
        lines.extend(self.script_line.map(|line| format!("LINE:  {line}")));
        if let Some((number, line, column)) = self.place(sql) {
            let (line, column) = excerpt(&line, column);
            let start = format!("LINE {number}: ");
            let before: String = line.chars().take(column - 1).collect();
            lines.push(format!("{start}{line}"));
            lines.push(format!("{}^", " ".repeat(start.width() + before.width())));
        }
        lines.extend(labelled(&[("DETAIL", &self.detail), ("HINT", &self.hint), ("CONTEXT", &self.context)]));
        lines.join("\n")
    }

    /// Line (from 1), its text, and the column (from 1) that the position means.
    fn place(&self, sql: &str) -> Option<(usize, String, usize)> {
        let position = self.position?.checked_sub(1)?;
        let before: String = sql.chars().take(position).collect();
        if before.chars().count() < position {
            return None;
        }
        let number = before.split('\n').count();
        let line = sql.split('\n').nth(number - 1)?.trim_end_matches('\r');
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((number, line.replace('\t', " "), column))
    }

    /// Prints the error of `sql` to standard error.
    pub(super) fn print(&self, sql: &str, output: Output) {
        let mut err = std::io::stderr();
        // Nobody is left to tell.
        let _ = if output.json {
            let place = self.place(sql);
            let line = place.as_ref().map(|(line, ..)| *line as u64).or(self.script_line);
            let error = json!({
                "kind": "user",
                "message": self.message,
                "hint": self.hint,
                "detail": self.detail,
                "sqlstate": self.sqlstate,
                "position": self.position,
                "line": line,
                "column": place.map(|(.., column)| column),
            });
            writeln!(err, "{}", json!({ "error": error }))
        } else {
            writeln!(err, "{}", self.human(sql))
        };
    }

    /// Prints a notice as `psql` does.
    pub(super) fn print_notice(&self) {
        let mut lines = vec![format!("{}:  {}", self.severity, self.message)];
        lines.extend(labelled(&[("DETAIL", &self.detail), ("HINT", &self.hint)]));
        // Nobody is left to tell.
        let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
    }
}

fn labelled(parts: &[(&str, &Option<String>)]) -> Vec<String> {
    parts.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}:  {value}"))).collect()
}

/// The part of a long line around `column`, and the column in that part.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    let length = line.chars().count();
    if length <= SHOWN_CHARS {
        return (line.to_owned(), column);
    }
    let start = column.saturating_sub(SHOWN_CHARS / 2).min(length - SHOWN_CHARS);
    let part: String = line.chars().skip(start).take(SHOWN_CHARS).collect();
    if start == 0 { (format!("{part}…"), column) } else { (format!("…{part}…"), column - start + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(position: usize) -> SqlFault {
        let body = format!(
            "SERROR\0VERROR\0C42P01\0Mrelation \"itme\" does not exist\0P{position}\0Hmaybe item\0\0"
        );
        SqlFault::parse(body.as_bytes())
    }

    #[test]
    fn the_place_is_pointed_at() {
        insta::assert_snapshot!(fault(25).human("select 1,\n\t'日本', 2 from itme\nwhere true"), @r#"
        ERROR:  relation "itme" does not exist (SQLSTATE 42P01)
        LINE 2:  '日本', 2 from itme
                                ^
        HINT:  maybe item
        "#);
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let sql = format!("{} itme {}", "x".repeat(500), "y".repeat(500));
        let shown = fault(502).human(&sql);
        let lines: Vec<_> = shown.lines().collect();
        let at = lines[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[1].chars().skip(at).take(4).collect::<String>(), "itme");
        assert!(lines[1].chars().count() < 120);
    }

    #[test]
    fn positions_outside_the_statement_are_passed_over() {
        for position in [0, 99] {
            assert!(!fault(position).human("select").contains("LINE"), "{position}");
        }
    }
}

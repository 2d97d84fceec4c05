//! The difference of two texts line by line.

use similar::{ChangeTag, TextDiff};

use crate::cli::plain::plain;

/// Equal lines that are shown around what differs.
const CONTEXT_LINES: usize = 3;
/// Fewer equal lines than this are not worth hiding.
const MIN_HIDDEN: usize = 3;

/// A line and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Both(String),
    Old(String),
    New(String),
    /// So many equal lines are not shown.
    Hidden(usize),
}

/// The lines of both texts in one order, without line ends, escaped for a terminal.
pub(super) fn compare(old: &str, new: &str) -> Vec<Line> {
    let diff = TextDiff::from_lines(old, new);
    let lines = diff.iter_all_changes().map(|change| {
        let text = plain(change.value().trim_end_matches('\n')).into_owned();
        match change.tag() {
            ChangeTag::Equal => Line::Both(text),
            ChangeTag::Delete => Line::Old(text),
            ChangeTag::Insert => Line::New(text),
        }
    });
    lines.collect()
}

/// Hides equal lines that are far from any that differs.
pub(super) fn shorten(lines: Vec<Line>) -> Vec<Line> {
    let count = lines.len();
    let mut near = vec![false; count];
    for (at, line) in lines.iter().enumerate() {
        if !matches!(line, Line::Both(_)) {
            let end = (at + CONTEXT_LINES + 1).min(count);
            near[at.saturating_sub(CONTEXT_LINES)..end].fill(true);
        }
    }
    let mut short = Vec::with_capacity(count);
    let mut run = Vec::new();
    for (line, near) in lines.into_iter().zip(near) {
        if near {
            flush(&mut run, &mut short);
            short.push(line);
        } else {
            run.push(line);
        }
    }
    flush(&mut run, &mut short);
    short
}

fn flush(run: &mut Vec<Line>, short: &mut Vec<Line>) {
    if run.len() < MIN_HIDDEN {
        short.append(run);
    } else {
        short.push(Line::Hidden(run.len()));
        run.clear();
    }
}

/// How many lines only the new and only the old text has.
pub(super) fn count(lines: &[Line]) -> (usize, usize) {
    let new = lines.iter().filter(|line| matches!(line, Line::New(_))).count();
    let old = lines.iter().filter(|line| matches!(line, Line::Old(_))).count();
    (new, old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lines_far_away_are_hidden() {
        let old = (0..20).map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
        let new = old.replace("line 10\n", "another\n");
        let lines = shorten(compare(&old, &new));
        assert_eq!(lines.first(), Some(&Line::Hidden(7)));
        assert_eq!(lines.last(), Some(&Line::Hidden(6)));
        assert_eq!(lines.len(), 10);
        assert_eq!(count(&lines), (1, 1));
    }

    #[test]
    fn few_equal_lines_stay() {
        let lines = shorten(compare("a\nb\nc\nd\ne\n", "a\nb\nc\nd\nx\n"));
        assert!(!lines.iter().any(|line| matches!(line, Line::Hidden(_))), "{lines:?}");
    }
}

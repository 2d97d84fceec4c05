//! Lists and folded texts that keep within a number of bytes.

use super::escape::fence;
use crate::cli::plain::plain;

/// What frames a folded text, at most, beside the fences: marks, summary, and the line that says what is missing.
pub(super) const FRAME_BYTES: usize = 320;
/// The line that says how many are not shown.
const REST_BYTES: usize = 40;

/// Items a line each; as many as go into `limit` bytes, and how many do not.
pub(in crate::cli::diff) fn listed(items: &[String], limit: usize) -> String {
    let whole: usize = items.iter().map(|item| item.len() + 1).sum();
    let limit = if whole <= limit { limit } else { limit.saturating_sub(REST_BYTES) };
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        if text.len() + item.len() + 1 > limit {
            text.push_str(&format!("- and {} more\n", items.len() - at));
            break;
        }
        text.push_str(item);
        text.push('\n');
    }
    text
}

/// A text that is folded away; as many of its lines as go into `limit` bytes. Nothing for an empty text.
pub(super) fn folded(summary: &str, language: &str, text: &str, limit: usize) -> String {
    let text = plain(text.trim_matches('\n'));
    if text.is_empty() {
        return String::new();
    }
    let fence = fence(&text);
    let Some(room) = limit.checked_sub(FRAME_BYTES + 2 * fence.len()) else { return String::new() };
    let shown = whole_lines(&text, room);
    let rest = if shown.len() == text.len() {
        String::new()
    } else {
        let (all, some) = (text.lines().count(), shown.lines().count());
        format!("\n{some} of {all} lines; `offshoot diff` shows them all, with `--sql` the script.\n")
    };
    let shown = shown.trim_end_matches('\n');
    format!(
        "\n<details>\n<summary>{summary}</summary>\n\n{fence}{language}\n{shown}\n{fence}\n{rest}\n</details>\n"
    )
}

/// As many whole lines from the beginning as go into `limit` bytes.
fn whole_lines(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = text.as_bytes()[..limit].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_within_its_limit() {
        let items: Vec<_> = (0..1000).map(|n| format!("- item {n}")).collect();
        let text = listed(&items, 500);
        assert!(text.len() <= 500 && text.contains("more\n"), "{text}");
        let short = listed(&items[..2], 500);
        assert_eq!(short, "- item 0\n- item 1\n");
    }

    #[test]
    fn a_folded_text_keeps_within_its_limit_and_its_fence() {
        let text = "select '```';\nä\n".repeat(500);
        for limit in [0, 100, 330, 1000, 4001, 100_000] {
            let out = folded("s", "sql", &text, limit);
            assert!(out.len() <= limit, "{} > {limit}", out.len());
            assert_eq!(out.matches("````").count(), if out.is_empty() { 0 } else { 2 });
        }
    }
}

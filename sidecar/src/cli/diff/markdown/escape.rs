//! Names and messages within Markdown: nobody is mentioned, nothing is linked, no markup begins.

use crate::cli::diff::comparison::one_line;

/// Longer names and messages are cut.
const MAX_CHARS: usize = 400;

/// A code span.
pub(in crate::cli::diff) fn code(text: &str) -> String {
    let text = cut(&one_line(text));
    let ticks = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// Running text. What a backslash cannot make harmless, such as the name of a person, becomes code.
pub(in crate::cli::diff) fn prose(text: &str) -> String {
    let text = cut(&one_line(text));
    if text.contains(['@', '#']) || text.contains("://") || text.contains("www.") {
        return code(&text);
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '|' | '~' | '$' | '!') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// A fence that the text cannot end.
pub(super) fn fence(text: &str) -> String {
    "`".repeat(longest_run(text).max(2) + 1)
}

fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_no_markup() {
        assert_eq!(code("public.lots"), "`public.lots`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`x`"), "`` `x` ``");
        assert_eq!(prose("all rows of a_b are *lost*"), r"all rows of a\_b are \*lost\*");
        assert_eq!(prose("ask @team"), "`ask @team`");
        assert_eq!(prose("<b>"), r"\<b\>");
        assert_eq!(fence("a ```` b"), "`````");
        assert_eq!(code("a\nb"), r"`a\u{a}b`");
    }
}

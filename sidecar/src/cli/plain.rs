//! Text from elsewhere, as a terminal may show it.

use std::borrow::Cow;

/// Escapes what would move the cursor, colour the terminal or turn the order of letters round, such as `\u{202e}`.
/// Line feeds and tabs stay.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    escaped(text, false)
}

/// The same for text in which the colours are ours.
pub(super) fn plain_coloured(text: &str) -> Cow<'_, str> {
    escaped(text, true)
}

fn escaped(text: &str, colours: bool) -> Cow<'_, str> {
    // Most text is ASCII, and a list of branches is long: many bytes are looked at in one step, without an early end.
    let is_harmless = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    if text.bytes().fold(true, |all, byte| all & is_harmless(byte)) || !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for (at, letter) in text.char_indices() {
        if is_unsafe(letter) && !(colours && is_colour(&text[at..])) {
            clean.extend(letter.escape_unicode());
        } else {
            clean.push(letter);
        }
    }
    Cow::Owned(clean)
}

/// Whether the text begins with `ESC [ … m`.
fn is_colour(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("\u{1b}[") else { return false };
    rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
}

/// Controls but for line feed and tab; marks, embeddings and isolates of bidirectional text; separators that break lines;
/// and what takes no room where a name could hide it. The joiner of emoji is no such thing.
fn is_unsafe(letter: char) -> bool {
    (letter.is_control() && !matches!(letter, '\n' | '\t'))
        || matches!(letter,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_is_escaped_and_writing_is_not() {
        for fine in ["größe/🌱", "日本語", "👩‍💻", "שלום", "a\n\tb"] {
            assert_eq!(plain(fine), fine);
        }
        assert_eq!(plain("a\u{202e}b\u{2066}\u{9b}2J\r"), r"a\u{202e}b\u{2066}\u{9b}2J\u{d}");
        assert_eq!(plain("\u{1b}[31m"), r"\u{1b}[31m");
    }

    #[test]
    fn our_colours_stay_and_other_sequences_do_not() {
        assert_eq!(plain_coloured("\u{1b}[1;31mx\u{200f}\u{1b}[0m"), "\u{1b}[1;31mx\\u{200f}\u{1b}[0m");
        assert_eq!(plain_coloured("\u{1b}[2J\u{1b}]0;t\u{7}"), r"\u{1b}[2J\u{1b}]0;t\u{7}");
    }
}

//! Small readers of the formats that tools are configured in.

mod ini;
mod python;
mod script;

pub(crate) use ini::Ini;
pub(crate) use python::{Python, Value as PythonValue};
pub(crate) use script::{Script, Setting};

/// Folder and name of a path; the folder is empty at the root.
pub(crate) fn split_path(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A path below a folder, with `.` and `..` resolved. A leading `/` counts as relative.
pub(crate) fn join(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(name.split(['/', '\\'])) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether a path lies below a folder; everything lies below the root.
pub(crate) fn is_under(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// A file's name without its last extension.
pub(crate) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// A file's last extension.
pub(crate) fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// The digits that a text starts with, and the rest.
pub(crate) fn leading_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()))
}

/// A number from digits, for ordering; very long ones count as the largest.
pub(crate) fn number(digits: &str) -> i64 {
    if digits.is_empty() { 0 } else { digits.parse().unwrap_or(i64::MAX) }
}

/// The line, from 1, of a byte offset.
pub(crate) fn line_at(text: &str, offset: usize) -> u32 {
    let end = offset.min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() as u32 + 1
}

/// The first line of an unfinished merge, from 1.
pub(crate) fn conflict_line(text: &str) -> Option<u32> {
    let marks = |mark: &str| {
        text.lines().position(|line| {
            line.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    };
    let (start, end) = (marks("<<<<<<<"), marks(">>>>>>>"));
    // Either alone is a merge half cleaned up; neither is anything in SQL or a programming language.
    start.into_iter().chain(end).min().map(|line| line as u32 + 1)
}

/// Whether a word stands in a text, not as a part of a longer name.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let inside = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '/');
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(inside)
            && !text[at + word.len()..].chars().next().is_some_and(inside)
    })
}

/// A line that starts with this, whatever its indentation and case. Returns the line, from 1, and what follows.
pub(crate) fn line_with<'a>(text: &'a str, start: &str) -> Option<(u32, &'a str)> {
    text.lines().enumerate().find_map(|(at, line)| {
        let line = line.trim_start();
        let head = line.get(..start.len())?;
        head.eq_ignore_ascii_case(start).then(|| (at as u32 + 1, line[start.len()..].trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_without_dots() {
        assert_eq!(join("a/b", "./c/../d"), "a/b/d");
        assert_eq!(join("", "db"), "db");
        assert_eq!(join("a", "../b"), "b");
    }

    #[test]
    fn a_merge_is_found_by_either_marker_and_headlines_are_not() {
        assert_eq!(conflict_line("a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> x\n"), Some(2));
        assert_eq!(conflict_line("a\n=======\nb\n"), None);
        assert_eq!(conflict_line("a\nb\n>>>>>>> x\n"), Some(3));
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word(r#"{"knex": "1"}"#, "knex"));
        assert!(!has_word(r#"{"knex-extra": "1", "@types/knex": "1"}"#, "knex"));
    }
}

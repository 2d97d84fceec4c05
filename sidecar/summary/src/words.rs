//! Names and kinds as people read them.

use std::fmt::Write as _;

use offshoot_schema::plan::LockLevel;
use offshoot_schema::{ChangeKind, Kind, Object};

/// Kind and name: `table public.items`.
pub fn title(object: &Object) -> String {
    format!("{} {}", kind_word(object.kind), name(object))
}

/// The kind as SQL writes it, in small letters.
pub(crate) fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::MaterializedView => "materialized view",
        other => other.title(),
    }
}

/// The name as SQL writes it, on one line.
pub(crate) fn name(object: &Object) -> String {
    match object.kind {
        // Their names are phrases, such as `(integer AS text)`.
        Kind::Cast | Kind::Transform | Kind::DefaultPrivilege => one_line(&object.name),
        _ => one_line(&object.id().sql()),
    }
}

/// The heading under which objects of a kind are listed.
pub(crate) fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Table | Kind::ForeignTable => "Tables",
        Kind::View | Kind::MaterializedView => "Views",
        Kind::Function | Kind::Procedure | Kind::Aggregate => "Routines",
        Kind::Type | Kind::Domain => "Types",
        Kind::Sequence => "Sequences",
        Kind::Schema => "Schemas",
        Kind::Extension => "Extensions",
        _ => "Others",
    }
}

/// The sign of a change.
pub(crate) fn sign(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Added => '+',
        ChangeKind::Removed => '-',
        ChangeKind::Changed => '~',
    }
}

/// The name of a lock's mode.
pub(crate) fn mode(level: LockLevel) -> &'static str {
    match level {
        LockLevel::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
        LockLevel::Share => "SHARE",
        LockLevel::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
        LockLevel::AccessExclusive => "ACCESS EXCLUSIVE",
    }
}

/// `1 change`, `2 changes`.
pub(crate) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// A text on one line, without what could deceive: controls, and marks that turn the order of letters round.
pub(crate) fn one_line(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same for text of several lines.
pub(crate) fn plain(text: &str) -> String {
    escaped(text, |letter| matches!(letter, '\n' | '\t'))
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut clean = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_unsafe(letter) && !keep(letter) {
            let _ = write!(clean, "{}", letter.escape_unicode());
        } else {
            clean.push(letter);
        }
    }
    clean
}

fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

//! Changing sequences and extensions in place.

use std::collections::BTreeSet;

use crate::fact::{Fact, FactId};
use crate::render::{name, sequence as render};
use crate::sql;

/// The statements that change a sequence.
pub(super) fn sequence(id: &FactId, old: &Fact, new: &Fact, names: &BTreeSet<String>) -> Vec<String> {
    let mut statements = Vec::new();
    if names.contains("unlogged") {
        let word = if new.is("unlogged") { "UNLOGGED" } else { "LOGGED" };
        statements.push(format!("{} SET {word}", name::alter(id)));
    }
    if names.iter().any(|name| name.starts_with("sequence_")) {
        statements.push(alter_sequence(&id.sql(), old, new, names.contains("sequence_type")));
    }
    statements
}

/// Whether a sequence counts down.
pub(super) fn is_falling(fact: &Fact) -> bool {
    fact.text("sequence_increment").is_some_and(|increment| increment.starts_with('-'))
}

/// The statement that takes a new sequence past the values that a column has already, so that inserts do not meet them.
pub(super) fn advance(sequence: &str, fact: &Fact, column: &FactId) -> String {
    let (least, most) = limits(fact);
    let (farthest, within) = if is_falling(fact) {
        ("min", format!("BETWEEN {least} AND last_value"))
    } else {
        ("max", format!("BETWEEN last_value AND {most}"))
    };
    let (name, table, literal) = (sql::quote(&column.name), column.owner().sql(), sql::literal(sequence));
    format!(
        "SELECT pg_catalog.setval({literal}, used.value)\n\
         FROM (SELECT {farthest}({name})::bigint AS value FROM {table}) AS used, {sequence}\n\
         WHERE used.value {within}"
    )
}

/// Where a sequence may go: its least and greatest value.
fn limits(fact: &Fact) -> (i64, i64) {
    let down = is_falling(fact);
    let (low, high) = match fact.text("sequence_type") {
        Some("smallint") => (i64::from(i16::MIN), i64::from(i16::MAX)),
        Some("integer") => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    let given = |name: &str| fact.text(name).and_then(|value| value.parse().ok());
    let least = given("sequence_min").unwrap_or(if down { low } else { 1 });
    let most = given("sequence_max").unwrap_or(if down { -1 } else { high });
    (least, most)
}

/// `ALTER SEQUENCE` with all options; where the new limits are narrower, the position is moved between them if need be.
pub(super) fn alter_sequence(sequence: &str, old: &Fact, new: &Fact, retype: bool) -> String {
    let as_type =
        if retype { format!(" AS {}", new.text("sequence_type").unwrap_or("bigint")) } else { String::new() };
    let (old_least, old_most) = limits(old);
    let (least, most) = limits(new);
    let mut options = render::options(new);
    if is_falling(old) != is_falling(new) || old.text("sequence_type") != new.text("sequence_type") {
        // What Postgres takes for the usual limits then depends on the old ones, too.
        for option in &mut options {
            match option.as_str() {
                "NO MINVALUE" => *option = format!("MINVALUE {least}"),
                "NO MAXVALUE" => *option = format!("MAXVALUE {most}"),
                _ => {}
            }
        }
    }
    let text = format!("ALTER SEQUENCE {sequence}{as_type} {}", options.join(" "));
    if least <= old_least && most >= old_most {
        return text;
    }
    let quoted = sql::literal(&text);
    format!(
        "DO $$\nDECLARE\n    position bigint;\nBEGIN\n    SELECT last_value INTO position FROM {sequence};\n    \
         IF position BETWEEN {least} AND {most} THEN\n        EXECUTE {quoted};\n    ELSE\n        \
         EXECUTE {quoted} || ' RESTART WITH ' || least(greatest(position, {least}), {most});\n    END IF;\nEND\n$$"
    )
}

/// The statements that change an extension.
pub(super) fn extension(alter: &str, new: &Fact, names: &BTreeSet<String>) -> Vec<String> {
    let mut statements = Vec::new();
    if names.contains("version") {
        let version = sql::literal(new.text("version").unwrap_or_default());
        statements.push(format!("{alter} UPDATE TO {version}"));
    }
    if names.contains("in_schema") {
        let schema = sql::quote(new.text("in_schema").unwrap_or_default());
        statements.push(format!("{alter} SET SCHEMA {schema}"));
    }
    statements
}

/// Extensions know the way to newer versions only.
pub(super) fn is_upgrade(old: &Fact, new: &Fact) -> bool {
    let numbers = |fact: &Fact| -> Vec<u32> {
        let version = fact.text("version").unwrap_or_default();
        version.split('.').map(|number| number.parse().unwrap_or(0)).collect()
    };
    numbers(new) >= numbers(old)
}

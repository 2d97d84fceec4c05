//! Sequences, free ones and those of identity columns.

use crate::fact::{Fact, FactId};

/// `CREATE SEQUENCE`.
pub(super) fn create(id: &FactId, fact: &Fact) -> String {
    let unlogged = if fact.is("unlogged") { "UNLOGGED " } else { "" };
    let mut text = format!("CREATE {unlogged}SEQUENCE {}", id.sql());
    if let Some(sequence_type) = fact.text("sequence_type") {
        text.push_str(&format!("\n    AS {sequence_type}"));
    }
    for option in options(fact) {
        text.push_str("\n    ");
        text.push_str(&option);
    }
    text
}

/// Every option but the type, whether it is usual or not.
pub(crate) fn options(fact: &Fact) -> Vec<String> {
    let value = |name: &str, word: &str, none: &str| match fact.text(name) {
        Some(value) => format!("{word} {value}"),
        None => none.to_owned(),
    };
    vec![
        value("sequence_start", "START WITH", "START WITH 1"),
        value("sequence_increment", "INCREMENT BY", "INCREMENT BY 1"),
        value("sequence_min", "MINVALUE", "NO MINVALUE"),
        value("sequence_max", "MAXVALUE", "NO MAXVALUE"),
        value("sequence_cache", "CACHE", "CACHE 1"),
        if fact.is("sequence_cycle") { "CYCLE".to_owned() } else { "NO CYCLE".to_owned() },
    ]
}

/// The options of an identity column's sequence, only those that are unusual.
pub(crate) fn identity_options(fact: &Fact) -> String {
    let mut options = Vec::new();
    if let Some(name) = fact.text("sequence_name") {
        options.push(format!("SEQUENCE NAME {name}"));
    }
    let usual = |word: &str, value: &str| matches!((word, value), ("START WITH" | "INCREMENT BY", "1"));
    for (name, word) in [
        ("sequence_start", "START WITH"),
        ("sequence_increment", "INCREMENT BY"),
        ("sequence_min", "MINVALUE"),
        ("sequence_max", "MAXVALUE"),
        ("sequence_cache", "CACHE"),
    ] {
        if let Some(value) = fact.text(name).filter(|value| !usual(word, value)) {
            options.push(format!("{word} {value}"));
        }
    }
    if fact.is("sequence_cycle") {
        options.push("CYCLE".to_owned());
    }
    if options.is_empty() { String::new() } else { format!(" ({})", options.join(" ")) }
}

//! Types and domains.

use super::{Inline, name};
use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::sql;

/// `CREATE TYPE` or `CREATE DOMAIN`.
pub(super) fn create(facts: &Facts, id: &FactId, fact: &Fact, inline: Inline<'_>) -> Vec<String> {
    if id.kind == Kind::Domain {
        return vec![domain(facts, id, fact, inline)];
    }
    let name = id.sql();
    match fact.text("form") {
        Some("enum") => {
            let labels: Vec<_> =
                fact.list("labels").iter().map(|label| format!("    {}", sql::literal(label))).collect();
            vec![format!("CREATE TYPE {name} AS ENUM (\n{}\n)", labels.join(",\n"))]
        }
        Some("composite") => composite(facts, id, inline),
        Some("range") => vec![range(id, fact)],
        Some("base") => base(id, fact),
        _ => vec![format!("CREATE TYPE {name}")],
    }
}

fn composite(facts: &Facts, id: &FactId, inline: Inline<'_>) -> Vec<String> {
    let columns = facts.parts_of_kind(id, Kind::Column);
    let lines: Vec<_> = columns
        .iter()
        .map(|(part, column)| format!("    {}", super::table::column(facts, part, column, inline)))
        .collect();
    let mut statements = vec![format!("CREATE TYPE {} AS (\n{}\n)", id.sql(), lines.join(",\n"))];
    for (part, column) in columns {
        statements.extend(super::after(part, column));
    }
    statements
}

fn domain(facts: &Facts, id: &FactId, fact: &Fact, inline: Inline<'_>) -> String {
    let mut text = format!("CREATE DOMAIN {} AS {}", id.sql(), fact.text("base_type").unwrap_or_default());
    if let Some(collation) = fact.text("collation") {
        text.push_str(&format!(" COLLATE {collation}"));
    }
    if let Some(default) = fact.text("default") {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    if fact.is("not_null") {
        text.push_str(" NOT NULL");
    }
    for (part, constraint) in facts.parts_of_kind(id, Kind::Constraint) {
        if inline(part) && !super::part::is_late(constraint) {
            let definition = constraint.text("definition").unwrap_or_default();
            text.push_str(&format!("\n    CONSTRAINT {} {definition}", sql::quote(&part.name)));
        }
    }
    text
}

/// Attributes and the words for them, in the order in which they are written.
pub(super) fn pairs(fact: &Fact, names: &[(&str, &str)]) -> Vec<String> {
    names
        .iter()
        .filter_map(|(name, word)| fact.text(name).map(|value| format!("    {word} = {value}")))
        .collect()
}

fn range(id: &FactId, fact: &Fact) -> String {
    let names = [
        ("range_subtype", "SUBTYPE"),
        ("range_opclass", "SUBTYPE_OPCLASS"),
        ("range_collation", "COLLATION"),
        ("range_canonical", "CANONICAL"),
        ("range_diff", "SUBTYPE_DIFF"),
        ("range_multirange", "MULTIRANGE_TYPE_NAME"),
    ];
    format!("CREATE TYPE {} AS RANGE (\n{}\n)", id.sql(), pairs(fact, &names).join(",\n"))
}

/// A base type has to be announced before the functions that read and write it: they come between.
fn base(id: &FactId, fact: &Fact) -> Vec<String> {
    let mut lines = pairs(
        fact,
        &[
            ("base_input", "INPUT"),
            ("base_output", "OUTPUT"),
            ("base_receive", "RECEIVE"),
            ("base_send", "SEND"),
            ("base_typmod_in", "TYPMOD_IN"),
            ("base_typmod_out", "TYPMOD_OUT"),
            ("base_analyze", "ANALYZE"),
            ("base_subscript", "SUBSCRIPT"),
            ("base_element", "ELEMENT"),
            ("base_preferred", "PREFERRED"),
            ("base_collatable", "COLLATABLE"),
        ],
    );
    let length = fact.text("base_length").unwrap_or("-1");
    let length = if length == "-1" { "VARIABLE" } else { length };
    lines.push(format!("    INTERNALLENGTH = {length}"));
    if fact.is("base_by_value") {
        lines.push("    PASSEDBYVALUE".to_owned());
    }
    let word = |attribute: &str, words: &[(&str, &'static str)]| {
        let value = fact.text(attribute).unwrap_or_default();
        words.iter().find(|(short, _)| *short == value).map(|(_, long)| *long)
    };
    let alignments = [("c", "char"), ("s", "int2"), ("i", "int4"), ("d", "double")];
    let storages = [("p", "plain"), ("e", "external"), ("x", "extended"), ("m", "main")];
    lines.extend(word("base_alignment", &alignments).map(|value| format!("    ALIGNMENT = {value}")));
    lines.extend(word("base_storage", &storages).map(|value| format!("    STORAGE = {value}")));
    for (attribute, option) in
        [("base_category", "CATEGORY"), ("base_delimiter", "DELIMITER"), ("base_default", "DEFAULT")]
    {
        lines.extend(fact.text(attribute).map(|value| format!("    {option} = {}", sql::literal(value))));
    }
    vec![format!("CREATE TYPE {} (\n{}\n)", id.sql(), lines.join(",\n"))]
}

/// `ALTER TYPE … ADD VALUE` for every label that is new, or `None` if some label went or moved.
pub(crate) fn add_labels(id: &FactId, old: &[String], new: &[String]) -> Option<Vec<String>> {
    let mut rest = old.iter().peekable();
    let mut statements = Vec::new();
    for (at, label) in new.iter().enumerate() {
        if rest.peek() == Some(&label) {
            rest.next();
            continue;
        }
        // Behind the one before, which is there by now; the first goes before the first there was.
        let place = match (at.checked_sub(1).and_then(|before| new.get(before)), old.first()) {
            (Some(before), _) => format!(" AFTER {}", sql::literal(before)),
            (None, Some(first)) => format!(" BEFORE {}", sql::literal(first)),
            (None, None) => String::new(),
        };
        statements.push(format!("{} ADD VALUE {}{place}", name::alter(id), sql::literal(label)));
    }
    rest.next().is_none().then_some(statements)
}

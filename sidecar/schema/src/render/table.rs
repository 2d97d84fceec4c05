//! Tables and columns.

use super::{Inline, name, sequence};
use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::sql;

/// `CREATE TABLE` and what cannot be said within it.
pub(crate) fn create(facts: &Facts, id: &FactId, fact: &Fact, inline: Inline<'_>) -> Vec<String> {
    let partition = facts.parts_of_kind(id, Kind::Attachment).first().map(|(_, attachment)| *attachment);
    let mut lines = Vec::new();
    let columns = facts.parts_of_kind(id, Kind::Column);
    let parents: Vec<_> = facts.parts_of_kind(id, Kind::Inheritance);
    let parents: Vec<&str> =
        parents.iter().filter(|(part, _)| inline(part)).filter_map(|(_, fact)| fact.text("parent")).collect();
    let comes_with_parent = |column: &Fact| {
        partition.is_none() && !parents.is_empty() && column.is("inherited") && !column.is("local")
    };
    for (part, column) in &columns {
        if fact.text("of_type").is_some() || comes_with_parent(column) {
            continue;
        }
        lines.push(format!("    {}", self::column(facts, part, column, inline)));
    }
    for (part, constraint) in facts.parts_of_kind(id, Kind::Constraint) {
        if inline(part) && !super::part::is_late(constraint) && !comes_with_parent(constraint) {
            let definition = constraint.text("definition").unwrap_or_default();
            lines.push(format!("    CONSTRAINT {} {definition}", sql::quote(&part.name)));
        }
    }
    let mut text = head(id, fact);
    match fact.text("of_type") {
        Some(of_type) if lines.is_empty() => text.push_str(&format!(" OF {of_type}")),
        Some(of_type) => text.push_str(&format!(" OF {of_type} (\n{}\n)", lines.join(",\n"))),
        None if lines.is_empty() => text.push_str(" (\n)"),
        None => text.push_str(&format!(" (\n{}\n)", lines.join(",\n"))),
    }
    if !parents.is_empty() {
        text.push_str(&format!("\nINHERITS ({})", parents.join(", ")));
    }
    text.push_str(&tail(fact));
    let mut statements = vec![text];
    statements.extend(flags(id, fact));
    for (part, column) in columns {
        statements.extend(late_column(id, part, column));
        statements.extend(super::after(part, column));
    }
    statements
}

fn head(id: &FactId, fact: &Fact) -> String {
    let unlogged = if fact.is("unlogged") { "UNLOGGED " } else { "" };
    format!("CREATE {unlogged}{} {}", id.kind.sql(), id.sql())
}

fn tail(fact: &Fact) -> String {
    let mut text = String::new();
    if let Some(key) = fact.text("partition_key") {
        text.push_str(&format!("\nPARTITION BY {key}"));
    }
    if let Some(server) = fact.text("server") {
        text.push_str(&format!("\nSERVER {}", sql::quote(server)));
        text.push_str(&foreign_options(fact));
    }
    if let Some(method) = fact.text("access_method") {
        text.push_str(&format!("\nUSING {}", sql::quote(method)));
    }
    let options = all_options(fact);
    if !options.is_empty() {
        text.push_str(&format!("\nWITH ({})", options.join(", ")));
    }
    if let Some(space) = fact.text("tablespace") {
        text.push_str(&format!("\nTABLESPACE {}", sql::quote(space)));
    }
    text
}

/// Storage options, those of the TOAST table with their prefix.
pub(crate) fn all_options(fact: &Fact) -> Vec<String> {
    let own = fact.list("options").iter().map(|option| quote_option(option));
    own.chain(fact.list("toast_options").iter().map(|option| format!("toast.{}", quote_option(option))))
        .collect()
}

/// `name=value` with the value quoted.
pub(crate) fn quote_option(option: &str) -> String {
    let (name, value) = option.split_once('=').unwrap_or((option, "true"));
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !value.is_empty();
    let value = if plain { value.to_owned() } else { sql::literal(value) };
    format!("{}={value}", sql::quote(name))
}

/// ` OPTIONS (…)` of something foreign, or nothing.
pub(crate) fn foreign_options(fact: &Fact) -> String {
    match fact.list("foreign_options") {
        [] => String::new(),
        options => format!(" OPTIONS ({})", options.join(", ")),
    }
}

/// Row security and replica identity.
fn flags(id: &FactId, fact: &Fact) -> Vec<String> {
    let alter = name::alter_only(id);
    let mut statements = Vec::new();
    if fact.is("row_security") {
        statements.push(format!("ALTER TABLE {} ENABLE ROW LEVEL SECURITY", id.sql()));
    }
    if fact.is("force_row_security") {
        statements.push(format!("{alter} FORCE ROW LEVEL SECURITY"));
    }
    if let Some(identity) = fact.text("replica_identity") {
        statements.push(format!("{alter} REPLICA IDENTITY {identity}"));
    }
    statements
}

/// A column as `CREATE TABLE` and `ADD COLUMN` have it.
pub(crate) fn column(facts: &Facts, id: &FactId, fact: &Fact, inline: Inline<'_>) -> String {
    let mut text = format!("{} {}", sql::quote(&id.name), fact.text("type").unwrap_or_default());
    if id.owner().kind == Kind::ForeignTable {
        text.push_str(&foreign_options(fact));
    }
    if let Some(compression) = fact.text("compression") {
        text.push_str(&format!(" COMPRESSION {compression}"));
    }
    if let Some(collation) = fact.text("collation") {
        text.push_str(&format!(" COLLATE {collation}"));
    }
    if let (Some(form), Some(expression)) = (fact.text("generated"), fact.text("expression")) {
        text.push_str(&format!(" GENERATED ALWAYS AS ({expression}) {form}"));
    }
    // A partition's identity is that of what it is a partition of, which has the sequence.
    if let Some(identity) = fact.text("identity").filter(|_| fact.text("sequence_name").is_some()) {
        text.push_str(&format!(" GENERATED {identity} AS IDENTITY{}", sequence::identity_options(fact)));
    }
    for (part, default) in facts.parts_of_kind(id, Kind::Default) {
        if inline(part) {
            text.push_str(&format!(" DEFAULT {}", default.text("expression").unwrap_or_default()));
        }
    }
    if fact.is("not_null") && !fact.is("not_null_not_valid") {
        if let Some(name) = not_null_name(id, fact) {
            text.push_str(&format!(" CONSTRAINT {}", sql::quote(name)));
        }
        text.push_str(" NOT NULL");
        if fact.is("not_null_no_inherit") {
            text.push_str(" NO INHERIT");
        }
    }
    text
}

/// The name of a not-null constraint, of servers that have names for them, where it is not the one that they choose.
pub(crate) fn not_null_name<'a>(id: &FactId, fact: &'a Fact) -> Option<&'a str> {
    let chosen = format!("{}_{}_not_null", id.owner().name, id.name);
    fact.text("not_null_name").filter(|name| *name != chosen)
}

/// `ADD COLUMN` and what cannot be said within it.
pub(crate) fn add_column(facts: &Facts, id: &FactId, fact: &Fact, inline: Inline<'_>) -> Vec<String> {
    let owner = id.owner();
    let word = if owner.kind == Kind::Type { "ATTRIBUTE" } else { "COLUMN" };
    let mut statements =
        vec![format!("{} ADD {word} {}", name::alter(owner), column(facts, id, fact, inline))];
    statements.extend(late_column(owner, id, fact));
    statements
}

/// What a column needs beyond its definition.
pub(crate) fn late_column(owner: &FactId, id: &FactId, fact: &Fact) -> Vec<String> {
    let alter = format!("{} ALTER COLUMN {}", name::alter_only(owner), sql::quote(&id.name));
    let mut statements = Vec::new();
    if let Some(storage) = fact.text("storage") {
        statements.push(format!("{alter} SET STORAGE {storage}"));
    }
    if let Some(target) = fact.text("statistics") {
        statements.push(format!("{alter} SET STATISTICS {target}"));
    }
    let options: Vec<_> = fact.list("options").iter().map(|option| quote_option(option)).collect();
    if !options.is_empty() {
        statements.push(format!("{alter} SET ({})", options.join(", ")));
    }
    if fact.is("not_null") && fact.is("not_null_not_valid") {
        let chosen = format!("{}_{}_not_null", owner.name, id.name);
        let constraint = sql::quote(fact.text("not_null_name").unwrap_or(&chosen));
        let column = sql::quote(&id.name);
        statements
            .push(format!("{} ADD CONSTRAINT {constraint} NOT NULL {column} NOT VALID", name::alter(owner)));
    }
    statements
}

//! Changing columns in place.

use std::collections::BTreeSet;

use super::fate::{Fates, is_note};
use crate::fact::{Fact, FactId};
use crate::kind::Kind;
use crate::render::{self, name, sequence, table};
use crate::sql;

/// Whether a column can become what it shall be without being dropped.
pub(super) fn is_possible(fates: &Fates<'_>, id: &FactId, attributes: &BTreeSet<String>) -> bool {
    let (Some(old), Some(new)) = (fates.from.get(id), fates.to.get(id)) else { return false };
    let owner = id.owner();
    if owner.kind == Kind::Type {
        return true;
    }
    if attributes.contains("generated") && new.text("generated").is_some() {
        return false;
    }
    if attributes.contains("expression") && new.text("generated").is_some() {
        return false;
    }
    let virtual_gone = old.text("generated") == Some("VIRTUAL") && new.text("generated").is_none();
    if virtual_gone {
        return false;
    }
    !(attributes.contains("type") && new.text("generated").is_some())
}

/// Whether values of the old type of a column can be compared with those of the new one.
pub(super) fn is_comparable(fates: &Fates<'_>, id: &FactId) -> bool {
    let family = |fact: Option<&Fact>| family(fact.and_then(|fact| fact.text("type")).unwrap_or_default());
    let (old, new) = (family(fates.from.get(id)), family(fates.to.get(id)));
    old == new && matches!(old, Family::Number | Family::Text)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Number,
    Text,
    Moment,
    Json,
    Bits,
    Network,
    Other,
}

fn family(name: &str) -> Family {
    let bare = name.split('(').next().unwrap_or(name).trim_end();
    match bare {
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => Family::Number,
        "text" | "character varying" | "character" | "name" | "\"char\"" | "citext" => Family::Text,
        "date" => Family::Moment,
        "json" | "jsonb" => Family::Json,
        "bit" | "bit varying" => Family::Bits,
        "inet" | "cidr" => Family::Network,
        _ if bare.starts_with("timestamp") => Family::Moment,
        _ => Family::Other,
    }
}

/// How the old values become values of the new type; `None` if Postgres knows by itself.
fn using(column: &str, old: &str, new: &str) -> Option<String> {
    let (was, is) = (family(old), family(new));
    if was == is && was != Family::Other || is == Family::Text {
        // Assignment casts, and anything to text. Shorter text is cut by the cast and refused by the assignment.
        return None;
    }
    let direct = was == Family::Text
        || matches!((old, new), ("integer", "boolean") | ("boolean", "integer"))
        || old == "interval" && new.starts_with("time");
    Some(if direct { format!("{column}::{new}") } else { format!("{column}::text::{new}") })
}

/// The old value of a column as one of the new type.
pub(super) fn value(fates: &Fates<'_>, column: &str, old: &Fact, new: &Fact) -> String {
    let (was, is) = (old.text("type").unwrap_or_default(), new.text("type").unwrap_or_default());
    if old.references.iter().any(|reference| fates.swapped.contains(reference)) {
        return format!("{column}::text::{is}");
    }
    let using = if was == is { None } else { using(column, was, is) };
    using.unwrap_or_else(|| column.to_owned())
}

/// Gives a column that is made anew elsewhere another name.
pub(super) fn away(fates: &Fates<'_>, id: &FactId, other: &str) -> Vec<String> {
    let alter = name::alter(id.owner());
    let column = sql::quote(&id.name);
    let mut statements = Vec::new();
    if fates.from.get(id).is_some_and(|column| column.text("identity").is_some()) {
        statements.push(format!("{alter} ALTER COLUMN {column} DROP IDENTITY"));
    }
    statements.push(format!("{alter} RENAME COLUMN {column} TO {}", sql::quote(other)));
    statements
}

/// Makes a column anew, with the values of the old one, which is called `other` by now.
///
/// `ALTER COLUMN … TYPE … USING` copies them in one pass that no trigger sees.
pub(super) fn anew(fates: &Fates<'_>, id: &FactId, other: &str) -> Vec<String> {
    let (Some(old), Some(new)) = (fates.from.get(id), fates.to.get(id)) else { return Vec::new() };
    let mut bare = new.clone();
    for name in ["not_null", "identity", "storage", "statistics", "options"] {
        bare.attributes.remove(name);
    }
    let owner = id.owner();
    let alter = format!("{} ALTER COLUMN {}", name::alter(owner), sql::quote(&id.name));
    let added = table::column(fates.to, id, &bare, &|_| false);
    let (was, is) = (old.text("type").unwrap_or_default(), new.text("type").unwrap_or_default());
    let other = sql::quote(other);
    let swapped = old.references.iter().any(|reference| fates.swapped.contains(reference));
    let value = match using(&other, was, is) {
        _ if swapped => format!("{other}::text::{is}"),
        _ if was == is => other,
        Some(using) => using,
        None => format!("{other}::{is}"),
    };
    let collation = new.text("collation").map(|name| format!(" COLLATE {name}")).unwrap_or_default();
    let mut statements = vec![
        format!("{} ADD COLUMN {added}", name::alter(owner)),
        format!("{alter} TYPE {is}{collation} USING {value}"),
    ];
    if new.is("not_null") {
        statements.extend(not_null(id, new, &alter));
    }
    if let (Some(identity), Some(sequence)) = (new.text("identity"), new.text("sequence_name")) {
        statements
            .push(format!("{alter} ADD GENERATED {identity} AS IDENTITY{}", sequence::identity_options(new)));
        let (column, table) = (sql::quote(&id.name), owner.sql());
        let last = format!("(SELECT max({column}) FROM {table})");
        statements.push(format!(
            "SELECT pg_catalog.setval({}, {last}) WHERE {last} IS NOT NULL",
            sql::literal(sequence)
        ));
    }
    statements.extend(table::late_column(owner, id, new));
    statements.extend(render::notes(id, new));
    statements
}

/// The statements that change a column of a table.
pub(super) fn statements(fates: &Fates<'_>, id: &FactId, names: &BTreeSet<String>) -> Vec<String> {
    let (Some(old), Some(new)) = (fates.from.get(id), fates.to.get(id)) else { return Vec::new() };
    let owner = id.owner();
    let column = sql::quote(&id.name);
    if owner.kind == Kind::Type {
        return of_composite(fates, id, new, names);
    }
    let alter = format!("{} ALTER COLUMN {column}", name::alter(owner));
    let only = format!("{} ALTER COLUMN {column}", name::alter_only(owner));
    let mut statements = Vec::new();
    if old.text("identity").is_some() && new.text("identity").is_none() {
        statements.push(format!("{alter} DROP IDENTITY"));
    }
    if names.contains("generated") {
        statements.push(format!("{alter} DROP EXPRESSION"));
    }
    if names.contains("type") || names.contains("collation") {
        statements.push(retype(fates, id, old, new, &alter));
    }
    if names.contains("not_null") || names.contains("not_null_not_valid") {
        statements.extend(not_null(id, new, &alter));
    } else if names.contains("not_null_name") && old.is("not_null") {
        let quoted = |fact: &Fact| fact.text("not_null_name").map(sql::quote).unwrap_or_default();
        statements.push(format!(
            "{} RENAME CONSTRAINT {} TO {}",
            name::alter(owner),
            quoted(old),
            quoted(new)
        ));
    }
    statements.extend(identity(fates, id, old, new, names, &alter));
    statements.extend(storage(new, names, &only));
    if names.contains("options") {
        statements.extend(super::alter::options(&only, old.list("options"), new.list("options")));
    }
    if names.contains("foreign_options") {
        let changed = super::alter::foreign_options(old, new);
        statements.push(format!("{alter} OPTIONS ({changed})"));
    }
    let notes = names.iter().filter(|name| is_note(name));
    statements.extend(notes.filter_map(|name| render::annotate(id, new, name)));
    statements
}

fn of_composite(fates: &Fates<'_>, id: &FactId, new: &Fact, names: &BTreeSet<String>) -> Vec<String> {
    let mut statements = Vec::new();
    if names.contains("type") || names.contains("collation") {
        let collation = new.text("collation").map(|name| format!(" COLLATE {name}")).unwrap_or_default();
        let new_type = new.text("type").unwrap_or_default();
        let column = sql::quote(&id.name);
        let cascade = if super::typed::has_tables(fates, id.owner()) { " CASCADE" } else { "" };
        statements.push(format!(
            "{} ALTER ATTRIBUTE {column} TYPE {new_type}{collation}{cascade}",
            name::alter(id.owner())
        ));
    }
    let notes = names.iter().filter(|name| is_note(name));
    statements.extend(notes.filter_map(|name| render::annotate(id, new, name)));
    statements
}

fn retype(fates: &Fates<'_>, id: &FactId, old: &Fact, new: &Fact, alter: &str) -> String {
    let (was, is) = (old.text("type").unwrap_or_default(), new.text("type").unwrap_or_default());
    let mut text = format!("{alter} TYPE {is}");
    if let Some(collation) = new.text("collation") {
        text.push_str(&format!(" COLLATE {collation}"));
    }
    let swapped = old.references.iter().any(|reference| fates.swapped.contains(reference));
    let column = sql::quote(&id.name);
    if swapped {
        text.push_str(&format!(" USING {column}::text::{is}"));
    } else if was != is
        && let Some(using) = using(&column, was, is)
    {
        text.push_str(&format!(" USING {using}"));
    }
    text
}

fn not_null(id: &FactId, new: &Fact, alter: &str) -> Vec<String> {
    if !new.is("not_null") {
        return vec![format!("{alter} DROP NOT NULL")];
    }
    let owner = id.owner();
    if new.is("not_null_not_valid")
        || new.is("not_null_no_inherit")
        || table::not_null_name(id, new).is_some()
    {
        let no_inherit = if new.is("not_null_no_inherit") { " NO INHERIT" } else { "" };
        let valid = if new.is("not_null_not_valid") { " NOT VALID" } else { "" };
        let constraint = sql::quote(new.text("not_null_name").unwrap_or_default());
        let column = sql::quote(&id.name);
        return vec![format!(
            "{} ADD CONSTRAINT {constraint} NOT NULL {column}{no_inherit}{valid}",
            name::alter(owner)
        )];
    }
    vec![format!("{alter} SET NOT NULL")]
}

fn identity(
    fates: &Fates<'_>,
    id: &FactId,
    old: &Fact,
    new: &Fact,
    names: &BTreeSet<String>,
    alter: &str,
) -> Vec<String> {
    let Some(now) = new.text("identity") else { return Vec::new() };
    let Some(before) = old.text("identity") else {
        let mut statements =
            vec![format!("{alter} ADD GENERATED {now} AS IDENTITY{}", sequence::identity_options(new))];
        if let Some(sequence) = new.text("sequence_name").filter(|_| id.owner().kind == Kind::Table) {
            statements.push(super::extra::advance(sequence, new, id));
        }
        return statements;
    };
    let mut statements = Vec::new();
    if before != now && names.contains("identity") {
        statements.push(format!("{alter} SET GENERATED {now}"));
    }
    let changes = |name: &String| {
        name.starts_with("sequence_") && !matches!(name.as_str(), "sequence_name" | "sequence_type")
    };
    // With another type Postgres takes a sequence that counts down for one that counts up.
    let turned = names.contains("sequence_type") && super::extra::is_falling(new);
    if turned || names.iter().any(changes) {
        let sequence = old.text("sequence_name").unwrap_or_default();
        statements.push(super::extra::alter_sequence(sequence, old, new, false));
    }
    if names.contains("sequence_name")
        && let (Some(old), Some(new)) = (old.text("sequence_name"), new.text("sequence_name"))
        && let Some(bare) = bare_name(fates, id, new)
    {
        statements.push(format!("ALTER SEQUENCE {old} RENAME TO {bare}"));
    }
    statements
}

/// Takes a sequence that is new past the values of a column that is not, and gets its default from it.
pub(super) fn advance(fates: &Fates<'_>, default: &FactId) -> Option<String> {
    let column = default.of.as_ref().filter(|column| column.owner().kind == Kind::Table)?;
    let number = ["smallint", "integer", "bigint"];
    let counts = |fact: Option<&Fact>| {
        fact.and_then(|fact| fact.text("type")).is_some_and(|name| number.contains(&name))
    };
    if fates.is_created(column) || !counts(fates.to.get(column)) {
        return None;
    }
    let fact = fates.to.get(default).filter(|fact| {
        fact.text("expression").is_some_and(|expression| expression.starts_with("nextval("))
    })?;
    let sequence = fact.references.iter().find(|id| id.kind == Kind::Sequence && fates.is_created(id))?;
    Some(super::extra::advance(&sequence.sql(), fates.to.get(sequence)?, column))
}

/// A sequence's name without the schema, which is that of its table.
fn bare_name(fates: &Fates<'_>, id: &FactId, qualified: &str) -> Option<String> {
    let _ = fates;
    let schema = format!("{}.", sql::quote(id.root().schema.as_deref()?));
    qualified.strip_prefix(&schema).map(str::to_owned)
}

fn storage(new: &Fact, names: &BTreeSet<String>, only: &str) -> Vec<String> {
    let mut statements = Vec::new();
    if names.contains("storage") {
        let storage =
            new.text("storage").unwrap_or_else(|| usual_storage(new.text("type").unwrap_or_default()));
        statements.push(format!("{only} SET STORAGE {storage}"));
    }
    if names.contains("compression") {
        statements.push(format!("{only} SET COMPRESSION {}", new.text("compression").unwrap_or("default")));
    }
    if names.contains("statistics") {
        statements.push(format!("{only} SET STATISTICS {}", new.text("statistics").unwrap_or("-1")));
    }
    statements
}

/// The storage that a type of varying length has by itself; those of fixed length have no choice.
fn usual_storage(name: &str) -> &'static str {
    match name.split('(').next().unwrap_or(name) {
        "numeric" | "inet" | "cidr" => "MAIN",
        _ => "EXTENDED",
    }
}

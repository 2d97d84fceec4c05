//! Changing objects in place.

use std::collections::BTreeSet;

use super::fate::{Fates, is_note, is_outward};
use super::{column, extra, foreign, view};
use crate::fact::{Fact, FactId};
use crate::kind::Kind;
use crate::render::{self, grant, name, part, routine, table, types};
use crate::sql;

/// Whether these attributes can be changed without dropping the object.
pub(super) fn is_possible(fates: &Fates<'_>, id: &FactId, attributes: &BTreeSet<String>) -> bool {
    let (Some(old), Some(new)) = (fates.from.get(id), fates.to.get(id)) else { return false };
    let inward: Vec<&str> = attributes.iter().map(String::as_str).filter(|name| !is_outward(name)).collect();
    if inward.is_empty() {
        return true;
    }
    let only = |allowed: &[&str]| inward.iter().all(|name| allowed.contains(name));
    match id.kind {
        Kind::Column => column::is_possible(fates, id, attributes),
        Kind::Table | Kind::ForeignTable => !inward.contains(&"partition_key") && !inward.contains(&"server"),
        Kind::View => view::is_replaceable(fates, id),
        Kind::MaterializedView => {
            only(&["options", "toast_options", "tablespace", "unpopulated", "access_method"])
        }
        Kind::Sequence | Kind::Default | Kind::SequenceOwner | Kind::Grant | Kind::TableIndexRole => true,
        Kind::Function | Kind::Procedure => is_replaceable(old, new),
        Kind::Type => {
            only(&["labels"]) && types::add_labels(id, old.list("labels"), new.list("labels")).is_some()
        }
        Kind::Domain => only(&["default", "not_null"]),
        Kind::Extension => only(&["in_schema", "version"]) && extra::is_upgrade(old, new),
        Kind::Constraint => only(&["inherited", "local", "columns"]) || is_validation(old, new),
        Kind::Index => only(&["tablespace", "statistics"]),
        Kind::Trigger | Kind::Rule | Kind::EventTrigger => only(&["enabled"]),
        Kind::Policy => {
            let goes = |name: &str| old.text(name).is_some() && new.text(name).is_none();
            only(&["roles", "using", "check"]) && !goes("using") && !goes("check")
        }
        Kind::Statistics => only(&["statistics"]),
        Kind::Inheritance => only(&["position"]),
        Kind::Server | Kind::ForeignDataWrapper | Kind::UserMapping => {
            only(&["foreign_options", "definition"]) && foreign::is_alterable(id.kind, old, new)
        }
        Kind::Collation => only(&["version"]),
        _ => false,
    }
}

/// `CREATE OR REPLACE` keeps the names of arguments and the result, and takes no default away.
fn is_replaceable(old: &Fact, new: &Fact) -> bool {
    let defaults = |fact: &Fact| fact.text("arguments").unwrap_or_default().matches(" DEFAULT ").count();
    let same = |name: &str| old.text(name) == new.text(name);
    same("result") && same("identity_arguments") && same("is_window") && defaults(new) >= defaults(old)
}

/// Whether the only thing is that a constraint is validated.
pub(super) fn is_validation(old: &Fact, new: &Fact) -> bool {
    let (Some(old), Some(new)) = (old.text("definition"), new.text("definition")) else { return false };
    old.strip_suffix(" NOT VALID") == Some(new)
}

/// The statements that change these attributes.
pub(super) fn statements(fates: &Fates<'_>, id: &FactId, names: &BTreeSet<String>) -> Vec<String> {
    let (Some(old), Some(new)) = (fates.from.get(id), fates.to.get(id)) else { return Vec::new() };
    if id.kind == Kind::Column && !matches!(id.owner().kind, Kind::View | Kind::MaterializedView) {
        return column::statements(fates, id, names);
    }
    let mut statements = if names.iter().any(|name| !is_outward(name)) {
        inward(fates, id, old, new, names)
    } else {
        Vec::new()
    };
    if names.contains("owner") && !follows_table(fates, id) {
        statements.extend(new.text("owner").and_then(|owner| render::set_owner(id, new, owner)));
    }
    let notes = names.iter().filter(|name| is_note(name));
    statements.extend(notes.filter_map(|name| render::annotate(id, new, name)));
    statements
}

/// Whether it is a sequence that a column owns before and after: it has the owner of the table.
fn follows_table(fates: &Fates<'_>, id: &FactId) -> bool {
    let link = FactId::part(std::sync::Arc::new(id.clone()), Kind::SequenceOwner, "");
    id.kind == Kind::Sequence && fates.get(&link).is_none() && fates.to.get(&link).is_some()
}

fn inward(fates: &Fates<'_>, id: &FactId, old: &Fact, new: &Fact, names: &BTreeSet<String>) -> Vec<String> {
    let alter = name::alter(id);
    match id.kind {
        Kind::Table | Kind::ForeignTable | Kind::MaterializedView => relation(id, old, new, names),
        Kind::View => view::replace(fates, id, new),
        Kind::Function | Kind::Procedure => vec![routine::replace(new)],
        Kind::Sequence => extra::sequence(id, old, new, names),
        Kind::Type => types::add_labels(id, old.list("labels"), new.list("labels")).unwrap_or_default(),
        Kind::Domain => domain(&alter, new, names),
        Kind::Extension => extra::extension(&alter, new, names),
        Kind::Constraint if is_validation(old, new) => {
            vec![format!("{} VALIDATE CONSTRAINT {}", name::alter(id.owner()), sql::quote(&id.name))]
        }
        Kind::Index => index(id, new, names),
        Kind::Trigger | Kind::Rule => vec![part::enable(id, new)],
        Kind::EventTrigger => vec![format!("{alter} {}", new.text("enabled").unwrap_or("ENABLE"))],
        Kind::Policy => vec![policy(id, new, names)],
        Kind::Default | Kind::SequenceOwner | Kind::TableIndexRole => {
            render::create(fates.to, id, &|_| false)
        }
        Kind::Grant => privileges(fates, id, old, new),
        Kind::Statistics => {
            vec![format!("{alter} SET STATISTICS {}", new.text("statistics").unwrap_or("-1"))]
        }
        Kind::Server | Kind::ForeignDataWrapper => foreign::statements(&alter, id.kind, old, new),
        Kind::UserMapping => {
            let user = new.text("user").unwrap_or_default();
            let server = id.owner().sql();
            vec![format!(
                "ALTER USER MAPPING FOR {user} SERVER {server} OPTIONS ({})",
                foreign_options(old, new)
            )]
        }
        _ => Vec::new(),
    }
}

fn relation(id: &FactId, old: &Fact, new: &Fact, names: &BTreeSet<String>) -> Vec<String> {
    let alter = name::alter(id);
    let only = name::alter_only(id);
    let mut statements = Vec::new();
    for name in names {
        match name.as_str() {
            "unlogged" => {
                statements
                    .push(format!("{alter} SET {}", if new.is("unlogged") { "UNLOGGED" } else { "LOGGED" }));
            }
            "options" => statements.extend(options(&only, old.list("options"), new.list("options"))),
            "toast_options" => {
                let prefix = |fact: &Fact| -> Vec<String> {
                    fact.list("toast_options").iter().map(|option| format!("toast.{option}")).collect()
                };
                statements.extend(options(&only, &prefix(old), &prefix(new)));
            }
            "row_security" | "force_row_security" => {
                let forced = name == "force_row_security";
                let word = match (forced, new.is(name)) {
                    (false, true) => "ENABLE",
                    (false, false) => "DISABLE",
                    (true, true) => "FORCE",
                    (true, false) => "NO FORCE",
                };
                statements.push(format!("ALTER TABLE {} {word} ROW LEVEL SECURITY", id.sql()));
            }
            "replica_identity" => {
                statements.push(format!("{only} REPLICA IDENTITY {}", new.text(name).unwrap_or("DEFAULT")));
            }
            "tablespace" => {
                let space = sql::quote(new.text(name).unwrap_or("pg_default"));
                statements.push(format!("{alter} SET TABLESPACE {space}"));
            }
            "access_method" => {
                statements.push(format!(
                    "{alter} SET ACCESS METHOD {}",
                    sql::quote(new.text(name).unwrap_or("heap"))
                ));
            }
            "of_type" => statements.push(match new.text(name) {
                Some(of_type) => format!("{alter} OF {of_type}"),
                None => format!("{alter} NOT OF"),
            }),
            "foreign_options" => statements.push(format!("{alter} OPTIONS ({})", foreign_options(old, new))),
            "unpopulated" => {
                let no = if new.is(name) { " WITH NO DATA" } else { "" };
                statements.push(format!("REFRESH MATERIALIZED VIEW {}{no}", id.sql()));
            }
            _ => {}
        }
    }
    statements
}

/// `SET` and `RESET` of storage options, which are `name=value` each.
pub(super) fn options(alter: &str, old: &[String], new: &[String]) -> Vec<String> {
    let name_of = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = new.iter().map(|option| name_of(option)).collect();
    let write = |option: &String| match option.strip_prefix("toast.") {
        Some(rest) => format!("toast.{}", table::quote_option(rest)),
        None => table::quote_option(option),
    };
    let set: Vec<String> = new.iter().filter(|option| !old.contains(option)).map(write).collect();
    let gone: Vec<String> =
        old.iter().map(|option| name_of(option)).filter(|name| !names.contains(name)).collect();
    let mut statements = Vec::new();
    if !gone.is_empty() {
        statements.push(format!("{alter} RESET ({})", gone.join(", ")));
    }
    if !set.is_empty() {
        statements.push(format!("{alter} SET ({})", set.join(", ")));
    }
    statements
}

/// The changes of options of something foreign, which are `name 'value'` each.
pub(super) fn foreign_options(old: &Fact, new: &Fact) -> String {
    let (old, new) = (old.list("foreign_options"), new.list("foreign_options"));
    let name_of = |option: &str| option.split(" '").next().unwrap_or_default().to_owned();
    let has = |options: &[String], name: &str| options.iter().any(|option| name_of(option) == name);
    let mut changes = Vec::new();
    for option in new.iter().filter(|option| !old.contains(option)) {
        let word = if has(old, &name_of(option)) { "SET" } else { "ADD" };
        changes.push(format!("{word} {option}"));
    }
    for option in old.iter().filter(|option| !has(new, &name_of(option))) {
        changes.push(format!("DROP {}", name_of(option)));
    }
    changes.join(", ")
}

fn domain(alter: &str, new: &Fact, names: &BTreeSet<String>) -> Vec<String> {
    let mut statements = Vec::new();
    if names.contains("default") {
        statements.push(match new.text("default") {
            Some(default) => format!("{alter} SET DEFAULT {default}"),
            None => format!("{alter} DROP DEFAULT"),
        });
    }
    if names.contains("not_null") {
        statements.push(format!("{alter} {} NOT NULL", if new.is("not_null") { "SET" } else { "DROP" }));
    }
    statements
}

fn index(id: &FactId, new: &Fact, names: &BTreeSet<String>) -> Vec<String> {
    let index = name::beside(id.owner(), &id.name);
    let mut statements = Vec::new();
    if names.contains("tablespace") {
        let space = sql::quote(new.text("tablespace").unwrap_or("pg_default"));
        statements.push(format!("ALTER INDEX {index} SET TABLESPACE {space}"));
    }
    if names.contains("statistics") {
        for entry in new.list("statistics") {
            if let Some((column, target)) = entry.split_once('=') {
                statements.push(format!("ALTER INDEX {index} ALTER COLUMN {column} SET STATISTICS {target}"));
            }
        }
    }
    statements
}

fn policy(id: &FactId, new: &Fact, names: &BTreeSet<String>) -> String {
    let mut text = format!("ALTER POLICY {} ON {}", sql::quote(&id.name), id.owner().sql());
    if names.contains("roles") {
        let roles = new.list("roles").join(", ");
        text.push_str(&format!(" TO {}", if roles.is_empty() { "PUBLIC" } else { &roles }));
    }
    for (name, word) in [("using", "USING"), ("check", "WITH CHECK")] {
        if let Some(expression) = new.text(name).filter(|_| names.contains(name)) {
            text.push_str(&format!(" {word} ({expression})"));
        }
    }
    text
}

/// Only what is to be taken is revoked, so that nobody loses access for a moment.
fn privileges(fates: &Fates<'_>, id: &FactId, old: &Fact, new: &Fact) -> Vec<String> {
    let bare = |privilege: &String| privilege.trim_end_matches('*').to_owned();
    let (had, has) = (old.list("privileges"), new.list("privileges"));
    let kept: BTreeSet<String> = has.iter().map(bare).collect();
    let gone: Vec<String> = had.iter().map(bare).filter(|privilege| !kept.contains(privilege)).collect();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    let mut statements: Vec<String> = grant::take(fates.to, id, new, &gone).into_iter().collect();
    let lost: Vec<String> =
        has.iter().filter(|privilege| had.contains(&format!("{privilege}*"))).cloned().collect();
    statements.extend(grant::take_option(fates.to, id, new, &lost));
    let added: Vec<String> = has
        .iter()
        .filter(|privilege| !had.contains(privilege) && !lost.contains(privilege))
        .cloned()
        .collect();
    statements.extend(grant::give(fates.to, id, new, &added));
    statements
}

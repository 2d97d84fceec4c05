//! What to beware of in a step.

use serde::{Deserialize, Serialize};

use super::fate::{Fate, Fates};
use super::lock::{self, Lock};
use super::newer;
use super::nodes::{Act, Node};
use crate::fact::FactId;
use crate::kind::Kind;

/// What kind of danger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum HazardKind {
    /// Rows, or values of rows, are gone afterwards.
    DeletesData,
    /// The table is written anew, under a lock that nobody reads through.
    RewritesTable,
    /// Every row is read while a lock is held.
    ScansTable,
    /// An index is built while nobody can write.
    BuildsIndex,
    /// It fails if the data is not as it has to be.
    MayFail,
    /// Someone gains or loses a right.
    ChangesPrivileges,
    /// Something is dropped and made again, but not in one transaction.
    GoneMeanwhile,
}

/// A danger of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hazard {
    /// What kind.
    pub kind: HazardKind,
    /// What exactly, for people.
    pub message: String,
}

impl std::fmt::Display for Hazard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let title = match self.kind {
            HazardKind::DeletesData => "DELETES DATA",
            HazardKind::RewritesTable => "REWRITES TABLE",
            HazardKind::ScansTable => "SCANS TABLE",
            HazardKind::BuildsIndex => "BUILDS INDEX",
            HazardKind::MayFail => "MAY FAIL",
            HazardKind::ChangesPrivileges => "CHANGES PRIVILEGES",
            HazardKind::GoneMeanwhile => "GONE MEANWHILE",
        };
        write!(out, "{title}: {}", self.message)
    }
}

/// The dangers of a step and its strongest lock.
pub(super) fn of(fates: &Fates<'_>, node: &Node, statements: &[String]) -> (Vec<Hazard>, Option<Lock>) {
    let mut hazards = Vec::new();
    let id = &*node.id;
    let mut add = |kind: HazardKind, message: String| hazards.push(Hazard { kind, message });
    match node.act {
        Act::Drop => {
            if let Some(message) = loss(fates, id) {
                add(HazardKind::DeletesData, message);
            }
        }
        Act::Create => creating(fates, id, &mut add),
        Act::Alter => altering(fates, id, statements, &mut add),
        Act::Copy => {
            add(HazardKind::RewritesTable, format!("all rows of {} are copied", id.sql()));
            add(
                HazardKind::MayFail,
                format!("it fails if a row does not fit {} or any of its partitions", id.sql()),
            );
        }
        Act::Away | Act::Sweep | Act::Shell => {}
    }
    if matches!(node.act, Act::Create | Act::Alter)
        && let Some(message) = newer::reason(fates.to, id, fates.from.major)
    {
        add(HazardKind::MayFail, message);
    }
    if id.kind == Kind::Grant && !fates.is_created(id.owner()) && !fates.is_dropped(id.owner()) {
        add(HazardKind::ChangesPrivileges, format!("what {} may do with {} changes", id.name, id.owner()));
    }
    let advanced = statements.iter().any(|text| text.starts_with("SELECT pg_catalog.setval("));
    if let Some(column) = id_of_column(id).filter(|column| advanced && !leads_a_key(fates, column)) {
        let (table, column) = (column.owner().sql(), column.sql());
        let message = format!("all rows of {table} are looked through for how far the values of {column} go");
        hazards.push(Hazard { kind: HazardKind::ScansTable, message });
    }
    let slow = hazards.iter().any(|hazard| {
        matches!(hazard.kind, HazardKind::RewritesTable | HazardKind::ScansTable | HazardKind::BuildsIndex)
    });
    let lock = lock::level(fates, node, statements).map(|level| Lock { level, brief: !slow });
    (hazards, lock)
}

/// The column that it is, or is the default of.
fn id_of_column(id: &FactId) -> Option<&FactId> {
    match id.kind {
        Kind::Column => Some(id),
        Kind::Default => id.of.as_deref(),
        _ => None,
    }
}

/// Whether there is a key that begins with this column, so that its least and greatest value are found at once.
fn leads_a_key(fates: &Fates<'_>, column: &FactId) -> bool {
    let constraints = fates.from.parts_of_kind(column.owner(), Kind::Constraint);
    constraints
        .iter()
        .any(|(id, fact)| fact.list("columns").first() == Some(&column.name) && !fates.is_dropped(id))
}

fn loss(fates: &Fates<'_>, id: &FactId) -> Option<String> {
    match id.kind {
        Kind::Table if super::convert::goes_over(fates, id) => None,
        Kind::Table => Some(format!("all rows of {} are lost", id.sql())),
        Kind::Column if id.owner().kind == Kind::Table => {
            let generated = fates.from.get(id).is_some_and(|column| column.text("generated").is_some());
            (!generated)
                .then(|| format!("all values of column {} of {} are lost", id.sql(), id.owner().sql()))
        }
        Kind::Sequence => Some(format!("the position of {} is lost", id.sql())),
        Kind::Extension | Kind::Schema => Some(format!("everything that {} holds is lost", id.sql())),
        _ => None,
    }
}

/// Precision and scale of `numeric(12,2)`.
fn digits(name: &str) -> Option<(u32, i32)> {
    let (precision, scale) = name.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
    Some((precision.parse().ok()?, scale.parse().ok()?))
}

fn is_new(fates: &Fates<'_>, id: &FactId) -> bool {
    fates.is_created(id.root())
}

fn creating(fates: &Fates<'_>, id: &FactId, add: &mut dyn FnMut(HazardKind, String)) {
    if is_new(fates, id) {
        return;
    }
    let Some(fact) = fates.to.get(id) else { return };
    let table = id.owner().sql();
    match id.kind {
        Kind::Column if id.owner().kind == Kind::Table => {
            let default = FactId::part(std::sync::Arc::new(id.clone()), Kind::Default, "");
            let default = fates.to.get(&default).and_then(|default| default.text("expression"));
            let moved = fates.swapped.contains(id);
            if moved || fact.text("generated") == Some("STORED") || fact.text("identity").is_some() {
                add(HazardKind::RewritesTable, format!("{table} is written anew to fill {}", id.sql()));
                if fact.is("not_null") && fact.text("generated").is_some() {
                    add(
                        HazardKind::MayFail,
                        format!("it fails if the expression of {} is null somewhere in {table}", id.sql()),
                    );
                }
            } else if default.is_some_and(|default| default.contains('(') && !default.starts_with("now()")) {
                add(
                    HazardKind::RewritesTable,
                    format!("{table} is written anew if the default of {} changes from row to row", id.sql()),
                );
            } else if fact.is("not_null") && default.is_none() {
                add(
                    HazardKind::MayFail,
                    format!("it fails if {table} has rows: {} has no default and may not be null", id.sql()),
                );
            }
        }
        Kind::Index => {
            add(HazardKind::BuildsIndex, format!("{} is built while nobody can write to {table}", id.sql()));
            if fact.is("is_unique") {
                add(HazardKind::MayFail, format!("it fails if rows of {table} break {}", id.sql()));
            }
        }
        Kind::Attachment if fact.text("bound").is_some() => {
            let parent = fact.text("parent").unwrap_or_default();
            add(
                HazardKind::ScansTable,
                format!("all rows of {table} are checked against its bounds in {parent}"),
            );
            add(HazardKind::MayFail, format!("it fails if {table} has rows out of its bounds in {parent}"));
        }
        Kind::Constraint => match fact.text("form") {
            Some("primaryKey" | "unique" | "exclusion") => {
                add(
                    HazardKind::BuildsIndex,
                    format!("{} is built while nobody can read or write {table}", id.sql()),
                );
                add(HazardKind::MayFail, format!("it fails if rows of {table} break {}", id.sql()));
            }
            _ if fact.text("definition").is_some_and(looks_at_no_row) => {}
            _ => {
                add(HazardKind::ScansTable, format!("all rows of {table} are checked against {}", id.sql()));
                add(HazardKind::MayFail, format!("it fails if rows of {table} break {}", id.sql()));
            }
        },
        _ => {}
    }
}

/// Whether adding the constraint of this definition reads no row.
pub(super) fn looks_at_no_row(definition: &str) -> bool {
    definition.ends_with(" NOT VALID") || definition.ends_with(" NOT ENFORCED")
}

fn altering(fates: &Fates<'_>, id: &FactId, statements: &[String], add: &mut dyn FnMut(HazardKind, String)) {
    let Some(Fate::Alter(names)) = fates.get(id) else { return };
    let table = id.owner().sql();
    let (Some(old), Some(new)) = (fates.from.get(id), fates.to.get(id)) else { return };
    match id.kind {
        Kind::Column if !statements.is_empty() => {
            if names.contains("type") && !is_relabel(old.text("type"), new.text("type")) {
                add(
                    HazardKind::RewritesTable,
                    format!("{table} is written anew for the new type of {}", id.sql()),
                );
                add(
                    HazardKind::MayFail,
                    format!("it fails if a value of {} does not fit the new type", id.sql()),
                );
            }
            if names.contains("not_null") && new.is("not_null") {
                add(HazardKind::ScansTable, format!("all rows of {table} are looked through for nulls"));
                add(HazardKind::MayFail, format!("it fails if {} is null somewhere in {table}", id.sql()));
            }
        }
        Kind::Constraint if super::alter::is_validation(old, new) => {
            add(HazardKind::ScansTable, format!("all rows of {table} are checked against {}", id.sql()));
            add(HazardKind::MayFail, format!("it fails if rows of {table} break {}", id.sql()));
        }
        Kind::Table
            if ["unlogged", "tablespace", "access_method"].iter().any(|name| names.contains(*name)) =>
        {
            add(HazardKind::RewritesTable, format!("{} is written anew", id.sql()));
        }
        _ => {}
    }
}

/// Whether the bytes of the old type are those of the new one, and all of its values fit: Postgres then looks at no row.
fn is_relabel(old: Option<&str>, new: Option<&str>) -> bool {
    let length = |name: &str| {
        name.strip_prefix("character varying(")
            .and_then(|rest| rest.trim_end_matches(')').parse::<u32>().ok())
    };
    let (Some(old), Some(new)) = (old, new) else { return false };
    if let (Some((old, scale)), true) = (digits(old), new.starts_with("numeric")) {
        return new == "numeric" || digits(new).is_some_and(|(new, same)| new >= old && same == scale);
    }
    let varying = old.starts_with("character varying") || old == "text";
    match (length(old), length(new)) {
        (Some(old), Some(new)) => new >= old,
        (_, None) => varying && (new == "text" || new == "character varying"),
        (None, Some(_)) => false,
    }
}

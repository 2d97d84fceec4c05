//! Keys over an index that was built before, and columns that cannot be null from a check that was validated before.

use super::{Form, WEAK};
use crate::fact::FactId;
use crate::kind::Kind;
use crate::plan::fate::Fates;
use crate::plan::hazard::HazardKind;
use crate::plan::lock::{Lock, LockLevel};
use crate::plan::{Action, Step};
use crate::render::name;
use crate::sql;

/// A unique or primary key whose index is built concurrently. `None` if it has none of its own or is no such constraint.
pub(super) fn using_index(fates: &Fates<'_>, id: &FactId, step: &Step) -> Option<Vec<(bool, Step)>> {
    let fact = fates.to.get(id)?;
    let text = fact.text("definition")?;
    let (word, rest) =
        ["PRIMARY KEY ", "UNIQUE "].iter().find_map(|word| Some((*word, text.strip_prefix(*word)?)))?;
    if step.statements.first()?.contains(" USING INDEX ") || rest.contains("WITHOUT OVERLAPS") {
        return None;
    }
    let (nulls, rest) = match rest.strip_prefix("NULLS NOT DISTINCT ") {
        Some(rest) => (" NULLS NOT DISTINCT", rest),
        None => ("", rest),
    };
    let (columns, mut rest) = parenthesised(rest)?;
    let mut include = String::new();
    if let Some(after) = rest.strip_prefix(" INCLUDE ") {
        let (columns, after) = parenthesised(after)?;
        include = format!(" INCLUDE {columns}");
        rest = after;
    }
    let mut options = String::new();
    if let Some(after) = rest.strip_prefix(" WITH ") {
        let (given, after) = parenthesised(after)?;
        options = format!(" WITH {given}");
        rest = after;
    }
    let (table, index) = (id.owner().sql(), sql::quote(&id.name));
    let mut build = step.clone();
    build.statements = vec![format!(
        "CREATE UNIQUE INDEX CONCURRENTLY {index} ON {table} USING btree {columns}{include}{nulls}{options}"
    )];
    build.hazards.retain(|hazard| hazard.kind == HazardKind::MayFail);
    build.lock = WEAK;
    let mut take = step.clone();
    let first = take.statements.first_mut()?;
    *first = format!("{} ADD CONSTRAINT {index} {word}USING INDEX {index}{rest}", name::alter(id.owner()));
    take.hazards.clear();
    let all_set = |column: &String| {
        let column = FactId::part(std::sync::Arc::new(id.owner().clone()), Kind::Column, column);
        fates.from.get(&column).is_some_and(|column| column.is("not_null"))
    };
    if word == "PRIMARY KEY " && !fact.list("columns").iter().all(all_set) {
        take.hazards.clone_from(&build.hazards);
    }
    take.lock = Some(Lock { level: LockLevel::AccessExclusive, brief: take.hazards.is_empty() });
    Some(vec![(false, build), (true, take)])
}

/// What stands in parentheses at the beginning, with them, and the rest.
fn parenthesised(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') if depth == 1 => return Some((&text[..=at], &text[at + 1..])),
            (None, ')') => depth -= 1,
            (None, _) if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// A name for the check, within the 63 bytes of a name.
fn check_name(column: &str) -> String {
    let mut short = column.to_owned();
    while short.len() > 40 {
        short.pop();
    }
    format!("{short}__offshoot_not_null")
}

/// `SET NOT NULL` by way of a check that is validated under a weak lock: Postgres then looks through no rows. From 18 on the
/// constraint itself can be validated so.
pub(super) fn not_null(fates: &Fates<'_>, id: &FactId, mut step: Step) -> Form {
    let column = sql::quote(&id.name);
    let table = id.owner();
    let alter = name::alter(table);
    let set = format!("{alter} ALTER COLUMN {column} SET NOT NULL");
    let has_heirs = fates.to.facts.iter().any(|(link, fact)| {
        link.kind == Kind::Inheritance && fact.references.iter().any(|parent| **parent == *table)
    });
    let Some(at) = step.statements.iter().position(|text| *text == set).filter(|_| !has_heirs) else {
        return step.into();
    };
    let rest_of_all = step.statements.split_off(at + 1);
    step.statements.pop();
    let is_scan = |kind: HazardKind| matches!(kind, HazardKind::ScansTable | HazardKind::MayFail);
    let about_null = |message: &str| message.contains("null");
    let (scan, rest) =
        step.hazards.drain(..).partition(|hazard| is_scan(hazard.kind) && about_null(&hazard.message));
    step.hazards = rest;
    let native = fates.from.major >= 18 && fates.to.major >= 18;
    let chosen = format!("{}_{}_not_null", table.name, id.name);
    let name = if native { sql::quote(&chosen) } else { sql::quote(&check_name(&id.name)) };
    let brief = Some(Lock { level: LockLevel::AccessExclusive, brief: true });
    let with = |statements: Vec<String>, hazards, lock| Step {
        action: Action::Alter,
        statements,
        hazards,
        lock,
        ..step.clone()
    };
    let check = if native { format!("NOT NULL {column}") } else { format!("CHECK ({column} IS NOT NULL)") };
    let add = with(vec![format!("{alter} ADD CONSTRAINT {name} {check} NOT VALID")], Vec::new(), brief);
    let validate = with(vec![format!("{alter} VALIDATE CONSTRAINT {name}")], scan, WEAK);
    let mut finish = if native { Vec::new() } else { vec![set, format!("{alter} DROP CONSTRAINT {name}")] };
    finish.extend(rest_of_all);
    let finish = with(finish, Vec::new(), brief);
    let mut steps = vec![(true, step), (true, add), (false, validate), (true, finish)];
    steps.retain(|(_, step)| !step.statements.is_empty());
    Form { steps, later: None }
}

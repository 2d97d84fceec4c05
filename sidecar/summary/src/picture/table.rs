//! A relation as a box.

use std::collections::BTreeMap;
use std::sync::Arc;

use offshoot_schema::{Fact, FactId, Facts, Kind, Object};

use super::keys::key_columns;
use super::{Column, Deltas, State, TableBox, TablePart, of_delta, state};
use crate::sides::{Entry, ObjectRef, Sides};
use crate::words::{one_line, title};

/// Most columns of a box.
const MOST_COLUMNS: usize = 14;
/// Most other parts of a box.
const MOST_PARTS: usize = 6;

/// The box of a relation that changed.
pub(super) fn changed(sides: &Sides<'_>, entry: &Entry, deltas: &Deltas) -> TableBox {
    let (before, after) = (sides.before(entry.group), sides.after(entry.group));
    let mut made = plain_box(&entry.object, before, after, deltas);
    made.state = state(entry);
    made.group = Some(entry.group);
    made.reasons.clone_from(&entry.reasons);
    made
}

/// The box of a relation that did not change.
pub(super) fn unchanged(sides: &Sides<'_>, object: &Object) -> TableBox {
    let facts = sides.mine.facts;
    let facts = if facts.get(&object.id()).is_some() { facts } else { sides.base() };
    plain_box(object, facts, facts, &Deltas::new())
}

fn plain_box(object: &Object, before: &Facts, after: &Facts, deltas: &Deltas) -> TableBox {
    let id = object.id();
    let keys = key_columns(before, after, &id);
    let mut olds: BTreeMap<String, &Fact> = BTreeMap::new();
    let mut columns: Vec<(Arc<FactId>, Option<&Fact>)> = Vec::new();
    for (part, fact) in columns_of(after, &id) {
        columns.push((part, Some(fact)));
    }
    for (part, fact) in columns_of(before, &id) {
        olds.insert(part.name.clone(), fact);
        if after.get(&part).is_none() {
            columns.push((part, None));
        }
    }
    let whole = deltas.get(&id);
    let is_whole = matches!(of_delta(whole), State::Added | State::Removed);
    let all = columns.len();
    let mut shown: Vec<Column> = columns
        .into_iter()
        .map(|(part, new)| column(&part, olds.get(&part.name).copied(), new, deltas, &keys))
        .filter(|column| is_whole || column.state != State::Same || column.primary || column.foreign)
        .collect();
    shown.truncate(MOST_COLUMNS);
    TableBox {
        object: ObjectRef::from(object),
        title: title(object),
        state: State::Same,
        group: None,
        reasons: Vec::new(),
        more: all - shown.len(),
        columns: shown,
        parts: if is_whole { Vec::new() } else { parts(&id, deltas, [before, after]) },
    }
}

fn columns_of<'f>(facts: &'f Facts, id: &FactId) -> Vec<(Arc<FactId>, &'f Fact)> {
    let all = facts.parts(id).into_iter().filter(|(part, _)| part.kind == Kind::Column);
    all.map(|(part, fact)| (Arc::clone(part), fact)).collect()
}

fn column(
    id: &FactId,
    old: Option<&Fact>,
    new: Option<&Fact>,
    deltas: &Deltas,
    keys: &BTreeMap<String, (bool, bool)>,
) -> Column {
    let own = of_delta(deltas.get(id));
    let has_changed_part = || deltas.keys().any(|other| other.of.as_deref() == Some(id));
    let state = if own == State::Same && has_changed_part() { State::Changed } else { own };
    let detail = |fact: &Fact| {
        let null = if fact.is("not_null") { " not null" } else { "" };
        one_line(&format!("{}{null}", fact.text("type").unwrap_or_default()))
    };
    let now = new.or(old).map(detail).unwrap_or_default();
    let before = old.map(detail).filter(|before| new.is_some() && *before != now);
    let (primary, foreign) = keys.get(&id.name).copied().unwrap_or_default();
    Column { name: one_line(&id.name), detail: now, before, state, primary, foreign }
}

/// What else of the relation differs; foreign keys are lines of their own.
fn parts(id: &FactId, deltas: &Deltas, sides: [&Facts; 2]) -> Vec<TablePart> {
    let is_key = |part: &FactId| {
        let mut facts = sides.into_iter().filter_map(|facts| facts.get(part));
        facts.any(|fact| fact.text("form") == Some("foreignKey"))
    };
    let own = deltas.iter().filter(|(part, _)| part.of.as_deref() == Some(id) && !is_key(part));
    let mut found: Vec<TablePart> = own
        .filter(|(part, _)| {
            matches!(part.kind, Kind::Constraint | Kind::Index | Kind::Trigger | Kind::Policy | Kind::Rule)
        })
        .map(|(part, delta)| TablePart {
            title: one_line(&format!("{} {}", part.kind.title(), part.name)),
            state: of_delta(Some(delta)),
        })
        .collect();
    if found.len() > MOST_PARTS {
        let rest = found.len() - (MOST_PARTS - 1);
        found.truncate(MOST_PARTS - 1);
        found.push(TablePart { title: format!("and {rest} more"), state: State::Changed });
    }
    found
}

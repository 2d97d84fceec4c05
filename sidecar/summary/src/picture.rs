//! The summary as a picture: changed relations as boxes, foreign keys as lines. Where things go is for the drawer to say.

mod keys;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use offshoot_schema::diff::{Delta, Noise, diff};
use offshoot_schema::{ChangeKind, FactId, Kind, Object};
use serde::{Deserialize, Serialize};

use crate::document::verdict;
use crate::filter::{Choices, Filter};
use crate::sides::{Entry, Group, ObjectRef, Sides};
use crate::words::title;

/// Most boxes of a picture; what is beyond is counted.
const MOST_BOXES: usize = 400;

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It did not change.
    Same,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
    /// Both sides changed it.
    Conflict,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Picture {
    /// Name of the branch.
    pub mine: String,
    /// Name of its parent.
    pub theirs: String,
    /// All changes in one line, whatever the filter.
    pub verdict: String,
    /// Relations: the changed ones that are shown, then others that have a key in common with one of these.
    pub boxes: Vec<TableBox>,
    /// Foreign keys between boxes.
    pub links: Vec<Link>,
    /// Changed objects that are no relations.
    pub others: Vec<Chip>,
    /// Changed relations that are not shown, because there are too many.
    pub hidden: usize,
    /// What a filter can choose from.
    pub choices: Choices,
}

/// A relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct TableBox {
    /// The relation.
    pub object: ObjectRef,
    /// Kind and name.
    pub title: String,
    /// How it stands.
    pub state: State,
    /// Whose the change is; `None` of an unchanged one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub group: Option<Group>,
    /// Why it is a conflict.
    pub reasons: Vec<String>,
    /// Columns worth showing: those that differ and those of keys.
    pub columns: Vec<Column>,
    /// How many columns are not shown.
    pub more: usize,
    /// Other parts that differ.
    pub parts: Vec<TablePart>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, and whether it takes nulls.
    pub detail: String,
    /// The former type, if that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub before: Option<String>,
    /// How it stands.
    pub state: State,
    /// It belongs to the primary key.
    pub primary: bool,
    /// It belongs to a foreign key.
    pub foreign: bool,
}

/// A part of a relation that differs and is no column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct TablePart {
    /// Kind and name.
    pub title: String,
    /// How it stands.
    pub state: State,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// Its name.
    pub name: String,
    /// The referring box.
    pub from: usize,
    /// The box that is referred to.
    pub to: usize,
    /// The referring columns.
    pub columns: String,
    /// How it stands.
    pub state: State,
}

/// A changed object that is no relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Chip {
    /// The object.
    pub object: ObjectRef,
    /// Kind and name.
    pub title: String,
    /// How it stands.
    pub state: State,
    /// Whose the change is.
    pub group: Group,
}

/// What differs, by id, between the two schemas of a group.
pub(crate) type Deltas = BTreeMap<Arc<FactId>, Delta>;

/// The picture of what `filter` shows.
pub fn picture(sides: &Sides<'_>, filter: &Filter) -> Picture {
    let all = sides.entries();
    let shown: Vec<&Entry> = all.iter().filter(|entry| filter.shows(entry)).collect();
    let mut deltas: BTreeMap<Group, Deltas> = BTreeMap::new();
    for group in all.iter().map(|entry| entry.group) {
        deltas.entry(group).or_insert_with(|| {
            let found = diff(sides.before(group), sides.after(group), &Noise::default());
            found.into_iter().map(|difference| (difference.id, difference.delta)).collect()
        });
    }
    let (relations, others): (Vec<&Entry>, Vec<&Entry>) =
        shown.into_iter().partition(|entry| is_relation(entry.object.kind));
    let hidden = relations.len().saturating_sub(MOST_BOXES);
    let mut boxes: Vec<TableBox> = relations
        .iter()
        .take(MOST_BOXES)
        .map(|entry| table::changed(sides, entry, &deltas[&entry.group]))
        .collect();
    let objects: Vec<Object> = relations.iter().take(MOST_BOXES).map(|entry| entry.object.clone()).collect();
    // A neighbour that the filter leaves out is drawn as it is all the same.
    let neighbour = |object: &Object| match all.iter().find(|entry| entry.object == *object) {
        Some(entry) => table::changed(sides, entry, &deltas[&entry.group]),
        None => table::unchanged(sides, object),
    };
    let links = keys::links(sides, objects, &mut boxes, &deltas, &neighbour);
    let chip = |entry: &Entry| Chip {
        object: ObjectRef::from(&entry.object),
        title: title(&entry.object),
        state: state(entry),
        group: entry.group,
    };
    Picture {
        mine: sides.mine.name.to_owned(),
        theirs: sides.theirs.name.to_owned(),
        verdict: verdict(sides, &all),
        boxes,
        links,
        others: others.into_iter().map(chip).collect(),
        hidden,
        choices: Choices::of(&all),
    }
}

/// How a changed object stands.
pub(crate) fn state(entry: &Entry) -> State {
    match (entry.group, entry.change) {
        (Group::Conflict, _) => State::Conflict,
        (_, ChangeKind::Added) => State::Added,
        (_, ChangeKind::Removed) => State::Removed,
        (_, ChangeKind::Changed) => State::Changed,
    }
}

/// How a fact stands.
pub(crate) fn of_delta(delta: Option<&Delta>) -> State {
    match delta {
        None => State::Same,
        Some(Delta::Added) => State::Added,
        Some(Delta::Removed) => State::Removed,
        Some(Delta::Changed(_)) => State::Changed,
    }
}

fn is_relation(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView)
}

//! Columns in exactly the wanted order. Postgres puts a new column last and moves none, so that a column that has to
//! stand behind a new one is made anew, with its values.

use std::sync::Arc;

use super::fate::Fates;
use super::implied;
use crate::fact::{FactId, Facts};
use crate::kind::Kind;

/// Decides which columns are made anew.
pub(super) fn decide(fates: &mut Fates<'_>) {
    let to = fates.to;
    let mut tables: Vec<Arc<FactId>> = to.facts.keys().filter(|id| id.kind == Kind::Table).cloned().collect();
    // Parents first: what comes from one moves with it.
    tables.sort_by_key(|table| depth(to, table));
    for table in tables {
        if fates.from.get(&table).is_some() && !fates.is_created(&table) {
            for column in moved(fates, &table) {
                let inherited = fates.from.get(&column).is_some_and(|fact| fact.is("inherited"));
                let twins = implied::twins(fates, fates.to, &column);
                if !inherited || twins.iter().any(|twin| fates.swapped.contains(twin)) {
                    fates.move_column(&column);
                }
            }
        }
    }
}

/// How many tables there are above a table.
fn depth(facts: &Facts, table: &FactId) -> usize {
    let mut depth = 0;
    let mut next = parent(facts, table);
    while let Some(id) = next {
        depth += 1;
        next = parent(facts, &id);
    }
    depth
}

fn parent(facts: &Facts, table: &FactId) -> Option<Arc<FactId>> {
    let links = [Kind::Attachment, Kind::Inheritance];
    let mut links = links.iter().flat_map(|kind| facts.parts_of_kind(table, *kind));
    links.next().and_then(|(_, link)| link.references.iter().next().cloned())
}

/// The columns of a table that cannot stay where they are: all that come behind the first that is new.
fn moved(fates: &Fates<'_>, table: &FactId) -> Vec<Arc<FactId>> {
    let ids = |facts: &Facts| -> Vec<Arc<FactId>> {
        facts.parts_of_kind(table, Kind::Column).into_iter().map(|(id, _)| Arc::clone(id)).collect()
    };
    let wanted = ids(fates.to);
    let kept: Vec<Arc<FactId>> = ids(fates.from)
        .into_iter()
        .filter(|id| fates.to.get(id).is_some() && !fates.is_dropped(id))
        .collect();
    let place = |id: &Arc<FactId>| kept.iter().position(|other| other == id);
    // What stays is the longest beginning of the wanted order that the old order has, too, whatever lies between.
    let mut last = None;
    let stays = |id: &&Arc<FactId>| {
        let here = place(id);
        let fits = here.is_some() && here > last;
        last = here;
        fits
    };
    let count = wanted.iter().take_while(stays).count();
    let moved: Vec<Arc<FactId>> =
        wanted.iter().skip(count).filter(|id| place(id).is_some()).cloned().collect();
    // The columns of a partition key cannot be made anew.
    let is_key = |id: &Arc<FactId>| {
        let key = fates.to.get(table).and_then(|table| table.text("partition_key")).unwrap_or_default();
        key.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == id.name)
    };
    if moved.iter().any(is_key) { Vec::new() } else { moved }
}

//! Schema changes as the wire has them, by whose they are.

use std::collections::BTreeMap;

use offshoot_protocol::types::{ChangeGroup, ChangeKind, SchemaChange, SchemaObject};
use offshoot_schema::{Change, Facts, Object, changes, three_way};

/// What `mine` has that `theirs` has not.
pub(super) fn two_way(theirs: &Facts, mine: &Facts) -> Vec<SchemaChange> {
    sorted(changes(theirs, mine).into_iter().map(|change| on_the_wire(change, ChangeGroup::Mine)).collect())
}

/// What both sides changed since the fork point.
pub(super) fn since(fork: &Facts, mine: &Facts, theirs: &Facts) -> Vec<SchemaChange> {
    let found = three_way(fork, mine, theirs);
    let mut all = Vec::new();
    for (list, group) in [
        (found.mine, ChangeGroup::Mine),
        (found.theirs, ChangeGroup::Theirs),
        (found.both, ChangeGroup::Both),
    ] {
        all.extend(list.into_iter().map(|change| on_the_wire(change, group)));
    }
    let mut reasons: BTreeMap<Object, Vec<String>> = BTreeMap::new();
    for conflict in found.conflicts {
        reasons.entry(conflict.object).or_default().push(conflict.reason);
    }
    if !reasons.is_empty() {
        let (ours, others) = (by_object(fork, mine), by_object(fork, theirs));
        all.extend(reasons.into_iter().map(|(object, reasons)| {
            let (mine, theirs) = (ours.get(&object).copied(), others.get(&object).copied());
            SchemaChange {
                change: mine.or(theirs).unwrap_or(ChangeKind::Changed),
                object: name(object),
                group: ChangeGroup::Conflict,
                mine,
                theirs,
                reasons,
            }
        }));
    }
    sorted(all)
}

fn by_object(fork: &Facts, side: &Facts) -> BTreeMap<Object, ChangeKind> {
    changes(fork, side).into_iter().map(|change| (change.object, kind(change.kind))).collect()
}

fn sorted(mut changes: Vec<SchemaChange>) -> Vec<SchemaChange> {
    changes.sort_by(|a, b| {
        let key = |change: &SchemaChange| (change.object.clone(), change.group);
        let ((a, a_group), (b, b_group)) = (key(a), key(b));
        (a.schema, a.name, a.kind, a_group).cmp(&(b.schema, b.name, b.kind, b_group))
    });
    changes
}

fn on_the_wire(change: Change, group: ChangeGroup) -> SchemaChange {
    SchemaChange {
        change: kind(change.kind),
        object: name(change.object),
        group,
        mine: None,
        theirs: None,
        reasons: Vec::new(),
    }
}

fn kind(kind: offshoot_schema::ChangeKind) -> ChangeKind {
    match kind {
        offshoot_schema::ChangeKind::Added => ChangeKind::Added,
        offshoot_schema::ChangeKind::Removed => ChangeKind::Removed,
        offshoot_schema::ChangeKind::Changed => ChangeKind::Changed,
    }
}

fn name(object: Object) -> SchemaObject {
    SchemaObject { kind: object.kind.as_str().to_owned(), schema: object.schema, name: object.name }
}

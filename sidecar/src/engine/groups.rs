//! Schema changes as the wire has them, by whose they are.

use std::collections::BTreeMap;

use offshoot_protocol::types::{ChangeGroup, ChangeKind, SchemaChange, SchemaObject};
use offshoot_schema::{
    Change, Facts, Object, RenamedObject, Renamer, Renames, changes, former_name, three_way,
};

/// A change, with the object as the compared schemas call it.
type Found = (Object, SchemaChange);

/// What `mine` has that `theirs` has not. Renames that do not fit are left alone.
pub(super) fn two_way(theirs: &Facts, mine: &Facts, renames: &Renames) -> Vec<SchemaChange> {
    // Schemas are large, and copied only if there is something to rename.
    let fitting = (!renames.is_empty()).then(|| renames.fitting(theirs, mine));
    let (theirs, objects, touched) =
        fitting.as_ref().map_or((theirs, &[][..], &[][..]), |it| (&it.from, &it.objects, &it.touched));
    let found = changes(theirs, mine).into_iter();
    let all = found.map(|change| on_the_wire(change, ChangeGroup::Mine)).collect();
    sorted(named(all, objects, touched))
}

/// What both sides changed since the fork point. Renames that do not fit are left alone.
pub(super) fn since(fork: &Facts, mine: &Facts, theirs: &Facts, renames: &Renames) -> Vec<SchemaChange> {
    let fitting = (!renames.is_empty()).then(|| renames.fitting_since(fork, mine, theirs));
    let (fork, mine, theirs, objects, touched) = match &fitting {
        Some(it) => (&it.fork, &it.mine, &it.theirs, &it.objects[..], &it.touched[..]),
        None => (fork, mine, theirs, &[][..], &[][..]),
    };
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
            let change = SchemaChange {
                change: mine.or(theirs).unwrap_or(ChangeKind::Changed),
                object: name(object.clone()),
                renamed_from: None,
                group: ChangeGroup::Conflict,
                mine,
                theirs,
                reasons,
            };
            (object, change)
        }));
    }
    sorted(named(all, objects, touched))
}

/// Gives changes, found in schemas in which all that was renamed has its new name, the names that the sides have, and adds
/// the renames themselves: of objects, and the objects of which nothing but a part was renamed.
fn named(
    mut changes: Vec<Found>,
    objects: &[RenamedObject],
    touched: &[(Object, Renamer)],
) -> Vec<SchemaChange> {
    for renamed in objects {
        let group = group(renamed.by);
        let known = |(object, change): &Found| {
            *object == renamed.to && (change.group == group || change.group == ChangeGroup::Conflict)
        };
        match changes.iter_mut().find(|found| known(found)) {
            Some((_, change)) if change.group == ChangeGroup::Conflict => {
                let (mine, theirs) = (Some(ChangeKind::Renamed), Some(ChangeKind::Renamed));
                change.mine = if renamed.by == Renamer::Theirs { change.mine } else { mine };
                change.theirs = if renamed.by == Renamer::Mine { change.theirs } else { theirs };
                change.change = change.mine.or(change.theirs).unwrap_or(change.change);
            }
            Some((_, change)) => change.change = ChangeKind::Renamed,
            None => {
                let change =
                    Change { object: renamed.to.clone(), kind: offshoot_schema::ChangeKind::Changed };
                let (object, change) = on_the_wire(change, group);
                changes.push((object, SchemaChange { change: ChangeKind::Renamed, ..change }));
            }
        }
    }
    for (object, by) in touched {
        let group = group(*by);
        let known = |(other, change): &Found| {
            other == object && (change.group == group || change.group == ChangeGroup::Conflict)
        };
        if !changes.iter().any(known) {
            let change = Change { object: object.clone(), kind: offshoot_schema::ChangeKind::Changed };
            changes.push(on_the_wire(change, group));
        }
    }
    // A side has the old names of what only the other side renamed.
    let without =
        |by: Renamer, object: &Object| former_name(objects.iter().filter(|renamed| renamed.by == by), object);
    let on_the_sides = |(object, change): Found| {
        let (mine, theirs) = (without(Renamer::Theirs, &object), without(Renamer::Mine, &object));
        let fork = former_name(objects.iter(), &object);
        let (shown, other) = match change.group {
            ChangeGroup::Mine | ChangeGroup::Both => (mine, fork),
            ChangeGroup::Theirs => (theirs, fork),
            ChangeGroup::Conflict => (mine, theirs),
        };
        let renamed_from = (shown != other && change.change != ChangeKind::Added).then(|| name(other));
        SchemaChange { object: name(shown), renamed_from, ..change }
    };
    changes.into_iter().map(on_the_sides).collect()
}

fn group(by: Renamer) -> ChangeGroup {
    match by {
        Renamer::Mine => ChangeGroup::Mine,
        Renamer::Theirs => ChangeGroup::Theirs,
        Renamer::Both => ChangeGroup::Both,
    }
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

fn on_the_wire(change: Change, group: ChangeGroup) -> Found {
    let wire = SchemaChange {
        change: kind(change.kind),
        object: name(change.object.clone()),
        renamed_from: None,
        group,
        mine: None,
        theirs: None,
        reasons: Vec::new(),
    };
    (change.object, wire)
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

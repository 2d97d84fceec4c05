//! Both sides take what there can be once: a name, or the place of a table's primary key; and two names for one thing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Conflict, Side, conflict, shown};
use crate::diff::Delta;
use crate::fact::{FactId, Facts};
use crate::kind::Kind;
use crate::rename::renames;

/// Adds what both sides claim.
pub(super) fn collisions(
    fork: &Facts,
    ours: &Side<'_>,
    others: &Side<'_>,
    conflicts: &mut BTreeSet<Conflict>,
) {
    let (mine, theirs) = (claims(ours), claims(others));
    for (claim, id) in &mine {
        if let Some(other) = theirs.get(claim).filter(|other| *other != id) {
            let reason = match claim {
                Claim::PrimaryKey(of) => format!("both add a primary key to {}", shown(of)),
                _ => format!(
                    "{} adds {}, {} adds {}: there can be one of that name",
                    ours.name,
                    shown(id),
                    others.name,
                    shown(other)
                ),
            };
            conflicts.insert(conflict(id, reason.clone()));
            conflicts.insert(conflict(other, reason));
        }
    }
    let (mine, theirs) = (renames(fork, ours.facts), renames(fork, others.facts));
    let of = |list: &[crate::RenameCandidate]| -> BTreeMap<FactId, Vec<FactId>> {
        let mut targets: BTreeMap<FactId, Vec<FactId>> = BTreeMap::new();
        for candidate in list.iter().filter(|candidate| candidate.from != candidate.to) {
            targets.entry(candidate.from.clone()).or_default().push(candidate.to.clone());
        }
        targets
    };
    let (mine, theirs) = (of(&mine), of(&theirs));
    for (renaming, dropping, list, also) in [(ours, others, &mine, &theirs), (others, ours, &theirs, &mine)] {
        for (from, targets) in list.iter().filter(|(from, _)| !also.contains_key(*from)) {
            if dropping.deltas.get(from) == Some(&Delta::Removed) {
                let (to, what) = (targets[0].sql(), shown(from));
                let reason =
                    format!("{} seems to rename {what} to {to}, {} drops it", renaming.name, dropping.name);
                conflicts.insert(conflict(from, reason.clone()));
                conflicts.insert(conflict(&targets[0], reason));
            }
        }
    }
    for (from, targets) in &mine {
        let Some(other) = theirs.get(from) else { continue };
        if targets.iter().any(|target| other.contains(target)) {
            continue;
        }
        let (one, another) = (targets[0].sql(), other[0].sql());
        let reason =
            format!("{} seems to rename {} to {one}, {} to {another}", ours.name, shown(from), others.name);
        for id in [from, &targets[0], &other[0]] {
            conflicts.insert(conflict(id, reason.clone()));
        }
    }
}

/// What only one can have.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Claim<'a> {
    /// A name among tables, views, sequences and indexes of a schema.
    Relation(&'a str, &'a str),
    /// A name among types of a schema; tables and views have a type of their name.
    Type(&'a str, &'a str),
    /// A name with argument types among the routines of a schema.
    Routine(&'a str, &'a str),
    PrimaryKey(&'a FactId),
}

/// What a side has newly claimed, and with what.
fn claims<'a>(side: &'a Side<'_>) -> BTreeMap<Claim<'a>, &'a Arc<FactId>> {
    let mut claims = BTreeMap::new();
    for id in side.added() {
        let schema = id.root().schema.as_deref().unwrap_or_default();
        let name = id.name.as_str();
        let form = || side.facts.get(id).and_then(|fact| fact.text("form"));
        match id.kind {
            kind if kind.is_relation() => {
                claims.insert(Claim::Relation(schema, name), id);
                claims.insert(Claim::Type(schema, name), id);
            }
            Kind::Sequence | Kind::Index => {
                claims.insert(Claim::Relation(schema, name), id);
            }
            Kind::Type | Kind::Domain => {
                claims.insert(Claim::Type(schema, name), id);
            }
            Kind::Constraint if matches!(form(), Some("primaryKey" | "unique" | "exclusion")) => {
                claims.insert(Claim::Relation(schema, name), id);
                if let (Some("primaryKey"), Some(of)) = (form(), &id.of) {
                    claims.insert(Claim::PrimaryKey(of), id);
                }
            }
            kind if kind.is_routine() => {
                claims.insert(Claim::Routine(schema, name), id);
            }
            _ => (),
        }
    }
    claims
}

//! The locks of steps and parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fate::{Fate, Fates};
use super::hazard::HazardKind;
use super::nodes::{Act, Node};
use super::{Part, Plan, Step};
use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::object::Object;
use crate::sql;

/// Table locks of Postgres that matter to others, from weak to strong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LockLevel {
    /// `SHARE UPDATE EXCLUSIVE`: others read and write.
    ShareUpdateExclusive,
    /// `SHARE`: others read only.
    Share,
    /// `SHARE ROW EXCLUSIVE`: others read only.
    ShareRowExclusive,
    /// `ACCESS EXCLUSIVE`: others wait.
    AccessExclusive,
}

/// A lock that a step takes; it is held to the end of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// How strong.
    pub level: LockLevel,
    /// Whether the step itself is done in a moment, whatever the size of the table. What follows in its transaction may not be:
    /// see [`Part::locks`].
    pub brief: bool,
}

/// A lock on an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockOn {
    /// What is locked.
    pub object: Object,
    /// The lock.
    pub lock: Lock,
}

impl Step {
    /// All locks that matter to others, on what was there before.
    pub fn locks(&self) -> impl Iterator<Item = LockOn> {
        let own = self.lock.map(|lock| LockOn { object: self.object.clone(), lock });
        own.into_iter().chain(self.others.iter().cloned())
    }

    /// Whether it takes its time with the number of rows: it reads, copies or writes those of a table, or fills a materialized
    /// view.
    pub fn goes_through_rows(&self) -> bool {
        let slow = |kind| {
            matches!(kind, HazardKind::RewritesTable | HazardKind::ScansTable | HazardKind::BuildsIndex)
        };
        let fills = |text: &String| {
            ["CREATE MATERIALIZED VIEW ", "REFRESH MATERIALIZED VIEW ", "INSERT INTO ", "SELECT "]
                .iter()
                .any(|word| text.starts_with(word))
                && !text.trim_end().ends_with("WITH NO DATA")
        };
        self.hazards.iter().any(|hazard| slow(hazard.kind)) || self.statements.iter().any(fills)
    }
}

impl Part {
    /// What is locked, and how, until the end of the part's transaction; of a part that is none, until the end of each statement.
    ///
    /// Of each object the strongest lock. Where that is brief and a weaker one is not, the latter follows. `brief` says that no step
    /// from the one that takes the lock to the end of the transaction goes through rows.
    pub fn locks(&self) -> Vec<LockOn> {
        let last = self.steps.iter().rposition(Step::goes_through_rows);
        let mut brief: BTreeMap<(Object, LockLevel), bool> = BTreeMap::new();
        for (at, step) in self.steps.iter().enumerate() {
            let waits = if self.transactional { last >= Some(at) } else { step.goes_through_rows() };
            for held in step.locks() {
                *brief.entry((held.object, held.lock.level)).or_insert(true) &= held.lock.brief && !waits;
            }
        }
        strongest(brief)
    }
}

impl Plan {
    /// The locks of all parts together, as [`Part::locks`] has them.
    pub fn locks(&self) -> Vec<LockOn> {
        let mut brief: BTreeMap<(Object, LockLevel), bool> = BTreeMap::new();
        for held in self.parts.iter().flat_map(Part::locks) {
            *brief.entry((held.object, held.lock.level)).or_insert(true) &= held.lock.brief;
        }
        strongest(brief)
    }
}

/// Of each object the strongest lock, and the strongest that is held long.
fn strongest(brief: BTreeMap<(Object, LockLevel), bool>) -> Vec<LockOn> {
    let mut locks: Vec<LockOn> = Vec::new();
    for ((object, level), brief) in brief.into_iter().rev() {
        // Strong ones come first.
        let known = locks.iter().rev().take_while(|held| held.object == object);
        let known: Vec<bool> = known.map(|held| held.lock.brief).collect();
        if known.is_empty() || !brief && known.iter().all(|brief| *brief) {
            locks.push(LockOn { object, lock: Lock { level, brief } });
        }
    }
    locks.sort_by(|a, b| (&a.object, b.lock.level).cmp(&(&b.object, a.lock.level)));
    locks
}

/// The lock that a step takes on its own object.
pub(super) fn level(fates: &Fates<'_>, node: &Node, statements: &[String]) -> Option<LockLevel> {
    let root = node.id.root();
    let created = fates.is_created(root) && !matches!(node.act, Act::Drop | Act::Away);
    if !root.kind.is_relation() || created || node.id.kind == Kind::Grant {
        return None;
    }
    statements.iter().map(|statement| level_of(statement)).max()
}

/// The locks that a step takes on other tables than its own.
pub(super) fn others(fates: &Fates<'_>, node: &Node, statements: &[String]) -> Vec<LockOn> {
    let id = &*node.id;
    let mut found: BTreeMap<Object, LockLevel> = BTreeMap::new();
    let mut add = |other: &FactId, level: LockLevel| {
        let root = other.root();
        let there = fates.from.get(root).is_some()
            && (!fates.is_created(root) || level == LockLevel::AccessExclusive);
        if there && root.kind.is_relation() && root != id.root() {
            let entry = found.entry(Object::of(root)).or_insert(level);
            *entry = level.max(*entry);
        }
    };
    for (key, fact) in foreign_keys(fates.to, id) {
        let says = format!("CONSTRAINT {} FOREIGN KEY", sql::quote(&key.name));
        if node.act == Act::Create && statements.iter().any(|text| text.contains(&says)) {
            fact.references.iter().for_each(|other| add(other, LockLevel::ShareRowExclusive));
        }
    }
    if node.act == Act::Drop {
        for (_, fact) in foreign_keys(fates.from, id) {
            fact.references.iter().for_each(|other| add(other, LockLevel::AccessExclusive));
        }
    }
    let retyped =
        |names: &std::collections::BTreeSet<String>| names.contains("type") || names.contains("collation");
    if id.kind == Kind::Column && matches!(fates.get(id), Some(Fate::Alter(names)) if retyped(names)) {
        // Their foreign keys are made anew with the column.
        for (key, fact) in fates.from.facts.iter().filter(|(key, fact)| is_foreign_key(key, fact)) {
            if !fates.is_dropped(key) && fact.references.iter().any(|column| **column == *id) {
                add(key, LockLevel::AccessExclusive);
                fact.references.iter().for_each(|other| add(other, LockLevel::AccessExclusive));
            }
        }
    }
    let link = if id.kind == Kind::Table {
        FactId::part(Arc::clone(&node.id), Kind::Attachment, "")
    } else {
        id.clone()
    };
    for (word, level) in [
        (" ATTACH PARTITION ", LockLevel::ShareUpdateExclusive),
        (" DETACH PARTITION ", LockLevel::AccessExclusive),
    ] {
        if statements.iter().any(|text| text.contains(word)) {
            let parents = [fates.from, fates.to].into_iter().filter_map(|facts| facts.get(&link));
            parents.flat_map(|fact| &fact.references).for_each(|parent| add(parent, level));
        }
    }
    let brief = |level| Lock { level, brief: true };
    found.into_iter().map(|(object, level)| LockOn { object, lock: brief(level) }).collect()
}

fn is_foreign_key(id: &FactId, fact: &Fact) -> bool {
    id.kind == Kind::Constraint && fact.text("form") == Some("foreignKey")
}

/// A foreign key itself, or those of a table.
fn foreign_keys<'a>(facts: &'a Facts, id: &FactId) -> Vec<(&'a Arc<FactId>, &'a Fact)> {
    match id.kind {
        Kind::Table => {
            let parts = facts.parts_of_kind(id, Kind::Constraint);
            parts.into_iter().filter(|(id, fact)| is_foreign_key(id, fact)).collect()
        }
        Kind::Constraint => {
            let own = facts.facts.get_key_value(id);
            own.into_iter().filter(|(id, fact)| is_foreign_key(id, fact)).collect()
        }
        _ => Vec::new(),
    }
}

/// The lock that a statement takes on the table that it is about, as the documentation of Postgres says for `ALTER TABLE`.
fn level_of(statement: &str) -> LockLevel {
    let has = |word: &str| statement.contains(word);
    let begins = |words: &[&str]| words.iter().any(|word| statement.starts_with(word));
    let alters = statement.starts_with("ALTER TABLE ");
    let weak = has(" CONCURRENTLY")
        || alters && (has(" VALIDATE CONSTRAINT ") || has(" CLUSTER ON ") || has(" SET WITHOUT CLUSTER"))
        || begins(&["COMMENT ", "SECURITY LABEL ", "ALTER PUBLICATION ", "CREATE STATISTICS "])
        || alters && has(" SET STATISTICS ")
        || alters && (has(" SET (") || has(" RESET ("))
        || statement.starts_with("ALTER INDEX ") && has(" RENAME TO ");
    let triggers =
        [" ENABLE TRIGGER ", " DISABLE TRIGGER ", " ENABLE ALWAYS TRIGGER ", " ENABLE REPLICA TRIGGER "];
    if weak {
        LockLevel::ShareUpdateExclusive
    } else if begins(&["CREATE INDEX", "CREATE UNIQUE INDEX"]) {
        LockLevel::Share
    } else if begins(&["CREATE TRIGGER", "CREATE CONSTRAINT TRIGGER"])
        || alters && has(" ADD CONSTRAINT ") && has(" FOREIGN KEY ")
        || alters && triggers.iter().any(|word| has(word))
    {
        LockLevel::ShareRowExclusive
    } else {
        LockLevel::AccessExclusive
    }
}

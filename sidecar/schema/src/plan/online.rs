//! Forms of statements that let others go on reading and writing.

mod constraint;

use super::fate::Fates;
use super::hazard::{self, HazardKind};
use super::lock::{Lock, LockLevel};
use super::nodes::{Act, Node};
use super::{Action, Step};
use crate::fact::FactId;
use crate::kind::Kind;
use crate::render::name;
use crate::sql;

/// A step in its online form.
pub(super) struct Form {
    /// What takes its place, each with whether it may run within a transaction.
    pub(super) steps: Vec<(bool, Step)>,
    /// What has to follow after all others.
    pub(super) later: Option<Step>,
}

impl From<Step> for Form {
    fn from(step: Step) -> Self {
        Self { steps: vec![(true, step)], later: None }
    }
}

/// A lock that lets others read and write while the step takes its time.
const WEAK: Option<Lock> = Some(Lock { level: LockLevel::ShareUpdateExclusive, brief: false });

/// The online form of a step, or the step itself.
pub(super) fn form(fates: &Fates<'_>, node: &Node, mut step: Step) -> Form {
    let id = &node.id;
    if id.kind == Kind::Table && node.act == Act::Drop {
        return drop_partition(fates, id, step);
    }
    let owner = id.owner();
    let is_old = matches!(owner.kind, Kind::Table | Kind::MaterializedView)
        && !fates.is_created(owner)
        && !fates.is_dropped(owner);
    let partitioned = [fates.from, fates.to]
        .iter()
        .any(|facts| facts.get(owner).is_some_and(|table| table.text("partition_key").is_some()));
    if !is_old || partitioned {
        return step.into();
    }
    match (id.kind, node.act) {
        (Kind::Index, Act::Create) => {
            for word in ["CREATE INDEX ", "CREATE UNIQUE INDEX "] {
                replace(&mut step, word, &format!("{word}CONCURRENTLY "));
            }
            step.hazards.retain(|hazard| hazard.kind != HazardKind::BuildsIndex);
            step.lock = WEAK;
            Form { steps: vec![(false, step)], later: None }
        }
        (Kind::Index, Act::Drop) if !step.statements.iter().any(|text| text.ends_with(" CASCADE")) => {
            replace(&mut step, "DROP INDEX ", "DROP INDEX CONCURRENTLY ");
            step.lock = WEAK;
            Form { steps: vec![(false, step)], later: None }
        }
        (Kind::Constraint, Act::Create) => match constraint::using_index(fates, id, &step) {
            Some(steps) => Form { steps, later: None },
            None => validate_later(fates, node, step),
        },
        (Kind::Column, Act::Alter) => constraint::not_null(fates, id, step),
        _ => step.into(),
    }
}

fn replace(step: &mut Step, from: &str, to: &str) {
    for statement in &mut step.statements {
        if let Some(rest) = statement.strip_prefix(from) {
            *statement = format!("{to}{rest}");
        }
    }
}

/// A partition that goes is detached first without a lock on its siblings. Not where it stays: Postgres would leave a check of
/// the bounds in it. Nor where there is a default partition: Postgres refuses.
fn drop_partition(fates: &Fates<'_>, id: &FactId, mut step: Step) -> Form {
    let [detach, _drop] = step.statements.as_mut_slice() else { return step.into() };
    let has_default = |parent: &FactId| {
        fates.from.facts.iter().any(|(link, fact)| {
            link.kind == Kind::Attachment
                && fact.text("bound") == Some("DEFAULT")
                && fact.references.iter().any(|other| **other == *parent)
        })
    };
    let link = FactId::part(std::sync::Arc::new(id.clone()), Kind::Attachment, "");
    let parent = fates.from.get(&link).and_then(|fact| fact.references.iter().next());
    if !detach.contains(" DETACH PARTITION ") || parent.is_none_or(|parent| has_default(parent)) {
        return step.into();
    }
    detach.push_str(" CONCURRENTLY");
    step.others.clear();
    Form { steps: vec![(false, step)], later: None }
}

/// New rows are checked from now on, old ones later under a weak lock.
fn validate_later(fates: &Fates<'_>, node: &Node, mut step: Step) -> Form {
    let id = &node.id;
    let Some(fact) = fates.to.get(id) else { return step.into() };
    let checks = matches!(fact.text("form"), Some("foreignKey" | "check"));
    let Some(first) = step.statements.first_mut().filter(|text| checks && text.contains(" ADD CONSTRAINT "))
    else {
        return step.into();
    };
    if hazard::looks_at_no_row(first) {
        return step.into();
    }
    first.push_str(" NOT VALID");
    let mut later = step.clone();
    later.action = Action::Alter;
    later.statements =
        vec![format!("{} VALIDATE CONSTRAINT {}", name::alter(id.owner()), sql::quote(&id.name))];
    later.lock = WEAK;
    later.others.clear();
    step.hazards.clear();
    step.lock = step.lock.map(|lock| Lock { brief: true, ..lock });
    Form { steps: vec![(true, step)], later: Some(later) }
}

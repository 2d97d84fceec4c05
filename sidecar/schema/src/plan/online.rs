//! Forms of statements that let others go on reading and writing.

use super::fate::Fates;
use super::hazard::{HazardKind, Lock, LockLevel};
use super::nodes::{Act, Node};
use super::{Action, Step};
use crate::kind::Kind;
use crate::render::name;
use crate::sql;

/// A step in its online form: whether it may run within a transaction, the step, and what has to follow after all others.
pub(super) fn form(fates: &Fates<'_>, node: &Node, mut step: Step) -> (bool, Step, Option<Step>) {
    let id = &node.id;
    let is_old_table =
        id.owner().kind == Kind::Table && !fates.is_created(id.owner()) && !fates.is_dropped(id.owner());
    let partitioned = [fates.from, fates.to]
        .iter()
        .any(|facts| facts.get(id.owner()).is_some_and(|table| table.text("partition_key").is_some()));
    if !is_old_table || partitioned {
        return (true, step, None);
    }
    match (id.kind, node.act) {
        (Kind::Index, Act::Create) => {
            for word in ["CREATE INDEX ", "CREATE UNIQUE INDEX "] {
                replace(&mut step, word, &format!("{word}CONCURRENTLY "));
            }
            step.hazards.retain(|hazard| hazard.kind != HazardKind::BuildsIndex);
            step.lock = Some(Lock { level: LockLevel::ShareUpdateExclusive, brief: false });
            (false, step, None)
        }
        (Kind::Index, Act::Drop) if !step.statements.iter().any(|text| text.ends_with(" CASCADE")) => {
            replace(&mut step, "DROP INDEX ", "DROP INDEX CONCURRENTLY ");
            step.lock = Some(Lock { level: LockLevel::ShareUpdateExclusive, brief: false });
            (false, step, None)
        }
        (Kind::Constraint, Act::Create) => validate_later(fates, node, step),
        _ => (true, step, None),
    }
}

fn replace(step: &mut Step, from: &str, to: &str) {
    for statement in &mut step.statements {
        if let Some(rest) = statement.strip_prefix(from) {
            *statement = format!("{to}{rest}");
        }
    }
}

/// New rows are checked from now on, old ones later under a weak lock.
fn validate_later(fates: &Fates<'_>, node: &Node, mut step: Step) -> (bool, Step, Option<Step>) {
    let id = &node.id;
    let Some(fact) = fates.to.get(id) else { return (true, step, None) };
    let checks = matches!(fact.text("form"), Some("foreignKey" | "check"));
    let Some(first) = step.statements.first_mut().filter(|text| checks && text.contains(" ADD CONSTRAINT "))
    else {
        return (true, step, None);
    };
    if first.ends_with(" NOT VALID") {
        return (true, step, None);
    }
    first.push_str(" NOT VALID");
    let mut later = step.clone();
    later.action = Action::Alter;
    later.statements =
        vec![format!("{} VALIDATE CONSTRAINT {}", name::alter(id.owner()), sql::quote(&id.name))];
    later.lock = Some(Lock { level: LockLevel::ShareUpdateExclusive, brief: false });
    step.hazards.clear();
    step.lock = step.lock.map(|lock| Lock { brief: true, ..lock });
    (true, step, Some(later))
}

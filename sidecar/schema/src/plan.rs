//! Plans: the statements that turn one schema into another, in an order that works.

mod alter;
mod column;
mod convert;
mod extra;
mod fate;
mod fold;
mod foreign;
mod graph;
mod hazard;
mod implied;
mod lock;
mod names;
mod newer;
mod nodes;
mod online;
mod order;
mod partition;
mod schedule;
mod typed;
mod view;

use serde::{Deserialize, Serialize};

use crate::diff::Noise;
use crate::fact::Facts;
use crate::kind::Kind;
use crate::object::Object;
use crate::rename::{Applied, Renames};

pub(crate) use fate::is_note;
pub use hazard::{Hazard, HazardKind};
pub use lock::{Lock, LockLevel, LockOn};

/// How to plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanOptions {
    /// Which noise to take for a difference.
    pub noise: Noise,
    /// Take the form that lets others go on reading and writing, where there is one.
    pub online: bool,
    /// What a person has confirmed to be the same under another name. One that does not fit is named in [`Plan::unplanned`].
    pub renames: Renames,
}

/// What a step does to its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Makes it, or a part of it.
    Create,
    /// Changes it, or a part of it.
    Alter,
    /// Drops it, or a part of it.
    Drop,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The object that a person sees.
    pub object: Object,
    /// What exactly: the object or a part of it, for people.
    pub what: String,
    /// What it does.
    pub action: Action,
    /// Statements, without semicolons.
    pub statements: Vec<String>,
    /// What to beware of.
    pub hazards: Vec<Hazard>,
    /// The strongest lock that it takes on its object, if that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// The locks that it takes on other tables, such as those that a foreign key refers to.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub others: Vec<LockOn>,
}

/// Steps that run together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Whether they run in one transaction; otherwise each statement runs by itself, outside of any.
    pub transactional: bool,
    /// The steps in order.
    pub steps: Vec<Step>,
}

/// How to get from one schema to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The parts in order.
    pub parts: Vec<Part>,
    /// What the plan leaves as it is although it differs, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unplanned: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.steps.is_empty())
    }

    /// All steps.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.parts.iter().flat_map(|part| &part.steps)
    }

    /// The script. It runs in `psql`, and in pieces through [`Plan::parts`].
    pub fn sql(&self) -> String {
        let mut text = String::new();
        if self.is_empty() {
            return text;
        }
        for setting in SETTINGS {
            text.push_str(&format!("{setting};\n"));
        }
        for part in &self.parts {
            text.push('\n');
            if part.transactional {
                text.push_str("BEGIN;\n\n");
            }
            for step in &part.steps {
                for hazard in &step.hazards {
                    text.push_str(&format!("-- {hazard}\n"));
                }
                for statement in &step.statements {
                    text.push_str(&format!("{};\n", statement.trim_end()));
                }
                text.push('\n');
            }
            if part.transactional {
                text.push_str("COMMIT;\n");
            }
        }
        text
    }
}

/// What has to be set in the session before a plan runs.
pub const SETTINGS: &[&str] =
    &["SET check_function_bodies = off", "SET client_min_messages = warning", "SET search_path = ''"];

/// Plans how to turn a database with the schema `from` into one with the schema `to`.
pub fn plan(from: &Facts, to: &Facts, options: &PlanOptions) -> Plan {
    if options.renames.is_empty() {
        return nodes::build(fate::Fates::decide(from, to, options), options);
    }
    let (renamed, applied, refused) = options.renames.apply(from, to);
    let mut plan = nodes::build(fate::Fates::decide(&renamed, to, options), options);
    let steps: Vec<Step> = applied.iter().map(rename_step).collect();
    match plan.parts.first_mut().filter(|part| part.transactional) {
        Some(part) => drop(part.steps.splice(0..0, steps)),
        None if steps.is_empty() => {}
        None => plan.parts.insert(0, Part { transactional: true, steps }),
    }
    plan.unplanned.extend(refused);
    plan
}

/// What a plan from `from` to `to` drops and makes again.
pub(crate) fn remade(from: &Facts, to: &Facts) -> std::collections::BTreeSet<std::sync::Arc<crate::FactId>> {
    let fates = fate::Fates::decide(from, to, &PlanOptions::default());
    fates.decided.into_iter().filter(|(_, fate)| *fate == fate::Fate::Replace).map(|(id, _)| id).collect()
}

fn rename_step(applied: &Applied) -> Step {
    let table = matches!(
        applied.id.root().kind,
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView
    );
    let level = if applied.id.kind == Kind::Index {
        LockLevel::ShareUpdateExclusive
    } else {
        LockLevel::AccessExclusive
    };
    Step {
        object: Object::of(&applied.id),
        what: applied.id.to_string(),
        action: Action::Alter,
        statements: vec![applied.statement.clone()],
        hazards: Vec::new(),
        lock: table.then_some(Lock { level, brief: true }),
        others: Vec::new(),
    }
}

//! The parts of an object, for a tree.

use offshoot_schema::{Facts, Kind, Object};
use serde::{Deserialize, Serialize};

use crate::words::one_line;

/// A part of an object: a column, an index, a constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Its kind as it is on the wire: `column`, `index`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is to be said of it in a line: the type of a column, the rest of a constraint's definition.
    pub detail: String,
}

/// The parts of `object` in the order of its definition, without comments and grants.
pub fn parts(facts: &Facts, object: &Object) -> Vec<Part> {
    let shown = |kind: Kind| {
        matches!(
            kind,
            Kind::Column | Kind::Constraint | Kind::Index | Kind::Trigger | Kind::Policy | Kind::Rule
        )
    };
    let part = |(id, fact): (&std::sync::Arc<offshoot_schema::FactId>, &offshoot_schema::Fact)| {
        let detail = match id.kind {
            Kind::Column => {
                let null = if fact.is("not_null") { " not null" } else { "" };
                format!("{}{null}", fact.text("type").unwrap_or_default())
            }
            Kind::Policy => fact.text("command").unwrap_or("ALL").to_owned(),
            Kind::Index => {
                let text = fact.text("definition").unwrap_or_default();
                text.split_once(" USING ").map_or(text, |(_, rest)| rest).to_owned()
            }
            Kind::Constraint => fact.text("definition").unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        Part { kind: id.kind.as_str().to_owned(), name: id.name.clone(), detail: one_line(&detail) }
    };
    facts.parts(&object.id()).into_iter().filter(|(id, _)| shown(id.kind)).map(part).collect()
}

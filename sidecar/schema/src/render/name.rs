//! How statements name an object.

use crate::fact::{Fact, FactId};
use crate::kind::Kind;
use crate::sql;

/// The kind's word and the name, as `COMMENT ON`, `DROP` and `ALTER` want them.
pub(crate) fn of(id: &FactId, fact: &Fact) -> String {
    let word = id.kind.sql();
    let owner = id.owner();
    match id.kind {
        Kind::Column => format!("COLUMN {}.{}", owner.sql(), sql::quote(&id.name)),
        Kind::Constraint if owner.kind == Kind::Domain => {
            format!("CONSTRAINT {} ON DOMAIN {}", sql::quote(&id.name), owner.sql())
        }
        Kind::Constraint | Kind::Trigger | Kind::Rule | Kind::Policy => {
            format!("{word} {} ON {}", sql::quote(&id.name), owner.sql())
        }
        Kind::Index => format!("INDEX {}", beside(owner, &id.name)),
        Kind::Aggregate => format!("AGGREGATE {}", aggregate(id, fact)),
        Kind::OperatorClass | Kind::OperatorFamily => {
            format!("{word} {} USING {}", id.sql(), fact.text("method").unwrap_or_default())
        }
        Kind::Cast | Kind::Transform => format!("{word} {}", id.name),
        _ => format!("{word} {}", id.sql()),
    }
}

/// A name in the schema of `object`: of an index of a table.
pub(crate) fn beside(object: &FactId, name: &str) -> String {
    sql::qualified(object.root().schema.as_deref().unwrap_or_default(), name)
}

/// An aggregate with the arguments that identify it.
pub(crate) fn aggregate(id: &FactId, fact: &Fact) -> String {
    let schema = sql::quote(id.schema.as_deref().unwrap_or_default());
    let arguments = match fact.text("identity_arguments") {
        None | Some("") => "*",
        Some(arguments) => arguments,
    };
    format!("{schema}.{}({arguments})", fact.text("bare_name").unwrap_or_default())
}

/// What `ALTER` calls a relation when a part of it changes.
pub(crate) fn alter(owner: &FactId) -> String {
    format!("ALTER {} {}", owner.kind.sql(), owner.sql())
}

/// Likewise, but without what inherits from it.
pub(crate) fn alter_only(owner: &FactId) -> String {
    let only = if matches!(owner.kind, Kind::Table | Kind::ForeignTable) { "ONLY " } else { "" };
    format!("ALTER {} {only}{}", owner.kind.sql(), owner.sql())
}

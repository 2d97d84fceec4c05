//! What a plan asks of a server that is older than the one that the schema is from.

use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;

/// Why the fact `id` of `to` cannot be made on a server of version `major`; `None` if nothing is known against it.
///
/// Expressions are not looked into: a function that only newer servers have is told by the server itself.
/// Source: the release notes of Postgres 14 to 18, appendix E of its documentation.
pub(super) fn reason(to: &Facts, id: &FactId, major: u32) -> Option<String> {
    if to.major <= major {
        return None;
    }
    let own = to.get(id).and_then(|fact| needs(id.kind, fact));
    let parts = || to.parts(id).into_iter().find_map(|(part, fact)| needs(part.kind, fact));
    // What a new table or view consists of is written with it.
    let found = own.or_else(|| matches!(id.kind, Kind::Table | Kind::View).then(parts).flatten());
    let (since, what) = found.filter(|(since, _)| *since > major)?;
    Some(format!("it fails on Postgres {major}: {what} come with Postgres {since}"))
}

/// The first version that has this, and its name.
fn needs(kind: Kind, fact: &Fact) -> Option<(u32, &'static str)> {
    let definition = fact.text("definition").unwrap_or_default();
    match kind {
        Kind::Column if fact.text("generated") == Some("VIRTUAL") => Some((18, "virtual generated columns")),
        Kind::Constraint if definition.ends_with(" NOT ENFORCED") => {
            Some((18, "constraints that are not enforced"))
        }
        Kind::Constraint if definition.contains(" WITHOUT OVERLAPS)") || definition.contains(", PERIOD ") => {
            Some((18, "constraints over periods"))
        }
        Kind::Constraint | Kind::Index if definition.contains(" NULLS NOT DISTINCT") => {
            Some((15, "unique constraints for which nulls are alike"))
        }
        Kind::View if fact.list("options").iter().any(|option| option.starts_with("security_invoker")) => {
            Some((15, "views with the rights of who asks"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::reason;
    use crate::fact::{Fact, FactId, Facts};
    use crate::kind::Kind;

    fn constraint(definition: &str) -> (FactId, Facts) {
        let table = Arc::new(FactId::top(Kind::Table, Some("app"), "visit"));
        let id = FactId::part(Arc::clone(&table), Kind::Constraint, "pos");
        let mut fact = Fact::default();
        fact.set("definition", definition);
        let facts = [(table, Fact::default()), (Arc::new(id.clone()), fact)].into();
        (id, Facts { major: 18, facts, ..Facts::default() })
    }

    #[test]
    fn what_an_older_server_has_not_is_named_with_the_version_that_has_it() {
        let (id, facts) = constraint("CHECK ((id > 0)) NOT ENFORCED");
        let said = reason(&facts, &id, 15).unwrap_or_default();
        assert_eq!(said, "it fails on Postgres 15: constraints that are not enforced come with Postgres 18");
        assert_eq!(
            reason(&facts, id.owner(), 15).as_ref(),
            Some(&said),
            "a new table has it in its statement"
        );
        assert_eq!(reason(&facts, &id, 18), None);
        let (id, facts) = constraint("CHECK ((id > 0))");
        assert_eq!(reason(&facts, &id, 15), None);
    }
}

//! What rules gave a branch, taken out of comparisons: it is what `offshoot.toml` decides, and nothing that a person changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use offshoot_protocol::policy::{Given, GivenGrant};
use offshoot_schema::{Fact, FactId, Facts, Kind, Value};

/// The kind of unmodelled objects that a grant on the members of an extension counts as.
const MEMBER_GRANTS: &str = "extensionMemberGrant";

/// Makes a branch and those that it is compared with alike in what rules gave the branch. `base`, the first of these, tells what the
/// branch would have without them.
///
/// Extensions and roles that the others lack come to them, as things of the branch may need them. Privileges that `base` lacks go from
/// the branch: it may have them on objects that the others have not.
pub(crate) fn leave_out(given: &Given, branch: &mut Facts, base: &mut Facts, others: &mut [&mut Facts]) {
    if is_nothing(given) {
        return;
    }
    adopt(given, branch, base);
    for other in others.iter_mut() {
        adopt(given, branch, other);
    }
    without_grants(given, branch, base);
}

/// Takes out of a schema all that rules gave the branch, whatever else has it.
pub(crate) fn take(given: &Given, facts: &mut Facts) {
    if is_nothing(given) {
        return;
    }
    without_grants(given, facts, &Facts::default());
    for id in tops(given) {
        facts.facts.remove(&id);
    }
}

/// Takes the privileges out of a branch that rules gave it and `base` lacks.
pub(crate) fn without_grants(given: &Given, branch: &mut Facts, base: &Facts) {
    let mut touched: Vec<Arc<FactId>> = Vec::new();
    let mut left: BTreeMap<Arc<FactId>, Vec<String>> = BTreeMap::new();
    for (id, fact) in branch.facts.iter().filter(|(id, _)| id.kind == Kind::Grant) {
        let Some(object) = &id.of else { continue };
        let grants: Vec<&GivenGrant> =
            given.grants.iter().filter(|grant| is_about(given, grant, id, fact, branch, base)).collect();
        let has = base.get(id).map_or(&[][..], |fact| fact.list("privileges"));
        let is_given = |privilege: &String| {
            grants.iter().any(|grant| gives(grant, object, privilege)) && !has.contains(privilege)
        };
        let (gone, stay): (Vec<_>, Vec<_>) =
            fact.list("privileges").iter().cloned().partition(|one| is_given(one));
        if !gone.is_empty() {
            touched.push(Arc::clone(object));
            left.insert(Arc::clone(id), stay);
        }
    }
    for (id, privileges) in left {
        if privileges.is_empty() && base.get(&id).is_none() {
            branch.facts.remove(&id);
        } else if let Some(fact) = branch.facts.get_mut(&id) {
            fact.attributes.insert("privileges".to_owned(), Value::List(privileges));
        }
    }
    for object in touched.iter().filter(|object| object.kind == Kind::DefaultPrivilege) {
        if base.get(object).is_none() && branch.parts(object).is_empty() {
            branch.facts.remove(object);
        }
    }
    if !given.grants.is_empty() {
        // Such grants are only counted; which they are is not known.
        match base.unmodelled.get(MEMBER_GRANTS) {
            Some(count) => drop(branch.unmodelled.insert(MEMBER_GRANTS.to_owned(), *count)),
            None => drop(branch.unmodelled.remove(MEMBER_GRANTS)),
        }
    }
}

/// Whether rules gave nothing.
pub(crate) fn is_nothing(given: &Given) -> bool {
    given.extensions.is_empty()
        && given.schemas.is_empty()
        && given.roles.is_empty()
        && given.grants.is_empty()
}

/// The objects that rules made.
fn tops(given: &Given) -> Vec<FactId> {
    let of = |kind, names: &[String]| {
        names.iter().map(move |name| FactId::top(kind, None, name)).collect::<Vec<_>>()
    };
    [of(Kind::Extension, &given.extensions), of(Kind::Schema, &given.schemas), of(Kind::Role, &given.roles)]
        .concat()
}

/// Gives `other` the objects that rules made on the branch, as the branch has them.
fn adopt(given: &Given, branch: &Facts, other: &mut Facts) {
    for id in tops(given) {
        if other.get(&id).is_none()
            && let Some((id, fact)) = branch.facts.get_key_value(&id)
        {
            other.facts.insert(Arc::clone(id), fact.clone());
        }
    }
}

/// Whether a fact is about what the grant is about.
fn is_about(
    given: &Given,
    grant: &GivenGrant,
    id: &FactId,
    fact: &Fact,
    branch: &Facts,
    base: &Facts,
) -> bool {
    let Some(object) = &id.of else { return false };
    let is_to = fact.text("grantee") == Some(&grant.role) && !fact.is("public");
    // Whoever owns an object is whom its grants are from; a grant of another one was made by hand.
    if !is_to || fact.text("grantor").is_some() {
        return false;
    }
    let within = object.schema.as_deref() == Some(&grant.schema);
    match object.kind {
        Kind::Schema => object.name == grant.schema,
        Kind::DefaultPrivilege => branch.get(object).is_some_and(|of| {
            of.text("role") == Some(&given.owner)
                && of.text("in_schema") == Some(&grant.schema)
                && of.text("objects").is_some_and(|objects| objects.eq_ignore_ascii_case(&grant.on))
        }),
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => {
            within && grant.on == "tables"
        }
        Kind::Sequence => within && grant.on == "sequences",
        // An identity's sequence; other grants on columns were made by hand.
        Kind::Column => {
            id.name.starts_with("sequence ")
                && object.root().schema.as_deref() == Some(&grant.schema)
                && grant.on == "sequences"
        }
        Kind::Function | Kind::Aggregate => within && grant.on == "functions",
        // `ALL FUNCTIONS` leaves procedures out, and default privileges do not.
        Kind::Procedure => within && grant.on == "functions" && base.get(object).is_none(),
        _ => false,
    }
}

/// Whether the grant gives this privilege on `object`. One that may be granted on, with a star, was given by hand.
fn gives(grant: &GivenGrant, object: &FactId, privilege: &str) -> bool {
    if object.kind == Kind::Schema && grant.on != "schema" {
        return privilege == "USAGE";
    }
    let is_it = |word: &String| word == "all" || word.eq_ignore_ascii_case(privilege);
    !privilege.ends_with('*') && grant.privileges.iter().any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The grants of `table: ROLE=PRIVILEGES`, each on a table in `public`.
    fn facts(grants: &[(&str, &str, &[&str])]) -> Facts {
        let mut facts = Facts::default();
        for (table, role, privileges) in grants {
            let table = Arc::new(FactId::top(Kind::Table, Some("public"), table));
            let mut grant = Fact::default();
            grant.set("grantee", role);
            let list = privileges.iter().map(|one| (*one).to_owned()).collect();
            grant.attributes.insert("privileges".to_owned(), Value::List(list));
            facts.facts.insert(Arc::new(FactId::part(Arc::clone(&table), Kind::Grant, role)), grant);
            facts.facts.insert(table, Fact::default());
        }
        facts
    }

    fn given() -> Given {
        let grant = GivenGrant {
            privileges: vec!["select".to_owned()],
            on: "tables".to_owned(),
            schema: "public".to_owned(),
            role: "reader".to_owned(),
        };
        Given {
            owner: "me".to_owned(),
            extensions: vec!["pg_trgm".to_owned()],
            roles: vec!["reader".to_owned()],
            grants: vec![grant],
            ..Given::default()
        }
    }

    #[test]
    fn what_rules_gave_is_no_difference_and_what_was_granted_by_hand_is() {
        let mut branch = facts(&[
            ("both", "reader", &["SELECT"]),
            ("by_hand", "reader", &["INSERT", "SELECT"]),
            ("on", "reader", &["SELECT*"]),
            ("other", "writer", &["SELECT"]),
        ]);
        let extension = FactId::top(Kind::Extension, None, "pg_trgm");
        branch.facts.insert(Arc::new(extension.clone()), Fact::default());
        let mut base = facts(&[("both", "nobody", &[])]);
        base.facts.retain(|id, _| id.kind == Kind::Table);
        leave_out(&given(), &mut branch, &mut base, &mut []);
        assert!(base.get(&extension).is_some(), "both have it");
        let grants: Vec<_> = branch
            .facts
            .iter()
            .filter(|(id, _)| id.kind == Kind::Grant)
            .map(|(id, fact)| format!("{} {}", id.root().name, fact.list("privileges").join(",")))
            .collect();
        assert_eq!(grants, ["by_hand INSERT", "on SELECT*", "other SELECT"]);
    }

    #[test]
    fn what_the_other_side_has_without_rules_is_compared() {
        let mut base = facts(&[("item", "reader", &["SELECT"])]);
        let mut branch = base.clone();
        leave_out(&given(), &mut branch, &mut base, &mut []);
        assert_eq!(branch, base, "nothing was given there");
        let mut revoked = facts(&[("item", "reader", &[])]);
        revoked.facts.retain(|id, _| id.kind != Kind::Grant);
        let before = revoked.clone();
        leave_out(&given(), &mut revoked, &mut base, &mut []);
        assert_eq!(revoked, before, "taken away by hand");
    }
}

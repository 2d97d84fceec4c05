//! Grants.

use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::sql;

/// What a grant is on, as `GRANT … ON` wants it.
fn target(facts: &Facts, grant: &FactId) -> String {
    let id = grant.owner();
    let fact = facts.get(id);
    match id.kind {
        Kind::Column if grant.name.starts_with("sequence ") => {
            format!("SEQUENCE {}", fact.and_then(|fact| fact.text("sequence_name")).unwrap_or_default())
        }
        Kind::Column => format!("TABLE {}", id.owner().sql()),
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => {
            format!("TABLE {}", id.sql())
        }
        Kind::Aggregate => format!("FUNCTION {}", id.sql()),
        Kind::Server => format!("FOREIGN SERVER {}", id.sql()),
        Kind::Domain => format!("TYPE {}", id.sql()),
        _ => format!("{} {}", id.kind.sql(), id.sql()),
    }
}

fn grantee(grant: &FactId, fact: &Fact) -> String {
    if fact.is("public") {
        return "PUBLIC".to_owned();
    }
    let name = grant
        .name
        .strip_prefix("sequence ")
        .filter(|_| grant.owner().kind == Kind::Column)
        .unwrap_or(&grant.name);
    sql::quote(fact.text("grantee").unwrap_or(name))
}

/// The privileges that an object of this kind can have, all of them.
fn every(facts: &Facts, grant: &FactId) -> &'static [&'static str] {
    let id = grant.owner();
    match id.kind {
        Kind::Column if grant.name.starts_with("sequence ") => &["SELECT", "UPDATE", "USAGE"],
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView if facts.major >= 17 => {
            &["DELETE", "INSERT", "MAINTAIN", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"]
        }
        Kind::Table | Kind::ForeignTable | Kind::View | Kind::MaterializedView => {
            &["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"]
        }
        Kind::Sequence => &["SELECT", "UPDATE", "USAGE"],
        Kind::Schema => &["CREATE", "USAGE"],
        _ => &[],
    }
}

/// Privileges as a statement lists them, `ALL` where they are all.
fn words(facts: &Facts, grant: &FactId, privileges: &[&str]) -> String {
    let id = grant.owner();
    if !every(facts, grant).is_empty() && privileges == every(facts, grant) {
        return "ALL".to_owned();
    }
    let of_column = id.kind == Kind::Column && !grant.name.starts_with("sequence ");
    let word = |privilege: &&str| {
        if of_column { format!("{privilege} ({})", sql::quote(&id.name)) } else { (*privilege).to_owned() }
    };
    privileges.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// `ALTER DEFAULT PRIVILEGES …` or nothing, and ` ON …`.
fn frame(facts: &Facts, grant: &FactId) -> (String, String) {
    let id = grant.owner();
    if id.kind != Kind::DefaultPrivilege {
        return (String::new(), format!(" ON {}", target(facts, grant)));
    }
    let Some(fact) = facts.get(id) else { return (String::new(), String::new()) };
    let mut head =
        format!("ALTER DEFAULT PRIVILEGES FOR ROLE {}", sql::quote(fact.text("role").unwrap_or_default()));
    if let Some(schema) = fact.text("in_schema") {
        head.push_str(&format!(" IN SCHEMA {}", sql::quote(schema)));
    }
    (head + " ", format!(" ON {}", fact.text("objects").unwrap_or_default()))
}

/// Gives exactly the privileges of the fact, given what the grantee has by default.
pub(super) fn create(facts: &Facts, id: &FactId, fact: &Fact) -> Vec<String> {
    let mut statements = Vec::new();
    if has_default(facts, id, fact) {
        statements.push(revoke_all(facts, id, fact));
    }
    statements.extend(give(facts, id, fact, fact.list("privileges")));
    statements
}

/// Whether the grantee has privileges on every such object unless they are revoked.
fn has_default(facts: &Facts, id: &FactId, fact: &Fact) -> bool {
    let object = id.owner();
    let owner = facts.get(object).and_then(|object| object.text("owner").or_else(|| object.text("role")));
    let to_public = matches!(
        object.kind,
        Kind::Function | Kind::Procedure | Kind::Aggregate | Kind::Type | Kind::Domain | Kind::Language
    ) || object.kind == Kind::DefaultPrivilege;
    let is_owner = owner.is_some_and(|owner| fact.text("grantee") == Some(owner)) && !fact.is("public");
    is_owner || to_public && fact.is("public")
}

/// `GRANT` of these privileges; a star marks the right to grant them on.
pub(crate) fn give(facts: &Facts, id: &FactId, fact: &Fact, privileges: &[String]) -> Vec<String> {
    let (head, on) = frame(facts, id);
    let to = grantee(id, fact);
    let plain: Vec<&str> =
        privileges.iter().map(String::as_str).filter(|text| !text.ends_with('*')).collect();
    let starred: Vec<&str> = privileges.iter().filter_map(|text| text.strip_suffix('*')).collect();
    let mut statements = Vec::new();
    if !plain.is_empty() {
        statements.push(format!("{head}GRANT {}{on} TO {to}", words(facts, id, &plain)));
    }
    if !starred.is_empty() {
        statements.push(format!("{head}GRANT {}{on} TO {to} WITH GRANT OPTION", words(facts, id, &starred)));
    }
    statements
}

/// `REVOKE` of these privileges.
pub(crate) fn take(facts: &Facts, id: &FactId, fact: &Fact, privileges: &[&str]) -> Option<String> {
    let (head, on) = frame(facts, id);
    let words = words(facts, id, privileges);
    (!privileges.is_empty()).then(|| format!("{head}REVOKE {words}{on} FROM {}", grantee(id, fact)))
}

/// `REVOKE GRANT OPTION FOR` these privileges.
pub(crate) fn take_option(facts: &Facts, id: &FactId, fact: &Fact, privileges: &[String]) -> Option<String> {
    let (head, on) = frame(facts, id);
    let bare: Vec<&str> = privileges.iter().map(String::as_str).collect();
    let words = words(facts, id, &bare);
    (!bare.is_empty())
        .then(|| format!("{head}REVOKE GRANT OPTION FOR {words}{on} FROM {}", grantee(id, fact)))
}

/// `REVOKE ALL`.
pub(crate) fn revoke_all(facts: &Facts, id: &FactId, fact: &Fact) -> String {
    let (head, on) = frame(facts, id);
    let object = id.owner();
    let of_column = object.kind == Kind::Column && !id.name.starts_with("sequence ");
    let all = if of_column { format!("ALL ({})", sql::quote(&object.name)) } else { "ALL".to_owned() };
    format!("{head}REVOKE {all}{on} FROM {}", grantee(id, fact))
}

/// Back to what the grantee has by default.
pub(crate) fn drop(facts: &Facts, id: &FactId, fact: &Fact) -> Vec<String> {
    let mut statements = Vec::new();
    if !fact.list("privileges").is_empty() {
        statements.push(revoke_all(facts, id, fact));
    }
    if has_default(facts, id, fact) {
        statements.extend(defaults(facts, id, fact));
    }
    statements
}

/// Gives what Postgres gives by itself.
fn defaults(facts: &Facts, id: &FactId, fact: &Fact) -> Option<String> {
    let (head, on) = frame(facts, id);
    let object = id.owner();
    let objects = facts.get(object).and_then(|object| object.text("objects")).unwrap_or_default();
    let words = match object.kind {
        Kind::DefaultPrivilege if fact.is("public") => match objects {
            "FUNCTIONS" => "EXECUTE",
            "TYPES" => "USAGE",
            _ => return None,
        },
        _ if !fact.is("public") => "ALL",
        Kind::Function | Kind::Procedure | Kind::Aggregate => "EXECUTE",
        _ => "USAGE",
    };
    Some(format!("{head}GRANT {words}{on} TO {}", grantee(id, fact)))
}

//! Parts that have statements of their own.

use super::name;
use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::sql;

/// Whether a constraint cannot be said within the statement that makes its table.
pub(crate) fn is_late(fact: &Fact) -> bool {
    fact.text("definition").is_some_and(|text| text.ends_with("NOT VALID"))
}

/// Whether a constraint or column of a table comes from one that it inherits from, and from nowhere else.
fn is_inherited(facts: &Facts, id: &FactId, fact: &Fact) -> bool {
    let partition = !facts.parts_of_kind(id.owner(), Kind::Attachment).is_empty();
    fact.is("inherited") && !fact.is("local") && !partition
}

/// The statements that make a part.
pub(super) fn create(facts: &Facts, id: &FactId, fact: &Fact) -> Vec<String> {
    let owner = id.owner();
    let text = |name: &str| fact.text(name).unwrap_or_default();
    match id.kind {
        Kind::Constraint => {
            if is_inherited(facts, id, fact) {
                return Vec::new();
            }
            vec![format!(
                "{} ADD CONSTRAINT {} {}",
                on(owner, fact),
                sql::quote(&id.name),
                text("definition")
            )]
        }
        Kind::Default => {
            let column = sql::quote(&owner.name);
            vec![format!(
                "{} ALTER COLUMN {column} SET DEFAULT {}",
                name::alter_only(owner.owner()),
                text("expression")
            )]
        }
        Kind::SequenceOwner => vec![format!("ALTER SEQUENCE {} OWNED BY {}", owner.sql(), text("owned_by"))],
        Kind::Index => index(id, fact),
        Kind::Attachment => attach(facts, id, fact),
        Kind::Inheritance => vec![format!("{} INHERIT {}", name::alter(owner), text("parent"))],
        Kind::TableIndexRole => index_role(id, fact),
        Kind::Rule | Kind::Trigger => {
            let mut statements = Vec::new();
            if !fact.is("inherited") {
                statements.push(text("definition").trim_end_matches(';').to_owned());
            }
            if fact.text("enabled").is_some() {
                statements.push(enable(id, fact));
            }
            statements
        }
        Kind::Policy => vec![policy(id, fact)],
        Kind::PublicationMember => {
            vec![format!("ALTER PUBLICATION {} ADD {}", owner.sql(), text("definition"))]
        }
        Kind::UserMapping => {
            let options = super::table::foreign_options(fact);
            vec![format!("CREATE USER MAPPING FOR {} SERVER {}{options}", text("user"), owner.sql())]
        }
        Kind::Membership => {
            vec![format!("GRANT {} TO {}{}", owner.sql(), sql::quote(&id.name), text("options"))]
        }
        _ => Vec::new(),
    }
}

/// A constraint on a partitioned table's index belongs to the one table only: its partitions have their own, which are attached.
fn on(owner: &FactId, fact: &Fact) -> String {
    match fact.text("form") {
        Some("primaryKey" | "unique" | "exclusion") => name::alter_only(owner),
        _ => name::alter(owner),
    }
}

fn index(id: &FactId, fact: &Fact) -> Vec<String> {
    let mut text = fact.text("definition").unwrap_or_default().to_owned();
    if let Some(space) = fact.text("tablespace") {
        let tablespace = format!(" TABLESPACE {}", sql::quote(space));
        if !text.contains(&tablespace) {
            match text.find(" WHERE ") {
                Some(at) => text.insert_str(at, &tablespace),
                None => text.push_str(&tablespace),
            }
        }
    }
    let mut statements = vec![text];
    for entry in fact.list("statistics") {
        if let Some((column, target)) = entry.split_once('=') {
            let name = name::beside(id.owner(), &id.name);
            statements.push(format!("ALTER INDEX {name} ALTER COLUMN {column} SET STATISTICS {target}"));
        }
    }
    statements
}

fn attach(_facts: &Facts, id: &FactId, fact: &Fact) -> Vec<String> {
    let child = id.owner();
    let parent = fact.text("parent").unwrap_or_default();
    match fact.text("bound") {
        Some(bound) => vec![format!("ALTER TABLE ONLY {parent} ATTACH PARTITION {} {bound}", child.sql())],
        None => vec![format!(
            "ALTER INDEX {parent} ATTACH PARTITION {}",
            name::beside(child.owner(), &child.name)
        )],
    }
}

fn index_role(id: &FactId, fact: &Fact) -> Vec<String> {
    let index = sql::quote(fact.text("index").unwrap_or_default());
    let alter = name::alter_only(id.owner());
    match id.name.as_str() {
        "cluster" => vec![format!("ALTER TABLE {} CLUSTER ON {index}", id.owner().sql())],
        _ => vec![format!("{alter} REPLICA IDENTITY USING INDEX {index}")],
    }
}

/// Enables or disables a trigger or rule as `fact` says.
pub(crate) fn enable(id: &FactId, fact: &Fact) -> String {
    let word = fact.text("enabled").unwrap_or("ENABLE");
    format!("ALTER TABLE {} {word} {} {}", id.owner().sql(), id.kind.sql(), sql::quote(&id.name))
}

fn policy(id: &FactId, fact: &Fact) -> String {
    let mut text = format!("CREATE POLICY {} ON {}", sql::quote(&id.name), id.owner().sql());
    if fact.is("restrictive") {
        text.push_str(" AS RESTRICTIVE");
    }
    if let Some(command) = fact.text("command") {
        text.push_str(&format!(" FOR {command}"));
    }
    if !fact.list("roles").is_empty() {
        text.push_str(&format!(" TO {}", fact.list("roles").join(", ")));
    }
    for (name, word) in [("using", "USING"), ("check", "WITH CHECK")] {
        if let Some(expression) = fact.text(name) {
            text.push_str(&format!(" {word} ({expression})"));
        }
    }
    text
}

/// The statements that drop a part.
pub(super) fn drop(facts: &Facts, id: &FactId, fact: &Fact) -> Vec<String> {
    let owner = id.owner();
    let quoted = sql::quote(&id.name);
    match id.kind {
        Kind::Column if owner.kind == Kind::Type => {
            vec![format!("{} DROP ATTRIBUTE {quoted}", name::alter(owner))]
        }
        Kind::Column => vec![format!("{} DROP COLUMN {quoted}", name::alter(owner))],
        Kind::Constraint => vec![format!("{} DROP CONSTRAINT {quoted}", name::alter(owner))],
        Kind::Default => {
            let column = sql::quote(&owner.name);
            vec![format!("{} ALTER COLUMN {column} DROP DEFAULT", name::alter_only(owner.owner()))]
        }
        Kind::SequenceOwner => vec![format!("ALTER SEQUENCE {} OWNED BY NONE", owner.sql())],
        Kind::Attachment if fact.text("bound").is_some() => {
            vec![format!(
                "ALTER TABLE {} DETACH PARTITION {}",
                fact.text("parent").unwrap_or_default(),
                owner.sql()
            )]
        }
        Kind::Inheritance => {
            vec![format!("{} NO INHERIT {}", name::alter(owner), fact.text("parent").unwrap_or_default())]
        }
        Kind::TableIndexRole if id.name == "cluster" => {
            vec![format!("ALTER TABLE {} SET WITHOUT CLUSTER", owner.sql())]
        }
        Kind::TableIndexRole => {
            let identity =
                facts.get(owner).and_then(|table| table.text("replica_identity")).unwrap_or("DEFAULT");
            vec![format!("{} REPLICA IDENTITY {identity}", name::alter_only(owner))]
        }
        Kind::Trigger if fact.is("inherited") => Vec::new(),
        Kind::Index | Kind::Trigger | Kind::Rule | Kind::Policy => {
            vec![format!("DROP {}", name::of(id, fact))]
        }
        Kind::PublicationMember => {
            vec![format!(
                "ALTER PUBLICATION {} DROP {}",
                owner.sql(),
                fact.text("target").unwrap_or_default()
            )]
        }
        Kind::UserMapping => {
            vec![format!(
                "DROP USER MAPPING FOR {} SERVER {}",
                fact.text("user").unwrap_or_default(),
                owner.sql()
            )]
        }
        Kind::Membership => vec![format!("REVOKE {} FROM {quoted}", owner.sql())],
        _ => Vec::new(),
    }
}

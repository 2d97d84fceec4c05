//! Facts as SQL: what makes an object, what drops it, and an object's whole text.

pub(crate) mod grant;
pub(crate) mod name;
mod object;
mod operator;
pub(crate) mod part;
pub(crate) mod routine;
pub(crate) mod sequence;
pub(crate) mod table;
pub(crate) mod types;

pub(crate) use object::view_text;

use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::sql;

/// Which parts a statement that makes an object brings along: a default, a constraint, an inheritance.
pub(crate) type Inline<'a> = &'a dyn Fn(&FactId) -> bool;

/// The statements, each without its semicolon, that make the object or part that `id` names.
///
/// Owner, comment and security labels follow in statements of their own; grants and other parts are not among them.
pub(crate) fn create(facts: &Facts, id: &FactId, inline: Inline<'_>) -> Vec<String> {
    let Some(fact) = facts.get(id) else { return Vec::new() };
    let mut statements = match id.kind {
        Kind::Table | Kind::ForeignTable => table::create(facts, id, fact, inline),
        Kind::Column => table::add_column(facts, id, fact, inline),
        Kind::View | Kind::MaterializedView => object::view(facts, id, fact),
        Kind::Sequence => vec![sequence::create(id, fact)],
        Kind::Type | Kind::Domain => types::create(facts, id, fact, inline),
        Kind::Function | Kind::Procedure => vec![routine::create(fact)],
        Kind::Aggregate => vec![routine::aggregate(id, fact)],
        Kind::Operator => vec![operator::operator(id, fact)],
        Kind::OperatorClass => vec![operator::class(id, fact)],
        Kind::OperatorFamily => operator::family(id, fact),
        Kind::Grant => grant::create(facts, id, fact),
        kind if kind.is_top() => object::create(facts, id, fact),
        _ => part::create(facts, id, fact),
    };
    statements.extend(after(id, fact));
    statements
}

/// Owner, comments and labels.
fn after(id: &FactId, fact: &Fact) -> Vec<String> {
    let mut statements = Vec::new();
    if let Some(owner) = fact.text("owner") {
        statements.extend(set_owner(id, fact, owner));
    }
    statements.extend(notes(id, fact));
    statements
}

/// Comments and labels.
pub(crate) fn notes(id: &FactId, fact: &Fact) -> Vec<String> {
    fact.attributes.keys().filter_map(|name| annotate(id, fact, name)).collect()
}

/// `ALTER … OWNER TO`.
pub(crate) fn set_owner(id: &FactId, fact: &Fact, owner: &str) -> Option<String> {
    let has_owner = id.kind.is_top() && !matches!(id.kind, Kind::Extension | Kind::Cast | Kind::Transform);
    has_owner.then(|| format!("ALTER {} OWNER TO {}", name::of(id, fact), sql::quote(owner)))
}

/// The statement that sets a comment or security label, or takes it away where `fact` has none. `None` if
/// `attribute` is neither.
pub(crate) fn annotate(id: &FactId, fact: &Fact, attribute: &str) -> Option<String> {
    let (attribute_kind, target) = match attribute.split_once(' ') {
        Some(("index", rest)) => (rest, format!("INDEX {}", name::beside(id.owner(), &id.name))),
        Some(("sequence", rest)) => (rest, format!("SEQUENCE {}", fact.text("sequence_name")?)),
        _ => (attribute, name::of(id, fact)),
    };
    let value = fact.text(attribute).map_or_else(|| "NULL".to_owned(), sql::literal);
    if attribute_kind == "comment" {
        Some(format!("COMMENT ON {target} IS {value}"))
    } else {
        let provider = attribute_kind.strip_prefix("label ")?;
        Some(format!("SECURITY LABEL FOR {} ON {target} IS {value}", sql::quote(provider)))
    }
}

/// The statement that drops what `id` names.
pub(crate) fn drop(facts: &Facts, id: &FactId) -> Vec<String> {
    let Some(fact) = facts.get(id) else { return Vec::new() };
    match id.kind {
        Kind::Grant => grant::drop(facts, id, fact),
        Kind::DefaultPrivilege => {
            let grants = facts.parts_of_kind(id, Kind::Grant);
            grants.into_iter().flat_map(|(id, fact)| grant::drop(facts, id, fact)).collect()
        }
        kind if kind.is_top() => vec![format!("DROP {}", name::of(id, fact))],
        _ => part::drop(facts, id, fact),
    }
}

/// The whole text of an object; see [`Facts::definition`].
pub(crate) fn definition(facts: &Facts, id: &FactId) -> Option<String> {
    facts.get(id)?;
    let inline = |part: &FactId| match part.kind {
        Kind::Default => part.root().kind != Kind::View,
        kind => matches!(kind, Kind::Constraint | Kind::Inheritance | Kind::Column),
    };
    let mut statements = create(facts, id, &inline);
    append_parts(facts, id, &inline, &mut statements);
    Some(
        statements
            .iter()
            .map(|statement| format!("{};\n", statement.trim_end()))
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

fn append_parts(facts: &Facts, id: &FactId, inline: Inline<'_>, statements: &mut Vec<String>) {
    for (part, fact) in facts.parts(id) {
        if part.kind == Kind::Column {
            // It came with the object, and so did what is said of it.
        } else if inline(part) && !(part.kind == Kind::Constraint && part::is_late(fact)) {
            statements.extend(after(part, fact));
        } else {
            statements.extend(create(facts, part, inline));
        }
        append_parts(facts, part, inline, statements);
    }
}

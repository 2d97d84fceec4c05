//! What differs between two servers only because they are of different major versions.

use crate::fact::{Fact, FactId};
use crate::kind::Kind;
use crate::tokens::{Sort, tokens};

/// Whether another version of Postgres is reason enough for an attribute to differ.
pub(super) fn explains(id: &FactId, name: &str, old: &Fact, new: &Fact) -> bool {
    match (id.kind, name) {
        // From 18 on constraints that columns are not null have names.
        (Kind::Column, "not_null_name") => old.text(name).is_none() || new.text(name).is_none(),
        // Each version brings its own.
        (Kind::Extension, "version") => true,
        // From 17 on there is one more privilege on tables.
        (Kind::Grant, "privileges") => {
            let known = |fact: &Fact| -> Vec<String> {
                fact.list(name).iter().filter(|word| !word.starts_with("MAINTAIN")).cloned().collect()
            };
            known(old) == known(new)
        }
        // From 16 on columns of a lone table are written without the table's name.
        (
            Kind::View | Kind::MaterializedView | Kind::Rule | Kind::Function | Kind::Procedure,
            "definition",
        ) => bare(old.text(name).unwrap_or_default()) == bare(new.text(name).unwrap_or_default()),
        _ => false,
    }
}

/// A text without white space and without what stands before a dot.
fn bare(text: &str) -> Vec<&str> {
    let all: Vec<_> = tokens(text).into_iter().filter(|token| !token.is_space()).collect();
    let mut kept = Vec::new();
    for (at, token) in all.iter().enumerate() {
        let before_dot = token.sort == Sort::Name && all.get(at + 1).is_some_and(|next| next.text == ".");
        if !before_dot && token.text != "." {
            kept.push(token.text);
        }
    }
    kept
}

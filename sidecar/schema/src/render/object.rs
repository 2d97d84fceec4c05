//! Views and the rarer objects.

use crate::fact::{Fact, FactId, Facts};
use crate::kind::Kind;
use crate::sql;

/// `CREATE VIEW` or `CREATE MATERIALIZED VIEW`.
pub(super) fn view(facts: &Facts, id: &FactId, fact: &Fact) -> Vec<String> {
    let mut statements = vec![view_text(id, fact, "CREATE ")];
    for (part, column) in facts.parts_of_kind(id, Kind::Column) {
        statements.extend(super::after(part, column));
    }
    statements
}

/// The view's text after `head`, which is `CREATE ` or `CREATE OR REPLACE `.
pub(crate) fn view_text(id: &FactId, fact: &Fact, head: &str) -> String {
    let mut text = format!("{head}{} {}", id.kind.sql(), id.sql());
    let definition = fact.text("definition").unwrap_or_default().trim_end().trim_end_matches(';');
    if let Some(method) = fact.text("access_method") {
        text.push_str(&format!(" USING {}", sql::quote(method)));
    }
    let options: Vec<_> = super::table::all_options(fact);
    if !options.is_empty() {
        text.push_str(&format!(" WITH ({})", options.join(", ")));
    }
    if let Some(space) = fact.text("tablespace") {
        text.push_str(&format!(" TABLESPACE {}", sql::quote(space)));
    }
    text.push_str(&format!(" AS\n{definition}"));
    if fact.is("unpopulated") {
        text.push_str("\nWITH NO DATA");
    }
    text
}

/// The statements that make one of the rarer objects.
pub(super) fn create(_facts: &Facts, id: &FactId, fact: &Fact) -> Vec<String> {
    let name = id.sql();
    let text = |name: &str| fact.text(name).unwrap_or_default();
    match id.kind {
        Kind::Schema => vec![format!("CREATE SCHEMA {name}")],
        Kind::Extension => {
            let schema = fact.text("in_schema").map(|schema| format!(" WITH SCHEMA {}", sql::quote(schema)));
            let version = fact.text("version").map(|version| format!(" VERSION {}", sql::literal(version)));
            vec![format!(
                "CREATE EXTENSION {name}{}{}",
                schema.unwrap_or_default(),
                version.unwrap_or_default()
            )]
        }
        // Each of these has its whole statement in its fact.
        _ if fact.text("definition").is_some() => {
            let options = super::table::foreign_options(fact);
            let mut statements = vec![format!("{}{options}", text("definition").trim_end_matches(';'))];
            statements.extend(fact.list("more").iter().cloned());
            statements.extend(
                fact.text("statistics")
                    .map(|target| format!("ALTER STATISTICS {name} SET STATISTICS {target}")),
            );
            statements.extend(fact.text("enabled").map(|word| format!("ALTER EVENT TRIGGER {name} {word}")));
            statements
        }
        _ => Vec::new(),
    }
}

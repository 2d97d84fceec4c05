//! Operators, their classes and families.

use super::types::pairs;
use crate::fact::{Fact, FactId};
use crate::sql;

/// `CREATE OPERATOR`.
pub(super) fn operator(id: &FactId, fact: &Fact) -> String {
    let mut lines = pairs(
        fact,
        &[
            ("function", "FUNCTION"),
            ("left", "LEFTARG"),
            ("right", "RIGHTARG"),
            ("commutator", "COMMUTATOR"),
            ("negator", "NEGATOR"),
            ("restrict", "RESTRICT"),
            ("join", "JOIN"),
        ],
    );
    lines.extend(fact.is("hashes").then(|| "    HASHES".to_owned()));
    lines.extend(fact.is("merges").then(|| "    MERGES".to_owned()));
    let schema = sql::quote(id.schema.as_deref().unwrap_or_default());
    let symbol = fact.text("symbol").unwrap_or_default();
    format!("CREATE OPERATOR {schema}.{symbol} (\n{}\n)", lines.join(",\n"))
}

/// `CREATE OPERATOR CLASS`.
pub(super) fn class(id: &FactId, fact: &Fact) -> String {
    let default = if fact.is("is_default") { "DEFAULT " } else { "" };
    let text = |name: &str| fact.text(name).unwrap_or_default();
    let mut lines: Vec<_> = fact.list("members").iter().map(|member| format!("    {member}")).collect();
    lines.extend(fact.text("storage").map(|storage| format!("    STORAGE {storage}")));
    if lines.is_empty() {
        lines.push(format!("    STORAGE {}", text("type")));
    }
    format!(
        "CREATE OPERATOR CLASS {}\n    {default}FOR TYPE {} USING {} FAMILY {} AS\n{}",
        id.sql(),
        text("type"),
        text("method"),
        text("family"),
        lines.join(",\n")
    )
}

/// `CREATE OPERATOR FAMILY` and its loose members.
pub(super) fn family(id: &FactId, fact: &Fact) -> Vec<String> {
    let name = format!("{} USING {}", id.sql(), fact.text("method").unwrap_or_default());
    let mut statements = vec![format!("CREATE OPERATOR FAMILY {name}")];
    let members: Vec<_> = fact.list("members").iter().map(|member| format!("    {member}")).collect();
    if !members.is_empty() {
        statements.push(format!("ALTER OPERATOR FAMILY {name} ADD\n{}", members.join(",\n")));
    }
    statements
}

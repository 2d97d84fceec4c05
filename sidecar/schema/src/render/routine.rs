//! Functions, procedures and aggregates.

use super::name;
use crate::fact::{Fact, FactId};

/// `CREATE FUNCTION`, without `OR REPLACE`, as Postgres writes it.
pub(super) fn create(fact: &Fact) -> String {
    let text = fact.text("definition").unwrap_or_default().trim_end();
    text.replacen("CREATE OR REPLACE ", "CREATE ", 1)
}

/// `CREATE OR REPLACE FUNCTION`.
pub(crate) fn replace(fact: &Fact) -> String {
    fact.text("definition").unwrap_or_default().trim_end().to_owned()
}

/// `CREATE AGGREGATE`.
pub(super) fn aggregate(id: &FactId, fact: &Fact) -> String {
    let mut lines = super::types::pairs(
        fact,
        &[
            ("agg_transition", "SFUNC"),
            ("agg_type", "STYPE"),
            ("agg_space", "SSPACE"),
            ("agg_final", "FINALFUNC"),
        ],
    );
    let flag = |lines: &mut Vec<String>, attribute: &str, word: &str| {
        if fact.is(attribute) {
            lines.push(format!("    {word}"));
        }
    };
    let ordered = fact.text("agg_kind").is_some();
    let usual = if ordered { "READ_WRITE" } else { "READ_ONLY" };
    let modify = |lines: &mut Vec<String>, attribute: &str, of: &str, word: &str| {
        if let Some(value) = fact.text(attribute).filter(|value| *value != usual && fact.text(of).is_some()) {
            lines.push(format!("    {word} = {value}"));
        }
    };
    let initial = |lines: &mut Vec<String>, attribute: &str, word: &str| {
        lines
            .extend(fact.text(attribute).map(|value| format!("    {word} = {}", crate::sql::literal(value))));
    };
    flag(&mut lines, "agg_final_extra", "FINALFUNC_EXTRA");
    modify(&mut lines, "agg_final_modify", "agg_final", "FINALFUNC_MODIFY");
    let combine =
        [("agg_combine", "COMBINEFUNC"), ("agg_serial", "SERIALFUNC"), ("agg_deserial", "DESERIALFUNC")];
    lines.extend(super::types::pairs(fact, &combine));
    initial(&mut lines, "agg_initial", "INITCOND");
    lines.extend(super::types::pairs(
        fact,
        &[
            ("agg_moving_transition", "MSFUNC"),
            ("agg_moving_inverse", "MINVFUNC"),
            ("agg_moving_type", "MSTYPE"),
            ("agg_moving_space", "MSSPACE"),
            ("agg_moving_final", "MFINALFUNC"),
        ],
    ));
    flag(&mut lines, "agg_moving_final_extra", "MFINALFUNC_EXTRA");
    modify(&mut lines, "agg_moving_final_modify", "agg_moving_final", "MFINALFUNC_MODIFY");
    initial(&mut lines, "agg_moving_initial", "MINITCOND");
    lines.extend(super::types::pairs(fact, &[("agg_sort", "SORTOP"), ("parallel", "PARALLEL")]));
    if fact.text("agg_kind") == Some("hypothetical") {
        lines.push("    HYPOTHETICAL".to_owned());
    }
    format!("CREATE AGGREGATE {} (\n{}\n)", name::aggregate(id, fact), lines.join(",\n"))
}

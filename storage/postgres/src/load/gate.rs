//! What a script may do while data are masked: nothing by which rows could reach a masked table but `COPY`.

use super::LoadError;
use super::lexer::Statement;
use super::name::{self, Name};
use crate::mask::Plan;

/// What is done with a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Run,
    /// It has rows, or what was computed from them.
    PassOver,
}

/// The rows of a `COPY`: of which table, and with which columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) table: Name,
    pub(super) columns: Option<Vec<String>>,
    /// Whether it says anything of a format.
    pub(super) has_options: bool,
}

/// Judges a statement of a script that is masked; `plan` is there when rows are loaded.
pub(super) fn judge(statement: &Statement, text: &str, plan: Option<&Plan>) -> Result<Verdict, LoadError> {
    let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
    // Its first words, which are no values.
    let refuse = |what: &str| {
        let what = format!("{what}: {} …", words.join(" "));
        Err(LoadError::Unmaskable { line: statement.line, what })
    };
    match words.as_slice() {
        // Statistics have values of the columns in them; they are gathered anew after a load.
        ["SELECT", rest @ ..] if rest.iter().any(|word| word.starts_with("PG_RESTORE_")) => {
            Ok(Verdict::PassOver)
        }
        ["COPY", ..] if statement.copies_in => Ok(Verdict::Run),
        ["COPY", ..] => refuse("a COPY from elsewhere cannot be masked"),
        ["INSERT", ..] => match (plan, inserted(text)) {
            (None, _) => Ok(Verdict::PassOver),
            (Some(plan), Some(table)) if masked(plan, &table).is_none() => Ok(Verdict::Run),
            (Some(_), _) => refuse("rows that come by INSERT cannot be masked"),
        },
        ["SELECT", "PG_CATALOG", ..] => Ok(Verdict::Run),
        [
            "SELECT" | "UPDATE" | "MERGE" | "WITH" | "DO" | "CALL" | "EXECUTE" | "PREPARE" | "VALUES"
            | "EXPLAIN" | "LOAD",
            ..,
        ] => refuse("while data are masked, a script may hold only what pg_dump writes"),
        ["CREATE", rest @ ..] if is_filled_table(rest) => {
            refuse("a table that is made with its rows cannot be masked")
        }
        _ => Ok(Verdict::Run),
    }
}

/// The masked table that is meant, if one is, as `schema.table`. A name without a schema may be that of any.
pub(super) fn masked(plan: &Plan, table: &Name) -> Option<String> {
    match &table.schema {
        Some(schema) => plan.table(schema, &table.name).map(|_| format!("{schema}.{}", table.name)),
        None => plan.any_table(&table.name),
    }
}

/// `CREATE TABLE t AS …`, but no view and no column that is generated.
fn is_filled_table(rest: &[&str]) -> bool {
    let is_table = matches!(rest, ["TABLE" | "UNLOGGED" | "TEMP" | "TEMPORARY" | "LOCAL" | "GLOBAL", ..]);
    let filled = |pair: &[&str]| {
        pair[0] == "AS" && ["SELECT", "VALUES", "WITH", "TABLE", "EXECUTE"].contains(&pair[1])
    };
    // `AS (SELECT …)`: what is in parentheses is no word here.
    is_table && (rest.windows(2).any(filled) || rest.last() == Some(&"AS"))
}

fn inserted(text: &str) -> Option<Name> {
    let rest = name::after_word(text, "insert").and_then(|rest| name::after_word(rest, "into"))?;
    name::qualified(rest).map(|(name, _)| name)
}

/// Reads `COPY schema.table (columns) FROM stdin …;`.
pub(super) fn copied(text: &str) -> Option<Copied> {
    let rest = name::after_word(text, "copy")?;
    let (table, rest) = name::qualified(rest)?;
    let (columns, rest) = match rest.trim_start().strip_prefix('(') {
        Some(list) => {
            let (columns, rest) = name::list(list)?;
            (Some(columns), rest)
        }
        None => (None, rest),
    };
    let rest = name::after_word(rest, "from").and_then(|rest| name::after_word(rest, "stdin"))?;
    Some(Copied { table, columns, has_options: rest.trim() != ";" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_copy_loads_is_read() {
        let read = copied("COPY public.\"My \"\"T\" (id, \"E.Mail\") FROM stdin;").unwrap();
        assert_eq!(read.table, Name { schema: Some("public".into()), name: "My \"T".into() });
        assert_eq!(read.columns.unwrap(), ["id", "E.Mail"]);
        assert!(!read.has_options);
        let read = copied("copy Users from STDIN with (format csv);").unwrap();
        assert_eq!((read.table.name.as_str(), read.columns, read.has_options), ("users", None, true));
        assert_eq!(copied("COPY (SELECT 1) FROM stdin;"), None);
        assert_eq!(inserted("INSERT INTO a.b VALUES (1);").unwrap().name, "b");
    }
}

//! What a script may do while data are masked: nothing by which rows could reach a masked table but `COPY`.

use super::LoadError;
use super::lexer::Statement;
use super::name::{self, Name};
use crate::mask::{Plan, Table};

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
        ["INSERT", ..] => {
            let Some(plan) = plan else { return Ok(Verdict::PassOver) };
            match inserted(text).map(|table| goal(plan, &table)) {
                Some(Ok(None)) => Ok(Verdict::Run),
                Some(Err(why)) => refuse(&why),
                Some(Ok(Some(_))) | None => refuse("rows that come by INSERT cannot be masked"),
            }
        }
        // What was loaded under one name would go by the rules of another.
        ["ALTER", rest @ ..] if renames(rest) => refuse("while data are masked, nothing can be renamed"),
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

/// The masked table that rows go to; `None` for one that is not masked. All is as it was when the schema was read, or else it is not known
/// what the rows are.
///
/// # Errors
/// Why that is not sure, in a sentence without its full stop.
pub(super) fn goal<'p>(plan: &'p Plan, name: &Name) -> Result<Option<&'p Table>, String> {
    let unknown = |name: &str| {
        format!(
            "{name} is no table of the schema as it was read at first: it has another name by now, or is a view, and no rule is known \
             to hold for its rows"
        )
    };
    let Some(schema) = &name.schema else {
        let is_settled = |table: &Table| !table.is_masked() && table.misses().is_none();
        let mut named = plan.tables_named(&name.name).peekable();
        if named.peek().is_none() {
            return Err(unknown(&name.name));
        }
        return match named.find(|(_, table)| !is_settled(table)) {
            None => Ok(None),
            Some((full, _)) => {
                Err(format!("this statement names no schema, so that it is not sure whether it fills {full}"))
            }
        };
    };
    let full = format!("{schema}.{}", name.name);
    let table = plan.table(schema, &name.name).ok_or_else(|| unknown(&full))?;
    if let Some(column) = table.misses() {
        return Err(format!(
            "rows of {full} go to its partitions, and {column} has a rule that {full} has not"
        ));
    }
    Ok(table.is_masked().then_some(table))
}

/// Refuses columns that were not there when the schema was read.
///
/// # Errors
/// As [`goal`].
pub(super) fn check_columns(plan: &Plan, copied: &Copied) -> Result<(), String> {
    let Name { schema, name } = &copied.table;
    let Some(table) = schema.as_deref().and_then(|schema| plan.table(schema, name)) else { return Ok(()) };
    match copied.columns.iter().flatten().find(|column| !table.has(column)) {
        Some(column) => Err(format!(
            "{name} had no column {column} when the schema was read at first, so that no rule is known to hold for its values"
        )),
        None => Ok(()),
    }
}

/// `ALTER TABLE a RENAME TO b`, `RENAME COLUMN a TO b`, `SET SCHEMA c`; but not `ALTER TABLE rename OWNER TO x`.
fn renames(rest: &[&str]) -> bool {
    let at = rest.iter().position(|word| *word == "RENAME");
    let renamed = at.is_some_and(|at| match &rest[at + 1..] {
        ["OWNER", "TO", ..] => false,
        ["TO" | "COLUMN", ..] | [_, "TO", ..] => true,
        _ => false,
    });
    renamed || rest.windows(2).any(|pair| pair == ["SET", "SCHEMA"])
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

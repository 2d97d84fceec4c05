//! The rows of a history table, as text that the engine fetched.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::diagnostic::{Code, Diagnostic};

/// One row if the table whose name as SQL is `$1` exists: its schema, its name, and its kind as `pg_class.relkind` has
/// it. The search path decides where the name has no schema.
pub const TABLE_QUERY: &str = "\
    select n.nspname, c.relname, c.relkind::pg_catalog.text
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace
    where c.oid operator(pg_catalog.=) pg_catalog.to_regclass($1)";

/// The columns of the table whose name as SQL is `$1`, in their order: the name, and whether reading it runs nothing but
/// Postgres's own code. That is so for types that came with the server, which are those below the first oid for users,
/// and not for columns that are computed.
pub const COLUMNS_QUERY: &str = "\
    select a.attname,
           a.atttypid operator(pg_catalog.<) 16384 and a.attgenerated operator(pg_catalog.=) ''
    from pg_catalog.pg_attribute a
    where a.attrelid operator(pg_catalog.=) pg_catalog.to_regclass($1)
      and a.attnum operator(pg_catalog.>) 0 and not a.attisdropped
    order by a.attnum";

/// Whether any partition or heir of the table whose name as SQL is `$1` is a foreign table.
pub const FOREIGN_QUERY: &str = "\
    with recursive below(id) as (
        select i.inhrelid from pg_catalog.pg_inherits i
        where i.inhparent operator(pg_catalog.=) pg_catalog.to_regclass($1)
        union all
        select i.inhrelid from pg_catalog.pg_inherits i
        join below on i.inhparent operator(pg_catalog.=) below.id
    )
    select pg_catalog.count(*) operator(pg_catalog.>) 0
    from below join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) below.id
    where c.relkind operator(pg_catalog.=) 'f'";

/// Columns that tools' tables may lack, but whose values tell what happened if they are there.
const TELLING: &[&str] = &[
    "id",
    "name",
    "type",
    "error",
    "hash",
    "checksum",
    "script_hash",
    "description",
    "success",
    "dirty",
    "exectype",
    "orderexecuted",
    "created_at",
    "migration_id",
];

/// What came of asking a branch for a tool's history.
#[derive(Debug, Clone)]
pub enum History {
    /// The table does not exist: nothing was ever applied.
    Missing,
    /// The rows.
    Rows(Rows),
    /// The table must not be read.
    Denied {
        /// What Postgres said.
        message: String,
    },
    /// The query failed otherwise.
    Failed {
        /// What Postgres said.
        message: String,
    },
}

impl History {
    /// The meaning of an error of the history query.
    pub fn from_error(sqlstate: &str, message: &str) -> Self {
        match sqlstate {
            // undefined_table, invalid_schema_name
            "42P01" | "3F000" => Self::Missing,
            "42501" => Self::Denied { message: message.to_owned() },
            _ => Self::Failed { message: message.to_owned() },
        }
    }
}

/// Rows of a history table.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    rows: Vec<Map<String, Value>>,
    /// Columns that the table has and the rows have not.
    unread: Vec<String>,
}

impl Rows {
    /// Reads what [`crate::Table::rows_query`] gave, one JSON object a row.
    ///
    /// # Errors
    /// If a row is no JSON object.
    pub fn parse<T: AsRef<str>>(rows: impl IntoIterator<Item = T>) -> Result<Self, serde_json::Error> {
        rows.into_iter()
            .map(|row| serde_json::from_str(row.as_ref()))
            .collect::<Result<_, _>>()
            .map(|rows| Self { rows, unread: Vec::new() })
    }

    /// The same rows, of a table with further columns that must not be read. A tool that needs one of them takes the
    /// table for another version's.
    #[must_use]
    pub fn without(self, unread: Vec<String>) -> Self {
        Self { unread, ..self }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(Row)
    }

    /// Rows sorted by the number in a column; rows without one come first.
    pub(crate) fn by_number(&self, column: &str) -> Vec<Row<'_>> {
        let mut rows: Vec<_> = self.iter().collect();
        rows.sort_by_key(|row| row.int(column));
        rows
    }

    /// Complains if rows lack one of these columns: then the table is another tool's or another version's.
    pub(crate) fn lacks(&self, table: &str, columns: &[&str]) -> Option<Diagnostic> {
        let row = self.rows.first()?;
        let unread = |column: &str| self.unread.iter().any(|unread| unread == column);
        let odd: Vec<_> = columns
            .iter()
            .chain(TELLING)
            .copied()
            .filter(|column| unread(column))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if !odd.is_empty() {
            return Some(Diagnostic::error(
                Code::HistoryShape,
                "",
                1,
                format!(
                    "the history table {table} has the column {} computed or of a type that did not come with Postgres",
                    odd.join(", ")
                ),
                "The tool does not make it so, and reading it could run anybody's code; its status cannot be told. Give \
                 the column a type of Postgres's own.",
            ));
        }
        let missing: Vec<_> = columns.iter().copied().filter(|column| !row.contains_key(*column)).collect();
        (!missing.is_empty()).then(|| {
            Diagnostic::error(
                Code::HistoryShape,
                "",
                1,
                format!("the history table {table} has no column {}", missing.join(", ")),
                "Another tool or another version of it made the table; its status cannot be told. Run the tool's own \
                 status once, which usually upgrades the table.",
            )
        })
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a>(&'a Map<String, Value>);

impl Row<'_> {
    pub(crate) fn has(self, column: &str) -> bool {
        self.0.contains_key(column)
    }

    /// The value as text, whatever its type; none for null.
    pub(crate) fn text(self, column: &str) -> Option<String> {
        match self.0.get(column)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    pub(crate) fn int(self, column: &str) -> Option<i64> {
        match self.0.get(column)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn float(self, column: &str) -> Option<f64> {
        match self.0.get(column)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn truth(self, column: &str) -> Option<bool> {
        self.0.get(column)?.as_bool()
    }

    /// A `bytea` in hexadecimal, without the `\x`.
    pub(crate) fn hex(self, column: &str) -> Option<String> {
        self.text(column).map(|text| text.trim_start_matches("\\x").to_owned())
    }
}

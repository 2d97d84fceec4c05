//! The rows of a history table, as text that the engine fetched.

use serde_json::{Map, Value};

use crate::diagnostic::{Code, Diagnostic};

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
pub struct Rows(Vec<Map<String, Value>>);

impl Rows {
    /// Reads what [`crate::Project::history_query`] gave, one JSON object a row.
    ///
    /// # Errors
    /// If a row is no JSON object.
    pub fn parse<T: AsRef<str>>(rows: impl IntoIterator<Item = T>) -> Result<Self, serde_json::Error> {
        rows.into_iter().map(|row| serde_json::from_str(row.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.0.iter().map(Row)
    }

    /// Rows sorted by the number in a column; rows without one come first.
    pub(crate) fn by_number(&self, column: &str) -> Vec<Row<'_>> {
        let mut rows: Vec<_> = self.iter().collect();
        rows.sort_by_key(|row| row.int(column));
        rows
    }

    /// Complains if rows lack one of these columns: then the table is another tool's or another version's.
    pub(crate) fn lacks(&self, table: &str, columns: &[&str]) -> Option<Diagnostic> {
        let row = self.0.first()?;
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

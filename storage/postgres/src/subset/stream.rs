//! Rows on their way from a query at the source into a table here.

use std::io::{BufRead, Write};

use postgres::Client;
use postgres::error::SqlState;

use super::SubsetError;
use super::keys::{Place, place};
use crate::load::{LoadError, causes};
use crate::mask::RowMask;
use crate::progress::Progress;

/// How a table's rows are read: where each lies, its columns, and columns beside them that only its keys need.
#[derive(Debug)]
pub(super) struct Layout {
    /// `"schema"."table"`.
    pub(super) table: String,
    /// What is selected, but for where the row lies.
    pub(super) selected: Vec<String>,
    /// The columns that are loaded: the first of these.
    pub(super) columns: Vec<String>,
}

impl Layout {
    /// What the source is asked for.
    pub(super) fn query(&self, alias: Option<&str>, condition: Option<&str>) -> String {
        let mut sql = "SELECT ctid".to_owned();
        for column in &self.selected {
            sql.extend([", ", column]);
        }
        sql.extend([" FROM ONLY ", &self.table]);
        if let Some(alias) = alias {
            sql.extend([" AS ", &quoted(alias)]);
        }
        if let Some(condition) = condition {
            // A comment at its end takes nothing with it.
            sql.extend([" WHERE (", condition, "\n)"]);
        }
        sql
    }

    fn copy_in(&self) -> String {
        let columns = self.columns.join(", ");
        let columns = if columns.is_empty() { String::new() } else { format!(" ({columns})") };
        format!("COPY {}{columns} FROM STDIN", self.table)
    }
}

/// An identifier in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in SQL, where backslashes mean themselves.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The two ends.
pub(super) struct Ends<'a> {
    pub(super) source: &'a mut Client,
    pub(super) target: &'a mut Client,
    pub(super) progress: &'a dyn Progress,
}

impl Ends<'_> {
    /// Copies the rows of `query` that `wants` says yes to, which sees each row's place and fields as the source wrote them, and the
    /// bytes of it. Returns how many there were.
    pub(super) fn copy(
        &mut self,
        layout: &Layout,
        query: &str,
        mask: Option<&mut RowMask>,
        mut wants: impl FnMut(Place, &[&[u8]], usize) -> bool,
    ) -> Result<u64, LoadError> {
        let said = |error: &postgres::Error| source_failure(error, &layout.table);
        let reader = self.source.copy_out(&format!("COPY ({query}) TO STDOUT"));
        let mut reader = reader.map_err(|error| said(&error))?;
        let here = |error: &postgres::Error| here(error, layout);
        let mut writer = self.target.copy_in(&layout.copy_in()).map_err(|error| here(&error))?;
        let (mut line, mut out, mut rows, mut mask) = (Vec::new(), Vec::new(), 0, mask);
        loop {
            line.clear();
            let count =
                reader.read_until(b'\n', &mut line).map_err(|error| io_failure(error, &layout.table))?;
            if count == 0 {
                break;
            }
            if self.progress.is_cancelled() {
                return Err(LoadError::Cancelled);
            }
            let body = line.strip_suffix(b"\n").unwrap_or(&line);
            let fields: Vec<&[u8]> = body.split(|byte| *byte == b'\t').collect();
            let at = fields.first().and_then(|text| place(std::str::from_utf8(text).ok()?));
            let at = at.filter(|_| fields.len() == layout.selected.len() + 1);
            let Some(at) = at else { return Err(odd_row(&layout.table)) };
            if !wants(at, &fields[1..], count) {
                continue;
            }
            out.clear();
            out.extend_from_slice(&fields[1..=layout.columns.len()].join(&b'\t'));
            out.push(b'\n');
            rows += 1;
            let Some(mask) = &mut mask else {
                if writer.write_all(&out).is_err() {
                    // The server has given up; why comes with the end.
                    break;
                }
                continue;
            };
            mask.take(&out).ok_or_else(|| odd_row(&layout.table))?;
            while mask.is_ready() {
                if writer.write_all(mask.ready()).is_err() {
                    break;
                }
            }
        }
        writer.finish().map_err(|error| here(&error))?;
        Ok(rows)
    }

    /// Loads the rows that a mask has held back.
    pub(super) fn finish(&mut self, layout: &Layout, mask: &mut RowMask) -> Result<(), LoadError> {
        mask.end();
        let writer = self.target.copy_in(&layout.copy_in());
        let mut writer = writer.map_err(|error| here(&error, layout))?;
        while mask.is_ready() && writer.write_all(mask.ready()).is_ok() {}
        writer.finish().map(drop).map_err(|error| here(&error, layout))
    }
}

/// What the new database's refusal of rows means.
fn here(error: &postgres::Error, layout: &Layout) -> LoadError {
    LoadError::Statement {
        line: 0,
        statement: layout.copy_in(),
        message: refused(error),
        code: error.code().map(|code| code.code().to_owned()),
        hint: None,
    }
}

fn refused(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(refusal) => [Some(refusal.message()), refusal.detail(), refusal.where_()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": "),
        None => causes(error),
    }
}

fn odd_row(table: &str) -> LoadError {
    SubsetError::new(format!("a row of {table} came in another form than it was asked for"), "Try again.")
        .into()
}

fn io_failure(error: std::io::Error, table: &str) -> LoadError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<postgres::Error>());
    match inner {
        Some(inner) => source_failure(inner, table),
        None => LoadError::SourceUnreachable { message: format!("{table} was cut off: {error}") },
    }
}

/// What the source's refusal of a query for `what` means.
pub(super) fn source_failure(error: &postgres::Error, what: &str) -> LoadError {
    let message = refused(error);
    let Some(code) = error.code() else {
        return LoadError::SourceUnreachable { message: format!("{what} was cut off: {message}") };
    };
    let hint = if *code == SqlState::QUERY_CANCELED {
        "`--statement-timeout` gives a query at the source more time; a condition on a column with an index takes less."
    } else if *code == SqlState::LOCK_NOT_AVAILABLE {
        "Somebody at the source holds the table. Try again later, or wait longer with `--lock-timeout`."
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        "The role of the URL needs USAGE on the schemas and SELECT on the tables; row security must not hold for it."
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        "The source is only read: take out of the condition or the expression what writes."
    } else {
        "The message is the source's. Conditions and expressions are its SQL; look at those for this table."
    };
    SubsetError::new(format!("{what}: the source says: {message}"), hint).into()
}

//! A part of another server's database: some tables, some rows, and all rows that they refer to.
//!
//! All is read in one snapshot, which the source exports and which `pg_dump` takes for the schema. The source is only read: no
//! temporary table is made there and nothing is written. Rows that foreign keys point at are looked up by key, and each row is known by
//! where it lies (`ctid`), which does not change while the snapshot is held. That needs memory for the keys and places of those tables
//! alone of which a part is taken.

mod catalog;
mod choose;
mod error;
mod keys;
mod name;
mod rows;
mod session;
mod stream;

use std::time::Duration;

pub use error::SubsetError;
pub use session::Session;

/// How long a query at the source may wait for a lock by itself.
pub const LOCK_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a query at the source may take by itself.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_hours(1);

/// Which rows of a server's database are wanted.
///
/// A table is named `schema.table` or `table`, as it is spelt in the database; `*` is any part of a name and `?` any letter of it.
/// A partitioned table stands for its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subset {
    /// Tables that are taken with all of their rows.
    pub tables: Vec<String>,
    /// Tables that are left empty, also where `tables` names them.
    pub without_rows: Vec<String>,
    /// Tables of which those rows are taken that meet a condition. Of several for one table, any.
    pub conditions: Vec<Condition>,
    /// How long a query at the source may wait for a lock.
    pub lock_timeout: Duration,
    /// How long it may take.
    pub statement_timeout: Duration,
}

impl Default for Subset {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            without_rows: Vec::new(),
            conditions: Vec::new(),
            lock_timeout: LOCK_TIMEOUT,
            statement_timeout: STATEMENT_TIMEOUT,
        }
    }
}

impl Subset {
    /// Whether all rows of all tables are wanted.
    pub fn is_everything(&self) -> bool {
        self.tables.is_empty() && self.without_rows.is_empty() && self.conditions.is_empty()
    }
}

/// A condition for the rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The table.
    pub table: String,
    /// What stands behind `WHERE`, in the source's SQL.
    pub sql: String,
}

impl Condition {
    /// Reads `schema.table=condition`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut quoted = false;
        let at = text.char_indices().find_map(|(at, letter)| {
            quoted ^= letter == '"';
            (letter == '=' && !quoted).then_some(at)
        })?;
        let (table, sql) = (text[..at].trim(), text[at + 1..].trim());
        (!table.is_empty() && !sql.is_empty()).then(|| Self { table: table.to_owned(), sql: sql.to_owned() })
    }
}

/// Why rows of a table were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// All of them were wanted.
    All,
    /// Those that meet a condition.
    Where,
    /// None was asked for: other rows refer to them.
    Followed,
}

impl Taken {
    /// The one with this name; what is none is taken for [`Taken::Followed`].
    pub fn parse(name: &str) -> Self {
        match name {
            "all" => Self::All,
            "where" => Self::Where,
            _ => Self::Followed,
        }
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Where => "where",
            Self::Followed => "followed",
        }
    }
}

/// What was taken of a table, its partitions included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRows {
    /// `schema.table`.
    pub table: String,
    /// Why.
    pub taken: Taken,
    /// Rows that were asked for.
    pub chosen: u64,
    /// Rows that came along because others refer to them.
    pub followed: u64,
}

/// What was taken of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubsetReport {
    /// Tables with rows, and those that were asked for, by name.
    pub tables: Vec<TableRows>,
    /// How many tables were left empty.
    pub empty_tables: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_split_at_the_first_equals_sign_outside_of_a_name() {
        let read = Condition::parse("public.orders = paid_at = now()").unwrap();
        assert_eq!((read.table.as_str(), read.sql.as_str()), ("public.orders", "paid_at = now()"));
        assert_eq!(Condition::parse("\"a=b\".c=true").unwrap().table, "\"a=b\".c");
        assert_eq!(Condition::parse("orders"), None);
        assert_eq!(Condition::parse("orders="), None);
    }
}

//! Masking: personal data are replaced while they are loaded, before they reach the server.
//!
//! A replacement depends on the value and a secret [`Key`] alone, so that the same value becomes the same everywhere and foreign
//! keys stay true. What is unique stays unique. Nothing here reads or writes a file but the key's.
//!
//! What must hold: rows of a masked column pass only through [`Plan::table`]'s transformers; a script that could bring such rows
//! by another way is refused (`load::gate`).

mod catalog;
mod digits;
mod error;
mod key;
mod look;
mod personal;
mod plan;
mod row;
mod shuffle;
mod transform;
mod words;

pub use error::MaskError;
pub use key::Key;
pub use look::{Personal, personal};
pub use personal::{Suspicion, suspicion};
pub use plan::{Plan, Table};
pub(crate) use row::{RowMask, decoded};

/// What becomes of a column's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transformer {
    /// They stay as they are: somebody looked and found nothing personal.
    Keep,
    /// Null.
    Null,
    /// This text.
    Fixed(String),
    /// A keyed hash: hexadecimal digits, a UUID, or a number with as many digits.
    Hash,
    /// A name of as many words, one or two.
    FakeName,
    /// An address at `example.com`, `.net` or `.org`.
    FakeEmail,
    /// A number of the same form: digits become other digits.
    FakePhone,
    /// The value of another row of the table.
    Shuffle,
    /// What an expression of the source's SQL makes of the row.
    Sql(String),
}

impl Transformer {
    /// The names of those without a parameter.
    pub const NAMES: [&'static str; 7] =
        ["keep", "null", "hash", "fake-name", "fake-email", "fake-phone", "shuffle"];

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "keep" => Self::Keep,
            "null" => Self::Null,
            "hash" => Self::Hash,
            "fake-name" => Self::FakeName,
            "fake-email" => Self::FakeEmail,
            "fake-phone" => Self::FakePhone,
            "shuffle" => Self::Shuffle,
            _ => return None,
        })
    }

    /// Its name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Null => "null",
            Self::Fixed(_) => "fixed",
            Self::Hash => "hash",
            Self::FakeName => "fake-name",
            Self::FakeEmail => "fake-email",
            Self::FakePhone => "fake-phone",
            Self::Shuffle => "shuffle",
            Self::Sql(_) => "sql",
        }
    }
}

/// The name of a column, with its table and schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnName {
    /// The schema.
    pub schema: String,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
}

impl ColumnName {
    /// Reads `schema.table.column`; a part with a dot in it stands in double quotes.
    pub fn parse(text: &str) -> Option<Self> {
        let parts = crate::load::name_parts(text)?;
        let [schema, table, column] = <[String; 3]>::try_from(parts).ok()?;
        Some(Self { schema, table, column })
    }
}

impl std::fmt::Display for ColumnName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.schema, self.table, self.column)
    }
}

/// What a column's values become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The column.
    pub column: ColumnName,
    /// What becomes of it.
    pub with: Transformer,
}

/// What was done to a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskedColumn {
    /// The column.
    pub column: ColumnName,
    /// [`Transformer::as_str`].
    pub with: &'static str,
    /// Why, where no rule names it: the column that it follows.
    pub follows: Option<ColumnName>,
    /// Values that were replaced: those that were not null.
    pub values: u64,
}

//! SQL scripts: their statements, what each does, where Postgres's positions lie, and what rules say of them.

mod classify;
#[cfg(feature = "lint")]
mod lint;
mod place;
mod split;

pub use classify::{StatementKind, classify};
#[cfg(feature = "lint")]
pub use lint::{Edit, Finding, Known, Measurement, TableSize, Weight, lint, lint_on};
pub use place::{Place, place_of_offset, place_of_position};
pub use split::{Piece, Statement, split};

/// A name as SQL, always quoted.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

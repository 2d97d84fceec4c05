//! What is remembered of an env file, in the store.

use serde::{Deserialize, Serialize};

use crate::engine::book::{Book, SeatKey};
use crate::env_file::Before;
use crate::failure::{Failure, Result};

/// What was written, and what was there before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// Whether a person wants nothing written in this work tree.
    pub(super) off: bool,
    /// From the top of the work tree.
    pub(super) file: String,
    /// Whether the file was made for it.
    pub(super) made: bool,
    /// Whether the file may not be written yet.
    pub(super) pending: bool,
    pub(super) lines: Vec<Written>,
}

/// A line that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    pub(super) name: String,
    /// The value.
    pub(super) value: String,
    /// What stood there before the first time.
    pub(super) before: Before,
}

impl Record {
    pub(super) fn read(book: &Book<'_>, seat: &SeatKey) -> Result<Self> {
        let text = book.env_file(seat)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    pub(super) fn write(&self, book: &Book<'_>, seat: &SeatKey) -> Result<()> {
        if *self == Self::default() {
            return book.set_env_file(seat, None);
        }
        let text = serde_json::to_string(self).map_err(|e| Failure::internal(e.to_string()))?;
        book.set_env_file(seat, Some(&text))
    }
}

//! Subsets that cannot be taken.

/// Why a part of a database cannot be taken, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SubsetError {
    /// What is wrong, with the name of the table.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl SubsetError {
    pub(super) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

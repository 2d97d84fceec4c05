//! Rules that cannot be met.

/// Why data cannot be masked as the rules say, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MaskError {
    /// What is wrong, with the column's name.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl MaskError {
    /// With what is wrong, and what to do.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

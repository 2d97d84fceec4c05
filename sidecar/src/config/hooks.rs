//! `[hooks]`: commands around branches.

use std::time::Duration;

use super::rules::At;

/// Commands that are run, once a person on this machine trusts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hooks {
    /// After a branch was made.
    pub(crate) after_create: Option<At<String>>,
    /// Before a branch goes to the trash.
    pub(crate) before_delete: Option<At<String>>,
    /// How long each may take.
    pub(crate) timeout: Duration,
    /// Whether a branch goes again whose first command failed.
    pub(crate) undo: bool,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { after_create: None, before_delete: None, timeout: Duration::from_mins(1), undo: false }
    }
}

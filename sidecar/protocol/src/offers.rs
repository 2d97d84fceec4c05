//! What git did that leaves something to decide about databases.

use serde::{Deserialize, Serialize};

/// What git did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum OfferKind {
    /// A checkout left a branch behind that has something of its own.
    Left,
    /// A git branch was merged into the one that is checked out.
    Merged,
    /// The git branch that is checked out was rebased, and its migrations are others now.
    Rebased,
    /// The commit of a migration was reverted that is applied.
    Reverted,
}

/// Something to decide about a worktree's databases, until it is done or [`crate::types::Answer::Dismiss`] is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// What git did.
    pub kind: OfferKind,
    /// The database branch that it is about: that was left, merged, rebased, or that has the migration.
    pub branch: String,
    /// The one that the worktree went to, or that `branch` was merged into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
    /// Migrations: applied on `branch` and not among the files of `into`; pending after a merge or a rebase; reverted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub migrations: Vec<String>,
    /// Whether the branch that was left has changes of the schema that are in no migration, as far as is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub changes: bool,
    /// Transactions that were open on the branch that was left, and were rolled back.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[cfg_attr(test, ts(optional, as = "Option<u32>"))]
    pub transactions: u32,
    /// After a merge: `on_merge = "apply"`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub apply: bool,
    /// After a merge: the branch is protected, or a tier, and its database branch is not offered to be deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub keeps: bool,
    /// One sentence.
    pub text: String,
    /// What to do in a terminal.
    pub hint: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks for it")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

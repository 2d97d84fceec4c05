//! New data for the root branch, and what was masked of them.

use serde::{Deserialize, Serialize};

use crate::types::Branch;

/// Asks for new data for the root branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshParams {
    /// The worktree whose `offshoot.toml` has the rules for masking and the seed files.
    pub path: String,
    /// A `postgres://` URL with its password, or the absolute path of a script or an archive; absent means empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Copy the files of the server, of the same major, rather than its rows.
    #[serde(default)]
    pub physical: bool,
    /// The most kilobytes a second that it is to send of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate_kb: Option<u32>,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub override_rules: bool,
}

/// What a refresh did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefreshResult {
    /// The root branch as it is now.
    pub branch: Branch,
    /// Bytes of the new data on the disk.
    pub bytes: u64,
    /// Statements run.
    pub statements: u64,
    /// Rows loaded by `COPY`.
    pub rows: u64,
    /// Files copied, if it was a cluster.
    #[serde(default)]
    pub files: u64,
    /// What was left out and why.
    pub notes: Vec<String>,
    /// What was masked.
    pub masked: Vec<MaskedColumn>,
    /// Branches whose data are older than the root branch's now.
    pub stale: Vec<String>,
}

/// What was done to a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MaskedColumn {
    /// `schema.table.column`.
    pub column: String,
    /// The rule, such as `fake-email`.
    pub with: String,
    /// The column that it follows, where no rule names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// Values that were replaced.
    pub values: u64,
}

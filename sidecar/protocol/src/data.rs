//! New data for the root branch, and what was masked of them.

use serde::{Deserialize, Serialize};

use crate::migrations::MigrationsVariable;
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
    /// Which rows of a server.
    #[serde(default, skip_serializing_if = "SubsetParams::is_default")]
    pub subset: SubsetParams,
    /// Also without rules for masking that held for the data of before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drop_masking: bool,
    /// Whether the command of `[seed]` was agreed to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub run_seed: bool,
    /// The variables that it runs with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<MigrationsVariable>,
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
    /// What was taken, if a part was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<SubsetResult>,
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

/// Which rows of a server are wanted. Empty for what `[subset]` of `offshoot.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubsetParams {
    /// Tables that are taken with all rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// Tables that are left empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_rows: Vec<String>,
    /// `TABLE=CONDITION`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    /// All rows, whatever the file says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_rows: bool,
    /// How long a query at the source may wait for a lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_timeout_ms: Option<u64>,
    /// How long it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_timeout_ms: Option<u64>,
}

impl SubsetParams {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What was taken of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubsetResult {
    /// Tables with rows, and those that were asked for, by name.
    pub tables: Vec<SubsetTable>,
    /// How many tables were left empty.
    pub empty_tables: usize,
}

/// What was taken of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubsetTable {
    /// `schema.table`.
    pub table: String,
    /// `all`, `where`, or `followed` if none of its rows was asked for.
    pub taken: String,
    /// Rows that were asked for.
    pub chosen: u64,
    /// Rows that came along because others refer to them.
    pub followed: u64,
}

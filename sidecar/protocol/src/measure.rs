//! What a plan costs when it is run on a throwaway branch, which rows a branch changed, and the schema of SQL files.

use serde::{Deserialize, Serialize};

use crate::past::Moment;

/// A plan to be tried out on a throwaway of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MeasureParams {
    /// Name of the branch whose data are taken; or `BRANCH@SNAPSHOT` or `BRANCH@fork`. It stays as it is.
    pub branch: String,
    /// The plan: that which makes the branch's schema into the one of this branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// In place of `to`: path of a file with the plan as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// With `to`: the form of the plan that lets others go on reading and writing.
    #[serde(default)]
    pub online: bool,
    /// The statements are a person's: they run with the settings that a session of the branch has, not with those of plans.
    #[serde(default)]
    pub script: bool,
}

/// What a plan did and cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// Steps in the order in which they ran; after a failure those before it, and what the failed one did until then.
    pub steps: Vec<MeasuredStep>,
    /// The parts of the plan that ran.
    pub parts: Vec<MeasuredPart>,
    /// Sums over all steps and commits.
    pub totals: MeasuredTotals,
    /// Why the plan did not run to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<MeasureFailure>,
}

/// A step of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MeasuredStep {
    /// Its part, from 0.
    pub part: u32,
    /// What the step makes, changes or drops.
    pub what: String,
    /// Microseconds that its statements took, without the commit.
    pub elapsed_us: u64,
    /// Rows that it read by scans of tables.
    pub rows_read: u64,
    /// Rows that it inserted, updated or deleted.
    pub rows_written: u64,
    /// Bytes of WAL.
    pub wal_bytes: u64,
    /// Locks that it was the first of its transaction to take on relations that were there before, strongest first.
    pub locks: Vec<MeasuredLock>,
    /// Tables, materialized views and indexes that got a new file.
    pub rewritten: Vec<MeasuredFile>,
    /// Relations that are new and not empty, such as an index that was built.
    pub built: Vec<MeasuredFile>,
}

/// A lock on a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MeasuredLock {
    /// Schema and name, quoted.
    pub relation: String,
    /// As SQL names it, such as `ACCESS EXCLUSIVE`.
    pub mode: String,
    /// Microseconds from the start of the statement that took it to the end of its transaction; of a sampled one, for as
    /// long as it was seen.
    pub held_us: u64,
    /// Seen by looking every few milliseconds, as the statement ends its transactions itself: shorter ones are missing.
    pub sampled: bool,
}

/// A relation's new file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MeasuredFile {
    /// Schema and name, quoted.
    pub relation: String,
    /// `table`, `index`, `materialized view`, `toast table` or `sequence`.
    pub kind: String,
    /// Its bytes.
    pub bytes: u64,
}

/// A part of a plan: one transaction, or statements by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MeasuredPart {
    /// Whether its steps ran in one transaction.
    pub transactional: bool,
    /// Microseconds of its statements and its commit.
    pub elapsed_us: u64,
    /// Those of the commit.
    pub commit_us: u64,
}

/// Sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MeasuredTotals {
    /// Microseconds of statements and commits.
    pub elapsed_us: u64,
    /// Rows read.
    pub rows_read: u64,
    /// Rows written.
    pub rows_written: u64,
    /// Bytes of WAL.
    pub wal_bytes: u64,
    /// Bytes of relations that got a new file.
    pub rewritten_bytes: u64,
    /// Bytes of relations that are new.
    pub built_bytes: u64,
}

/// Why a plan did not run to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MeasureFailure {
    /// The number of the step, from 0; of a commit, of the last step of its part.
    pub step: u32,
    /// What that step makes, changes or drops.
    pub what: String,
    /// The statement.
    pub statement: String,
    /// What Postgres said.
    pub message: String,
    /// SQLSTATE.
    pub code: String,
    /// Where in the statement, in characters from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// More of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What Postgres advises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether the failure took back what its transaction had done.
    pub rolled_back: bool,
}

/// SQL files whose schema is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct LoadParams {
    /// Run in this order in an empty database.
    pub files: Vec<LoadFile>,
    /// Path of a file that the facts are written to.
    pub output: String,
}

/// An SQL file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct LoadFile {
    /// The name for people.
    pub name: String,
    /// Where it lies.
    pub path: String,
}

/// A branch whose changed rows are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct RowsParams {
    /// Name of the branch.
    pub branch: String,
    /// Name of the branch that it is compared with, as that is now; absent means the branch's own fork point, or, where that is
    /// not known, its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// When that one is meant, of the past; absent for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_at: Option<Moment>,
    /// How many rows of each kind to show of a table.
    pub sample: u32,
    /// Milliseconds that one table may take; then it is left incomplete.
    pub table_limit_ms: u64,
}

/// The changed rows of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct ChangedRows {
    /// Name of the branch.
    pub branch: String,
    /// Name of the other one.
    pub base: String,
    /// Whether the branch was compared with its own fork point; otherwise with the other branch's present, or what it was at `base_at`.
    pub from_fork: bool,
    /// The moment of the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_at: Option<Moment>,
    /// Tables with rows that differ, and those that could not be compared as a whole or in all columns, by schema and name. Partitions
    /// count, not what they are partitions of.
    pub tables: Vec<TableRows>,
    /// Tables that were looked into.
    pub tables_visited: u64,
    /// Pages of tables that were read, on both sides.
    pub pages_visited: u64,
}

/// The rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct TableRows {
    /// Its schema.
    pub schema: String,
    /// Its name; on the branch, if it is there.
    pub name: String,
    /// Schema and name on the other side, quoted, if another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// On which sides it is.
    pub presence: Presence,
    /// The columns by which rows were matched; empty if they were counted by their content, where an updated row is one deleted
    /// and one inserted.
    pub key: Vec<String>,
    /// Rows that only the branch has.
    pub inserted: u64,
    /// Rows that both have, and that differ.
    pub updated: u64,
    /// Rows that only the other side has.
    pub deleted: u64,
    /// Pages that were read, on both sides.
    pub pages: u64,
    /// It was read as a whole: only one side has it, or it was rewritten.
    pub whole: bool,
    /// Columns that only the branch has, so that they were not compared; empty unless both have the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new_columns: Vec<String>,
    /// Columns that only the other side has, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone_columns: Vec<String>,
    /// Why the numbers are not all; absent if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// Some of the rows.
    pub sample: Vec<SampleRow>,
}

/// On which sides a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum Presence {
    /// On both.
    Both,
    /// On the branch.
    Branch,
    /// On the other side.
    Base,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum RowChange {
    /// Only the branch has it.
    Inserted,
    /// Both have it, and it differs.
    Updated,
    /// Only the other side has it.
    Deleted,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct SampleRow {
    /// What happened to it.
    pub change: RowChange,
    /// All columns; of an updated row, those of the key and those that differ.
    pub columns: Vec<SampleColumn>,
}

/// A column of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct SampleColumn {
    /// Its name.
    pub name: String,
    /// What the other side has; absent if the row or the column is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<SampleValue>,
    /// What the branch has; absent if the row or the column is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<SampleValue>,
}

/// A value as Postgres writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct SampleValue {
    /// Its first 1,024 characters; absent for NULL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether there are more.
    pub cut: bool,
}

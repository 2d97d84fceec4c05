//! What can be done with migrations.

use serde::{Deserialize, Serialize};

use super::{MigrationDiagnostic, MigrationsSnapshot, MigrationsStatus, MigrationsVariable};
use crate::measure::Measured;
use crate::types::SchemaChange;

/// Which way migrations are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum MigrationsDirection {
    /// Pending ones are applied.
    #[default]
    Up,
    /// The newest applied one is taken back.
    Down,
}

/// Migrations are to be run with the tool's own command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsApplyParams {
    /// Any path inside the worktree, whose files and database branch are meant.
    pub folder: String,
    /// Which project, by tool or id; absent means all that have something to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Which way.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<MigrationsDirection>"))]
    pub direction: MigrationsDirection,
    /// On a throwaway of the branch, which is gone afterwards; Offshoot runs SQL files itself there and records nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub throwaway: bool,
    /// With `throwaway`: of this branch in place of the worktree's. Without: the one that the worktree has to lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// With `throwaway`: up to and with this file, by path, key or version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// With `throwaway`: measures locks, rewrites and times of SQL files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub measure: bool,
    /// Takes no snapshot before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub no_snapshot: bool,
    /// Although a rule lets no session write to the branch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
    /// The environment of the tool, which is all that it gets; the engine sets the address in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<MigrationsVariable>>"))]
    pub environment: Vec<MigrationsVariable>,
}

/// What came of running migrations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsApplied {
    /// Name of the branch.
    pub branch: String,
    /// Whether it was a throwaway of it.
    pub throwaway: bool,
    /// Whether all went well. If not, [`Self::steps`] tells.
    pub passed: bool,
    /// The snapshot that was taken before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<MigrationsSnapshot>,
    /// One for each project that was run.
    pub steps: Vec<MigrationsStep>,
    /// The files that ran, relative to the worktree.
    pub ran: Vec<String>,
    /// What the schema has now and had not before; on the branch, or its throwaway.
    pub changes: Vec<SchemaChange>,
    /// The same as SQL.
    pub sql: String,
    /// What it cost, if that was asked for and all files are SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// The status after it; absent for a throwaway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<MigrationsStatus>,
}

/// What a file held when it ran is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsRanParams {
    /// Any path inside the worktree, whose branch is meant.
    pub folder: String,
    /// The project, by tool or id; absent means the first that has the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The file, relative to the worktree.
    pub path: String,
}

/// What a file held when it ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsRan {
    /// Name of the branch.
    pub branch: String,
    /// The id that git gives that content, if it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// The text, if git has it or it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why there is no text, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum MigrationsOutcome {
    /// Well.
    Passed,
    /// Not.
    Failed,
    /// It could not be tried; the message says why.
    Skipped,
}

/// What a step tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum MigrationsStepKind {
    /// The files are sound.
    Files,
    /// Pending migrations are applied.
    Apply,
    /// A new migration makes what the branch has.
    Proof,
    /// A second run changes nothing.
    Again,
    /// What was applied is taken back, which leaves the schema as it was.
    Down,
    /// Time, locks and rewrites.
    Cost,
    /// The command of `[migrations] check_command`.
    Command,
}

/// A step of a check, or a run of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsStep {
    /// What it tried.
    pub kind: MigrationsStepKind,
    /// The project's id; absent for a step of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// What people are told of it.
    pub title: String,
    /// How it went.
    pub outcome: MigrationsOutcome,
    /// One sentence; may be empty if it went well.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How long it took.
    pub took_ms: u64,
    /// What the tool printed, or the statements that were run; the end of it, if it was much.
    pub log: String,
    /// Where it failed, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<MigrationsFailure>,
}

/// A statement that Postgres refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsFailure {
    /// The file, relative to the worktree.
    pub path: String,
    /// Line in the file, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The statement.
    pub statement: String,
    /// What Postgres said.
    pub message: String,
    /// SQLSTATE.
    pub code: String,
    /// What Postgres advises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A branch is to be taken back to before its migrations were applied last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsUndoParams {
    /// Any path inside the worktree.
    pub folder: String,
    /// Name of the branch; absent means the worktree's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Name of the snapshot; absent means the newest that was taken before migrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// Only tell what it would be, and whom it would disconnect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub dry_run: bool,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
}

/// Somebody who is connected to a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsConnection {
    /// Process id of its backend.
    pub pid: u32,
    /// Its `application_name`; may be empty.
    pub application: String,
    /// Name of its role.
    pub user: String,
    /// Whether it has a transaction open.
    pub in_transaction: bool,
}

/// A branch was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsUndone {
    /// Name of the branch.
    pub branch: String,
    /// What it is again.
    pub snapshot: MigrationsSnapshot,
    /// The command that brings back what it was before this.
    pub redo: String,
    /// Who was connected, and is not any more.
    pub ended: Vec<MigrationsConnection>,
}

/// Migrations are to be checked on a throwaway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsCheckParams {
    /// Any path inside the worktree, whose files are meant.
    pub folder: String,
    /// The database branch whose throwaway they are run on; absent means the parent of the worktree's, or the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// Which project, by tool or id; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// As in [`MigrationsApplyParams`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<MigrationsVariable>>"))]
    pub environment: Vec<MigrationsVariable>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsReport {
    /// Root folder of the worktree.
    pub worktree: String,
    /// The database branch that it was tried against.
    pub against: String,
    /// Whether no step failed.
    pub passed: bool,
    /// In their order.
    pub steps: Vec<MigrationsStep>,
    /// The files that ran, relative to the worktree.
    pub ran: Vec<String>,
    /// What they do to the schema.
    pub changes: Vec<SchemaChange>,
    /// The same as SQL.
    pub sql: String,
    /// What they cost, where all files are SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// How long the check took.
    pub took_ms: u64,
    /// The report for people, as Markdown.
    pub markdown: String,
}

/// Asks whether a branch has the schema that the files make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsDriftParams {
    /// Any path inside the worktree, whose files are meant.
    pub folder: String,
    /// Name of the database branch; absent means the worktree's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Which project, by tool or id; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// As in [`MigrationsApplyParams`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<MigrationsVariable>>"))]
    pub environment: Vec<MigrationsVariable>,
    /// Takes what the branch has now as given, whatever made it: from now on it is compared with that and the files that run later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub accept: bool,
}

/// What a branch has that the files do not make, and the other way round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsDrift {
    /// Name of the branch.
    pub branch: String,
    /// Whether there is any difference; absent if the files could not be replayed, so that nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted: Option<bool>,
    /// Why nothing is known, then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// How many migrations were replayed. Those that the branch has not applied are left out.
    pub replayed: u32,
    /// What the branch has and the files do not make.
    pub changes: Vec<SchemaChange>,
    /// What makes the schema of the files into that of the branch.
    pub sql: String,
    /// Those objects as the files make them, as SQL; absent if nothing differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The same objects as the branch has them, in the same order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// How long it took.
    pub took_ms: u64,
    /// How the replay went. If a step failed, nothing is known of the difference.
    pub steps: Vec<MigrationsStep>,
    /// Whether the replay went well.
    pub passed: bool,
    /// What could not be told, and was left out of the comparison.
    pub notes: Vec<String>,
    /// What to do next: what makes a migration of the difference, or how what no migration made is taken as given; absent if nothing differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Merges are to be rehearsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsRehearseParams {
    /// Any path inside the worktree, whose git branch is mine.
    pub folder: String,
    /// Other git branches; empty means all that are not merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub with: Vec<String>,
    /// That the migrations of other git branches may run, as they are now, is agreed to and remembered. Without it, and without
    /// names in `with`, commits that were not agreed to fail with the reason `notAgreed`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub agreed: bool,
    /// The git branch that they are merged into; absent means the one of the root database branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Which project, by tool or id; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// As in [`MigrationsApplyParams`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<MigrationsVariable>>"))]
    pub environment: Vec<MigrationsVariable>,
}

/// What merging each of the others before and after mine does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsRehearsal {
    /// The git branch of the worktree.
    pub mine: String,
    /// The git branch that they are merged into.
    pub base: String,
    /// The database branch of it, of which throwaways were made.
    pub branch: String,
    /// Whether no pair has an error.
    pub passed: bool,
    /// One for each other branch.
    pub pairs: Vec<MigrationsPair>,
    /// How long it took.
    pub took_ms: u64,
    /// What was not tried, and why.
    pub notes: Vec<String>,
}

/// My branch and another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsPair {
    /// The other git branch.
    pub other: String,
    /// Failed if merging both in some order goes wrong; skipped if it could not be tried.
    pub outcome: MigrationsOutcome,
    /// In one sentence.
    pub message: String,
    /// What goes wrong.
    pub findings: Vec<MigrationDiagnostic>,
    /// Mine first, then the other one first.
    pub orders: Vec<MigrationsOrder>,
    /// What the schema has if mine comes first and has not if the other one does.
    pub differs: Vec<SchemaChange>,
}

/// One order of two merges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsOrder {
    /// The git branch that is merged first.
    pub first: String,
    /// The files that ran, in their order.
    pub ran: Vec<String>,
    /// Files that the tool would pass over in silence.
    pub skipped: Vec<String>,
    /// Files because of which the tool would stop.
    pub refused: Vec<String>,
    /// The statement that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<MigrationsFailure>,
}

/// A new migration is to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsNewParams {
    /// Any path inside the worktree.
    pub folder: String,
    /// What it is called.
    pub name: String,
    /// Which project, by tool or id; absent means the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The database branch that it starts from, with the files that are pending there; absent means the parent of the
    /// worktree's branch, and for a branch without one an empty database with all files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Writes no statements.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub empty: bool,
    /// As in [`MigrationsApplyParams`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<MigrationsVariable>>"))]
    pub environment: Vec<MigrationsVariable>,
}

/// A new migration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsNew {
    /// The project's id.
    pub project: String,
    /// The files that were written, relative to the worktree; to be opened in this order.
    pub files: Vec<String>,
    /// Its statements.
    pub sql: String,
    /// What to look at before it is used.
    pub notes: Vec<String>,
    /// The database branch that it was made on, and that has what it does already. Absent for an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether the files, run after all others on a throwaway of where it starts from, make the schema of the branch.
    /// Absent for an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<MigrationsStep>,
    /// The commands that bring the branch in line with its files, in their order; empty if there are none.
    pub in_line: Vec<String>,
    /// The command of the tool that records it as applied on the branch without running it, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
}

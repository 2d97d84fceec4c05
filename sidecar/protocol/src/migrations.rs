//! What migrations have done to branches, and what can be done with them.
//!
//! The same types serve both ways: from the editor [`MigrationsStatusParams::folder`] and its likes hold the URI of the folder,
//! which the language server replaces by a path before it asks the engine, and to which it adds the environment.

mod work;

use serde::{Deserialize, Serialize};

pub use work::*;

/// A variable of the environment that a tool is started with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsVariable {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// Whose migrations are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsStatusParams {
    /// Any path inside the worktree.
    pub folder: String,
    /// Names of database branches; empty means the worktree's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub branches: Vec<String>,
    /// All database branches in place of `branches`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub all: bool,
    /// Only the projects of this tool, as [`MigrationProject::tool`] or [`MigrationProject::id`] has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The files of this commit or git branch in place of those of the worktree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Wakes no branch: what a sleeping one has is told if it is known, and is unknown otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub known_only: bool,
    /// Adds the sizes of the tables of the worktree's branch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub sizes: bool,
    /// Leaves out applied entries on all branches but the worktree's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub brief: bool,
}

/// The migrations of a worktree and what they have done to branches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsStatus {
    /// Root folder of the worktree.
    pub worktree: String,
    /// Name of the worktree's database branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit or git branch whose files these are, if not the worktree's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// By folder and tool. Empty if no tool was found.
    pub projects: Vec<MigrationProject>,
    /// What is wrong with files of no project.
    pub diagnostics: Vec<MigrationDiagnostic>,
    /// What is to be done when a checkout leads to a branch with pending migrations.
    pub on_checkout: MigrationsOnCheckout,
    /// The tables of the worktree's branch, if [`MigrationsStatusParams::sizes`] asked for them and they were ever seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<MigrationTable>>"))]
    pub tables: Vec<MigrationTable>,
}

/// How large a table is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationTable {
    /// Name of its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// How many rows it has, as Postgres estimates it; absent if they were never counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Bytes of its rows, without indexes; of a partitioned table those of all partitions.
    pub bytes: u64,
    /// Whether it is partitioned.
    pub partitioned: bool,
    /// Whether its name alone means it, by the search path.
    pub visible: bool,
}

/// What is to be done when a checkout leads to a branch with pending migrations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum MigrationsOnCheckout {
    /// The editor asks.
    #[default]
    Ask,
    /// They are applied, by the editor.
    Apply,
    /// Nothing.
    Nothing,
}

/// A migration tool in a folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationProject {
    /// Unchanging name of it: the tool, and behind a colon its folder, unless that is the root.
    pub id: String,
    /// The tool, such as `node-pg-migrate`.
    pub tool: String,
    /// The tool's name for people.
    pub name: String,
    /// The layout, if the tool has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// The folder that the tool is run in, relative to the worktree; empty for its root.
    pub root: String,
    /// The configuration file, relative to the worktree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// The folders with migrations, relative to the worktree.
    pub folders: Vec<String>,
    /// The history table as SQL; absent for plain files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// The migrations in the tool's order.
    pub files: Vec<MigrationFile>,
    /// What they have done to the branches that were asked for, the worktree's first.
    pub branches: Vec<MigrationBranch>,
    /// What is wrong with the files, on whatever branch.
    pub diagnostics: Vec<MigrationDiagnostic>,
    /// The tool's commands, for people.
    pub commands: MigrationCommands,
    /// Whether all files are SQL, so that Offshoot itself can run them on throwaways.
    pub can_replay: bool,
    /// Whether a new migration can be written from a difference.
    pub can_new: bool,
}

/// The commands of a tool as one types them; absent where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationCommands {
    /// Applies what is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply: Option<String>,
    /// Prints the tool's own status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Takes the newest one back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
}

/// A migration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationFile {
    /// What the history knows it by.
    pub key: String,
    /// The version, if the tool has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What people call it.
    pub name: String,
    /// The file, relative to the worktree.
    pub path: String,
    /// Where in the file it starts, from 1.
    pub line: u32,
    /// Runs whenever its content changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub repeatable: bool,
    /// Can be taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub has_down: bool,
}

/// What a migration has done to a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum MigrationState {
    /// It ran, and the file is still what ran.
    Applied,
    /// It will run next time.
    Pending,
    /// It ran and failed, or was left half done.
    Failed,
    /// It did not run although a newer one did.
    OutOfOrder,
    /// It ran, and the file is another one since.
    Changed,
    /// It ran, and there is no file.
    Missing,
    /// The history has a row that cannot be placed.
    UnknownRow,
    /// It did not run: the history starts at or after it.
    Baseline,
    /// The tool takes no notice of it.
    Ignored,
    /// It cannot be told.
    Unknown,
}

/// What a tool will do with a migration at its next run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum MigrationNext {
    /// Nothing: it is done or does not count.
    #[default]
    Nothing,
    /// Run it.
    Runs,
    /// Stop with an error because of it.
    Refuses,
    /// Never run it, and say nothing.
    Skips,
}

/// Where a branch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum MigrationStanding {
    /// Everything ran.
    UpToDate,
    /// Files wait, and the tool will run them all.
    Behind,
    /// Files and history do not fit.
    Diverged,
    /// It cannot be told.
    Unknown,
}

/// By whose files a branch is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum MigrationFilesOf {
    /// Those that were asked about: of this worktree, whose branch it is, or of the commit.
    #[default]
    Asked,
    /// Those of another worktree, which leads to the branch.
    Worktree,
    /// Those that the git branch of its name has committed.
    GitBranch,
    /// Those that were asked about, as there is no git branch of its name.
    NoGitBranch,
}

/// The migrations of a project on a branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationBranch {
    /// Name of the branch.
    pub branch: String,
    /// In a word.
    pub standing: MigrationStanding,
    /// How many files are applied.
    pub applied: u32,
    /// How many will run at the next run.
    pub pending: u32,
    /// By whose files it is judged.
    #[serde(default)]
    pub files_of: MigrationFilesOf,
    /// Places in [`MigrationProject::files`] of the files that are not among those by which it is judged, and that are in no
    /// entry therefore.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<u32>>"))]
    pub absent: Vec<u32>,
    /// All files in the project's order, then rows of the history without a file. See [`MigrationsStatusParams::brief`].
    pub entries: Vec<MigrationEntry>,
    /// What is wrong on this branch.
    pub diagnostics: Vec<MigrationDiagnostic>,
    /// Why its history was not read, in one sentence; the standing is unknown then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// The snapshot that `migrations/undo` goes back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<MigrationsSnapshot>,
}

/// A migration on a branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationEntry {
    /// Its place in [`MigrationProject::files`], from 0; absent for a row without a file, and for a file that the worktree
    /// does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<u32>,
    /// The path of a file that the worktree does not have. See [`MigrationBranch::files_of`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What the tool calls a row without a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// Its state.
    pub state: MigrationState,
    /// When it ran, as the history says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How long it ran, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<f64>,
    /// What comes next.
    pub next: MigrationNext,
    /// What else is known, such as the error of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum MigrationSeverity {
    /// Something to know.
    Note,
    /// The status may be wrong, or the tool may do what is not expected.
    Warning,
    /// The tool refuses, or the status cannot be told.
    Error,
}

/// Something that is wrong with a file, a configuration or a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationDiagnostic {
    /// The file, relative to the worktree; empty if it is about the database.
    pub path: String,
    /// Line in the file, from 1.
    pub line: u32,
    /// How bad.
    pub severity: MigrationSeverity,
    /// Its kind, such as `duplicateVersion`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do next; may be empty.
    pub hint: String,
}

/// A snapshot that was taken before migrations were applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct MigrationsSnapshot {
    /// Name of the branch.
    pub branch: String,
    /// Its name among those of the branch: `B@NAME` is it.
    pub name: String,
    /// Seconds since 1970.
    pub created_at: u64,
}

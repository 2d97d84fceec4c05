//! What crosses between the language server and the editor, `camelCase`.
//!
//! Everything that the editor draws comes with one notification, [`EditorStatus`]; everything that it wants done is one request of
//! [`crate::method::EDITOR_METHODS`]. A request that takes long carries a [`ProgressToken`] and reports through the protocol's own
//! `$/progress`; `$/cancelRequest` ends it. An error is an [`crate::RpcError`] in `error.data`.

use serde::{Deserialize, Serialize};

use crate::error::RpcError;
use crate::types::{Branch, ForkPoint, SchemaChange, SchemaObject, SchemaState, WorktreeStatus};

/// The initialization options of the editor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase", default)]
pub struct EditorOptions {
    /// False in a workspace that is not trusted: the server then starts no engine and runs no program.
    pub trusted: bool,
}

/// Notification `offshoot/status`: all that there is to draw. Sent whenever any of it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorStatus {
    /// Version of the program.
    pub version: String,
    /// The workspace's folders, in its order.
    pub folders: Vec<FolderStatus>,
}

/// A folder of the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct FolderStatus {
    /// As the editor named it.
    pub uri: String,
    /// Name that people see.
    pub name: String,
    /// Its path.
    pub path: String,
    /// What it is to Offshoot.
    pub state: FolderState,
}

/// What a folder is to Offshoot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum FolderState {
    /// In no git repository.
    NoGit,
    /// A repository that has no database.
    NotInitialised {
        /// Root of the worktree.
        root: String,
        /// Files in it that look like dumps, relative to the root; at most 20.
        dumps: Vec<String>,
        /// The folder that held its database, if it had one: that folder is not there any more, or was never finished.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<String>,
    },
    /// The workspace is not trusted.
    Untrusted,
    /// The engine is being started.
    Starting,
    /// The engine answers.
    Ready(Box<ProjectStatus>),
    /// It does not; the server tries again by itself.
    Failed {
        /// Why.
        error: RpcError,
    },
}

/// A repository with its database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct ProjectStatus {
    /// The same for all worktrees of a repository: its git common directory.
    pub id: String,
    /// The worktree that the folder lies in. Its endpoint's URL has no password here; `offshoot/url` has it.
    pub worktree: WorktreeStatus,
    /// Parents before children.
    pub branches: Vec<Branch>,
    /// What `offshoot/branch/undo` would bring back: the name of a branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// Postgres that the branches run on, such as `18.1`.
    pub postgres: String,
    /// What the worktree's branch does to the schema.
    pub schema: SchemaStatus,
    /// Grows whenever `offshoot/migrations/status` has something else to tell; absent while it has nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrations: Option<u64>,
    /// Long work that was asked for here, in this window or in another one.
    pub jobs: Vec<Job>,
}

/// What a branch does to the schema of its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum SchemaStatus {
    /// There is nothing to compare: no branch, or one without a parent.
    None,
    /// Not known yet.
    Reading,
    /// Compared.
    Ready {
        /// Name of the branch.
        branch: String,
        /// Name of the parent.
        base: String,
        /// Changes with every new state of either schema; a document that was read at another revision is stale.
        revision: u64,
        /// Whether `changes` are those since the fork point.
        fork: ForkPoint,
        /// Sorted by schema and name. An object of which each side changed another part is there twice, as mine and as theirs.
        changes: Vec<SchemaChange>,
    },
    /// Could not be read.
    Failed {
        /// Why.
        error: RpcError,
    },
}

/// Work under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// What is being done: `Resetting feature`.
    pub title: String,
    /// The branch that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// A work-done token of the language server protocol, chosen by the editor.
pub type ProgressToken = String;

/// A folder is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct FolderParams {
    /// URI of the folder.
    pub folder: String,
}

/// Makes the database of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorInitParams {
    /// URI of the folder.
    pub folder: String,
    /// What it starts with.
    pub source: InitSource,
    /// Major version of Postgres, 14 to 18; absent means the newest there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<u32>,
    /// Reports go here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_done_token: Option<ProgressToken>,
}

/// Which versions of Postgres a new database can run on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct PostgresVersions {
    /// Newest first.
    pub majors: Vec<PostgresMajor>,
    /// The major that is taken when nobody chooses.
    pub default: u32,
}

/// A major version of Postgres.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct PostgresMajor {
    /// Its number.
    pub major: u32,
    /// The version that is on this machine, such as `18.4`; absent if it has to be fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What a new database starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum InitSource {
    /// Nothing.
    Empty,
    /// An SQL script or a `pg_dump` archive.
    Dump {
        /// Absolute, or relative to the folder.
        path: String,
    },
    /// A running server's database.
    Server {
        /// `postgres://…`, with the password.
        url: String,
    },
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorInitResult {
    /// Bytes on disk.
    pub bytes: u64,
    /// SQL statements that were run.
    pub statements: u64,
    /// Rows that were loaded.
    pub rows: u64,
    /// What could not be loaded as it was written.
    pub notes: Vec<String>,
}

/// Makes a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorCreateParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch.
    pub name: String,
    /// Name of its parent; absent means the branch of the worktree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The moment of its parent that it begins with, in microseconds since 1970; absent for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
}

/// Asks what happened to a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorLogParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch.
    pub name: String,
    /// The newest so many.
    pub limit: u32,
}

/// A branch is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorBranchParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch.
    pub name: String,
    /// Reports go here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_done_token: Option<ProgressToken>,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
}

/// Asks for a deleted or reset branch back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorUndoParams {
    /// URI of the folder.
    pub folder: String,
    /// Id that the branch had before it was deleted or reset; absent means the one that was deleted or reset last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

/// Another name for a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorRenameParams {
    /// URI of the folder.
    pub folder: String,
    /// Present name.
    pub name: String,
    /// New name.
    pub to: String,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
}

/// Guards a branch, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorProtectParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch.
    pub name: String,
    /// Whether it is protected from now on.
    pub on: bool,
}

/// Says when a branch goes to the trash by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorExpireParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch.
    pub name: String,
    /// Seconds since 1970; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// What the person said to the question that a checkout raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorAnswerParams {
    /// URI of the folder.
    pub folder: String,
    /// The answer.
    pub answer: crate::types::Answer,
}

/// An object of a branch's schema is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorDefinitionParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch.
    pub branch: String,
    /// The object.
    pub object: SchemaObject,
    /// In which state of the branch.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<SchemaState>"))]
    pub state: SchemaState,
}

/// A branch's address, or that of the worktree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorUrlParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch; absent means the unchanging address of the worktree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Without a branch: take another port, because another program has this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub new_port: bool,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorUrl {
    /// With the password.
    pub url: String,
    /// The branch that it leads to now.
    pub branch: String,
}

/// Log files that can be shown. Absent ones do not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct LogFiles {
    /// Of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// Of the Postgres of the branch that was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<String>,
}

/// Asks for log files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct LogFilesParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of a branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// Text that helps whoever reads a report. Has no password and no data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Diagnostics {
    /// Markdown.
    pub text: String,
}

/// What a program printed whose request has this token. All of it, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorOutput {
    /// The `workDoneToken` of the request.
    pub token: String,
    /// What it printed since the message before.
    pub text: String,
}

/// The editor's trust in the workspace changed, which it does in one direction only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct TrustParams {
    /// Whether programs may be run.
    pub trusted: bool,
}

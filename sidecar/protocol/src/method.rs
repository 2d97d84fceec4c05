//! The table of methods.

use serde::{Serialize, de::DeserializeOwned};

use crate::bundle as bu;
use crate::data as dt;
use crate::disk as d;
use crate::editor as e;
use crate::env as en;
use crate::explorer as x;
use crate::follow as f;
use crate::hooks as h;
use crate::measure as ms;
use crate::migrations as g;
use crate::past as p;
use crate::policy as po;
use crate::promote as pr;
use crate::snapshot as s;
use crate::table as tb;
use crate::types as t;

/// A request: its name and the types on both sides.
pub trait Method {
    /// Name on the wire.
    const NAME: &'static str;
    /// Parameters.
    type Params: Serialize + DeserializeOwned + Send;
    /// Result.
    type Result: Serialize + DeserializeOwned + Send;
}

/// A message without an answer.
pub trait Notification {
    /// Name on the wire.
    const NAME: &'static str;
    /// Parameters.
    type Params: Serialize + DeserializeOwned + Send;
}

/// A row of [`METHODS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodRow {
    /// Name on the wire.
    pub name: &'static str,
    /// Name of the type of the parameters in [`crate::types`].
    pub params: &'static str,
    /// Name of the type of the result; `None` for a notification.
    pub result: Option<&'static str>,
    /// What it does, in one sentence.
    pub doc: &'static str,
}

macro_rules! methods {
    ($(#[$about:meta])* $table:ident:
     $($(#[doc = $doc:literal])* $ty:ident = $name:literal ($pm:ident::$params:ident) -> $rm:ident::$result:ident;)*) => {
        $($(#[doc = $doc])* #[derive(Clone, Copy, Debug)] pub struct $ty;
        impl Method for $ty {
            const NAME: &'static str = $name;
            type Params = $pm::$params;
            type Result = $rm::$result;
        })*
        $(#[$about])*
        pub const $table: &[MethodRow] = &[$(MethodRow {
            name: $name, params: stringify!($params), result: Some(stringify!($result)), doc: concat!($($doc),*),
        }),*];
    };
}

macro_rules! notifications {
    ($(#[$about:meta])* $table:ident: $($(#[doc = $doc:literal])* $ty:ident = $name:literal ($pm:ident::$params:ident);)*) => {
        $($(#[doc = $doc])* #[derive(Clone, Copy, Debug)] pub struct $ty;
        impl Notification for $ty {
            const NAME: &'static str = $name;
            type Params = $pm::$params;
        })*
        $(#[$about])*
        pub const $table: &[MethodRow] = &[$(MethodRow {
            name: $name, params: stringify!($params), result: None, doc: concat!($($doc),*),
        }),*];
    };
}

methods! {
    /// Every request to the engine.
    METHODS:
    /// Versions, and whether this repository owns the store.
    EngineHello = "engine/hello" (t::HelloParams) -> t::HelloResult;
    /// The engine as a whole.
    EngineGetStatus = "engine/status" (t::Nothing) -> t::EngineStatus;
    /// Stops the engine: every branch falls asleep. Answered before it is gone. Refused while a migration tool runs on a branch.
    EngineStop = "engine/stop" (t::StopParams) -> t::Nothing;
    /// A worktree; registers it if it is new: allocates its endpoint.
    WorktreeGetStatus = "worktree/status" (t::WorktreeParams) -> t::WorktreeStatus;
    /// A worktree's URL, after any switch that is due.
    WorktreeUrl = "worktree/url" (t::WorktreeUrlParams) -> t::UrlResult;
    /// The file in which programs of a worktree find its address: how it stands, writing it, taking that back.
    WorktreeEnv = "worktree/env" (en::EnvParams) -> en::EnvStatus;
    /// All branches.
    BranchGetList = "branch/list" (t::Nothing) -> t::BranchList;
    /// All branches, with what a list shows of them to one who stands in this worktree.
    BranchGetTable = "branch/table" (t::WorktreeParams) -> tb::BranchTable;
    /// Makes a branch.
    BranchCreate = "branch/create" (t::CreateParams) -> t::Branch;
    /// Moves a branch to the trash.
    BranchDelete = "branch/delete" (t::GuardedParams) -> t::Nothing;
    /// Renames a branch.
    BranchRename = "branch/rename" (t::RenameParams) -> t::Branch;
    /// Takes a branch to its parent's present; what it had goes to the trash.
    BranchReset = "branch/reset" (t::GuardedParams) -> t::Branch;
    /// Takes a branch back in its place to a moment or a snapshot; what it had goes to the trash. Long.
    BranchRestore = "branch/restore" (p::RestoreParams) -> p::RestoreResult;
    /// Gives the root branch new data; what it had goes to the trash. Long.
    BranchRefresh = "branch/refresh" (dt::RefreshParams) -> dt::RefreshResult;
    /// Follows a running server from now on: the root branch has what it has, minutes later. Long.
    FollowStart = "follow/start" (f::FollowStartParams) -> f::FollowTurn;
    /// What is followed, and how that goes.
    FollowGetStatus = "follow/status" (t::Nothing) -> f::FollowStatus;
    /// Fetches now what the source has. Long.
    FollowNow = "follow/now" (t::Nothing) -> f::FollowTurn;
    /// Goes on with another password or address, without copying anew.
    FollowResume = "follow/resume" (f::FollowResumeParams) -> f::FollowStatus;
    /// Ends following; the root branch stays as it is.
    FollowStop = "follow/stop" (t::Nothing) -> f::FollowStopped;
    /// What happened to branches, and when.
    BranchGetLog = "branch/log" (p::LogParams) -> p::Log;
    /// Brings the newest deleted or reset branch back.
    BranchUndo = "branch/undo" (t::UndoParams) -> t::UndoResult;
    /// A URL that always leads to this branch.
    BranchUrl = "branch/url" (t::BranchParams) -> t::UrlResult;
    /// A URL of a branch for as long as the client is connected, whoever may write there.
    BranchOpen = "branch/open" (t::OpenParams) -> t::UrlResult;
    /// Starts a branch's Postgres.
    BranchWake = "branch/wake" (t::BranchParams) -> t::Branch;
    /// Stops a branch's Postgres; closes its connections.
    BranchSleep = "branch/sleep" (t::BranchParams) -> t::Branch;
    /// Protects a branch from being deleted, reset or renamed, or no longer.
    BranchProtect = "branch/protect" (t::ProtectParams) -> t::Branch;
    /// Says when a branch goes to the trash by itself, or that it stays.
    BranchExpire = "branch/expire" (t::ExpireParams) -> t::Branch;
    /// Which line of `offshoot.toml` decides what about a branch.
    PolicyExplain = "policy/explain" (po::PolicyExplainParams) -> po::PolicyExplained;
    /// What the rules would change on branches that there are.
    PolicyGetPlan = "policy/plan" (t::Nothing) -> po::PolicyPlan;
    /// Changes what was planned, all of it or nothing.
    PolicyApply = "policy/apply" (po::PolicyApplyParams) -> po::PolicyPlan;
    /// The commands of `offshoot.toml`, and whether they are trusted; trusting them.
    PolicyTrust = "policy/trust" (h::TrustParams) -> h::Trust;
    /// Brings the migrations of a git branch to the database branch of a tier, once the tier's checks pass. Long; tells what the tool prints.
    Promote = "promote" (pr::PromoteParams) -> pr::Promoted;
    /// Answers the question that a checkout raised.
    WorktreeAnswer = "worktree/answer" (t::AnswerParams) -> t::WorktreeStatus;
    /// What one branch's schema has that another one's has not. Wakes both if their schemas are not known.
    SchemaGetChanges = "schema/changes" (t::SchemaChangesParams) -> t::SchemaChanges;
    /// One object of a branch's schema as SQL.
    SchemaGetDefinition = "schema/definition" (t::DefinitionParams) -> t::Definition;
    /// All facts of the schema that a branch had when it left its parent. Read once if they are not known.
    SchemaGetFork = "schema/fork" (t::BranchParams) -> t::FactsFile;
    /// What rules gave a branch when it was made, which is no difference of it.
    SchemaGetGiven = "schema/given" (t::BranchParams) -> po::Given;
    /// Runs a plan on a throwaway of a branch and measures it. Long.
    SchemaMeasure = "schema/measure" (ms::MeasureParams) -> ms::Measured;
    /// Reads the schema that SQL files make. Long.
    SchemaLoad = "schema/load" (ms::LoadParams) -> t::Nothing;
    /// The rows that a branch changed. Wakes both sides. Long.
    BranchGetRows = "branch/rows" (ms::RowsParams) -> ms::ChangedRows;
    /// All facts of a branch's schema as text, in pieces.
    SchemaGetFacts = "schema/facts" (x::FactsParams) -> x::FactsPiece;
    /// Keeps a branch as it is now under a name.
    SnapshotCreate = "snapshot/create" (s::SnapshotParams) -> s::Snapshot;
    /// The named snapshots.
    SnapshotGetList = "snapshot/list" (s::SnapshotListParams) -> s::SnapshotList;
    /// Removes a snapshot for good.
    SnapshotDelete = "snapshot/delete" (s::SnapshotParams) -> t::Nothing;
    /// The schema of a snapshot, as a file. Wakes it once.
    SnapshotGetSchema = "snapshot/schema" (s::SnapshotParams) -> t::FactsFile;
    /// The schema that a branch had at a moment, as a file. Long.
    PastGetSchema = "past/schema" (p::MomentParams) -> t::FactsFile;
    /// Writes a branch to a file for another store. Long.
    BundleCreate = "bundle/create" (bu::BundleCreateParams) -> bu::BundleCreated;
    /// Makes a branch of such a file, or puts it in the place of the root branch. Long.
    BundleApply = "bundle/apply" (bu::BundleApplyParams) -> bu::BundleApplied;
    /// What the store has on the disk. Takes time in the number of its files.
    DiskGetUsage = "disk/usage" (t::Nothing) -> d::DiskUsage;
    /// Removes for good what is in the trash.
    DiskPurge = "disk/purge" (d::PurgeParams) -> d::PurgeResult;
    /// The migrations of a worktree and what they have done to branches. Wakes the branches whose histories are not known.
    MigrationsGetStatus = "migrations/status" (g::MigrationsStatusParams) -> g::MigrationsStatus;
    /// Runs pending migrations with the tool's own command, or takes the newest one back. Long; tells what the tool prints.
    MigrationsApply = "migrations/apply" (g::MigrationsApplyParams) -> g::MigrationsApplied;
    /// What a file held when it ran on the worktree's branch, where that is known.
    MigrationsGetRan = "migrations/ran" (g::MigrationsRanParams) -> g::MigrationsRan;
    /// Takes a branch back to before its migrations were applied last.
    MigrationsUndo = "migrations/undo" (g::MigrationsUndoParams) -> g::MigrationsUndone;
    /// Tries pending migrations on a throwaway. Long.
    MigrationsCheck = "migrations/check" (g::MigrationsCheckParams) -> g::MigrationsReport;
    /// Whether a branch has the schema that the files make. Long.
    MigrationsGetDrift = "migrations/drift" (g::MigrationsDriftParams) -> g::MigrationsDrift;
    /// Tries merges in both orders on throwaways. Long.
    MigrationsRehearse = "migrations/rehearse" (g::MigrationsRehearseParams) -> g::MigrationsRehearsal;
    /// Writes a new migration from a difference. Long.
    MigrationsCreate = "migrations/new" (g::MigrationsNewParams) -> g::MigrationsNew;
    /// Something in the git directory may have changed: it is looked at once.
    GitChanged = "git/changed" (t::Nothing) -> t::Nothing;
    /// From now on the engine sends `offshoot/changed`.
    Subscribe = "subscribe" (t::Nothing) -> t::Nothing;
}

notifications! {
    /// Every notification between a client and the engine, of both directions.
    NOTIFICATIONS:
    /// How far a request is.
    ProgressNotification = "$/progress" (t::Progress);
    /// The client no longer wants an answer.
    CancelNotification = "$/cancelRequest" (t::CancelRequest);
    /// Something that the client may show changed.
    ChangedNotification = "offshoot/changed" (t::Changed);
}

methods! {
    /// Every request of the editor to the language server, besides those of the language server protocol itself.
    EDITOR_METHODS:
    /// Makes the repository's database. Long.
    EditorInit = "offshoot/init" (e::EditorInitParams) -> e::EditorInitResult;
    /// The versions of Postgres that a database can be made with, and which of them are on this machine.
    EditorGetPostgres = "offshoot/postgres" (e::FolderParams) -> e::PostgresVersions;
    /// Makes a branch.
    EditorCreate = "offshoot/branch/create" (e::EditorCreateParams) -> t::Branch;
    /// Moves a branch to the trash.
    EditorDelete = "offshoot/branch/delete" (e::EditorBranchParams) -> t::Nothing;
    /// Renames a branch.
    EditorRename = "offshoot/branch/rename" (e::EditorRenameParams) -> t::Branch;
    /// Takes a branch to its parent's present. Long.
    EditorReset = "offshoot/branch/reset" (e::EditorBranchParams) -> t::Branch;
    /// Brings the newest deleted or reset branch back.
    EditorUndo = "offshoot/branch/undo" (e::EditorUndoParams) -> t::UndoResult;
    /// What happened to a branch, and when.
    EditorGetLog = "offshoot/branch/log" (e::EditorLogParams) -> p::Log;
    /// Protects a branch from being deleted, reset or renamed, or no longer.
    EditorProtect = "offshoot/branch/protect" (e::EditorProtectParams) -> t::Branch;
    /// Says when a branch goes to the trash by itself, or that it stays.
    EditorExpire = "offshoot/branch/expire" (e::EditorExpireParams) -> t::Branch;
    /// Starts a branch's Postgres. Long.
    EditorWake = "offshoot/branch/wake" (e::EditorBranchParams) -> t::Branch;
    /// Stops a branch's Postgres; closes its connections.
    EditorSleep = "offshoot/branch/sleep" (e::EditorBranchParams) -> t::Branch;
    /// Answers the question that a checkout raised.
    EditorAnswer = "offshoot/answer" (e::EditorAnswerParams) -> t::Nothing;
    /// The address of a branch or of the worktree, with the password.
    EditorGetUrl = "offshoot/url" (e::EditorUrlParams) -> e::EditorUrl;
    /// One object of a branch's schema as SQL.
    EditorGetDefinition = "offshoot/schema/definition" (e::EditorDefinitionParams) -> t::Definition;
    /// The objects of a branch's schema.
    EditorGetObjects = "offshoot/schema/objects" (x::EditorObjectsParams) -> x::SchemaObjects;
    /// The parts of an object of a branch's schema.
    EditorGetParts = "offshoot/schema/parts" (x::EditorPartsParams) -> x::ObjectParts;
    /// What a branch does to the schema of its parent, as a document and a picture.
    EditorGetSummary = "offshoot/schema/summary" (x::EditorSummaryParams) -> x::SchemaSummary;
    /// The schemas that a summary is made of.
    EditorGetFacts = "offshoot/schema/facts" (x::EditorSummaryParams) -> x::ComparedFacts;
    /// The migrations of a worktree and what they have done to branches. Wakes the branches whose histories are not known.
    EditorMigrationsGetStatus = "offshoot/migrations/status" (g::MigrationsStatusParams) -> g::MigrationsStatus;
    /// Runs pending migrations with the tool's own command, or takes the newest one back. Long; tells what the tool prints.
    EditorMigrationsApply = "offshoot/migrations/apply" (g::MigrationsApplyParams) -> g::MigrationsApplied;
    /// What a file held when it ran on the worktree's branch, where that is known.
    EditorMigrationsGetRan = "offshoot/migrations/ran" (g::MigrationsRanParams) -> g::MigrationsRan;
    /// Takes a branch back to before its migrations were applied last.
    EditorMigrationsUndo = "offshoot/migrations/undo" (g::MigrationsUndoParams) -> g::MigrationsUndone;
    /// Tries pending migrations on a throwaway. Long.
    EditorMigrationsCheck = "offshoot/migrations/check" (g::MigrationsCheckParams) -> g::MigrationsReport;
    /// Whether a branch has the schema that the files make. Long.
    EditorMigrationsGetDrift = "offshoot/migrations/drift" (g::MigrationsDriftParams) -> g::MigrationsDrift;
    /// Tries merges in both orders on throwaways. Long.
    EditorMigrationsRehearse = "offshoot/migrations/rehearse" (g::MigrationsRehearseParams) -> g::MigrationsRehearsal;
    /// Writes a new migration from a difference. Long.
    EditorMigrationsCreate = "offshoot/migrations/new" (g::MigrationsNewParams) -> g::MigrationsNew;
    /// Brings the migrations of a git branch to the database branch of a tier, once the tier's checks pass. Long; tells what the tool prints.
    EditorPromote = "offshoot/promote" (pr::PromoteParams) -> pr::Promoted;
    /// Writes a branch to a file for another store. Long.
    EditorBundleCreate = "offshoot/bundle/create" (bu::EditorBundleCreateParams) -> bu::BundleCreated;
    /// What such a file says of itself. The rest of it is not looked at.
    EditorBundleRead = "offshoot/bundle/read" (bu::EditorBundleParams) -> bu::Bundle;
    /// Makes a branch of such a file. Long.
    EditorBundleApply = "offshoot/bundle/apply" (bu::EditorBundleApplyParams) -> bu::BundleApplied;
    /// Log files that can be shown.
    EditorGetLogFiles = "offshoot/logFiles" (e::LogFilesParams) -> e::LogFiles;
    /// Text that helps whoever reads a report.
    EditorGetDiagnostics = "offshoot/diagnostics" (t::Nothing) -> e::Diagnostics;
    /// Stops the engine of the folder's repository and starts it again.
    EditorRestartEngine = "offshoot/engine/restart" (e::FolderParams) -> t::Nothing;
    /// Reads everything again and sends `offshoot/status`, changed or not.
    EditorRefresh = "offshoot/refresh" (t::Nothing) -> t::Nothing;
}

notifications! {
    /// Every notification between the language server and the editor, besides those of the language server protocol itself.
    EDITOR_NOTIFICATIONS:
    /// All that there is to draw; from the server.
    EditorStatusNotification = "offshoot/status" (e::EditorStatus);
    /// What a program prints that a request runs; from the server.
    EditorOutputNotification = "offshoot/output" (e::EditorOutput);
    /// The workspace became trusted; from the editor.
    EditorTrustNotification = "offshoot/trust" (e::TrustParams);
}

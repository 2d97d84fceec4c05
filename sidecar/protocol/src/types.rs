//! Everything that crosses the wire, `camelCase`.

use serde::{Deserialize, Serialize};

/// Parameters or result of methods that have none: an empty object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Nothing {}

/// How the engine is to be stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StopParams {
    /// Also while a migration tool runs on a branch, which is ended then. Left out if not: older engines know no parameters.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub force: bool,
}

/// The first message of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct HelloParams {
    /// Version of the client's program.
    pub version: String,
    /// The git common directory that the client stands in; absent when it only manages the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common_dir: Option<String>,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct HelloResult {
    /// Version of the engine's program.
    pub version: String,
    /// Process id of the engine.
    pub pid: u32,
    /// True if the repository of [`HelloParams::common_dir`] moved here from a folder that is gone: the engine
    /// still watches the old one and has to be started again.
    pub moved: bool,
}

/// `<store>/engine.json`: where a running engine listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EngineFile {
    /// Process id.
    pub pid: u32,
    /// Path of the unix socket.
    pub socket: String,
    /// Version of the program.
    pub version: String,
    /// Seconds since 1970.
    pub started_at: u64,
}

/// The engine as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EngineStatus {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Folder of the store.
    pub store: String,
    /// The git common directory.
    pub common_dir: String,
    /// Postgres that the branches run on, such as `18.1`.
    pub postgres: String,
    /// Folder of its programs.
    pub bin_dir: String,
    /// Seconds since 1970.
    pub started_at: u64,
    /// Number of branches.
    pub branches: u64,
    /// Number of branches whose Postgres runs.
    pub awake: u64,
    /// Client connections over all endpoints.
    pub connections: u64,
    /// Resident memory of the engine, if the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// State of a branch's Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum ComputeState {
    /// Not running; starts at the next connection.
    #[default]
    Asleep,
    /// Starting.
    Waking,
    /// Running.
    Awake,
    /// Shutting down.
    Stopping,
    /// Could not be started, or died.
    Failed,
}

impl ComputeState {
    /// The name that people read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Waking => "waking",
            Self::Awake => "awake",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        }
    }
}

/// A worktree is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct WorktreeParams {
    /// Any path inside the worktree.
    pub path: String,
}

/// A worktree, its branch and its endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct WorktreeStatus {
    /// Root folder of the worktree.
    pub path: String,
    /// What is checked out.
    pub git: GitHead,
    /// The database branch that the endpoint leads to; absent when it could not be made (see `notes`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Branch>,
    /// The address.
    pub endpoint: EndpointStatus,
    /// What a person should know.
    pub notes: Vec<Note>,
    /// The question that the checkout raised, with `on_checkout = "ask"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Ask>,
    /// What git did that leaves something to decide, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<crate::offers::Offer>>"))]
    pub offers: Vec<crate::offers::Offer>,
}

/// A git branch without a database branch is checked out: what shall be done?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    /// Name of the git branch.
    pub name: String,
    /// The database branch that a new one would come from.
    pub parent: String,
}

/// What a person says to [`Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Make a branch.
    Create,
    /// Lead to the parent, and do not ask for this git branch again.
    UseParent,
    /// Never make one by itself in this repository, and do not ask.
    Never,
    /// Forget what was said to this repository's questions.
    AskAgain,
    /// Never mind what [`WorktreeStatus::offers`] has.
    Dismiss,
    /// The same, and never mind which commands around branches failed.
    DismissAll,
    /// Take a snapshot of the branch that was left, as [`WorktreeStatus::offers`] has it.
    Snapshot,
}

/// Answers [`Ask`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct AnswerParams {
    /// Any path inside the worktree.
    pub path: String,
    /// The answer.
    pub answer: Answer,
}

/// What a worktree has checked out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum GitHead {
    /// A branch.
    Branch {
        /// Its short name.
        name: String,
    },
    /// A commit.
    Detached {
        /// Its hash.
        commit: String,
    },
}

/// A TCP address on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// Port on 127.0.0.1.
    pub port: u16,
    /// Connection URL, with the password.
    pub url: String,
    /// False while another program has the port.
    pub listening: bool,
    /// Connections through it.
    pub connections: u64,
}

/// Something that a person should know about a worktree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// One sentence.
    pub text: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Subjects of [`Note`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum NoteKind {
    /// HEAD is detached: the endpoint stays on the last branch.
    Detached,
    /// `on_checkout = "ask"` and the git branch has no database branch.
    Ask,
    /// `on_checkout = "switch"` and the git branch has no database branch.
    NoBranch,
    /// The git branch was cut from a commit that is no branch's tip.
    OtherCommits,
    /// `offshoot.toml` cannot be used.
    Config,
    /// The port is taken by another program.
    PortTaken,
    /// The database branch could not be made or renamed.
    Binding,
    /// The branch's Postgres failed.
    Compute,
    /// The store has nearly or fully used its room, or its disk is nearly full.
    Disk,
    /// Git branches are gone whose database branches are still there.
    Gone,
    /// The server that the root branch follows cannot be followed.
    Follow,
    /// The file for the address cannot be written, or was changed by hand.
    EnvFile,
    /// A command of `offshoot.toml` failed, or is not trusted.
    Hook,
    /// A rule lets sessions on the branch read only.
    ReadOnly,
}

/// A database branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Branch {
    /// Number within the store; never used twice.
    pub id: u64,
    /// Name.
    pub name: String,
    /// Name of the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Where it left the parent, as Postgres writes it: `0/16B3748`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_lsn: Option<String>,
    /// Seconds since 1970.
    pub created_at: u64,
    /// State of its Postgres.
    pub state: ComputeState,
    /// Why the state is failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// True for the branch that `init` made.
    pub root: bool,
    /// Bytes on disk that no other branch uses.
    pub own_bytes: u64,
    /// Bytes on disk that it reads together with others.
    pub shared_bytes: u64,
    /// Whether git has a branch of this name.
    pub in_git: bool,
    /// Connections to it, over all endpoints.
    pub connections: u64,
    /// Worktrees whose endpoint leads here.
    pub worktrees: Vec<String>,
    /// Cannot be deleted, reset, restored or renamed, as a person or a rule said.
    pub protected: bool,
    /// Whether only a rule protects it, and `overrideRules` goes past that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub overridable: bool,
    /// When it goes to the trash by itself, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// From how many bytes of its own on a rule has it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// When the root branch got new data that this branch has not, in seconds since 1970. A reset takes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_since: Option<u64>,
    /// The server that it, the root branch, follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<crate::follow::Follows>,
    /// The tier that the migrations of the git branch of this name go to next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotes_to: Option<String>,
}

/// Asks for a worktree's URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct WorktreeUrlParams {
    /// Any path inside the worktree.
    pub path: String,
    /// Gives up the present port and takes another.
    #[serde(default)]
    pub new_port: bool,
}

/// An address with its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct UrlResult {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
    /// Database branch that it leads to now.
    pub branch: String,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Database.
    pub database: String,
}

/// All branches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct BranchList {
    /// Parents before children.
    pub branches: Vec<Branch>,
    /// Name of the branch that `branch/undo` would bring back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

/// A new branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct CreateParams {
    /// Name: any name that git takes for a branch.
    pub name: String,
    /// Parent; absent means the branch of the worktree at `path`, or the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Any path inside the worktree that the person stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// When it goes to the trash by itself, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The moment of its parent that it begins with, in microseconds since 1970; absent for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<u64>,
    /// That moment as a position in the WAL, such as `0/16B3748`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_lsn: Option<String>,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
}

/// A branch is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct BranchParams {
    /// Its name.
    pub name: String,
}

/// An address is asked for that goes past the rule about who writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenParams {
    /// Any path inside the worktree.
    pub path: String,
    /// The branch; absent means what the worktree leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The command that wants it.
    pub command: String,
    /// Whether it is to write against the rule, which is noted. Without, the command is one that only reads, such as a dump; the address
    /// does not hold it to that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub override_rules: bool,
}

/// A branch is meant, for something that a rule may forbid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct GuardedParams {
    /// Its name.
    pub name: String,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
}

/// Guards a branch, or no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct ProtectParams {
    /// Name of the branch.
    pub name: String,
    /// Whether it is protected from now on.
    pub on: bool,
}

/// Says when a branch goes to the trash by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct ExpireParams {
    /// Name of the branch.
    pub name: String,
    /// Seconds since 1970; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// Two branches whose schemas are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct SchemaChangesParams {
    /// Name of the branch.
    pub branch: String,
    /// Name of the other one; absent means the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Without `base`: both sides' changes since the fork point are asked for. Its schema is read once if it is not known.
    #[serde(default)]
    pub three_way: bool,
    /// Renames that a person has confirmed, such as `table public.old -> new`, in their order. Those that do not fit the
    /// schemas are left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub renames: Vec<String>,
}

/// What one schema has that another one has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct SchemaChanges {
    /// Name of the branch.
    pub branch: String,
    /// Name of the one that it was compared with; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Changes with every new state of either schema.
    pub revision: u64,
    /// Whether the changes are those since the fork point.
    pub fork: ForkPoint,
    /// Sorted by schema and name. An object of which each side changed another part is there twice, as mine and as theirs.
    pub changes: Vec<SchemaChange>,
}

/// What is known of the schema that a branch had when it left its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub enum ForkPoint {
    /// Nobody asked for it: changes are what the branch has and the base, as it is now, has not; all are mine.
    NotAsked,
    /// Known: changes are each side's since then.
    Known,
    /// Not known: as if nobody had asked.
    Unknown {
        /// Why, in one sentence.
        reason: String,
    },
}

/// Whose change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum ChangeGroup {
    /// The branch's.
    Mine,
    /// The parent's since the fork point: the branch lacks it.
    Theirs,
    /// Both made the same one.
    Both,
    /// Both touched the object, or one side what the other side's change needs.
    Conflict,
}

/// An object that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct SchemaChange {
    /// What happened to it: on the branch; of [`ChangeGroup::Theirs`], and of a conflict that only the parent's change is in,
    /// on the parent.
    pub change: ChangeKind,
    /// The object.
    pub object: SchemaObject,
    /// What it is called in the schema that it is compared with, if it is called otherwise there: at the fork point, in a
    /// conflict on the parent. It may be its schema that was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<SchemaObject>,
    /// Whose change it is.
    pub group: ChangeGroup,
    /// In a conflict: what the branch did to it since the fork point; absent if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<ChangeKind>,
    /// In a conflict: what the parent did to it since the fork point; absent if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<ChangeKind>,
    /// In a conflict: what collides, a sentence each. Empty otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub reasons: Vec<String>,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum ChangeKind {
    /// The branch has it, the other one has not.
    Added,
    /// The other one has it, the branch has not.
    Removed,
    /// Both have it, not alike.
    Changed,
    /// Both have it under another name, as a person has confirmed; it may differ in other ways, too.
    Renamed,
}

/// An object that a person sees as one thing; a table with its columns, constraints and indexes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct SchemaObject {
    /// `table`, `view`, `function` …: as `offshoot-schema` names it.
    pub kind: String,
    /// Schema, if it lies in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Name; of a function with the types of its arguments.
    pub name: String,
}

/// Asks for an object's definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct DefinitionParams {
    /// Name of the branch.
    pub branch: String,
    /// The object.
    pub object: SchemaObject,
    /// In which state of the branch.
    #[serde(default)]
    #[cfg_attr(test, ts(optional, as = "Option<SchemaState>"))]
    pub state: SchemaState,
}

/// A state of a branch's schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum SchemaState {
    /// As it is now.
    #[default]
    Present,
    /// As it was when the branch left its parent, or was last reset.
    Fork,
}

/// The schema that a branch had at its fork point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct FactsFile {
    /// A file of this machine with all facts, as `offshoot schema export` writes them. It stays for as long as the branch does, and
    /// nobody may change it.
    pub path: String,
}

/// An object's definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// The whole of it as SQL; absent if the branch has no such object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Another name for a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct RenameParams {
    /// Present name.
    pub name: String,
    /// New name.
    pub to: String,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
}

/// Asks for a deleted or reset branch back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase", default)]
pub struct UndoParams {
    /// Name of the branch; absent means the one that was deleted or reset last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Id that the branch had before it was deleted or reset: that very state is meant, and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// Against the rules of `offshoot.toml`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
}

/// What `branch/undo` brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct UndoResult {
    /// The branch as it is now.
    pub branch: Branch,
    /// True if a branch of that name existed and was replaced (a reset was undone).
    pub replaced: bool,
    /// True if its expiry had passed, and was taken away.
    pub had_expired: bool,
}

/// Notification `$/progress`: how far a request is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Id of the request.
    pub id: u64,
    /// What is being done.
    pub message: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// What a program printed meanwhile; none of it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// Notification `$/cancelRequest`: the client no longer wants the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct CancelRequest {
    /// Id of the request.
    pub id: u64,
}

/// Notification `offshoot/changed` to subscribers: ask again for what you show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// What changed.
    pub what: Subject,
}

/// Subjects of [`Changed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// The list of branches.
    Branches,
    /// Which branch a worktree leads to, its notes or its port.
    Worktrees,
    /// A branch woke or fell asleep.
    Compute,
    /// The schema of a branch. Looked at only while somebody subscribes, after statements that came through an endpoint.
    Schema,
    /// Migrations were applied to a branch, or taken back.
    Migrations,
}

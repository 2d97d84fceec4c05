//! The table of methods.

use serde::{Serialize, de::DeserializeOwned};

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
}

macro_rules! methods {
    ($($(#[$doc:meta])* $ty:ident = $name:literal ($params:ident) -> $result:ident;)*) => {
        $($(#[$doc])* #[derive(Clone, Copy, Debug)] pub struct $ty;
        impl Method for $ty {
            const NAME: &'static str = $name;
            type Params = t::$params;
            type Result = t::$result;
        })*
        /// Every request.
        pub const METHODS: &[MethodRow] = &[$(MethodRow {
            name: $name, params: stringify!($params), result: Some(stringify!($result)),
        }),*];
    };
}

macro_rules! notifications {
    ($($(#[$doc:meta])* $ty:ident = $name:literal ($params:ident);)*) => {
        $($(#[$doc])* #[derive(Clone, Copy, Debug)] pub struct $ty;
        impl Notification for $ty {
            const NAME: &'static str = $name;
            type Params = t::$params;
        })*
        /// Every notification, of both directions.
        pub const NOTIFICATIONS: &[MethodRow] = &[$(MethodRow {
            name: $name, params: stringify!($params), result: None,
        }),*];
    };
}

methods! {
    /// Versions, and whether this repository owns the store.
    EngineHello = "engine/hello" (HelloParams) -> HelloResult;
    /// The engine as a whole.
    EngineGetStatus = "engine/status" (Nothing) -> EngineStatus;
    /// Stops the engine: every branch falls asleep. Answered before it is gone.
    EngineStop = "engine/stop" (Nothing) -> Nothing;
    /// A worktree; registers it if it is new: allocates its endpoint.
    WorktreeGetStatus = "worktree/status" (WorktreeParams) -> WorktreeStatus;
    /// A worktree's URL, after any switch that is due.
    WorktreeUrl = "worktree/url" (WorktreeUrlParams) -> UrlResult;
    /// All branches.
    BranchGetList = "branch/list" (Nothing) -> BranchList;
    /// Makes a branch.
    BranchCreate = "branch/create" (CreateParams) -> Branch;
    /// Moves a branch to the trash.
    BranchDelete = "branch/delete" (BranchParams) -> Nothing;
    /// Renames a branch.
    BranchRename = "branch/rename" (RenameParams) -> Branch;
    /// Takes a branch to its parent's present; what it had goes to the trash.
    BranchReset = "branch/reset" (BranchParams) -> Branch;
    /// Brings the newest deleted or reset branch back.
    BranchUndo = "branch/undo" (Nothing) -> UndoResult;
    /// A URL that always leads to this branch.
    BranchUrl = "branch/url" (BranchParams) -> UrlResult;
    /// Starts a branch's Postgres.
    BranchWake = "branch/wake" (BranchParams) -> Branch;
    /// Stops a branch's Postgres; closes its connections.
    BranchSleep = "branch/sleep" (BranchParams) -> Branch;
    /// From now on the engine sends `offshoot/changed`.
    Subscribe = "subscribe" (Nothing) -> Nothing;
}

notifications! {
    /// How far a request is.
    ProgressNotification = "$/progress" (Progress);
    /// The client no longer wants an answer.
    CancelNotification = "$/cancelRequest" (CancelRequest);
    /// Something that the client may show changed.
    ChangedNotification = "offshoot/changed" (Changed);
}

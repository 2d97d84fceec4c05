//! What branches were, and what happened to them.

use serde::{Deserialize, Serialize};

use crate::types::Branch;

/// A moment of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum Moment {
    /// All that was committed by then, in microseconds since 1970.
    TimeUs(u64),
    /// All whose commit begins before this position in the WAL, such as `0/16B3748`.
    Lsn(String),
    /// The snapshot of this name.
    Snapshot(String),
}

/// Takes a branch back in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct RestoreParams {
    /// Its name.
    pub name: String,
    /// To when.
    pub to: Moment,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
}

/// A branch that was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct RestoreResult {
    /// The branch as it is now.
    pub branch: Branch,
    /// What its state of before is called in the trash; `branch/undo` takes the name.
    pub kept_as: String,
}

/// What a branch was is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MomentParams {
    /// Its name.
    pub branch: String,
    /// When.
    pub at: Moment,
}

/// Of which branch, and how much, is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct LogParams {
    /// Its name, or that of one that is gone; absent means all branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The newest so many; absent means all that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What happened to branches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// The newest first. Of one branch: what happened to it, and to those that it comes from before it was made.
    pub entries: Vec<LogEntry>,
    /// How many older ones were left out.
    pub older: u32,
    /// Since when branches can be made as of any moment, in seconds since 1970; of one branch only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_moment: Option<u64>,
}

/// What happened to a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum LogKind {
    /// It was made.
    Created,
    /// It was put back to the present of its parent.
    Reset,
    /// It was taken back to a moment or a snapshot.
    Restored,
    /// It, the root branch, got new data.
    Refreshed,
    /// It got another name.
    Renamed,
    /// It went to the trash.
    Deleted,
    /// It came back from the trash.
    Undone,
    /// A snapshot was taken.
    SnapshotTaken,
    /// A snapshot was removed.
    SnapshotRemoved,
    /// Migrations ran.
    Migrated,
    /// What another version of the engine knows.
    Other,
}

/// Something that happened to a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Grows with each.
    pub number: u64,
    /// When, in microseconds since 1970.
    pub at_us: u64,
    /// What.
    pub kind: LogKind,
    /// The branch's name then.
    pub branch: String,
    /// The same for all entries of a branch, whatever it was called.
    pub line: u64,
    /// The `line` of the branch that it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_line: Option<u64>,
    /// The name of its parent, when it was made or reset; its name before, when it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The moment or the snapshot, after an `@`, that it was made of or taken back to; the name of the snapshot that was taken or
    /// removed; what ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The git commit that was checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether that went wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// The command that leads back to before it, or to it, as long as there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<String>,
}

//! Named states of branches.

use serde::{Deserialize, Serialize};

/// A snapshot is meant, or to be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotParams {
    /// Name of the branch.
    pub branch: String,
    /// Name of the snapshot among those of the branch.
    pub name: String,
}

/// A branch as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Name of the branch.
    pub branch: String,
    /// Its own name.
    pub name: String,
    /// Seconds since 1970.
    pub created_at: u64,
    /// What it is.
    #[serde(default)]
    pub kind: StateKind,
    /// The git commit that it was taken at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The command that leads back to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way_back: Option<String>,
}

/// What is kept of a branch, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StateKind {
    /// A snapshot with a name.
    #[default]
    Named,
    /// What the branch was when it was made.
    Fork,
    /// Taken by itself, so that a moment after it is near; its name is its time in microseconds.
    Automatic,
    /// A state in the trash: of before a reset, a restore, an undo or a deletion.
    Former,
}

/// The snapshots of one branch, or of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotList {
    /// By branch, the oldest first.
    pub snapshots: Vec<Snapshot>,
}

/// Of which branch snapshots are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotListParams {
    /// Its name; absent means all branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Also those without a name, and the states in the trash.
    #[serde(default)]
    pub all: bool,
}

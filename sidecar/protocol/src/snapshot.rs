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
}

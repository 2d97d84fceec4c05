//! What a store has on the disk, and emptying its trash.

use serde::{Deserialize, Serialize};

/// All bytes of a store on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskUsage {
    /// All of them.
    pub total_bytes: u64,
    /// Those of no branch: metadata, libraries, logs.
    pub other_bytes: u64,
    /// Bytes that emptying the trash frees.
    pub trash_bytes: u64,
    /// Bytes that are free on the store's file system.
    pub free_bytes: u64,
    /// Bytes that the store may have (`storage.max_bytes`); absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Bytes that are kept free there: with less, nothing is made.
    #[serde(default)]
    pub min_free_bytes: u64,
    /// Bytes of WAL that is there to make branches as of a moment; a part of what branches have.
    #[serde(default)]
    pub past_wal_bytes: u64,
    /// Bytes of snapshots that are taken by themselves for that; a part of what branches have.
    #[serde(default)]
    pub past_snapshot_bytes: u64,
    /// Bytes of the standby of a source that is followed, which no branch reads; they are in none of the branches.
    #[serde(default)]
    pub standby_bytes: u64,
    /// The standby's number among the readers of `shares`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby: Option<u64>,
    /// Bytes of what seeds have made and is kept for the next time, of all projects; they are not the store's, and in no sum here.
    #[serde(default)]
    pub seed_cache_bytes: u64,
    /// Branches, parents before children, then the trash, newest first.
    pub branches: Vec<BranchDiskUsage>,
    /// Bytes that the same branches read, the largest first. Each byte of a branch is in one of them.
    pub shares: Vec<DiskShare>,
}

/// A branch's part of [`DiskUsage`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BranchDiskUsage {
    /// Its number.
    pub id: u64,
    /// Its name; in the trash the one that it had.
    pub name: String,
    /// When it went to the trash, in seconds since 1970; absent for a live branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trashed_at: Option<u64>,
    /// What only it reads: removing it for good frees that.
    pub own_bytes: u64,
    /// What it reads together with others.
    pub shared_bytes: u64,
}

/// Bytes that the same branches read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskShare {
    /// Numbers of the branches, the trash among them.
    pub readers: Vec<u64>,
    /// How many bytes.
    pub bytes: u64,
}

/// What of the trash is to be removed for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PurgeParams {
    /// Names of branches in the trash, each with all that is there under it; empty means everything.
    pub names: Vec<String>,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PurgeResult {
    /// Number of branches; a branch that was reset counts once for each state.
    pub branches: usize,
    /// Bytes on the disk.
    pub freed_bytes: u64,
}

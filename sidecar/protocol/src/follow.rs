//! Following a running server: fresh roots while it is written to.

use serde::{Deserialize, Serialize};

/// What following is doing, or why it is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum FollowState {
    /// The engine has not looked at the source since it started.
    #[default]
    Waiting,
    /// What the source has is being fetched and replayed.
    CatchingUp,
    /// The root branch has all that the source had when it was looked at last.
    Current,
    /// The changes are here; the root branch is in use, so that they wait.
    InUse,
    /// The source does not answer, or the connection broke. It is tried again by itself.
    Disconnected,
    /// The source refuses: the password, a privilege, a setting. It is tried again by itself.
    Refused,
    /// The source has removed WAL that is needed.
    SlotLost,
    /// The source is of another major by now.
    Upgraded,
    /// Another cluster answers at the source's address.
    OtherSystem,
    /// The source has a history that the standby is no part of.
    Diverged,
    /// The source was restored to what it was before, on the same timeline.
    Restored,
    /// The source has switched its timeline and has not written a checkpoint since.
    TimelineSwitched,
    /// The file with the address is gone from the store.
    AddressGone,
    /// There are rules for masking by now, which following cannot keep.
    Masking,
    /// Something failed here, such as a full disk. It is tried again by itself.
    Failed,
}

impl FollowState {
    /// Whether all is as it should be.
    pub fn is_well(self) -> bool {
        matches!(self, Self::Waiting | Self::CatchingUp | Self::Current | Self::InUse)
    }

    /// The state in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting for its turn",
            Self::CatchingUp => "catching up",
            Self::Current => "current",
            Self::InUse => "fetched; the root branch is in use",
            Self::Disconnected => "disconnected",
            Self::Refused => "refused",
            Self::SlotLost => "slot lost",
            Self::Upgraded => "source upgraded",
            Self::OtherSystem => "another server",
            Self::Diverged => "diverged",
            Self::Restored => "source restored",
            Self::TimelineSwitched => "timeline switched",
            Self::AddressGone => "address gone",
            Self::Masking => "stopped by rules for masking",
            Self::Failed => "failed",
        }
    }

    /// The state with this word on the wire.
    pub fn parse(word: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
    }
}

/// Asks for a server to be followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowStartParams {
    /// The worktree whose `offshoot.toml` is looked at for rules for masking and for seed files.
    pub path: String,
    /// The `postgres://` URL with its password and a database.
    pub from: String,
    /// Seconds between two looks at the source.
    pub every_seconds: u64,
    /// The most kilobytes a second that it is to send while it is copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate_kb: Option<u32>,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub override_rules: bool,
}

/// Asks to go on with another password or address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowResumeParams {
    /// The `postgres://` URL at which the source answers now; absent if that has not changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The password for it; absent if the URL has it, or none is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What is followed, and how that goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Followed {
    /// The address without its password.
    pub source: String,
    /// The replication slot at the source.
    pub slot: String,
    /// What it is doing.
    pub state: FollowState,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Why, where the state is no good one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What to do then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The root branch has what the source had then, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_at: Option<u64>,
    /// Up to where the source's WAL has been replayed.
    pub replayed: String,
    /// The source's timeline.
    pub timeline: u32,
    /// Bytes of WAL that the slot kept at the source when it was looked at last.
    pub held_bytes: u64,
    /// What the source may keep for it at the most (`max_slot_wal_keep_size`), where it tells; `-1` is without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot_limit: Option<String>,
    /// Seconds between two looks.
    pub every_seconds: u64,
    /// The next look by itself, in seconds since 1970; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<u64>,
    /// Bytes of the standby that no branch reads.
    pub own_bytes: u64,
    /// Bytes of the standby that branches read as well.
    pub shared_bytes: u64,
}

/// Answers what is followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowStatus {
    /// Absent if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub following: Option<Followed>,
}

/// What a start, or a turn, did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowTurn {
    /// How following stands now.
    pub following: Followed,
    /// Name of the root branch.
    pub branch: String,
    /// Whether the root branch has new data.
    pub refreshed: bool,
    /// What somebody should know.
    pub notes: Vec<String>,
    /// Branches whose data are older than the root branch's.
    pub stale: Vec<String>,
}

/// What the end of following left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowStopped {
    /// Whether something was followed.
    pub was_following: bool,
    /// The slot that could not be dropped at the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_slot: Option<String>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The statement that drops it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

/// In short, of a root branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Follows {
    /// Host and database of the source.
    pub source: String,
    /// What following is doing.
    pub state: FollowState,
    /// Why, where the state is no good one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub trouble: Option<String>,
    /// It has what the source had then, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub fresh_at: Option<u64>,
}

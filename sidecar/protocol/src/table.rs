//! What a list of branches shows of each, and no more: a thousand of them are read in a moment.

use serde::{Deserialize, Serialize};

use crate::types::ComputeState;

/// All branches, as one who stands in a worktree sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BranchTable {
    /// Parents before children.
    pub lines: Vec<BranchLine>,
}

/// One branch. What is as it mostly is takes no room on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BranchLine {
    /// Name.
    pub name: String,
    /// Place of the parent's line among [`BranchTable::lines`]; smaller than this one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// State of its Postgres.
    #[serde(default, skip_serializing_if = "is_asleep")]
    pub state: ComputeState,
    /// Why the state is failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Bytes on disk that no other branch uses.
    pub own_bytes: u64,
    /// Whether the endpoint of the worktree that was named leads here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub here: bool,
    /// Whether git has a branch of this name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_git: bool,
    /// Connections to it, over all endpoints.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub connections: u64,
    /// Cannot be deleted, reset or renamed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// The root branch got new data that this one has not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    /// The server that it, the root branch, follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<crate::follow::Follows>,
    /// When it goes to the trash by itself, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// From how many bytes of its own on a rule has it told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_asleep(state: &ComputeState) -> bool {
    *state == ComputeState::Asleep
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_it_mostly_is_takes_no_room() {
        let plain = BranchLine { name: "a".into(), own_bytes: 7, ..BranchLine::default() };
        let line = BranchLine {
            name: "b".into(),
            parent: Some(0),
            state: ComputeState::Failed,
            failure: Some("no room".into()),
            own_bytes: 8,
            here: true,
            in_git: true,
            connections: 2,
            protected: true,
            stale: true,
            follows: None,
            expires_at: Some(9),
            max_bytes: Some(10),
        };
        let table = BranchTable { lines: vec![plain.clone(), line] };
        let text = serde_json::to_string(&table).unwrap();
        assert!(text.starts_with(r#"{"lines":[{"name":"a","ownBytes":7},{"name":"b","parent":0,"#), "{text}");
        assert_eq!(serde_json::from_str::<BranchTable>(&text).unwrap(), table);
    }
}

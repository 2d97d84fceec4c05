//! What the rules of `offshoot.toml` say about branches.

use serde::{Deserialize, Serialize};

/// What rules gave a branch, or one that it was made of, when it was made: exactly what was not there before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    /// The role that made it, whose later objects the grants are about too.
    pub owner: String,
    /// Extensions, with those that they need.
    pub extensions: Vec<String>,
    /// Schemas that came with extensions.
    pub schemas: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// What roles may do.
    pub grants: Vec<GivenGrant>,
}

/// What a role may do with what there is in a schema, and with what is made there later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GivenGrant {
    /// In small letters.
    pub privileges: Vec<String>,
    /// `tables`, `sequences`, `functions` or `schema`.
    pub on: String,
    /// The schema.
    pub schema: String,
    /// To whom.
    pub role: String,
}

/// What decides about a branch is asked for. There need be no such branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyExplainParams {
    /// Its name.
    pub name: String,
    /// The worktree that the person stands in.
    pub path: String,
}

/// What holds for a branch, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyExplained {
    /// Its name.
    pub name: String,
    /// Whether there is a database branch of this name.
    pub exists: bool,
    /// The rule that decides; absent if none fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<PolicyPlace>,
    /// One for each property.
    pub settings: Vec<PolicySetting>,
}

/// A rule, or a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct PolicyPlace {
    /// The file; with `main:` before it as it is committed on the branch `main`.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// The pattern of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

/// One property of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySetting {
    /// The key: `parent`, `ttl`, `protected`, `on_checkout`, `max_bytes` or `limits.branches`.
    pub key: String,
    /// Its value as the file would have it; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Who decided.
    pub by: PolicyBy,
    /// Where, if a file did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PolicyPlace>,
    /// What a person should know about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Who decided about a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PolicyBy {
    /// A line of the file.
    File,
    /// A person, by a command.
    Person,
    /// Nobody.
    Default,
}

/// What the rules would change on branches that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyPlan {
    /// What `policy/apply` would do.
    pub changes: Vec<PolicyChange>,
    /// Branches that a rule protects; it holds already.
    pub guarded: Vec<PolicyGuarded>,
    /// Sessions that the rules would not let in as they are; `policy/apply` ends them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<PolicySessions>,
    /// Branches that are to have masked data only and have others; they are told, and nothing is done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmasked: Vec<PolicyUnmasked>,
    /// Branches whose expiry a person has set, where a rule says something else; they are left alone.
    pub kept: Vec<String>,
}

/// A change of a branch's expiry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyChange {
    /// Number of the branch.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// When it goes to the trash now, in seconds since 1970; absent for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// When it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// Why, as the end of a sentence.
    pub why: String,
    /// The line that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PolicyPlace>,
}

/// Sessions on a branch that write where a rule says now that they only read, or the other way round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySessions {
    /// Number of the branch.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// How many.
    pub count: u64,
    /// The line that says who may write; absent if none does any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PolicyPlace>,
}

/// A branch that could not be made of the data that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyUnmasked {
    /// Its name.
    pub name: String,
    /// Why, as a sentence without an end.
    pub why: String,
    /// The line that asks for masked data.
    pub place: PolicyPlace,
}

/// A branch that a rule protects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyGuarded {
    /// Its name.
    pub name: String,
    /// The line that says so.
    pub place: PolicyPlace,
}

/// Changes that a person has seen and wants to have made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyApplyParams {
    /// As `policy/plan` told them.
    pub changes: Vec<PolicyChange>,
    /// Those whose sessions end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<PolicySessions>,
}

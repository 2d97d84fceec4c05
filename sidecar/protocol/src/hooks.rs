//! Commands of `offshoot.toml`, and whether they are trusted.

use serde::{Deserialize, Serialize};

/// A person trusts the commands, or no longer; or only asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrustParams {
    /// The [`Trust::digest`] of the commands that the person has seen and trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// No command is trusted any more.
    #[serde(default)]
    pub revoke: bool,
}

/// The commands of `offshoot.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trust {
    /// All of them.
    pub commands: Vec<HookCommand>,
    /// Whether a person trusts them as they are.
    pub trusted: bool,
    /// Differs for any two lists of commands.
    pub digest: String,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HookCommand {
    /// The key: `hooks.after_create` or `hooks.before_delete`.
    pub key: String,
    /// For `/bin/sh`.
    pub command: String,
    /// In `offshoot.toml`.
    pub line: usize,
}

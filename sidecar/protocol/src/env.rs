//! The file in which programs of a work tree find the address.

use serde::{Deserialize, Serialize};

/// Something is to be done with a work tree's env file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvParams {
    /// Any path inside the work tree.
    pub path: String,
    /// What.
    pub action: EnvAction,
}

/// What is done with an env file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EnvAction {
    /// Nothing is changed.
    Show,
    /// The variables are set, whatever they are set to, and kept in step from then on.
    Write,
    /// The lines become what they were, and nothing more is written in this work tree.
    Undo,
}

/// How an env file stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvStatus {
    /// The file, from the top of the work tree; absent if `offshoot.toml` names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line of `offshoot.toml` that names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The variables.
    #[serde(default)]
    pub variables: Vec<String>,
    /// How it stands.
    pub state: EnvState,
    /// Why, where it is not in step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How an env file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EnvState {
    /// `offshoot.toml` names no file.
    None,
    /// A person took it back.
    Off,
    /// It has the address.
    InStep,
    /// It is not written yet.
    Due,
    /// A person changed a line since it was written; it is left alone.
    ByHand,
    /// It cannot be written.
    Refused,
}

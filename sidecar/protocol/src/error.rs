//! The one error of the wire.

use serde::{Deserialize, Serialize};

/// Whose move it is after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum ErrorKind {
    /// The request cannot be met as it was put: a name that exists, a branch that is in use.
    User,
    /// The surroundings have to change: a port that is taken, a file that cannot be parsed, a program that is missing.
    Configuration,
    /// The engine or a Postgres failed at something that should have worked.
    Engine,
    /// A defect of Offshoot.
    Internal,
}

impl ErrorKind {
    /// The name of the kind on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Configuration => "configuration",
            Self::Engine => "engine",
            Self::Internal => "internal",
        }
    }
}

/// A failure as a person reads it: what happened, and what to do next.
///
/// Travels in `error.data` of a JSON-RPC response; `error.message` repeats the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
pub struct RpcError {
    /// Whose move it is.
    pub kind: ErrorKind,
    /// One sentence, lower case, without a full stop: what happened, to which branch.
    pub message: String,
    /// What to do next; may have several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// A stable word for programs that act on this very situation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Situations that a client acts on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The repository is a copy (`cp -r`) of another one that still exists and owns the store.
    CopiedRepository,
    /// The request was cancelled.
    Cancelled,
    /// No such method: the other side is of another version.
    UnknownMethod,
    /// The engine is on its way out.
    Stopping,
    /// Somebody stopped the engine; it starts again when something is asked of it.
    Stopped,
    /// A migration tool is not installed.
    MissingTool,
    /// There are no migrations of any tool that is known.
    NoMigrations,
    /// Code of others would run to which nobody has agreed yet.
    NotAgreed,
    /// A migration tool runs on a branch, which this would pull away from under it.
    UnderWay,
    /// A rule of `offshoot.toml` forbids it; `overrideRules` goes against it.
    Ruled,
}

impl RpcError {
    /// An error of `kind` without a hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, reason: None }
    }

    /// [`ErrorKind::User`].
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message)
    }

    /// [`ErrorKind::Configuration`].
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Configuration, message)
    }

    /// [`ErrorKind::Engine`].
    pub fn engine(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Engine, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The same error with `hint`.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error with `reason`.
    #[must_use]
    pub fn reason(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The JSON-RPC code: the standard ones where they exist, else one of the range for servers.
    pub fn code(&self) -> i64 {
        match (self.reason, self.kind) {
            (Some(Reason::UnknownMethod), _) => -32601,
            (Some(Reason::Cancelled), _) => -32800,
            (_, ErrorKind::User) => -32001,
            (_, ErrorKind::Configuration) => -32002,
            (_, ErrorKind::Engine) => -32003,
            (_, ErrorKind::Internal) => -32603,
        }
    }
}

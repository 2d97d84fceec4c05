//! Migrations that go from a git branch to the database branch of a tier.

use serde::{Deserialize, Serialize};

use crate::migrations::{MigrationsApplied, MigrationsOutcome, MigrationsReport, MigrationsVariable};
use crate::policy::PolicyPlace;

/// The migrations of a git branch are to be promoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct PromoteParams {
    /// Any path inside the worktree, whose installed packages the tools may need.
    pub folder: String,
    /// The git branch; absent means the one that is checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The branch of the tier; absent means the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The commit that the branch has to be at, such as that of a trial which somebody agreed to; absent means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Which project, by tool or id; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Only the checks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub dry_run: bool,
    /// Against the rules of `offshoot.toml`, where they allow it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
    /// The environment of the tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<MigrationsVariable>>"))]
    pub environment: Vec<MigrationsVariable>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Promoted {
    /// The git branch.
    pub branch: String,
    /// Its commit, whose files ran.
    pub commit: String,
    /// The branch of the tier.
    pub to: String,
    /// Whether only the checks were made.
    pub dry_run: bool,
    /// Whether the tier has the migrations now, or would have.
    pub passed: bool,
    /// The files that the tier lacked, in the order in which they run.
    pub lacked: Vec<String>,
    /// One for each thing that the tier wants.
    pub checks: Vec<PromoteCheck>,
    /// Whether a check was gone past.
    pub overridden: bool,
    /// Whether `--override` would go past the checks that failed.
    pub may_override: bool,
    /// What was tried on a throwaway; absent if nothing was lacking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<MigrationsReport>,
    /// What was done on the tier's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<MigrationsApplied>,
    /// Whether the tier's branch was taken back to what it was, as the tool failed there.
    pub taken_back: bool,
    /// What a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(optional, as = "Option<Vec<String>>"))]
    pub notes: Vec<String>,
    /// How long all of it took.
    pub took_ms: u64,
}

/// Something that a tier wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct PromoteCheck {
    /// As the file has it: a word of `checks`, `max_lock` or `max_rewrite`.
    pub name: String,
    /// How it went. What could not be tried does not hold either.
    pub outcome: MigrationsOutcome,
    /// What was found, in one sentence; may be empty if it went well.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line that wants it; absent for what is always wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PolicyPlace>,
}

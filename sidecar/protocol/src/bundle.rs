//! Branches as files, for another store.

use serde::{Deserialize, Serialize};

use crate::editor::ProgressToken;
use crate::types::Branch;

/// Asks for a bundle of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleCreateParams {
    /// Name of the branch.
    pub branch: String,
    /// The absolute path of an empty file to write it to.
    pub file: String,
    /// All pages, not only those that differ from a base.
    #[serde(default)]
    pub full: bool,
}

/// What a bundle has in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// The branch that it was made of.
    pub branch: String,
    /// The version of Postgres.
    pub postgres: String,
    /// The cluster's number; the same in all branches of a store. As text: it has more digits than a number in JSON.
    pub system_identifier: String,
    /// The timeline of the last checkpoint in it.
    pub timeline: u32,
    /// Where that checkpoint is.
    pub checkpoint: String,
    /// The state that the other side must have; absent if all pages are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BundleBase>,
    /// Relation files.
    pub relations: u64,
    /// Pages of 8 KiB.
    pub pages: u64,
    /// Bytes of it, unpacked.
    pub unpacked_bytes: u64,
    /// Extensions of the database.
    pub extensions: Vec<String>,
    /// Roles whose password verifiers are in it.
    pub roles: Vec<String>,
    /// The hash of the schema.
    pub schema: String,
    /// SHA-256 over all pages, if all are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// A state that a bundle is made against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct BundleBase {
    /// SHA-256 over all of its pages.
    pub id: String,
    /// What it is called where the bundle was made.
    pub label: String,
}

/// A bundle that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct BundleCreated {
    /// What is in it.
    pub bundle: Bundle,
    /// Bytes of the file.
    pub bytes: u64,
    /// The snapshot of the branch that smaller bundles are made against from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// Asks for a branch of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BundleApplyParams {
    /// The absolute path of the bundle.
    pub file: String,
    /// Name of the branch to make; the one that the bundle was made of otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Put it in the place of the root branch.
    #[serde(default)]
    pub root: bool,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub override_rules: bool,
}

/// What was made of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct BundleApplied {
    /// The branch.
    pub branch: Branch,
    /// What was in the bundle.
    pub bundle: Bundle,
    /// The snapshot of the branch that smaller bundles stand on from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// What somebody should know.
    pub notes: Vec<String>,
}

/// An editor wants a bundle of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorBundleCreateParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch.
    pub branch: String,
    /// The absolute path of the file. One that is there is replaced, once the new one is whole.
    pub file: String,
    /// All pages, not only those that differ from a base.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub full: bool,
    /// Reports go here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_done_token: Option<ProgressToken>,
}

/// A file with a bundle is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorBundleParams {
    /// URI of the folder.
    pub folder: String,
    /// The absolute path of the file.
    pub file: String,
}

/// An editor wants a branch of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorBundleApplyParams {
    /// URI of the folder.
    pub folder: String,
    /// The absolute path of the file.
    pub file: String,
    /// Name of the branch to make.
    pub name: String,
    /// Against the rules of `offshoot.toml`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
    pub override_rules: bool,
    /// Reports go here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_done_token: Option<ProgressToken>,
}

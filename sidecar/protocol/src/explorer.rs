//! Whole schemas: what the tree of objects, the summary of a branch and its picture are made of, `camelCase`.

use serde::{Deserialize, Serialize};

use crate::types::SchemaObject;

/// Asks the engine for all facts of a branch's schema, as the text that `offshoot schema export` writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FactsParams {
    /// Name of the branch.
    pub branch: String,
    /// Whether the branch may be woken.
    pub wake: bool,
    /// The revision that the asker has; it gets no text if that is the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<u64>,
    /// Bytes of the text that the asker has already; other than 0 only together with `revision`.
    #[serde(default)]
    pub offset: u64,
    /// The revision that the first pieces belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// A piece of a schema's text: a message must not become too long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FactsPiece {
    /// The branch would have to be woken; all else says nothing then.
    pub asleep: bool,
    /// Changes with every new state of the schema. Another one than that of the first pieces: begin anew.
    pub revision: u64,
    /// The piece from `offset`.
    pub text: String,
    /// Where the next piece begins, in bytes; absent after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// Asks for the objects of a branch's schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorObjectsParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch.
    pub branch: String,
    /// Whether the branch may be woken.
    pub wake: bool,
}

/// The objects of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct SchemaObjects {
    /// The branch would have to be woken.
    pub asleep: bool,
    /// Sorted by kind, schema and name.
    pub objects: Vec<SchemaObject>,
}

/// Asks for the parts of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorPartsParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch.
    pub branch: String,
    /// The object.
    pub object: SchemaObject,
}

/// The parts of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct ObjectParts {
    /// In the order of the definition.
    pub parts: Vec<ObjectPart>,
}

/// A part of an object: a column, an index, a constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct ObjectPart {
    /// `column`, `index`, `constraint` …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is to be said of it in a line.
    pub detail: String,
}

/// Asks for what a branch does to the schema of its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct EditorSummaryParams {
    /// URI of the folder.
    pub folder: String,
    /// Name of the branch.
    pub branch: String,
    /// What to show: JSON of a filter of `offshoot-summary`; absent for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// A summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct SchemaSummary {
    /// The document in the language `offshoot-diff`.
    pub document: String,
    /// JSON of a picture of `offshoot-summary`.
    pub picture: String,
}

/// The schemas that a summary is made of, each as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(export_to = "types.ts"))]
#[serde(rename_all = "camelCase")]
pub struct ComparedFacts {
    /// Name of the parent.
    pub base: String,
    /// The branch's.
    pub mine: String,
    /// The parent's.
    pub theirs: String,
    /// The parent's when the branch was made; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<String>,
}

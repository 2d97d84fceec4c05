//! Postgres schemas as facts: read from catalogs, compared, planned and written as text.
//!
//! A [`Facts`] holds one [`Fact`] per object and part of an object, with references as edges. Everything is compared
//! generically. The crate is pure; only [`read`], behind the feature `postgres`, talks to a server.

#![allow(clippy::format_push_string, reason = "writing SQL reads better so, and is never hot")]

pub mod diff;
mod fact;
mod kind;
mod object;
pub mod plan;
#[cfg(feature = "postgres")]
mod read;
mod rename;
mod render;
mod sql;
mod text;
mod three_way;
mod tokens;
mod unread;

pub use fact::{Fact, FactId, Facts, Value};
pub use kind::{Kind, Kind as ObjectKind};
pub use object::{Change, ChangeKind, Object, changes, changes_counting};
pub use plan::{Plan, PlanOptions, plan};
#[cfg(feature = "postgres")]
pub use read::{ReadError, read, read_settled};
pub use rename::{
    Fitting, FittingSince, Rename, RenameCandidate, RenameError, RenamedObject, Renamer, Renames,
    former_name, renames,
};
pub use sql::{literal, quote};
pub use text::TextError;
pub use three_way::{Conflict, ThreeWay, three_way};

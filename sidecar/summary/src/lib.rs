//! What a branch does to the schema of its parent: a document and a picture that a reviewer reads in a minute.
//!
//! Facts in, plain data out. The crate is pure: the engine has it natively, the editor's picture as wasm.

#![allow(clippy::format_push_string, reason = "writing text reads better so, and is never hot")]

mod document;
mod filter;
mod lines;
mod parts;
mod picture;
mod sides;
mod words;

pub use document::document;
pub use filter::{Choices, Filter};
pub use parts::{Part, parts};
pub use picture::{Chip, Column, Link, Picture, State, TableBox, TablePart, picture};
pub use sides::{Entry, Group, ObjectRef, Side, Sides};
pub use words::title;

#[cfg(test)]
mod typescript;

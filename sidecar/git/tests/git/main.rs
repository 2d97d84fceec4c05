//! The behaviour of the crate with a real git.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod branches;
mod discover;
mod head;
mod hooks;
mod origin;
mod project;
mod renames;
mod standing;
mod support;
mod watch;
mod worktrees;

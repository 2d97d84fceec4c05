//! Reads and watches git directories, and never writes to them.
//!
//! The git directory is the truth: every function here reads it afresh, and a [`Watcher`] only says what is
//! worth reading again. The one file that Offshoot owns in there is the project's id
//! ([`Repository::write_project_id`]).
//!
//! ```text
//! discover(path) ─► Worktree ─► head, operation, origin_of
//!                      └─► Repository ─► worktrees, branches, project_id, watch
//! ```
//!
//! # Branch names
//! A branch is a `String`: its short name, `feature/login` for `refs/heads/feature/login`. Git allows bytes that
//! are not UTF-8; each of them appears as `\xNN` (two lower-case hexadecimal digits). Git allows no backslash in a
//! name, so two different names never become one. [`branch_name_to_bytes`] gives git's bytes back.
//!
//! # The command `git`
//! Discovery always asks `git` (2.13 or newer). Everything else reads the files and asks only where the files do
//! not tell: a reftable repository, or ancestry.

mod arrival;
mod blob;
mod config;
mod discover;
mod error;
mod head;
mod hooks;
mod name;
mod nearest;
mod operation;
mod origin;
mod project;
mod reflog;
mod refs;
mod renames;
mod run;
mod standing;
mod sys;
mod watch;
mod worktrees;

pub use arrival::{ancestors, commit_time, merged_since, movements_since, was_checked_out};
pub use discover::{Repository, Worktree, discover, discover_with};
pub use error::GitError;
pub use head::{Head, head};
pub use hooks::{HOOKS, HookError, HookState, Hooks, hooks, hooks_left};
pub use name::{branch_name_from_bytes, branch_name_to_bytes};
pub use nearest::nearest_branch;
pub use operation::{Operation, operation};
pub use origin::{Origin, lineage_of, origin_of};
pub use project::ProjectId;
pub use renames::{earlier_names, names_while_checked_out};
pub use run::Environment;
pub use standing::{Standing, standing};
pub use watch::{Backend, Change, Mode, Watcher, watch, watch_with};

//! Whether a worktree still is what was looked at, before something is run because of it.

use std::sync::Arc;

use offshoot_migrations::Project;
use offshoot_storage::BranchId;

use super::files::id_of;
use super::status;
use crate::engine::Engine;
use crate::failure::{Failure, Result};

/// Refuses to go on if the worktree of `folder` has other migrations of `project` by now, or leads elsewhere than to
/// `branch`.
///
/// # Errors
/// With what changed.
pub(super) async fn check(
    engine: &Arc<Engine>,
    folder: &str,
    project: &Project,
    branch: Option<BranchId>,
) -> Result<()> {
    let place = status::place(engine, folder).await?;
    let leads_there = branch.is_none_or(|meant| place.branch.as_ref().is_ok_and(|(id, _)| *id == meant));
    let scan = place.scan(engine).await?;
    let now = scan.projects.iter().find(|one| id_of(one) == id_of(project));
    if leads_there && now.is_some_and(|now| now.migrations == project.migrations) {
        return Ok(());
    }
    let what =
        if leads_there { "the migrations of the worktree changed" } else { "another branch was checked out" };
    Err(Failure::user(format!("{what} before {} was started", project.tool.name()))
        .hint("It was not run. Begin again with `offshoot migrations status`."))
}

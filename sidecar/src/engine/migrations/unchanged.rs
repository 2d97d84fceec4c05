//! Whether a worktree still is what was looked at, before something is run because of it.

use std::sync::Arc;

use offshoot_migrations::Project;
use offshoot_protocol::migrations::{MigrationsOutcome, MigrationsStep};
use offshoot_storage::BranchId;

use super::files::id_of;
use super::status::{self, Place};
use crate::engine::Engine;
use crate::failure::{Failure, Result};

/// Refuses to go on if the worktree of `folder`, which was `looked_at`, has other migrations of `project` by now, or leads elsewhere
/// than to `branch`. What was unpacked of a commit stays as it is.
///
/// # Errors
/// With what changed.
pub(super) async fn check(
    engine: &Arc<Engine>,
    looked_at: &Place,
    folder: &str,
    project: &Project,
    branch: Option<BranchId>,
) -> Result<()> {
    if looked_at.unpacked_of.is_some() {
        return Ok(());
    }
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

/// Makes a run fail during which the worktree became another one: the tool read its files from there.
pub(super) fn tell(step: &mut MigrationsStep, project: &Project, branch: &str) {
    let tool = project.tool.name();
    let what = format!(
        "the worktree's branch or migrations changed while {tool} ran: it may have run files on {branch} that are not those \
         of its git branch. Look at what it printed and at `offshoot migrations status`; `offshoot migrations undo` goes back"
    );
    step.message =
        if step.outcome == MigrationsOutcome::Passed { what } else { format!("{}; {what}", step.message) };
    step.outcome = MigrationsOutcome::Failed;
}

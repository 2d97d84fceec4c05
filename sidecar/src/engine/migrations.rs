//! Migrations: what the tools did to the branches, and running them.

mod accepted;
mod advice;
mod apply;
mod aside;
mod blame;
mod busy;
mod check;
mod create;
mod cut_short;
mod drift;
mod elsewhere;
mod files;
mod git;
mod history;
mod lost;
mod passage;
mod promote;
mod ran;
mod rehearse;
mod replay;
mod report;
mod runner;
mod sizes;
mod stage;
mod status;
mod told;
mod tool;
mod trial;
mod twice;
mod unchanged;
mod undo;
mod way_back;
mod wire;
mod written;

pub(super) use apply::apply;
pub(super) use aside::{Left, left, standing};
pub(super) use check::check;
pub(super) use create::create;
pub(super) use cut_short::{notice, recover};
pub(super) use drift::drift;
pub(super) use promote::promote;
pub(super) use ran::ran;
pub(super) use rehearse::rehearse;
pub(super) use status::{carry_over, status};
pub(super) use tool::{Address, Filter, Group, hook_environment};
pub(super) use undo::undo;

use std::sync::Arc;

use offshoot_storage::BranchId;

use super::Engine;
use crate::failure::Result;
use crate::histories::Histories;

/// What the engine remembers of them. All of it can be read again.
#[derive(Default)]
pub(crate) struct Migrations {
    trees: files::Trees,
    commits: files::Commits,
    pub(super) histories: history::Histories,
    sizes: sizes::Sizes,
    busy: busy::Busy,
}

/// The tables that the migration tools of the worktrees keep for themselves, as far as their files can be read.
pub(super) async fn histories(engine: &Arc<Engine>) -> Result<Histories> {
    let views = engine.binding.views().await?;
    let read = engine.blocking(move |engine| {
        let mut found = Histories::default();
        for view in views {
            match engine.migrations.trees.scan(&view.path) {
                Ok(scan) => found.extend(Histories::of(&scan.projects)),
                Err(failure) => {
                    tracing::debug!(error = %failure, "the history tables of a worktree are unknown");
                }
            }
        }
        Ok(found)
    });
    read.await
}

impl Migrations {
    /// Refuses what would pull a branch away from under a migration tool that runs there.
    ///
    /// # Errors
    /// If one does.
    pub(super) fn check_idle(&self, id: BranchId) -> Result<()> {
        self.busy.check(id)
    }

    /// Refuses what would end all migration tools that run.
    ///
    /// # Errors
    /// If one does.
    pub(super) fn check_all_idle(&self) -> Result<()> {
        self.busy.check_all()
    }

    /// Whether a migration tool runs on a branch.
    pub(super) fn runs_on(&self, id: BranchId) -> bool {
        self.busy.has(id)
    }
}

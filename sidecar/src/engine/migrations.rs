//! Migrations: what the tools did to the branches, and running them.

mod advice;
mod apply;
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
mod passage;
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
pub(super) use check::check;
pub(super) use create::create;
pub(super) use cut_short::notice;
pub(super) use drift::drift;
pub(super) use ran::ran;
pub(super) use rehearse::rehearse;
pub(super) use status::status;
pub(super) use undo::undo;

use offshoot_storage::BranchId;

use crate::failure::Result;

/// What the engine remembers of them. All of it can be read again.
#[derive(Default)]
pub(crate) struct Migrations {
    trees: files::Trees,
    commits: files::Commits,
    pub(super) histories: history::Histories,
    sizes: sizes::Sizes,
    busy: busy::Busy,
}

impl Migrations {
    /// Refuses what would pull a branch away from under a migration tool that runs there.
    ///
    /// # Errors
    /// If one does.
    pub(super) fn check_idle(&self, id: BranchId, name: &str) -> Result<()> {
        self.busy.check(id, name)
    }

    /// Whether a migration tool runs on a branch.
    pub(super) fn runs_on(&self, id: BranchId) -> bool {
        self.busy.has(id)
    }
}

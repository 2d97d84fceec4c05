//! Migrations: what the tools did to the branches, and running them.

mod apply;
mod busy;
mod check;
mod create;
mod drift;
mod elsewhere;
mod files;
mod history;
mod rehearse;
mod report;
mod runner;
mod stage;
mod status;
mod tool;
mod trial;
mod undo;
mod wire;

pub(super) use apply::apply;
pub(super) use check::check;
pub(super) use create::create;
pub(super) use drift::drift;
pub(super) use rehearse::rehearse;
pub(super) use status::status;
pub(super) use undo::undo;

/// What the engine remembers of them. All of it can be read again.
#[derive(Default)]
pub(crate) struct Migrations {
    trees: files::Trees,
    pub(super) histories: history::Histories,
    busy: busy::Busy,
}

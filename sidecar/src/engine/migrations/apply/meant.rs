//! Which tools are to run.

use std::sync::Arc;

use offshoot_migrations::{BranchStatus, Code, Next, Project, Scan, State, Subject};
use offshoot_protocol::migrations::{MigrationsApplyParams, MigrationsDirection};
use offshoot_storage::BranchId;

use super::super::files::id_of;
use super::super::{history, stage};
use crate::engine::Engine;
use crate::failure::{Failure, Result};

/// A project that may have something to run.
pub(super) struct Meant {
    /// Its place in the scan.
    pub(super) at: usize,
    /// Whether it is known that there is something to do.
    pub(super) must: bool,
    /// The file that the way back takes, where that can be told.
    pub(super) back: Option<usize>,
    /// How many of its migrations are applied.
    pub(super) ran: usize,
}

/// The projects that may have something to run.
pub(super) async fn to_run(
    engine: &Arc<Engine>,
    scan: &Arc<Scan>,
    id: BranchId,
    name: &str,
    params: &MigrationsApplyParams,
) -> Result<Vec<Meant>> {
    let places = stage::places(scan, params.tool.as_deref())?;
    let projects: Vec<&Project> = places.iter().map(|at| &scan.projects[*at]).collect();
    let histories = history::read(engine, id, &projects, true).await;
    let histories = histories.map_err(|why| history::unread(name, &why))?;
    let mut meant = Vec::new();
    for (at, history) in places.into_iter().zip(histories) {
        let project = &scan.projects[at];
        let status = project.status(&history, &offshoot_migrations::Observed::default());
        if let Some(why) = stage::unknown(&status) {
            return Err(why);
        }
        // A file that the tool refuses is for the tool to complain of.
        let open = |state: State| {
            matches!(state, State::Pending | State::OutOfOrder | State::Failed | State::Unknown)
        };
        let wanted = match params.direction {
            MigrationsDirection::Up => status.entries.iter().any(|entry| open(entry.state)),
            MigrationsDirection::Down => status.count(State::Applied) + status.count(State::Changed) > 0,
        };
        if params.direction == MigrationsDirection::Up {
            finished(project, &status)?;
        }
        // What the tool passes over in silence is nothing that it must do.
        let waits = |entry: &offshoot_migrations::Entry| {
            entry.next == Next::Runs && matches!(entry.state, State::Pending | State::OutOfOrder)
        };
        let must = params.direction == MigrationsDirection::Down || status.entries.iter().any(waits);
        if wanted {
            let ran = status.count(State::Applied) + status.count(State::Changed);
            meant.push(Meant { at, must, back: project.taken_back(&status), ran });
        }
    }
    if params.direction == MigrationsDirection::Down && meant.len() > 1 {
        let ids: Vec<_> = meant.iter().map(|one| id_of(&scan.projects[one.at])).collect();
        return Err(Failure::user("several tools have applied migrations here")
            .hint(format!("Say whose newest is meant, with `--tool`: {}.", ids.join(", "))));
    }
    Ok(meant)
}

/// Refuses files with the markers of a merge in them: the tool would run them as they are.
fn finished(project: &Project, status: &BranchStatus) -> Result<()> {
    let runs = |path: &str| {
        status.entries.iter().any(|entry| match entry.subject {
            Subject::File(place) => entry.next == Next::Runs && project.migrations[place].path == path,
            Subject::Row(_) => false,
        })
    };
    let mut marked = project.diagnostics.iter().filter(|found| found.code == Code::ConflictMarkers);
    match marked.find(|found| runs(&found.path)) {
        None => Ok(()),
        Some(found) => {
            Err(Failure::user(format!("a merge is not finished in {}, line {}", found.path, found.line))
                .hint("Take its markers out, and apply again. Nothing was run."))
        }
    }
}

//! The past of branches: making one as of a moment, and keeping and cutting off what that takes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offshoot_protocol::past::{Moment as Wanted, MomentParams};
use offshoot_protocol::snapshot::SnapshotParams;
use offshoot_protocol::types::{CreateParams, FactsFile};
use offshoot_storage::{Branch, BranchId, Moment, Store};

use super::reporter::unless_cancelled;
use super::server::Call;
use super::throwaway::Throwaway;
use super::{Engine, branches, fork, restore, room, snapshots};
use crate::failure::{Failure, Result};

/// How often what is too old is looked for.
const TRIM_INTERVAL: Duration = Duration::from_mins(2);

/// The moment that is asked for, if any is.
pub(super) fn moment(params: &CreateParams) -> Result<Option<Moment>> {
    match (params.at_us, &params.at_lsn) {
        (None, None) => Ok(None),
        (Some(us), None) => Ok(Some(Moment::Time(UNIX_EPOCH + Duration::from_micros(us)))),
        (None, Some(text)) => {
            let lsn = text.parse().map_err(|error| Failure::user(format!("{error}")))?;
            Ok(Some(Moment::Lsn(lsn)))
        }
        (Some(_), Some(_)) => Err(Failure::user("a moment is a time or a position, not both")),
    }
}

/// Makes a branch of `from` as of `moment`. It is given up when the client cancels or goes.
pub(super) async fn create(
    engine: &Arc<Engine>,
    name: String,
    from: BranchId,
    moment: Moment,
    call: &Call,
) -> Result<Branch> {
    let made = unless_cancelled(engine, call, move |engine, progress| {
        room::admit(engine)?;
        Ok(engine.store.create_branch_at(&name, from, moment, progress)?)
    });
    made.await
}

/// `past/schema`: read in a throwaway, which goes again.
pub(super) async fn schema(engine: &Arc<Engine>, params: MomentParams, call: &Call) -> Result<FactsFile> {
    let MomentParams { branch, at } = params;
    let moment = match &at {
        Wanted::Snapshot(name) => {
            let params = SnapshotParams { branch, name: name.clone() };
            return snapshots::schema(engine, params, call).await;
        }
        at => restore::instant(at)?,
    };
    let id = branches::named(engine, &branch).await?;
    let Some(moment) = moment else {
        return Err(Failure::internal("a moment is neither a time nor a position"));
    };
    let then = Throwaway::as_of(engine, id, moment, Store::create_throwaway_at, call).await?;
    call.progress("reading the schema of then", 0, None);
    let path = call.while_wanted(fork::file_of_throwaway(engine, then.id())).await;
    then.remove().await?;
    Ok(FactsFile { path: path?.to_string_lossy().into_owned() })
}

/// Keeps the past, and cuts it off where it is too long.
#[derive(Debug)]
pub(super) struct Keeper {
    trimmed: Option<Instant>,
    /// Whether the last attempt failed; it was told then.
    failing: bool,
}

impl Keeper {
    pub(super) fn new() -> Self {
        Self { trimmed: None, failing: false }
    }

    /// One look, every few seconds.
    pub(super) async fn look(&mut self, engine: &Arc<Engine>) {
        let trims = self.trimmed.is_none_or(|at| at.elapsed() >= TRIM_INTERVAL);
        let work = move |engine: &Arc<Engine>| {
            engine.store.set_restore_window(room::restore(engine));
            if trims {
                engine.store.trim_past(SystemTime::now())?;
            }
            // Where nothing more is made, this is not made either.
            if room::admit(engine).is_ok() {
                engine.store.keep_past()?;
            }
            Ok(())
        };
        if trims {
            self.trimmed = Some(Instant::now());
        }
        match engine.blocking(work).await {
            Ok(()) => self.failing = false,
            Err(failure) => {
                if !self.failing {
                    tracing::warn!(error = %failure, "cannot keep the past of branches; it is tried again quietly");
                }
                self.failing = true;
            }
        }
    }
}

//! The past of branches: making one as of a moment, and keeping and cutting off what that takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use offshoot_postgres::Progress;
use offshoot_protocol::types::CreateParams;
use offshoot_storage::{Branch, BranchId, Moment};

use super::server::Call;
use super::{Engine, room};
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
    let reporter = Reporter { engine: Arc::clone(engine), call: call.clone(), over: Arc::default() };
    let over = Arc::clone(&reporter.over);
    let work = engine.blocking(move |engine| {
        room::admit(engine)?;
        Ok(engine.store.create_branch_at(&name, from, moment, &reporter)?)
    });
    tokio::pin!(work);
    let wanted = call.while_wanted(async {
        let made = (&mut work).await;
        Ok(made)
    });
    if let Ok(made) = wanted.await {
        return made;
    }
    over.store(true, Ordering::Release);
    // Nothing is left of it, unless it was there already.
    work.await
}

struct Reporter {
    engine: Arc<Engine>,
    call: Call,
    over: Arc<AtomicBool>,
}

impl Progress for Reporter {
    fn step(&self, what: &str, done: u64, total: Option<u64>) {
        self.call.progress(what, done, total);
    }

    fn is_cancelled(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.engine.is_stopping()
    }
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

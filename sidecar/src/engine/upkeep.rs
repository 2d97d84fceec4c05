//! What the engine does by itself, once a second and less often.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use offshoot_protocol::types::Subject;
use offshoot_storage::{BranchId, MAX_DEPTH, Merged};
use tokio::time::{MissedTickBehavior, interval};

use super::past::Keeper;
use super::presence::Presence;
use super::{Engine, expiry, fork, room};
use crate::failure::Result;

const INTERVAL: Duration = Duration::from_secs(1);
/// How long a Postgres may take nobody while none of its processes does anything. Less than clients are kept waiting.
const STUCK_PATIENCE: Duration = Duration::from_secs(15);
/// How often quiet branches are looked for, to write their checkpoints.
const QUIET_INTERVAL: Duration = Duration::from_secs(2);
/// How often the trash is looked through.
const PURGE_INTERVAL: Duration = Duration::from_hours(1);
/// How often it is looked whether layers can be merged.
const MERGE_INTERVAL: Duration = Duration::from_secs(2);
/// Bytes of pages that are merged in one go: what removes something may have to wait for so many.
const MERGE_STEP_BYTES: u64 = 1 << 20;
/// Steps at a time: 4 MB a second at the most.
const MERGE_STEPS: u32 = 8;
/// Between two steps, so that whoever waits has his turn.
const MERGE_PAUSE: Duration = Duration::from_millis(20);
/// How often merging gives way to others before it takes a step all the same.
const MERGE_PATIENCE: u32 = 15;

/// Work on the store that may take long and holds nothing up. Never returns.
pub(crate) async fn run_slow(engine: Arc<Engine>) {
    let mut ticks = interval(QUIET_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut purged = Instant::now();
    let mut keeper = Keeper::new();
    loop {
        ticks.tick().await;
        if engine.computes.any_awake() {
            let work = |engine: &Arc<Engine>| {
                engine.store.checkpoint_quiet();
                Ok(())
            };
            let _ = engine.blocking(work).await;
        }
        keeper.look(&engine).await;
        if let Err(failure) = engine.blocking(|engine| room::look(engine)).await {
            tracing::debug!(error = %failure, "the store's room is not known");
        }
        if let Err(failure) = expiry::run(&engine, SystemTime::now()).await {
            tracing::warn!(error = %failure, "cannot look for expired branches");
        }
        if purged.elapsed() >= PURGE_INTERVAL {
            purged = Instant::now();
            let result = engine
                .blocking(|engine| {
                    engine.store.purge_trash(SystemTime::now())?;
                    fork::sweep(engine)
                })
                .await;
            if let Err(failure) = result {
                tracing::warn!(error = %failure, "cannot empty the trash");
            }
        }
    }
}

/// Keeps stacks of layers short, a little at a time and only while no branch is being made or woken. Never returns.
pub(crate) async fn run_merging(engine: Arc<Engine>) {
    let mut ticks = interval(MERGE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut merging = Merging::default();
    loop {
        ticks.tick().await;
        for _ in 0..MERGE_STEPS {
            if engine.is_stopping() {
                return;
            }
            if merging.gives_way(engine.computes.any_turn()) {
                break;
            }
            let step = |engine: &Arc<Engine>| Ok(engine.store.merge_quiet(MERGE_STEP_BYTES, MAX_DEPTH)?);
            if !merging.took(engine.blocking(step).await) {
                break;
            }
            tokio::time::sleep(MERGE_PAUSE).await;
        }
    }
}

/// How merging has gone so far.
#[derive(Debug, Default)]
struct Merging {
    /// Ticks at which others came first, since the last step.
    waited: u32,
    /// Whether the last attempt failed; it was told then.
    failing: bool,
    layers: u32,
    bytes: u64,
}

impl Merging {
    fn gives_way(&mut self, busy: bool) -> bool {
        let gives_way = busy && self.waited < MERGE_PATIENCE;
        self.waited = if gives_way { self.waited + 1 } else { 0 };
        gives_way
    }

    /// Takes in how a step went. Whether there is more to do at once.
    fn took(&mut self, step: Result<Merged>) -> bool {
        match step {
            Ok(merged) => {
                self.layers += merged.layers;
                self.bytes += merged.copied_bytes;
                // A rest after a failure does nothing and succeeds.
                self.failing &= merged == Merged::default();
                if !merged.more && self.layers > 0 {
                    tracing::info!(layers = self.layers, bytes = self.bytes, "layers were merged");
                    (self.layers, self.bytes) = (0, 0);
                }
                merged.more
            }
            Err(failure) => {
                if !self.failing {
                    let hint = failure.0.hint.clone().unwrap_or_default();
                    tracing::warn!(error = %failure, hint, "cannot merge layers; it is tried again quietly");
                }
                self.failing = true;
                false
            }
        }
    }
}

/// Puts idle branches to sleep, notices Postgres processes that died, and stops the engine when its store or its
/// repository is gone. Never returns.
pub(crate) async fn run(engine: Arc<Engine>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if engine.computes.any_awake() {
            notice_deaths(&engine).await;
            for id in engine.computes.idle(|id| engine.idle_timeout(id)) {
                if let Err(failure) = sleep_if_idle(&engine, id).await {
                    tracing::warn!(id = id.0, error = %failure, "cannot put a branch to sleep");
                }
            }
        }
        if !engine.store.info().path.is_dir() || !engine.repository.common_dir.is_dir() {
            tracing::warn!("the store or the repository is gone; stopping");
            engine.request_stop();
            return;
        }
    }
}

/// Stops the engine when clients can no longer find it, so that the next one starts another. Nothing that takes long
/// holds this up. Returns then.
pub(super) async fn stay_reachable(engine: Arc<Engine>, presence: Arc<Presence>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(lost) = presence.lost() {
            tracing::warn!(path = %lost.display(), "gone, so that clients cannot find this engine; stopping");
            engine.request_stop();
            return;
        }
    }
}

async fn sleep_if_idle(engine: &Arc<Engine>, id: BranchId) -> Result<()> {
    let turn = engine.computes.turn(id).await;
    // A connection takes its lease before it waits for its turn.
    if engine.computes.connections(id) > 0 {
        return Ok(());
    }
    engine.sleep(id, turn).await
}

async fn notice_deaths(engine: &Arc<Engine>) {
    let look = |engine: &Arc<Engine>| {
        let mut ended = engine.store.poll_exits();
        ended.extend(engine.store.end_stuck(STUCK_PATIENCE));
        Ok(ended)
    };
    let exits = engine.blocking(look).await;
    for id in exits.unwrap_or_default() {
        tracing::warn!(id = id.0, "the Postgres of a branch died");
        engine.computes.slept(id);
        engine.changed(Subject::Compute);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn merging_gives_way_to_others_and_not_for_ever() {
        let mut merging = Merging::default();
        assert!(!merging.gives_way(false));
        for _ in 0..MERGE_PATIENCE {
            assert!(merging.gives_way(true));
        }
        assert!(!merging.gives_way(true));
        assert!(merging.gives_way(true));
    }

    #[test]
    fn a_failure_is_told_once_until_something_was_merged() {
        let mut merging = Merging::default();
        assert!(!merging.took(Err(Failure::engine("full"))) && merging.failing);
        assert!(!merging.took(Ok(Merged::default())) && merging.failing, "a rest is no success");
        let merged = Merged { layers: 1, copied_bytes: 8192, more: true };
        assert!(merging.took(Ok(merged)) && !merging.failing);
    }
}

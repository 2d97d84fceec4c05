//! What the engine does by itself, once a second and less often.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use offshoot_protocol::types::Subject;
use offshoot_storage::BranchId;
use tokio::time::{MissedTickBehavior, interval};

use super::presence::Presence;
use super::{Engine, expiry, fork};
use crate::failure::Result;

const INTERVAL: Duration = Duration::from_secs(1);
/// How often quiet branches are looked for, to write their checkpoints.
const QUIET_INTERVAL: Duration = Duration::from_secs(2);
/// How often the trash is looked through.
const PURGE_INTERVAL: Duration = Duration::from_hours(1);

/// Work on the store that may take long and holds nothing up. Never returns.
pub(crate) async fn run_slow(engine: Arc<Engine>) {
    let mut ticks = interval(QUIET_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut purged = Instant::now();
    loop {
        ticks.tick().await;
        if engine.computes.any_awake() {
            let work = |engine: &Arc<Engine>| {
                engine.store.checkpoint_quiet();
                Ok(())
            };
            let _ = engine.blocking(work).await;
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
    let exits = engine.blocking(|engine| Ok(engine.store.poll_exits())).await;
    for id in exits.unwrap_or_default() {
        tracing::warn!(id = id.0, "the Postgres of a branch died");
        engine.computes.slept(id);
        engine.changed(Subject::Compute);
    }
}

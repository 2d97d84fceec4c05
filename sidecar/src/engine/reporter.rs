//! Progress of blocking work for a client who may give it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use offshoot_postgres::Progress;

use super::Engine;
use super::server::Call;
use crate::failure::Result;

/// Tells a client how far work is, and the work whether it is still wanted.
pub(super) struct Reporter {
    engine: Arc<Engine>,
    call: Call,
    over: Arc<AtomicBool>,
}

/// Gives the work of a [`Reporter`] up.
pub(super) struct Stopper(Arc<AtomicBool>);

impl Reporter {
    /// Work for `call`. It also ends when the engine does.
    pub(super) fn new(engine: &Arc<Engine>, call: &Call) -> (Self, Stopper) {
        let over = Arc::default();
        (Self { engine: Arc::clone(engine), call: call.clone(), over: Arc::clone(&over) }, Stopper(over))
    }
}

impl Stopper {
    /// The work is to end at its next step.
    pub(super) fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Progress for Reporter {
    fn step(&self, what: &str, done: u64, total: Option<u64>) {
        self.call.progress(what, done, total);
    }

    fn is_cancelled(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.engine.is_stopping()
    }
}

/// Does something of which nothing is left when it is cancelled; it is when the client cancels or goes. Returns what comes of it all
/// the same if it was done by then.
pub(super) async fn unless_cancelled<T: Send + 'static>(
    engine: &Arc<Engine>,
    call: &Call,
    work: impl FnOnce(&Arc<Engine>, &dyn Progress) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (reporter, stopper) = Reporter::new(engine, call);
    let work = engine.blocking(move |engine| work(engine, &reporter));
    tokio::pin!(work);
    let wanted = call.while_wanted(async {
        let made = (&mut work).await;
        Ok(made)
    });
    if let Ok(made) = wanted.await {
        return made;
    }
    stopper.stop();
    // Nothing is left of it, unless it was done already.
    work.await
}

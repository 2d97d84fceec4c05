//! Watching for cancellation beside a blocking call.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::progress::Progress;

/// How often cancellation is looked for. `Progress` offers no event to wait on.
const LOOK: Duration = Duration::from_millis(50);

/// Runs `work` and calls `on_cancel` from another thread, once, if `progress` is cancelled meanwhile.
///
/// `on_cancel` must make the blocking call inside `work` return (kill the child, cancel the query).
pub(crate) fn beside<T>(
    progress: &dyn Progress,
    on_cancel: impl FnOnce() + Send,
    work: impl FnOnce() -> T,
) -> T {
    let finished = Mutex::new(false);
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut done = finished.lock().unwrap_or_else(PoisonError::into_inner);
            while !*done {
                if progress.is_cancelled() {
                    drop(done);
                    on_cancel();
                    return;
                }
                done = changed.wait_timeout(done, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            }
        });
        // Set even if `work` panics, or the scope would wait for the watcher for ever.
        let _end = OnDrop(|| {
            *finished.lock().unwrap_or_else(PoisonError::into_inner) = true;
            changed.notify_all();
        });
        work()
    })
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

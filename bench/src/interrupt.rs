//! Ctrl-C ends the program between two steps, so that it can clear up.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C and SIGTERM only set the flag that [`check`] reads.
pub(crate) fn watch() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (ready, told) = std::sync::mpsc::channel();
    let wait = move || {
        runtime.block_on(async {
            let both =
                signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?)));
            let (mut interrupt, mut terminate) = match both {
                Ok(both) => both,
                Err(error) => return drop(ready.send(Err(error))),
            };
            let _ = ready.send(Ok(()));
            loop {
                tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
                INTERRUPTED.store(true, Ordering::Relaxed);
            }
        });
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    told.recv().context("start the thread that waits for signals")?.context("wait for signals")
}

/// # Errors
/// If Ctrl-C came.
pub(crate) fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

//! Stopping an engine: by its socket, and by its process where that does not work.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use offshoot_protocol::error::Reason;

use super::{STOP_PATIENCE, not_stopped, stop, try_connect};
use crate::failure::{Failure, Result};
use crate::sys;

const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Stops the engine of `store` and waits until it is gone. Returns whether one ran.
///
/// # Errors
/// If it refuses because a migration tool runs, unless `force` says that it may be ended.
pub(crate) fn stop_engine(store: &Path, force: bool) -> Result<bool> {
    let Some(client) = try_connect(store)? else { return stop_process(store) };
    match stop(client, force) {
        Ok(()) => Ok(true),
        Err(failure) if failure.is(Reason::UnderWay) => Err(failure),
        // It may be too busy to be asked.
        Err(failure) => {
            if stop_process(store)? {
                Ok(true)
            } else {
                Err(failure)
            }
        }
    }
}

/// Stops an engine that cannot be reached but holds the store's lock, or did until a moment ago.
fn stop_process(store: &Path) -> Result<bool> {
    let path = store.join("engine.lock");
    let fault = |e: &std::io::Error| Failure::io(format!("read {}", path.display()), e);
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(fault(&e)),
    };
    let text = fs::read_to_string(&path).map_err(|e| fault(&e))?;
    let pid = text.trim().parse().ok().filter(|&pid| is_engine_of(pid, store));
    let is_locked = sys::is_locked(&lock).map_err(|e| fault(&e))?;
    let pid = match pid {
        Some(pid) if is_locked => {
            sys::terminate(pid).map_err(|e| Failure::io(format!("stop process {pid}"), &e))?;
            pid
        }
        // It has given the store back and ends by itself.
        Some(pid) => pid,
        None if is_locked => {
            let text = format!("another program holds the store's lock, {}", path.display());
            return Err(Failure::engine(text).hint("Wait for it, or find it with `fuser` and end it."));
        }
        None => return Ok(false),
    };
    let deadline = Instant::now() + STOP_PATIENCE;
    // The lock goes a moment before the process does.
    while is_engine_of(pid, store) {
        if Instant::now() >= deadline {
            return Err(not_stopped());
        }
        thread::sleep(LOOK_INTERVAL);
    }
    Ok(true)
}

/// Whether the process is `offshoot engine run --store <store> …`, or one that ends just now, of which nothing more can be told: the
/// number in the file may be another's by now.
fn is_engine_of(pid: u32, store: &Path) -> bool {
    if sys::is_ending(pid) {
        return true;
    }
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = words.split(|&byte| byte == 0).collect();
    let [_, b"engine", b"run", b"--store", of, ..] = words[..] else { return false };
    let of = Path::new(std::ffi::OsStr::from_bytes(of));
    of == store || matches!((of.canonicalize(), store.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

//! A program that does not outlive the engine. The engine starts it in place of a migration tool.
//!
//! It holds the reading end of a pipe that only the engine writes to. The kernel closes that when the engine ends,
//! however it ends; the tool and all that stayed in its process group are ended then. A signal at the parent's death
//! would reach the tool alone, and not what it started.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::sys;

/// How long a tool may take to end once the engine is gone.
const END_PATIENCE: Duration = Duration::from_secs(3);
/// What shells say of a program that cannot be run.
const NOT_RUNNABLE: u8 = 126;

/// Runs a program as the leader of its process group until standard input ends.
pub(super) fn run(command: &[OsString]) -> u8 {
    let Some((program, arguments)) = command.split_first() else { return super::USAGE };
    // The group is told to end with SIGTERM: this process waits for the tool's own end. A handler, unlike a signal that
    // is ignored, is not inherited.
    sys::catch_interrupts();
    let child = Command::new(program).args(arguments).stdin(Stdio::null()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            eprintln!("offshoot: cannot run {}: {error}", program.display());
            return NOT_RUNNABLE;
        }
    };
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        // Nobody writes to it: this returns when the engine is gone.
        let _ = std::io::stdin().read_to_end(&mut rest);
        let group = std::process::id();
        sys::signal_group(group, libc::SIGTERM);
        std::thread::sleep(END_PATIENCE);
        sys::signal_group(group, libc::SIGKILL);
    });
    let Ok(status) = child.wait() else { return NOT_RUNNABLE };
    if let Some(signal) = status.signal() {
        sys::end_by(signal);
    }
    u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)
}

//! Running a helper program to its end.

use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};

use crate::progress::Progress;
use crate::{sys, watch};

/// Bytes of each stream that are kept; the rest is read and dropped, so that the child never blocks.
const KEPT_BYTES: usize = 1 << 20;

/// What a finished program left behind.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `command` in its own process group and kills the whole group if `progress` is cancelled.
pub(crate) fn run(command: &mut Command, progress: &dyn Progress) -> io::Result<Finished> {
    command.stdin(Stdio::null());
    finish(command, Vec::new(), progress)
}

/// As [`run`], with something to read.
pub(crate) fn run_with(
    command: &mut Command,
    input: Vec<u8>,
    progress: &dyn Progress,
) -> io::Result<Finished> {
    command.stdin(Stdio::piped());
    finish(command, input, progress)
}

fn finish(command: &mut Command, input: Vec<u8>, progress: &dyn Progress) -> io::Result<Finished> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()?;
    let group = -(child.id() as i32);
    let (into, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let on_cancel = || {
        // The child is not waited for before its streams end, so the number still names its group.
        let _ = sys::kill(group, libc::SIGKILL);
    };
    watch::beside(progress, on_cancel, || {
        let errors = std::thread::spawn(move || read_kept(err));
        let writer = std::thread::spawn(move || {
            // A program that ends before it has read all says itself why.
            into.map(|mut stream| stream.write_all(&input))
        });
        let stdout = read_kept(out);
        let _ = writer.join();
        let stderr = errors.join().unwrap_or_default();
        let status = child.wait()?;
        Ok(Finished { status, stdout, stderr })
    })
}

/// Reads a stream to its end and returns its last part.
pub(crate) fn read_kept(stream: Option<impl Read>) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0_u8; 8192];
    let Some(mut stream) = stream else { return String::new() };
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            break;
        }
        kept.extend_from_slice(&buffer[..count]);
        if kept.len() > 2 * KEPT_BYTES {
            kept.drain(..kept.len() - KEPT_BYTES);
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The last `count` lines of `text` that are not blank.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

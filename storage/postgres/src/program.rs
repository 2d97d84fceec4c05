//! Running a program of a person's, whose lines are shown as they come.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::progress::Progress;
use crate::sys;

/// How often it is looked whether the program has ended or is no longer wanted.
const LOOK: Duration = Duration::from_millis(50);
/// How long lines are waited for that a program has written before it ended.
const LAST_LINES: Duration = Duration::from_millis(500);
/// How many lines are kept, and the bytes of each.
const KEPT_LINES: usize = 30;
const LINE_BYTES: u64 = 2_000;

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// The last lines that it wrote, of both its streams.
    pub last_lines: Vec<String>,
}

/// Runs `command` in a process group of its own, with nothing to read, and calls `on_line` for each line that it writes. What it leaves
/// running is killed, and so is all of it if `progress` is cancelled.
///
/// # Errors
/// If it cannot be started or waited for.
pub fn run(
    mut command: Command,
    progress: &dyn Progress,
    mut on_line: impl FnMut(&str),
) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    sys::die_with_parent(&mut command);
    let mut child = command.spawn()?;
    // It has the ends of the pipe that would keep it open.
    drop(command);
    let group = -(child.id() as i32);
    let kill = || {
        // The child is not waited for before that, so the number is still its own.
        let _ = sys::kill(group, libc::SIGKILL);
    };
    let (sender, lines) = mpsc::sync_channel(1_000);
    std::thread::Builder::new().name("program".into()).spawn(move || read(reader, &sender))?;
    let mut kept: VecDeque<String> = VecDeque::new();
    let mut ended_at: Option<Instant> = None;
    loop {
        match lines.recv_timeout(LOOK) {
            Ok(line) => {
                on_line(&line);
                kept.push_back(line);
                if kept.len() > KEPT_LINES {
                    kept.pop_front();
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if progress.is_cancelled() {
            break;
        }
        if ended_at.is_none() && sys::has_ended(&child)? {
            ended_at = Some(Instant::now());
        }
        if ended_at.is_some_and(|at| at.elapsed() > LAST_LINES) {
            break;
        }
    }
    if progress.is_cancelled() {
        kill();
    }
    // A program may close its streams and work on.
    while !progress.is_cancelled() && !sys::has_ended(&child)? {
        std::thread::sleep(LOOK);
    }
    kill();
    Ok(Ended { status: child.wait()?, last_lines: kept.into() })
}

fn read(reader: PipeReader, sender: &mpsc::SyncSender<String>) {
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while let Ok(count) = (&mut reader).take(LINE_BYTES).read_until(b'\n', &mut bytes) {
        let line = String::from_utf8_lossy(bytes.trim_ascii_end()).into_owned();
        if count == 0 || sender.send(line).is_err() {
            return;
        }
        bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;

    fn sh(text: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", text]);
        command
    }

    #[test]
    fn lines_of_both_streams_come_and_the_last_are_kept() {
        let mut seen = Vec::new();
        let ended =
            run(sh("echo one; echo two >&2; exit 3"), &Silent, |line| seen.push(line.to_owned())).unwrap();
        assert_eq!((ended.status.code(), &ended.last_lines), (Some(3), &seen));
        assert_eq!(seen, ["one", "two"]);
        let ended = run(sh("seq 100"), &Silent, |_| {}).unwrap();
        assert_eq!(ended.last_lines.first().map(String::as_str), Some("71"));
    }

    #[test]
    fn what_a_program_leaves_running_is_killed_and_not_waited_for() {
        let ended = run(sh("sleep 600 & echo $!"), &Silent, |_| {}).unwrap();
        assert!(ended.status.success());
        let stat = format!("/proc/{}/stat", ended.last_lines[0]);
        let deadline = Instant::now() + Duration::from_secs(30);
        // A kill takes effect when the process runs next.
        while std::fs::read_to_string(&stat).is_ok_and(|state| !state.contains(") Z")) {
            assert!(Instant::now() < deadline, "it runs on");
            std::thread::sleep(LOOK);
        }
    }
}

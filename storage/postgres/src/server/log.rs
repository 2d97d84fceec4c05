//! The file that a server's output goes to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::child;

/// How much of the end of a log is looked at.
const TAIL_BYTES: u64 = 64 * 1024;
const TAIL_LINES: usize = 20;

/// Opens the log to append to, and says where this run's part begins.
pub(super) fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let start = file.metadata()?.len();
    Ok((file, start))
}

/// The last lines behind `start`; empty if they cannot be read.
pub(super) fn tail(path: &Path, start: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(end.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    child::last_lines(&String::from_utf8_lossy(&read().unwrap_or_default()), TAIL_LINES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn tail_shows_this_run_only_and_few_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "earlier run\n").unwrap();
        let (mut file, start) = open(&path).unwrap();
        assert_eq!(tail(&path, start), "");
        for line in 0..30 {
            writeln!(file, "line {line}").unwrap();
        }
        let tail = tail(&path, start);
        assert_eq!(tail.lines().count(), 20);
        assert!(tail.starts_with("line 10\n") && tail.ends_with("line 29"));
    }
}

//! `postmaster.pid`: who serves a cluster, and whether it is ready.

use std::io;
use std::path::{Path, PathBuf};

/// The parts of the file that are used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: u32,
    /// When the server started, in seconds since 1970.
    pub(super) started: u64,
    status: String,
}

impl PidFile {
    /// Line 1 is the process, line 3 its start, line 8 its status once there is one. `None` for a file half written.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().collect();
        // A server in single-user mode writes its number with a minus sign.
        let pid = lines.first()?.trim().trim_start_matches('-').parse().ok()?;
        let started = lines.get(2)?.trim().parse().ok()?;
        Some(Self { pid, started, status: lines.get(7).map_or("", |line| line.trim()).to_owned() })
    }

    /// Whether connections are accepted; a standby accepts them too.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.status.as_str(), "ready" | "standby")
    }

    /// Whether the server takes connections, and is no standby that takes none. Only where `hot_standby` is off.
    pub(super) fn is_recovered(&self) -> bool {
        self.status == "ready"
    }
}

pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("postmaster.pid")
}

/// The file's text, if there is one.
pub(super) fn text(data_dir: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path(data_dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_the_eighth_line() {
        let text = "4242\n/data\n1700000000\n5432\n/run\n\n  123  456\nstarting\n";
        let file = PidFile::parse(text).unwrap();
        assert_eq!((file.pid, file.started, file.is_ready()), (4242, 1_700_000_000, false));
        assert!(PidFile::parse(&text.replace("starting", "ready   ")).unwrap().is_ready());
        assert!(PidFile::parse(&text.replace("starting", "standby")).unwrap().is_ready());
        assert!(!PidFile::parse(&text.replace("starting", "stopping")).unwrap().is_ready());
    }

    #[test]
    fn half_written_file_is_no_file() {
        for text in ["", "42", "42\n/data\n", "x\n/data\n1\n"] {
            assert_eq!(PidFile::parse(text), None, "{text:?}");
        }
    }
}

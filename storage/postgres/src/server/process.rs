//! Processes seen from outside: waiting for them, signalling exactly them, and telling who they are.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::sys;

/// How often a process is looked at where the system offers no descriptor to wait on.
const LOOK: Duration = Duration::from_millis(2);

/// One process, held so that a later process of the same number is not taken for it, where the system can do that.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    handle: Option<OwnedFd>,
}

impl Process {
    /// Takes hold of process `pid`; `NotFound` if there is none.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        match sys::pidfd_open(pid) {
            Ok(handle) => Ok(Self { pid, handle: Some(handle) }),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Err(io::ErrorKind::NotFound.into()),
            Err(_) if is_gone(pid) => Err(io::ErrorKind::NotFound.into()),
            Err(_) => Ok(Self { pid, handle: None }),
        }
    }

    /// Waits until the process has ended; `false` when `timeout` passed first.
    pub(super) fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = match &self.handle {
                Some(handle) => sys::wait_readable(handle, left)?,
                None => is_gone(self.pid),
            };
            if ended || left.is_zero() {
                return Ok(ended);
            }
            if self.handle.is_none() {
                std::thread::sleep(LOOK.min(left));
            }
        }
    }

    /// Sends `signal`; a process that has ended is no error.
    pub(super) fn signal(&self, signal: i32) -> io::Result<()> {
        let sent = match &self.handle {
            Some(handle) => sys::pidfd_kill(handle, signal),
            None => sys::kill(self.pid as i32, signal),
        };
        match sent {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            other => other,
        }
    }
}

fn is_gone(pid: u32) -> bool {
    match Facts::of(pid) {
        Some(facts) => facts.is_ended(),
        None => sys::kill(pid as i32, 0).is_err_and(|error| error.raw_os_error() == Some(libc::ESRCH)),
    }
}

/// What `/proc/<pid>/stat` tells everybody about a process.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) name: String,
    state: u8,
    pub(super) parent: u32,
    /// Clock ticks that it has worked.
    pub(super) ticks: u64,
    /// Clock ticks since the machine started.
    started: u64,
}

impl Facts {
    pub(super) fn of(pid: u32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name stands in parentheses and may hold any character; the fields behind it are counted from the state.
    fn parse(stat: &str) -> Option<Self> {
        let (head, tail) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        Some(Self {
            name: head.split_once('(')?.1.to_owned(),
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            ticks: fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    pub(super) fn is_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// Whether it runs, or waits for a disk.
    pub(super) fn is_busy(&self) -> bool {
        self.state == b'R' || self.waits_for_disk()
    }

    /// Whether it waits for a disk.
    pub(super) fn waits_for_disk(&self) -> bool {
        self.state == b'D'
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self.name.as_str(), "postgres" | "postmaster")
    }

    /// When the process started, in seconds since 1970, by the clock as it stands now.
    pub(super) fn started_at(&self) -> Option<u64> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
        Some(boot.trim().parse::<u64>().ok()? + self.started / sys::clock_ticks_per_second())
    }
}

/// The working folder of `pid`, if this thread may know it.
pub(super) fn working_folder(pid: u32) -> io::Result<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd"))
}

/// The data directory that `pid` was started for with `-D`, if its command line names one that is there. A relative path says
/// nothing: what it is relative to may have changed.
pub(super) fn named_cluster(pid: u32) -> Option<PathBuf> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut arguments = line.split(|byte| *byte == 0).skip_while(|argument| *argument != b"-D").skip(1);
    let named = Path::new(std::ffi::OsStr::from_bytes(arguments.next()?));
    if named.is_absolute() { named.canonicalize().ok() } else { None }
}

/// Runs `look` with the eyes of `account`, in a thread of its own.
pub(super) fn looking_as<T: Send>(
    account: Option<&Account>,
    look: impl FnOnce() -> T + Send,
) -> io::Result<T> {
    let joined = std::thread::scope(|scope| {
        let looker = scope.spawn(|| {
            if let Some(account) = account {
                sys::look_as(account);
            }
            look()
        });
        looker.join()
    });
    joined.map_err(|_| io::Error::other("looking at processes failed"))
}

/// The numbers of all processes that this thread sees.
pub(super) fn all() -> Vec<u32> {
    let Ok(entries) = Path::new("/proc").read_dir() else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let tail = "S 17 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 900 20";
        let facts = Facts::parse(&format!("42 (a) (b) {tail}")).unwrap();
        assert_eq!((facts.name.as_str(), facts.parent, facts.ticks, facts.started), ("a) (b", 17, 23, 900));
    }

    #[test]
    fn own_start_is_in_the_past_and_recent() {
        let facts = Facts::of(std::process::id()).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let started = facts.started_at().unwrap();
        assert!(started <= now + 2 && now - started < 24 * 3600);
    }

    #[test]
    fn wait_returns_when_the_process_ends() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        assert!(!process.wait(Duration::from_millis(5)).unwrap());
        process.signal(libc::SIGKILL).unwrap();
        assert!(process.wait(Duration::from_secs(10)).unwrap());
        child.wait().unwrap();
        process.signal(libc::SIGKILL).unwrap();
        assert_eq!(Process::of(child.id()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

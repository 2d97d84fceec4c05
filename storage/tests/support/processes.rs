//! Postgres processes seen from a test: finding and killing them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use offshoot_pages::process::{ProcessId, start_time};

/// The postmaster of the running cluster in `data_dir`.
pub fn postmaster(data_dir: &Path) -> i32 {
    let text = fs::read_to_string(data_dir.join("postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

fn all() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: a signal to a process that this test started; no memory is touched.
    unsafe { libc::kill(pid, signal) };
}

/// The processes that `pid` started and that still run.
pub fn children_of(pid: i32) -> Vec<i32> {
    all().into_iter().filter(|child| parent_of(*child) == Some(pid)).collect()
}

/// Kills a postmaster and its children, and returns when none of them runs any more.
pub fn kill_family(postmaster: i32) {
    // Halted first, so that it starts no more.
    signal(postmaster, libc::SIGSTOP);
    let family: Vec<ProcessId> = children_of(postmaster)
        .into_iter()
        .chain([postmaster])
        .filter_map(|pid| Some(ProcessId { pid, started: start_time(pid)? }))
        .collect();
    for process in family.iter().rev() {
        signal(process.pid, libc::SIGKILL);
    }
    while family.iter().any(|process| process.is_alive()) {
        super::pause();
    }
}

/// Kills one process.
pub fn kill(pid: i32) {
    signal(pid, libc::SIGKILL);
}

/// A process that stands still until this is dropped.
pub struct Halted(i32);

/// Halts a process wherever it is; it stands still when this returns.
pub fn halt(pid: i32) -> Halted {
    signal(pid, libc::SIGSTOP);
    let stands = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    };
    while !stands() {
        super::pause();
    }
    Halted(pid)
}

impl Drop for Halted {
    fn drop(&mut self) {
        signal(self.0, libc::SIGCONT);
    }
}

/// Processes whose working folder or command line names a place below `folder`.
pub fn living_in(folder: &Path) -> Vec<(i32, String)> {
    let folder = folder.canonicalize().unwrap();
    let named = folder.as_os_str().as_encoded_bytes();
    let me = std::process::id() as i32;
    let lives_there = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(named.len()).any(|part| part == named)
            || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&folder))
    };
    let describe = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        (pid, String::from_utf8_lossy(&line).replace('\0', " "))
    };
    all().into_iter().filter(|pid| *pid != me && lives_there(pid)).map(describe).collect()
}

/// What still lives there once those had time to end that have lost their postmaster: they see it only at their next wait.
pub fn left_in(folder: &Path) -> Vec<(i32, String)> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = living_in(folder);
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes of a server, each with its state and its title.
pub fn titles(postmaster: i32) -> Vec<String> {
    let text = |pid: i32, name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let line = |pid| {
        let (stat, title) = (text(pid, "stat"), text(pid, "cmdline"));
        let stat = String::from_utf8_lossy(&stat);
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('?');
        format!("{pid} {state} {}", String::from_utf8_lossy(&title).trim_end_matches(['\0', ' ']))
    };
    children_of(postmaster).into_iter().map(line).collect()
}

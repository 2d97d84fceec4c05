//! Processor time of a Postgres: of the postmaster, of its children, and of the children that have ended.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Clock ticks a second in `/proc`; the same on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long ended backends may take to be collected by the postmaster.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Numbers of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Ticks of the process itself.
    own: u64,
    /// Ticks of its children that it has collected.
    ended: u64,
}

/// A moment in the life of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) seconds: f64,
    /// Processes that it has.
    pub(crate) children: usize,
}

/// What the server of `postmaster` has used so far.
pub(crate) fn used(postmaster: u32) -> Result<Used> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before = stat(postmaster).context("the server is gone")?;
        let children = children(postmaster)?;
        let after = stat(postmaster).context("the server is gone")?;
        // A child that was collected in between would count twice or not at all.
        if before.ended == after.ended {
            let living: u64 = children.iter().map(|child| child.own + child.ended).sum();
            let seconds = (after.own + after.ended + living) as f64 / TICKS_PER_SECOND;
            return Ok(Used { seconds, children: children.len() });
        }
        if Instant::now() >= deadline {
            bail!("the processes of {postmaster} come and go too fast to be counted");
        }
    }
}

/// Waits until the server has no more processes than it had: the backends of clients that left are gone.
pub(crate) fn settled(postmaster: u32, children: usize) -> Result<Used> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = used(postmaster)?;
        if now.children <= children || Instant::now() >= deadline {
            return Ok(now);
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// How many processes `parent` has started that are there.
pub(crate) fn children_of(parent: u32) -> Result<usize> {
    Ok(children(parent)?.len())
}

fn children(of: u32) -> Result<Vec<Stat>> {
    let processes = fs::read_dir("/proc").context("list the processes")?;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Ok(pids.filter_map(stat).filter(|stat| stat.parent == of).collect())
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(text: &str) -> Option<Stat> {
    // The name, in brackets, may hold blanks and brackets.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own: number(11)? + number(12)?,
        ended: number(13)? + number(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_process_names_are_read_past() {
        let text = "7 (a) b) S 3 7 7 0 -1 4194560 1 2 0 0 10 20 300 400 20 0 1 0 5 6 7";
        assert_eq!(parse(text), Some(Stat { parent: 3, own: 30, ended: 700 }));
        assert_eq!(parse("7 (x) S"), None);
    }

    #[test]
    fn time_of_children_counts_while_they_live_and_after() {
        let me = std::process::id();
        let before = used(me).unwrap();
        let spin = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let status = std::process::Command::new("sh").args(["-c", spin]).status().unwrap();
        assert!(status.success());
        assert!(used(me).unwrap().seconds > before.seconds);
    }
}

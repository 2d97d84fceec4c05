//! Stopping a server, politely first, and making sure that nothing of it stays.

use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use super::process::{self, Facts, Process};
use super::{Server, ServerError};
use crate::account::Account;

/// How to stop a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Disconnects everybody, rolls back, writes a checkpoint. The next start needs no replay.
    Fast,
    /// Ends at once; the next start replays WAL.
    Immediate,
    /// Kills all its processes; the next start replays WAL.
    Kill,
}

/// How long the sharper means get, once the asked one has failed.
const IMMEDIATE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a killed process gets to go. Only a hanging disk can hold it.
pub(super) const KILL_PATIENCE: Duration = Duration::from_secs(10);

impl Server {
    /// Stops the server and returns how it ended; none of its processes is left.
    ///
    /// `timeout` is what `mode` itself gets. Then the next sharper means is taken.
    ///
    /// # Errors
    /// [`ServerError::StillRunning`] if a process does not even end when it is killed.
    pub fn stop(&mut self, mode: StopMode, timeout: Duration) -> Result<ExitStatus, ServerError> {
        if self.try_wait()?.is_none() {
            end_postmaster(&self.process, mode, timeout)?;
        }
        let status = match self.status {
            Some(status) => status,
            None => self.child.wait()?,
        };
        self.status = Some(status);
        if !status.success() {
            end_leftovers(&self.spec.data_dir, self.spec.account.as_ref())?;
        }
        Ok(status)
    }
}

/// Ends a postmaster by `mode` and sharper means until it has gone; with a kill go its children.
pub(super) fn end_postmaster(
    process: &Process,
    mode: StopMode,
    timeout: Duration,
) -> Result<(), ServerError> {
    if mode == StopMode::Fast {
        process.signal(libc::SIGINT)?;
        if process.wait(timeout)? {
            return Ok(());
        }
        tracing::warn!(pid = process.pid, "Postgres did not stop in time; it is stopped at once");
    }
    if mode != StopMode::Kill {
        process.signal(libc::SIGQUIT)?;
        let patience = if mode == StopMode::Immediate { timeout } else { IMMEDIATE_PATIENCE };
        if process.wait(patience)? {
            return Ok(());
        }
        tracing::warn!(pid = process.pid, "Postgres did not stop at once; it is killed");
    }
    kill_family(process)
}

/// Kills a postmaster and its children. It is halted first, so that it starts no more while they are counted.
fn kill_family(postmaster: &Process) -> Result<(), ServerError> {
    postmaster.signal(libc::SIGSTOP)?;
    let is_child =
        |pid: &u32| Facts::of(*pid).is_some_and(|facts| facts.parent == postmaster.pid && !facts.is_ended());
    let children: Vec<Process> = process::all()
        .into_iter()
        .filter_map(|pid| Process::of(pid).ok())
        .filter(|held| is_child(&held.pid))
        .collect();
    postmaster.signal(libc::SIGKILL)?;
    for child in &children {
        child.signal(libc::SIGKILL)?;
    }
    std::iter::once(postmaster).chain(&children).try_for_each(wait_for_killed)
}

/// Kills every Postgres process that works in `data_dir`, and returns when they have gone.
///
/// Only processes of Postgres's name count whose working folder is the cluster, or who were started for it and are on their way
/// there; each is held before it is looked at, so that a reused number is never hit.
pub(super) fn end_leftovers(data_dir: &Path, account: Option<&Account>) -> Result<(), ServerError> {
    let data_dir = match data_dir.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let lives_there = |pid: u32| {
        Facts::of(pid).is_some_and(|facts| facts.is_postgres() && !facts.is_ended())
            && (process::working_folder(pid).is_ok_and(|folder| folder == data_dir)
                || process::named_cluster(pid).is_some_and(|named| named == data_dir))
    };
    let found: Vec<Process> = process::looking_as(account, || {
        let candidates = process::all().into_iter().filter(|pid| lives_there(*pid));
        candidates.filter_map(|pid| Process::of(pid).ok()).filter(|held| lives_there(held.pid)).collect()
    })?;
    for leftover in &found {
        tracing::warn!(pid = leftover.pid, data_dir = %data_dir.display(), "a leftover Postgres process is killed");
        leftover.signal(libc::SIGKILL)?;
    }
    found.iter().try_for_each(wait_for_killed)
}

fn wait_for_killed(process: &Process) -> Result<(), ServerError> {
    if process.wait(KILL_PATIENCE)? { Ok(()) } else { Err(ServerError::StillRunning { pid: process.pid }) }
}

//! A server that outlived its engine.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ServerError;
use super::pidfile::{self, PidFile};
use super::process::{self, Facts, Process};
use super::stop::{self, StopMode};
use crate::account::Account;

/// How long an orphan gets to shut down in good order.
const FAST_PATIENCE: Duration = Duration::from_secs(20);

/// How far the start in the pid file may be from the start of the process, in seconds.
const START_SLACK: u64 = 5;

/// Stops the server that an engine which was killed left running on `data_dir`; `true` if there was one.
///
/// A process is only signalled if it is that server beyond doubt; a number that another process has by now is left
/// alone. Leftover server processes are ended too, and a stale `postmaster.pid` is removed.
///
/// # Errors
/// [`ServerError::Unclear`] if the process cannot be told from another.
pub fn stop_orphan(data_dir: &Path, account: Option<&Account>) -> Result<bool, ServerError> {
    let Some(text) = pidfile::text(data_dir)? else {
        stop::end_leftovers(data_dir, account)?;
        return Ok(false);
    };
    let stopped = match PidFile::parse(&text) {
        Some(file) => stop_named(&file, data_dir, account)?,
        None => false,
    };
    // Workers that outlived the postmaster still hold its shared memory; removing the file would hide them.
    stop::end_leftovers(data_dir, account)?;
    remove_if_unchanged(data_dir, &text)?;
    Ok(stopped)
}

/// The data directories that some Postgres process works in, or was started for: also one that is so new that it has not written
/// its `postmaster.pid`. They are canonical paths.
///
/// # Errors
/// Only if no thread can be had to look with.
pub fn clusters_in_use(account: Option<&Account>) -> io::Result<BTreeSet<PathBuf>> {
    let is_postgres =
        |pid: &u32| Facts::of(*pid).is_some_and(|facts| facts.is_postgres() && !facts.is_ended());
    process::looking_as(account, || {
        let places = |pid| process::working_folder(pid).ok().into_iter().chain(process::named_cluster(pid));
        process::all().into_iter().filter(is_postgres).flat_map(places).collect()
    })
}

fn stop_named(file: &PidFile, data_dir: &Path, account: Option<&Account>) -> Result<bool, ServerError> {
    // Held before it is judged: from here on the signal can only reach the process that was judged.
    let process = match Process::of(file.pid) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    match process::looking_as(account, || judge(file, data_dir))? {
        Verdict::Other => Ok(false),
        Verdict::Unclear => Err(ServerError::Unclear { pid: file.pid, data_dir: data_dir.to_owned() }),
        Verdict::Ours => {
            stop::end_postmaster(&process, StopMode::Fast, FAST_PATIENCE)?;
            Ok(true)
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Ours,
    Other,
    Unclear,
}

fn judge(file: &PidFile, data_dir: &Path) -> Verdict {
    let Some(facts) = Facts::of(file.pid) else { return Verdict::Other };
    if facts.is_ended() || !facts.is_postgres() {
        return Verdict::Other;
    }
    let Ok(data_dir) = data_dir.canonicalize() else { return Verdict::Unclear };
    if let Ok(folder) = process::working_folder(file.pid) {
        return if folder == data_dir { Verdict::Ours } else { Verdict::Other };
    }
    // The folder is hidden from us; the command line is open to everybody but weaker evidence.
    match process::named_cluster(file.pid) {
        Some(named) if named != data_dir => Verdict::Other,
        Some(_) if starts_agree(file, &facts) => Verdict::Ours,
        _ => Verdict::Unclear,
    }
}

fn starts_agree(file: &PidFile, facts: &Facts) -> bool {
    facts.started_at().is_some_and(|started| started.abs_diff(file.started) <= START_SLACK)
}

/// Removes the pid file unless somebody has written another one meanwhile.
fn remove_if_unchanged(data_dir: &Path, text: &str) -> io::Result<()> {
    // The status line changes while a server stops; the process and its start do not.
    let identity = |text: &str| PidFile::parse(text).map(|file| (file.pid, file.started));
    match pidfile::text(data_dir)? {
        Some(now) if identity(&now) == identity(text) => std::fs::remove_file(pidfile::path(data_dir)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, Command, Stdio};

    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn write_pid_file(data_dir: &Path, pid: u32) {
        let text = format!("{pid}\n{}\n1700000000\n5432\n/run\n\n  1  2\nready\n", data_dir.display());
        std::fs::write(pidfile::path(data_dir), text).unwrap();
    }

    #[test]
    fn reused_number_is_never_killed() {
        let dir = tempfile::tempdir().unwrap();
        // Even one that works in the cluster's folder.
        let mut sleeper = Sleeper(Command::new("sleep").arg("60").current_dir(dir.path()).spawn().unwrap());
        write_pid_file(dir.path(), sleeper.0.id());
        assert!(!stop_orphan(dir.path(), None).unwrap());
        assert!(sleeper.0.try_wait().unwrap().is_none(), "the sleeping process was killed");
        assert!(!pidfile::path(dir.path()).exists());
    }

    #[test]
    fn postgres_of_another_cluster_is_never_killed() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let program = other.path().join("postgres");
        std::fs::copy("/bin/sleep", &program).unwrap();
        let mut sleeper =
            Sleeper(Command::new(&program).arg("60").current_dir(other.path()).spawn().unwrap());
        write_pid_file(dir.path(), sleeper.0.id());
        assert!(!stop_orphan(dir.path(), None).unwrap());
        assert!(sleeper.0.try_wait().unwrap().is_none(), "the other cluster's process was killed");
    }

    #[test]
    fn process_of_this_cluster_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("postgres");
        std::fs::copy("/bin/sleep", &program).unwrap();
        let sleeper = Sleeper(Command::new(&program).arg("60").current_dir(dir.path()).spawn().unwrap());
        write_pid_file(dir.path(), sleeper.0.id());
        assert!(stop_orphan(dir.path(), None).unwrap());
        assert!(!pidfile::path(dir.path()).exists());
    }

    #[test]
    fn a_process_on_its_way_to_a_cluster_is_found_and_ended_before_there_is_a_pid_file() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let program = elsewhere.path().join("postgres");
        std::fs::write(&program, "#!/bin/sh\nread line\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut starting = Command::new(&program);
        starting.arg("-D").arg(dir.path()).current_dir(elsewhere.path()).stdin(Stdio::piped());
        let mut starting = Sleeper(starting.spawn().unwrap());
        assert!(clusters_in_use(None).unwrap().contains(&dir.path().canonicalize().unwrap()));
        stop_orphan(dir.path(), None).unwrap();
        assert_eq!(starting.0.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn pid_file_of_nobody_and_no_pid_file_are_no_server() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!stop_orphan(dir.path(), None).unwrap());
        std::fs::write(pidfile::path(dir.path()), "half").unwrap();
        assert!(!stop_orphan(dir.path(), None).unwrap());
        assert!(!pidfile::path(dir.path()).exists());
    }
}

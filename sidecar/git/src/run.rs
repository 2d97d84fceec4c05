//! Running git with an environment of our choosing and a time limit.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::GitError;
use crate::sys;

/// How long one git command may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The variables by which a caller's environment points git at a repository: `git rev-parse --local-env-vars`.
const LOCAL: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REF_STORAGE_FORMAT",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// The variables that may point git at a repository, such as `GIT_DIR`.
///
/// A daemon outlives the terminal that started it, so whose environment counts is the caller's decision.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
}

impl Environment {
    /// What this process inherited: right for a command typed in a terminal or run by a git hook.
    pub fn inherited() -> Self {
        let set = |name: &&str| std::env::var_os(name).map(|value| (OsString::from(name), value));
        Self { variables: LOCAL.iter().filter_map(set).collect() }
    }

    /// Nothing: only the folder decides.
    pub fn clean() -> Self {
        Self::default()
    }

    /// The same, with one more variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }
}

/// What a git command left behind.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The exit status; none if a signal ended it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    command: String,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        self.status == Some(0)
    }

    /// The first line of the output, without its end.
    pub(crate) fn line(&self) -> &[u8] {
        self.stdout.split(|b| *b == b'\n').next().unwrap_or_default()
    }

    /// The output, or the failure as an error.
    pub(crate) fn into_stdout(self) -> Result<Vec<u8>, GitError> {
        if self.is_success() { Ok(self.stdout) } else { Err(self.into_error()) }
    }

    pub(crate) fn into_error(self) -> GitError {
        GitError::Failed { command: self.command, stderr: self.stderr.trim().to_owned() }
    }
}

/// Runs git in `folder` with `environment`; the exit status is the caller's to judge.
pub(crate) fn git(folder: &Path, environment: &Environment, args: &[&OsStr]) -> Result<Answer, GitError> {
    let mut command = Command::new("git");
    // A program that the repository's configuration names, which nothing that is asked here needs.
    command.current_dir(folder).args(["-c", "core.fsmonitor=false"]).args(args);
    for name in LOCAL {
        command.env_remove(name);
    }
    command.envs([
        ("LC_ALL", "C"),
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_PAGER", "cat"),
        // A partial clone would fetch what is missing, with a program that its configuration names.
        ("GIT_NO_LAZY_FETCH", "1"),
    ]);
    command.envs(environment.variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Its own group, so that a timeout also ends what git itself started.
    command.process_group(0);
    let mut shown = String::from("git");
    for arg in args {
        shown.push(' ');
        shown.push_str(&arg.to_string_lossy());
    }
    let begun = Instant::now();
    let child = command.spawn().map_err(|error| spawn_error(error, folder))?;
    let answer = finish(child, shown, PATIENCE)?;
    tracing::trace!(command = %answer.command, status = answer.status, elapsed = ?begun.elapsed(), "ran git");
    Ok(answer)
}

/// Runs git on the git directory `git_dir`, whatever the process's environment says.
pub(crate) fn git_at(git_dir: &Path, args: &[&OsStr]) -> Result<Answer, GitError> {
    git(git_dir, &Environment::clean().with("GIT_DIR", git_dir), args)
}

/// An argument of arbitrary bytes.
pub(crate) fn arg(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

fn spawn_error(error: io::Error, folder: &Path) -> GitError {
    match error.kind() {
        io::ErrorKind::NotFound if !folder.is_dir() => GitError::not_a_repository(folder),
        io::ErrorKind::NotFound => GitError::NoGit,
        _ => GitError::io("start git in", folder)(error),
    }
}

fn finish(mut child: Child, command: String, patience: Duration) -> Result<Answer, GitError> {
    let begun = Instant::now();
    let (sender, answers) = mpsc::channel();
    let pipes: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ];
    for (index, pipe) in pipes.into_iter().enumerate() {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let result = pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes));
            // The receiver is gone only after a timeout, when nobody wants the bytes.
            let _ = sender.send((index, result.map(|_| bytes)));
        });
    }
    let mut outputs = [Vec::new(), Vec::new()];
    for _ in 0..outputs.len() {
        let Ok((index, result)) = answers.recv_timeout(patience.saturating_sub(begun.elapsed())) else {
            sys::kill_group(&child);
            let _ = child.wait();
            return Err(GitError::TimedOut { command, after_ms: patience.as_millis() as u64 });
        };
        outputs[index] = result.map_err(GitError::io("read the output of", Path::new("git")))?;
    }
    let status = child.wait().map_err(GitError::io("wait for", Path::new("git")))?;
    let [stdout, stderr] = outputs;
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Ok(Answer { status: status.code(), stdout, stderr, command })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_answer_is_ended_with_all_that_it_started() {
        let mut command = Command::new("sh");
        // The grandchild holds the pipe open too.
        command.args(["-c", "sleep 600 & sleep 600"]).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
        let begun = Instant::now();
        let error = finish(child, "sh".into(), Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, GitError::TimedOut { after_ms: 50, .. }), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn only_the_chosen_environment_points_at_a_repository() {
        let folder = tempfile::tempdir().unwrap();
        let args = ["rev-parse", "--git-dir"].map(OsStr::new);
        assert!(!git(folder.path(), &Environment::clean(), &args).unwrap().is_success());
        let init = [OsStr::new("init"), OsStr::new("-q"), OsStr::new("there")];
        git(folder.path(), &Environment::clean(), &init).unwrap().into_stdout().unwrap();
        let environment = Environment::clean().with("GIT_DIR", folder.path().join("there/.git"));
        assert!(git(folder.path(), &environment, &args).unwrap().is_success());
    }
}

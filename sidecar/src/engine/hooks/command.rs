//! Running one command: with the branch's address, within a time, and with all that it started ended behind it.

use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offshoot_storage::BranchId;
use tokio::io::AsyncReadExt;

use crate::config::duration_text;
use crate::engine::Engine;
use crate::engine::migrations::{Address, Filter, Group, hook_environment};
use crate::failure::{Failure, Result};

/// What is kept of the output: its end.
const KEPT_BYTES: usize = 96 * 1024;
/// Lines of it that are shown where it fails.
const SHOWN_LINES: usize = 20;
/// How long it may take to end after it was told to.
const END_PATIENCE: Duration = Duration::from_secs(3);
/// How long its output is waited for once it has ended: something that it left behind may hold the pipe open.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(1);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Code(i32),
    Signal,
    TimedOut(Duration),
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with {code}"),
            Self::Signal => f.write_str("was ended by a signal"),
            Self::TimedOut(after) => {
                write!(
                    f,
                    "took longer than {} and was ended, with all that it started",
                    duration_text(*after)
                )
            }
        }
    }
}

/// What a command left.
pub(super) struct Ended {
    pub(super) how: How,
    /// What it printed, without the password.
    pub(super) output: String,
    pub(super) took: Duration,
}

impl Ended {
    pub(super) fn is_good(&self) -> bool {
        self.how == How::Code(0)
    }

    /// Its last lines.
    pub(super) fn tail(&self) -> String {
        let lines: Vec<&str> = self.output.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..]
            .iter()
            .map(|line| format!("| {line}\n"))
            .collect::<Vec<_>>()
            .concat()
    }
}

/// Runs `text` by `/bin/sh` in `root`, with an address of branch `id`.
pub(super) async fn run_shell(
    engine: &Arc<Engine>,
    id: BranchId,
    root: &Path,
    text: &str,
    variables: &[(&str, &str)],
    patience: Duration,
) -> Result<Ended> {
    let begun = Instant::now();
    let address = Address::of_branch(engine, id).await?;
    let own = crate::sys::own_program().map_err(|e| Failure::io("find the program of the engine", &e))?;
    let mut command = tokio::process::Command::new(own);
    command
        .arg0("offshoot")
        .args(["leash", "--", "/bin/sh", "-c", &format!("exec 2>&1\n{text}")])
        .current_dir(root)
        .env_clear()
        .envs(hook_environment(root, &address.url))
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = command.spawn().map_err(|e| Failure::io("run a command", &e))?;
    let group = Group(child.id());
    // Open for as long as the command is wanted, also by an engine that is killed.
    let leash = child.stdin.take();
    let (mut kept, mut filter) = (String::new(), Filter::new(&address.url.password));
    let mut out = child.stdout.take();
    let work = async {
        let reading = async {
            let mut buffer = vec![0; 8192];
            while let Some(open) = &mut out {
                match open.read(&mut buffer).await {
                    Ok(length) if length > 0 => keep(&mut kept, &filter.pass(&buffer[..length])),
                    _ => out = None,
                }
            }
        };
        tokio::pin!(reading);
        tokio::select! {
            status = child.wait() => {
                let _ = tokio::time::timeout(OUTPUT_PATIENCE, &mut reading).await;
                status
            }
            () = &mut reading => child.wait().await,
        }
    };
    let how = if let Ok(status) = tokio::time::timeout(patience, work).await {
        status.map_err(|e| Failure::io("wait for a command", &e))?.code().map_or(How::Signal, How::Code)
    } else {
        group.end();
        if tokio::time::timeout(END_PATIENCE, child.wait()).await.is_err() {
            group.kill();
            let _ = child.wait().await;
        }
        How::TimedOut(patience)
    };
    drop(leash);
    // What it left behind must not go on.
    drop(group);
    keep(&mut kept, &filter.rest());
    Ok(Ended { how, output: kept, took: begun.elapsed() })
}

fn keep(kept: &mut String, text: &str) {
    kept.push_str(text);
    if kept.len() > 2 * KEPT_BYTES {
        let from = kept.ceil_char_boundary(kept.len() - KEPT_BYTES);
        kept.drain(..from);
    }
}

/// Writes a file that only its owner reads.
pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

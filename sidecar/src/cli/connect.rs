//! Finding the engine, and starting it.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use offshoot_protocol::method::{EngineHello, EngineStop};
use offshoot_protocol::types::{EngineFile, HelloParams, HelloResult, Nothing};
use offshoot_protocol::{Client, ClientError, Method};

use super::output::Output;
use crate::engine::log;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::project::Project;
use crate::sys;

/// How long an engine may take to start: it may have to recover from a crash of the machine.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// How long it may take to stop: every awake Postgres writes a checkpoint.
pub(super) const STOP_PATIENCE: Duration = Duration::from_mins(2);
const CALL_PATIENCE: Duration = Duration::from_mins(5);
const HELLO_PATIENCE: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(3);
/// Pause before another engine is tried after one lost the race for the store.
const RACE_PAUSE: Duration = Duration::from_millis(50);
/// Lines of the log that are shown when an engine does not start.
const TAIL_LINES: usize = 12;
const TAIL_BYTES: u64 = 8 * 1024;

/// A project with a connection to its engine.
pub(super) struct Session {
    pub(super) project: Project,
    pub(super) client: Client,
}

impl Session {
    /// The engine of the repository that this process stands in; started if need be.
    pub(super) fn open(output: Output) -> Result<Self> {
        let here = std::env::current_dir().map_err(|e| Failure::io("find the current folder", &e))?;
        let project = Project::find(&here, &Paths::from_env()?)?;
        let client = connect(&project, output)?;
        Ok(Self { project, client })
    }

    /// Root of the worktree, as the engine is told.
    pub(super) fn path(&self) -> String {
        self.project.worktree.path.to_string_lossy().into_owned()
    }

    pub(super) fn call<M: Method>(&mut self, params: &M::Params) -> Result<M::Result> {
        Ok(self.client.call::<M>(params, CALL_PATIENCE)?)
    }
}

/// Connects to the engine of `project`, starting it if need be, and replacing it if it is of another version.
pub(super) fn connect(project: &Project, output: Output) -> Result<Client> {
    let deadline = Instant::now() + START_PATIENCE;
    let mut starting: Option<Child> = None;
    let log_before = log_length(&project.store);
    loop {
        if let Some(mut client) = try_connect(&project.store)? {
            match greet(&mut client, project, output)? {
                Greeting::Ours => return Ok(client),
                Greeting::Replace => stop(client)?,
                Greeting::Gone => (),
            }
        }
        match starting.as_mut().map(Child::try_wait) {
            None => starting = Some(spawn(project)?),
            Some(Ok(None)) => thread::sleep(LOOK_INTERVAL),
            // Another engine owns the store; it has its socket in a moment, or is about to go.
            Some(Ok(Some(status))) if status.success() => {
                thread::sleep(RACE_PAUSE);
                if try_connect(&project.store)?.is_none() {
                    starting = Some(spawn(project)?);
                }
            }
            Some(Ok(Some(_)) | Err(_)) => {
                return Err(did_not_start(&project.store, log_before, "ended at once"));
            }
        }
        if Instant::now() >= deadline {
            let seconds = START_PATIENCE.as_secs();
            return Err(did_not_start(
                &project.store,
                log_before,
                &format!("did not answer within {seconds} s"),
            ));
        }
    }
}

/// The running engine of a store, if there is one.
pub(super) fn try_connect(store: &Path) -> Result<Option<Client>> {
    let Some(file) = engine_file(store) else { return Ok(None) };
    match Client::connect(file.socket.as_ref()) {
        Ok(client) => Ok(Some(client)),
        Err(ClientError::Unreachable(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let text = format!("the engine of this store belongs to another user (process {})", file.pid);
            Err(Failure::user(text)
                .hint("Run the command as that user, or stop the engine as that user first."))
        }
        // What a killed engine left.
        Err(ClientError::Unreachable(_)) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

/// Where the engine of a store says that it listens.
pub(super) fn engine_file(store: &Path) -> Option<EngineFile> {
    serde_json::from_slice(&fs::read(store.join("engine.json")).ok()?).ok()
}

enum Greeting {
    Ours,
    Replace,
    Gone,
}

fn greet(client: &mut Client, project: &Project, output: Output) -> Result<Greeting> {
    let common_dir = project.worktree.common_dir.to_string_lossy().into_owned();
    let params = HelloParams { version: crate::VERSION.to_owned(), common_dir: Some(common_dir) };
    match client.call::<EngineHello>(&params, HELLO_PATIENCE) {
        Ok(HelloResult { version, .. }) if version != crate::VERSION => {
            output.aside(format!(
                "The engine is version {version}; replacing it by version {}.",
                crate::VERSION
            ));
            Ok(Greeting::Replace)
        }
        Ok(HelloResult { moved: true, .. }) => {
            output.aside("The repository moved; starting its engine again.");
            Ok(Greeting::Replace)
        }
        Ok(_) => Ok(Greeting::Ours),
        // It stops just now.
        Err(ClientError::Closed) => Ok(Greeting::Gone),
        Err(ClientError::Rpc(error)) if error.reason == Some(offshoot_protocol::error::Reason::Stopping) => {
            let _ = client.wait_closed(STOP_PATIENCE);
            Ok(Greeting::Gone)
        }
        Err(other) => Err(other.into()),
    }
}

/// Stops an engine and waits until it is gone.
pub(super) fn stop(mut client: Client) -> Result<()> {
    match client.call::<EngineStop>(&Nothing {}, HELLO_PATIENCE) {
        Ok(_) | Err(ClientError::Closed) => (),
        Err(other) => return Err(other.into()),
    }
    if client.wait_closed(STOP_PATIENCE)? {
        return Ok(());
    }
    Err(not_stopped())
}

pub(super) fn not_stopped() -> Failure {
    let text = format!("the engine has not stopped within {} s", STOP_PATIENCE.as_secs());
    Failure::engine(text).hint("`offshoot engine logs` tells what it waits for.")
}

/// Starts an engine that outlives this process.
fn spawn(project: &Project) -> Result<Child> {
    let fault = |what: &str, e: &std::io::Error| Failure::io(what, e);
    let program = std::env::current_exe().map_err(|e| fault("find the path of this program", &e))?;
    let log = log::open(&log::path(&project.store)).map_err(|e| fault("open the engine's log", &e))?;
    let errors = log.try_clone().map_err(|e| fault("open the engine's log", &e))?;
    let mut command = Command::new(program);
    command.args(["engine", "run", "--store"]).arg(&project.store);
    command.arg("--common-dir").arg(&project.worktree.common_dir);
    command.current_dir("/").stdin(Stdio::null()).stdout(log).stderr(errors);
    // A git hook or an `offshoot exec` must not lend the engine its repository or its database.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("GIT_") || text.starts_with("PG") || text == "DATABASE_URL" {
            command.env_remove(&name);
        }
    }
    sys::detach(&mut command);
    command.spawn().map_err(|e| fault("start the engine", &e))
}

fn log_length(store: &Path) -> u64 {
    fs::metadata(log::path(store)).map_or(0, |facts| facts.len())
}

/// Shows what the engine has written since the log had `log_before` bytes.
fn did_not_start(store: &Path, log_before: u64, how: &str) -> Failure {
    let path = log::path(store);
    let text = tail(&path, log_before);
    let said = |word: &'static str| text.lines().filter_map(move |line| line.strip_prefix(word));
    let log = format!("The whole log is {}.", path.display());
    // An engine that fails says why as every other command does.
    if let Some(fatal) = said("fatal: ").next_back() {
        let hints: Vec<_> = said("hint: ").chain([log.as_str()]).collect();
        return Failure::engine(format!("the engine did not start: {fatal}")).hint(hints.join("\n"));
    }
    let mut hint: Vec<String> = text.lines().map(super::logs::human).collect();
    hint.push(format!("{log} `offshoot doctor` checks what the engine needs."));
    Failure::engine(format!("the engine {how}")).hint(hint.join("\n"))
}

fn tail(path: &Path, from: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        // A log that began anew meanwhile is shown from its start.
        let from = if from > length { 0 } else { from };
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

//! Finding the engine, and starting it.

mod stop;

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use offshoot_protocol::method::{EngineHello, EngineStop};
use offshoot_protocol::types::{EngineFile, HelloParams, HelloResult, StopParams};
use offshoot_protocol::{Client, ClientError, Method};

use crate::engine::log;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::project::Project;
use crate::{log_line, sys};

pub(crate) use stop::stop_engine;

/// How long an engine may take to start: it may have to recover from a crash of the machine.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// How long it may take to stop: every awake Postgres writes a checkpoint.
const STOP_PATIENCE: Duration = Duration::from_mins(2);
const CALL_PATIENCE: Duration = Duration::from_mins(5);
const HELLO_PATIENCE: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(3);
/// Pause before another engine is tried after one lost the race for the store.
const RACE_PAUSE: Duration = Duration::from_millis(50);
/// Lines of the log that are shown when an engine does not start.
const TAIL_LINES: usize = 12;
const TAIL_BYTES: u64 = 8 * 1024;

/// Whoever wants an engine: what is said to a person, and what may be done.
pub(crate) trait Host {
    /// Something that a person may want to know.
    fn say(&self, text: &str);

    /// Whether an engine is started where none runs.
    fn may_start(&self) -> bool {
        true
    }

    /// Whether an engine of another version is stopped, and ours started in its place.
    fn may_replace(&self, _version: &str) -> bool {
        true
    }

    /// Whether nobody waits any longer.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A project with a connection to its engine.
pub(crate) struct Session {
    pub(crate) project: Project,
    pub(crate) client: Client,
}

impl Session {
    /// The engine of the repository that this process stands in; started if need be.
    pub(crate) fn open(host: impl Host) -> Result<Self> {
        let here = std::env::current_dir().map_err(|e| Failure::io("find the current folder", &e))?;
        let project = Project::find(&here, &Paths::from_env()?)?;
        let client = connect(&project, &host)?;
        Ok(Self { project, client })
    }

    /// Root of the worktree, as the engine is told.
    pub(crate) fn path(&self) -> String {
        self.project.worktree.path.to_string_lossy().into_owned()
    }

    pub(crate) fn call<M: Method>(&mut self, params: &M::Params) -> Result<M::Result> {
        Ok(self.client.call::<M>(params, CALL_PATIENCE)?)
    }
}

/// Connects to the engine of `project`, starting it if need be, and replacing it if it is of another version; both as far as
/// `host` lets it.
pub(crate) fn connect(project: &Project, host: &dyn Host) -> Result<Client> {
    let deadline = Instant::now() + START_PATIENCE;
    let mut starting = Starting(None);
    let mut replacing = false;
    let log_before = log_length(&project.store);
    loop {
        if let Some(mut client) = try_connect(&project.store)? {
            match greet(&mut client, project, host)? {
                Greeting::Ours => return Ok(client),
                Greeting::Replace => {
                    stop(client, false)?;
                    replacing = true;
                }
                Greeting::Gone => (),
            }
        }
        if host.is_cancelled() {
            return Err(Failure::cancelled());
        }
        match starting.0.as_mut().map(Child::try_wait) {
            None if replacing || host.may_start() => starting.0 = Some(spawn(project)?),
            None => return Err(not_running()),
            Some(Ok(None)) => thread::sleep(LOOK_INTERVAL),
            // Another engine owns the store; it has its socket in a moment, or is about to go.
            Some(Ok(Some(status))) if status.success() => {
                thread::sleep(RACE_PAUSE);
                if try_connect(&project.store)?.is_none() {
                    starting.0 = Some(spawn(project)?);
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

/// An engine that this process started. It is waited for in the background, so that it does not stay behind as a zombie of a
/// process that lives long.
struct Starting(Option<Child>);

impl Drop for Starting {
    fn drop(&mut self) {
        let Some(mut engine) = self.0.take() else { return };
        let waiting = thread::Builder::new().name("engine-exit".into()).stack_size(64 * 1024);
        if let Err(error) = waiting.spawn(move || engine.wait()) {
            tracing::debug!(%error, "nobody waits for the engine's end");
        }
    }
}

/// No engine runs, and none was to be started.
pub(crate) fn not_running() -> Failure {
    Failure::engine("the engine does not run")
        .hint("It starts as soon as something is asked of it, or by a restart.")
}

/// The running engine of a store, if there is one.
pub(crate) fn try_connect(store: &Path) -> Result<Option<Client>> {
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
pub(crate) fn engine_file(store: &Path) -> Option<EngineFile> {
    serde_json::from_slice(&fs::read(store.join("engine.json")).ok()?).ok()
}

enum Greeting {
    Ours,
    Replace,
    Gone,
}

fn greet(client: &mut Client, project: &Project, host: &dyn Host) -> Result<Greeting> {
    let common_dir = project.worktree.common_dir.to_string_lossy().into_owned();
    let params = HelloParams { version: crate::VERSION.to_owned(), common_dir: Some(common_dir) };
    match client.call::<EngineHello>(&params, HELLO_PATIENCE) {
        Ok(HelloResult { version, .. }) if version != crate::VERSION => {
            let ours = crate::VERSION;
            if !host.may_replace(&version) {
                return Err(Failure::configuration(format!("the engine is version {version}, and this program is {ours}"))
                    .hint("Something newer than this program uses it. Start this program again, in its new version."));
            }
            host.say(&format!("The engine is version {version}; replacing it by version {ours}."));
            Ok(Greeting::Replace)
        }
        Ok(HelloResult { moved: true, .. }) => {
            host.say("The repository moved; starting its engine again.");
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
///
/// # Errors
/// If it refuses because a migration tool runs, unless `force` says that it may be ended.
fn stop(mut client: Client, force: bool) -> Result<()> {
    match client.call::<EngineStop>(&StopParams { force }, HELLO_PATIENCE) {
        Ok(_) | Err(ClientError::Closed) => (),
        Err(other) => return Err(other.into()),
    }
    if client.wait_closed(STOP_PATIENCE)? {
        return Ok(());
    }
    Err(not_stopped())
}

fn not_stopped() -> Failure {
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
    let mut hint: Vec<String> = text.lines().map(log_line::human).collect();
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

//! Running one Postgres server: start, readiness, stop, and what an engine that was killed left behind.

mod log;
mod orphan;
mod pidfile;
mod process;
mod signs;
mod spawn;
mod stop;

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

pub use orphan::{clusters_in_use, stop_orphan};
pub use signs::Signs;
pub use stop::StopMode;

use crate::account::Account;
use crate::install::Installation;
use crate::sys;
use process::Process;

/// The port in the socket's name. Each branch has its own folder, so it need never differ.
pub const PORT: u16 = 5432;

/// The longest path of a unix socket, in bytes.
const SOCKET_PATH_BYTES: usize = 107;

/// How often readiness is looked for. Postgres announces it in a file and by nothing that could be waited for.
const READY_LOOK: Duration = Duration::from_millis(1);

/// How to run a server.
#[derive(Debug, Clone)]
pub struct ServerSpec {
    /// Whose `postgres` to run.
    pub installation: Installation,
    /// The cluster.
    pub data_dir: PathBuf,
    /// The folder for the socket; the account must be able to write there.
    pub socket_dir: PathBuf,
    /// Where standard output and error are appended.
    pub log_file: PathBuf,
    /// The user to run as.
    pub account: Option<Account>,
    /// Settings that win over the cluster's configuration files, and over this module's own.
    pub settings: Vec<(String, String)>,
    /// Additions to the environment. `PG*` and `LD_PRELOAD` of this process are not passed on.
    pub env: Vec<(OsString, OsString)>,
}

/// Why a server could not be started, used or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The socket's path is longer than the system allows.
    #[error("the socket path {0} is longer than {SOCKET_PATH_BYTES} bytes")]
    SocketPathTooLong(PathBuf),
    /// The server ended by itself; `log` is the end of what it wrote in this run.
    #[error("Postgres ended ({status}): {log}")]
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// At most 20 lines.
        log: String,
    },
    /// The server was not ready in time; `log` is the end of what it wrote in this run.
    #[error("Postgres was not ready in time: {log}")]
    NotReady {
        /// At most 20 lines.
        log: String,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A process did not end although it was killed.
    #[error("process {pid} does not end although it was killed")]
    StillRunning {
        /// The process.
        pid: u32,
    },
    /// Whether a process is the server of a cluster cannot be told, so that it was left alone.
    #[error("process {pid} may be the server of {data_dir}; whether it is cannot be told")]
    Unclear {
        /// The process.
        pid: u32,
        /// The cluster.
        data_dir: PathBuf,
    },
    /// A file, a process or a log could not be handled.
    #[error("run Postgres: {0}")]
    Io(#[from] io::Error),
}

impl ServerError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::SocketPathTooLong(_) => {
                "Put the store, or its runtime folder, at a shorter path.".to_owned()
            }
            Self::Exited { .. } => {
                "The log says why; correct the setting or free the resource it names.".to_owned()
            }
            Self::NotReady { .. } => {
                "It may still be replaying WAL; wait longer, or look into the log.".to_owned()
            }
            Self::Cancelled => "Start it again when you want it.".to_owned(),
            Self::StillRunning { .. } => "The disk may hang; look at the system's messages.".to_owned(),
            Self::Unclear { pid, .. } => {
                format!("Look at process {pid}; stop it if it is that server, then try again.")
            }
            Self::Io(_) => "Check the folder's permissions and the free space.".to_owned(),
        }
    }
}

/// A running server. Dropping it stops it at once, as a crash would; [`Server::stop`] is the good way.
#[derive(Debug)]
pub struct Server {
    child: Child,
    process: Process,
    spec: ServerSpec,
    log_start: u64,
    stale_pid_file: Option<String>,
    status: Option<ExitStatus>,
}

impl Server {
    /// Starts `postgres` and returns at once; [`Server::wait_ready`] says when it answers.
    ///
    /// The server shuts down in good order if this process dies. Call [`stop_orphan`] before, if an earlier engine
    /// may have left one behind.
    pub fn spawn(spec: &ServerSpec) -> Result<Self, ServerError> {
        let socket = socket_in(&spec.socket_dir);
        if socket.as_os_str().len() > SOCKET_PATH_BYTES {
            return Err(ServerError::SocketPathTooLong(socket));
        }
        let (log, log_start) = log::open(&spec.log_file)?;
        let stale_pid_file = pidfile::text(&spec.data_dir)?;
        let child = spawn::postgres(spec, log)?;
        let process = Process::of(child.id())?;
        Ok(Self { child, process, spec: spec.clone(), log_start, stale_pid_file, status: None })
    }

    /// Waits until the server accepts connections.
    ///
    /// # Errors
    /// [`ServerError::Exited`] as soon as it ends, [`ServerError::NotReady`] at `deadline`, [`ServerError::Cancelled`].
    /// The server keeps running in the last two cases.
    pub fn wait_ready(&mut self, deadline: Instant, cancelled: &dyn Fn() -> bool) -> Result<(), ServerError> {
        self.wait_until(pidfile::PidFile::is_ready, deadline, cancelled)
    }

    /// Waits until the server accepts connections that write: until a recovery that ends somewhere has ended.
    ///
    /// # Errors
    /// As [`Server::wait_ready`].
    pub fn wait_recovered(
        &mut self,
        deadline: Instant,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), ServerError> {
        self.wait_until(pidfile::PidFile::is_recovered, deadline, cancelled)
    }

    fn wait_until(
        &mut self,
        reached: fn(&pidfile::PidFile) -> bool,
        deadline: Instant,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), ServerError> {
        loop {
            if self.has_come_to(reached)? {
                return Ok(());
            }
            if let Some(status) = self.try_wait()? {
                return Err(ServerError::Exited { status, log: self.log_tail() });
            }
            if cancelled() {
                return Err(ServerError::Cancelled);
            }
            if Instant::now() >= deadline {
                return Err(ServerError::NotReady { log: self.log_tail() });
            }
            // Wakes at once when the process ends.
            self.process.wait(READY_LOOK)?;
        }
    }

    fn has_come_to(&self, reached: fn(&pidfile::PidFile) -> bool) -> io::Result<bool> {
        let Some(text) = pidfile::text(&self.spec.data_dir)? else { return Ok(false) };
        // A file left by an earlier run can name the same number: process numbers are few in containers.
        if self.stale_pid_file.as_ref() == Some(&text) {
            return Ok(false);
        }
        Ok(pidfile::PidFile::parse(&text).is_some_and(|file| file.pid == self.pid() && reached(&file)))
    }

    /// The socket that clients connect to.
    pub fn socket_path(&self) -> PathBuf {
        socket_in(&self.spec.socket_dir)
    }

    /// The postmaster's process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the server was started.
    pub fn spec(&self) -> &ServerSpec {
        &self.spec
    }

    /// A descriptor that becomes readable when the server ends, for an event loop. Linux 5.3 and later.
    pub fn exit_descriptor(&self) -> io::Result<OwnedFd> {
        sys::pidfd_open(self.pid())
    }

    /// How the server ended, if it has.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status)
    }

    /// The last lines, at most 20, that the server wrote since it was started.
    pub fn log_tail(&self) -> String {
        log::tail(&self.spec.log_file, self.log_start)
    }
}

/// The socket in `socket_dir`.
pub fn socket_in(socket_dir: &Path) -> PathBuf {
    socket_dir.join(format!(".s.PGSQL.{PORT}"))
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.try_wait(), Ok(None))
            && let Err(error) = self.stop(StopMode::Immediate, Duration::from_secs(2))
        {
            tracing::error!(pid = self.pid(), %error, "a Postgres server could not be stopped");
        }
    }
}

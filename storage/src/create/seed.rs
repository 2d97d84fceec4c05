//! What belongs behind the data of a fresh root: the repository's own scripts and its command. Nothing in them is masked.

mod forward;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use offshoot_postgres::load::{self, LoadError};
use offshoot_postgres::server::ServerSpec;
use offshoot_postgres::{Progress, program};

use super::USER;
use super::fill::Fill;
use super::load::connect;
use crate::error::StorageError;
use forward::Forward;

/// What runs behind the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seed {
    /// A script of SQL.
    Script(PathBuf),
    /// A command of a shell.
    Command(SeedCommand),
}

/// A command of a shell, which finds the database by `DATABASE_URL` and the `PG*` variables.
#[derive(Clone, PartialEq, Eq)]
pub struct SeedCommand {
    /// The command.
    pub command: String,
    /// The folder that it runs in.
    pub folder: PathBuf,
    /// Its other variables.
    pub environment: Vec<(OsString, OsString)>,
}

impl std::fmt::Debug for SeedCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Variables have secrets.
        f.debug_struct("SeedCommand").field("command", &self.command).finish_non_exhaustive()
    }
}

/// Runs all of it, in order. Returns the first statement that may have read what is in none of the scripts.
pub(crate) fn seed(
    fill: &Fill<'_>,
    spec: &ServerSpec,
    progress: &dyn Progress,
) -> Result<Option<String>, StorageError> {
    let mut outside = None;
    for seed in fill.seed {
        let done = match seed {
            Seed::Script(path) => script(fill, spec, path, progress),
            Seed::Command(command) => run(fill, spec, command, progress).map(|()| None),
        };
        if let Err(error) = &done
            && !progress.is_cancelled()
        {
            // Removing what was imported takes a while.
            progress.step(&format!("{error}. Removing what was made"), 0, None);
        }
        outside = outside.or(done?);
    }
    Ok(outside)
}

fn script(
    fill: &Fill<'_>,
    spec: &ServerSpec,
    path: &Path,
    progress: &dyn Progress,
) -> Result<Option<String>, StorageError> {
    progress.step(&format!("Run {}", path.display()), 0, None);
    let run = || -> Result<Option<String>, LoadError> {
        let mut script = load::open_script(path)?;
        let bytes = load::script_bytes(path)?;
        // Each in a session of its own: it may set anything in it.
        let mut client = connect(spec, fill.database, fill.password)
            .map_err(|error| LoadError::Connection(error.to_string()))?;
        Ok(load::load_seed(&mut script, &mut client, bytes, progress)?.outside)
    };
    run().map_err(|source| match source {
        LoadError::Cancelled => StorageError::Cancelled,
        source => StorageError::Seed { path: path.to_owned(), source: Box::new(source) },
    })
}

fn run(
    fill: &Fill<'_>,
    spec: &ServerSpec,
    seed: &SeedCommand,
    progress: &dyn Progress,
) -> Result<(), StorageError> {
    let text = &seed.command;
    progress.step(&format!("Run {text}"), 0, None);
    let failed = |status: String, output: Vec<String>| {
        // A program may tell its environment.
        let output: Vec<String> = output.iter().map(|line| line.replace(fill.password, "…")).collect();
        StorageError::SeedCommand { command: text.clone(), status, output: output.join("\n") }
    };
    let forward = Forward::begin(&spec.socket_dir).map_err(|error| failed(error.to_string(), Vec::new()))?;
    let port = forward.port().to_string();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", text]).current_dir(&seed.folder).env_clear().envs(seed.environment.iter().cloned());
    let database = encoded(fill.database);
    for (name, value) in [
        ("DATABASE_URL", format!("postgres://{USER}:{}@127.0.0.1:{port}/{database}", fill.password).as_str()),
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", &port),
        ("PGUSER", USER),
        ("PGPASSWORD", fill.password),
        ("PGDATABASE", fill.database),
        ("PGSSLMODE", "disable"),
    ] {
        command.env(name, value);
    }
    let show = |line: &str| {
        if !line.is_empty() {
            progress.step(&line.replace(fill.password, "…"), 0, None);
        }
    };
    let ended = program::run(command, progress, show);
    drop(forward);
    if progress.is_cancelled() {
        return Err(StorageError::Cancelled);
    }
    let ended = ended.map_err(|error| failed(error.to_string(), Vec::new()))?;
    if ended.status.success() { Ok(()) } else { Err(failed(ended.status.to_string(), ended.last_lines)) }
}

/// A name as a part of a URL.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    name.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

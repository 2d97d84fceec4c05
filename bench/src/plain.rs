//! A Postgres without Offshoot, with the programs and the settings of a branch, to compare with.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use offshoot_postgres::account::{self, chown};
use offshoot_postgres::cluster::{InitCluster, init_cluster};
use offshoot_postgres::install::Origin;
use offshoot_postgres::server::StopMode;
use offshoot_postgres::{Installation, Server, ServerSpec, Silent};
use postgres::Client;

use crate::interrupt;
use crate::project::{DirectServer, first};

const PASSWORD: &str = "plain";
const PATIENCE: Duration = Duration::from_mins(1);
/// Settings of the command line that say where a server is and not how it works.
const PLACES: [&str; 4] = ["port", "unix_socket_directories", "cluster_name", "data_directory"];

/// The server; dropping it stops it.
pub(crate) struct Plain {
    server: Server,
    database: String,
}

/// A data directory, and how to run a server on it.
#[derive(Clone)]
pub(crate) struct Cluster {
    spec: ServerSpec,
    pub(crate) database: String,
}

/// What loads fast; nothing has to outlive a crash before the server was stopped.
const LOADING: [(&str, &str); 7] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "1h"),
];

impl Cluster {
    /// Makes an empty cluster in the new folder `name` of `parent`, with the programs and the settings of `model`.
    pub(crate) fn like(model: &DirectServer, parent: &Path, name: &str) -> Result<Self> {
        let mut client = model.connect()?;
        let installation = installation_of(model.postmaster)?;
        let segment_bytes: u32 =
            first(&mut client, "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'")?.parse()?;
        let settings = settings_of(&mut client)?;
        let spec = spec(installation, settings, &parent.join(name))?;
        init_cluster(
            &InitCluster {
                installation: &spec.installation,
                data_dir: &spec.data_dir,
                superuser: "postgres",
                password: PASSWORD,
                account: spec.account.as_ref(),
                wal_segment_size_mb: Some(segment_bytes >> 20),
                sync: true,
            },
            &Silent,
        )?;
        Ok(Self { spec, database: "postgres".to_owned() })
    }

    /// The place for a copy in the new folder `name` of `parent`. The copy's [`Cluster::data_dir`] is not there yet.
    pub(crate) fn elsewhere(&self, parent: &Path, name: &str) -> Result<Self> {
        let Self { spec: ServerSpec { installation, settings, .. }, database } = self.clone();
        Ok(Self { spec: spec(installation, settings, &parent.join(name))?, database })
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.spec.data_dir
    }

    pub(crate) fn installation(&self) -> &Installation {
        &self.spec.installation
    }

    pub(crate) fn start(&self) -> Result<Plain> {
        self.start_with(&[])
    }

    /// Starts a server with other settings than usual.
    pub(crate) fn start_with(&self, settings: &[(&str, &str)]) -> Result<Plain> {
        let mut spec = self.spec.clone();
        spec.settings.retain(|(name, _)| settings.iter().all(|(other, _)| name != other));
        spec.settings.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let mut server = Server::spawn(&spec)?;
        server.wait_ready(Instant::now() + PATIENCE, &|| interrupt::check().is_err())?;
        Ok(Plain { server, database: self.database.clone() })
    }

    /// Makes `database` and runs `script` in it, statement by statement; each ends with a semicolon at the end of a line.
    pub(crate) fn load(&mut self, database: &str, script: &str) -> Result<()> {
        let plain = self.start_with(&LOADING)?;
        if database != self.database {
            plain.address().connect()?.batch_execute(&format!("CREATE DATABASE {database}"))?;
        }
        plain.stop()?;
        database.clone_into(&mut self.database);
        let plain = self.start_with(&LOADING)?;
        let mut client = plain.address().connect()?;
        for statement in script.split_inclusive(";\n") {
            interrupt::check()?;
            client.batch_execute(statement).with_context(|| format!("run {statement}"))?;
        }
        drop(client);
        plain.stop()
    }
}

impl Plain {
    pub(crate) fn address(&self) -> DirectServer {
        DirectServer {
            postmaster: self.server.pid(),
            socket_dir: self.server.spec().socket_dir.clone(),
            password: PASSWORD.to_owned(),
            database: self.database.clone(),
        }
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.server.stop(StopMode::Fast, PATIENCE)?;
        Ok(())
    }
}

/// How to run a server in a new folder.
fn spec(installation: Installation, settings: Vec<(String, String)>, folder: &Path) -> Result<ServerSpec> {
    let account = account::unprivileged()?;
    fs::create_dir(folder).with_context(|| format!("make {}", folder.display()))?;
    let socket_dir = folder.join("run");
    fs::create_dir(&socket_dir)?;
    fs::set_permissions(&socket_dir, Permissions::from_mode(0o700))?;
    chown(&socket_dir, account.as_ref())?;
    Ok(ServerSpec {
        installation,
        data_dir: folder.join("pgdata"),
        socket_dir,
        log_file: folder.join("log"),
        account,
        settings,
        env: Vec::new(),
    })
}

/// The programs that a postmaster was started from.
fn installation_of(postmaster: u32) -> Result<Installation> {
    let program: PathBuf =
        fs::read_link(format!("/proc/{postmaster}/exe")).context("find the server's program")?;
    let bin_dir = program.parent().unwrap_or(Path::new("/"));
    Ok(Installation::in_dir(bin_dir, Origin::BinDir)?)
}

/// What the engine set on the command line.
fn settings_of(client: &mut Client) -> Result<Vec<(String, String)>> {
    let sql =
        "SELECT name, current_setting(name) FROM pg_settings WHERE source = 'command line' ORDER BY name";
    let rows = client.query(sql, &[]).context("read the branch's settings")?;
    let all = rows.iter().map(|row| (row.get::<_, String>(0), row.get::<_, String>(1)));
    Ok(all.filter(|(name, _)| !PLACES.contains(&name.as_str())).collect())
}

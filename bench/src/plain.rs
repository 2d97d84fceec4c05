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

use crate::project::{DirectServer, first};
use crate::workshop::Workshop;

const PASSWORD: &str = "plain";
const PATIENCE: Duration = Duration::from_mins(1);
/// Settings of the command line that say where a server is and not how it works.
const PLACES: [&str; 4] = ["port", "unix_socket_directories", "cluster_name", "data_directory"];

/// The server; dropping it stops it.
pub(crate) struct Plain {
    server: Server,
}

impl Plain {
    /// Makes a cluster and starts a server like that of `model`.
    pub(crate) fn like(model: &DirectServer, workshop: &Workshop) -> Result<Self> {
        let mut client = model.connect()?;
        let installation = installation_of(model.postmaster)?;
        let account = account::unprivileged()?;
        let folder = workshop.folder("plain")?;
        let socket_dir = folder.join("run");
        fs::create_dir(&socket_dir)?;
        fs::set_permissions(&socket_dir, Permissions::from_mode(0o700))?;
        chown(&socket_dir, account.as_ref())?;
        let data_dir = folder.join("pgdata");
        let segment_bytes: u32 =
            first(&mut client, "SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'")?.parse()?;
        let order = InitCluster {
            installation: &installation,
            data_dir: &data_dir,
            superuser: "postgres",
            password: PASSWORD,
            account: account.as_ref(),
            wal_segment_size_mb: Some(segment_bytes >> 20),
            sync: true,
        };
        init_cluster(&order, &Silent)?;
        let settings = settings_of(&mut client)?;
        let log_file = folder.join("log");
        let spec =
            ServerSpec { installation, data_dir, socket_dir, log_file, account, settings, env: Vec::new() };
        let mut server = Server::spawn(&spec)?;
        server.wait_ready(Instant::now() + PATIENCE, &|| false)?;
        Ok(Self { server })
    }

    pub(crate) fn address(&self) -> DirectServer {
        DirectServer {
            postmaster: self.server.pid(),
            socket_dir: self.server.spec().socket_dir.clone(),
            password: PASSWORD.to_owned(),
            database: "postgres".to_owned(),
        }
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.server.stop(StopMode::Fast, PATIENCE)?;
        Ok(())
    }
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

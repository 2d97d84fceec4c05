//! mitosis-db, the closest peer: clones of a template that never runs, each with a server of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use offshoot_postgres::account::{self, Account, chown_all};
use offshoot_postgres::{Locator, Silent};

use super::super::{Bench, ms, read_one_row};
use super::{Meter, Took, Way};
use crate::plain::Cluster;
use crate::workshop::{clean, run};

/// The version that is meant.
const VERSION: &str = "1.1";
/// Names of its two ways.
pub(super) const DURABLE: &str = "`mitosis clone --durable` (mitosis-db 1.1) on XFS";
pub(super) const FAST: &str = "`mitosis clone` (mitosis-db 1.1, without `fsync`) on XFS";
const PROGRAM: &str = "mitosis";
/// What it wants beside the server's own programs.
const CLIENT_PROGRAMS: [&str; 3] = ["psql", "pg_isready", "pg_config"];

/// Its daemon with one template. Dropping it destroys the clones and stops the daemon.
pub(super) struct Mitosis {
    /// A folder of its own: `home` is made by itself, `bin` has the programs.
    folder: PathBuf,
    account: Option<Account>,
    /// Where it listens: one that the system gave, as somebody may use the usual one.
    port: u16,
}

impl Mitosis {
    /// Makes a home on the file system of `at`, with a template of the same rows on the same Postgres.
    pub(super) fn start(bench: &Bench<'_>, at: &Path, cluster: &Cluster, script: &str) -> Result<Self> {
        let program = bench.args.mitosis.clone().unwrap_or_else(|| PROGRAM.into());
        let version = run(clean(&program).arg("--version")).context(
            "no program `mitosis` (`cargo install mitosis-db --version 1.1.0`, then --mitosis FILE)",
        )?;
        let version = version.trim().trim_start_matches("mitosis").trim();
        if !version.starts_with(VERSION) {
            bail!("this is mitosis {version}, and {VERSION} is meant");
        }
        let folder = at.join("mitosis");
        fs::create_dir(&folder)?;
        let mitosis = Self { folder, account: account::unprivileged()?, port: free_port()? };
        mitosis.gather(bench, &program, cluster)?;
        let seed = mitosis.folder.join("seed.sql");
        fs::write(&seed, script)?;
        chown_all(&mitosis.folder, mitosis.account.as_ref())?;
        let version = bench.args.postgres.to_string();
        let seed = format!("psql -q -v ON_ERROR_STOP=1 -f {} \"$DATABASE_URL\"", seed.display());
        run(&mut mitosis.command(&["template", "init", "--pg-major", &version, "--seed", &seed]))
            .context("make a template of mitosis-db")?;
        Ok(mitosis)
    }

    /// Gathers its program and those of the measured Postgres where the account that runs them may read.
    fn gather(&self, bench: &Bench<'_>, program: &Path, cluster: &Cluster) -> Result<()> {
        let bin = self.folder.join("bin");
        fs::create_dir(&bin)?;
        fs::copy(found(program)?, bin.join(PROGRAM)).context("copy mitosis")?;
        for entry in fs::read_dir(&cluster.installation().bin_dir).context("list the server's programs")? {
            let entry = entry?;
            symlink(entry.path(), bin.join(entry.file_name()))?;
        }
        let cache = bench.workshop.path().join("tools");
        let tools = Locator { cache }.client_tools(14, &Silent).context("find psql for mitosis-db")?;
        for name in CLIENT_PROGRAMS {
            let program = tools.pg_dump.with_file_name(name);
            if !bin.join(name).exists() && program.exists() {
                symlink(program, bin.join(name))?;
            }
        }
        Ok(())
    }

    fn command(&self, args: &[&str]) -> Command {
        let bin = self.folder.join("bin");
        let mut command = clean(&bin.join(PROGRAM));
        account::apply(&mut command, self.account.as_ref());
        let others = std::env::var("PATH").unwrap_or_default();
        // It takes the newest Postgres that it finds there.
        command.env("PATH", format!("{}:{others}", bin.display()));
        command
            .args(args)
            .env("MITOSIS_HOME", self.home())
            .env("MITOSIS_ROUTER_PORT", self.port.to_string())
            .env("HOME", &self.folder);
        command.current_dir(&self.folder);
        command
    }

    fn home(&self) -> PathBuf {
        self.folder.join("home")
    }
}

impl Drop for Mitosis {
    fn drop(&mut self) {
        let list = run(&mut self.command(&["list", "--json"])).unwrap_or_default();
        let clones: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap_or_default();
        for id in clones.iter().filter_map(|clone| clone["id"].as_str()) {
            let _ = run(&mut self.command(&["destroy", id, "--force"]));
        }
        if let Err(error) = run(&mut self.command(&["daemon", "stop"])) {
            eprintln!("A daemon of mitosis-db may be left: {error:#}");
        }
    }
}

/// A port that nobody listens on.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?.port())
}

/// The program itself, also if only its name was given.
fn found(program: &Path) -> Result<PathBuf> {
    if program.components().count() > 1 {
        return Ok(program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .context("find the program on the PATH")
}

/// One of its two ways.
pub(super) struct Clone {
    pub(super) mitosis: Rc<Mitosis>,
    pub(super) durable: bool,
}

impl Way for Clone {
    fn copy(&mut self, index: usize) -> Result<Took> {
        let name = format!("copy-{}-{index}", if self.durable { "durable" } else { "fast" });
        let mut args = vec!["clone", "--name", &name];
        args.extend(self.durable.then_some("--durable"));
        let meter = Meter::begin(&self.mitosis.folder, true)?;
        let start = Instant::now();
        let url = run(&mut self.mitosis.command(&args))?;
        let made = ms(start.elapsed());
        read_one_row(url.trim())?;
        let answered = ms(start.elapsed());
        let bytes = meter.bytes(&self.mitosis.folder)?;
        run(&mut self.mitosis.command(&["destroy", &name, "--forget"]))?;
        Ok(Took { made, answered, bytes })
    }

    fn name(&self) -> String {
        if self.durable { DURABLE } else { FAST }.to_owned()
    }

    fn label(&self) -> &'static str {
        if self.durable { "mitosis-db, durable, XFS" } else { "mitosis-db, no fsync, XFS" }
    }

    fn parent(&self) -> String {
        "is a template that never runs; the time includes starting the clone's server".to_owned()
    }
}

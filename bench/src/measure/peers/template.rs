//! `CREATE DATABASE … TEMPLATE`: a copy within a server that runs.

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use postgres::Client;

use super::super::ms;
use super::{Meter, Took, Way, answer, directory};
use crate::plain::{Cluster, Plain};
use crate::project::{DirectServer, first};

/// Its name where blocks are shared.
pub(super) const ON_XFS: &str = "`CREATE DATABASE … TEMPLATE`, `file_copy_method=clone`, on XFS";
/// What Postgres answers while somebody is connected to the template.
const IN_USE: &str = "55006";

/// How Postgres copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Page by page, through the WAL; the default.
    WalLog,
    /// File by file, between two checkpoints.
    FileCopy,
    /// As before, with the file system's own cloning; from Postgres 18 on.
    Clone,
}

/// A server that has the database, and nobody else to talk to.
pub(super) struct Twin {
    server: Plain,
    cluster: Cluster,
}

/// Starts a server on a copy of `cluster`.
pub(super) fn twin(cluster: &Cluster, parent: &Path, name: &str) -> Result<Rc<Twin>> {
    let cluster = directory::copied(cluster, parent, name)?;
    // What a copy through the WAL wrote goes at the next checkpoint.
    let server = cluster.start_with(&[("max_wal_size", "1GB"), ("wal_keep_size", "0")])?;
    Ok(Rc::new(Twin { server, cluster }))
}

/// One of the strategies.
pub(super) struct Template {
    twin: Rc<Twin>,
    strategy: Strategy,
    /// Whether Postgres refused while somebody was connected to the database.
    refused: Option<bool>,
}

impl Template {
    pub(super) fn new(twin: &Rc<Twin>, strategy: Strategy) -> Self {
        Self { twin: twin.clone(), strategy, refused: None }
    }

    fn statement(&self, name: &str) -> String {
        let strategy = if self.strategy == Strategy::WalLog { "wal_log" } else { "file_copy" };
        format!("CREATE DATABASE {name} TEMPLATE {} STRATEGY {strategy}", self.twin.cluster.database)
    }

    /// Tries once while a client is connected.
    fn try_in_use(&mut self, client: &mut Client) -> Result<()> {
        let user = self.twin.server.address().connect()?;
        let refused = match client.batch_execute(&self.statement("in_use")) {
            Ok(()) => {
                client.batch_execute("DROP DATABASE in_use")?;
                false
            }
            Err(error) if error.code().is_some_and(|code| code.code() == IN_USE) => true,
            Err(error) => bail!("copy a database in use: {error}"),
        };
        drop(user);
        self.refused = Some(refused);
        // The backend of that client has to be gone before the next copy.
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'app'";
        while first(client, others)? != "0" {
            std::thread::yield_now();
        }
        Ok(())
    }
}

impl Way for Template {
    fn copy(&mut self, index: usize) -> Result<Took> {
        let address = self.twin.server.address();
        let mut client = DirectServer { database: "postgres".to_owned(), ..address.clone() }.connect()?;
        if self.strategy == Strategy::Clone {
            client.batch_execute("SET file_copy_method = 'clone'").context("ask for cloning")?;
        }
        if self.refused.is_none() {
            self.try_in_use(&mut client)?;
        }
        client.batch_execute("CHECKPOINT")?;
        let folder = self.twin.cluster.data_dir();
        let meter = Meter::begin(folder, self.strategy == Strategy::Clone)?;
        let name = format!("copy_{index}");
        let start = Instant::now();
        client.batch_execute(&self.statement(&name)).context("copy a database")?;
        let made = ms(start.elapsed());
        answer(&DirectServer { database: name.clone(), ..address })?;
        let answered = ms(start.elapsed());
        let oid = first(&mut client, &format!("SELECT oid FROM pg_database WHERE datname = '{name}'"))?;
        let bytes = meter.bytes(&folder.join("base").join(oid))?;
        client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))?;
        Ok(Took { made, answered, bytes })
    }

    fn name(&self) -> String {
        match self.strategy {
            Strategy::WalLog => "`CREATE DATABASE … TEMPLATE`, `wal_log`".to_owned(),
            Strategy::FileCopy => "`CREATE DATABASE … TEMPLATE`, `file_copy`".to_owned(),
            Strategy::Clone => ON_XFS.to_owned(),
        }
    }

    fn label(&self) -> &'static str {
        match self.strategy {
            Strategy::WalLog => "TEMPLATE, wal_log",
            Strategy::FileCopy => "TEMPLATE, file_copy",
            Strategy::Clone => "TEMPLATE, cloning, XFS",
        }
    }

    fn parent(&self) -> String {
        match self.refused {
            Some(false) => "may be in use".to_owned(),
            _ => "must have no connection (SQLSTATE 55006 otherwise)".to_owned(),
        }
    }
}

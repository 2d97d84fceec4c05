//! Making what came in a bundle this store's own: recovered, with this store's password and the name of its database.

use std::path::Path;
use std::time::Duration;

use offshoot_postgres::server::{Server, ServerError, StopMode};
use postgres::Client;

use super::facts::BundleFacts;
use super::format::bad;
use crate::BranchId;
use crate::compute::{self, Purpose};
use crate::error::{Context as _, StorageError};
use crate::files::{give, remove_tree, write_new};
use crate::store::{ComputeState, Store, locked};

/// How long recovery may take.
const PATIENCE: Duration = Duration::from_mins(10);
/// How long the clean shutdown may take.
const STOP_PATIENCE: Duration = Duration::from_mins(5);
/// Who may connect while the password is another store's: whoever reaches the socket, which is the engine alone.
const RULES: &str = "local all all trust\n";
/// The first major that notes the version of a database's collation.
const DATABASE_COLLATIONS_SINCE: u32 = 15;

impl Store {
    /// Runs Postgres on a throwaway that a bundle was unpacked into. Returns what somebody should know.
    pub(super) fn make_own(
        &self,
        id: BranchId,
        facts: &BundleFacts,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<String>, StorageError> {
        let shared = &self.shared;
        let rules = shared.paths.branch(id).data().join("bundle_hba.conf");
        write_new(&rules, RULES.as_bytes()).context("write", &rules)?;
        give(&rules, shared.account.as_ref())?;
        let cell = shared.cell(id);
        let mut compute = locked(&cell.compute);
        let purpose = Purpose {
            settings: [
                ("hba_file", &*rules.to_string_lossy()),
                ("autovacuum", "off"),
                ("archive_mode", "off"),
                ("session_preload_libraries", ""),
                ("shared_preload_libraries", ""),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            cancelled,
            recovers: false,
            patience: PATIENCE,
        };
        cell.set_state(ComputeState::Waking, None);
        let started = compute::start(shared, id, &facts.branch, &purpose, || ());
        let done = started.and_then(|mut server: Server| {
            crash_point!(CarryRecovered);
            let done = self.adapt(&server.socket_path(), facts);
            let status = server.stop(StopMode::Fast, STOP_PATIENCE);
            shared.driver.close(id);
            let notes = done?;
            match status {
                Ok(status) if status.success() => Ok(notes),
                Ok(status) => Err(StorageError::StartFailed {
                    branch: facts.branch.clone(),
                    source: ServerError::Exited { status, log: server.log_tail() },
                }),
                Err(error) => Err(error.into()),
            }
        });
        compute.server = None;
        let _ = remove_tree(&shared.paths.sockets(id));
        cell.set_state(ComputeState::Asleep, None);
        let _ = std::fs::remove_file(&rules);
        match done {
            Err(StorageError::StartFailed { source: ServerError::Cancelled, .. }) => {
                Err(StorageError::Cancelled)
            }
            Err(StorageError::StartFailed { source, .. }) => Err(bad(
                format!("Postgres does not start on what is in it: {source}"),
                "Have it made again; if it stays so, the Postgres there and the one here differ too much. Nothing was changed here.",
            )),
            other => other,
        }
    }

    /// What is done while it runs.
    fn adapt(&self, socket: &Path, facts: &BundleFacts) -> Result<Vec<String>, StorageError> {
        let info = &self.shared.info;
        let connect = |database: &str| {
            compute::connect(&self.shared, socket, database)
                .map_err(|error| said("connect to what is in the bundle", &error))
        };
        let mut client = connect("template1")?;
        let has = |client: &mut Client, name: &str| {
            client
                .query_opt("SELECT 1 FROM pg_database WHERE datname = $1 AND datallowconn", &[&name])
                .map(|row| row.is_some())
                .map_err(|error| said("look for its database", &error))
        };
        if !has(&mut client, &facts.database)? {
            return Err(bad(
                format!("it has no database `{}`, of which it should be", facts.database),
                "Have it made of a branch that has its database.",
            ));
        }
        let prepared = client
            .query_one("SELECT count(*) FROM pg_prepared_xacts", &[])
            .map_err(|error| said("look for prepared transactions", &error))?;
        if prepared.get::<_, i64>(0) > 0 {
            return Err(bad(
                "it has prepared transactions, which nobody here could end",
                "Have them committed or rolled back there, and the bundle made again.",
            ));
        }
        // Set by its verifier, so that the password itself is nowhere.
        let verifier = postgres_protocol::password::scram_sha_256(self.shared.password.as_bytes());
        client
            .batch_execute(&format!(
                "SET password_encryption = 'scram-sha-256'; \
                 ALTER ROLE {0} WITH SUPERUSER LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity' PASSWORD '{verifier}'",
                quoted(&info.user)
            ))
            .map_err(|error| said("give it this store's password", &error))?;
        if facts.database != info.database {
            if has(&mut client, &info.database)? {
                return Err(bad(
                    format!(
                        "its `{}` cannot be called `{}`, as it has a database of that name too",
                        facts.database, info.database
                    ),
                    "Have that one renamed or dropped there, and the bundle made again.",
                ));
            }
            client
                .batch_execute(&format!(
                    "ALTER DATABASE {} RENAME TO {}",
                    quoted(&facts.database),
                    quoted(&info.database)
                ))
                .map_err(|error| said("rename its database", &error))?;
        }
        drop(client);
        let mut client = connect(&info.database)?;
        let missing = client
            .query(
                "SELECT extname FROM pg_extension e WHERE NOT EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = e.extname) \
                 ORDER BY 1",
                &[],
            )
            .map_err(|error| said("look for its extensions", &error))?;
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(|row| row.get(0)).collect();
            return Err(bad(
                format!(
                    "its database has extensions that the Postgres of this store lacks: {}",
                    names.join(", ")
                ),
                "Install them beside that Postgres (`offshoot doctor` says where it is), or have them dropped there.",
            ));
        }
        let mut notes = Vec::new();
        if info.postgres.version.major >= DATABASE_COLLATIONS_SINCE {
            let differs = client.query_one(
                "SELECT coalesce(datcollversion <> pg_database_collation_actual_version(oid), false) FROM pg_database \
                 WHERE datname = current_database()",
                &[],
            );
            if differs.map_err(|error| said("look at its collation", &error))?.get(0) {
                notes.push(format!(
                    "texts may sort differently here than where it was made, where the collation has another version: run \
                     `REINDEX DATABASE {0}; ALTER DATABASE {0} REFRESH COLLATION VERSION` on the branch",
                    quoted(&info.database)
                ));
            }
        }
        Ok(notes)
    }
}

fn said(context: &'static str, error: &postgres::Error) -> StorageError {
    let message = match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    };
    StorageError::Statement { context, message }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

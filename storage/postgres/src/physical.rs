//! Copying a whole cluster from a running server: a base backup over the replication protocol, and what makes it a cluster of one's own.
//!
//! [`copy_cluster`] writes the files as they arrive, with the WAL that makes them consistent, and compares them with the manifest of the
//! source. [`adopt`] recovers them and takes out what would lead back to the source. No program but `postgres` is needed.

mod adopt;
mod connection;
mod error;
mod files;
mod follow;
mod login;
mod manifest;
mod password;
mod relay;
mod single;
mod socket;
mod source;
mod stream;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

pub use adopt::{Adopt, Adopted, adopt};
pub use error::PhysicalError;
pub use follow::{Seen, create_slot, drop_slot, history, read_wal, see};
pub use password::{SetPassword, set_password};
pub use relay::{Passed, RELAY_PORT, Relay};
pub(crate) use socket::{Socket, reach};

use crate::account::{Account, chown};
use crate::load::Address;
use crate::progress::Progress;
use crate::watch;
use connection::Connection;
use files::Target;
use stream::Answer;

/// The first major whose commands have their options in parentheses.
const PARENTHESES_SINCE: u32 = 15;
/// What the backup is called in the log of the source.
const LABEL: &str = "offshoot";

/// The order to copy a cluster.
#[derive(Clone, Copy)]
pub struct CopyCluster<'a> {
    /// The `postgres://` URL of the source, with its password and the name of a database.
    pub url: &'a str,
    /// An empty folder, the account's.
    pub data_dir: &'a Path,
    /// Whose the files are to be.
    pub account: Option<&'a Account>,
    /// The major of the Postgres that is to run the copy.
    pub major: u32,
    /// The most kilobytes a second, 32 to 1,048,576.
    pub max_rate_kb: Option<u32>,
    /// A slot to make at the source, which stays; without one, a temporary one keeps the WAL for as long as this takes.
    pub slot: Option<&'a str>,
}

/// A cluster that was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopiedCluster {
    /// Files of it.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What somebody should know.
    pub notes: Vec<String>,
}

/// The major of the server at `url`, which has to take a replication connection.
///
/// # Errors
/// Whatever keeps a copy from being begun.
pub fn source_major(url: &str) -> Result<u32, PhysicalError> {
    let connection = Connection::open(&Address::parse(url))?;
    let major = source::major(&connection);
    connection.close();
    major
}

/// Copies the cluster at `order.url`. Its configuration files are not copied; the copy gets one of its own.
///
/// The WAL that it needs is kept at the source by a temporary slot for as long as this takes. If this fails, or is cancelled, the
/// backup at the source is ended, and files are left in the folder.
///
/// # Errors
/// [`PhysicalError`]; none of them has the password in it.
pub fn copy_cluster(
    order: &CopyCluster<'_>,
    progress: &dyn Progress,
) -> Result<CopiedCluster, PhysicalError> {
    let address = Address::parse(order.url);
    progress.step("Connect to the source", 0, None);
    let mut connection = Connection::open(&address)?;
    let stopper = connection.stopper()?;
    let copied = watch::beside(
        progress,
        || stopper.stop(),
        || {
            let facts = source::examine(&mut connection, order.major)?;
            source::look_inside(&address, &database_of(&address))?;
            receive(order, &mut connection, facts, progress)
        },
    );
    if progress.is_cancelled() {
        return Err(PhysicalError::Cancelled);
    }
    let copied = copied?;
    connection.close();
    Ok(copied)
}

/// The database that a URL names, or else libpq's choice.
fn database_of(address: &Address) -> String {
    let config = address.client_config().ok();
    let name = config.as_ref().and_then(|config| config.get_dbname().or(config.get_user()));
    name.unwrap_or_default().to_owned()
}

fn receive(
    order: &CopyCluster<'_>,
    connection: &mut Connection,
    facts: source::Facts,
    progress: &dyn Progress,
) -> Result<CopiedCluster, PhysicalError> {
    let mut notes = facts.notes;
    connection.query("IDENTIFY_SYSTEM")?;
    if let Some(slot) = order.slot {
        follow::make_slot(connection, slot)?;
    } else if let Err(error) = keep_wal(connection) {
        match error {
            PhysicalError::Cut { .. } | PhysicalError::Damaged { .. } => return Err(error),
            other => notes.push(format!(
                "the source had no replication slot free ({other}), so that its WAL might have gone meanwhile"
            )),
        }
    }
    progress.step("Wait for a checkpoint of the source", 0, None);
    let command = command(facts.major, order.max_rate_kb);
    let (mut answer, opening) = Answer::begin(connection, &command, facts.major)?;
    if !opening.tablespaces.is_empty() {
        return Err(PhysicalError::Tablespaces { places: opening.tablespaces.join(", ") });
    }
    tracing::info!(start = opening.start, bytes = opening.bytes, "a base backup begins");
    let target = Target { data_dir: order.data_dir, account: order.account, progress, total: opening.bytes };
    let files = target.unpack(&mut answer).map_err(|error| answer.failure().unwrap_or(error))?;
    let manifest = answer.finish()?;
    manifest::check(&manifest, &files.received)?;
    write_configuration(order, &facts.settings)?;
    Ok(CopiedCluster { files: files.received.len() as u64, bytes: files.bytes, notes })
}

/// Keeps the WAL from now on at the source, for as long as this connection lasts.
fn keep_wal(connection: &mut Connection) -> Result<(), PhysicalError> {
    let name = format!("offshoot_{}_{}", std::process::id(), now_ns());
    connection.query(&format!("CREATE_REPLICATION_SLOT {name} TEMPORARY PHYSICAL RESERVE_WAL")).map(drop)
}

fn now_ns() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.subsec_nanos())
}

/// The checksums are for the way here; against anything worse each page and each record of WAL may have its own.
fn command(major: u32, max_rate_kb: Option<u32>) -> String {
    if major >= PARENTHESES_SINCE {
        let rate = max_rate_kb.map(|rate| format!(", MAX_RATE {rate}")).unwrap_or_default();
        return format!(
            "BASE_BACKUP (LABEL '{LABEL}', PROGRESS, CHECKPOINT 'fast', WAL, WAIT 0, MANIFEST 'yes', \
             MANIFEST_CHECKSUMS 'CRC32C'{rate})"
        );
    }
    let rate = max_rate_kb.map(|rate| format!(" MAX_RATE {rate}")).unwrap_or_default();
    format!(
        "BASE_BACKUP LABEL '{LABEL}' PROGRESS FAST WAL NOWAIT{rate} MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"
    )
}

/// The copy's own configuration: what queries see the effect of is as at the source, and the rest as Postgres has it.
fn write_configuration(order: &CopyCluster<'_>, settings: &[(String, String)]) -> io::Result<()> {
    let lines = settings.iter().map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")));
    let main: String = lines.collect();
    for (name, text) in [
        ("postgresql.conf", main.as_str()),
        ("postgresql.auto.conf", ""),
        ("pg_hba.conf", "local all all scram-sha-256\nlocal replication all scram-sha-256\n"),
        ("pg_ident.conf", ""),
    ] {
        let path = order.data_dir.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        chown(&path, order.account)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_has_the_form_of_its_major() {
        assert!(command(18, Some(1024)).ends_with("MANIFEST_CHECKSUMS 'CRC32C', MAX_RATE 1024)"));
        assert!(
            command(14, None).starts_with("BASE_BACKUP LABEL 'offshoot' PROGRESS FAST WAL NOWAIT MANIFEST")
        );
    }
}

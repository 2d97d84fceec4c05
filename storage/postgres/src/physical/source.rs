//! What the source is, and whether its files can be run here.

use super::PhysicalError;
use super::connection::Connection;
use crate::load::Address;
use crate::tls::ConnectError;

/// Bytes of a page, and of a segment of a relation, of every Postgres that can be run here.
const BLOCK_SIZE: &str = "8192";
const SEGMENT_SIZE: &str = "1GB";

/// Settings that queries see the effect of, and that name nothing of the source's machine.
const KEPT: [&str; 4] = ["DateStyle", "IntervalStyle", "TimeZone", "default_text_search_config"];

/// What was learned of the source.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) major: u32,
    /// Lines for the copy's configuration.
    pub(super) settings: Vec<(String, String)>,
    /// What somebody should know.
    pub(super) notes: Vec<String>,
}

/// The major of the server at the other end.
pub(super) fn major(connection: &Connection) -> Result<u32, PhysicalError> {
    let version = connection.parameter("server_version").unwrap_or_default();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| PhysicalError::Unsuitable {
        what: format!("it says that it is version `{version}`"),
        hint: "Copy without --physical.".into(),
    })
}

/// Asks the source what has to fit, over the connection of the copy.
pub(super) fn examine(connection: &mut Connection, local: u32) -> Result<Facts, PhysicalError> {
    let source_major = major(connection)?;
    if source_major != local {
        return Err(PhysicalError::OtherMajor { source_major, local });
    }
    for (setting, wanted) in [("block_size", BLOCK_SIZE), ("segment_size", SEGMENT_SIZE)] {
        let found = connection.show(setting)?.unwrap_or_default();
        if found != wanted {
            return Err(PhysicalError::Unsuitable {
                what: format!("its {setting} is {found}, not {wanted}"),
                hint: "Copy without --physical.".into(),
            });
        }
    }
    let mut facts = Facts { major: source_major, ..Facts::default() };
    if connection.show("wal_level")?.as_deref() == Some("minimal") {
        return Err(PhysicalError::NoSenders { message: "wal_level is minimal".into() });
    }
    if connection.show("data_checksums")?.as_deref() == Some("off") {
        facts.notes.push("the source has no data checksums, and so the branches have none".into());
    }
    for name in KEPT {
        if let Some(value) = connection.show(name)? {
            facts.settings.push((name.to_owned(), value));
        }
    }
    // Prepared transactions in the backup need room, or recovery ends with an error.
    let prepared = connection.show("max_prepared_transactions")?.unwrap_or_default();
    if prepared != "0" && !prepared.is_empty() {
        facts.settings.push(("max_prepared_transactions".into(), prepared));
    }
    let libraries = connection.show("shared_preload_libraries")?.unwrap_or_default();
    if !libraries.is_empty() {
        facts.notes.push(format!(
            "shared_preload_libraries of the source ({libraries}) does not hold in branches: ALTER SYSTEM sets it where \
             its libraries are there"
        ));
    }
    Ok(facts)
}

/// Looks by an ordinary connection at what only that shows, before anything is copied. A source that takes none of this role is no
/// failure: the copy itself shows it later.
pub(super) fn look_inside(address: &Address, database: &str) -> Result<(), PhysicalError> {
    let Ok(config) = address.client_config() else { return Ok(()) };
    let Ok(tls) = address.tls() else { return Ok(()) };
    let mut client = match tls.connect(&config) {
        Ok(client) => client,
        Err(ConnectError::Postgres(error))
            if error.code() == Some(&postgres::error::SqlState::INVALID_CATALOG_NAME) =>
        {
            return Err(PhysicalError::NoDatabase { name: database.to_owned(), others: Vec::new() });
        }
        Err(_) => return Ok(()),
    };
    let row = client.query_one(
        "SELECT pg_catalog.version(), datcollate::text, datctype::text FROM pg_catalog.pg_database \
         WHERE datname = pg_catalog.current_database()",
        &[],
    );
    let Ok(row) = row else { return Ok(()) };
    let (version, locales): (String, [String; 2]) = (row.get(0), [row.get(1), row.get(2)]);
    let machine = std::env::consts::ARCH;
    if let Some(other) = other_machine(&version, machine) {
        return Err(PhysicalError::Unsuitable {
            what: format!("it runs on {other}, and this machine is {machine}"),
            hint: "Copy without --physical, from any machine to any other.".into(),
        });
    }
    match locales.iter().find(|locale| !crate::sys::has_locale(locale)) {
        Some(locale) => Err(PhysicalError::Unsuitable {
            what: format!("its database has the locale {locale}, which this machine has not"),
            hint: format!(
                "Install it (Debian: `localedef` or `dpkg-reconfigure locales`, {locale}), or copy without --physical."
            ),
        }),
        None => Ok(()),
    }
}

/// The processor that a `version()` names, if it is another one than `machine`.
fn other_machine<'a>(version: &'a str, machine: &str) -> Option<&'a str> {
    let platform = version.split(" on ").nth(1)?;
    let processor = platform.split(['-', ',', ' ']).next()?;
    let is_same = processor == machine || (machine == "x86_64" && processor == "amd64");
    let is_known =
        ["x86_64", "amd64", "aarch64", "arm64", "powerpc64le", "ppc64le", "s390x", "i686", "riscv64"]
            .contains(&processor);
    (is_known && !is_same && !(machine == "aarch64" && processor == "arm64")).then_some(processor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_processor_is_seen_in_the_version() {
        let version = "PostgreSQL 17.2 (Debian 17.2-1) on aarch64-unknown-linux-gnu, compiled by gcc";
        assert_eq!(other_machine(version, "x86_64"), Some("aarch64"));
        assert_eq!(other_machine(version, "aarch64"), None);
        assert_eq!(other_machine("PostgreSQL 17.2 on x86_64-pc-linux-musl, compiled", "x86_64"), None);
        assert_eq!(other_machine("EnterpriseDB", "x86_64"), None);
    }
}

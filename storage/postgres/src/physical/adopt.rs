//! Making a copied cluster one's own: recovered, with a password of one's own, and nothing in it that leads back to the source.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use postgres_protocol::password::scram_sha_256;
use serde_json::Value;

use super::single::{ANSWER, Said, Single};
use super::{PhysicalError, files};
use crate::account::Account;
use crate::install::Installation;
use crate::progress::Progress;

/// The order to make a copied cluster one's own.
#[derive(Clone, Copy)]
pub struct Adopt<'a> {
    /// The Postgres that runs it from now on.
    pub installation: &'a Installation,
    /// The cluster.
    pub data_dir: &'a Path,
    /// Whose its files are.
    pub account: Option<&'a Account>,
    /// The superuser to be, who may be there.
    pub superuser: &'a str,
    /// The password that this role gets.
    pub password: &'a str,
    /// The database that is wanted, by its name at the source.
    pub source_database: &'a str,
    /// The name that it is to have.
    pub database: &'a str,
    /// Additions to the environment of Postgres.
    pub env: &'a [(OsString, OsString)],
    /// Whether what is written is on the disk afterwards; otherwise the caller sees to that.
    pub durable: bool,
}

/// What a cluster has that was made one's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adopted {
    /// What somebody should know.
    pub notes: Vec<String>,
}

/// The first major that notes the version of a database's collation.
const DATABASE_COLLATIONS_SINCE: u32 = 15;

/// Recovers the cluster from its backup, and then:
/// - `superuser` is one, with the password; the other roles keep everything but theirs,
/// - subscriptions are disabled and know no slot, so that neither using nor dropping one reaches the publisher,
/// - prepared transactions are rolled back, as nobody here can end them,
/// - libraries that a role or a database loads into each session are not loaded.
///
/// # Errors
/// [`PhysicalError::Recovery`], [`PhysicalError::NoDatabase`], [`PhysicalError::Unsuitable`] for a locale that is not here.
pub fn adopt(order: &Adopt<'_>, progress: &dyn Progress) -> Result<Adopted, PhysicalError> {
    let single = Single {
        installation: order.installation,
        data_dir: order.data_dir,
        account: order.account,
        env: order.env,
        durable: order.durable,
    };
    progress.step("Recover to the end of the backup", 0, None);
    let mut statements = own(order.superuser, order.password);
    let tolerated = format!("role \"{}\" already exists", order.superuser);
    statements.push(report(order.installation.version.major));
    let said =
        single.run(order.source_database, &statements, progress).map_err(|error| named(error, order))?;
    ended_well(&said, &[&tolerated])?;
    let answer = said.answers.first().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let answer =
        answer.ok_or_else(|| PhysicalError::Recovery { log: "it does not say what it has".into() })?;
    let mut notes = Vec::new();
    end_prepared(&single, &answer, &mut notes, progress)?;
    let names = texts(&answer["databases"]);
    if order.database != order.source_database {
        if names.iter().any(|name| name == order.database) {
            return Err(PhysicalError::Unsuitable {
                what: format!(
                    "`{}` cannot be called `{}`, as it has a database of that name too",
                    order.source_database, order.database
                ),
                hint: "Give the branch's database another name: --database.".into(),
            });
        }
        let rename =
            format!("ALTER DATABASE {} RENAME TO {}", quoted(order.source_database), quoted(order.database));
        ended_well(&single.run("template1", &[rename], progress)?, &[])?;
    }
    notes.extend(describe(&answer, order, &names));
    files::remove_labels(order.data_dir)?;
    Ok(Adopted { notes })
}

/// The statements that make the cluster one's own; each is one line.
fn own(superuser: &str, password: &str) -> Vec<String> {
    let role = quoted(superuser);
    // The verifier, so that the password itself is nowhere.
    let verifier = scram_sha_256(password.as_bytes());
    [
        format!("CREATE ROLE {role}"),
        format!(
            "ALTER ROLE {role} WITH SUPERUSER LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS CONNECTION LIMIT -1 \
             VALID UNTIL 'infinity' PASSWORD '{verifier}'"
        ),
        format!("UPDATE pg_catalog.pg_authid SET rolpassword = NULL WHERE rolname <> {}", literal(superuser)),
        "UPDATE pg_catalog.pg_subscription SET subenabled = false, subslotname = NULL".to_owned(),
        "UPDATE pg_catalog.pg_db_role_setting SET setconfig = ARRAY(SELECT s FROM pg_catalog.unnest(setconfig) s WHERE s \
         !~ '^(session|local)_preload_libraries=') WHERE setconfig::text ~ '(session|local)_preload_libraries='"
            .to_owned(),
        "DELETE FROM pg_catalog.pg_db_role_setting WHERE setconfig = '{}'".to_owned(),
    ]
    .into()
}

/// The question what the cluster has, answered in one line of JSON.
fn report(major: u32) -> String {
    let collation = if major >= DATABASE_COLLATIONS_SINCE {
        "(SELECT datcollversion <> pg_catalog.pg_database_collation_actual_version(oid) FROM pg_catalog.pg_database WHERE \
         datname = pg_catalog.current_database())"
    } else {
        "false"
    };
    format!(
        "SELECT pg_catalog.json_build_object(\
         'databases', (SELECT pg_catalog.json_agg(datname ORDER BY datname) FROM pg_catalog.pg_database WHERE NOT datistemplate), \
         'libraries', (SELECT pg_catalog.json_agg(DISTINCT probin) FROM pg_catalog.pg_proc WHERE probin LIKE '$libdir/%'), \
         'folder', (SELECT setting FROM pg_catalog.pg_config WHERE name = 'PKGLIBDIR'), \
         'subscriptions', (SELECT pg_catalog.json_agg(subname) FROM pg_catalog.pg_subscription), \
         'prepared', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(database, gid)) FROM pg_catalog.pg_prepared_xacts), \
         'collation', {collation}\
         )::text AS {ANSWER}"
    )
}

/// Rolls back what was prepared at the source and is not decided there yet.
fn end_prepared(
    single: &Single<'_>,
    answer: &Value,
    notes: &mut Vec<String>,
    progress: &dyn Progress,
) -> Result<(), PhysicalError> {
    let mut by_database: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for pair in answer["prepared"].as_array().into_iter().flatten() {
        if let (Some(database), Some(gid)) = (pair[0].as_str(), pair[1].as_str()) {
            by_database.entry(database).or_default().push(gid);
        }
    }
    for (database, gids) in by_database {
        let statements: Vec<String> =
            gids.iter().map(|gid| format!("ROLLBACK PREPARED {}", literal(gid))).collect();
        ended_well(&single.run(database, &statements, progress)?, &[])?;
        notes.push(format!("prepared transactions of {database} were rolled back here: {}", gids.join(", ")));
    }
    Ok(())
}

/// What somebody should know of the cluster.
fn describe(answer: &Value, order: &Adopt<'_>, databases: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    let others: Vec<&str> = databases
        .iter()
        .map(String::as_str)
        .filter(|name| *name != order.source_database && *name != "postgres")
        .collect();
    if !others.is_empty() {
        notes.push(format!("other databases of the source came along: {}", others.join(", ")));
    }
    let folder = Path::new(answer["folder"].as_str().unwrap_or_default());
    let libraries = texts(&answer["libraries"]);
    let missing: Vec<&str> = libraries
        .iter()
        .filter_map(|library| library.strip_prefix("$libdir/"))
        .filter(|name| !folder.join(format!("{name}.so")).exists() && !folder.join(name).exists())
        .collect();
    if !missing.is_empty() {
        notes.push(format!(
            "extensions of {} need libraries that the Postgres here has not: {}; what uses them fails, and `--bin-dir` \
             takes a Postgres that has them",
            order.source_database,
            missing.join(", ")
        ));
    }
    if answer["collation"].as_bool() == Some(true) {
        notes.push(format!(
            "texts may sort differently here than at the source, where the collation has another version: run `REINDEX \
             DATABASE {0}; ALTER DATABASE {0} REFRESH COLLATION VERSION` on the root branch",
            quoted(order.database)
        ));
    }
    let subscriptions = texts(&answer["subscriptions"]);
    if !subscriptions.is_empty() {
        notes.push(format!("subscriptions are disabled here: {}", subscriptions.join(", ")));
    }
    notes
}

/// Makes an error of a statement one of the whole.
pub(super) fn ended_well(said: &Said, tolerated: &[&str]) -> Result<(), PhysicalError> {
    let bad: Vec<&str> = said
        .errors
        .iter()
        .map(String::as_str)
        .filter(|line| !tolerated.iter().any(|fine| line.contains(fine)))
        .collect();
    if bad.is_empty() { Ok(()) } else { Err(PhysicalError::Recovery { log: bad.join("\n") }) }
}

/// What it means that no session came to be.
fn named(error: PhysicalError, order: &Adopt<'_>) -> PhysicalError {
    let PhysicalError::Recovery { log } = &error else { return error };
    let name = order.source_database;
    if log.contains(&format!("database \"{name}\" does not exist")) {
        return PhysicalError::NoDatabase { name: name.to_owned(), others: Vec::new() };
    }
    if log.contains("database locale is incompatible") {
        return PhysicalError::Unsuitable {
            what: log.clone(),
            hint: "Install the locale that it names (Debian: `dpkg-reconfigure locales`), or copy without --physical."
                .into(),
        };
    }
    error
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in SQL, whatever the database's settings say of backslashes.
fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

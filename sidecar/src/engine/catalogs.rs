//! Reads a branch's catalogs over a connection of its own, which is nobody's client connection. Blocks.

use std::path::Path;
use std::time::{Duration, Instant};

use offshoot_schema::{ReadError, read_settled};
use offshoot_storage::Store;
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};

use super::schemas::{Fingerprint, Seen};
use crate::failure::{Failure, chain};

const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
const STATEMENT_PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait for somebody else's `ALTER TABLE`.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// The catalogs that describe a schema. A change inserts a row with a higher `xmin` than any other, or deletes one; so
/// count and sum of `xmin` change with it. Statistics are updated in place and change neither.
const CATALOGS: &[&str] = &[
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_attrdef",
    "pg_attribute",
    "pg_auth_members",
    "pg_authid",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_conversion",
    "pg_default_acl",
    "pg_depend",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_index",
    "pg_inherits",
    "pg_init_privs",
    "pg_language",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_partitioned_table",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_publication_rel",
    "pg_range",
    "pg_rewrite",
    "pg_seclabel",
    "pg_sequence",
    "pg_shdescription",
    "pg_statistic_ext",
    "pg_subscription",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_type",
    "pg_user_mapping",
];

/// Looks at the schema of the branch that listens at `socket`; reads it only if its fingerprint is not `known`.
pub(super) fn look(
    store: &Store,
    socket: &Path,
    known: Option<&Fingerprint>,
) -> crate::failure::Result<Seen> {
    let at = Instant::now();
    let mut client = connect(store, socket)?;
    let row = client
        .query_one(&fingerprint_sql(store.info().postgres.version.major), &[])
        .map_err(|error| not_read(&error))?;
    let (fingerprint, busy): (Fingerprint, bool) = (row.get(0), row.get(1));
    let facts = if known == Some(&fingerprint) {
        None
    } else {
        Some(read_settled(&mut client).map_err(|error| schema_failure(&error))?)
    };
    Ok(Seen { at, fingerprint, busy, facts })
}

fn fingerprint_sql(major: u32) -> String {
    let newer: &[&str] = if major >= 15 { &["pg_publication_namespace"] } else { &[] };
    let sums: Vec<_> = CATALOGS
        .iter()
        .chain(newer)
        .map(|catalog| {
            format!(
                "SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(xmin::pg_catalog.text::pg_catalog.int8)) AS s
                 FROM pg_catalog.{catalog}"
            )
        })
        .collect();
    // Others are busy if they have begun something that is not over, whether they are still connected or not.
    format!(
        "SELECT pg_catalog.string_agg(s, ' '),
                EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE backend_type OPERATOR(pg_catalog.=) 'client backend'
                        AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() AND state OPERATOR(pg_catalog.<>) 'idle')
         FROM ({}) AS sums",
        sums.join(" UNION ALL ")
    )
}

fn connect(store: &Store, socket: &Path) -> crate::failure::Result<Client> {
    let info = store.info();
    // They outrank what the branch sets for its database and roles. Whoever may create objects there must not have them run by
    // us: no function or operator is found but in `pg_catalog`, and no login trigger runs.
    let options = format!(
        "-c statement_timeout={} -c lock_timeout={} -c default_transaction_read_only=on -c search_path=pg_catalog -c role=none{}",
        STATEMENT_PATIENCE.as_millis(),
        LOCK_PATIENCE.as_millis(),
        if info.postgres.version.major >= 17 {
            " -c event_triggers=off -c transaction_timeout=0"
        } else {
            ""
        }
    );
    let connected = Config::new()
        .host_path(socket.parent().unwrap_or(socket))
        .user(&info.user)
        .password(store.password())
        .dbname(&info.database)
        .application_name("offshoot schema")
        .connect_timeout(CONNECT_PATIENCE)
        .options(&options)
        .connect(NoTls);
    connected.map_err(|error| match error.code() {
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => Failure::user(format!(
            "the branch has no database `{}` any more",
            info.database
        ))
        .hint(format!(
            "Connect to another database, such as `postgres`, and create `{}` again; or reset the branch.",
            info.database
        )),
        _ => not_read(&error),
    })
}

fn schema_failure(error: &ReadError) -> Failure {
    match error {
        ReadError::Refused { code, .. } => refused(&SqlState::from_code(code), &chain(error)),
        other => Failure::engine(format!("the schema cannot be read: {}", chain(other))).hint(other.hint()),
    }
}

fn not_read(error: &postgres::Error) -> Failure {
    match error.code() {
        Some(code) => refused(code, &chain(error)),
        None => Failure::engine(format!("the schema cannot be read: {}", chain(error)))
            .hint("The branch's Postgres log tells more."),
    }
}

fn refused(code: &SqlState, message: &str) -> Failure {
    let failure = Failure::engine(format!("the schema cannot be read: {message}"));
    match *code {
        SqlState::LOCK_NOT_AVAILABLE => {
            Failure::user("the schema cannot be read while a transaction changes it")
                .hint("Commit the transaction or roll it back.")
        }
        SqlState::QUERY_CANCELED => failure.hint("The branch is busy; try again when it is less so."),
        _ => failure.hint("The branch's Postgres log tells more."),
    }
}

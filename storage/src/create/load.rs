//! Loading a new cluster, and masking what is personal on the way.

use offshoot_postgres::Progress;
use offshoot_postgres::client::ClientTools;
use offshoot_postgres::load::{self, LoadError, LoadReport, Masking};
use offshoot_postgres::mask::{Key, MaskError, Plan, Rule, Transformer, personal};
use offshoot_postgres::server::ServerSpec;
use offshoot_postgres::subset::Session;
use postgres::Client;

use super::fill::Fill;
use super::{Source, USER};
use crate::error::{Context as _, StorageError};

/// The database that a cluster comes with.
const FIRST_DATABASE: &str = "postgres";
/// The database that the schema is made in beforehand, where that is what the data go to as well.
const ASIDE: &str = "offshoot_masking";

/// Looks at the source, where a part of it is wanted.
pub(super) fn open(fill: &Fill<'_>, progress: &dyn Progress) -> Result<Option<Session>, StorageError> {
    let has_sql = |rule: &&Rule| matches!(rule.with, Transformer::Sql(_));
    let computed = fill.masking.iter().find(has_sql);
    match (fill.source, computed) {
        (Source::Server { url, subset }, computed) if computed.is_some() || !subset.is_everything() => {
            let mut session = Session::open(url, subset, progress)?;
            session.check_expressions(fill.masking).map(|()| Some(session)).map_err(Into::into)
        }
        (Source::Script(_) | Source::Archive(_), Some(rule)) => Err(LoadError::from(MaskError::new(
            format!(
                "the rule for {} is an expression in SQL, which only a running server can work out",
                rule.column
            ),
            "Import from the server, as `--from postgres://…`, or take another rule for the column.",
        ))
        .into()),
        _ => Ok(None),
    }
}

/// Makes the database and loads the data into it.
pub(super) fn load(
    fill: &Fill<'_>,
    spec: &ServerSpec,
    mut session: Option<Session>,
    progress: &dyn Progress,
) -> Result<Option<LoadReport>, StorageError> {
    let masks = fill.masking.iter().any(|rule| rule.with != Transformer::Keep);
    let mut before = None;
    if masks && !matches!(fill.source, Source::Empty) {
        before = Some(plan(fill, spec, session.as_mut(), progress)?);
    }
    if fill.database != FIRST_DATABASE {
        create_database(fill, spec, fill.database)?;
    }
    let mut client = connect(spec, fill.database, fill.password)?;
    let Some((mut plan, schema)) = before else {
        let report = pass(fill, &mut client, session.as_mut(), None, progress)?;
        return Ok(report.map(|report| LoadReport { unmasked: unmasked(fill, spec, None), ..report }));
    };
    let masking = Some(Masking::Rows(&mut plan));
    let mut report = pass(fill, &mut client, session.as_mut(), masking, progress)?;
    if let Some(report) = &mut report {
        // The first pass made them.
        report.created_roles.splice(0..0, schema.created_roles);
        report.unmasked = unmasked(fill, spec, Some(&plan));
    }
    Ok(report)
}

/// Makes the schema in a database that is dropped again, and plans from it how to mask: foreign keys come behind the rows.
fn plan(
    fill: &Fill<'_>,
    spec: &ServerSpec,
    session: Option<&mut Session>,
    progress: &dyn Progress,
) -> Result<(Plan, LoadReport), StorageError> {
    let key = Key::of_file(&fill.masking_key).context("keep the key for masking in", &fill.masking_key)?;
    let name = if fill.database == FIRST_DATABASE { ASIDE } else { fill.database };
    progress.step("Read the schema", 0, None);
    create_database(fill, spec, name)?;
    let mut client = connect(spec, name, fill.password)?;
    let report = pass(fill, &mut client, session, Some(Masking::Schema), progress)?.unwrap_or_default();
    drop(client);
    // Settings of the script, such as a search path, are gone with its session.
    let mut client = connect(spec, name, fill.password)?;
    let plan = Plan::new(fill.masking, key, &mut client).map_err(LoadError::from)?;
    drop(client);
    connect(spec, FIRST_DATABASE, fill.password)?
        .batch_execute(&format!("DROP DATABASE {}", quoted(name)))
        .map_err(|error| statement_error("drop a database", &error))?;
    Ok((plan, report))
}

/// How many columns look personal and have no rule. What keeps this from being found is no reason to throw the data away.
fn unmasked(fill: &Fill<'_>, spec: &ServerSpec, plan: Option<&Plan>) -> usize {
    let look = || {
        // Settings of the source, such as a search path, are gone with its session.
        let mut client = connect(spec, fill.database, fill.password).ok()?;
        if let Some(plan) = plan {
            return Some(personal(&mut client, plan).ok()?.len());
        }
        // Nothing is replaced by it, so that any key will do.
        let plan = Plan::new(fill.masking, Key::from_bytes([0; 32]), &mut client).ok()?;
        Some(personal(&mut client, &plan).ok()?.len())
    };
    look().unwrap_or(0)
}

/// Reads the source once.
fn pass(
    fill: &Fill<'_>,
    client: &mut Client,
    session: Option<&mut Session>,
    masking: Option<Masking<'_>>,
    progress: &dyn Progress,
) -> Result<Option<LoadReport>, StorageError> {
    if let Some(session) = session {
        return Ok(Some(match masking {
            Some(Masking::Schema) => session.schema(tools(fill)?, client, masking, progress)?,
            Some(Masking::Rows(plan)) => session.load(tools(fill)?, client, Some(plan), progress)?,
            None => session.load(tools(fill)?, client, None, progress)?,
        }));
    }
    Ok(Some(match fill.source {
        // A cluster that was copied has its data.
        Source::Empty | Source::Cluster { .. } | Source::Standby { .. } => return Ok(None),
        Source::Script(path) => {
            let mut script = load::open_script(path)?;
            let bytes = load::script_bytes(path).context("look at", path)?;
            match masking {
                None => load::load_script(&mut script, client, bytes, progress)?,
                Some(masking) => load::load_masked(&mut script, client, bytes, masking, progress)?,
            }
        }
        Source::Archive(path) => load::restore_archive(tools(fill)?, path, client, masking, progress)?,
        Source::Server { url, subset } => {
            load::dump_server(tools(fill)?, url, subset.lock_timeout, client, masking, progress)?
        }
    }))
}

fn create_database(fill: &Fill<'_>, spec: &ServerSpec, name: &str) -> Result<(), StorageError> {
    connect(spec, FIRST_DATABASE, fill.password)?
        .batch_execute(&format!("CREATE DATABASE {}", quoted(name)))
        .map_err(|error| statement_error("create the database", &error))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn tools<'a>(fill: &Fill<'a>) -> Result<&'a ClientTools, StorageError> {
    fill.tools.ok_or_else(|| StorageError::Refused {
        what: "This source".into(),
        why: "pg_dump and pg_restore are not there".into(),
    })
}

pub(super) fn statement_error(context: &'static str, error: &postgres::Error) -> StorageError {
    let message = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    StorageError::Statement { context, message }
}

pub(super) fn connect(spec: &ServerSpec, database: &str, password: &str) -> Result<Client, StorageError> {
    postgres::Config::new()
        .host_path(&spec.socket_dir)
        .user(USER)
        .password(password)
        .dbname(database)
        .application_name("offshoot")
        .connect(postgres::NoTls)
        .map_err(|error| statement_error("connect to the new cluster", &error))
}

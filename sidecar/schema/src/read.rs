//! Reading facts from a live catalog.

mod assemble;
mod error;
mod parts;
mod queries;
mod relations;
mod rest;
mod routines;
mod row;
#[cfg(test)]
mod speed;

pub use error::ReadError;

use crate::fact::Facts;

/// The oldest major version that can be read.
const OLDEST: u32 = 14;

/// Reads all that is known of the schema of the database that `client` is connected to.
///
/// One read-only transaction with one snapshot, so that changes by others while it reads are not seen in halves.
/// The number of round trips does not depend on the size of the schema. Kinds that the role may not read are
/// named in [`Facts::unreadable`].
///
/// # Errors
/// [`ReadError`]; the connection's transaction is over in any case.
pub fn read(client: &mut postgres::Client) -> Result<Facts, ReadError> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = ''; \
                 SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; SET LOCAL IntervalStyle = 'postgres'; \
                 SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL quote_all_identifiers = off; SET LOCAL row_security = off";
    client.batch_execute(begin).map_err(|error| ReadError::new("begin", &error))?;
    let read = read_all(client);
    let ended = client.batch_execute("ROLLBACK").map_err(|error| ReadError::new("end", &error));
    let facts = read?;
    ended?;
    Ok(facts)
}

fn read_all(client: &mut postgres::Client) -> Result<Facts, ReadError> {
    let major = major(client)?;
    if major < OLDEST {
        return Err(ReadError::TooOld { major });
    }
    let mut assembly = assemble::Assembly::new(major);
    for query in queries::all(major) {
        match row::fetch(client, &query.sql) {
            Ok(rows) => assembly.take(&query, rows),
            Err(error) if error.is_privilege() => {
                row::recover(client)?;
                assembly.unreadable(query.what, &error.to_string());
            }
            Err(error) => return Err(error.during(query.what)),
        }
    }
    Ok(assembly.finish())
}

fn major(client: &mut postgres::Client) -> Result<u32, ReadError> {
    let rows = row::fetch(client, "SELECT current_setting('server_version_num') AS n; SAVEPOINT q")?;
    let number: u32 = rows.first().and_then(|row| row.get("n")).and_then(|n| n.parse().ok()).unwrap_or(0);
    Ok(number / 10_000)
}

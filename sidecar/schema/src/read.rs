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

use std::time::Duration;

use crate::fact::Facts;
use queries::Query;

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
    let begun = row::fetch(client, BEGIN).map_err(|error| error.during("begin"));
    let read = begun.and_then(|answers| {
        let number: u32 =
            answers.iter().flat_map(row::Rows::iter).map(|row| row.number::<u32>(row::Field::Number)).sum();
        read_all(client, number / 10_000)
    });
    let ended = client.batch_execute("ROLLBACK").map_err(|error| ReadError::new("end", &error));
    let facts = read?;
    ended?;
    Ok(facts)
}

/// How often a schema that moves is read, and the pause before the second time; later ones grow.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

/// Like [`read`], again if somebody changed the schema under the reading.
///
/// # Errors
/// Those of [`read`]; [`ReadError::is_moving`] if the schema does not come to rest within six attempts.
pub fn read_settled(client: &mut postgres::Client) -> Result<Facts, ReadError> {
    let mut attempt = 1;
    loop {
        match read(client) {
            Err(error) if attempt < ATTEMPTS && error.is_moving() => {
                std::thread::sleep(PAUSE * attempt);
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Compiling queries costs more than it brings: the planner overrates those over catalogs. And right after a big schema was
/// loaded nobody has analyzed the catalogs: the planner takes them for small and would join them row by row.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL search_path = ''; \
    SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; SET LOCAL IntervalStyle = 'postgres'; \
    SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL quote_all_identifiers = off; SET LOCAL row_security = off; \
    SET LOCAL jit = off; SET LOCAL enable_nestloop = off; SELECT current_setting('server_version_num') AS server_version_num; SAVEPOINT q";

fn read_all(client: &mut postgres::Client, major: u32) -> Result<Facts, ReadError> {
    if major < OLDEST {
        return Err(ReadError::TooOld { major });
    }
    let mut assembly = assemble::Assembly::new(major);
    for batch in queries::all(major) {
        read_some(client, batch.what, &batch.queries, &mut assembly)?;
    }
    Ok(assembly.finish())
}

/// Reads in one round trip. Among queries of which one lacks privileges, that one is found by halving.
fn read_some(
    client: &mut postgres::Client,
    what: &str,
    queries: &[Query],
    assembly: &mut assemble::Assembly,
) -> Result<(), ReadError> {
    let sql: Vec<&str> = queries.iter().map(|query| query.sql.as_str()).collect();
    match (row::fetch(client, &sql.join(";\n")), queries) {
        (Ok(answers), _) => {
            for (query, rows) in queries.iter().zip(&answers) {
                assembly.take(query, rows);
            }
            Ok(())
        }
        (Err(error), [query]) if error.is_privilege() => {
            row::recover(client)?;
            assembly.unreadable(query.what, &error.to_string());
            Ok(())
        }
        (Err(error), [_, _, ..]) if error.is_privilege() => {
            row::recover(client)?;
            let (one, other) = queries.split_at(queries.len() / 2);
            read_some(client, what, one, assembly)?;
            read_some(client, what, other, assembly)
        }
        (Err(error), _) => Err(error.during(what)),
    }
}

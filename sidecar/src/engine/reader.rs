//! The role as which sessions read a branch whose rule lets them write nothing.
//!
//! Postgres itself holds it to that: the role owns nothing and is granted nothing but to read, so that no setting of a session gives it
//! more. It has the owner's password, by the same verifier, as clients know no other.

use std::path::Path;

use postgres::{Client, Transaction};

use super::{Engine, throwaway};
use crate::config::rules::READER;
use crate::failure::{Failure, Result, chain};

/// Whether the role is there and no more than it should be.
const IS_RIGHT: &str = "\
    WITH set_for AS (SELECT setrole, setdatabase, \
        CASE WHEN c ~ '^search_path=' THEN c ELSE split_part(c, '=', 1) END AS k \
      FROM pg_db_role_setting, unnest(setconfig) c WHERE c !~ '^default_transaction_read_only=') \
    SELECT r.rolcanlogin AND r.rolinherit AND r.rolbypassrls AND r.rolconnlimit = -1 AND coalesce(r.rolvaliduntil = 'infinity', true) \
      AND NOT (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication) \
      AND r.rolpassword IS NOT DISTINCT FROM o.rolpassword \
      AND has_database_privilege(r.oid, current_database(), 'CONNECT') \
      AND ARRAY(SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1) \
        = ARRAY['pg_monitor', 'pg_read_all_data'] \
      AND ARRAY(SELECT k FROM set_for s WHERE s.setrole = r.oid ORDER BY s.setdatabase, k) \
        = ARRAY(SELECT k FROM set_for s WHERE s.setrole = o.oid ORDER BY s.setdatabase, k) \
      AND EXISTS (SELECT FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0 \
        AND 'default_transaction_read_only=on' = ANY (s.setconfig)) \
    FROM pg_authid r, pg_authid o WHERE r.rolname = $1 AND o.rolname = current_user";

/// What the owner's sessions are set to, as the role's are to be, too: for one database or, without a name, for all.
const SETTINGS: &str = "\
    SELECT d.datname::text, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1) \
    FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) c LEFT JOIN pg_database d ON d.oid = s.setdatabase \
    WHERE s.setrole = (SELECT oid FROM pg_authid WHERE rolname = current_user) AND c !~ '^default_transaction_read_only=' \
      AND (s.setdatabase = 0 OR d.datname IS NOT NULL)";

/// Sees to it that the role is there. Whether it is: a server that is a standby makes none, and nobody writes there. Blocks.
pub(super) fn prepare(engine: &Engine, socket: &Path) -> Result<bool> {
    let major = engine.store.info().postgres.version.major;
    let quiet = if major >= 17 { " -c event_triggers=off" } else { "" };
    let options = format!("{} -c search_path=pg_catalog{quiet}", throwaway::options(major));
    let mut client = throwaway::connect(engine, socket, None, &options)?;
    let failed = |error: postgres::Error| {
        Failure::engine(format!(
            "the role `{READER}`, as which sessions read, cannot be made: {}",
            chain(&error)
        ))
        .hint("`offshoot engine logs` tells more; `offshoot sql --override` goes without it.")
    };
    if is_right(&mut client).map_err(failed)? {
        return Ok(true);
    }
    if client.query_one("SELECT pg_is_in_recovery()", &[]).map_err(failed)?.get(0) {
        return Ok(false);
    }
    let mut transaction = client.transaction().map_err(failed)?;
    make(&mut transaction).map_err(failed)?;
    transaction.commit().map_err(failed)?;
    tracing::info!(socket = %socket.display(), "made the role as which sessions read");
    Ok(true)
}

fn is_right(client: &mut Client) -> Result<bool, postgres::Error> {
    Ok(client.query_opt(IS_RIGHT, &[&READER])?.is_some_and(|row| row.get(0)))
}

fn make(transaction: &mut Transaction<'_>) -> Result<(), postgres::Error> {
    // Connections that come together make it one after the other.
    transaction.query("SELECT pg_advisory_xact_lock(hashtext($1))", &[&READER])?;
    let is_there = transaction.query_opt("SELECT FROM pg_authid WHERE rolname = $1", &[&READER])?.is_some();
    if !is_there {
        transaction.batch_execute(&format!("CREATE ROLE {READER}"))?;
    }
    let owner = "SELECT quote_ident(rolname), quote_nullable(rolpassword) FROM pg_authid WHERE rolname = current_user";
    let owner = transaction.query_one(owner, &[])?;
    let password: String = owner.get(1);
    let more = "SELECT quote_ident(g.rolname) FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid \
                JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = $1";
    for row in transaction.query(more, &[&READER])? {
        transaction.batch_execute(&format!("REVOKE {} FROM {READER}", row.get::<_, String>(0)))?;
    }
    transaction.batch_execute(&format!(
        "ALTER ROLE {READER} NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION LOGIN INHERIT BYPASSRLS \
           CONNECTION LIMIT -1 VALID UNTIL 'infinity' PASSWORD {password}; \
         GRANT pg_read_all_data, pg_monitor TO {READER}; \
         ALTER ROLE {READER} RESET ALL"
    ))?;
    for row in transaction.query("SELECT quote_ident(datname) FROM pg_database WHERE datallowconn", &[])? {
        let database: String = row.get(0);
        transaction.batch_execute(&format!("ALTER ROLE {READER} IN DATABASE {database} RESET ALL"))?;
    }
    for row in transaction.query(SETTINGS, &[])? {
        let (database, name, value): (Option<String>, String, String) = (row.get(0), row.get(1), row.get(2));
        let place = database.map(|name| format!(" IN DATABASE {}", ident(&name))).unwrap_or_default();
        let name: Vec<String> = name.split('.').map(ident).collect();
        let name = name.join(".");
        transaction.execute("SELECT set_config($1, $2, true)", &[&name.replace('"', ""), &value])?;
        transaction.batch_execute(&format!("ALTER ROLE {READER}{place} SET {name} FROM CURRENT"))?;
        // One of them may be this, and what follows is to find Postgres's own functions.
        transaction.batch_execute("SET LOCAL search_path = pg_catalog")?;
    }
    transaction.batch_execute(&format!("ALTER ROLE {READER} SET default_transaction_read_only = on"))?;
    let may =
        "SELECT has_database_privilege($1, current_database(), 'CONNECT'), quote_ident(current_database())";
    let may = transaction.query_one(may, &[&READER])?;
    if !may.get::<_, bool>(0) {
        transaction
            .batch_execute(&format!("GRANT CONNECT ON DATABASE {} TO {READER}", may.get::<_, String>(1)))?;
    }
    Ok(())
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

//! Reading where something is in the way.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use offshoot_schema::{Kind, PlanOptions, ReadError, diff, plan, read, read_settled};
use support::Postgres;

/// Has a view's table locked by another transaction while `during` runs.
fn locked<T>(server: &Postgres, database: &str, during: impl FnOnce() -> T) -> T {
    let mut other = server.connect(database);
    other.batch_execute("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").unwrap();
    let outcome = during();
    other.batch_execute("ROLLBACK").unwrap();
    outcome
}

#[test]
fn what_stops_a_reading_is_told_and_the_connection_goes_on() {
    let Some(server) = Postgres::start(15) else { return };
    let mut client = server.database("a", "CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t");
    client.batch_execute("SET statement_timeout = '200ms'").unwrap();
    let error = locked(&server, "a", || read(&mut client)).unwrap_err();
    assert_eq!(error.code(), Some("57014"), "{error}");
    assert!(error.hint().contains("statement_timeout"), "{}", error.hint());
    client.batch_execute("SET statement_timeout = 0; SET lock_timeout = '200ms'").unwrap();
    let error = locked(&server, "a", || read(&mut client)).unwrap_err();
    assert_eq!(error.code(), Some("55P03"), "{error}");
    assert!(error.hint().contains("commit it"), "{}", error.hint());
    client.batch_execute("RESET ALL").unwrap();
    assert!(read(&mut client).unwrap().facts.len() > 3);
}

#[test]
fn lost_connection_is_told() {
    let Some(server) = Postgres::start(15) else { return };
    let mut client = server.database("a", "CREATE TABLE t (a int); CREATE VIEW v AS SELECT a FROM t");
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let error = locked(&server, "a", || {
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| read(&mut client));
            let mut other = server.connect("postgres");
            let waits = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'";
            while other.query(waits, &[&pid]).unwrap().is_empty() {
                assert!(!reading.is_finished(), "the reading did not wait");
            }
            other.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
            reading.join().unwrap()
        })
    })
    .unwrap_err();
    assert!(matches!(error, ReadError::Lost { .. }), "{error}");
}

#[test]
fn kinds_that_a_role_may_not_read_are_named_and_all_others_read() {
    let Some(server) = Postgres::start(15) else { return };
    let sql = "CREATE ROLE plain LOGIN PASSWORD 'secret'; CREATE TABLE t (a int); CREATE POLICY p ON t; \
               REVOKE SELECT ON pg_policy FROM PUBLIC; REVOKE SELECT ON pg_event_trigger FROM PUBLIC";
    drop(server.database("a", sql));
    let facts = read(&mut server.connect_as("plain", "a")).unwrap();
    let unreadable: Vec<&str> = facts.unreadable.keys().map(String::as_str).collect();
    assert!(unreadable.contains(&"policies") && unreadable.contains(&"event triggers"), "{unreadable:?}");
    assert!(facts.facts.keys().any(|id| id.kind == Kind::Table && id.name == "t"));
    assert!(facts.unreadable["policies"].contains("permission denied"), "{}", facts.unreadable["policies"]);
}

#[test]
fn what_one_side_may_not_read_is_no_difference_and_no_step_of_a_plan() {
    let Some(server) = Postgres::start(15) else { return };
    let sql = "CREATE ROLE plain LOGIN PASSWORD 'secret'; CREATE TABLE t (a int); CREATE POLICY p ON t; \
               CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; \
               CREATE USER MAPPING FOR postgres SERVER s OPTIONS (region 'north'); \
               REVOKE SELECT ON pg_policy FROM PUBLIC";
    let mut owner = server.database("a", sql);
    let (all, some) = (read(&mut owner).unwrap(), read(&mut server.connect_as("plain", "a")).unwrap());
    let unread: Vec<&str> = some.unreadable.keys().map(String::as_str).collect();
    assert_eq!(unread, ["options of user mappings", "policies"]);
    for (from, to) in [(&all, &some), (&some, &all)] {
        let found = diff::diff(from, to, &diff::Noise::default());
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn encodings_other_than_utf8_are_read_or_refused_by_name() {
    let Some(server) = Postgres::start(15) else { return };
    let mut admin = server.connect("postgres");
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let sql = format!(
            "CREATE DATABASE {encoding} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        admin.batch_execute(&sql).unwrap();
    }
    let mut latin = server.connect("latin1");
    latin.batch_execute("CREATE TABLE \"gr\u{fc}n\" (\"\u{e9}\" text DEFAULT '\u{f1}'); COMMENT ON TABLE \"gr\u{fc}n\" IS '\u{df}'").unwrap();
    let facts = read(&mut latin).unwrap();
    let mut utf8 = server.database("utf8", "");
    let empty = read(&mut utf8).unwrap();
    utf8.batch_execute(&plan(&empty, &facts, &PlanOptions::default()).sql()).unwrap();
    assert!(diff::diff(&read(&mut utf8).unwrap(), &facts, &diff::Noise::default()).is_empty());
    let mut ascii = server.connect("sql_ascii");
    assert!(read(&mut ascii).is_ok());
    ascii.batch_execute("DO $$ BEGIN EXECUTE 'CREATE TABLE t' || chr(233) || '(a int)'; END $$").unwrap();
    let error = read(&mut ascii).unwrap_err();
    assert!(matches!(error, ReadError::Encoding { .. }), "{error}");
    ascii.batch_execute("SELECT 1").unwrap();
}

#[test]
fn schema_that_changes_meanwhile_is_read_when_it_rests() {
    let Some(server) = Postgres::start(15) else { return };
    let mut client = server.database("a", "CREATE TABLE stays (a int)");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut other = server.connect("a");
            while !done.load(Ordering::SeqCst) {
                other
                    .batch_execute(
                        "CREATE TABLE t (a int PRIMARY KEY, b int DEFAULT 1 CHECK (b > 0)); CREATE VIEW v AS SELECT a FROM t; \
                         CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION f(); DROP VIEW v; DROP TABLE t",
                    )
                    .unwrap();
            }
        });
        for _ in 0..8 {
            match read_settled(&mut client) {
                Ok(facts) => assert!(facts.facts.keys().any(|id| id.name == "stays")),
                Err(error) => assert!(error.is_moving(), "{error}"),
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(read_settled(&mut client).is_ok());
}

/// The same schemas on two servers are the same, and a plan from one to the other runs.
#[test]
fn versions_of_the_server_make_no_difference() {
    let (Some(old), Some(new)) = (Postgres::start(15), Postgres::start(18)) else { return };
    for (name, sql) in [("shop", include_str!("shop.sql")), ("rare", include_str!("rare.sql"))] {
        let (mut one, mut other) = (old.database(name, sql), new.database(name, sql));
        let (from, to) = (read(&mut one).unwrap(), read(&mut other).unwrap());
        let left = diff::diff(&from, &to, &diff::Noise::default());
        assert!(left.is_empty(), "{name}: {left:?}");
        let mut empty = new.database(&format!("{name} empty"), "");
        let nothing = read(&mut empty).unwrap();
        let script = plan(&nothing, &from, &PlanOptions::default()).sql();
        empty.batch_execute(&script).unwrap_or_else(|error| panic!("{error:?}\n{script}"));
        let left = diff::diff(&read(&mut empty).unwrap(), &from, &diff::Noise::default());
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}

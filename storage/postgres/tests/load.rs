//! Loading scripts, archives and servers with a real Postgres.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use offshoot_postgres::load::{self, LoadError, LoadReport, load_script};
use offshoot_postgres::{ClientTools, Locator, Progress, Silent};
use postgres::Client;
use support::Running;

fn load(client: &mut Client, script: &str) -> Result<LoadReport, LoadError> {
    load_script(&mut script.as_bytes(), client, Some(script.len() as u64), &Silent)
}

fn count(client: &mut Client, table: &str) -> i64 {
    client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().get(0)
}

/// A script with everything that a dump may hold.
const SCRIPT: &str = "\u{feff}-- a dump\r
\\restrict abc
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET no_such_setting_here = 1;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.t (id int PRIMARY KEY, note text DEFAULT 'a;b');
CREATE FUNCTION public.f(a int) RETURNS int LANGUAGE plpgsql AS $_$ BEGIN RETURN $1 + 1; END; $_$;
ALTER TABLE public.t OWNER TO \"some \"\"one\";
GRANT SELECT ON public.t TO first_reader, second_reader;
COPY public.t (id, note) FROM stdin;
1\tone; \\\\ two
2\t\\N
\\.

INSERT INTO public.t VALUES (3, E'it\\'s; here'), (4, 'back\\slash');
BEGIN;
INSERT INTO public.t VALUES (5);
COMMIT;
\\connect -reuse-previous=on \"dbname='full'\"
\\unrestrict abc
INSERT INTO public.t VALUES (6)";

#[test]
fn script_with_everything_loads() {
    let Some(running) = Running::new() else { return };
    let mut client = running.database("full");
    let report = load(&mut client, SCRIPT).unwrap();
    assert_eq!(report.rows_copied, 2);
    assert_eq!(report.created_roles, ["some \"one", "first_reader", "second_reader"].map(str::to_owned));
    assert_eq!(report.notes.len(), 1);
    assert!(report.notes[0].contains("no_such_setting_here"), "{:?}", report.notes);
    assert_eq!(report.bytes, SCRIPT.len() as u64);
    assert_eq!(count(&mut client, "public.t"), 6);
    let note: String = client.query_one("SELECT note FROM public.t WHERE id = 1", &[]).unwrap().get(0);
    assert_eq!(note, "one; \\ two");
    let note: String = client.query_one("SELECT note FROM public.t WHERE id = 4", &[]).unwrap().get(0);
    assert_eq!(note, "back\\slash");
}

#[test]
fn sql_function_bodies_load() {
    let Some(running) = Running::new() else { return };
    if running.cluster.installation.version.major < 14 {
        return;
    }
    let script = "CREATE FUNCTION f(a int) RETURNS int\nBEGIN ATOMIC\n SELECT 1;\n SELECT CASE a WHEN 1 THEN 2 END;\nEND;\n\
        SELECT f(1);\n";
    let report = load(&mut running.database("bodies"), script).unwrap();
    assert_eq!(report.statements, 2);
}

#[test]
fn first_error_names_line_code_and_statement() {
    let Some(running) = Running::new() else { return };
    let mut client = running.database("errors");
    let error =
        load(&mut client, "SELECT 1;\n\n-- c\nSELECT\n nonsense;\nCREATE TABLE never ();\n").unwrap_err();
    let LoadError::Statement { line, statement, code, message, .. } = error else { panic!("{error}") };
    assert_eq!((line, statement.as_str(), code.as_deref()), (5, "SELECT\n nonsense;", Some("42703")));
    assert!(message.contains("nonsense"));
    assert!(client.query("SELECT * FROM never", &[]).is_err(), "the load went on behind the error");

    let copy = "CREATE TABLE n (a int);\nCOPY n FROM stdin;\n1\n2\nx\n4\n\\.\n";
    let error = load(&mut client, copy).unwrap_err();
    let LoadError::Statement { line, code, .. } = error else { panic!("{error}") };
    assert_eq!((line, code.as_deref()), (5, Some("22P02")));
    assert_eq!(count(&mut client, "n"), 0, "the connection is unusable or rows stayed");

    // Far more rows than fit into the buffers on the way: the server gives up while they are being sent.
    let many = format!("COPY n FROM stdin;\nx\n{}\\.\n", "12345\n".repeat(2_000_000));
    let LoadError::Statement { line, .. } = load(&mut client, &many).unwrap_err() else { panic!("many") };
    assert_eq!(line, 2);

    // This one costs the connection, see `load_script`.
    let error = load(&mut running.client(), "COPY missing FROM stdin;\n1\n\\.\n").unwrap_err();
    assert!(matches!(error, LoadError::Statement { line: 1, .. }), "{error}");

    let error = load(&mut client, "BEGIN;\nCREATE TABLE gone ();\nSELECT 1/0;\n").unwrap_err();
    assert!(matches!(error, LoadError::Statement { line: 3, .. }), "{error}");
    assert!(client.query("SELECT * FROM gone", &[]).is_err());
    assert_eq!(count(&mut client, "n"), 0, "the transaction was left open");
}

#[test]
fn an_extension_that_is_not_installed_is_left_out_of_a_copy_and_not_of_a_persons_script() {
    let Some(running) = Running::new() else { return };
    let script = "CREATE SCHEMA s;\nCREATE EXTENSION IF NOT EXISTS no_such_extension WITH SCHEMA s;\n\
        COMMENT ON EXTENSION no_such_extension IS 'x';\nCREATE TABLE t (id int);\n";
    let mut client = running.database("lacking");
    let report = load(&mut client, script).unwrap();
    assert_eq!(report.notes.len(), 1);
    let note = &report.notes[0];
    assert!(note.starts_with("line 2: ") && note.contains("left out extension no_such_extension"), "{note}");
    assert_eq!(count(&mut client, "t"), 0);

    let needs = format!("{script}CREATE TABLE u (v s.vector);\n");
    let error = load(&mut running.database("needing"), &needs).unwrap_err();
    assert!(error.hint().contains("no_such_extension"), "{}", error.hint());

    let mut client = running.database("strict");
    let error = load::run_script(&mut script.as_bytes(), &mut client, None, &Silent).unwrap_err();
    let LoadError::Statement { line, .. } = error else { panic!("{error}") };
    assert_eq!(line, 2);
}

#[test]
fn what_is_no_plain_dump_is_refused_by_name() {
    let Some(running) = Running::new() else { return };
    let mut client = running.database("refused");
    let mut refuse = |script: &str| load(&mut client, script).unwrap_err();
    let error = refuse("SELECT 1;\n\\i other.sql\n");
    assert!(matches!(&error, LoadError::MetaCommand { line: 2, command } if command == "\\i"), "{error}");
    let error = refuse("SELECT 1 \\gset\n");
    assert!(matches!(&error, LoadError::MetaCommand { command, .. } if command == "\\gset"), "{error}");
    assert!(matches!(
        refuse("--\n-- PostgreSQL database cluster dump\n--\n"),
        LoadError::ClusterDump { line: 2 }
    ));
    assert!(matches!(refuse("CREATE DATABASE x;\n"), LoadError::OtherDatabase { .. }));
    assert!(matches!(refuse("\\connect other\n"), LoadError::OtherDatabase { .. }));
    assert!(matches!(refuse("SELECT 'a\0b';\n"), LoadError::NotText { line: 1, .. }));
    assert!(matches!(refuse("SET client_encoding = 'LATIN1';\n"), LoadError::Encoding { line: 1, .. }));
    assert!(matches!(refuse("SELECT 1;\nSELECT 'a\n"), LoadError::Unfinished { line: 2, .. }));
    assert!(matches!(
        refuse("CREATE TABLE a (a int);\nCOPY a FROM stdin;\n1\n"),
        LoadError::Unfinished { .. }
    ));
    let latin = load_script(&mut b"SELECT '\xe9';\n".as_slice(), &mut client, None, &Silent);
    assert!(matches!(latin, Err(LoadError::Encoding { .. })));
}

/// Cancels once it has been asked often enough.
struct CancelAfter(AtomicU64, u64);

impl Progress for CancelAfter {
    fn step(&self, _what: &str, _done: u64, _total: Option<u64>) {}

    fn is_cancelled(&self) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) >= self.1
    }
}

#[test]
fn load_is_cancelled_between_and_within_statements() {
    let Some(running) = Running::new() else { return };
    let mut client = running.database("cancel");
    let cancelled = |client: &mut Client, script: &str, after: u64| {
        let progress = CancelAfter(AtomicU64::new(0), after);
        load_script(&mut script.as_bytes(), client, None, &progress)
    };
    let many = "SELECT 1;\n".repeat(1000);
    assert!(matches!(cancelled(&mut client, &many, 20), Err(LoadError::Cancelled)));
    let rows = format!("CREATE TABLE c (a int);\nCOPY c FROM stdin;\n{}\\.\n", "1\n".repeat(10_000));
    assert!(matches!(cancelled(&mut client, &rows, 500), Err(LoadError::Cancelled)));
    let begun = std::time::Instant::now();
    assert!(matches!(cancelled(&mut client, "SELECT pg_sleep(60);\n", 5), Err(LoadError::Cancelled)));
    assert!(begun.elapsed().as_secs() < 30, "the running statement was not cancelled");
    assert_eq!(count(&mut client, "c"), 0);
}

/// The client tools, unless they could only be had by fetching them.
fn tools(running: &Running) -> Option<ClientTools> {
    struct Offline;
    impl Progress for Offline {
        fn step(&self, _what: &str, _done: u64, _total: Option<u64>) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let locator = Locator { cache: running.cluster.dir.path().join("cache") };
    let found = locator.client_tools(running.cluster.installation.version.major, &Offline).ok();
    if found.is_none() {
        eprintln!("SKIPPED: there is no pg_dump of the server's version");
    }
    found
}

const SOURCE: &str = "CREATE TABLE t (id int PRIMARY KEY, note text);
INSERT INTO t SELECT n, 'note ' || n FROM generate_series(1, 1000) n;
CREATE VIEW v AS SELECT count(*) FROM t;
CREATE ROLE owner_of_all; ALTER TABLE t OWNER TO owner_of_all;
";

#[test]
fn server_is_copied_without_its_owners() {
    let Some(running) = Running::new() else { return };
    let Some(tools) = tools(&running) else { return };
    load(&mut running.database("source"), SOURCE).unwrap();
    let mut target = running.database("target");
    assert_eq!(
        load::server_major(&running.source("source")).unwrap(),
        running.cluster.installation.version.major
    );
    let report = load::dump_server(&tools, &running.source("source"), &mut target, None, &Silent).unwrap();
    assert_eq!((report.rows_copied, count(&mut target, "public.t")), (1000, 1000));
    assert!(report.created_roles.is_empty());

    let wrong = running.source("source").replace("password='", "password='x");
    let error = load::dump_server(&tools, &wrong, &mut target, None, &Silent).unwrap_err();
    assert!(matches!(error, LoadError::SourcePassword { .. }), "{error}");
    assert!(matches!(load::server_major(&wrong), Err(LoadError::SourcePassword { .. })));
    let none = running.source("source").replace("/s user", "/none user");
    let error = load::dump_server(&tools, &none, &mut target, None, &Silent).unwrap_err();
    assert!(matches!(error, LoadError::SourceUnreachable { .. }), "{error}");
    let error =
        load::dump_server(&tools, &running.source("nowhere"), &mut target, None, &Silent).unwrap_err();
    assert!(matches!(error, LoadError::Source { .. }), "{error}");
}

#[test]
fn archive_is_restored_and_a_cut_one_refused() {
    let Some(running) = Running::new() else { return };
    let Some(tools) = tools(&running) else { return };
    load(&mut running.database("source"), SOURCE).unwrap();
    let archive = running.cluster.dir.path().join("source.dump");
    let made = std::process::Command::new(&tools.pg_dump)
        .args(["-Fc", "-f"])
        .arg(&archive)
        .arg(format!("--dbname={}", running.source("source")))
        .status();
    assert!(made.unwrap().success());
    assert!(load::is_archive(&archive).unwrap());
    let mut target = running.database("target");
    let report = load::restore_archive(&tools, &archive, &mut target, None, &Silent).unwrap();
    assert_eq!((report.rows_copied, count(&mut target, "public.t")), (1000, 1000));

    let whole = std::fs::read(&archive).unwrap();
    let cut = running.cluster.dir.path().join("cut.dump");
    std::fs::File::create(&cut).unwrap().write_all(&whole[..whole.len() - 600]).unwrap();
    let mut other = running.database("other");
    let error = load::restore_archive(&tools, &cut, &mut other, None, &Silent).unwrap_err();
    assert!(matches!(error, LoadError::Archive { .. }), "{error}");
}

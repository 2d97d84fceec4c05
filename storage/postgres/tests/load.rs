//! Loading scripts, archives and servers with a real Postgres.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use offshoot_postgres::load::{self, LoadError, LoadReport, Masking, load_script};
use offshoot_postgres::mask::{ColumnName, Key, Plan, Rule, Transformer};
use offshoot_postgres::subset::LOCK_TIMEOUT;
use offshoot_postgres::{Progress, Silent};
use postgres::Client;
use support::{Running, tools};

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
    assert!(matches!(refuse("SELECT 1;\nSET NAMES 'sjis';\n"), LoadError::Encoding { line: 2, .. }));
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

const SOURCE: &str = "CREATE TABLE t (id int PRIMARY KEY, note text);
INSERT INTO t SELECT n, 'note ' || n FROM generate_series(1, 1000) n;
CREATE VIEW v AS SELECT count(*) FROM t;
CREATE ROLE owner_of_all; ALTER TABLE t OWNER TO owner_of_all;
";

#[test]
fn server_is_copied_without_its_owners() {
    let Some(running) = Running::new() else { return };
    let Some(tools) = tools(&running.cluster) else { return };
    load(&mut running.database("source"), SOURCE).unwrap();
    let mut target = running.database("target");
    assert_eq!(
        load::server_major(&running.source("source")).unwrap(),
        running.cluster.installation.version.major
    );
    let report =
        load::dump_server(&tools, &running.source("source"), LOCK_TIMEOUT, &mut target, None, &Silent)
            .unwrap();
    assert_eq!((report.rows_copied, count(&mut target, "public.t")), (1000, 1000));
    assert!(report.created_roles.is_empty());

    let wrong = running.source("source").replace("password='", "password='x");
    let error = load::dump_server(&tools, &wrong, LOCK_TIMEOUT, &mut target, None, &Silent).unwrap_err();
    assert!(matches!(error, LoadError::SourcePassword { .. }), "{error}");
    assert!(matches!(load::server_major(&wrong), Err(LoadError::SourcePassword { .. })));
    let none = running.source("source").replace("/s user", "/none user");
    let error = load::dump_server(&tools, &none, LOCK_TIMEOUT, &mut target, None, &Silent).unwrap_err();
    assert!(matches!(error, LoadError::SourceUnreachable { .. }), "{error}");
    let error =
        load::dump_server(&tools, &running.source("nowhere"), LOCK_TIMEOUT, &mut target, None, &Silent)
            .unwrap_err();
    assert!(matches!(error, LoadError::Source { .. }), "{error}");
}

#[test]
fn archive_is_restored_and_a_cut_one_refused() {
    let Some(running) = Running::new() else { return };
    let Some(tools) = tools(&running.cluster) else { return };
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

/// The schema of what is masked below.
const PEOPLE: &str = "SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.users (id int, email text);
CREATE TABLE public.plain (id int, word text);
CREATE TABLE public.log (at int, who text) PARTITION BY RANGE (at);
CREATE TABLE public.log_1 PARTITION OF public.log FOR VALUES FROM (0) TO (9);
CREATE VIEW public.people AS SELECT id, email FROM public.users;
";

/// Loads `script` into a database that has the schema of its first lines, `PEOPLE`, with rules made of that schema.
fn load_people(client: &mut Client, script: &str) -> Result<LoadReport, LoadError> {
    let rule = |column: &str| Rule { column: ColumnName::parse(column).unwrap(), with: Transformer::Hash };
    let rules = [rule("public.users.email"), rule("public.log_1.who")];
    let mut plan = Plan::new(&rules, Key::from_bytes([3; 32]), client).unwrap();
    load::load_masked(&mut script.as_bytes(), client, None, Masking::Rows(&mut plan), &Silent)
}

#[test]
fn rows_of_which_no_rule_is_known_to_hold_are_refused_while_data_are_masked() {
    let Some(running) = Running::new() else { return };
    load(&mut running.database("people"), PEOPLE).unwrap();
    let client = || support::connect(&running.cluster.dir.path().join("s"), "people");
    let mut one = client();
    let mut refuse = |script: &str, said: &str| {
        let error = load_people(&mut one, script).unwrap_err();
        assert!(matches!(error, LoadError::Unmaskable { .. }), "{script}: {error}");
        assert!(error.to_string().contains(said), "{script}: {error}");
    };
    // The source was changed between the two readings: a column or a table has another name by now.
    refuse("COPY public.users (id, mail) FROM stdin;\n1\tzq@x\n\\.\n", "users had no column mail");
    refuse("COPY public.accounts (id, email) FROM stdin;\n1\tzq@x\n\\.\n", "public.accounts is no table");
    // A script gives what it has loaded another name.
    refuse(
        "CREATE TABLE public.t (id int, email text);\nCOPY public.t FROM stdin;\n\\.\n",
        "public.t is no table",
    );
    refuse("ALTER TABLE ONLY public.plain RENAME COLUMN word TO email;\n", "renamed");
    refuse("ALTER TABLE public.plain RENAME TO users;\n", "renamed");
    refuse("ALTER TABLE public.plain SET SCHEMA other;\n", "renamed");
    // By way of something else.
    refuse(
        "COPY public.log (at, who) FROM stdin;\n1\tzq\n\\.\n",
        "public.log_1.who has a rule that public.log has not",
    );
    refuse("INSERT INTO public.log VALUES (1, 'zq');\n", "public.log_1.who has a rule");
    refuse("INSERT INTO public.people VALUES (1, 'zq');\n", "public.people is no table");
    refuse("INSERT INTO public.users VALUES (1, 'zq');\n", "by INSERT");
    refuse("SET search_path = public;\nINSERT INTO users VALUES (1, 'zq');\n", "names no schema");
    let words =
        "CREATE UNLOGGED TABLE IF NOT EXISTS public.made USING heap WITH (fillfactor = 9) AS SELECT 'zq';\n";
    refuse(words, "made with its rows");
    // A word that the lexer takes for the begin of a body hides what follows from it, but not from the server.
    let hidden = "CREATE FUNCTION public.begin() RETURNS int LANGUAGE sql AS 'SELECT 1';\n\
        INSERT INTO public.users VALUES (1, 'zq');\nCREATE FUNCTION public.end() RETURNS int LANGUAGE sql AS 'SELECT 1';\n";
    let error = load_people(&mut client(), hidden).unwrap_err();
    assert!(error.to_string().contains("multiple commands"), "{error}");
    let mut after = client();
    for table in ["users", "log", "plain"] {
        assert_eq!(count(&mut after, &format!("public.{table}")), 0, "{table}");
    }

    let fine = "COPY public.users (id, email) FROM stdin;\n1\tzq@x\n\\.\nCOPY public.log_1 FROM stdin;\n1\tzq\n\\.\n\
        COPY public.plain (word, id) FROM stdin;\nw\t1\n\\.\nINSERT INTO public.plain VALUES (2, 'x');\n\
        ALTER TABLE ONLY public.users ADD CONSTRAINT rename PRIMARY KEY (id);\nSELECT pg_catalog.set_config('a.b', '', false);\n";
    assert_eq!(load_people(&mut client(), fine).unwrap().rows_copied, 3);
    assert_eq!((count(&mut after, "public.users"), count(&mut after, "public.plain")), (1, 2));
    assert_eq!(count(&mut after, "public.users WHERE email LIKE '%zq%'"), 0);
    assert_eq!(count(&mut after, "public.log WHERE who LIKE '%zq%'"), 0);
}

//! The endpoint before a real Postgres, with a real driver as the client.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{BufRead as _, Read as _, Write as _};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::cluster::{Cluster, PASSWORD, cluster};
use common::upstream::{Switch, until};
use offshoot_endpoint::{Drained, Endpoint, EndpointOptions};
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};
use tokio::runtime::Runtime;

const LONG: Duration = Duration::from_mins(1);
const NONE: Drained = Drained { idle: 0, finished: 0, cut: 0 };

/// An endpoint before one real server, driven from a thread without a runtime, as the blocking driver needs.
struct Setup {
    runtime: Runtime,
    endpoint: Endpoint,
    upstream: Arc<Switch>,
    cluster: Arc<Cluster>,
}

/// None if there is no Postgres on this machine; the reason has been printed.
fn setup() -> Option<Setup> {
    let cluster = cluster(0)?;
    let runtime = Runtime::new().unwrap();
    let upstream = Switch::new(1, &cluster.socket());
    let bound = Endpoint::bind(common::ANY_PORT, upstream.clone(), EndpointOptions::default());
    let endpoint = runtime.block_on(bound).unwrap();
    Some(Setup { runtime, endpoint, upstream, cluster })
}

impl Setup {
    fn config(&self, password: &str) -> Config {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.endpoint.port())
            .user("postgres")
            .password(password)
            .dbname("postgres");
        config
    }

    fn client(&self) -> Client {
        self.config(PASSWORD).connect(NoTls).unwrap()
    }

    fn drain(&self, grace: Duration) -> Drained {
        self.runtime.block_on(self.endpoint.drain(grace))
    }
}

fn sqlstate(error: &postgres::Error) -> Option<&SqlState> {
    error.as_db_error().map(postgres::error::DbError::code)
}

/// The driver hands out a last row or an error before the server is ready again; this returns when it is.
fn settle(client: &mut Client) {
    client.batch_execute("").unwrap();
}

/// Waits until the server, asked through another connection, says yes.
fn until_true(observer: &mut Client, question: &str) {
    let start = Instant::now();
    while !observer.query_one(question, &[]).unwrap().get::<_, bool>(0) {
        assert!(start.elapsed() < LONG, "never true: {question}");
    }
}

#[test]
fn postgres_itself_checks_the_password() {
    let Some(setup) = setup() else { return };
    let wrong = setup.config("wrong").connect(NoTls).map(drop).unwrap_err();
    assert_eq!(sqlstate(&wrong), Some(&SqlState::INVALID_PASSWORD));
    let mut right = setup.client();
    let method = right.query_one(
        "select rolpassword like 'SCRAM-SHA-256$%' from pg_authid where rolname = 'postgres'",
        &[],
    );
    assert!(method.unwrap().get::<_, bool>(0));
    drop(right);
    setup.runtime.block_on(until(&setup.upstream.open, 0));
}

#[test]
fn simple_extended_and_failing_queries_pass_and_leave_the_connection_idle() {
    let Some(setup) = setup() else { return };
    let mut client = setup.client();
    client
        .batch_execute("create temp table t (id int); insert into t values (1); insert into t values (2)")
        .unwrap();
    for _ in 0..3 {
        let rows = client.query("select id + $1 from t order by id", &[&10]).unwrap();
        assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [11, 12]);
        let error = client.query("select 1 / ($1::int - $1)", &[&1]).unwrap_err();
        assert_eq!(sqlstate(&error), Some(&SqlState::DIVISION_BY_ZERO));
        let error = client.batch_execute("no sql").unwrap_err();
        assert_eq!(sqlstate(&error), Some(&SqlState::SYNTAX_ERROR));
    }
    let big = "x".repeat(20 << 20);
    assert_eq!(client.query_one("select length($1)", &[&big]).unwrap().get::<_, i32>(0), 20 << 20);
    let error =
        client.batch_execute("do $$ begin raise notice 'psst'; raise exception 'no'; end $$").unwrap_err();
    assert_eq!(sqlstate(&error), Some(&SqlState::RAISE_EXCEPTION));
    settle(&mut client);
    assert_eq!(setup.drain(LONG), Drained { idle: 1, ..NONE });
}

#[test]
fn a_hundred_megabytes_of_copy_pass_both_ways() {
    const LINE: &[u8] = &[b'x'; 999];
    const LINES: usize = 105_000;
    let Some(setup) = setup() else { return };
    let mut client = setup.client();
    client.batch_execute("create temp table t (line text)").unwrap();
    let mut copy = client.copy_in("copy t from stdin").unwrap();
    let line = [LINE, b"\n"].concat();
    for _ in 0..LINES {
        copy.write_all(&line).unwrap();
    }
    assert_eq!(copy.finish().unwrap(), LINES as u64);

    let mut reader = client.copy_out("copy t to stdout").unwrap();
    let (mut lines, mut text) = (0, Vec::new());
    while reader.read_until(b'\n', &mut text).unwrap() > 0 {
        assert_eq!(text, line);
        text.clear();
        lines += 1;
    }
    assert_eq!(lines, LINES);
    drop(reader);
    settle(&mut client);
    // Both ends of COPY must be understood for this to count as idle.
    assert_eq!(setup.drain(LONG), Drained { idle: 1, ..NONE });
}

#[test]
fn a_failed_copy_leaves_the_connection_idle() {
    let Some(setup) = setup() else { return };
    let mut client = setup.client();
    client.batch_execute("create temp table t (id int)").unwrap();
    let mut copy = client.copy_in("copy t from stdin").unwrap();
    copy.write_all(b"not a number\n").unwrap();
    assert!(copy.finish().is_err());
    let mut copy = client.copy_in("copy t from stdin").unwrap();
    copy.write_all(b"1\n").unwrap();
    drop(copy);
    assert_eq!(client.query_one("select count(*) from t", &[]).unwrap().get::<_, i64>(0), 0);
    assert_eq!(setup.drain(LONG), Drained { idle: 1, ..NONE });
}

#[test]
fn a_cancel_request_reaches_the_running_statement() {
    let Some(setup) = setup() else { return };
    let (mut client, mut observer) = (setup.client(), setup.client());
    let token = client.cancel_token();
    let sleeping = std::thread::spawn(move || client.batch_execute("select pg_sleep(300) /* cancel me */"));
    until_true(
        &mut observer,
        "select exists (select from pg_stat_activity where wait_event = 'PgSleep' and query like '%cancel me%' and pid <> pg_backend_pid())",
    );
    token.cancel_query(NoTls).unwrap();
    let error = sleeping.join().unwrap().unwrap_err();
    assert_eq!(sqlstate(&error), Some(&SqlState::QUERY_CANCELED));
}

#[test]
fn an_idle_client_sees_57p01_and_reconnects() {
    let Some(setup) = setup() else { return };
    let mut client = setup.client();
    client.batch_execute("begin; select 1; commit").unwrap();
    assert_eq!(setup.drain(LONG), Drained { idle: 1, ..NONE });
    assert_eq!(*setup.upstream.open.borrow(), 0);
    // A pool's test query finds what the endpoint said before.
    let error = client.batch_execute("select 1").unwrap_err();
    assert_eq!(sqlstate(&error), Some(&SqlState::ADMIN_SHUTDOWN), "{error:?}");
    setup.client().batch_execute("select 1").unwrap();
}

#[test]
fn a_transaction_may_finish_within_the_grace() {
    let Some(setup) = setup() else { return };
    let mut client = setup.client();
    setup.client().batch_execute("drop table if exists finished; create table finished (id int)").unwrap();
    let mut transaction = client.transaction().unwrap();
    transaction.execute("insert into finished values (1)", &[]).unwrap();
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| setup.drain(LONG));
        transaction.execute("insert into finished values (2)", &[]).unwrap();
        transaction.commit().unwrap();
        let drained = drain.join().unwrap();
        assert!(drained.cut == 0 && drained.finished + drained.idle >= 1, "{drained:?}");
    });
    assert!(client.batch_execute("select 1").is_err());
    let count = setup.client().query_one("select count(*) from finished", &[]).unwrap();
    assert_eq!(count.get::<_, i64>(0), 2);
}

#[test]
fn a_transaction_is_cut_at_the_end_of_the_grace_and_rolled_back() {
    let Some(setup) = setup() else { return };
    setup.client().batch_execute("drop table if exists cut; create table cut (id int)").unwrap();
    let (mut open, mut running) = (setup.client(), setup.client());
    open.batch_execute("begin; insert into cut values (1)").unwrap();
    let sleeping = std::thread::spawn(move || running.batch_execute("select pg_sleep(300) /* cut me */"));
    let mut observer = setup.client();
    until_true(
        &mut observer,
        "select exists (select from pg_stat_activity where wait_event = 'PgSleep' and query like '%cut me%' and pid <> pg_backend_pid())",
    );
    drop(observer);
    setup.runtime.block_on(until(&setup.upstream.open, 2));
    // A connection takes its leave from its guard first and from the endpoint then.
    while setup.endpoint.connections() > 2 {
        std::thread::yield_now();
    }
    let grace = Duration::from_millis(300);
    let start = Instant::now();
    assert_eq!(setup.drain(grace), Drained { cut: 2, ..NONE });
    assert!(start.elapsed() >= grace);
    let error = sleeping.join().unwrap().unwrap_err();
    assert_eq!(sqlstate(&error), Some(&SqlState::ADMIN_SHUTDOWN), "{error:?}");
    assert!(open.batch_execute("commit").is_err());

    let mut after = setup.client();
    assert_eq!(after.query_one("select count(*) from cut", &[]).unwrap().get::<_, i64>(0), 0);
    let left = "select not exists (select from pg_stat_activity where query like '%cut me%' and pid <> pg_backend_pid())";
    assert!(after.query_one(left, &[]).unwrap().get::<_, bool>(0), "the statement outlived the drain");
}

#[test]
fn new_connections_reach_the_new_branch_while_the_old_one_drains() {
    let (Some(setup), Some(other)) = (setup(), cluster(1)) else { return };
    let which = "select system_identifier from pg_control_system()";
    let identify = |client: &mut Client| client.query_one(which, &[]).unwrap().get::<_, i64>(0);
    let (mut idle, mut busy) = (setup.client(), setup.client());
    let old = identify(&mut idle);
    busy.batch_execute("begin").unwrap();
    setup.upstream.lead_to(2, &other.socket());
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| setup.runtime.block_on(setup.endpoint.drain_except(2, LONG)));
        let mut fresh = setup.client();
        let new = identify(&mut fresh);
        assert_ne!(new, old);
        assert_eq!(identify(&mut busy), old);
        busy.batch_execute("commit").unwrap();
        let drained = drain.join().unwrap();
        assert_eq!((drained.idle + drained.finished, drained.cut), (2, 0), "{drained:?}");
        assert_eq!(identify(&mut fresh), new, "spared by its target's key");
    });
    assert!(idle.batch_execute("select 1").is_err());
    setup.upstream.lead_to(1, &setup.cluster.socket());
    assert_eq!(identify(&mut setup.client()), old);
}

#[test]
fn a_backend_that_postgres_ends_gives_postgres_own_reason() {
    let Some(setup) = setup() else { return };
    let (mut client, mut other) = (setup.client(), setup.client());
    let pid: i32 = client.query_one("select pg_backend_pid()", &[]).unwrap().get(0);
    let sleeping = std::thread::spawn(move || client.batch_execute("select pg_sleep(300)"));
    let asleep =
        format!("select exists (select from pg_stat_activity where pid = {pid} and wait_event = 'PgSleep')");
    until_true(&mut other, &asleep);
    other.execute("select pg_terminate_backend($1)", &[&pid]).unwrap();
    let error = sleeping.join().unwrap().unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::ADMIN_SHUTDOWN);
    assert_eq!(error.message(), "terminating connection due to administrator command");
}

#[test]
fn a_client_that_vanishes_leaves_no_backend_behind() {
    let Some(setup) = setup() else { return };
    let (mut client, mut observer) = (setup.client(), setup.client());
    let pid: i32 = client.query_one("select pg_backend_pid()", &[]).unwrap().get(0);
    client.batch_execute("begin").unwrap();
    drop(client);
    until_true(&mut observer, &format!("select not exists (select from pg_stat_activity where pid = {pid})"));
    setup.runtime.block_on(until(&setup.upstream.open, 1));
}

#[test]
fn libpq_tools_and_replication_pass() {
    let Some(setup) = setup() else { return };
    if !setup.cluster.bin().join("pgbench").exists() {
        eprintln!("\n*** SKIPPED: this Postgres comes without psql, pg_basebackup and pgbench. ***\n");
        return;
    }
    let dir = common::short_dir();
    let port = setup.endpoint.port().to_string();
    let run = |tool: &str, arguments: &[&str]| {
        let mut command = Command::new(setup.cluster.bin().join(tool));
        command.env("PGPASSWORD", PASSWORD).env("PGHOST", "127.0.0.1").env("PGPORT", &port);
        command.args(["-U", "postgres"]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(run("psql", &["-Atc", "select 'through'", "postgres"]), "through\n");
    let backup = dir.path().join("backup");
    run("pg_basebackup", &["-X", "stream", "-c", "fast", "-D", backup.to_str().unwrap()]);
    assert!(backup.join("PG_VERSION").exists());
    run("pgbench", &["-i", "-q", "postgres"]);
    for protocol in ["simple", "extended", "prepared"] {
        run("pgbench", &["-M", protocol, "-c", "4", "-t", "25", "-n", "postgres"]);
    }
    setup.runtime.block_on(until(&setup.upstream.open, 0));
}

/// libpq sends Sync before it knows of the COPY; the server ignores that one and answers the next.
#[test]
fn copy_in_by_the_extended_protocol_leaves_the_connection_idle() {
    let Some(setup) = setup() else { return };
    let mut client = setup.client();
    client.batch_execute("create temp table t (id int)").unwrap();
    for _ in 0..3 {
        let mut copy = client.copy_in("copy t from stdin").unwrap();
        copy.write_all(b"1\n2\n").unwrap();
        copy.finish().unwrap();
    }
    let mut text = String::new();
    client.copy_out("copy t to stdout").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 6);
    settle(&mut client);
    assert_eq!(setup.drain(LONG), Drained { idle: 1, ..NONE });
}

#[test]
fn postgres_refuses_what_it_does_not_know_in_its_own_words() {
    let Some(setup) = setup() else { return };
    let mut config = setup.config(PASSWORD);
    let error = config.dbname("nowhere").connect(NoTls).map(drop).unwrap_err();
    assert_eq!(sqlstate(&error), Some(&SqlState::INVALID_CATALOG_NAME));
}

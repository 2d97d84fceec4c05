//! What people do with Postgres, on a parent and on a child that stands on the parent's layers: the same results.
//!
//! `sql_suite/expected.txt` is what a stock Postgres without layers answers.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use offshoot_postgres::account;
use offshoot_postgres::server::{Server, ServerSpec, StopMode};
use support::check::{self, rows};
use support::layers::assert_tidy;
use support::load::{self, Load, assert_consistent};
use support::{TestStore, first};

on_each_major!(
    parent_and_child_answer_as_a_stock_postgres_does,
    databases_are_copied_and_dropped_in_both_strategies,
    unlogged_tables_are_empty_after_a_crash_and_on_a_child_of_a_running_parent,
    prepared_transactions_cross_a_branch_and_end_differently_on_each_side,
    a_tablespace_is_refused_and_nothing_of_it_is_left,
    a_base_backup_of_a_branch_starts_natively,
);

const SETUP: &[&str] = &[
    "CREATE TABLE t1 AS SELECT g AS id, md5(g::text) AS v, repeat(md5((g * 7)::text), 8) AS big, point(g % 100, g / 100) AS p FROM generate_series(1, 12000) g",
    "CREATE UNIQUE INDEX t1_id ON t1 (id)",
    "CREATE INDEX t1_hash ON t1 USING hash (v)",
    "CREATE INDEX t1_gin ON t1 USING gin (to_tsvector('simple', v))",
    "CREATE INDEX t1_gist ON t1 USING gist (p)",
    "CREATE INDEX t1_spgist ON t1 USING spgist (p)",
    "CREATE INDEX t1_brin ON t1 USING brin (id)",
    "CREATE INDEX t1_partial ON t1 (lower(v)) WHERE id % 2 = 0",
    "CREATE TABLE t2 (LIKE t1)",
    "INSERT INTO t2 SELECT * FROM t1",
    "CREATE TABLE t3 (id int PRIMARY KEY, doc text)",
    "ALTER TABLE t3 ALTER doc SET STORAGE EXTERNAL",
    "INSERT INTO t3 SELECT g, repeat(md5(g::text), 400) FROM generate_series(1, 100) g",
    "CREATE UNLOGGED TABLE u1 AS SELECT g FROM generate_series(1, 5000) g",
    "CREATE INDEX ON u1 (g)",
    "CREATE MATERIALIZED VIEW mv AS SELECT id % 10 AS k, count(*) AS c FROM t1 GROUP BY 1",
    "CREATE SEQUENCE s1",
    "SELECT 'lob', lo_from_bytea(7777, decode(repeat('ab', 300000), 'hex'))",
    "SELECT 'seq', nextval('s1')",
];

const WORK: &[&str] = &[
    "UPDATE t1 SET v = v || 'x' WHERE id % 3 = 0",
    "DELETE FROM t1 WHERE id % 7 = 0",
    "VACUUM t1",
    "SELECT 'hash', count(*) FROM t1 WHERE v = md5('8')",
    "SELECT 'gin', id FROM t1 WHERE to_tsvector('simple', v) @@ to_tsquery('simple', md5('11'))",
    "SELECT 'gist', count(*) FROM t1 WHERE p <@ box '((10, 10), (20, 20))'",
    "VACUUM FULL t1",
    "REINDEX TABLE t1",
    "CLUSTER t1 USING t1_id",
    "SELECT 't1', count(*), md5(string_agg(id || v || big, ',' ORDER BY id)) FROM t1",
    "BEGIN; TRUNCATE t2; INSERT INTO t2 SELECT * FROM t1 ORDER BY id LIMIT 10; ROLLBACK",
    "SELECT 'rolled back', count(*) FROM t2",
    "BEGIN; TRUNCATE t2; INSERT INTO t2 SELECT * FROM t1 ORDER BY id LIMIT 10; COMMIT",
    "SELECT 'truncated', count(*), sum(id) FROM t2",
    "VACUUM t2",
    "DELETE FROM t1 WHERE id > 500",
    "VACUUM (TRUNCATE) t1",
    "SELECT 'cut', pg_relation_size('t1') < 500000",
    "INSERT INTO t1 SELECT g, 'new', repeat('y', 300), point(1, 1) FROM generate_series(50001, 56000) g",
    "SELECT 'grown again', count(*), md5(string_agg(id || v || big, ',' ORDER BY id)) FROM t1",
    "SELECT 'temporary', count(*) FROM pg_class WHERE relpersistence = 't'",
    "CREATE TEMP TABLE tt AS SELECT * FROM t1",
    "CREATE INDEX ON tt (id)",
    "SELECT 'temporary', count(*), sum(id) FROM tt",
    "SET work_mem = '64kB'",
    "SELECT 'sorted', md5(string_agg(id::text, ',')) FROM (SELECT id FROM t1 ORDER BY md5(big || id), v DESC) s",
    "SELECT 'hashed', count(*) FROM (SELECT DISTINCT md5(id::text) FROM t1) s",
    "DO $$ DECLARE line text; plan text := ''; BEGIN FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF) SELECT big FROM t1 ORDER BY md5(big || id)' LOOP plan := plan || line; END LOOP; IF plan NOT LIKE '%external%' THEN RAISE 'no temporary file: %', plan; END IF; END $$",
    "RESET work_mem",
    "REFRESH MATERIALIZED VIEW mv",
    "CREATE UNIQUE INDEX ON mv (k)",
    "UPDATE t1 SET id = -id WHERE id <= 20",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY mv",
    "SELECT 'view', count(*), sum(c) FROM mv",
    // As after a crash, a child of a running parent may leave out the values that are logged in advance.
    "SELECT 'seq', n BETWEEN 2 AND 34 FROM nextval('s1') n",
    "ALTER SEQUENCE s1 RESTART 100",
    "SELECT 'seq', nextval('s1')",
    "ALTER TABLE t1 ADD COLUMN z int DEFAULT 5",
    "ALTER TABLE t1 ALTER COLUMN z TYPE bigint",
    "ALTER TABLE t1 ALTER COLUMN big TYPE varchar(400)",
    "ALTER TABLE t2 SET UNLOGGED",
    "ALTER TABLE t2 SET LOGGED",
    "SELECT 'altered', sum(z), md5(string_agg(id || v || big, ',' ORDER BY id)) FROM t1",
    "SELECT 'lob', md5(lo_get(7777)), lo_put(7777, 1000000, 'later')",
    "SELECT 'lob', length(lo_get(7777)), md5(lo_get(7777))",
    "UPDATE t3 SET doc = doc || 'tail' WHERE id <= 50",
    "DELETE FROM t3 WHERE id > 90",
    "VACUUM FULL t3",
    "SELECT 'toast', count(*), sum(length(doc)), md5(string_agg(md5(doc), '' ORDER BY id)) FROM t3",
    "CREATE TABLE parts (id int, v text) PARTITION BY RANGE (id)",
    "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000)",
    "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (1000) TO (2000)",
    "INSERT INTO parts SELECT g, md5(g::text) FROM generate_series(0, 1999) g",
    "DROP TABLE parts_1",
    "SELECT 'partitions', count(*), sum(id) FROM parts",
    "BEGIN; CREATE TABLE gone AS TABLE t1; DROP TABLE t3; SAVEPOINT s; DELETE FROM t1; ROLLBACK TO s; ROLLBACK",
    "SELECT 'rolled back', to_regclass('gone') IS NULL, count(*) FROM t3",
];

/// Runs statements one by one in one session; the rows that they return.
fn answers(client: &mut postgres::Client, statements: &[&str]) -> Vec<String> {
    statements.iter().flat_map(|statement| rows(client, statement)).collect()
}

fn expected() -> Vec<String> {
    include_str!("sql_suite/expected.txt").lines().map(str::to_owned).collect()
}

fn parent_and_child_answer_as_a_stock_postgres_does(major: u32) {
    let Some(test) = TestStore::new(major) else { return };
    let setup = answers(&mut test.connect("main"), SETUP);
    test.create("early", "main");
    let on_parent = answers(&mut test.connect("main"), WORK);
    assert_eq!([setup.clone(), on_parent.clone()].concat(), expected(), "parent");
    test.create("late", "main");
    let content = check::content(&mut test.connect("main"));
    assert_eq!(check::content(&mut test.connect("late")), content, "late child");

    // Every statement now meets files that lie in the parent's layers.
    assert_eq!(answers(&mut test.connect("early"), WORK), on_parent, "early child");
    assert_eq!(check::content(&mut test.connect("early")), content, "early child");
    let mut late = test.connect("late");
    late.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; SELECT lo_unlink(7777)").unwrap();
    assert_eq!(answers(&mut late, SETUP), setup, "late child");
    assert_eq!(answers(&mut late, WORK), on_parent, "late child");
    drop(late);

    for name in ["main", "early", "late"] {
        test.restart(name);
        assert_eq!(check::content(&mut test.connect(name)), content, "{name}");
        check::assert_whole(&test, name, "app");
        check::assert_no_relation_files(&test.data_dir(name));
    }
    assert_tidy(&test.dir());
}

fn databases_are_copied_and_dropped_in_both_strategies(major: u32) {
    let Some(test) = TestStore::quick(major) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 20000) g");
    test.run("main", "CREATE INDEX ON t (v)");
    test.create("child", "main");
    test.run("child", "UPDATE t SET v = v || 'c' WHERE id % 2 = 0");
    for branch in ["child", "main"] {
        let content = check::content(&mut test.connect(branch));
        for strategy in ["wal_log", "file_copy"] {
            let mut postgres = test.connect_to(branch, "postgres");
            // A client that has gone may still be counted for a moment.
            first(
                &mut postgres,
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = 'app'",
            );
            postgres
                .batch_execute(&format!("CREATE DATABASE copy TEMPLATE app STRATEGY {strategy}"))
                .unwrap();
            assert_eq!(check::content(&mut test.connect_to(branch, "copy")), content, "{branch} {strategy}");
            test.create(&format!("{branch}-{strategy}"), branch);
            test.connect_to(branch, "copy").batch_execute("DELETE FROM t").unwrap();
            assert_eq!(check::content(&mut test.connect(branch)), content, "{branch} {strategy}");
            postgres.batch_execute("DROP DATABASE copy WITH (FORCE)").unwrap();
            postgres.batch_execute("CHECKPOINT").unwrap();
        }
        for strategy in ["wal_log", "file_copy"] {
            let grandchild = format!("{branch}-{strategy}");
            assert_eq!(check::content(&mut test.connect_to(&grandchild, "copy")), content, "{grandchild}");
            check::assert_whole(&test, &grandchild, "copy");
        }
    }
    for name in ["main", "child"] {
        test.kill(name);
        check::assert_whole(&test, name, "app");
        check::assert_no_relation_files(&test.data_dir(name));
        let databases = test.text(name, "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database");
        assert_eq!(databases, "app,postgres,template0,template1");
    }
}

fn unlogged_tables_are_empty_after_a_crash_and_on_a_child_of_a_running_parent(major: u32) {
    let Some(test) = TestStore::quick(major) else { return };
    test.run(
        "main",
        "CREATE UNLOGGED TABLE u AS SELECT g FROM generate_series(1, 5000) g; CREATE INDEX ON u (g)",
    );
    test.run("main", "CREATE TABLE t AS SELECT g FROM generate_series(1, 5000) g");
    test.run("main", "CHECKPOINT");
    test.create("of-running", "main");
    test.store().sleep(test.id("main")).unwrap();
    test.create("of-sleeping", "main");
    assert_eq!(test.text("main", "SELECT count(*) FROM u"), "5000");
    assert_eq!(test.text("of-running", "SELECT count(*) FROM u"), "0");
    assert_eq!(test.text("of-sleeping", "SELECT count(*) FROM u"), "5000");
    for name in ["main", "of-sleeping", "of-running"] {
        test.run(name, "INSERT INTO u SELECT generate_series(1, 300)");
        test.run(name, "CHECKPOINT");
        test.kill(name);
        assert_eq!(test.text(name, "SELECT count(*) FROM u"), "0", "{name}");
        assert_eq!(test.text(name, "SELECT count(*) FROM t"), "5000", "{name}");
        test.run(name, "INSERT INTO u SELECT generate_series(1, 10)");
        let by_index = "SET enable_seqscan = off; SELECT count(*) FROM u WHERE g = 7";
        assert_eq!(test.text(name, by_index), "1", "{name}");
        check::assert_whole(&test, name, "app");
    }
}

fn prepared_transactions_cross_a_branch_and_end_differently_on_each_side(major: u32) {
    let Some(test) = TestStore::quick(major) else { return };
    test.store().set_postgres_settings(vec![("max_prepared_transactions".into(), "5".into())]);
    test.run("main", "CREATE TABLE t (id int PRIMARY KEY)");
    test.run("main", "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'before the checkpoint'");
    test.run("main", "CHECKPOINT");
    test.run("main", "BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'after the checkpoint'");
    test.create("child", "main");
    test.run("main", "COMMIT PREPARED 'before the checkpoint'");
    test.run("main", "ROLLBACK PREPARED 'after the checkpoint'");
    let waiting = "SELECT string_agg(gid, ', ' ORDER BY gid) FROM pg_prepared_xacts";
    assert_eq!(test.text("child", waiting), "after the checkpoint, before the checkpoint");
    test.kill("child");
    assert_eq!(test.text("child", waiting), "after the checkpoint, before the checkpoint");
    test.run("child", "ROLLBACK PREPARED 'before the checkpoint'");
    test.run("child", "COMMIT PREPARED 'after the checkpoint'");
    assert_eq!(test.text("main", "SELECT string_agg(id::text, ',') FROM t"), "1");
    assert_eq!(test.text("child", "SELECT string_agg(id::text, ',') FROM t"), "2");
    check::assert_whole(&test, "child", "app");
}

fn a_tablespace_is_refused_and_nothing_of_it_is_left(major: u32) {
    if !support::has_layers() {
        return;
    }
    let Some(test) = TestStore::quick(major) else { return };
    let location = test.folder.path().join("elsewhere");
    std::fs::create_dir(&location).unwrap();
    account::chown(&location, test.account.as_ref()).unwrap();
    test.create("child", "main");
    for branch in ["main", "child"] {
        let mut client = test.connect(branch);
        let sql = format!("CREATE TABLESPACE ts LOCATION '{}'", location.display());
        let error = client.batch_execute(&sql).unwrap_err();
        let message = error.as_db_error().unwrap().message().to_owned();
        assert!(message.contains("not permitted"), "{message}");
        let in_place = "SET allow_in_place_tablespaces = on";
        client.batch_execute(in_place).unwrap();
        client.batch_execute("CREATE TABLESPACE ts LOCATION ''").unwrap_err();
        assert_eq!(first(&mut client, "SELECT count(*) FROM pg_tablespace"), "2");
        assert_eq!(std::fs::read_dir(&location).unwrap().count(), 0, "left in the location");
        let links = test.data_dir(branch).join("pg_tblspc");
        assert_eq!(std::fs::read_dir(links).unwrap().count(), 0, "left in pg_tblspc");
    }
    test.create("grandchild", "child");
    assert_eq!(test.text("grandchild", "SELECT 1"), "1");
}

/// `pg_basebackup` that fits a server of this major.
fn pg_basebackup(major: u32) -> Option<PathBuf> {
    let program = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin/pg_basebackup"));
    if program.exists() {
        return Some(program);
    }
    eprintln!("SKIPPED: no {}", program.display());
    None
}

fn a_base_backup_of_a_branch_starts_natively(major: u32) {
    let Some(tool) = pg_basebackup(major) else { return };
    let Some(test) = TestStore::quick(major) else { return };
    load::prepare(&mut test.connect("main"));
    test.create("child", "main");
    test.run("child", "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 10000) g");
    let writers = Load::start(&test.config("child", "app"), 2);
    writers.wait_for(20);
    let acknowledged = writers.acknowledged();
    let target = test.folder.path().join("backup");
    std::fs::DirBuilder::new().mode(0o700).create(&target).unwrap();
    account::chown(&target, test.account.as_ref()).unwrap();
    let socket = test.store().wake(test.id("child")).unwrap();
    let mut backup = Command::new(tool);
    backup
        .arg("-h")
        .arg(socket.parent().unwrap())
        .args(["-U", "postgres", "-X", "stream", "-c", "fast", "-D"]);
    backup.arg(&target).env("PGPASSWORD", test.store().password()).current_dir("/");
    account::apply(&mut backup, test.account.as_ref());
    let output = backup.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    writers.stop();

    let sockets = test.folder.path().join("native");
    std::fs::create_dir(&sockets).unwrap();
    account::chown(&sockets, test.account.as_ref()).unwrap();
    let mut server = Server::spawn(&ServerSpec {
        installation: test.installation.clone(),
        data_dir: target,
        socket_dir: sockets.clone(),
        log_file: test.folder.path().join("native.log"),
        account: test.account.clone(),
        settings: Vec::new(),
        env: Vec::new(),
    })
    .unwrap();
    server.wait_ready(Instant::now() + Duration::from_mins(1), &|| false).unwrap();
    let mut native = postgres::Config::new();
    native.host_path(&sockets).user("postgres").password(test.store().password()).dbname("app");
    let mut client = native.connect(postgres::NoTls).unwrap();
    assert_eq!(first(&mut client, "SELECT sum(id) FROM t"), "50005000");
    assert_consistent(&mut client, &acknowledged, "backup");
    drop(client);
    assert!(server.stop(StopMode::Fast, Duration::from_mins(1)).unwrap().success());
}

#[test]
fn a_table_beyond_the_first_block_of_its_map_is_branched_cut_and_recovered() {
    let Some(test) = TestStore::quick(18) else { return };
    // One row a page: 17,000 pages, of which the first block of a map covers 15,872.
    test.run("main", "CREATE TABLE big (id int, v text); ALTER TABLE big ALTER v SET STORAGE PLAIN");
    test.run("main", "INSERT INTO big SELECT g, repeat('x', 8000) FROM generate_series(1, 17000) g");
    test.create("child", "main");
    let sum = "SELECT count(*) || ' ' || sum(id) || ' ' || count(*) FILTER (WHERE v LIKE 'y%') FROM big";
    test.run("main", "UPDATE big SET v = repeat('y', 8000) WHERE id % 1000 = 0");
    test.run("child", "UPDATE big SET v = repeat('y', 8000) WHERE id > 16000 AND id % 10 = 0");
    test.create("grandchild", "child");
    test.run("child", "DELETE FROM big WHERE id > 100");
    test.run("child", "VACUUM (TRUNCATE) big");
    test.run("child", "INSERT INTO big SELECT g, repeat('z', 8000) FROM generate_series(20001, 36000) g");
    test.kill("child");
    assert_eq!(test.text("main", sum), "17000 144508500 17");
    assert_eq!(test.text("grandchild", sum), "17000 144508500 100");
    assert_eq!(test.text("child", sum), format!("16100 {} 0", 5050 + (20001 + 36000) * 8000));
    for name in ["main", "child", "grandchild"] {
        test.restart(name);
        check::assert_whole(&test, name, "app");
    }
}

#[test]
fn pg_amcheck_finds_nothing_on_parent_and_child() {
    let program = PathBuf::from("/usr/lib/postgresql/15/bin/pg_amcheck");
    if !program.exists() {
        eprintln!("SKIPPED: no {}", program.display());
        return;
    }
    let Some(test) = TestStore::quick(15) else { return };
    answers(&mut test.connect("main"), SETUP);
    test.create("child", "main");
    answers(&mut test.connect("child"), WORK);
    for name in ["main", "child"] {
        test.restart(name);
        let socket = test.store().wake(test.id(name)).unwrap();
        let mut command = Command::new(&program);
        command.arg("-h").arg(socket.parent().unwrap()).args([
            "-U",
            "postgres",
            "--install-missing",
            "--heapallindexed",
        ]);
        command.arg("app").env("PGPASSWORD", test.store().password()).current_dir("/");
        account::apply(&mut command, test.account.as_ref());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    }
}

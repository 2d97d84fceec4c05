//! A store whose first data are the files of a running server.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

#[path = "physical/source.rs"]
mod source;
mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use offshoot_postgres::Progress;
use offshoot_postgres::physical::PhysicalError;
use offshoot_storage::{Source as From, StorageError};
use source::{PASSWORD, Source};
use support::{TestStore, has_layers};

on_each_major!(a_copy_is_consistent_and_a_root_like_any_other);

/// What a test does when the copy has come so far.
struct At<'a> {
    step: &'a str,
    what: Mutex<Option<Box<dyn FnOnce() + Send + 'a>>>,
    cancelled: Arc<AtomicBool>,
}

impl<'a> At<'a> {
    fn copying(what: impl FnOnce() + Send + 'a) -> Self {
        Self { step: "Copy the cluster", what: Mutex::new(Some(Box::new(what))), cancelled: Arc::default() }
    }
}

impl Progress for At<'_> {
    fn step(&self, what: &str, _: u64, _: Option<u64>) {
        if what == self.step
            && let Some(act) = self.what.lock().unwrap().take()
        {
            act();
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

fn cluster(url: String, max_rate_kb: Option<u32>) -> From {
    let database = url.rsplit_once('/').unwrap().1.to_owned();
    From::Cluster { url, database, max_rate_kb }
}

/// Whether any file below `folder` has this text.
fn contains(folder: &Path, text: &str) -> bool {
    let found =
        std::process::Command::new("grep").args(["-r", "-q", "-a", "-F", text]).arg(folder).status().unwrap();
    assert!(matches!(found.code(), Some(0 | 1)), "{found}");
    found.success()
}

/// Two tables that each transaction of a writer changes alike.
const SCHEMA: &str = "CREATE TABLE line (n bigint PRIMARY KEY, filler text);
    CREATE TABLE total (n bigint);
    INSERT INTO total VALUES (0);
    INSERT INTO line SELECT -g, repeat('x', 200) FROM generate_series(1, 20000) g;
    CREATE UNLOGGED TABLE forgotten AS SELECT 1;
    CREATE ROLE app LOGIN PASSWORD 'zq-app-zq';
    GRANT SELECT ON line TO app;
    ALTER ROLE app SET session_preload_libraries = 'no_such_library'";

fn a_copy_is_consistent_and_a_root_like_any_other(major: u32) {
    let settings = [("max_prepared_transactions", "4"), ("wal_level", "logical"), ("datestyle", "SQL, DMY")];
    let Some(source) = Source::new(major, &settings) else { return };
    source.run("shop", SCHEMA);
    source.run("postgres", "CREATE DATABASE other");
    source.run("postgres", "ALTER SYSTEM SET archive_command = 'zq-archive'");
    source.run("shop", "BEGIN; INSERT INTO line VALUES (-30000); PREPARE TRANSACTION 'undecided'");
    source.run(
        "shop",
        "CREATE SUBSCRIPTION feed CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p \
         WITH (connect = false, enabled = false, slot_name = 'feed')",
    );
    source.run("shop", "ALTER SUBSCRIPTION feed ENABLE");
    let (committed, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let before = AtomicU64::new(0);
    let made = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = source.connect("shop");
            while !over.load(Ordering::Acquire) {
                let n = committed.load(Ordering::Acquire) + 1;
                let sql =
                    format!("BEGIN; INSERT INTO line VALUES ({n}, 'w'); UPDATE total SET n = {n}; COMMIT");
                client.batch_execute(&sql).unwrap();
                committed.store(n, Ordering::Release);
            }
        });
        let watch = At::copying(|| before.store(committed.load(Ordering::Acquire), Ordering::Release));
        let made = TestStore::from_source_with(major, cluster(source.url(), None), &watch);
        over.store(true, Ordering::Release);
        made
    });
    let test = made.unwrap().unwrap();
    source.is_left_alone();
    let copied: u64 = test.text("main", "SELECT n FROM total").parse().unwrap();
    let before = before.into_inner();
    assert!(before > 0 && copied >= before && copied <= committed.into_inner(), "{before} {copied}");
    let lines = "SELECT count(*) || ' ' || max(n) FROM line WHERE n > 0";
    assert_eq!(test.text("main", lines), format!("{copied} {copied}"));
    let old = "SELECT count(*) || ' ' || sum(length(filler)) FROM line WHERE n < 0";
    assert_eq!(test.text("main", old), "20000 4000000");
    for (sql, wanted) in [
        ("SELECT count(*) FROM forgotten", "0"),
        ("SELECT count(*) FROM pg_prepared_xacts", "0"),
        ("SELECT subenabled || ' ' || (subslotname IS NULL) FROM pg_subscription", "false true"),
        ("SELECT count(*) FROM pg_replication_slots", "0"),
        ("SHOW archive_command", "(disabled)"),
        ("SHOW datestyle", "SQL, DMY"),
        (
            "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_'",
            "app chief postgres",
        ),
        (
            "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate",
            "app other postgres",
        ),
        ("SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL", "1"),
    ] {
        assert_eq!(test.text("main", sql), wanted, "{sql}");
    }
    test.run("main", "DROP SUBSCRIPTION feed; SET SESSION AUTHORIZATION app; SELECT count(*) FROM line");
    // Its branches read through it, and it can be copied again.
    test.create("child", "main");
    test.run("child", "DELETE FROM line; CHECKPOINT");
    assert_eq!(test.text("main", lines), format!("{copied} {copied}"));
    test.restart("main");
    assert_eq!(test.text("main", old), "20000 4000000");
    for secret in [PASSWORD, "zq-archive"] {
        assert!(!contains(&test.dir(), secret), "{secret} is in the store");
    }
    if has_layers() {
        assert!(!test.data_dir("main").join("base").join("1").join("1259").exists());
    }
}

/// Tries to copy, and says why that went wrong. Nothing is left of it here; see [`TestStore::from_source_with`].
fn refused(major: u32, from: From, progress: &dyn Progress) -> StorageError {
    match TestStore::from_source_with(major, from, progress).unwrap() {
        Ok(_) => panic!("it was copied"),
        Err(error) => error,
    }
}

#[test]
fn what_cannot_be_copied_is_said_with_what_to_do() {
    let Some(mut source) = Source::new(18, &[]) else { return };
    source.run("postgres", "CREATE ROLE plain LOGIN PASSWORD 'x'");
    let says = |source: &Source, major: u32, url: String| {
        let error = refused(major, cluster(url, None), &offshoot_postgres::Silent);
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(!text.contains(PASSWORD) && !text.contains("hunter3"), "{text}");
        source.is_left_alone();
        text
    };
    let text = says(&source, 18, source.url_of("chief", "hunter3", "shop"));
    assert!(text.contains("password"), "{text}");
    let text = says(&source, 18, source.url_of("plain", "x", "shop"));
    assert!(text.contains("ALTER ROLE plain REPLICATION"), "{text}");
    let text = says(&source, 17, source.url());
    assert!(text.contains("Postgres 18") && text.contains("--postgres 18"), "{text}");
    let text = says(&source, 18, source.url_of("chief", PASSWORD, "nothing"));
    assert!(text.contains("no database `nothing`"), "{text}");
    let hba = source.folder.path().join("data/pg_hba.conf");
    let kept = fs::read_to_string(&hba).unwrap();
    fs::write(&hba, "host all chief 127.0.0.1/32 scram-sha-256\n").unwrap();
    source.restart(&[]);
    let text = says(&source, 18, source.url());
    assert!(text.contains("pg_hba.conf") && text.contains("host replication chief"), "{text}");
    fs::write(&hba, kept).unwrap();
    source.restart(&[]);
    let place = source.folder.path().join("space");
    fs::create_dir(&place).unwrap();
    offshoot_postgres::account::chown(&place, offshoot_postgres::account::unprivileged().unwrap().as_ref())
        .unwrap();
    source.run("postgres", &format!("CREATE TABLESPACE elsewhere LOCATION '{}'", place.display()));
    let text = says(&source, 18, source.url());
    assert!(text.contains("tablespaces") && text.contains("without --physical"), "{text}");
    source.restart(&[("wal_level", "minimal"), ("max_wal_senders", "0")]);
    let text = says(&source, 18, source.url());
    assert!(text.contains("wal_level = replica") && text.contains("max_wal_senders"), "{text}");
}

#[test]
fn a_copy_that_is_ended_leaves_nothing_here_and_nothing_there() {
    let Some(source) = Source::new(18, &[]) else { return };
    // At this pace it would take minutes.
    let slow = || cluster(source.url(), Some(2048));
    let cancelled = Arc::new(AtomicBool::new(false));
    let watch = At {
        cancelled: Arc::clone(&cancelled),
        ..At::copying(move || cancelled.store(true, Ordering::Release))
    };
    let error = refused(18, slow(), &watch);
    assert!(matches!(error, StorageError::Cancelled), "{error}");
    source.is_left_alone();

    let cut = At::copying(|| {
        source.run(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'",
        );
    });
    let error = refused(18, slow(), &cut);
    assert!(matches!(error, StorageError::Physical(PhysicalError::Cut { .. })), "{error}");
    source.is_left_alone();
}

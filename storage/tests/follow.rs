//! Following a running server: fresh roots while it is written to, and each state that following can be in.

#![allow(clippy::unwrap_used, clippy::similar_names, reason = "helpers of tests too")]

#[path = "follow/points.rs"]
mod points;
#[path = "physical/source.rs"]
mod source;
mod support;
#[path = "follow/wire.rs"]
mod wire;

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use offshoot_postgres::mask::{ColumnName, Rule, Transformer};
use offshoot_postgres::{Progress, Silent, account};
use offshoot_storage::{Follow, FollowTrouble, Former, StorageError, Turn};
use source::{PASSWORD, Source};
use support::TestStore;
use wire::Wire;

/// A role that may replicate and nothing else.
const ROLE: &str = "CREATE ROLE follower LOGIN REPLICATION PASSWORD 'zq-hunter2-zq'";

fn follow(source: &Source) -> Follow {
    Follow {
        url: source.url_of("follower", PASSWORD, "shop"),
        database: "shop".into(),
        max_rate_kb: None,
        masking: Vec::new(),
    }
}

/// A source with a table, and a store that follows it.
fn pair(major: u32, settings: &[(&str, &str)]) -> Option<(Source, TestStore)> {
    let source = Source::new(major, settings)?;
    source.run("postgres", ROLE);
    source.run("shop", "CREATE TABLE line (n bigint PRIMARY KEY, filler text)");
    source.run("shop", "INSERT INTO line SELECT g, repeat('x', 200) FROM generate_series(1, 5000) g");
    let test = TestStore::quick(major)?;
    test.store().start_following(&follow(&source), &Silent).unwrap();
    Some((source, test))
}

/// A turn: what is new at the source becomes the root.
fn turn(test: &TestStore) -> Result<Turn, StorageError> {
    let turn = test.store().fetch_followed(&Silent)?;
    if turn.has_news {
        let fresh = test.store().fork_followed(&[], &Silent)?;
        assert_eq!(fresh.at, turn.applied);
        test.store().place_followed(fresh, false)?;
    }
    Ok(turn)
}

fn trouble(test: &TestStore) -> FollowTrouble {
    match turn(test) {
        Err(StorageError::Follow(trouble)) => trouble,
        other => panic!("{other:?}"),
    }
}

fn lines(test: &TestStore, branch: &str) -> String {
    test.text(branch, "SELECT count(*) || ' ' || max(n) FROM line")
}

fn slots(source: &Source) -> String {
    support::first(
        &mut source.connect("postgres"),
        "SELECT coalesce(string_agg(slot_name || ' ' || active, ' '), '') FROM pg_replication_slots",
    )
}

fn fresh_roots_have_what_the_source_has(major: u32) {
    let Some((source, test)) = pair(major, &[]) else { return };
    let slot = test.store().following().unwrap().unwrap().slot;
    assert_eq!(slots(&source), format!("{slot} false"));
    assert_eq!(test.store().branches().unwrap().len(), 1, "the standby is in no list");
    let first = turn(&test).unwrap();
    assert!(first.has_news && !first.slot_made_anew);
    assert_eq!(lines(&test, "main"), "5000 5000");
    // A branch keeps what it has; one made later has what came meanwhile.
    test.create("early", "main");
    source.run("shop", "INSERT INTO line SELECT g, 'y' FROM generate_series(5001, 6000) g; CHECKPOINT");
    source
        .run("shop", "CREATE TABLE later AS SELECT 42 AS answer; UPDATE line SET filler = 'z' WHERE n < 10");
    assert!(turn(&test).unwrap().has_news);
    test.create("late", "main");
    assert_eq!(lines(&test, "early"), "5000 5000");
    assert_eq!(lines(&test, "late"), "6000 6000");
    assert_eq!(test.text("late", "SELECT answer FROM later"), "42");
    test.run("late", "DELETE FROM line WHERE n > 10; CREATE INDEX ON line (filler); CHECKPOINT");
    assert_eq!(test.text("late", "SELECT count(*) FROM line WHERE filler = 'z'"), "9");
    assert_eq!(test.text("main", "SELECT count(*) FROM pg_authid WHERE rolpassword IS NOT NULL"), "1");
    assert_eq!(slots(&source), format!("{slot} false"), "between turns nobody is connected");
    // Nothing new starts nothing, once the source has written down what it does by itself.
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let root = test.id("main");
        if !turn(&test).unwrap().has_news {
            assert!(test.id("main") == root);
            break;
        }
        assert!(Instant::now() < deadline, "the source is never idle");
    }
    // It survives the engine.
    let mut test = test;
    test.close();
    test.open();
    source.run("shop", "INSERT INTO line SELECT g, 'w' FROM generate_series(6001, 6100) g");
    assert!(turn(&test).unwrap().has_news);
    assert_eq!(lines(&test, "main"), "6100 6100");
    // Of the roots before, those that nobody woke are gone; the others come back.
    test.store().undo(&Former::Named("main".into())).unwrap();
    assert_eq!(lines(&test, "main"), "6000 6000");
    let left = test.store().stop_following().unwrap();
    assert_eq!((left, slots(&source)), (None, String::new()));
    assert!(test.store().following().unwrap().is_none() && !test.dir().join("followed").exists());
    assert!(!contains(&test, PASSWORD), "the password is in the store");
    assert_eq!(lines(&test, "late"), "10 10");
    test.create("after", "main");
    assert_eq!(lines(&test, "after"), "6000 6000");
}

#[test]
fn what_was_written_to_a_root_comes_back_after_many_fresh_ones() {
    let Some((source, test)) = pair(18, &[]) else { return };
    turn(&test).unwrap();
    test.run("main", "CREATE TABLE mine AS SELECT 7 AS n");
    let written = test.id("main");
    // The roots after it are looked at by nobody, and each is gone with the next one.
    for n in 6001..6004 {
        source.run("shop", &format!("INSERT INTO line VALUES ({n}, 'y')"));
        assert!(turn(&test).unwrap().has_news);
    }
    let undone = test.store().undo(&Former::Named("main".into())).unwrap();
    assert!(undone.replaced && undone.branch.id == written);
    assert_eq!(test.text("main", "SELECT n FROM mine"), "7");
    test.store().stop_following().unwrap();
}

/// Whether any file of the store has this text.
fn contains(test: &TestStore, text: &str) -> bool {
    let mut command = std::process::Command::new("grep");
    let found = command.args(["-r", "-q", "-a", "-F", text]).arg(test.dir()).status().unwrap();
    found.success()
}

#[test]
fn fresh_roots_have_what_the_source_has_on_18() {
    fresh_roots_have_what_the_source_has(18);
}

#[test]
#[ignore = "other majors: run by hand and by the nightly tests"]
fn fresh_roots_have_what_the_source_has_on_15_and_17() {
    fresh_roots_have_what_the_source_has(15);
    fresh_roots_have_what_the_source_has(17);
}

/// Cuts the wire when the first changes come.
struct Cut<'a>(&'a Wire, AtomicBool);

impl Progress for Cut<'_> {
    fn step(&self, what: &str, _: u64, _: Option<u64>) {
        if what.starts_with("Fetch") && !self.1.swap(true, Ordering::AcqRel) {
            self.0.lead(None);
        }
    }
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Is cancelled from the beginning.
struct Cancelled;

impl Progress for Cancelled {
    fn step(&self, _: &str, _: u64, _: Option<u64>) {}
    fn is_cancelled(&self) -> bool {
        true
    }
}

/// A source behind an address that can be led elsewhere, and a store that follows it.
fn behind_a_wire() -> Option<(Source, Wire, TestStore)> {
    let source = Source::new(18, &[("max_wal_size", "64MB"), ("min_wal_size", "32MB")])?;
    source.run("postgres", ROLE);
    source.run(
        "shop",
        "CREATE TABLE line (n bigint PRIMARY KEY, filler text); INSERT INTO line VALUES (0, '')",
    );
    let wire = Wire::to(source.port());
    let test = TestStore::quick(18)?;
    let url = format!("postgres://follower:{PASSWORD}@127.0.0.1:{}/shop", wire.port);
    test.store().start_following(&Follow { url, ..follow(&source) }, &Silent).unwrap();
    assert!(turn(&test).unwrap().has_news);
    Some((source, wire, test))
}

fn insert(source: &Source, n: u32) {
    source.run("shop", &format!("INSERT INTO line VALUES ({n}, 'x')"));
}

fn newest(test: &TestStore) -> String {
    test.text("main", "SELECT max(n) FROM line")
}

/// The text for people has what is needed and not the password.
fn says(trouble: &FollowTrouble, words: &[&str]) {
    let text = format!("{trouble} {}", trouble.hint());
    assert!(!text.contains(PASSWORD), "{text}");
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn a_source_that_is_away_is_waited_for() {
    let Some((mut source, wire, test)) = behind_a_wire() else { return };
    insert(&source, 1);
    source.stop();
    let told = trouble(&test);
    assert!(matches!(told, FollowTrouble::Disconnected(_)) && told.passes(), "{told}");
    says(&told, &["tried again by itself"]);
    source.restart(&[]);
    assert!(turn(&test).unwrap().has_news);
    assert_eq!(newest(&test), "1");

    wire.lead(None);
    insert(&source, 2);
    assert!(matches!(trouble(&test), FollowTrouble::Disconnected(_)));
    wire.lead(Some(source.port()));

    // In the middle of a turn.
    source.run("shop", "CREATE TABLE much AS SELECT g, repeat('x', 500) FROM generate_series(1, 100000) g");
    insert(&source, 3);
    let cut = Cut(&wire, AtomicBool::new(false));
    match test.store().fetch_followed(&cut) {
        Err(StorageError::Follow(FollowTrouble::Disconnected(_))) => {}
        other => panic!("{other:?}"),
    }
    wire.lead(Some(source.port()));
    assert!(turn(&test).unwrap().has_news);
    assert_eq!(newest(&test), "3");
    assert_eq!(test.text("main", "SELECT count(*) FROM much"), "100000");

    // What the source refuses is told as such.
    source.run("postgres", "ALTER ROLE follower NOREPLICATION");
    insert(&source, 4);
    let told = trouble(&test);
    says(&told, &["ALTER ROLE follower REPLICATION"]);
    assert_eq!(told.state(), "refused");
    source.run("postgres", "ALTER ROLE follower REPLICATION");
    assert!(turn(&test).unwrap().has_news);
    // A slot that cannot be dropped is told by its name, and what is here goes all the same.
    source.stop();
    let slot = test.store().following().unwrap().unwrap().slot;
    let (left, why) = test.store().stop_following().unwrap().unwrap();
    assert!(left == slot && !why.contains(PASSWORD), "{why}");
    assert!(test.store().following().unwrap().is_none());
}

#[test]
fn another_password_or_address_goes_on_without_a_copy() {
    let Some((source, _wire, test)) = behind_a_wire() else { return };
    let before = test.store().following().unwrap().unwrap();
    source.run("postgres", "ALTER ROLE follower PASSWORD 'rotated'");
    insert(&source, 1);
    let told = trouble(&test);
    says(&told, &["follow resume"]);
    assert_eq!(told.state(), "refused");

    // What the source does not take changes nothing.
    let old = test.store().followed_url().unwrap();
    let new = source.url_of("follower", "rotated", "shop");
    let error = test.store().follow_at(&old, "shop").unwrap_err();
    assert!(matches!(error, StorageError::Follow(FollowTrouble::Refused(_))), "{error}");
    let error = test.store().follow_at(&new, "crm").unwrap_err();
    assert!(error.to_string().contains("`shop` is followed"), "{error}");
    // Another server has other WAL, if not another identifier.
    let Some(other) = Source::new(18, &[]) else { return };
    other.run("postgres", ROLE);
    let error = test.store().follow_at(&other.url_of("follower", PASSWORD, "shop"), "shop").unwrap_err();
    assert!(matches!(error, StorageError::Follow(_)), "{error}");
    assert_eq!(test.store().followed_url().unwrap(), old);

    test.store().follow_at(&new, "shop").unwrap();
    assert!(turn(&test).unwrap().has_news);
    assert_eq!((newest(&test), slots(&source)), ("1".into(), format!("{} false", before.slot)));
    assert_eq!(test.store().following().unwrap().unwrap().standby, before.standby);

    // An address that is gone is written anew.
    std::fs::remove_file(test.dir().join("followed")).unwrap();
    insert(&source, 2);
    assert!(matches!(trouble(&test), FollowTrouble::AddressGone));
    test.store().follow_at(&new, "shop").unwrap();
    assert!(turn(&test).unwrap().has_news);
    assert_eq!(newest(&test), "2");
}

#[test]
fn a_slot_that_is_lost_is_made_anew_in_time_and_told_of_later() {
    let Some((source, _wire, test)) = behind_a_wire() else { return };
    let slot = test.store().following().unwrap().unwrap().slot;
    let drop = format!("SELECT pg_drop_replication_slot('{slot}')");
    insert(&source, 1);
    source.run("postgres", &drop);
    let saved = turn(&test).unwrap();
    assert!(saved.has_news && saved.slot_made_anew);
    assert_eq!((newest(&test), slots(&source)), ("1".into(), format!("{slot} false")));

    source.run("postgres", &drop);
    for n in 2..5 {
        insert(&source, n);
        source.run("postgres", "SELECT pg_switch_wal()");
        source.run("postgres", "CHECKPOINT");
    }
    let told = trouble(&test);
    assert!(matches!(told, FollowTrouble::SlotLost { .. }) && !told.passes(), "{told}");
    says(&told, &["follow start", "max_slot_wal_keep_size"]);
    assert_eq!(slots(&source), "", "no slot holds WAL that nobody can use");
    assert_eq!(newest(&test), "1", "the branches have what they had");
    assert_eq!(test.store().stop_following().unwrap(), None);
    test.store().start_following(&follow(&source), &Silent).unwrap();
    assert!(turn(&test).unwrap().has_news);
    assert_eq!(newest(&test), "4");
}

#[test]
fn a_source_that_becomes_another_one_is_told_of() {
    let Some((mut source, wire, test)) = behind_a_wire() else { return };
    // A standby of it is promoted.
    insert(&source, 1);
    source.stop();
    let signal = source.folder.path().join("data/standby.signal");
    std::fs::write(&signal, "").unwrap();
    source.restart(&[]);
    source.run("postgres", "SELECT pg_promote()");
    insert(&source, 2);
    match turn(&test) {
        Ok(turn) => assert_eq!(turn.seen.timeline, 2),
        Err(StorageError::Follow(told @ FollowTrouble::TimelineSwitched { timeline: 2 })) => {
            assert!(told.passes());
            says(&told, &["CHECKPOINT"]);
            source.run("postgres", "CHECKPOINT");
            assert!(turn(&test).unwrap().has_news);
        }
        other => panic!("{other:?}"),
    }
    insert(&source, 3);
    assert!(turn(&test).unwrap().has_news);
    assert_eq!(newest(&test), "3");
    assert_eq!(test.store().following().unwrap().unwrap().timeline, 2);

    // Another cluster at its address, and one of another major.
    let slots_before = slots(&source);
    let other = Source::another(18).unwrap();
    other.run("postgres", ROLE);
    wire.lead(Some(other.port()));
    let told = trouble(&test);
    assert!(matches!(told, FollowTrouble::OtherSystem { .. }) && !told.passes(), "{told}");
    says(&told, &["follow start"]);
    if let Some(older) = Source::new(17, &[]) {
        older.run("postgres", ROLE);
        wire.lead(Some(older.port()));
        let told = trouble(&test);
        assert_eq!(told.state(), "upgraded");
        says(&told, &["Postgres 17", "--postgres 17", "offshoot refresh"]);
    }
    assert_eq!((newest(&test), slots(&other)), ("3".into(), String::new()));
    wire.lead(Some(source.port()));
    assert_eq!(slots(&source), slots_before);

    // Taken back to what it was.
    source.stop();
    let data = source.folder.path().join("data");
    support::copy_tree(&data, &source.folder.path().join("kept"));
    source.restart(&[]);
    source.run("shop", "CREATE TABLE forgotten AS SELECT generate_series(1, 10000) g");
    assert!(turn(&test).unwrap().has_news);
    source.stop();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(source.folder.path().join("kept"), &data).unwrap();
    source.restart(&[]);
    let told = trouble(&test);
    assert_eq!(told.state(), "restored");
    says(&told, &["restored", "follow start"]);
    // As far as it was, with other data: nothing of that is fetched.
    let root = test.id("main");
    let applied = test.store().following().unwrap().unwrap().applied;
    let end = || {
        let end = "SELECT pg_current_wal_flush_lsn()::text";
        support::first(&mut source.connect("postgres"), end).parse::<offshoot_postgres::Lsn>().unwrap()
    };
    while end() <= applied {
        source.run(
            "shop",
            "CREATE TABLE IF NOT EXISTS other (n int); INSERT INTO other SELECT generate_series(1, 5000)",
        );
    }
    let told = trouble(&test);
    assert_eq!(told.state(), "restored", "{told}");
    assert!(!told.passes() && test.id("main") == root);
}

#[test]
fn a_source_that_takes_tls_alone_is_followed_over_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let (certificate, key) = (folder.path().join("server.crt"), folder.path().join("server.key"));
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    account::chown(&key, account::unprivileged().unwrap().as_ref()).unwrap();
    let path = |path: &std::path::Path| path.display().to_string();
    let (certificate_file, key_file) = (path(&certificate), path(&key));
    let settings = [("ssl", "on"), ("ssl_cert_file", &certificate_file), ("ssl_key_file", &key_file)];
    let Some(source) = Source::new(18, &settings) else { return };
    let Some(test) = TestStore::quick(18) else { return };
    source.run("postgres", ROLE);
    source.run("shop", "CREATE TABLE line AS SELECT g::bigint AS n FROM generate_series(1, 5000) g");
    let lines_of_hba = "host all chief all scram-sha-256\nhostssl all follower all scram-sha-256\n\
                        hostssl replication follower all scram-sha-256\n";
    std::fs::write(source.folder.path().join("data/pg_hba.conf"), lines_of_hba).unwrap();
    source.run("postgres", "SELECT pg_reload_conf()");
    let url = |parameters: &str| {
        let url = source.url_of("follower", PASSWORD, "shop").replace("127.0.0.1", "localhost");
        Follow { url: format!("{url}?{parameters}"), ..follow(&source) }
    };
    let start = |parameters: &str| test.store().start_following(&url(parameters), &Silent);
    let refused = start("sslmode=disable").unwrap_err();
    assert!(refused.hint().unwrap().contains("`sslmode=disable`"), "{refused}");
    let trusted = format!("sslmode=verify-full&sslrootcert={certificate_file}&channel_binding=require");
    start(&trusted).unwrap();
    assert!(turn(&test).unwrap().has_news);
    assert_eq!(lines(&test, "main"), "5000 5000");
    source.run("shop", "INSERT INTO line SELECT generate_series(5001, 60000); CHECKPOINT");
    assert!(turn(&test).unwrap().has_news);
    assert_eq!(lines(&test, "main"), "60000 60000");

    // The file is gone: nothing is tried without it.
    std::fs::remove_file(&certificate).unwrap();
    let told = trouble(&test);
    assert!(told.state() == "refused" && told.to_string().contains("`sslrootcert`"), "{told}");
}

#[test]
fn what_cannot_be_followed_is_refused_and_leaves_nothing() {
    let Some(source) = Source::new(18, &[("max_replication_slots", "1")]) else { return };
    let Some(test) = TestStore::quick(18) else { return };
    source.run("postgres", ROLE);
    let refused = |follow: &Follow| {
        let error = test.store().start_following(follow, &Silent).unwrap_err();
        let text = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(!text.contains(PASSWORD), "{text}");
        assert!(test.store().following().unwrap().is_none() && !test.dir().join("followed").exists());
        assert!(!test.dir().join("refresh.partial").exists());
        text
    };
    let rule = Rule { column: ColumnName::parse("public.line.filler").unwrap(), with: Transformer::Null };
    let text = refused(&Follow { masking: vec![rule], ..follow(&source) });
    assert!(text.contains("masking") && text.contains("offshoot refresh"), "{text}");
    source.run("postgres", "CREATE ROLE plain LOGIN PASSWORD 'zq-hunter2-zq'");
    let text = refused(&Follow { url: source.url_of("plain", PASSWORD, "shop"), ..follow(&source) });
    assert!(text.contains("ALTER ROLE plain REPLICATION"), "{text}");
    source.run("postgres", "SELECT pg_create_physical_replication_slot('taken')");
    let text = refused(&follow(&source));
    assert!(text.contains("max_replication_slots"), "{text}");
    source.run("postgres", "SELECT pg_drop_replication_slot('taken')");
    let error = test.store().start_following(&follow(&source), &Cancelled).unwrap_err();
    assert!(matches!(error, StorageError::Cancelled), "{error}");
    assert!(test.store().following().unwrap().is_none());
    assert_eq!(slots(&source), "");
    test.store().start_following(&follow(&source), &Silent).unwrap();
    let error = test.store().start_following(&follow(&source), &Silent).unwrap_err();
    assert!(error.to_string().contains("follow stop"), "{error}");
}

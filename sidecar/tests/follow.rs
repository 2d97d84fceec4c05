//! `offshoot follow`: the root branch of one repository has what another's database has.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use support::{TestRepo, wait_until};

const FILL: &str = "create table thing (n int); insert into thing select generate_series(1, 700)";

fn password(url: &str) -> &str {
    url.split(['@', ':']).nth(2).unwrap()
}

fn state(test: &TestRepo) -> String {
    let status = test.run(&["follow", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    status["following"]["state"].as_str().unwrap_or("none").to_owned()
}

fn count(test: &TestRepo, branch: &str) -> String {
    let told = test.run(&["sql", "--branch", branch, "--json", "-c", "select count(*) from thing"]).json();
    told["results"][0]["rows"][0][0].to_string()
}

/// Whether all that the source has by now is here, and following is in this state.
fn has_all_and_is(test: &TestRepo, wanted: &str, source: &TestRepo) -> impl FnMut() -> bool {
    let lsn = |text: &str| {
        let (high, low) = text.split_once('/').unwrap();
        (u64::from_str_radix(high, 16).unwrap() << 32) + u64::from_str_radix(low, 16).unwrap()
    };
    let end = lsn(&source.value("select pg_current_wal_flush_lsn()::text"));
    move || {
        let status = test.run(&["follow", "status", "--json"]).json();
        let following = &status["following"];
        following["state"] == wanted && lsn(following["replayed"].as_str().unwrap()) >= end
    }
}

fn slots(source: &TestRepo) -> String {
    source.value("select coalesce(string_agg(slot_name, ' '), '') from pg_replication_slots")
}

#[test]
fn the_root_branch_follows_another_database() {
    let source = TestRepo::with_database();
    source.run(&["sql", "-c", FILL]).ok();
    let url = source.url();
    let test = TestRepo::with_database();
    let config = test.repo.join("offshoot.toml");

    // What cannot be.
    assert!(test.run(&["follow", "status"]).ok().contains("Nothing is followed"));
    assert!(test.run(&["refresh"]).fails(128).contains("nothing is followed"));
    assert!(test.run(&["follow", "start", "--from", "dump.sql"]).fails(128).contains("a running server"));
    assert!(test.run(&["follow", "start", "--from", &url, "--every", "0s"]).fails(129).contains("10m"));
    fs::write(&config, "[masking.columns]\n'public.thing.n' = 'null'\n").unwrap();
    let said = test.run(&["follow", "start", "--from", &url]).fails(128);
    assert!(said.contains("masking") && said.contains("offshoot refresh"), "{said}");
    fs::remove_file(&config).unwrap();
    assert_eq!(slots(&source), "");

    let said = test.run(&["follow", "start", "--from", &url, "--every", "1h"]).ok();
    assert!(
        said.contains("Branch main follows postgres://") && said.contains("max_slot_wal_keep_size"),
        "{said}"
    );
    assert_eq!((count(&test, "main"), state(&test)), ("700".into(), "current".into()));
    test.git(&["checkout", "-q", "-b", "early"]);
    test.run(&["status"]).ok();

    source.run(&["sql", "-c", "insert into thing values (1000000)"]).ok();
    let told = test.run(&["refresh", "--json"]).json();
    assert_eq!((&told["refreshed"], &told["stale"][0]), (&true.into(), &"early".into()), "{told}");
    test.run(&["branch", "create", "late", "--from", "main"]).ok();
    assert_eq!((count(&test, "early"), count(&test, "late")), ("700".into(), "701".into()));
    test.run(&["undo", "main"]).ok();
    assert_eq!(count(&test, "main"), "700");
    let refused = test.run(&["refresh", "--empty"]).fails(128);
    assert!(refused.contains("follow stop"), "{refused}");

    // Where it is told, and where the password is not.
    let mut all = String::new();
    for words in [&["status"][..], &["branch", "list"], &["follow", "status"], &["du"], &["engine", "logs"]] {
        for more in [&[][..], &["--json"]] {
            let ran = test.run(&[words, more].concat());
            all.extend([ran.out, ran.err]);
        }
    }
    assert!(all.contains("follows 127.0.0.1") && all.contains("of it are only the standby's"), "{all}");
    assert!(!all.contains(password(&url)), "{all}");
    assert!(!all.contains("~standby") && test.branches() == ["main", "early", "late"], "{all}");

    // The engine dies, and the source goes away.
    test.kill_engine();
    source.run(&["sql", "-c", "insert into thing values (1000001)"]).ok();
    test.run(&["refresh"]).ok();
    assert_eq!(count(&test, "main"), "702");
    let port = source.status()["endpoint"]["port"].clone();
    source.run(&["engine", "stop"]).ok();
    let said = test.run(&["refresh"]).fails(128);
    assert!(said.contains("tried again by itself"), "{said}");
    assert_eq!(state(&test), "disconnected");
    let told = test.run(&["follow", "status"]);
    assert!(told.code == 1 && told.out.contains("disconnected"), "{}", told.out);
    assert!(test.run(&["status"]).ok().contains("is not followed just now"));
    assert_eq!(source.status()["endpoint"]["port"], port);
    test.run(&["refresh"]).ok();
    assert_eq!(state(&test), "current");

    // Rules for masking end it.
    fs::write(&config, "[masking.columns]\n'public.thing.n' = 'null'\n").unwrap();
    assert!(test.run(&["refresh"]).fails(128).contains("follow stop"));
    assert_eq!(state(&test), "masking");
    assert!(test.run(&["follow", "stop"]).ok().contains("is dropped"));
    assert_eq!((slots(&source), state(&test)), (String::new(), "none".into()));
    assert_eq!(count(&test, "main"), "702");
    assert!(!test.store().join("followed").exists());
}

#[test]
fn following_goes_on_with_a_new_password() {
    let source = TestRepo::with_database();
    source.run(&["sql", "-c", FILL]).ok();
    source.run(&["sql", "-c", "create role backup login superuser password 'old'"]).ok();
    let url = source.url();
    let url = url.replace(&format!("postgres:{}@", password(&url)), "backup@");
    let test = TestRepo::with_database();
    assert!(test.run(&["follow", "resume"]).fails(128).contains("nothing is followed"));
    let said = test.run(&["follow", "start", "--from", &url]).fails(128);
    assert!(said.contains("has none") && said.contains("PGPASSWORD"), "{said}");
    let known = |password: &str, args: &[&str]| test.run_with(args, &[("PGPASSWORD", password)]);
    known("old", &["follow", "start", "--from", &url, "--every", "1h"]).ok();
    assert_eq!(state(&test), "current");

    source.run(&["sql", "-c", "alter role backup password 'new'; insert into thing values (1000000)"]).ok();
    assert!(test.run(&["refresh"]).fails(128).contains("follow resume"));
    assert_eq!(state(&test), "refused");
    // Nobody is there who could be asked.
    assert!(test.run(&["follow", "resume"]).fails(128).contains("PGPASSWORD"));
    assert!(known("old", &["follow", "resume"]).fails(128).contains("password"));
    assert_eq!(state(&test), "refused");
    let said = known("new", &["follow", "resume"]).ok();
    assert!(said.contains("nothing is copied anew") && !said.contains("new@"), "{said}");
    wait_until("the changes are here", has_all_and_is(&test, "current", &source));
    assert_eq!(count(&test, "main"), "701");

    // The same server by another name, and the password out of the file that libpq reads.
    source.run(&["sql", "-c", "alter role backup password 'newer'"]).ok();
    let file = test.root().join("pgpass");
    fs::write(&file, "*:*:*:backup:newer\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let moved = url.replace("127.0.0.1", "localhost");
    let resume = ["follow", "resume", "--from", moved.as_str()];
    test.run_with(&resume, &[("PGPASSFILE", file.to_str().unwrap())]).ok();
    assert!(test.run(&["follow", "status"]).ok().contains("@localhost:"));
    wait_until("it is current", has_all_and_is(&test, "current", &source));
}

#[test]
fn what_is_wrong_is_told_until_the_source_has_been_seen_again() {
    let source = TestRepo::with_database();
    source.run(&["sql", "-c", FILL]).ok();
    let url = source.url();
    let test = TestRepo::with_database();
    test.run(&["follow", "start", "--from", &url, "--every", "1h"]).ok();
    source.run(&["engine", "stop"]).ok();
    test.run(&["refresh"]).fails(128);
    let following = || {
        let status = test.run(&["follow", "status", "--json"]);
        let told: serde_json::Value = serde_json::from_str(&status.out).unwrap();
        (status.code, told["following"].clone())
    };
    let (_, before) = following();
    assert_eq!(before["state"], "disconnected");

    // Somebody is there, and says nothing: whether that is the source is not known yet.
    let port: u16 = url.rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap();
    let silent = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut turn = test.command(support::PROGRAM).arg("refresh").stderr(Stdio::null()).spawn().unwrap();
    let connection = silent.accept().unwrap();
    let (code, now) = following();
    assert_eq!((code, &now["state"], &now["trouble"]), (1, &before["state"], &before["trouble"]));
    drop((connection, silent));
    assert!(!turn.wait().unwrap().success());
    let (_, after) = following();
    assert_eq!((&after["state"], &after["since"]), (&before["state"], &before["since"]));

    source.run(&["status"]).ok();
    test.run(&["refresh"]).ok();
    assert_eq!(following().1["state"], "current");
}

#[test]
fn one_command_makes_a_database_that_follows_and_leaves_nothing_if_that_fails() {
    let source = TestRepo::with_database();
    source.run(&["sql", "-c", FILL]).ok();
    let url = source.url();
    let test = TestRepo::new();
    let config = test.repo.join("offshoot.toml");
    let bin_dir = support::postgres_bin_dir();
    let follow = |from: &str, more: &[&str]| {
        let words =
            ["init", "--from", from, "--physical", "--follow", "--bin-dir", bin_dir.to_str().unwrap()];
        test.run(&[&words[..], more].concat())
    };
    let stores = || fs::read_dir(test.root().join("home/stores")).into_iter().flatten().count();
    let nothing_is_left = || {
        assert_eq!((stores(), slots(&source)), (0, String::new()));
        assert!(!test.repo.join(".git/offshoot/project").exists() && !config.exists());
    };
    fs::write(&config, "[masking.columns]\n'public.thing.n' = 'null'\n").unwrap();
    assert!(follow(&url, &[]).fails(128).contains("offshoot refresh"));
    fs::remove_file(&config).unwrap();
    nothing_is_left();
    let said = follow(&url.replace("/app", "/nowhere"), &[]).fails(128);
    assert!(said.contains("`nowhere`") && said.contains("Nothing was left behind"), "{said}");
    nothing_is_left();
    assert!(test.run(&["init", "--empty", "--follow"]).fails(129).contains("--physical"));

    let said = follow(&url, &["--every", "1h"]).ok();
    assert!(said.contains("Branch main follows postgres://") && said.contains("every 1h"), "{said}");
    assert!(!said.contains(password(&url)), "{said}");
    assert_eq!((count(&test, "main"), state(&test)), ("700".into(), "current".into()));
    assert_eq!(test.run(&["du", "--json"]).json()["trashBytes"], 0, "the empty root is gone");
    source.run(&["sql", "-c", "insert into thing values (1000000)"]).ok();
    test.run(&["refresh"]).ok();
    assert_eq!(count(&test, "main"), "701");

    test.run(&["follow", "stop"]).ok();
    source.run(&["sql", "-c", "insert into thing values (1000001)"]).ok();
    let said = test.run(&["refresh", "--from", &url, "--physical", "--follow"]).ok();
    assert!(said.contains("every 10m"), "{said}");
    assert_eq!((count(&test, "main"), state(&test)), ("702".into(), "current".into()));
}

#[test]
fn changes_come_by_themselves_and_wait_while_the_root_is_in_use() {
    let source = TestRepo::with_database();
    source.run(&["sql", "-c", FILL]).ok();
    let test = TestRepo::with_database();
    test.git(&["checkout", "-q", "-b", "work"]);
    test.run(&["follow", "start", "--from", &source.url(), "--every", "1s"]).ok();
    source.run(&["sql", "-c", "insert into thing values (1000000)"]).ok();
    wait_until("the root branch has the new row", has_all_and_is(&test, "current", &source));
    assert_eq!(count(&test, "main"), "701");
    let url = test.run(&["url", "--branch", "main"]).ok();
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    source.run(&["sql", "-c", "insert into thing values (1000001)"]).ok();
    wait_until("the changes wait", has_all_and_is(&test, "inUse", &source));
    let row = client.query_one("select count(*) from thing", &[]).unwrap();
    assert_eq!(row.get::<_, i64>(0), 701);
    drop(client);
    wait_until("the root branch has the second row", has_all_and_is(&test, "current", &source));
    assert_eq!(count(&test, "main"), "702");
    assert!(test.run(&["follow", "stop"]).ok().contains("is dropped"));
    assert_eq!(slots(&source), "");
}

#[test]
fn seed_files_that_nobody_has_agreed_to_do_not_run_by_themselves() {
    let source = TestRepo::with_database();
    source.run(&["sql", "-c", FILL]).ok();
    let test = TestRepo::with_database();
    let seed = |sql: &str| fs::write(test.repo.join("seed.sql"), sql).unwrap();
    let has = |branch: &str, n: i32| {
        let sql = format!("select count(*) from thing where n = {n}");
        let told = test.run(&["sql", "--branch", branch, "--json", "-c", &sql]).json();
        told["results"][0]["rows"][0][0] != 0
    };
    fs::write(test.repo.join("offshoot.toml"), "[seed]\nfiles = ['seed.sql']\n").unwrap();
    seed("insert into thing values (-1);");
    test.git(&["checkout", "-q", "-b", "work"]);
    test.run(&["follow", "start", "--from", &source.url(), "--every", "1s"]).ok();
    source.run(&["sql", "-c", "insert into thing values (1000000)"]).ok();
    wait_until("the root branch has the new row", has_all_and_is(&test, "current", &source));
    test.run(&["branch", "create", "before", "--from", "main"]).ok();
    assert!(has("before", -1) && has("before", 1_000_000), "what was agreed to runs");

    // As a checkout of somebody else's branch.
    seed("insert into thing values (-2);");
    source.run(&["sql", "-c", "insert into thing values (1000001)"]).ok();
    wait_until("it is refused", || state(&test) == "failed");
    let told = test.run(&["status"]).ok();
    assert!(told.contains("(seed.sql) are others than when a turn was asked for last"), "{told}");
    assert!(told.contains("`offshoot refresh` runs them"), "{told}");
    test.run(&["branch", "create", "meanwhile", "--from", "main"]).ok();
    assert!(has("meanwhile", -1) && !has("meanwhile", -2) && !has("meanwhile", 1_000_001));

    test.run(&["refresh"]).ok();
    assert!(has("main", -2) && has("main", 1_000_001) && !has("main", -1));
    seed("insert into nowhere values (1);");
    let failed = test.run(&["refresh"]);
    assert!(failed.code == 0 || failed.err.contains("seed.sql"), "{}", failed.err);
    source.run(&["sql", "-c", "insert into thing values (1000002)"]).ok();
    let failed = test.run(&["refresh"]).fails(128);
    let place = test.repo.join("seed.sql");
    assert!(failed.contains(&format!("seed {}", place.display())), "the file, and not its copy: {failed}");
    assert!(test.run(&["follow", "stop"]).ok().contains("is dropped"));
}

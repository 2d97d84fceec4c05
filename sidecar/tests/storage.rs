//! What the engine does for the store by itself: it keeps stacks of layers short, and the disk from becoming full.

#![allow(clippy::unwrap_used, missing_docs, reason = "only tests are here")]

mod support;

use std::fs;
use std::path::Path;

use postgres::{Client, NoTls};
use serde_json::Value;
use support::{TestRepo, wait_until};

/// Layers in the deepest stack of the store; its branches are read as the engine writes them.
fn deepest(store: &Path) -> i64 {
    let connection = rusqlite::Connection::open(store.join("meta.sqlite")).unwrap();
    connection.busy_timeout(support::PATIENCE).unwrap();
    let sql = "SELECT max(n) FROM (SELECT count(*) AS n FROM stacks GROUP BY branch)";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn bytes_on_disk(store: &Path) -> u64 {
    let output = std::process::Command::new("du").args(["-s", "-B1"]).arg(store).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_branch_forty_generations_deep_is_soon_at_most_sixteen_layers_deep_and_reads_the_same() {
    let test = TestRepo::with_database();
    let mut main = Client::connect(&test.url(), NoTls).unwrap();
    main.batch_execute(
        "create table item as select n, 0 as round from generate_series(1, 5000) n; create table log (round int)",
    )
    .unwrap();
    // Each branch freezes what was written since the one before. Branches that live keep their layers from being merged in pairs.
    for round in 1..=40 {
        main.batch_execute(&format!(
            "update item set round = {round} where n % 40 = {round} % 40; insert into log values ({round})"
        ))
        .unwrap();
        let name = format!("b{round}");
        test.run(&["branch", "create", &name, "--from", "main"]).ok();
    }
    assert!(deepest(&test.store()) > 16, "merged while it was being made");
    wait_until("stacks are short", || deepest(&test.store()) <= 16);
    let content = "select string_agg(round || ':' || n, ' ' order by round) from (select round, count(*) n from item group by 1) x";
    let expected = |last: u32| {
        let untouched = 5000 - 125 * last;
        let zero = (untouched > 0).then(|| format!("0:{untouched}"));
        zero.into_iter().chain((1..=last).map(|round| format!("{round}:125"))).collect::<Vec<_>>().join(" ")
    };
    for round in [4, 20, 40] {
        let name = format!("b{round}");
        let said = test.run(&["sql", "--branch", &name, "--json", "-c", content]).json();
        assert_eq!(said["results"][0]["rows"][0][0], Value::String(expected(round)), "{name}");
        let said = test.run(&["sql", "--branch", &name, "--json", "-c", "select count(*) from log"]).json();
        assert_eq!(said["results"][0]["rows"][0][0].to_string().trim_matches('"'), round.to_string());
    }
    // What was merged was merged under a connection that is still there.
    let row = main.query_one(content, &[]).unwrap();
    assert_eq!(row.get::<_, String>(0), expected(40));
    drop(main);
    test.run(&["engine", "stop"]).ok();
    let usage = test.run(&["du", "--json"]).json();
    let number = |name: &str| usage[name].as_u64().unwrap();
    let shares: u64 =
        usage["shares"].as_array().unwrap().iter().map(|share| share["bytes"].as_u64().unwrap()).sum();
    assert_eq!(shares + number("otherBytes"), number("totalBytes"));
    let all = bytes_on_disk(&test.store());
    assert!(number("totalBytes").abs_diff(all) < 512 << 10, "{} of {all}", number("totalBytes"));
    let log = fs::read_to_string(test.store().join("engine.log")).unwrap();
    assert!(log.contains("layers were merged") && !log.contains("cannot merge layers"), "{log}");
}

/// What the main work tree's file says of the store.
fn set_storage(test: &TestRepo, lines: &str) {
    fs::write(test.repo.join("offshoot.toml"), format!("[storage]\n{lines}\n")).unwrap();
}

#[test]
fn a_store_that_reaches_its_limit_warns_then_refuses_to_grow_and_still_reads_and_removes() {
    let test = TestRepo::with_database();
    test.run(&["branch", "create", "feature"]).ok();
    test.run(&["sql", "--branch", "feature", "-c", "create table t as select 1 as n"]).ok();
    let url = test.url();
    let total = test.run(&["du", "--json"]).json()["totalBytes"].as_u64().unwrap();
    let room = |status: &Value| {
        let notes = status["notes"].as_array().unwrap().iter();
        notes
            .clone()
            .find(|note| note["kind"] == "disk")
            .map(|note| note["text"].as_str().unwrap().to_owned())
    };
    assert_eq!(room(&test.status()), None);

    // What is measured may change a little meanwhile.
    set_storage(&test, &format!("max_bytes = {}", total * 100 / 95));
    let said = room(&test.status()).unwrap();
    assert!(said.contains(" % of the ") && said.contains("`storage.max_bytes`"), "{said}");
    assert!(test.run(&["du"]).ok().contains(" % are used."));
    test.run(&["branch", "create", "fits"]).ok();
    test.run(&["branch", "delete", "fits"]).ok();

    set_storage(&test, &format!("max_bytes = \"{}kB\"", total / 2000));
    for refused in [&["branch", "create", "more"][..], &["snapshot", "create", "feature@now"][..]] {
        let said = test.run(refused).fails(128);
        assert!(
            said.contains("nothing more is made") && said.contains("`storage.max_bytes` allows"),
            "{said}"
        );
        assert!(said.contains("`main` ") && said.contains("`feature` "), "{said}");
        assert!(said.contains("offshoot du") && said.contains("branch purge"), "{said}");
    }
    let measured = test.run(&["diff", "main", "feature", "--measure", "--json"]);
    assert!(format!("{}{}", measured.out, measured.err).contains("nothing more is made"), "{measured:?}");
    assert!(test.run(&["du"]).ok().contains("Nothing more is made."));
    assert!(test.run(&["doctor"]).out.contains("nothing more is made"));
    assert!(test.run(&["status"]).ok().contains("nothing more is made"));
    assert_eq!(test.branches(), ["main", "feature"]);
    assert_eq!(test.value("select 1"), "1");
    // A branch of a checkout is not made, and its connections do not lead to another.
    test.git(&["checkout", "-q", "-b", "other"]);
    let error = Client::connect(&url, NoTls).err().expect("a connection to no branch");
    assert!(format!("{error:?}").contains("nothing more is made"), "{error:?}");
    let said = test.run(&["status"]).ok();
    assert!(said.starts_with("On git branch other\nNo database branch\n"), "{said}");
    test.git(&["checkout", "-q", "main"]);
    test.run(&["branch", "delete", "feature"]).ok();
    test.run(&["branch", "purge", "--all", "--yes"]).ok();

    wait_until("the log has it", || {
        fs::read_to_string(test.store().join("engine.log")).unwrap().contains("nothing more is made")
    });
    set_storage(&test, "max_bytes = \"1TB\"");
    assert_eq!(room(&test.status()), None);
    test.run(&["branch", "create", "more"]).ok();
}

#[test]
fn room_is_kept_free_on_the_disk_for_what_is_there_already() {
    let test = TestRepo::new();
    set_storage(&test, "min_free_bytes = \"9000TB\"");
    let said = test.init().fails(128);
    assert!(said.contains("9.0 PB are kept free") && said.contains("OFFSHOOT_HOME"), "{said}");
    assert!(!test.repo.join(".git/offshoot/project").exists(), "left behind");
    assert_eq!(fs::read_dir(test.root().join("home/stores")).unwrap().count(), 0, "left behind");

    set_storage(&test, "");
    test.init().ok();
    set_storage(&test, "min_free_bytes = \"9000TB\"");
    let said = test.run(&["branch", "create", "more"]).fails(128);
    assert!(said.contains("are free on the disk") && said.contains("`storage.min_free_bytes`"), "{said}");
    assert!(test.run(&["du"]).ok().contains("9.0 PB are to be kept free there"));
    set_storage(&test, "min_free_bytes = 0");
    test.run(&["branch", "create", "more"]).ok();
}

#[test]
fn a_branch_is_made_as_of_a_moment_and_a_moment_that_is_none_is_told() {
    let test = TestRepo::with_database();
    let mut main = Client::connect(&test.url(), NoTls).unwrap();
    main.batch_execute("create table item (n int)").unwrap();
    wait_for_past(&test);
    // A position leads back to the page of the WAL after the snapshot.
    main.batch_execute("create table filler as select generate_series(1, 1000)").unwrap();
    main.batch_execute("insert into item values (1)").unwrap();
    let moment = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
        pg_current_wal_insert_lsn()::text";
    let row = main.query_one(moment, &[]).unwrap();
    let (time, position): (String, String) = (row.get(0), row.get(1));
    main.batch_execute("insert into item values (2)").unwrap();
    for (name, at) in [("by-time", time.as_str()), ("by-position", &position)] {
        let made = test.run(&["branch", "create", name, "--at", at, "--json"]).json();
        assert_eq!(made["parent"], "main");
        let said = test.run(&["sql", "--branch", name, "--json", "-c", "select sum(n) from item"]).json();
        assert_eq!(said["results"][0]["rows"][0][0].to_string().trim_matches('"'), "1", "{name}");
    }
    for (at, told) in [
        ("2001-01-01T00:00Z", "the oldest moment is 20"),
        ("2999-01-01T00:00Z", "is no moment yet"),
        ("F/0", "the WAL of main ends at 0/"),
        ("soon", "`soon` is no moment"),
    ] {
        let refused = test.run(&["branch", "create", "x", "--at", at]);
        assert_ne!(refused.code, 0);
        assert!(refused.err.contains(told), "{at}: {}", refused.err);
    }
    let usage = test.run(&["du", "--json"]).json();
    assert!(usage["pastSnapshotBytes"].as_u64().unwrap() > 0, "{usage}");
}

#[test]
fn a_branch_goes_back_in_its_place_and_what_is_no_moment_of_it_is_told() {
    let test = TestRepo::with_database();
    let mut main = Client::connect(&test.url(), NoTls).unwrap();
    main.batch_execute("create table item (n int); insert into item values (1)").unwrap();
    wait_for_past(&test);
    let time = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    let early: String = main.query_one(time, &[]).unwrap().get(0);
    test.git(&["checkout", "-q", "-b", "feature"]);
    let url = test.url();
    let mut feature = Client::connect(&url, NoTls).unwrap();
    feature.batch_execute("insert into item values (2)").unwrap();
    let then: String = feature.query_one(time, &[]).unwrap().get(0);
    feature.batch_execute("insert into item values (3)").unwrap();
    let content = "select string_agg(n::text, ',' order by n) from item";

    let said = test.run(&["restore", "--at", &then]).ok();
    assert!(said.starts_with("Branch feature is what it was at 20"), "{said}");
    assert!(said.contains("feature~before-restore-20") && said.contains("`offshoot undo feature`"), "{said}");
    // The address leads to it, and who was connected is not.
    assert_eq!(test.url(), url);
    assert_eq!(test.value(content), "1,2");
    assert!(feature.simple_query("select 1").is_err());
    assert!(test.run(&["du"]).ok().contains("feature~before-restore-20"));
    test.run(&["snapshot", "create", "kept"]).ok();
    test.run(&["sql", "-c", "insert into item values (4)"]).ok();
    let restored = test.run(&["restore", "feature", "--at", "@kept", "--json"]).json();
    assert_eq!(restored["branch"]["parent"], "main");
    assert_eq!(test.value(content), "1,2");
    test.run(&["undo"]).ok();
    assert_eq!(test.value(content), "1,2,4");
    test.run(&["undo"]).ok();
    assert_eq!(test.value(content), "1,2,3");
    // The root goes back as well.
    test.run(&["restore", "main", "--at", &early]).ok();
    assert_eq!(test.value(content), "1,2,3");
    assert!(test.run(&["branch", "delete", "main", "--yes"]).fails(128).contains("is the root branch"));

    for (at, told) in [
        (early.as_str(), "it was made, or last reset, at 20"),
        ("2999-01-01T00:00Z", "is no moment yet"),
        ("F/0", "the WAL of feature ends at 0/"),
        ("@none", "there is no snapshot `none` of feature"),
    ] {
        let refused = test.run(&["restore", "feature", "--at", at]).fails(128);
        assert!(refused.contains(told), "{at}: {refused}");
    }
    test.run(&["branch", "protect", "feature"]).ok();
    let refused = test.run(&["restore", "feature", "--at", &then]).fails(128);
    assert!(refused.contains("`feature` is protected") && refused.contains("unprotect"), "{refused}");
    assert_eq!(test.value(content), "1,2,3");
}

#[test]
fn what_a_branch_was_is_compared_with_what_it_is_and_its_log_tells_what_happened() {
    let test = TestRepo::with_database();
    let mut main = Client::connect(&test.url(), NoTls).unwrap();
    main.batch_execute("create table item (n int primary key); insert into item values (1), (2)").unwrap();
    wait_for_past(&test);
    main.batch_execute("create table filler as select generate_series(1, 1000)").unwrap();
    let moment = "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
        pg_current_wal_insert_lsn()::text";
    let row = main.query_one(moment, &[]).unwrap();
    let (time, position): (String, String) = (row.get(0), row.get(1));
    main.batch_execute(
        "alter table item add note text; delete from item where n = 1; insert into item values (3)",
    )
    .unwrap();
    for side in [format!("main@{time}"), format!("@{position}")] {
        let found = test.run(&["diff", &side, "main", "--stat"]).ok();
        assert!(found.contains("item"), "{side}: {found}");
    }
    let found = test.run(&["diff", &format!("main@{time}"), "main", "--rows", "--json"]).json();
    let table = &found["rows"]["tables"][0];
    assert_eq!((&table["inserted"], &table["deleted"]), (&1.into(), &1.into()), "{found}");
    assert!(found["rows"]["baseAt"]["timeUs"].as_u64().is_some(), "{found}");
    let said = test.run(&["diff", "main@2001-01-01 00:00", "main"]).fails(128);
    assert!(said.contains("the oldest moment is 20"), "{said}");
    let said = test.run(&["diff", "main@next week", "main"]).fails(128);
    assert!(said.contains("`next week` is no moment"), "{said}");

    test.run(&["branch", "create", "feature", "--at", &position]).ok();
    test.run(&["snapshot", "create", "main@kept"]).ok();
    test.run(&["branch", "rename", "feature", "other"]).ok();
    test.run(&["branch", "reset", "other"]).ok();
    test.run(&["branch", "delete", "other"]).ok();
    let log = test.run(&["log", "other", "--json"]).json();
    let kinds: Vec<_> = log["entries"].as_array().unwrap().iter().map(|entry| &entry["kind"]).collect();
    assert_eq!(kinds, ["deleted", "reset", "renamed", "created", "created"]);
    assert_eq!(log["entries"][0]["wayBack"], "offshoot undo other");
    assert_eq!(log["entries"][3]["detail"], Value::String(position));
    let shown = test.run(&["log", "--all", "-n", "4"]).ok();
    assert!(shown.contains("other reset to what main held") && shown.contains("2 more"), "{shown}");
    assert!(test.run(&["log"]).ok().contains("offshoot restore main --at @kept"));
    assert!(test.run(&["log", "nobody"]).fails(128).contains("no database branch `nobody`"));
}

#[test]
fn each_commit_has_a_snapshot_of_its_branch_where_that_is_asked_for() {
    let test = TestRepo::with_database();
    fs::write(test.repo.join("offshoot.toml"), "[snapshots]\non_commit = true\n").unwrap();
    test.run(&["sql", "-c", "create table item as select 1 as n"]).ok();
    let commit = || {
        test.git(&["commit", "-q", "--allow-empty", "-m", "x"]);
        let id = test.git(&["rev-parse", "HEAD"]);
        wait_until("a snapshot of the commit", || {
            let list = test.run(&["snapshot", "list", "--json"]).json();
            list["snapshots"].as_array().unwrap().iter().any(|one| one["commit"] == id.trim())
        });
        id.trim().to_owned()
    };
    let first = commit();
    test.run(&["sql", "-c", "insert into item values (2)"]).ok();
    commit();
    test.run(&["sql", "-c", "insert into item values (3)"]).ok();
    for (name, at, sum) in [("a", "HEAD~1", "1"), ("b", &first[..8], "1"), ("c", "main", "3")] {
        let said = test.run(&["branch", "create", name, "--at", at]).ok();
        assert!(said.contains(" from main@"), "{said}");
        let found = test.run(&["sql", "--branch", name, "--json", "-c", "select sum(n) from item"]).json();
        assert_eq!(found["results"][0]["rows"][0][0].to_string().trim_matches('"'), sum, "{name}");
    }
    let rows = test.run(&["diff", &format!("main@{}", &first[..8]), "main", "--rows"]).ok();
    assert!(rows.contains("2 inserted"), "{rows}");
    test.run(&["diff", "@HEAD~1", "main", "--exit-code"]).ok();
    // One that was made of a snapshot has that of its parent.
    test.run(&["branch", "create", "d", "--from", "a", "--at", &first]).ok();
    let said = test.run(&["restore", "a", "--at", &first]).fails(128);
    assert!(said.contains(&format!("there is no snapshot of a at commit {}", &first[..10])), "{said}");
    let said = test.run(&["restore", "nobody", "--at", "HEAD"]).fails(128);
    assert!(said.contains("there is no database branch `nobody`"), "{said}");
    test.run(&["restore", "main", "--at", &first]).ok();
    assert_eq!(test.value("select sum(n) from item"), "1");
    let all = test.run(&["snapshot", "list", "main", "--all"]).ok();
    assert!(
        all.contains("main~before-restore-20") && all.contains("(offshoot undo main~before-restore-"),
        "{all}"
    );
}

/// Waits for the first snapshot that moments are reached from.
fn wait_for_past(test: &TestRepo) {
    let connection = rusqlite::Connection::open(test.store().join("meta.sqlite")).unwrap();
    connection.busy_timeout(support::PATIENCE).unwrap();
    let kept = "SELECT count(*) FROM branches WHERE snapshot_kind = 'auto'";
    wait_until("the first snapshot", || {
        connection.query_row(kept, [], |row| row.get::<_, i64>(0)).unwrap() > 0
    });
}

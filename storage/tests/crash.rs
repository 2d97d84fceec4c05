//! Bad days: killed servers, a killed engine, a power cut. What was acknowledged stays, and nothing half made does.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use offshoot_storage::{OpenStore, Store};
use support::layers::{FrozenHashes, assert_tidy, lose_power};
use support::load::{Load, assert_consistent};
use support::{Random, TestStore, check, load, processes, reconnect};

on_each_major!(
    a_killed_server_loses_nothing_that_it_acknowledged,
    a_killed_backend_is_recovered_from_without_the_engine,
    a_killed_engine_leaves_whole_branches_and_nothing_else,
    a_power_cut_loses_nothing_that_was_acknowledged,
);

fn with_load_tables(test: Option<TestStore>) -> Option<TestStore> {
    let test = test?;
    load::prepare(&mut test.connect("main"));
    Some(test)
}

fn a_killed_server_loses_nothing_that_it_acknowledged(major: u32) {
    let Some(test) = with_load_tables(TestStore::quick(major)) else { return };
    let mut hashes = FrozenHashes::default();
    let mut promised = Vec::new();
    for round in 0..3 {
        let mut writers = Load::start(&test.config("main", "app"), 3);
        writers.wait_for(50);
        let name = format!("child-{round}");
        let acknowledged = writers.acknowledged();
        test.create(&name, "main");
        hashes.note_new(&test.dir());
        promised.push((name.clone(), acknowledged.clone()));
        // The child is killed as well, in the replay after its first start or in mid-write.
        let mut of_child = Load::start(&test.config(&name, "app"), 2);
        of_child.wait_for(30);
        writers.wait_for(50);
        test.kill(&name);
        test.kill("main");
        let end_of_child = of_child.wait_for_end();
        assert_consistent(&mut test.connect(&name), &end_of_child, &name);
        let at_the_end = writers.wait_for_end();
        assert_consistent(&mut test.connect("main"), &at_the_end, "main");
    }
    for (name, acknowledged) in promised.iter().chain([&("main".to_owned(), Vec::new())]) {
        test.restart(name);
        assert_consistent(&mut test.connect(name), acknowledged, name);
        check::assert_whole(&test, name, "app");
        check::assert_no_relation_files(&test.data_dir(name));
    }
    hashes.assert_unchanged(&test.dir());
    assert_tidy(&test.dir());
}

fn a_killed_backend_is_recovered_from_without_the_engine(major: u32) {
    let Some(test) = with_load_tables(TestStore::quick(major)) else { return };
    let config = test.config("main", "app");
    let postmaster = processes::postmaster(&test.data_dir("main"));
    for round in 0..2 {
        let mut writers = Load::start(&config, 3);
        writers.wait_for(50);
        let acknowledged = writers.acknowledged();
        let pid = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%UPDATE accounts%' AND pid <> pg_backend_pid() LIMIT 1";
        processes::kill(test.text("main", pid).parse().unwrap());
        let at_the_end = writers.wait_for_end();
        assert_consistent(&mut reconnect(&config), &at_the_end, "main");
        assert_eq!(processes::postmaster(&test.data_dir("main")), postmaster, "the postmaster is another");
        assert!(test.store().poll_exits().is_empty());
        let name = format!("child-{round}");
        test.create(&name, "main");
        assert_consistent(&mut test.connect(&name), &acknowledged, &name);
        check::assert_whole(&test, &name, "app");
    }
    check::assert_whole(&test, "main", "app");
    assert_tidy(&test.dir());
}

/// Where the engine's process is told which store to open; the test that is started with it is that process.
const ENGINE: &str = "OFFSHOOT_TEST_ENGINE";

/// Not a test: an engine that makes, resets and deletes branches under load until it is killed, and says what it did.
#[test]
#[ignore = "the process that another test kills"]
fn engine_process() {
    let Some(folder) = std::env::var_os(ENGINE).map(std::path::PathBuf::from) else { return };
    let say = |text: String| {
        let mut out = std::io::stdout().lock();
        // One call, so that a kill leaves whole lines or none.
        out.write_all(format!("\n@{text}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    };
    let store = Store::open(OpenStore {
        dir: folder.join("store"),
        runtime_dir: folder.join("run"),
        account: offshoot_postgres::account::unprivileged().unwrap(),
        interposer: support::interposer(),
        settings: Vec::new(),
    })
    .unwrap();
    let main = store.branch_named("main").unwrap().unwrap().id;
    let mut config = postgres::Config::new();
    let socket = store.wake(main).unwrap();
    config.host_path(socket.parent().unwrap()).user("postgres").password(store.password()).dbname("app");
    let writers = Load::start(&config, 2);
    let round = std::env::var("OFFSHOOT_TEST_ROUND").unwrap();
    let counts = |counts: Vec<u64>| counts.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
    for number in 0.. {
        let name = format!("r{round}-b{number}");
        say(format!("creating {name} {}", counts(writers.acknowledged())));
        let branch = store.create_branch(&name, main).unwrap();
        say(format!("created {name}"));
        match number % 4 {
            1 => drop(store.wake(branch.id).unwrap()),
            2 => {
                say(format!("deleting {name}"));
                store.delete_branch(branch.id).unwrap();
                say(format!("deleted {name}"));
            }
            3 => {
                store.reset_branch(branch.id).unwrap();
                say(format!("reset {name}"));
            }
            _ => {}
        }
        writers.wait_for(5);
        say(format!("acknowledged {}", counts(writers.acknowledged())));
    }
}

/// What the engine said before it was killed.
#[derive(Default)]
struct Said {
    acknowledged: Vec<u64>,
    /// Branches that must be there, with what they must hold.
    there: std::collections::BTreeMap<String, Vec<u64>>,
    /// Branches that must not be there.
    gone: Vec<String>,
    creating: Option<(String, Vec<u64>)>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let counts = |text: &str| text.split(',').map(|count| count.parse().unwrap()).collect::<Vec<u64>>();
        match words.as_slice() {
            ["creating", name, acknowledged] => {
                self.acknowledged = counts(acknowledged);
                self.creating = Some(((*name).to_owned(), counts(acknowledged)));
            }
            ["created", name] => {
                let (creating, acknowledged) = self.creating.take().unwrap();
                assert_eq!(creating, *name);
                self.there.insert(creating, acknowledged);
            }
            // From here on it may be there or not.
            ["deleting", name] => drop(self.there.remove(*name)),
            ["deleted", name] => self.gone.push((*name).to_owned()),
            ["acknowledged", acknowledged] => self.acknowledged = counts(acknowledged),
            _ => {}
        }
    }
}

/// Runs an engine on the store, kills it after `events` of its lines and `delay`, and returns what it said.
fn run_and_kill(test: &TestStore, round: u64, events: u64, delay: Duration) -> Said {
    let mut engine = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine_process", "--ignored", "--nocapture"])
        .env(ENGINE, test.folder.path())
        .env("OFFSHOOT_TEST_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(engine.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if let Some(line) = line.strip_prefix('@') {
                let _ = sender.send(line.to_owned());
            }
        }
    });
    let mut said = Said::default();
    for _ in 0..events {
        said.hear(&lines.recv().expect("the engine ended by itself"));
    }
    // Not a wait for a condition: the kill is to hit anywhere.
    std::thread::sleep(delay);
    engine.kill().unwrap();
    engine.wait().unwrap();
    reader.join().unwrap();
    for line in lines.try_iter() {
        said.hear(&line);
    }
    said
}

fn a_killed_engine_leaves_whole_branches_and_nothing_else(major: u32) {
    let mut random = Random::new();
    let Some(mut test) = with_load_tables(TestStore::quick(major)) else { return };
    let mut hashes = FrozenHashes::default();
    for round in 0..3 {
        test.close();
        let events = 1 + random.below(20);
        let said = run_and_kill(&test, round, events, Duration::from_micros(random.below(40_000)));
        test.open();
        assert_eq!(processes::left_in(&test.dir()), [], "left running");
        assert_tidy(&test.dir());
        hashes.assert_unchanged(&test.dir());
        hashes.note_new(&test.dir());
        assert_consistent(&mut test.connect("main"), &said.acknowledged, "main");
        let names: Vec<String> = test.store().branches().unwrap().into_iter().map(|b| b.name).collect();
        for name in &said.gone {
            assert!(!names.contains(name), "{name} was deleted and is there");
        }
        for (name, acknowledged) in &said.there {
            assert!(names.contains(name), "{name} was made and is not there");
            assert_consistent(&mut test.connect(name), acknowledged, name);
            test.store().sleep(test.id(name)).unwrap();
        }
        // Those whose making or deleting was cut short are whole or not there at all.
        let of_this_round = format!("r{round}-");
        let unsure = |name: &&String| name.starts_with(&of_this_round) && !said.there.contains_key(*name);
        for name in names.iter().filter(unsure) {
            assert_consistent(&mut test.connect(name), &[], name);
            test.store().sleep(test.id(name)).unwrap();
        }
    }
    check::assert_whole(&test, "main", "app");
    for name in test.store().branches().unwrap().into_iter().map(|branch| branch.name).take(3) {
        check::assert_whole(&test, &name, "app");
        check::assert_no_relation_files(&test.data_dir(&name));
    }
    hashes.assert_unchanged(&test.dir());
}

fn a_power_cut_loses_nothing_that_was_acknowledged(major: u32) {
    if !support::has_layers() {
        return;
    }
    let mut random = Random::new();
    let Some(mut test) = with_load_tables(TestStore::new(major)) else { return };
    test.run("main", "CREATE TABLE t AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 5000) g");
    test.run("main", "CREATE INDEX ON t (v)");
    let mut promised: Vec<(String, Vec<u64>)> = Vec::new();
    let mut lost = 0;
    for round in 0..2 {
        let mut writers = Load::start(&test.config("main", "app"), 3);
        writers.wait_for(30);
        let name = format!("child-{round}");
        let acknowledged = writers.acknowledged();
        test.create(&name, "main");
        // Waking it makes sure that it is settled: a branch that is not may go with the power.
        let mut of_child = Load::start(&test.config(&name, "app"), 2);
        test.run("main", "UPDATE t SET v = md5(v) WHERE id % 3 = 0; DELETE FROM t WHERE id % 5 = 0");
        test.run("main", "VACUUM FULL t");
        if random.below(2) == 0 {
            test.run("main", "CHECKPOINT");
        }
        let file = test.text("main", "SELECT string_agg(id || v, ',' ORDER BY id) FROM t");
        of_child.wait_for(20);
        writers.wait_for(50);
        if round == 1 {
            // Recovery within the postmaster, where the engine has no hand in it.
            let config = test.config("main", "app");
            processes::kill(test.text("main", "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1").parse().unwrap());
            let at_the_end = writers.wait_for_end();
            assert_consistent(&mut reconnect(&config), &at_the_end, "main");
            writers = Load::start(&config, 3);
            writers.wait_for(20);
        }
        for branch in test.store().branches().unwrap() {
            if branch.state == offshoot_storage::ComputeState::Awake {
                test.kill(&branch.name);
            }
        }
        let (at_the_end, end_of_child) = (writers.wait_for_end(), of_child.wait_for_end());
        test.close();
        lost += lose_power(&test.dir(), &mut random);
        test.open();
        assert_tidy(&test.dir());
        promised.push((name.clone(), acknowledged));
        assert_consistent(&mut test.connect(&name), &end_of_child, &name);
        for (name, acknowledged) in &promised {
            assert_consistent(&mut test.connect(name), acknowledged, name);
        }
        assert_consistent(&mut test.connect("main"), &at_the_end, "main");
        assert_eq!(test.text("main", "SELECT string_agg(id || v, ',' ORDER BY id) FROM t"), file);
    }
    assert!(lost > 0, "nothing was lost: the test proves nothing");
    for (name, _) in promised.iter().chain([&("main".to_owned(), Vec::new())]) {
        test.restart(name);
        check::assert_whole(&test, name, "app");
    }
}

#[test]
fn a_branch_that_was_not_on_the_disk_yet_goes_with_the_power_and_the_rest_stays() {
    let Some(mut test) = with_load_tables(TestStore::quick(18)) else { return };
    test.create("settled", "main");
    test.run("settled", "CREATE TABLE s (id int)");
    test.create("lost", "main");
    test.create("child-of-lost", "lost");
    test.run("child-of-lost", "CREATE TABLE c (id int)");
    test.close();
    let connection = rusqlite::Connection::open(test.dir().join("meta.sqlite")).unwrap();
    connection.execute("UPDATE branches SET unsettled_boot = 'before' WHERE name = 'lost'", []).unwrap();
    drop(connection);
    test.open();
    assert_tidy(&test.dir());
    let names: Vec<String> = test.store().branches().unwrap().into_iter().map(|branch| branch.name).collect();
    assert_eq!(names, ["main", "settled", "child-of-lost"]);
    assert_eq!(test.store().branch(test.id("child-of-lost")).unwrap().parent_name.as_deref(), Some("main"));
    for (name, table) in [("settled", "s"), ("child-of-lost", "c")] {
        assert_eq!(test.text(name, &format!("SELECT count(*) FROM {table}")), "0");
    }
    test.store().reset_branch(test.id("child-of-lost")).unwrap();
    assert_eq!(test.text("child-of-lost", "SELECT count(*) FROM accounts"), "20000");
}

#[test]
fn a_reset_that_was_not_on_the_disk_yet_leaves_the_branch_as_it_was_before() {
    let Some(mut test) = with_load_tables(TestStore::quick(18)) else { return };
    test.create("feature", "main");
    test.run("feature", "CREATE TABLE mine (id int)");
    test.store().reset_branch(test.id("feature")).unwrap();
    test.close();
    let connection = rusqlite::Connection::open(test.dir().join("meta.sqlite")).unwrap();
    connection
        .execute(
            "UPDATE branches SET unsettled_boot = 'before' WHERE name = 'feature' AND trashed_ms IS NULL",
            [],
        )
        .unwrap();
    drop(connection);
    test.open();
    assert_eq!(test.text("feature", "SELECT count(*) FROM mine"), "0");
    assert_tidy(&test.dir());
}

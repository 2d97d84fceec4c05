//! Who gets in, and what gets out: files and sockets are the user's own, nobody connects without the password, no secret is
//! told, and programs that Postgres starts know nothing of the interposer.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::{TestStore, first, processes};

const MAJOR: u32 = 18;

/// What must never be seen in a place that others read, or that a program gets.
fn assert_keeps_secrets(store: &TestStore, said: &[u8], whose: &str) {
    let secret = store.store().password().as_bytes();
    assert!(!said.windows(secret.len()).any(|part| part == secret), "{whose} tells the password");
}

fn wait_for(path: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match fs::read_to_string(path) {
            Ok(text) if !text.is_empty() => return text,
            _ if Instant::now() > deadline => panic!("{} is not written", path.display()),
            _ => support::pause(),
        }
    }
}

#[test]
fn programs_that_postgres_starts_get_neither_the_interposer_nor_a_secret() {
    let Some(mut test) = TestStore::new(MAJOR) else { return };
    let out = test.folder.path().join("out");
    fs::create_dir(&out).unwrap();
    offshoot_postgres::account::chown(&out, test.account.as_ref()).unwrap();
    test.close();
    let archive = format!("env > {0}/archived.new && mv {0}/archived.new {0}/archived", out.display());
    let settings = [("archive_mode", "on"), ("archive_command", &archive), ("wal_level", "replica")];
    test.settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    test.open();
    let mut client = test.connect("main");
    let program = format!(
        "COPY (SELECT 1) TO PROGRAM 'env > {0}/copied; cat /proc/self/maps > {0}/maps'",
        out.display()
    );
    client.batch_execute(&program).unwrap();
    client.batch_execute("CREATE TABLE t (id int); SELECT pg_switch_wal()").unwrap();
    for name in ["copied", "archived"] {
        let environment = wait_for(&out.join(name));
        let leaked: Vec<&str> = environment
            .lines()
            .filter(|line| {
                ["LD_PRELOAD", "OFFSHOOT_DATA", "OFFSHOOT_LAYERS", "PGPASS"]
                    .iter()
                    .any(|key| line.starts_with(key))
            })
            .collect();
        assert!(leaked.is_empty(), "{name}: {leaked:?}");
        assert_keeps_secrets(&test, environment.as_bytes(), name);
    }
    let maps = wait_for(&out.join("maps"));
    assert!(!maps.contains("offshoot"), "{maps}");
}

#[test]
fn what_a_server_was_started_with_tells_no_secret() {
    let Some(test) = TestStore::new(MAJOR) else { return };
    let mut client = test.connect("main");
    client.batch_execute("CREATE TABLE t (id int)").unwrap();
    let postmaster = processes::postmaster(&test.data_dir("main"));
    for pid in processes::children_of(postmaster).into_iter().chain([postmaster]) {
        for file in ["cmdline", "environ"] {
            let content = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            assert_keeps_secrets(&test, &content, &format!("{file} of {pid}"));
        }
    }
    // What goes wrong is told with the statement and the reason.
    let errors = [
        test.config("main", "nowhere").connect(postgres::NoTls).err().map(|error| format!("{error:?}")),
        client.batch_execute("SELECT nonsense").err().map(|error| format!("{error:?}")),
        test.store().create_branch("main", test.id("main")).err().map(|error| format!("{error} {error:?}")),
    ];
    for error in errors {
        assert_keeps_secrets(&test, error.unwrap().as_bytes(), "an error");
    }
    let log = fs::read(test.store().log_path(test.id("main"))).unwrap();
    assert!(!log.is_empty());
    assert_keeps_secrets(&test, &log, "the log");
}

#[test]
fn nobody_connects_without_the_password_and_never_over_the_network() {
    let Some(test) = TestStore::new(MAJOR) else { return };
    test.create("child", "main");
    for branch in ["main", "child"] {
        let mut client = test.connect(branch);
        assert_eq!(first(&mut client, "SHOW listen_addresses"), "");
        assert_eq!(first(&mut client, "SHOW password_encryption"), "scram-sha-256");
        let others = "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256' OR error IS NOT NULL";
        assert_eq!(first(&mut client, others), "0");
        let stored =
            "SELECT count(*) FROM pg_authid WHERE rolcanlogin AND rolpassword NOT LIKE 'SCRAM-SHA-256$%'";
        assert_eq!(first(&mut client, stored), "0");
        let mut config = test.config(branch, "app");
        let refused = config.password("wrong").connect(postgres::NoTls).err().unwrap();
        assert_eq!(refused.code().map(postgres::error::SqlState::code), Some("28P01"), "{refused:?}");
        let socket = test.store().wake(test.id(branch)).unwrap();
        let mut without = postgres::Config::new();
        without.host_path(socket.parent().unwrap()).user("postgres").dbname("app");
        let refused = without.connect(postgres::NoTls).err().unwrap();
        assert!(format!("{refused:?}").contains("password missing"), "{refused:?}");
        let mode = fs::metadata(&socket).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o700, "{}: {mode:o}", socket.display());
    }
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        found.push(entry.path());
        if entry.file_type().unwrap().is_dir() {
            below(&entry.path(), found);
        }
    }
}

#[test]
fn nobody_else_can_read_a_store_or_list_its_folders() {
    let Some(test) = TestStore::new(MAJOR) else { return };
    test.create("child", "main");
    for branch in ["main", "child"] {
        test.run(branch, "CREATE TABLE t AS SELECT g FROM generate_series(1, 100) g");
        test.run(branch, "CREATE DATABASE other");
    }
    test.store().reset_branch(test.id("child")).unwrap();
    test.connect("child");
    let mut paths = Vec::new();
    below(&test.dir(), &mut paths);
    below(&test.folder.path().join("run"), &mut paths);
    assert!(paths.len() > 500, "{}", paths.len());
    for path in paths {
        let Ok(facts) = fs::symlink_metadata(&path) else { continue };
        let mode = facts.mode() & 0o777;
        // Everyone may run the interposer's copies, and pass through a folder whose server is another user's.
        let open = match () {
            () if path.starts_with(test.dir().join("lib")) => 0o055,
            () if facts.is_dir() => 0o011,
            () if facts.file_type().is_socket() || facts.is_symlink() => continue,
            () => 0,
        };
        assert_eq!(mode & 0o077 & !open, 0, "{}: {mode:o}", path.display());
    }
    let secret = fs::metadata(test.dir().join("secret")).unwrap();
    assert_eq!(secret.mode() & 0o777, 0o600);
}

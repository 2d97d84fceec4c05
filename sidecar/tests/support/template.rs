//! A store as `offshoot init --empty` makes it, kept for all tests of one build and copied for each.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use super::{PROGRAM, TestRepo, postgres_bin_dir};

/// Gives a repository without a database one.
pub(super) fn copy_into(test: &TestRepo) {
    let template = template();
    let mut id = [0; 8];
    getrandom::fill(&mut id).unwrap();
    let id = format!("{:016x}", u64::from_be_bytes(id));
    let stores = test.root().join("home/stores");
    fs::create_dir_all(&stores).unwrap();
    let store = stores.join(&id);
    copy(&template.join("store"), &store);
    // As old as any other that is made now: what is due depends on it.
    let now = UNIX_EPOCH.elapsed().unwrap().as_millis();
    sql(
        &store,
        &format!(
            "UPDATE properties SET value = '{now}' WHERE key = 'created_ms'; UPDATE branches SET created_ms = {now}"
        ),
    );
    fs::copy(template.join("offshoot.toml"), test.repo.join("offshoot.toml")).unwrap();
    fs::create_dir(test.repo.join(".git/offshoot")).unwrap();
    fs::write(test.repo.join(".git/offshoot/project"), format!("{id}\n")).unwrap();
}

/// The folder with the template, made if this build has none.
fn template() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("templates");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let facts = fs::metadata(PROGRAM).unwrap();
    let age = facts.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let bin_dir = postgres_bin_dir().to_string_lossy().replace('/', "-");
    let made = folder.join(format!("{age}-{}{bin_dir}", facts.len()));
    if !made.is_dir() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir())
        {
            fs::remove_dir_all(entry.path()).unwrap();
        }
        let unfinished = folder.join("unfinished");
        make(&unfinished);
        fs::rename(&unfinished, &made).unwrap();
    }
    made
}

fn make(folder: &Path) {
    let test = TestRepo::new();
    test.init().ok();
    test.run(&["engine", "stop"]).ok();
    let store = test.store();
    // What the engine wrote down of its repository: a copy belongs to another one, with ports of its own.
    sql(&store, "DELETE FROM settings");
    for name in ["engine.log", "engine.json"] {
        let _ = fs::remove_file(store.join(name));
    }
    fs::create_dir(folder).unwrap();
    copy(&store, &folder.join("store"));
    fs::copy(test.repo.join("offshoot.toml"), folder.join("offshoot.toml")).unwrap();
}

fn sql(store: &Path, statements: &str) {
    rusqlite::Connection::open(store.join("meta.sqlite")).unwrap().execute_batch(statements).unwrap();
}

/// Copies a folder with its owners, rights and holes.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "--sparse=always"]).arg(from).arg(to).output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
}

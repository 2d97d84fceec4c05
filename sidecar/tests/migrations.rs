//! Migrations from the command line: status, apply and undo, check, drift, rehearsals, new ones.
//!
//! `npm test` has no migration tool on the machine. Where a tool has to run, a stand-in keeps dbmate's history as dbmate does;
//! it is this very program. `--ignored` runs the same with the real one, if OFFSHOOT_TEST_DBMATE names it.

#![allow(clippy::unwrap_used, missing_docs, reason = "only tests are here")]

#[path = "migrations/apply.rs"]
mod apply;
#[path = "migrations/new.rs"]
mod new;
#[path = "migrations/promote.rs"]
mod promote;
#[path = "migrations/rehearse.rs"]
mod rehearse;
#[path = "migrations/status.rs"]
mod status;
mod support;
#[path = "migrations/trial.rs"]
mod trial;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use support::{PROGRAM, TestRepo, is_running, signal, wait_until};

const ONE: &str =
    "-- migrate:up\ncreate table item (id int primary key);\n-- migrate:down\ndrop table item;\n";
const TWO: &str =
    "-- migrate:up\nalter table item add tag text;\n-- migrate:down\nalter table item drop tag;\n";

/// A repository with a database and dbmate's migrations `001` and `002`.
fn with_migrations() -> TestRepo {
    let test = TestRepo::with_database().without_past();
    write(&test, "db/migrations/001_item.sql", ONE);
    write(&test, "db/migrations/002_tag.sql", TWO);
    test.git(&["add", "."]);
    test.commit("migrations");
    test
}

fn write(test: &TestRepo, path: &str, content: &str) {
    let path = test.repo.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Puts a `dbmate` where the repository keeps its programs.
fn install_tool(test: &TestRepo) {
    let script = match std::env::var("OFFSHOOT_TEST_DBMATE") {
        Ok(real) => format!("#!/bin/sh\nexec {real} \"$@\"\n"),
        Err(_) => format!(
            "#!/bin/sh\nSTAND_IN=\"$*\" exec {} --exact stand_in_tool --ignored --nocapture -q\n",
            std::env::current_exe().unwrap().display()
        ),
    };
    write(test, ".gitignore", "node_modules\n");
    write(test, "node_modules/.bin/dbmate", &script);
    let path = test.repo.join("node_modules/.bin/dbmate");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What dbmate does with `migrate` and `rollback`, in the folder that it is run in.
#[test]
#[ignore = "no test, but the tool of the others"]
fn stand_in_tool() {
    let Ok(words) = std::env::var("STAND_IN") else { return };
    let mut client =
        postgres::Client::connect(&std::env::var("DATABASE_URL").unwrap(), postgres::NoTls).unwrap();
    client
        .batch_execute("create table if not exists schema_migrations (version varchar primary key)")
        .unwrap();
    let mut files: Vec<_> =
        fs::read_dir("db/migrations").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let version = |path: &Path| name(path).split('_').next().unwrap().to_owned();
    let rows = client.query("select version from schema_migrations order by 1", &[]).unwrap();
    let applied: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let half = |path: &Path, at: usize| {
        let text = fs::read_to_string(path).unwrap();
        text.split("-- migrate:down").nth(at).unwrap().to_owned()
    };
    let mut run = |path: &Path, at: usize, note: &str| {
        println!("{}: {}", if at == 0 { "Applying" } else { "Rolling back" }, name(path));
        let sql = format!("begin;{};{note};commit", half(path, at));
        if let Err(error) = client.batch_execute(&sql) {
            eprintln!("Error: {}", error.as_db_error().unwrap().message());
            std::process::exit(1);
        }
    };
    if words.ends_with("migrate") {
        for path in files.iter().filter(|path| !applied.contains(&version(path))) {
            run(path, 0, &format!("insert into schema_migrations values ('{}')", version(path)));
        }
    } else if let Some(last) = applied.last() {
        let path = files.iter().find(|path| version(path) == *last).unwrap();
        run(path, 1, &format!("delete from schema_migrations where version = '{last}'"));
    }
}

fn status(test: &TestRepo) -> Value {
    test.run(&["migrations", "status", "--json"]).json()["projects"][0]["branches"][0].clone()
}

fn states(branch: &Value) -> Vec<String> {
    let entries = branch["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["state"].as_str().unwrap().to_owned()).collect()
}

fn record(test: &TestRepo, versions: &str) {
    let sql = format!(
        "create table schema_migrations (version varchar primary key);
         insert into schema_migrations select unnest(string_to_array('{versions}', ','))"
    );
    test.run(&["sql", "-c", &sql]).ok();
}

/// Folders of branches and throwaways in the store.
fn branch_folders(test: &TestRepo) -> usize {
    fs::read_dir(test.store().join("branches")).unwrap().count()
}

/// A program of the repository's own as `dbmate`.
fn install_script(test: &TestRepo, script: &str) {
    write(test, ".gitignore", "node_modules\npid\n");
    write(test, "node_modules/.bin/dbmate", &format!("#!/bin/sh\n{script}\n"));
    let path = test.repo.join("node_modules/.bin/dbmate");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

//! `offshoot dump`: a branch as a file, whole or not at all.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::TestRepo;

/// A Postgres of this machine with `pg_dump` beside it; says loudly when there is none.
fn full_postgres() -> Option<PathBuf> {
    let found = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = found
        .map(|entry| entry.path().join("bin"))
        .find(|bin| ["pg_dump", "postgres", "initdb"].iter().all(|program| bin.join(program).is_file()));
    if found.is_none() {
        eprintln!("SKIPPED: no Postgres with pg_dump on this machine");
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// How many processes run a `pg_dump` into a folder.
fn dumps_into(folder: &Path) -> usize {
    let lines = fs::read_dir("/proc").unwrap().flatten();
    let lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let is_one = |line: &Vec<u8>| {
        let line = String::from_utf8_lossy(line);
        line.contains("pg_dump") && line.contains(folder.to_str().unwrap())
    };
    lines.filter(is_one).count()
}

#[test]
fn a_dump_makes_the_same_database_again_and_never_overwrites_unasked() {
    let Some(bin_dir) = full_postgres() else { return };
    let bin_dir = bin_dir.to_str().unwrap();
    let source = TestRepo::new();
    source.run(&["init", "--empty", "--bin-dir", bin_dir]).ok();
    let script = "create table thing (id serial primary key, name text not null);
        insert into thing (name) select 'it''s ' || g from generate_series(1, 500) g;";
    source.run(&["sql", "-c", script]).ok();
    source.run(&["branch", "create", "other"]).ok();
    source.run(&["sql", "--branch", "other", "-c", "delete from thing where id > 7"]).ok();

    let folder = source.root().join("out");
    fs::create_dir(&folder).unwrap();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (plain, custom, schema) = (file("a.sql"), file("a.dump"), file("schema.sql"));
    let said = source.run(&["dump", "-o", &plain]).ok();
    assert!(said.contains("Wrote main to"), "{said}");
    let told = source.run(&["dump", "other", "--format", "custom", "-o", &custom, "--json"]).json();
    assert_eq!((&told["branch"], &told["format"]), (&"other".into(), &"custom".into()));
    assert_eq!(told["bytes"], fs::metadata(&custom).unwrap().len());
    source.run(&["dump", "--schema-only", "-o", &schema]).ok();
    let text = fs::read_to_string(&schema).unwrap();
    assert!(text.contains("CREATE TABLE public.thing") && !text.contains("it's 1"), "{text}");
    let rows = source.run(&["dump", "--data-only"]).ok();
    assert!(rows.contains("it's 500") && !rows.contains("CREATE TABLE"), "{rows}");

    let said = source.run(&["dump", "other", "-o", &plain]).fails(128);
    assert!(said.contains("there already") && said.contains("--force"), "{said}");
    source.run(&["dump", "-o", &schema, "--force"]).ok();
    assert!(fs::read_to_string(&schema).unwrap().contains("it's 500"));
    let said = source.run(&["dump", "nobody", "-o", &file("x")]).fails(128);
    assert!(said.contains("nobody"), "{said}");
    let said = source.run(&["dump", "main@yesterday", "-o", &file("x")]).fails(128);
    assert!(said.contains("branch create again --from main@yesterday"), "{said}");
    assert!(source.run(&["dump", "--format", "custom"]).fails(128).contains("-o FILE"));
    assert_eq!(names(&folder), ["a.dump", "a.sql", "schema.sql"], "drafts are left");

    // One that is killed takes its pg_dump along, and the next one its draft.
    let mut holder = postgres::Client::connect(&source.url(), postgres::NoTls).unwrap();
    holder.batch_execute("begin; lock table thing in access exclusive mode").unwrap();
    let mut dump = source.command(support::PROGRAM);
    let mut dump = dump.args(["dump", "-o", &schema, "--force"]).spawn().unwrap();
    support::wait_until("pg_dump waits", || dumps_into(&folder) > 0);
    dump.kill().unwrap();
    dump.wait().unwrap();
    support::wait_until("pg_dump is gone", || dumps_into(&folder) == 0);
    drop(holder);
    assert_eq!(names(&folder).len(), 4, "it had begun");
    source.run(&["dump", "-o", &schema, "--force"]).ok();
    assert_eq!(names(&folder), ["a.dump", "a.sql", "schema.sql"], "drafts are left");

    // Where sessions only read, all is dumped all the same, large objects too.
    source.run(&["sql", "-c", "select lo_from_bytea(7, 'large')"]).ok();
    let rules = "[[branches]]\npattern = 'main'\nwriters = []\n";
    fs::write(source.repo.join("offshoot.toml"), rules).unwrap();
    support::wait_until("sessions only read", || source.value("select session_user") == "offshoot_reader");
    let all = source.run(&["dump"]).ok();
    assert!(all.contains("it's 500") && all.contains("lo_open") && !all.contains("offshoot_reader"), "{all}");

    for (from, rows) in [(&plain, "500"), (&custom, "7")] {
        let copy = TestRepo::new();
        copy.run(&["init", "--from", from, "--bin-dir", bin_dir]).ok();
        assert_eq!(copy.value("select count(*) from thing"), rows);
    }
}

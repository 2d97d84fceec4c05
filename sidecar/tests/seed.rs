//! What a seed makes of nothing is kept, and brought back for the same seed.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{PROGRAM, TestRepo};

/// The value of the row that the seed makes at random: it stays where the seed did not run.
const MARK: &str = "select mark from plan";
const SEED: &str = "create extension if not exists plpgsql;
create table plan (name text, mark text);
insert into plan values ('free', md5(random()::text || clock_timestamp()::text));
create role reader login password 'reader';
";

fn repository(config: &str) -> TestRepo {
    let test = TestRepo::new();
    fs::write(test.repo.join("offshoot.toml"), config).unwrap();
    fs::write(test.repo.join("seed.sql"), SEED).unwrap();
    test
}

fn init(test: &TestRepo) -> String {
    let bin_dir = support::postgres_bin_dir();
    test.run(&["init", "--empty", "--bin-dir", bin_dir.to_str().unwrap()]).ok()
}

fn kept(test: &TestRepo) -> Vec<PathBuf> {
    let entries = fs::read_dir(test.root().join("home/cache/seeds")).into_iter().flatten();
    entries.map(|it| it.unwrap().path()).filter(|path| path.is_dir()).collect()
}

fn refresh(test: &TestRepo) -> String {
    test.run(&["refresh", "--empty", "--run-seed"]).ok()
}

#[test]
fn the_same_seed_is_brought_back_and_a_changed_byte_runs_it() {
    let test = repository("[seed]\nfiles = ['seed.sql']\n");
    assert!(!init(&test).contains("did not run"));
    let first = test.value(MARK);
    assert_eq!(kept(&test).len(), 1);
    assert!(refresh(&test).contains("the seed did not run: what it made today was kept"));
    assert_eq!(test.value(MARK), first);
    assert_eq!(test.value("select count(*) from pg_roles where rolname = 'reader'"), "1");

    // Another project has the same seed, and a password of its own; what each does stays its own.
    test.run(&["sql", "-c", "insert into plan values ('mine', '')"]).ok();
    let other = repository("[seed]\nfiles = ['seed.sql']\n");
    let cache = other.root().join("home/cache");
    fs::create_dir_all(&cache).unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(test.root().join("home/cache/seeds")).arg(&cache);
    assert!(copy.status().unwrap().success());
    assert!(init(&other).contains("did not run"));
    assert_eq!(other.value("select string_agg(name || mark, ' ') from plan"), format!("free{first}"));
    let secret = |test: &TestRepo| fs::read_to_string(test.store().join("secret")).unwrap();
    assert_ne!(secret(&test), secret(&other));
    let url = test.url().replace(secret(&test).trim(), secret(&other).trim());
    assert!(postgres::Client::connect(&url, postgres::NoTls).is_err(), "the password is the store's own");

    fs::write(test.repo.join("seed.sql"), SEED.replace("'free'", "'paid'")).unwrap();
    assert!(!refresh(&test).contains("did not run"));
    assert_eq!(test.value("select name from plan"), "paid");
    let second = test.value(MARK);
    fs::write(test.repo.join("seed.sql"), SEED).unwrap();
    refresh(&test);
    assert_eq!(test.value(MARK), first);
    fs::write(test.repo.join("seed.sql"), SEED.replace("'free'", "'paid'")).unwrap();
    refresh(&test);
    assert_eq!(test.value(MARK), second);
}

#[test]
fn what_is_damaged_runs_again_and_what_is_kept_is_bounded_told_and_cleared() {
    let test = repository("[seed]\nfiles = ['seed.sql']\n");
    init(&test);
    let first = test.value(MARK);
    let manifest = kept(&test)[0].join("manifest");
    let listed = fs::read_to_string(&manifest).unwrap();
    let largest = listed.lines().filter_map(|line| line.strip_prefix("file "));
    let largest = largest.max_by_key(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap()).unwrap();
    let path = kept(&test)[0].join("pgdata").join(largest.splitn(3, ' ').nth(2).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(!refresh(&test).contains("did not run"), "a flipped bit is found");
    let second = test.value(MARK);
    assert_ne!(second, first);
    assert!(refresh(&test).contains("did not run"), "it was kept anew");
    assert_eq!(test.value(MARK), second);

    assert!(test.run(&["du"]).ok().contains("of what seeds have made are kept for all projects"));
    let list = test.run(&["seed", "list", "--json"]).json();
    assert!(list["seeds"][0]["what"].as_str().unwrap().starts_with("seed.sql; database app, Postgres "));
    assert!(list["bytes"].as_u64().unwrap() > 1_000_000, "{list}");
    let unfinished = test.root().join("home/cache/seeds/partial-1");
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("file"), "cut off").unwrap();
    assert!(test.run(&["seed", "list"]).ok().contains("damaged or unfinished, and not used"));
    let clear = test.run(&["seed", "clear", "--json"]).json();
    assert_eq!(clear["seeds"], 1, "{clear}");
    assert_eq!((kept(&test).len(), test.run(&["seed", "list"]).ok().as_str()), (0, "Nothing is kept."));

    fs::write(test.repo.join("offshoot.toml"), "[seed]\nfiles = ['seed.sql']\ncache = '1MB'\n").unwrap();
    assert!(refresh(&test).contains("`seed.cache` allows 1 MB"));
    fs::write(test.repo.join("offshoot.toml"), "[seed]\nfiles = ['seed.sql']\ncache = 'off'\n").unwrap();
    assert!(!refresh(&test).contains("note"));
    assert_eq!(kept(&test).len(), 0);
}

#[test]
fn what_a_seed_reads_beside_its_files_has_to_be_named() {
    let test = repository("[seed]\nfiles = ['seed.sql']\n");
    let rows = test.root().join("rows.csv");
    fs::write(&rows, "1\n2\n").unwrap();
    fs::write(
        test.repo.join("seed.sql"),
        format!("create table n (v int);\ncopy n from '{}';\n", rows.display()),
    )
    .unwrap();
    assert!(init(&test).contains("name that in `seed.inputs`"));
    assert_eq!((kept(&test).len(), test.value("select sum(v) from n")), (0, "3".into()));

    let with_command = |inputs: &str| {
        let config = format!("[seed]\ncommand = 'sh seed.sh'\n{inputs}");
        fs::write(test.repo.join("offshoot.toml"), config).unwrap();
    };
    let ran = test.root().join("ran");
    fs::create_dir(test.repo.join("data")).unwrap();
    fs::write(test.repo.join("data/a"), "1").unwrap();
    fs::write(test.repo.join("seed.sh"), format!("echo once >> {}\n", ran.display())).unwrap();
    let times = || fs::read_to_string(&ran).unwrap().lines().count();
    with_command("");
    for _ in 0..2 {
        refresh(&test);
    }
    assert_eq!((times(), kept(&test).len()), (2, 0), "nobody says what a command depends on");
    with_command("inputs = ['seed.sh', 'data']\n");
    for _ in 0..2 {
        refresh(&test);
    }
    assert_eq!((times(), kept(&test).len()), (3, 1));
    fs::write(test.repo.join("data/a"), "2").unwrap();
    refresh(&test);
    assert_eq!(times(), 4, "an input changed");
    fs::write(test.repo.join("data/b"), "").unwrap();
    refresh(&test);
    assert_eq!(times(), 5, "an input was added");
    with_command("inputs = ['absent']\n");
    let said = test.run(&["refresh", "--empty", "--run-seed"]).fails(128);
    assert!(said.contains("absent, on which the seed depends, is not in the repository"), "{said}");
}

#[test]
fn two_projects_that_begin_at_once_do_not_disturb_each_other() {
    let tests: Vec<TestRepo> = (0..2).map(|_| repository("[seed]\nfiles = ['seed.sql']\n")).collect();
    let bin_dir = support::postgres_bin_dir();
    let home = tests[0].root().join("home");
    let begin = |test: &TestRepo| {
        let mut command = test.command(PROGRAM);
        command.args(["init", "--empty", "--bin-dir"]).arg(&bin_dir).env("OFFSHOOT_HOME", &home);
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let running: Vec<_> = tests.iter().map(begin).collect();
    for mut one in running {
        assert!(one.wait().unwrap().success());
    }
    assert_eq!(kept(&tests[0]).len(), 1);
    assert!(Path::new(&home).join("cache/seeds/lock").is_file());
    let stop = |test: &TestRepo| {
        test.command(PROGRAM).args(["engine", "stop"]).env("OFFSHOOT_HOME", &home).status().unwrap()
    };
    assert!(tests.iter().all(|test| stop(test).success()));
}

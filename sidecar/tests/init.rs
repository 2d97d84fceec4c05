//! Where a database comes from: scripts, archives, servers, and what happens when they are no good.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use support::{Ran, TestRepo};

const CHECKSUM: &str = "select md5(string_agg(t::text, ',' order by id)) from thing t";

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

fn init_from(test: &TestRepo, bin_dir: &Path, source: &str) -> Ran {
    test.run(&["init", "--from", source, "--bin-dir", bin_dir.to_str().unwrap()])
}

/// A repository whose database has a table, a view, a function and rows.
fn filled(bin_dir: &Path) -> TestRepo {
    let test = TestRepo::new();
    test.run(&["init", "--empty", "--bin-dir", bin_dir.to_str().unwrap()]).ok();
    let script =
        "create table thing (id serial primary key, name text not null, at timestamptz default '2026-01-01');
        insert into thing (name) select 'it''s ' || g || E'\\ttab; \\\\' from generate_series(1, 5000) g;
        create view few as select * from thing where id < 10;
        create function twice(n int) returns int language sql as $body$ select n * 2; $body$;";
    test.run(&["sql", "-c", script]).ok();
    test
}

#[track_caller]
fn nothing_is_left(test: &TestRepo) {
    let stores = test.root().join("home/stores");
    let left: Vec<_> = stores.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!test.repo.join("offshoot.toml").exists());
}

#[test]
fn scripts_and_archives_and_servers_become_the_same_database() {
    let Some(bin_dir) = full_postgres() else { return };
    let source = filled(&bin_dir);
    let (url, checksum) = (source.url(), source.value(CHECKSUM));
    let dump = |format: &str, name: &str| {
        let path = source.root().join(name);
        let mut command = source.command(bin_dir.join("pg_dump").to_str().unwrap());
        let output = command.args(["-F", format, "-f"]).arg(&path).arg(&url).output().unwrap();
        Ran::from(output).ok();
        path.to_str().unwrap().to_owned()
    };
    let script = dump("p", "dump.sql");
    let packed = source.command("gzip").args(["-k", &script]).status().unwrap();
    assert!(packed.success());
    let archive = dump("c", "dump.bin");
    for from in [&script, &format!("{script}.gz"), &archive, &url] {
        let test = TestRepo::new();
        let said = init_from(&test, &bin_dir, from).ok();
        assert!(!said.contains(source.url().split(':').nth(2).unwrap()), "a password is shown: {said}");
        assert_eq!(test.value(CHECKSUM), checksum, "{from}");
        assert_eq!(test.value("select twice(count(*)::int) from few"), "18", "{from}");
        assert_eq!(test.value("insert into thing (name) values ('next') returning id"), "5001", "{from}");
    }
}

#[test]
fn a_script_with_an_error_is_named_with_its_line_and_nothing_is_left() {
    let test = TestRepo::new();
    let script = test.root().join("bad.sql");
    fs::write(
        &script,
        "create table a (id int);\n\ninsert into a\nvalues ('x');\ncreate table b (id int);\n",
    )
    .unwrap();
    let said = init_from(&test, &support::postgres_bin_dir(), script.to_str().unwrap()).fails(128);
    assert!(said.contains("line 4") && said.contains("invalid input syntax"), "{said}");
    assert!(said.contains("run `offshoot init` again"), "{said}");
    nothing_is_left(&test);
    test.init().ok();
}

#[test]
fn a_load_leaves_no_wal_behind_that_nothing_is_written_in() {
    let test = TestRepo::new();
    let script = test.root().join("much.sql");
    // Each ends a segment, and Postgres keeps as many for later use.
    let rows = "insert into t values (1);\nselect pg_switch_wal();\n".repeat(9);
    fs::write(&script, format!("create table t (n int);\n{rows}")).unwrap();
    init_from(&test, &support::postgres_bin_dir(), script.to_str().unwrap()).ok();
    let wal = test.store().join("branches/1/pgdata/pg_wal");
    let names = wal.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let segments: Vec<_> = names.filter(|name| name.len() == 24).collect();
    assert_eq!(segments.len(), 1, "{segments:?}");
    assert_eq!(test.value("select count(*) from t"), "9");
}

#[test]
fn a_server_that_does_not_answer_or_refuses_the_password_is_told_apart() {
    let Some(bin_dir) = full_postgres() else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let test = TestRepo::new();
    let said = init_from(&test, &bin_dir, &format!("postgres://me:hunter2@127.0.0.1:{free}/x")).fails(128);
    assert!(said.contains("cannot be reached") && !said.contains("hunter2"), "{said}");
    nothing_is_left(&test);

    let source = filled(&bin_dir);
    let url = source.url();
    let (before, after) = url.rsplit_once('@').unwrap();
    let user = before.rsplit_once(':').unwrap().0;
    let said = init_from(&test, &bin_dir, &format!("{user}:hunter2@{after}")).fails(128);
    assert!(said.contains("password") && !said.contains("hunter2"), "{said}");
    nothing_is_left(&test);
}

#[test]
fn a_major_that_cannot_be_had_says_what_to_do() {
    let test = TestRepo::new();
    let said = test.run(&["init", "--empty", "--postgres", "13"]);
    assert!(said.code == 128 || said.code == 129, "{said:?}");
    assert!(said.err.contains("14"), "{said:?}");
    // No npm on the way, and no such folder.
    let folder = test.root().join("path");
    fs::create_dir(&folder).unwrap();
    for tool in ["git", "sh"] {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|place| place.join(tool))
            .find(|path| path.is_file());
        std::os::unix::fs::symlink(found.unwrap(), folder.join(tool)).unwrap();
    }
    let mut init = test.command(support::PROGRAM);
    let output = init.env("PATH", &folder).args(["init", "--empty", "--postgres", "16"]).output().unwrap();
    let ran = Ran::from(output);
    if ran.code == 0 {
        eprintln!("SKIPPED: there is a Postgres 16 on this machine");
        return;
    }
    let said = ran.fails(128);
    assert!(said.contains("16") && said.contains("hint: "), "{said}");
    nothing_is_left(&test);
}

#[test]
fn of_two_terminals_that_create_a_branch_one_succeeds() {
    let test = TestRepo::with_database();
    let start = || {
        let mut create = test.command(support::PROGRAM);
        create.args(["branch", "create", "same"]).stdout(Stdio::null()).stderr(Stdio::piped());
        create.spawn().unwrap()
    };
    let terminals: Vec<_> = (0..6).map(|_| start()).collect();
    let codes: Vec<_> = terminals
        .into_iter()
        .map(|terminal| terminal.wait_with_output().unwrap())
        .map(|output| (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap()))
        .collect();
    assert_eq!(codes.iter().filter(|(code, _)| *code == 0).count(), 1, "{codes:?}");
    assert!(codes.iter().filter(|(code, _)| *code == 128).all(|(_, said)| said.contains("exists already")));
    assert_eq!(test.branches(), ["main", "same"]);
    let folders = test.store().join("branches").read_dir().unwrap().count();
    assert_eq!(folders, 2, "half-made branches are left");
}

#[test]
fn clones_are_refused_before_anything_is_made_where_the_file_system_has_none() {
    let test = TestRepo::new();
    let bin_dir = support::postgres_bin_dir();
    let init = |more: &[&str]| {
        let plain = ["init", "--empty", "--bin-dir", bin_dir.to_str().unwrap()];
        test.run(&[&plain, more].concat())
    };
    assert!(init(&["--driver", "zfs"]).fails(129).contains("`layers` or `clone`"));
    let asked = init(&["--driver", "clone"]);
    if asked.code == 0 {
        // The tests' own file system can clone.
        assert!(asked.out.contains("clones"), "{}", asked.out);
    } else {
        let said = asked.fails(128);
        assert!(said.contains("cannot clone files") && said.contains("layers"), "{said}");
        fs::write(test.repo.join("offshoot.toml"), "[storage]\ndriver = \"clone\"\n").unwrap();
        assert!(init(&[]).fails(128).contains("cannot clone files"));
        init(&["--driver", "layers"]).ok();
        let said = test.run(&["doctor"]).out;
        assert!(said.contains("page layers") && said.contains("asks for \"clone\""), "{said}");
    }
}

//! `offshoot init --physical` and `offshoot refresh --physical`: from one repository's database to another's.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;

use support::TestRepo;

const FILL: &str = "create table thing (n int); insert into thing select generate_series(1, 700)";

fn password(url: &str) -> &str {
    url.split(['@', ':']).nth(2).unwrap()
}

#[test]
fn the_files_of_one_database_become_another_and_refresh_it() {
    let source = TestRepo::with_database();
    source.run(&["sql", "-c", FILL]).ok();
    let url = source.url();
    let bin_dir = support::postgres_bin_dir();
    let test = TestRepo::new();
    let init = |more: &[&str]| {
        let plain = ["init", "--physical", "--bin-dir", bin_dir.to_str().unwrap()];
        test.run(&[&plain, more].concat())
    };
    assert!(init(&["--from", "dump.sql"]).fails(128).contains("a running server"));
    assert!(init(&["--from", url.rsplit_once('/').unwrap().0]).fails(128).contains("names no database"));
    assert!(init(&["--from", &url, "--max-rate", "1kB"]).fails(129).contains("from 32kB"));
    fs::write(test.repo.join("offshoot.toml"), "[masking.columns]\n'public.thing.n' = 'null'\n").unwrap();
    let said = init(&["--from", &url]).fails(128);
    assert!(said.contains("masking") && said.contains("without --physical"), "{said}");
    fs::remove_file(test.repo.join("offshoot.toml")).unwrap();

    let said = init(&["--from", &url]).ok();
    assert!(said.contains("files of the cluster copied") && !said.contains(password(&url)), "{said}");
    assert_eq!(test.value("select sum(n) from thing"), "245350");
    assert_ne!(password(&test.url()), password(&url));
    test.git(&["checkout", "-q", "-b", "work"]);
    test.run(&["sql", "-c", "delete from thing"]).ok();

    source.run(&["sql", "-c", "insert into thing values (1000000)"]).ok();
    let told = test.run(&["refresh", "--from", &url, "--physical", "--json"]).json();
    assert!(told["files"].as_u64().unwrap() > 100, "{told}");
    let count = |branch: &str| {
        let told =
            test.run(&["sql", "--branch", branch, "--json", "-c", "select count(*) from thing"]).json();
        told["results"][0]["rows"][0][0].to_string()
    };
    assert_eq!((count("main"), count("work")), ("701".into(), "0".into()));
    test.run(&["undo", "main"]).ok();
    assert_eq!(count("main"), "700");
}

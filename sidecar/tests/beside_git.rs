//! Other tools over git's store: Offshoot does them no harm.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use support::TestRepo;

/// Every file below a folder with its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&entry.path()));
        } else {
            all.insert(entry.path(), fs::read(entry.path()).unwrap_or_default());
        }
    }
    all
}

#[test]
fn working_copies_of_jj_and_sapling_stay_as_they_are() {
    let test = TestRepo::with_database();
    // As `jj git init --colocate` leaves it: HEAD is detached, and what is checked out lies in `.jj`.
    let jj = test.repo.join(".jj");
    for (name, text) in [
        ("repo/store/type", "git"),
        ("repo/store/git_target", "../../../.git"),
        ("repo/op_store/type", "simple_op_store"),
        ("repo/op_heads/heads/00", ""),
        ("working_copy/type", "local"),
        ("working_copy/checkout", "\u{a}\u{2}id"),
        (".gitignore", "/*\n"),
    ] {
        let path = jj.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    test.git(&["checkout", "-q", "--detach"]);
    test.git(&["update-ref", "refs/jj/keep/00", "HEAD"]);
    let before = (files(&jj), test.git(&["for-each-ref"]), test.git(&["status", "--porcelain"]));
    test.run(&["sql", "-c", "create table t (n int)"]).ok();
    // As `jj new` and `jj describe` do: commits without a branch.
    test.commit("described");
    let status = test.status();
    assert_eq!(status["branch"]["name"], "main", "{status}");
    test.run(&["branch", "create", "tried"]).ok();
    test.run(&["hooks", "install"]).ok();
    test.commit("again");
    test.run(&["hooks", "uninstall"]).ok();
    assert_eq!(test.value("select count(*) from t"), "0");
    test.git(&["switch", "-q", "main"]);
    test.git(&["switch", "-q", "--detach"]);
    assert_eq!((files(&jj), test.git(&["for-each-ref"]), test.git(&["status", "--porcelain"])), before);

    // Sapling keeps what it needs in `.sl`, and there is no work tree of git.
    let sapling = test.root().join("sapling");
    fs::create_dir_all(sapling.join(".sl/store")).unwrap();
    fs::write(sapling.join(".sl/requires"), "git\n").unwrap();
    let before = files(&sapling);
    for args in [&["status"][..], &["init", "--empty"], &["hooks", "install"], &["hooks", "tell"]] {
        let ran = test.run_in(&sapling, args);
        assert!(args == ["hooks", "tell"] || ran.fails(128).contains("not in a git repository"));
    }
    assert_eq!(files(&sapling), before);
}

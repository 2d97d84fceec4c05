//! Kinds of repositories, and what leaves the database where it is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{TestRepo, postgres_bin_dir, wait_until};

impl TestRepo {
    /// A commit with a file, so that there is something to check out.
    fn commit_in(&self, folder: &Path, file: &str) {
        fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
        fs::write(folder.join(file), file).unwrap();
        self.git_in(folder, &["add", file]);
        self.git_in(folder, &["commit", "-q", "-m", file]);
    }

    /// Where the endpoint of the worktree in `folder` leads.
    #[track_caller]
    fn place_in(&self, folder: &Path) -> String {
        let status = self.run_in(folder, &["status", "--json"]).json();
        status["branch"]["name"].as_str().unwrap().to_owned()
    }

    fn port_in(&self, folder: &Path) -> String {
        self.run_in(folder, &["status", "--json"]).json()["endpoint"]["port"].to_string()
    }

    /// A database of its own for another repository, whose engine is stopped when what comes back is dropped.
    fn init_in(&self, folder: &Path) -> Other<'_> {
        let bin_dir = postgres_bin_dir();
        self.run_in(folder, &["init", "--empty", "--bin-dir", bin_dir.to_str().unwrap()]).ok();
        Other { test: self, folder: folder.to_owned() }
    }
}

struct Other<'t> {
    test: &'t TestRepo,
    folder: PathBuf,
}

impl Drop for Other<'_> {
    fn drop(&mut self) {
        self.test.run_in(&self.folder, &["engine", "stop", "--force"]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_moves_no_branch_of_git_moves_no_database_either() {
    let test = TestRepo::with_database().with_branches(&["feature"]);
    test.commit_in(&test.repo, "src/a");
    test.commit_in(&test.repo, "docs/b");
    test.git(&["checkout", "-q", "feature"]);
    assert_eq!(test.place(), "feature");
    test.git(&["checkout", "-q", "-"]);
    assert_eq!(test.place(), "main");
    let all = test.branches();
    // Each leaves the endpoint where it is, and makes or removes nothing.
    let stays: &[&[&str]] = &[
        &["reset", "-q", "--hard", "HEAD~1"],
        &["reset", "-q", "--hard", "ORIG_HEAD"],
        &["commit", "-q", "--amend", "-m", "again"],
        &["sparse-checkout", "set", "src"],
        &["sparse-checkout", "disable"],
        &["tag", "v1"],
        &["merge", "-q", "--no-edit", "feature"],
    ];
    for step in stays {
        test.git(step);
        assert_eq!((test.place(), test.branches()), ("main".into(), all.clone()), "{step:?}");
    }
    fs::write(test.repo.join("src/a"), "changed").unwrap();
    test.git(&["stash", "push", "-q"]);
    assert_eq!(test.place(), "main");
    test.git(&["stash", "branch", "stashed"]);
    assert_eq!(test.place(), "stashed");
    test.git(&["commit", "-q", "-a", "-m", "stashed"]);
    // Before its first commit, too.
    test.git(&["checkout", "-q", "--orphan", "fresh"]);
    assert_eq!(test.place(), "fresh");
    test.git(&["checkout", "-q", "-f", "main"]);
    assert_eq!(test.place(), "main");
}

#[test]
fn a_branch_keeps_its_data_when_it_is_renamed_right_after_its_first_commit() {
    let test = TestRepo::with_database();
    test.git(&["checkout", "-q", "--orphan", "fresh"]);
    assert_eq!(test.place(), "fresh");
    test.run(&["sql", "-c", "create table of_fresh()"]).ok();
    test.git(&["commit", "-q", "--allow-empty", "-m", "the first one"]);
    test.git(&["branch", "-q", "-m", "fresh", "other"]);
    assert_eq!((test.place(), test.branches()), ("other".into(), vec!["main".into(), "other".into()]));
    test.run(&["sql", "-c", "select from of_fresh"]).ok();
}

#[test]
fn worktrees_keep_their_addresses_until_git_prunes_them() {
    let test = TestRepo::with_database();
    let (old, new) = (test.root().join("old"), test.root().join("new"));
    test.git(&["worktree", "add", "-q", text(&old), "-b", "feature"]);
    assert_eq!(test.place_in(&old), "feature");
    let port = test.port_in(&old);
    test.git(&["worktree", "move", text(&old), text(&new)]);
    assert_eq!((test.place_in(&new), test.port_in(&new)), ("feature".into(), port.clone()));
    // Its folder is away, and git does not prune it.
    test.git(&["worktree", "lock", text(&new)]);
    fs::rename(&new, &old).unwrap();
    test.git(&["worktree", "prune"]);
    assert_eq!(test.branches(), ["main", "feature"]);
    fs::rename(&old, &new).unwrap();
    assert_eq!((test.place_in(&new), test.port_in(&new)), ("feature".into(), port));
    test.git(&["worktree", "unlock", text(&new)]);
    fs::remove_dir_all(&new).unwrap();
    test.git(&["worktree", "prune"]);
    // Its database stays, and can be deleted, as no endpoint leads there.
    wait_until("its address is given up", || test.run(&["branch", "delete", "feature"]).code == 0);
    assert_eq!(test.branches(), ["main"]);
}

#[test]
fn submodules_and_clones_are_repositories_of_their_own_wherever_they_lie() {
    let mut test = TestRepo::with_database();
    let lib = test.root().join("lib");
    test.git(&["clone", "-q", text(&test.repo.clone()), text(&lib)]);
    test.git(&["-c", "protocol.file.allow=always", "submodule", "add", "-q", text(&lib), "lib"]);
    test.git(&["commit", "-q", "-a", "-m", "a submodule"]);
    let inner = test.repo.join("lib");
    let refused = test.run_in(&inner, &["status"]).fails(128);
    assert!(refused.contains("offshoot init"), "{refused}");
    test.git_in(&inner, &["checkout", "-q", "-b", "inner"]);
    assert_eq!((test.place(), test.branches()), ("main".into(), vec!["main".into()]));

    // Shallow and partial: neither has all of the history, and nothing is fetched for it.
    test.git(&["checkout", "-q", "-b", "topic"]);
    test.commit_in(&test.repo, "topic");
    assert_eq!(test.place(), "topic");
    test.git(&["config", "uploadpack.allowFilter", "true"]);
    let clone = test.root().join("clone");
    let from = format!("file://{}", text(&test.repo));
    let how = ["--depth", "1", "--filter=blob:none", "--no-single-branch", "-b", "main"];
    test.git(&[&["clone", "-q"], &how[..], &[&from, text(&clone)]].concat());
    let other = test.init_in(&clone);

    // From here on nobody could fetch: the repository lies elsewhere, with its databases.
    let id = fs::read(test.repo.join(".git/offshoot/project")).unwrap();
    drop(other);
    let moved = test.root().join("moved");
    fs::rename(&test.repo, &moved).unwrap();
    test.repo = moved;
    assert_eq!(test.place(), "topic");
    assert_eq!(test.branches(), ["main", "topic"]);
    assert_eq!(fs::read(test.repo.join(".git/offshoot/project")).unwrap(), id);

    let _other = Other { test: &test, folder: clone.clone() };
    assert_ne!(fs::read(clone.join(".git/offshoot/project")).unwrap(), id);
    test.git_in(&clone, &["checkout", "-q", "-b", "cut", "HEAD"]);
    assert_eq!(test.place_in(&clone), "cut");
    test.git_in(&clone, &["branch", "topic", "origin/topic"]);
    test.git_in(&clone, &["symbolic-ref", "HEAD", "refs/heads/topic"]);
    assert_eq!(test.place_in(&clone), "topic");
    let list = test.run_in(&clone, &["branch", "list", "--json"]).json();
    assert_eq!(list["branches"].as_array().unwrap().len(), 3);
    assert_eq!(test.branches(), ["main", "topic"], "the other clone's are its own");
}

#[test]
fn bare_repositories_with_worktrees_and_reftables_are_followed_alike() {
    let test = TestRepo::new();
    let bare = test.root().join("bare.git");
    test.git(&["clone", "-q", "--bare", text(&test.repo), text(&bare)]);
    let (one, two) = (test.root().join("one"), test.root().join("two"));
    test.git_in(&bare, &["worktree", "add", "-q", text(&one), "main"]);
    let _bare = test.init_in(&one);
    assert_eq!(test.place_in(&one), "main");
    test.git_in(&bare, &["worktree", "add", "-q", text(&two), "-b", "two"]);
    assert_eq!((test.place_in(&two), test.place_in(&one)), ("two".into(), "main".into()));
    assert_ne!(test.port_in(&two), test.port_in(&one));

    let tables = test.root().join("tables");
    let made =
        test.command("git").args(["init", "-q", "-b", "main", "--ref-format=reftable"]).arg(&tables).output();
    if !made.unwrap().status.success() {
        eprintln!("SKIPPED: this git has no reftables");
        return;
    }
    test.commit_in(&tables, "file");
    let _tables = test.init_in(&tables);
    test.git_in(&tables, &["checkout", "-q", "-b", "feature"]);
    assert_eq!(test.place_in(&tables), "feature");
    test.git_in(&tables, &["branch", "-m", "feature", "renamed"]);
    wait_until("the rename is followed", || test.place_in(&tables) == "renamed");
    test.git_in(&tables, &["checkout", "-q", "--detach"]);
    assert_eq!(test.place_in(&tables), "renamed");
    test.git_in(&tables, &["checkout", "-q", "-"]);
    assert_eq!(test.place_in(&tables), "renamed");
}

#[test]
fn a_branch_whose_folder_is_gone_takes_its_data_to_the_name_of_another() {
    let test = TestRepo::with_database().with_branches(&["one", "two"]);
    let folder = test.root().join("beside");
    test.git(&["worktree", "add", "-q", text(&folder), "one"]);
    assert_eq!(test.place_in(&folder), "one");
    test.run(&["sql", "--branch", "one", "-c", "create table mine ()"]).ok();
    // As on a drive that is away: git has the branch checked out there all the same.
    test.git(&["worktree", "lock", text(&folder)]);
    fs::remove_dir_all(&folder).unwrap();
    test.git(&["branch", "-M", "one", "two"]);
    wait_until("the rename is followed", || test.branches() == ["main", "two"]);
    let sql = "select count(*) from pg_class where relname = 'mine'";
    let told = test.run(&["sql", "--branch", "two", "--json", "-c", sql]).json();
    assert_eq!(told["results"][0]["rows"][0][0].to_string().replace('"', ""), "1");
}

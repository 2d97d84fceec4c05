//! Names that branches had.

use offshoot_git::{earlier_names, names_while_checked_out};

use crate::support::{Repo, Sandbox};

fn earlier(repo: &Repo, branch: &str) -> Vec<String> {
    earlier_names(&repo.worktree(), branch).unwrap()
}

fn here(repo: &Repo, branch: &str) -> Vec<String> {
    names_while_checked_out(&repo.worktree(), branch).unwrap()
}

#[test]
fn earlier_names_are_told_newest_first_and_a_copy_has_none() {
    for (_sandbox, repo) in [Some(Sandbox::with_repo()), Sandbox::with_reftable()].into_iter().flatten() {
        repo.run("branch one");
        repo.run("branch -m one two");
        repo.run("branch -m two three");
        repo.run("branch -c three copy");
        assert_eq!(earlier(&repo, "three"), ["two", "one"]);
        assert!(earlier(&repo, "copy").is_empty() && earlier(&repo, "main").is_empty());
        assert!(earlier(&repo, "nowhere").is_empty());
    }
}

#[test]
fn a_rename_under_a_checkout_is_told_from_a_checkout() {
    for (_sandbox, repo) in [Some(Sandbox::with_repo()), Sandbox::with_reftable()].into_iter().flatten() {
        repo.run("checkout -q -b one");
        assert!(here(&repo, "one").is_empty());
        repo.run("branch -m one two");
        repo.commit("three");
        repo.run("branch -M two main");
        assert_eq!(here(&repo, "main"), ["two", "one"]);
        repo.run("checkout -q -b other");
        repo.run("checkout -q main");
        assert!(here(&repo, "main").is_empty());
    }
}

#[test]
fn a_rename_from_another_work_tree_is_told_too() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q -b one ../linked");
    repo.run("branch -m one two");
    let linked = Repo { path: sandbox.path().join("linked") };
    assert_eq!(here(&linked, "two"), ["one"]);
}

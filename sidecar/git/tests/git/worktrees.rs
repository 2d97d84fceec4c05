use std::fs;

use crate::support::{Sandbox, discover, git};

#[test]
fn the_main_work_tree_comes_first_then_the_linked_ones() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q ../b");
    repo.run("worktree add -q --detach ../a");
    let paths: Vec<_> =
        repo.worktree().repository().worktrees().unwrap().into_iter().map(|worktree| worktree.path).collect();
    assert_eq!(paths, [repo.path.clone(), sandbox.path().join("a"), sandbox.path().join("b")]);
    // From anywhere the same.
    let linked = discover(&sandbox.path().join("a"));
    assert_eq!(linked.repository().worktrees().unwrap()[1], linked);
    assert_eq!(linked.repository(), repo.worktree().repository());
    assert_eq!(linked.repository().worktrees().unwrap().len(), 3);
}

#[test]
fn a_work_tree_whose_folder_is_gone_is_left_out() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q ../gone");
    fs::remove_dir_all(sandbox.path().join("gone")).unwrap();
    assert_eq!(repo.worktree().repository().worktrees().unwrap(), [repo.worktree()]);
}

#[test]
fn a_relative_pointer_is_followed() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q ../linked");
    // What git 2.48 writes with worktree.useRelativePaths.
    fs::write(repo.path.join(".git/worktrees/linked/gitdir"), "../../../../linked/.git\n").unwrap();
    fs::write(sandbox.path().join("linked/.git"), "gitdir: ../repo/.git/worktrees/linked\n").unwrap();
    let all = repo.worktree().repository().worktrees().unwrap();
    assert_eq!(all[1].path, sandbox.path().join("linked"));
}

#[test]
fn a_set_work_tree_is_followed() {
    let (sandbox, repo) = Sandbox::with_repo();
    let files = sandbox.path().join("the files");
    fs::create_dir(&files).unwrap();
    git(&repo.path, &["config", "core.worktree", "../../the files"]);
    let worktree = discover(&repo.path.join(".git"));
    assert_eq!(worktree.path, files);
}

#[test]
fn a_work_tree_whose_folder_is_gone_is_lost_until_git_prunes_it() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q ../gone");
    let gone = discover(&sandbox.path().join("gone"));
    let repository = repo.worktree().repository();
    assert!(repository.lost_worktrees().unwrap().is_empty());
    fs::remove_dir_all(&gone.path).unwrap();
    assert_eq!(repository.lost_worktrees().unwrap(), [gone]);
    repo.run("worktree prune");
    assert!(repository.lost_worktrees().unwrap().is_empty());
}

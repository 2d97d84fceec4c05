use std::fs;

use crate::support::{Repo, Sandbox, bytes, git};

fn names(repo: &Repo) -> Vec<String> {
    repo.worktree().repository().branches().unwrap()
}

#[test]
fn loose_and_packed_and_nested_branches_are_listed_once() {
    let (_sandbox, repo) = Sandbox::with_repo();
    for name in ["a/b/c", "a/d", "z", "\u{1f33f}"] {
        repo.git(&["branch", name]);
    }
    repo.run("tag v1");
    repo.run("pack-refs --all");
    repo.run("branch later");
    repo.run("branch -f z HEAD~1");
    assert_eq!(names(&repo), ["a/b/c", "a/d", "later", "main", "z", "\u{1f33f}"]);
    repo.run("branch -q -D a/d");
    assert!(!names(&repo).contains(&"a/d".to_owned()));
    let repository = repo.worktree().repository();
    assert!(repository.has_branch("a/b/c").unwrap() && repository.has_branch("later").unwrap());
    assert!(!repository.has_branch("a/b").unwrap() && !repository.has_branch("../../HEAD").unwrap());
}

#[test]
fn each_branch_has_its_commit_where_it_is_loose_and_where_it_is_packed() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("branch a/b");
    repo.run("pack-refs --all");
    repo.run("commit -q --allow-empty -m two");
    repo.run("branch \u{1f33f}");
    let tips = repo.worktree().repository().tips().unwrap();
    let id = |revision: &str| repo.git(&["rev-parse", revision]);
    assert_eq!((&tips["a/b"], &tips["main"], tips.len()), (&id("HEAD~1"), &id("HEAD"), 3));
    assert_eq!(tips["\u{1f33f}"], tips["main"]);
    let some = repo.worktree().repository().tips_of(&["a", "a/b", "gone"]).unwrap();
    assert_eq!(some, [("a/b".to_owned(), tips["a/b"].clone())].into());
    assert!(repo.worktree().repository().tips_of(&[]).unwrap().is_empty());
}

#[test]
fn the_list_is_gits_own() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let odd: &[&[u8]] =
        if cfg!(target_os = "linux") { &[b"caf\xe9", b"x/\xff", b"x/y", b"x-y"] } else { &[b"x/y"] };
    for name in odd {
        repo.git(&[bytes(b"branch"), bytes(name)]);
    }
    repo.run("symbolic-ref refs/heads/alias refs/heads/main");
    let listed =
        crate::support::output(&repo.path, &["for-each-ref", "--format=%(refname)", "refs/heads/"]).stdout;
    let listed = listed.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let listed: Vec<_> = listed.map(|line| offshoot_git::branch_name_from_bytes(&line[11..])).collect();
    assert_eq!(names(&repo), listed);
}

#[test]
fn what_is_no_reference_is_left_out() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let heads = repo.path.join(".git/refs/heads");
    fs::create_dir_all(heads.join("empty/folder")).unwrap();
    for name in ["main.lock", ".DS_Store", "main~", "torn"] {
        fs::write(heads.join(name), "").unwrap();
    }
    assert_eq!(names(&repo), ["main"]);
}

#[test]
fn an_unborn_branch_is_not_listed() {
    let sandbox = Sandbox::new();
    git(&sandbox.path(), &["init", "-q", "-b", "main", "repo"]);
    assert!(names(&Repo { path: sandbox.path().join("repo") }).is_empty());
}

#[test]
fn a_file_is_read_as_it_was_committed_on_a_branch() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let repository = repo.worktree().repository();
    let head = String::from_utf8(crate::support::output(&repo.path, &["rev-parse", "HEAD"]).stdout).unwrap();
    assert_eq!(repository.tip("main").unwrap().as_deref(), Some(head.trim()));
    fs::write(repo.path.join("a.toml"), "ä = 1\n").unwrap();
    repo.run("add a.toml");
    repo.run("commit -q -m file");
    let tip = repository.tip("main").unwrap().unwrap();
    assert_ne!(tip, head.trim());
    let file = |path: &str, most| repository.file_at(&tip, path, most).unwrap();
    assert_eq!(file("a.toml", 100).as_deref(), Some("ä = 1\n".as_bytes()));
    assert_eq!((file("a.toml", 3), file("b.toml", 100)), (None, None));
    assert_eq!(repository.file_at(head.trim(), "a.toml", 100).unwrap(), None, "before it was committed");
    repo.run("pack-refs --all");
    assert_eq!(repository.tip("main").unwrap(), Some(tip.clone()));
    repo.run("symbolic-ref refs/heads/alias refs/heads/main");
    assert_eq!(repository.tip("alias").unwrap(), Some(tip));
    assert_eq!(repository.tip("none").unwrap(), None);
}

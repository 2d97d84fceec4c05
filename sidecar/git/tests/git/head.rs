use std::fs;
use std::time::Instant;

use offshoot_git::{Head, Operation, branch_name_from_bytes, branch_name_to_bytes, head, operation};

use crate::support::{Repo, Sandbox, bytes, discover, git, on, output};

#[test]
fn a_branch_is_named_by_its_short_name() {
    let (_sandbox, repo) = Sandbox::with_repo();
    assert_eq!(repo.head(), on("main"));
    for name in ["feature/login/form", "f\u{e9}v\u{1f33f}/\u{65e5}\u{672c}", "-@-", "heads/main"] {
        repo.git(&["update-ref", &format!("refs/heads/{name}"), "HEAD"]);
        repo.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{name}")]);
        assert_eq!(repo.head(), on(name));
    }
}

#[test]
fn an_unborn_branch_is_a_branch() {
    let sandbox = Sandbox::new();
    git(&sandbox.path(), &["init", "-q", "-b", "not/yet"]);
    assert_eq!(head(&discover(&sandbox.path())).unwrap(), on("not/yet"));
}

#[test]
fn an_orphan_branch_is_a_branch() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("checkout -q --orphan fresh");
    assert_eq!(repo.head(), on("fresh"));
}

#[test]
fn without_a_branch_it_is_the_commit() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("checkout -q --detach HEAD~1");
    assert_eq!(repo.head(), Head::Detached { commit: repo.id("HEAD") });
}

#[test]
fn a_sha256_repository_is_read_too() {
    let sandbox = Sandbox::new();
    git(&sandbox.path(), &["init", "-q", "--object-format=sha256", "repo"]);
    let repo = Repo { path: sandbox.path().join("repo") };
    repo.commit("one");
    repo.run("checkout -q --detach");
    assert_eq!(repo.head(), Head::Detached { commit: repo.id("HEAD") });
    assert_eq!(repo.id("HEAD").len(), 64);
}

#[test]
fn a_packed_branch_is_still_checked_out() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("checkout -q -b a/b");
    repo.run("pack-refs --all");
    assert_eq!(repo.head(), on("a/b"));
}

#[test]
fn a_symbolic_link_as_head_is_followed() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let path = repo.path.join(".git/HEAD");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("refs/heads/unborn", &path).unwrap();
    assert_eq!(repo.head(), on("unborn"));
}

#[test]
fn a_head_without_a_line_end_is_read() {
    let (_sandbox, repo) = Sandbox::with_repo();
    fs::write(repo.path.join(".git/HEAD"), "ref: refs/heads/main").unwrap();
    assert_eq!(repo.head(), on("main"));
}

#[test]
fn another_name_for_a_branch_is_that_branch() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("symbolic-ref refs/heads/alias refs/heads/main");
    repo.run("symbolic-ref HEAD refs/heads/alias");
    assert_eq!(repo.head(), on(&repo.run("branch --show-current")));
}

#[test]
fn a_reference_that_is_no_branch_counts_as_its_commit() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("update-ref refs/odd/place HEAD~1");
    repo.run("symbolic-ref HEAD refs/odd/place");
    assert_eq!(repo.head(), Head::Detached { commit: repo.id("main~1") });
}

#[test]
fn a_damaged_head_is_reported() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let worktree = repo.worktree();
    fs::write(worktree.git_dir.join("HEAD"), "").unwrap();
    let error = head(&worktree).unwrap_err();
    assert!(matches!(error, offshoot_git::GitError::Broken { .. }), "{error}");
}

#[test]
fn a_head_replaced_all_the_time_is_never_misread() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let worktree = repo.worktree();
    let writer = {
        let git_dir = worktree.git_dir.clone();
        std::thread::spawn(move || {
            for round in 0..2000 {
                let name = ["main", "a/much/longer/name"][round % 2];
                fs::write(git_dir.join("HEAD.lock"), format!("ref: refs/heads/{name}\n")).unwrap();
                fs::rename(git_dir.join("HEAD.lock"), git_dir.join("HEAD")).unwrap();
            }
        })
    };
    while !writer.is_finished() {
        let found = head(&worktree).unwrap();
        assert!(found == on("main") || found == on("a/much/longer/name"), "{found:?}");
    }
    writer.join().unwrap();
}

#[test]
fn names_of_300_characters_and_of_any_bytes_are_read() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let long = format!("{}/{}", "x".repeat(150), "y".repeat(149));
    repo.git(&["checkout", "-q", "-b", &long]);
    assert_eq!(repo.head(), on(&long));
    if cfg!(target_os = "linux") {
        let odd = b"caf\xe9/\xff\xfe";
        repo.git(&[bytes(b"checkout"), bytes(b"-q"), bytes(b"-b"), bytes(odd)]);
        assert_eq!(repo.head(), on("caf\\xe9/\\xff\\xfe"));
        assert_eq!(branch_name_to_bytes(&branch_name_from_bytes(odd)), odd);
        assert!(repo.worktree().repository().has_branch("caf\\xe9/\\xff\\xfe").unwrap());
    }
}

#[test]
fn a_reftable_repository_is_asked() {
    let Some((_sandbox, repo)) = Sandbox::with_reftable() else { return };
    assert_eq!(repo.head(), on("main"));
    let long = "n".repeat(300);
    repo.git(&["checkout", "-q", "-b", &long]);
    assert_eq!(repo.head(), on(&long));
    assert_eq!(repo.worktree().repository().branches().unwrap(), ["main", &long]);
    assert!(repo.worktree().repository().has_branch(&long).unwrap());
    repo.run("checkout -q --detach");
    assert_eq!(repo.head(), Head::Detached { commit: repo.id("main") });
    repo.run("checkout -q --orphan unborn");
    assert_eq!(repo.head(), on("unborn"));
    repo.run("worktree add -q -b linked ../linked main");
    assert_eq!(head(&repo.worktree().repository().worktrees().unwrap()[1]).unwrap(), on("linked"));
}

#[test]
fn reading_head_takes_less_than_a_millisecond() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let worktree = repo.worktree();
    let mut times: Vec<_> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            head(&worktree).unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("median {:?}, 99th percentile {:?}", times[100], times[198]);
    assert!(times[100].as_micros() < 1000, "{:?}", times[100]);
}

/// Two branches that change the same file; `main` is checked out.
fn conflicting() -> (Sandbox, Repo) {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.commit_file("file", "base");
    repo.run("checkout -q -b topic");
    repo.commit_file("file", "topic");
    repo.run("checkout -q main");
    repo.commit_file("file", "main");
    (sandbox, repo)
}

fn running(repo: &Repo) -> Option<Operation> {
    operation(&repo.worktree()).unwrap()
}

#[test]
fn a_rebase_names_the_branch_that_it_moves() {
    let (_sandbox, repo) = conflicting();
    repo.run("checkout -q topic");
    for how in ["--merge", "--apply"] {
        assert!(!output(&repo.path, &["rebase", how, "main"]).status.success());
        assert!(matches!(repo.head(), Head::Detached { .. }));
        assert_eq!(running(&repo), Some(Operation::Rebase { branch: Some("topic".into()) }));
        repo.run("rebase --abort");
        assert_eq!((repo.head(), running(&repo)), (on("topic"), None));
    }
    repo.run("checkout -q --detach");
    assert!(!output(&repo.path, &["rebase", "main"]).status.success());
    assert_eq!(running(&repo), Some(Operation::Rebase { branch: None }));
}

#[test]
fn a_bisection_names_the_branch_that_it_returns_to() {
    let (_sandbox, repo) = Sandbox::with_repo();
    for round in 0..5 {
        repo.commit(&format!("c{round}"));
    }
    repo.run("bisect start HEAD HEAD~4");
    assert_eq!(running(&repo), Some(Operation::Bisect { branch: Some("main".into()) }));
    repo.run("bisect reset");
    repo.run("checkout -q --detach");
    repo.run("bisect start HEAD HEAD~4");
    assert_eq!(running(&repo), Some(Operation::Bisect { branch: None }));
}

#[test]
fn conflicts_are_told_by_their_operation() {
    let (_sandbox, repo) = conflicting();
    for (line, expected) in [
        ("merge topic", Operation::Merge),
        ("cherry-pick topic", Operation::CherryPick),
        ("revert HEAD~1", Operation::Revert),
    ] {
        assert_eq!(running(&repo), None);
        assert!(!output(&repo.path, &line.split(' ').collect::<Vec<_>>()).status.success());
        assert_eq!(running(&repo), Some(expected));
        repo.run("reset -q --hard");
    }
}

#[test]
fn operations_are_told_in_a_reftable_repository() {
    let Some((_sandbox, repo)) = Sandbox::with_reftable() else { return };
    repo.commit_file("file", "a");
    repo.commit_file("file", "b");
    repo.commit_file("file", "c");
    assert!(!output(&repo.path, &["revert", "HEAD~1"]).status.success());
    assert_eq!(running(&repo), Some(Operation::Revert));
    repo.run("revert --abort");
    assert_eq!(running(&repo), None);
}

use std::fs;

use offshoot_git::{Origin, Worktree, lineage_of, nearest_branch, origin_of};

use crate::support::{Repo, Sandbox, bytes, discover, git};

fn origin(repo: &Repo, branch: &str) -> Origin {
    origin_of(&repo.worktree(), branch).unwrap()
}

fn cut(branch: &str) -> Origin {
    Origin::CutFrom(branch.into())
}

/// The same expectations for both ways in which git keeps references.
fn both(test: impl Fn(&Sandbox, &Repo)) {
    let (sandbox, repo) = Sandbox::with_repo();
    test(&sandbox, &repo);
    if let Some((sandbox, repo)) = Sandbox::with_reftable() {
        test(&sandbox, &repo);
    }
}

#[test]
fn a_branch_made_by_checkout_comes_from_what_was_checked_out() {
    both(|_, repo| {
        repo.run("checkout -q -b a");
        repo.run("switch -q -c b");
        repo.run("switch -q -c c/nested");
        assert_eq!(origin(repo, "a"), cut("main"));
        assert_eq!(origin(repo, "b"), cut("a"));
        assert_eq!(origin(repo, "c/nested"), cut("b"));
    });
}

#[test]
fn a_branch_made_without_checkout_comes_from_where_head_was_and_stays_so() {
    both(|_, repo| {
        repo.run("checkout -q -b dev");
        repo.run("branch quiet");
        assert_eq!(origin(repo, "quiet"), cut("dev"));
        repo.run("checkout -q main");
        repo.run("checkout -q quiet");
        repo.commit("work");
        assert_eq!(origin(repo, "quiet"), cut("dev"));
    });
}

#[test]
fn a_branch_made_from_a_name_comes_from_that_branch() {
    both(|_, repo| {
        repo.run("branch dev");
        repo.run("checkout -q -b other");
        repo.run("branch a dev");
        repo.run("branch b refs/heads/dev");
        repo.run("checkout -q -b c heads/dev");
        repo.run("checkout -q -b d -");
        for (name, from) in [("a", "dev"), ("b", "dev"), ("c", "dev"), ("d", "other")] {
            assert_eq!(origin(repo, name), cut(from), "{name}");
        }
    });
}

#[test]
fn a_commit_a_tag_and_an_expression_are_commits() {
    both(|_, repo| {
        repo.run("tag v1 HEAD~1");
        let (tip, first) = (repo.id("HEAD"), repo.id("HEAD~1"));
        repo.git(&["branch", "by-id", &first]);
        repo.git(&["branch", "by-short-id", &first[..9]]);
        repo.run("branch by-tag v1");
        repo.run("branch v1 v1");
        repo.run("branch by-expression main~1");
        for name in ["by-id", "by-short-id", "by-tag", "v1", "by-expression"] {
            assert_eq!(origin(repo, name), Origin::CutFromCommit(first.clone()), "{name}");
            assert_eq!(nearest_branch(&repo.worktree(), "by-tag").unwrap().as_deref(), Some("main"));
        }
        repo.run("checkout -q --detach main");
        repo.run("checkout -q -b from-detached");
        assert_eq!(origin(repo, "from-detached"), Origin::CutFromCommit(tip));
    });
}

#[test]
fn renames_are_told_newest_first_with_what_lies_before() {
    both(|_, repo| {
        repo.run("checkout -q -b a");
        repo.run("branch -m b");
        assert_eq!(origin(repo, "b"), Origin::RenamedFrom("a".into()));
        repo.run("checkout -q main");
        repo.run("branch -m b c/d");
        let lineage = lineage_of(&repo.worktree(), "c/d").unwrap();
        assert_eq!(lineage, [Origin::RenamedFrom("b".into()), Origin::RenamedFrom("a".into()), cut("main")]);
    });
}

#[test]
fn the_first_branch_renamed_has_no_other_origin() {
    both(|_, repo| {
        repo.run("branch -m trunk");
        assert_eq!(lineage_of(&repo.worktree(), "trunk").unwrap(), [Origin::RenamedFrom("main".into())]);
    });
}

#[test]
fn an_origin_that_was_renamed_since_goes_by_its_new_name() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("checkout -q -b old");
    repo.run("branch a");
    repo.run("checkout -q -b b");
    repo.run("branch -m old new");
    assert_eq!((origin(&repo, "a"), origin(&repo, "b")), (cut("new"), cut("new")));
}

#[test]
fn an_origin_that_was_deleted_since_is_still_named() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("checkout -q -b feed");
    repo.run("branch a");
    repo.run("checkout -q -b b");
    repo.run("branch -q -D feed");
    assert_eq!((origin(&repo, "a"), origin(&repo, "b")), (cut("feed"), cut("feed")));
}

#[test]
fn a_copy_comes_from_its_original() {
    both(|_, repo| {
        repo.run("checkout -q -b a");
        repo.run("branch -m b");
        repo.run("branch -c b copy");
        assert_eq!(lineage_of(&repo.worktree(), "copy").unwrap(), [cut("b")]);
    });
}

#[test]
fn an_orphan_the_first_branch_and_an_unborn_one_have_no_origin() {
    both(|_, repo| {
        repo.run("checkout -q --orphan unborn");
        assert_eq!(origin(repo, "unborn"), Origin::Unknown);
        repo.commit("root");
        assert_eq!(origin(repo, "unborn"), Origin::Unknown);
        assert_eq!(origin(repo, "main"), Origin::Unknown);
        assert_eq!(origin(repo, "no/such/branch"), Origin::Unknown);
        repo.run("checkout -q -b on-top");
        assert_eq!(origin(repo, "on-top"), cut("unborn"));
    });
}

/// A clone of a repository whose `main` has `feature` on top, with `feature` not checked out.
fn cloned() -> (Sandbox, Repo) {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("checkout -q -b feature");
    repo.commit("feature");
    repo.run("checkout -q main");
    git(&sandbox.path(), &["clone", "-q", "repo", "clone"]);
    let path = sandbox.path().join("clone");
    (sandbox, Repo { path })
}

#[test]
fn a_fresh_checkout_of_a_remote_branch_comes_from_the_nearest_local_one() {
    let (_sandbox, repo) = cloned();
    assert_eq!(origin(&repo, "main"), Origin::Unknown);
    repo.run("checkout -q feature");
    assert_eq!(origin(&repo, "feature"), cut("main"));
}

#[test]
fn a_remote_branch_stands_for_its_local_counterpart() {
    let (_sandbox, repo) = cloned();
    for (name, start) in [("a", "origin/main"), ("b", "refs/remotes/origin/main"), ("c", "origin")] {
        repo.git(&["checkout", "-q", "-b", name, start]);
        assert_eq!(origin(&repo, name), cut("main"), "{name}");
    }
    // No local `feature`: it is the nearest, and of the equally near the one that HEAD was on.
    repo.run("checkout -q -b d origin/feature");
    assert_eq!(origin(&repo, "d"), cut("c"));
    repo.run("update-ref -d refs/remotes/origin/feature");
    assert_eq!(origin(&repo, "d"), cut("c"));
}

#[test]
fn a_branch_of_a_new_work_tree_comes_from_where_it_was_added() {
    both(|sandbox, repo| {
        repo.run("checkout -q -b dev");
        repo.commit("dev");
        repo.run("worktree add -q -b added ../added");
        let added: Worktree = discover(&sandbox.path().join("added"));
        assert_eq!(origin_of(&added, "added").unwrap(), cut("dev"));
        assert_eq!(origin(repo, "added"), cut("dev"));
        git(&added.path, &["checkout", "-q", "-b", "further"]);
        // Asked from the other work tree.
        assert_eq!(origin(repo, "further"), cut("added"));
    });
}

#[test]
fn what_head_was_is_known_around_a_rebase() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("checkout -q -b topic HEAD~1");
    repo.commit_file("t", "t");
    repo.run("rebase -q main");
    repo.run("update-ref --create-reflog -m x refs/heads/made HEAD");
    let log = repo.path.join(".git/logs/refs/heads/made");
    let text = fs::read_to_string(&log).unwrap().replace("\tx", "\tbranch: Created from HEAD");
    fs::write(&log, text).unwrap();
    assert_eq!(origin(&repo, "made"), cut("topic"));
}

#[test]
fn without_records_it_is_the_nearest_branch() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("config core.logAllRefUpdates false");
    fs::remove_dir_all(repo.path.join(".git/logs")).unwrap();
    repo.run("checkout -q -b develop");
    repo.commit("develop");
    repo.run("checkout -q -b feature");
    assert_eq!(origin(&repo, "feature"), cut("develop"));
    repo.commit("feature");
    repo.run("checkout -q -b child");
    repo.commit("child");
    // `child` contains all of `feature`, yet it is no origin of it.
    assert_eq!(origin(&repo, "feature"), cut("develop"));
    assert_eq!(origin(&repo, "child"), cut("feature"));
    repo.run("checkout -q -b fix main~1");
    repo.commit("fix");
    assert_eq!(origin(&repo, "fix"), cut("main"));
    repo.run("checkout -q --orphan alone");
    repo.commit("alone");
    assert_eq!(origin(&repo, "alone"), Origin::Unknown);
}

#[test]
fn of_equally_near_branches_the_one_before_counts_then_main() {
    let (_sandbox, repo) = Sandbox::with_repo();
    for name in ["aaa", "zzz"] {
        repo.run(&format!("branch {name}"));
    }
    repo.run("update-ref refs/heads/made HEAD");
    assert_eq!(origin(&repo, "made"), cut("main"));
    repo.run("checkout -q zzz");
    repo.run("checkout -q made");
    assert_eq!(origin(&repo, "made"), cut("zzz"));
}

#[test]
fn an_expired_record_is_not_taken_for_a_birth() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("checkout -q -b a");
    repo.commit("more");
    let log = repo.path.join(".git/logs/refs/heads/a");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.lines().nth(1).unwrap().to_owned() + "\n").unwrap();
    assert_eq!(origin(&repo, "a"), cut("main"));
}

#[test]
fn odd_names_have_origins() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let long = format!("{}/{}", "x".repeat(150), "\u{1f33f}".repeat(37));
    repo.git(&["checkout", "-q", "-b", &long]);
    repo.run("checkout -q -b a(b),%c");
    assert_eq!(origin(&repo, &long), cut("main"));
    assert_eq!(origin(&repo, "a(b),%c"), cut(&long));
    assert!(nearest_branch(&repo.worktree(), "a(b),%c").unwrap().is_some());
    if cfg!(target_os = "linux") {
        repo.git(&[bytes(b"checkout"), bytes(b"-q"), bytes(b"-b"), bytes(b"caf\xe9")]);
        repo.run("checkout -q -b last");
        assert_eq!(origin(&repo, "caf\\xe9"), cut("a(b),%c"));
        assert_eq!(origin(&repo, "last"), cut("caf\\xe9"));
    }
}

#[test]
fn many_branches_without_records_are_compared_in_bounded_time() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let id = repo.id("HEAD~1");
    let heads = repo.path.join(".git/refs/heads");
    for number in 0..2000 {
        fs::write(heads.join(format!("b{number}")), format!("{id}\n")).unwrap();
    }
    repo.run("pack-refs --all");
    repo.run("update-ref refs/heads/made HEAD");
    let begun = std::time::Instant::now();
    assert_eq!(origin(&repo, "made"), cut("main"));
    println!("the nearest of 2001: {:?}", begun.elapsed());
}

#[test]
fn a_branch_renamed_or_copied_onto_itself_keeps_its_origin() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("branch child main");
    repo.run("branch -c child child");
    repo.run("branch -M child child");
    assert_eq!(origin(&repo, "child"), cut("main"));
}

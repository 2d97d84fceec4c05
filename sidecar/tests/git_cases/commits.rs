//! The databases of commits: a detached HEAD, bisections, and what does not count as a checkout.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::support::{TestRepo, wait_until};

/// Each has a moment at which a look finds the old branch gone.
const RESETS: usize = 8;

impl TestRepo {
    /// A repository that keeps a snapshot at each commit, with a table.
    fn with_commits() -> Self {
        let test = Self::with_database();
        test.setting("[snapshots]\non_commit = true\n");
        test.git(&["add", "offshoot.toml"]);
        test.run(&["sql", "-c", "create table item (n int)"]).ok();
        test
    }

    /// Adds a row and commits; the commit, once its snapshot is taken.
    fn commit_row(&self, n: i32) -> String {
        self.run(&["sql", "-c", &format!("insert into item values ({n})")]).ok();
        let commit = self.commit_file(&n.to_string());
        wait_until("a snapshot of the commit", || self.snapshot_commits().contains(&commit));
        commit
    }

    fn commit_file(&self, text: &str) -> String {
        fs::write(self.repo.join("file"), text).unwrap();
        self.git(&["add", "file"]);
        self.git(&["commit", "-q", "-m", text]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn snapshot_commits(&self) -> Vec<String> {
        let list = self.run(&["snapshot", "list", "--json"]).json();
        let snapshots = list["snapshots"].as_array().unwrap();
        snapshots.iter().filter_map(|one| Some(one["commit"].as_str()?.to_owned())).collect()
    }

    fn rows(&self) -> String {
        self.value("select string_agg(n::text, ' ' order by n) from item")
    }

    fn detached_note(&self) -> String {
        self.notes()
            .into_iter()
            .find(|(kind, _)| kind == "detached")
            .map(|(_, text)| text)
            .unwrap_or_default()
    }
}

fn throwaway(commit: &str) -> String {
    format!("commit-{}", &commit[..10])
}

#[test]
fn a_checkout_of_a_commit_leads_to_its_database_which_goes_to_the_trash_with_what_was_written_there() {
    let test = TestRepo::with_commits();
    let (one, two) = (test.commit_row(1), test.commit_row(2));
    test.git(&["checkout", "-q", &one]);
    assert_eq!((test.place(), test.rows()), (throwaway(&one), "1".into()));
    let note = test.detached_note();
    assert!(note.contains("as it was at that commit") && note.contains("git switch -c NAME"), "{note}");
    test.run(&["sql", "-c", "insert into item values (9)"]).ok();
    // What goes on from there stays there.
    test.commit("on top");
    assert_eq!((test.place(), test.rows()), (throwaway(&one), "1 9".into()));
    test.git(&["checkout", "-q", "-b", "kept"]);
    assert_eq!((test.place(), test.rows()), ("kept".into(), "1 9".into()));
    wait_until("the throwaway is gone", || test.branches() == ["main", "kept"]);
    test.git(&["checkout", "-q", "--detach", "main"]);
    assert_eq!((test.place(), test.rows()), (throwaway(&two), "1 2".into()));
    test.run(&["sql", "-c", "insert into item values (8)"]).ok();
    test.git(&["checkout", "-q", "main"]);
    assert_eq!(test.rows(), "1 2");
    wait_until("it is gone", || test.branches() == ["main", "kept"]);
    // What is brought back is a branch like others, and that of its commit.
    test.run(&["undo", &throwaway(&two)]).ok();
    test.git(&["checkout", "-q", &two]);
    assert_eq!((test.place(), test.rows()), (throwaway(&two), "1 2 8".into()));
    test.git(&["checkout", "-q", "kept"]);
    assert_eq!(test.rows(), "1 9");
    // A commit without a snapshot: it stays, and says so.
    let tree = test.git(&["rev-parse", "HEAD^{tree}"]);
    let lone = test.git(&["commit-tree", "-m", "lone", &tree]);
    test.git(&["checkout", "-q", &lone]);
    assert_eq!(test.place(), "kept");
    assert!(test.detached_note().contains("of which there is no snapshot"), "{}", test.detached_note());
    assert_eq!(test.branches(), ["main", &throwaway(&two), "kept"]);
}

#[test]
fn each_step_of_a_bisection_has_the_database_of_its_commit_or_of_the_nearest_older_one() {
    let test = TestRepo::with_commits();
    let one = test.commit_row(1);
    let kept = test.commit_row(2);
    // Made while nobody looked.
    test.run(&["engine", "stop"]).ok();
    let unkept = test.commit_file("unkept");
    test.commit_file("between");
    let last = test.commit_row(3);
    test.git(&["bisect", "start", &last, &one]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let head = test.git(&["rev-parse", "HEAD"]);
        let expected = if head == last { "1 2 3" } else { "1 2" };
        let (place, rows) = (test.place(), test.rows());
        let known = format!(
            "{}; one {one}, kept {kept}, unkept {unkept}, last {last}; {:?}",
            test.detached_note(),
            test.snapshot_commits()
        );
        assert_eq!((place, rows), (throwaway(&head), expected.into()), "{known}");
        let is_older = test.detached_note().contains("as it was at the older commit");
        assert_eq!(is_older, head != kept && head != last, "{}", test.detached_note());
        seen.push(head.clone());
        let word = if head == kept { "good" } else { "bad" };
        test.git(&["bisect", word]);
        if test.git(&["bisect", "log"]).contains("first bad commit") {
            break;
        }
    }
    assert!(seen.contains(&unkept), "{seen:?}");
    test.git(&["bisect", "reset"]);
    assert_eq!((test.place(), test.rows()), ("main".into(), "1 2 3".into()));
    wait_until("the throwaways are gone", || test.branches() == ["main"]);
}

#[test]
fn at_the_limit_of_branches_a_commit_is_told_with_what_makes_its_database_and_a_bisection_stops() {
    let test = TestRepo::with_commits();
    let one = test.commit_row(1);
    let two = test.commit_row(2);
    let last = test.commit_row(3);
    let limit = |most: u32| {
        test.setting(&format!("[snapshots]\non_commit = true\n[limits]\nbranches = {most}\n"));
    };
    limit(1);
    let limited =
        |at: &str| format!("offshoot branch create {} --from main --at {at} --override", throwaway(at));
    // Not data of another commit: nothing.
    test.git(&["bisect", "start", &last, &one]);
    let refused = test.run(&["sql", "-c", "select 1"]).fails(128);
    assert!(refused.contains("`limits.branches` allows 1") && refused.contains(&limited(&two)), "{refused}");
    limit(2);
    assert_eq!((test.place(), test.rows()), (throwaway(&two), "1 2".into()));
    test.git(&["bisect", "reset"]);
    assert_eq!(test.rows(), "1 2 3");
    wait_until("the throwaway is gone", || test.branches() == ["main"]);

    // Elsewhere it stays and is told; the command makes what the commit had.
    limit(1);
    test.git(&["checkout", "-q", &one]);
    assert_eq!(test.place(), "main");
    let status = test.run(&["status"]).ok();
    assert!(status.contains("the database stays on `main`") && status.contains(&limited(&one)), "{status}");
    let words: Vec<String> = limited(&one).split(' ').skip(1).map(str::to_owned).collect();
    test.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    assert_eq!((test.place(), test.rows()), (throwaway(&one), "1".into()));
    // Nobody knows whether a person made it of just that.
    assert!(!test.detached_note().contains("as it was at that commit"), "{}", test.detached_note());
}

#[test]
fn a_rebase_leads_nowhere_and_without_the_key_no_commit_has_a_database() {
    let test = TestRepo::with_commits();
    let one = test.commit_row(1);
    let two = test.commit_row(2);
    test.git(&["checkout", "-q", "-b", "topic", &one]);
    test.commit("topic");
    assert_eq!(test.place(), "topic");
    // It stops with HEAD at a commit that has a snapshot.
    let editor = ["-c", "sequence.editor=sed -i 1ibreak"];
    test.git(&[&editor[..], &["rebase", "-q", "-i", "main"]].concat());
    assert_eq!(test.git(&["rev-parse", "HEAD"]), two);
    assert_eq!(test.place(), "topic");
    test.git(&["rebase", "--continue"]);
    assert_eq!(test.place(), "topic");
    test.setting("");
    test.git(&["checkout", "-q", "--detach", &two]);
    assert_eq!(test.place(), "topic");
    assert_eq!(test.branches(), ["main", "topic"]);
}

#[test]
fn a_worktree_at_a_detached_head_stays_with_a_branch_that_is_reset_while_others_look() {
    let test = TestRepo::with_database().with_branches(&["feature"]);
    test.git(&["checkout", "-q", "feature"]);
    assert_eq!(test.place(), "feature");
    test.git(&["checkout", "-q", "--detach"]);
    assert_eq!(test.place(), "feature");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let looks = || {
            while !done.load(Ordering::Acquire) {
                test.place();
            }
        };
        let lookers = [scope.spawn(looks), scope.spawn(looks)];
        for _ in 0..RESETS {
            let reset = test.run(&["branch", "reset", "feature"]);
            let place = test.place();
            if reset.code != 0 || place != "feature" {
                done.store(true, Ordering::Release);
            }
            reset.ok();
            assert_eq!(place, "feature");
        }
        done.store(true, Ordering::Release);
        for looker in lookers {
            looker.join().unwrap();
        }
    });
}

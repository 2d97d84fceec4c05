use std::collections::BTreeSet;
use std::fs;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use offshoot_git::{Backend, Change, GitError, Head, Mode, Repository, Watcher, head, watch, watch_with};

use crate::support::{Repo, Sandbox, discover, on, output, skipped};

/// Generous: only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(20);

struct Watched {
    watcher: Watcher,
    changes: Receiver<(Change, Instant)>,
}

fn watched(repo: &Repo) -> Watched {
    with_backend(repo, Backend::Automatic)
}

fn with_backend(repo: &Repo, backend: Backend) -> Watched {
    let (sender, changes) = mpsc::channel();
    let report = move |change| {
        // A test that has seen enough does not listen any more.
        let _ = sender.send((change, Instant::now()));
    };
    let watcher = watch_with(&repo.worktree().repository(), backend, report).unwrap();
    Watched { watcher, changes }
}

impl Watched {
    /// Waits for all of `expected`, and then until `settled` holds, read again at every change as a caller does.
    fn until(&self, expected: &[Change], settled: impl Fn() -> bool) -> Vec<Change> {
        let mut missing: BTreeSet<_> = expected.iter().copied().collect();
        let mut seen = Vec::new();
        while !missing.is_empty() || !settled() {
            let Ok((change, _)) = self.changes.recv_timeout(PATIENCE) else {
                panic!("saw {seen:?}, missing {missing:?}, settled {}", settled());
            };
            missing.remove(&change);
            seen.push(change);
        }
        seen
    }

    /// Waits for the report of a marker that comes after everything before, and returns what came until then.
    fn drain(&self, repo: &Repo) -> Vec<Change> {
        let mark = repo.worktree().common_dir.join("REVERT_HEAD");
        let before: Vec<_> = self.changes.try_iter().collect();
        fs::write(&mark, "").unwrap();
        let mut seen: Vec<_> = before.into_iter().map(|(change, _)| change).collect();
        seen.extend(self.until(&[Change::Heads], || true));
        fs::remove_file(&mark).unwrap();
        self.until(&[Change::Heads], || true);
        assert_eq!(seen.pop(), Some(Change::Heads));
        seen
    }
}

fn branches(repo: &Repo) -> Vec<String> {
    repo.worktree().repository().branches().unwrap()
}

fn has(repo: &Repo, name: &str) -> bool {
    branches(repo).iter().any(|branch| branch == name)
}

#[test]
fn a_checkout_is_reported_within_50_ms() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("branch a");
    repo.run("branch b");
    let watched = watched(&repo);
    assert_eq!(watched.watcher.mode(), Mode::Events);
    let worktree = repo.worktree();
    let mut after = Vec::new();
    for round in 0..20 {
        let branch = ["a", "b"][round % 2];
        repo.run(&format!("checkout -q {branch}"));
        let done = Instant::now();
        loop {
            let (change, at) = watched.changes.recv_timeout(PATIENCE).unwrap();
            if change == Change::Heads && head(&worktree).unwrap() == on(branch) {
                after.push(at.saturating_duration_since(done));
                break;
            }
        }
    }
    after.sort();
    println!("after git returned: median {:?}, longest {:?}", after[10], after[19]);
    assert!(after[10] < Duration::from_millis(50), "{after:?}");
}

#[test]
fn from_the_change_of_head_to_the_call_takes_a_few_milliseconds() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let watched = watched(&repo);
    let git_dir = repo.worktree().git_dir;
    let mut times: Vec<_> = (0..50)
        .map(|round| {
            fs::write(git_dir.join("HEAD.lock"), format!("ref: refs/heads/b{round}\n")).unwrap();
            let begun = Instant::now();
            fs::rename(git_dir.join("HEAD.lock"), git_dir.join("HEAD")).unwrap();
            let (change, at) = watched.changes.recv_timeout(PATIENCE).unwrap();
            assert_eq!(change, Change::Heads);
            at - begun
        })
        .collect();
    times.sort();
    println!("rename of HEAD to call: median {:?}, longest {:?}", times[25], times[49]);
    assert!(times[25] < Duration::from_millis(50), "{times:?}");
}

#[test]
fn creating_renaming_and_deleting_branches_is_reported() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let watched = watched(&repo);
    repo.run("branch plain");
    watched.until(&[Change::Refs], || has(&repo, "plain"));
    repo.run("branch -m plain deep/er/name");
    watched.until(&[Change::Refs], || has(&repo, "deep/er/name") && !has(&repo, "plain"));
    repo.run("checkout -q -b deep/er/other");
    watched.until(&[Change::Refs, Change::Heads], || repo.head() == on("deep/er/other"));
    repo.run("branch -m current");
    watched.until(&[Change::Refs, Change::Heads], || repo.head() == on("current"));
    repo.run("branch -q -D deep/er/name");
    watched.until(&[Change::Refs], || !has(&repo, "deep/er/name"));
}

#[test]
fn folders_of_branches_may_go_and_come_back() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let watched = watched(&repo);
    for round in 0..15 {
        let name = format!("a/b/c/{round}");
        repo.git(&["branch", &name]);
        watched.until(&[Change::Refs], || has(&repo, &name));
        repo.git(&["branch", "-f", &name, "HEAD~1"]);
        watched.until(&[Change::Refs], || true);
        repo.git(&["branch", "-q", "-D", &name]);
        watched.until(&[Change::Refs], || !has(&repo, &name));
        // A branch in place of the folder, and away again.
        repo.run("branch a");
        watched.until(&[Change::Refs], || has(&repo, "a"));
        repo.run("branch -q -D a");
        watched.until(&[Change::Refs], || !has(&repo, "a"));
    }
}

#[test]
fn a_folder_replaced_within_one_report_is_watched_again() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let id = repo.id("HEAD");
    let folder = repo.worktree().common_dir.join("refs/heads/a");
    fs::create_dir_all(folder.join("b")).unwrap();
    let watched = watched(&repo);
    for round in 0..10 {
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir_all(folder.join("b")).unwrap();
        watched.until(&[Change::Refs], || true);
        watched.drain(&repo);
        // Only a watch on the new folder itself sees this.
        fs::write(folder.join(format!("b/{round}")), format!("{id}\n")).unwrap();
        watched.until(&[Change::Refs], || has(&repo, &format!("a/b/{round}")));
    }
}

#[test]
fn many_branches_at_once_are_a_few_reports_and_none_is_missed() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let watched = watched(&repo);
    let id = repo.id("HEAD");
    let heads = repo.worktree().common_dir.join("refs/heads");
    for number in 0..300 {
        fs::create_dir_all(heads.join(format!("f{number}/g"))).unwrap();
        fs::write(heads.join(format!("f{number}/g/h")), format!("{id}\n")).unwrap();
    }
    let seen = watched.until(&[Change::Refs], || branches(&repo).len() == 301);
    assert!(seen.len() < 60, "{}", seen.len());
    watched.drain(&repo);
    // Each of the new folders is watched.
    for number in [0, 150, 299] {
        fs::remove_file(heads.join(format!("f{number}/g/h"))).unwrap();
        watched.until(&[Change::Refs], || !has(&repo, &format!("f{number}/g/h")));
    }
}

#[test]
fn packing_and_collecting_garbage_do_not_end_the_watch() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("branch x/y/z");
    let watched = watched(&repo);
    repo.run("pack-refs --all --prune");
    watched.until(&[Change::Refs], || has(&repo, "x/y/z"));
    repo.run("gc -q --prune=now");
    watched.until(&[], || true);
    repo.run("branch -q -D x/y/z");
    watched.until(&[Change::Refs], || !has(&repo, "x/y/z"));
    repo.run("branch x/y/again");
    watched.until(&[Change::Refs], || has(&repo, "x/y/again"));
    repo.run("checkout -q x/y/again");
    watched.until(&[Change::Heads], || repo.head() == on("x/y/again"));
}

#[test]
fn a_work_tree_is_watched_from_its_adding_to_its_removal() {
    let (sandbox, repo) = Sandbox::with_repo();
    let watched = watched(&repo);
    let count = || repo.worktree().repository().worktrees().unwrap().len();
    for round in 0..3 {
        repo.run("worktree add -q -B linked ../linked");
        watched.until(&[Change::Worktrees, Change::Heads], || count() == 2);
        let linked = Repo { path: sandbox.path().join("linked") };
        let branch = format!("in/linked{round}");
        linked.git(&["checkout", "-q", "-b", &branch]);
        watched.until(&[Change::Heads], || linked.head() == on(&branch));
        repo.run("worktree remove --force ../linked");
        watched.until(&[Change::Worktrees], || count() == 1);
    }
}

#[test]
fn a_linked_work_tree_that_is_deleted_or_moved_by_hand_is_reported() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q ../one");
    repo.run("worktree add -q ../two");
    let watched = watched(&repo);
    let count = || repo.worktree().repository().worktrees().unwrap().len();
    fs::remove_dir_all(sandbox.path().join("one")).unwrap();
    watched.until(&[Change::Worktrees], || count() == 2);
    fs::rename(sandbox.path().join("two"), sandbox.path().join("three")).unwrap();
    watched.until(&[Change::Worktrees], || count() == 1);
    assert!(output(&sandbox.path().join("three"), &["worktree", "repair"]).status.success());
    watched.until(&[Change::Worktrees], || count() == 2);
    assert_eq!(head(&discover(&sandbox.path().join("three"))).unwrap(), on("two"));
}

#[test]
fn the_watch_may_start_from_a_linked_work_tree() {
    let (sandbox, repo) = Sandbox::with_repo();
    repo.run("worktree add -q ../linked");
    let linked = Repo { path: sandbox.path().join("linked") };
    let watched = watched(&linked);
    repo.run("checkout -q -b in-main");
    watched.until(&[Change::Heads], || repo.head() == on("in-main"));
    linked.run("checkout -q --detach");
    watched.until(&[Change::Heads], || matches!(linked.head(), Head::Detached { .. }));
}

#[test]
fn a_rebase_is_reported_from_its_start_to_its_end() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.commit_file("file", "base");
    repo.run("checkout -q -b topic");
    repo.commit_file("file", "topic");
    repo.run("checkout -q main");
    repo.commit_file("file", "main");
    repo.run("checkout -q topic");
    let watched = watched(&repo);
    let operation = || offshoot_git::operation(&repo.worktree()).unwrap();
    assert!(!output(&repo.path, &["rebase", "main"]).status.success());
    watched.until(&[Change::Heads], || operation().is_some());
    repo.run("rebase --abort");
    watched.until(&[Change::Heads], || operation().is_none() && repo.head() == on("topic"));
}

#[test]
fn reading_causes_no_reports() {
    let (_sandbox, repo) = Sandbox::with_repo();
    repo.run("branch a/b");
    let watched = watched(&repo);
    let worktree = repo.worktree();
    for _ in 0..50 {
        head(&worktree).unwrap();
        offshoot_git::operation(&worktree).unwrap();
        offshoot_git::origin_of(&worktree, "a/b").unwrap();
        worktree.repository().branches().unwrap();
        worktree.repository().worktrees().unwrap();
        worktree.repository().project_id().unwrap();
    }
    let id = offshoot_git::ProjectId::parse("x").unwrap();
    worktree.repository().write_project_id(&id).unwrap();
    repo.run("status");
    fs::write(worktree.git_dir.join("HEAD.lock"), "").unwrap();
    fs::remove_file(worktree.git_dir.join("HEAD.lock")).unwrap();
    fs::write(worktree.common_dir.join("refs/heads/main.lock"), "").unwrap();
    fs::remove_file(worktree.common_dir.join("refs/heads/main.lock")).unwrap();
    fs::write(repo.path.join("file"), "").unwrap();
    assert_eq!(watched.drain(&repo), []);
}

#[test]
fn a_removed_repository_is_gone() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let watched = watched(&repo);
    fs::remove_dir_all(repo.path.join(".git")).unwrap();
    let seen = watched.until(&[Change::Gone], || true);
    assert_eq!(seen.last(), Some(&Change::Gone));
    assert!(watched.changes.recv_timeout(PATIENCE).is_err(), "gone is the last change");
}

#[test]
fn a_repository_made_anew_in_its_place_is_gone_too() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let watched = watched(&repo);
    fs::remove_dir_all(repo.path.join(".git")).unwrap();
    repo.run("init -q");
    watched.until(&[Change::Gone], || true);
}

#[test]
fn a_moved_work_tree_or_git_directory_is_gone() {
    let (sandbox, repo) = Sandbox::with_repo();
    let first = watched(&repo);
    fs::rename(&repo.path, sandbox.path().join("moved")).unwrap();
    first.until(&[Change::Gone], || true);
    let moved = Repo { path: sandbox.path().join("moved") };
    let second = watched(&moved);
    fs::rename(moved.path.join(".git"), moved.path.join("git")).unwrap();
    second.until(&[Change::Gone], || true);
}

#[test]
fn a_repository_moved_further_up_is_gone_at_its_next_change() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("up")).unwrap();
    crate::support::git(&sandbox.path(), &["init", "-q", "up/repo"]);
    let watched = watched(&Repo { path: sandbox.path().join("up/repo") });
    fs::rename(sandbox.path().join("up"), sandbox.path().join("down")).unwrap();
    Repo { path: sandbox.path().join("down/repo") }.run("checkout -q -b next");
    watched.until(&[Change::Gone], || true);
}

#[test]
fn a_reftable_repository_is_watched() {
    let Some((sandbox, repo)) = Sandbox::with_reftable() else { return };
    let watched = watched(&repo);
    repo.run("checkout -q -b a/b");
    watched.until(&[Change::Heads, Change::Refs], || repo.head() == on("a/b"));
    repo.run("worktree add -q ../linked");
    watched.until(&[Change::Worktrees], || has(&repo, "linked"));
    let linked = Repo { path: sandbox.path().join("linked") };
    linked.run("checkout -q --detach");
    watched.until(&[Change::Heads], || matches!(linked.head(), Head::Detached { .. }));
}

#[test]
fn polling_sees_the_same_changes() {
    let (sandbox, repo) = Sandbox::with_repo();
    let watched = with_backend(&repo, Backend::Polling);
    assert!(matches!(watched.watcher.mode(), Mode::Polling { .. }));
    repo.run("checkout -q -b a/b");
    watched.until(&[Change::Heads, Change::Refs], || repo.head() == on("a/b"));
    repo.run("checkout -q main");
    watched.until(&[Change::Heads], || repo.head() == on("main"));
    repo.run("worktree add -q ../linked");
    watched.until(&[Change::Worktrees], || has(&repo, "linked"));
    fs::rename(&repo.path, sandbox.path().join("moved")).unwrap();
    watched.until(&[Change::Gone], || true);
}

/// Runs a test of this program where the system's limit is `limit`, by a user name space of its own.
#[cfg(target_os = "linux")]
fn with_limit(limit: &str, test: &str) {
    let program = std::env::current_exe().unwrap();
    let script = format!("echo {limit} || exit 77; exec \"$0\" --ignored --exact {test}");
    let mut command = std::process::Command::new("unshare");
    match command.args(["-Ur", "sh", "-c", &script]).arg(program).output() {
        Ok(output) if output.status.success() => {
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
        }
        Ok(output) if output.status.code() == Some(101) => {
            panic!("{}", String::from_utf8_lossy(&output.stdout))
        }
        other => skipped(&format!("no user name spaces here: {other:?}")),
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_reached_limit_of_folders_gives_way_to_polling() {
    with_limit("8 > /proc/sys/user/max_inotify_watches", "watch::in_a_name_space_with_few_watches");
}

#[test]
#[ignore = "run by a_reached_limit_of_folders_gives_way_to_polling"]
fn in_a_name_space_with_few_watches() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let watched = watched(&repo);
    assert_eq!(watched.watcher.mode(), Mode::Events);
    repo.run("branch a/b/c/d/e/f/g/h");
    watched.until(&[Change::Overflow], || has(&repo, "a/b/c/d/e/f/g/h"));
    let mode = watched.watcher.mode();
    assert!(matches!(&mode, Mode::Polling { reason } if reason.contains("max_user_watches")), "{mode:?}");
    repo.run("checkout -q a/b/c/d/e/f/g/h");
    watched.until(&[Change::Heads], || true);
}

#[test]
#[cfg(target_os = "linux")]
fn without_any_events_it_polls_from_the_start() {
    with_limit("0 > /proc/sys/user/max_inotify_instances", "watch::in_a_name_space_without_events");
}

#[test]
#[ignore = "run by without_any_events_it_polls_from_the_start"]
fn in_a_name_space_without_events() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let watched = watched(&repo);
    assert!(matches!(watched.watcher.mode(), Mode::Polling { .. }));
    repo.run("checkout -q -b next");
    assert_eq!(watched.until(&[Change::Refs, Change::Heads], || true), [Change::Refs, Change::Heads]);
    fs::remove_dir_all(repo.path.join(".git")).unwrap();
    watched.until(&[Change::Gone], || true);
}

#[test]
fn a_dropped_watcher_reports_no_more() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let watched = watched(&repo);
    drop(watched.watcher);
    repo.run("checkout -q -b a");
    assert!(watched.changes.recv_timeout(PATIENCE).is_err());
}

#[test]
fn a_missing_repository_cannot_be_watched() {
    let (_sandbox, repo) = Sandbox::with_repo();
    let repository: Repository = repo.worktree().repository();
    fs::remove_dir_all(&repo.path).unwrap();
    assert!(matches!(watch(&repository, |_| {}), Err(GitError::NotARepository { .. })));
}

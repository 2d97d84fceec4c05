//! Cases of docs/git.md that have a name: deleted and renamed branches, and kinds of repositories.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

#[path = "git_cases/commits.rs"]
mod commits;
#[path = "git_cases/kinds.rs"]
mod kinds;
#[path = "git_cases/offers.rs"]
mod offers;
mod support;

use std::fs;

use postgres::{Client, NoTls};
use serde_json::Value;
use support::{TestRepo, wait_until};

impl TestRepo {
    fn setting(&self, line: &str) {
        fs::write(self.repo.join("offshoot.toml"), line).unwrap();
    }

    /// Where the endpoint leads.
    #[track_caller]
    fn place(&self) -> String {
        self.status()["branch"]["name"].as_str().unwrap().to_owned()
    }

    /// The notes of the status, as kind and text.
    fn notes(&self) -> Vec<(String, String)> {
        let text = |note: &Value, key: &str| note[key].as_str().unwrap_or_default().to_owned();
        let status = self.status();
        let notes = status["notes"].as_array().unwrap();
        notes
            .iter()
            .map(|note| (text(note, "kind"), text(note, "text") + "\n" + &text(note, "hint")))
            .collect()
    }

    fn gone(&self) -> Option<String> {
        self.notes().into_iter().find(|(kind, _)| kind == "gone").map(|(_, text)| text)
    }

    /// Makes git and database branches, and goes back to main.
    fn with_branches(self, names: &[&str]) -> Self {
        for name in names {
            self.git(&["checkout", "-q", "-b", name, "main"]);
            assert_eq!(self.place(), *name);
        }
        self.git(&["checkout", "-q", "main"]);
        assert_eq!(self.place(), "main");
        self
    }
}

#[test]
fn a_deleted_git_branch_is_told_of_until_somebody_decides() {
    let test = TestRepo::with_database().with_branches(&["done", "kept"]);
    assert_eq!(test.gone(), None);
    test.git(&["branch", "-q", "-D", "done", "kept"]);
    wait_until("it is told", || test.gone().is_some());
    let told = test.gone().unwrap();
    assert!(told.contains("git branches `done`, `kept` are gone"), "{told}");
    assert!(told.contains("`offshoot branch delete done`") && told.contains("on_delete"), "{told}");
    test.run(&["branch", "protect", "kept"]).ok();
    test.run(&["branch", "delete", "done"]).ok();
    wait_until("nothing is left to tell", || test.gone().is_none());
    assert_eq!(test.branches(), ["main", "kept"]);
    // Made by hand: git never had it.
    test.run(&["branch", "create", "by/hand"]).ok();
    test.git(&["checkout", "-q", "-b", "again"]);
    test.git(&["checkout", "-q", "main"]);
    assert_eq!(test.gone(), None);
}

#[test]
fn with_trash_the_database_of_a_deleted_git_branch_goes_unless_it_is_needed() {
    let names = ["done", "protected", "connected", "elsewhere"];
    let test = TestRepo::with_database().with_branches(&names);
    test.setting("on_delete = \"trash\"");
    test.run(&["branch", "create", "by/hand"]).ok();
    test.run(&["branch", "protect", "protected"]).ok();
    let other = test.root().join("other");
    test.git(&["worktree", "add", "-q", other.to_str().unwrap(), "elsewhere"]);
    let status = test.run_in(&other, &["status", "--json"]).json();
    assert_eq!(status["branch"]["name"], "elsewhere");
    test.git_in(&other, &["checkout", "-q", "--detach"]);
    let url = test.run(&["url", "--branch", "connected"]).ok();
    let client = Client::connect(&url, NoTls).unwrap();
    test.git(&["branch", "-q", "-D", "done", "protected", "connected", "elsewhere"]);
    wait_until("the one that nobody needs is gone", || !test.branches().contains(&"done".to_owned()));
    assert_eq!(test.branches(), ["main", "by/hand", "connected", "elsewhere", "protected"]);
    drop(client);
    wait_until("nobody is connected any more", || !test.branches().contains(&"connected".to_owned()));
    test.run(&["undo", "done"]).ok();
    // What is brought back stays, whatever is deleted after it.
    test.git(&["branch", "next"]);
    test.git(&["checkout", "-q", "next"]);
    assert_eq!(test.place(), "next");
    test.git(&["checkout", "-q", "main"]);
    test.git(&["branch", "-q", "-D", "next"]);
    wait_until("the next one is gone", || !test.branches().contains(&"next".to_owned()));
    assert_eq!(test.branches(), ["main", "by/hand", "done", "elsewhere", "protected"]);
}

#[test]
fn a_rename_is_followed_wherever_the_branch_is_and_whatever_had_the_name() {
    let test = TestRepo::with_database().with_branches(&["one", "old"]);
    test.git(&["branch", "-m", "one", "two"]);
    wait_until("it is followed without a checkout", || test.branches() == ["main", "old", "two"]);
    // A name that a deleted git branch has left behind.
    let id = |name: &str| {
        let list = test.run(&["branch", "list", "--json"]).json();
        let branches = list["branches"].as_array().unwrap().clone();
        branches.iter().find(|branch| branch["name"] == name).map(|branch| branch["id"].as_u64().unwrap())
    };
    let two = id("two");
    test.git(&["branch", "-q", "-D", "old"]);
    test.branches();
    test.git(&["branch", "-m", "two", "old"]);
    wait_until("it takes the name", || id("old") == two);
    test.git(&["checkout", "-q", "old"]);
    assert_eq!(test.place(), "old");
    // The name of a git branch that is overwritten, here where it is checked out.
    test.git(&["checkout", "-q", "-b", "new"]);
    assert_eq!(test.place(), "new");
    let new = id("new");
    test.git(&["branch", "-M", "new", "old"]);
    wait_until("it takes that name too", || test.place() == "old");
    assert_eq!((id("old"), id("new")), (new, None));
    // Nothing gives way that must not: the root branch stays what it is.
    test.git(&["branch", "-M", "old", "main"]);
    assert_eq!(test.place(), "main");
    assert_eq!(id("old"), new);
    test.git(&["checkout", "-q", "-b", "last"]);
    assert_eq!(test.branches(), ["main", "last", "old"]);
}

#[test]
fn a_rename_while_the_engine_is_away_is_followed_when_it_is_back() {
    let test = TestRepo::with_database().with_branches(&["one"]);
    test.run(&["engine", "stop"]).ok();
    test.git(&["branch", "-m", "one", "two"]);
    wait_until("it is followed", || test.branches() == ["main", "two"]);
}

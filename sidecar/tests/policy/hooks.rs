//! Commands after a branch is made and before one is deleted.

use std::fs;

use crate::support::{PROGRAM, TestRepo, wait_until};
use crate::write;

fn hooks(lines: &str) -> String {
    format!("[hooks]\n{lines}\n")
}

/// Trusts the commands as they are now.
fn with(test: &TestRepo, lines: &str) {
    write(test, &hooks(lines));
    test.run(&["policy", "trust", "--yes"]).ok();
}

#[test]
fn commands_run_once_they_are_trusted_and_what_fails_is_told() {
    let test = TestRepo::with_database();
    let told = test.repo.join("told");
    // It asks for the work tree's address, which must not wait for it.
    let command =
        format!("echo \"$OFFSHOOT_BRANCH $DATABASE_URL\" >> told; '{PROGRAM}' url >> told; echo seen");
    write(&test, &hooks(&format!("after_create = '''{command}'''")));

    // Not trusted: the branch is there, the command did not run, and that is told.
    test.git(&["checkout", "-q", "-b", "first"]);
    test.run(&["url"]).ok();
    wait_until("it is told", || {
        test.run(&["status"]).ok().contains("did not run for `first`: nobody trusts it")
    });
    assert!(!told.exists());
    assert!(test.run(&["policy", "trust"]).fails(128).contains("nobody is there to be asked"));
    // Trusted: what was left out runs now, in the work tree, with an address of the branch.
    assert!(test.run(&["policy", "trust", "--yes"]).ok().contains("hooks.after_create (offshoot.toml:2):"));
    let lines =
        || fs::read_to_string(&told).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    wait_until("it ran", || lines().len() == 2);
    assert!(lines()[0].starts_with("first postgres://") && lines()[1] == test.url(), "{:?}", lines());
    test.git(&["checkout", "-q", "-b", "second"]);
    test.run(&["url"]).ok();
    wait_until("it ran for the second", || lines().len() == 4);
    assert!(!test.run(&["status"]).ok().contains("did not run"));

    // A change has to be trusted again.
    let quick = "after_create = 'echo some output; exit 3'";
    write(&test, &hooks(quick));
    test.run(&["branch", "create", "quietly"]).ok();
    assert!(test.run(&["status"]).ok().contains("did not run for `quietly`"));
    // Kept, and told; with what it printed.
    with(&test, quick);
    let failed = test.run(&["branch", "create", "kept"]).fails(128);
    assert!(
        failed.contains("`kept` is made, but its command failed: `hooks.after_create` (offshoot.toml, line 2) ended with 3"),
        "{failed}"
    );
    assert!(failed.contains("| some output"), "{failed}");
    // Undone: by hand, and for a checkout, which does not try it again and again.
    with(&test, &format!("{quick}\non_failure = 'undo'"));
    let undone = test.run(&["branch", "create", "gone"]).fails(128);
    assert!(undone.contains("`gone` is not made: `hooks.after_create`"), "{undone}");
    test.git(&["checkout", "-q", "-b", "by-git"]);
    let url = || test.run(&["url"]);
    wait_until("its command failed", || url().err.contains("`by-git` is not made: `hooks.after_create`"));
    assert!(!test.branches().iter().any(|name| name == "gone" || name == "by-git"));
    with(&test, "after_create = 'true'");
    url().ok();
}

#[test]
fn a_command_that_waited_for_trust_and_fails_leaves_the_branch_that_is_in_use() {
    let test = TestRepo::with_database();
    write(&test, &hooks("after_create = 'echo two; exit 4'\non_failure = 'undo'"));
    test.git(&["checkout", "-q", "-b", "work"]);
    test.run(&["sql", "-c", "create table item as select generate_series(1, 500) as id"]).ok();
    test.run(&["branch", "create", "beside"]).ok();

    test.run(&["policy", "trust", "--yes"]).ok();
    for name in ["work", "beside"] {
        wait_until("it is told", || {
            let status = test.run(&["status"]).ok();
            status.contains(&format!(
                "`{name}` is made, but its command failed: `hooks.after_create` (offshoot.toml, line 2) ended with 4"
            )) && status.contains("it was in use before the command was trusted")
        });
    }
    assert_eq!(test.branches(), ["main", "work", "beside"]);
    assert_eq!(test.value("select count(*) from item"), "500");
    // What is made from now on is new, and undone.
    test.run(&["branch", "create", "new"]).fails(128);
    assert_eq!(test.branches(), ["main", "work", "beside"]);
}

#[test]
fn a_failing_command_keeps_a_branch_from_being_deleted_and_a_slow_one_is_ended() {
    let test = TestRepo::with_database();
    for name in ["a", "b"] {
        test.run(&["branch", "create", name]).ok();
    }
    let before = "before_delete = 'test -f exported && echo \"$OFFSHOOT_BRANCH\" >> exported'";
    write(&test, &hooks(before));
    let untrusted = test.run(&["branch", "delete", "a"]).fails(128);
    assert!(
        untrusted.contains("did not run for `a`: nobody trusts it") && untrusted.contains("--override"),
        "{untrusted}"
    );
    with(&test, before);
    let stays = test.run(&["branch", "delete", "a"]).fails(128);
    assert!(
        stays.contains("`a` stays: `hooks.before_delete` (offshoot.toml, line 2) ended with 1"),
        "{stays}"
    );
    assert!(stays.contains("`offshoot branch delete a --override` deletes it without."), "{stays}");
    assert_eq!(test.branches(), ["main", "a", "b"]);
    fs::write(test.repo.join("exported"), "").unwrap();
    test.run(&["branch", "delete", "a"]).ok();
    assert_eq!(fs::read_to_string(test.repo.join("exported")).unwrap(), "a\n");
    // What it started in the background is ended with it.
    with(&test, "before_delete = 'sleep 600 & echo $! > pid; wait'\ntimeout = '1s'");
    let slow = test.run(&["branch", "delete", "b"]).fails(128);
    assert!(slow.contains("took longer than 1s and was ended, with all that it started"), "{slow}");
    let pid = fs::read_to_string(test.repo.join("pid")).unwrap();
    wait_until("it is gone", || !crate::support::is_running(pid.trim()));
    test.run(&["branch", "delete", "b", "--override"]).ok();
    test.run(&["policy", "trust", "--revoke"]).ok();
    assert_eq!(test.run(&["policy", "trust", "--json", "--yes"]).json()["trusted"], true);
}

#[test]
fn a_branch_whose_time_is_over_goes_after_its_command_and_stays_if_that_fails() {
    let test = TestRepo::with_database();
    with(&test, "before_delete = 'echo \"$OFFSHOOT_BRANCH\" >> asked; test -f allowed'");
    let asked = || fs::read_to_string(test.repo.join("asked")).unwrap_or_default();
    test.run(&["branch", "create", "kept", "--ttl", "1s"]).ok();
    wait_until("it is told", || {
        test.run(&["status"])
            .ok()
            .contains("`kept` stays: `hooks.before_delete` (offshoot.toml, line 2) ended with 1")
    });
    fs::write(test.repo.join("allowed"), "").unwrap();
    test.run(&["branch", "create", "gone", "--ttl", "1s"]).ok();
    wait_until("it went", || test.branches() == ["main", "kept"]);
    // The one that failed is not asked again and again.
    assert_eq!(asked(), "kept\ngone\n");
    test.run(&["undo", "gone"]).ok();
}

#[test]
fn earlier_texts_of_a_command_stay_trusted_until_trust_is_taken_back() {
    let test = TestRepo::with_database();
    let (one, two) = ("after_create = 'echo one >> told'", "after_create = 'echo two >> told'");
    with(&test, one);
    with(&test, two);
    // As a checkout of another git branch brings it back.
    write(&test, &hooks(one));
    test.run(&["branch", "create", "first"]).ok();
    write(&test, &hooks(two));
    test.run(&["branch", "create", "second"]).ok();
    assert_eq!(fs::read_to_string(test.repo.join("told")).unwrap(), "one\ntwo\n");
    test.run(&["policy", "trust", "--revoke"]).ok();
    for text in [one, two] {
        write(&test, &hooks(text));
        test.run(&["branch", "create", &format!("after-{}", &text[21..24])]).ok();
    }
    assert_eq!(fs::read_to_string(test.repo.join("told")).unwrap(), "one\ntwo\n");
}

#[test]
fn what_is_told_of_a_command_that_failed_can_be_dismissed() {
    let test = TestRepo::with_database();
    with(&test, "after_create = 'exit 3'");
    test.run(&["branch", "create", "kept"]).fails(128);
    let told = test.run(&["status"]).ok();
    assert!(
        told.contains("`kept` is made, but its command failed")
            && told.contains("`offshoot status --dismiss`"),
        "{told}"
    );
    let after = test.run(&["status", "--dismiss", "--json"]).json();
    assert!(after["notes"].as_array().is_none_or(Vec::is_empty), "{after}");
    assert!(!test.run(&["status"]).ok().contains("its command failed"));
}

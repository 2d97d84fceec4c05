//! Rules of `offshoot.toml` about branches: what they stop, and what they let through.

#![allow(clippy::unwrap_used, missing_docs, reason = "only tests are here")]

#[path = "policy/env_file.rs"]
mod env_file;
#[path = "policy/hooks.rs"]
mod hooks;
#[path = "policy/initial.rs"]
mod initial;
#[path = "policy/masked.rs"]
mod masked;
mod support;
#[path = "policy/unread.rs"]
mod unread;
#[path = "policy/writers.rs"]
mod writers;

use std::fs;

use serde_json::Value;
use support::TestRepo;

/// All at once: the engine reads the file whenever it changes.
fn write(test: &TestRepo, rules: &str) {
    let beside = test.root().join("rules");
    fs::write(&beside, rules).unwrap();
    fs::rename(beside, test.repo.join("offshoot.toml")).unwrap();
}

fn branch(test: &TestRepo, name: &str) -> Value {
    let list = test.run(&["branch", "list", "--json"]).json();
    let found = list["branches"].as_array().unwrap().iter().find(|branch| branch["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list}")).clone()
}

/// How many hours until the branch goes to the trash, rounded.
fn hours(test: &TestRepo, name: &str) -> Option<u64> {
    let left = branch(test, name)["expiresAt"].as_u64()? as i64 - now();
    Some((left as f64 / 3600.0).round() as u64)
}

fn now() -> i64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64
}

const RULES: &str = "\
[[branches]]
pattern = 'main'
protected = true

[[branches]]
pattern = 'staging'
protected = true

[[branches]]
pattern = 'feature/**'
parent = 'staging'
ttl = '14d'
max_bytes = '1GB'

[[branches]]
pattern = 'quiet/*'
on_checkout = 'switch'
max_bytes = '1KB'

[limits]
branches = 8
";

#[test]
fn rules_hold_where_branches_are_made_changed_and_removed() {
    let test = TestRepo::with_database();
    write(&test, RULES);
    let create = |name: &str| test.run(&["branch", "create", name]);

    // Parent: the rule's; where that is not there, it is told; another one only against the rule.
    let missing = create("feature/a").fails(128);
    assert!(missing.contains("made from `staging` (offshoot.toml, line 11)"), "{missing}");
    assert!(missing.contains("`offshoot branch create staging`"), "{missing}");
    create("staging").ok();
    test.run(&["sql", "--branch", "staging", "-c", "create table of_staging ()"]).ok();
    create("feature/a").ok();
    assert_eq!(branch(&test, "feature/a")["parent"], "staging");
    let other = test.run(&["branch", "create", "feature/b", "--from", "main"]).fails(128);
    assert!(other.contains("not from `main`") && other.contains("--from main --override"), "{other}");
    test.run(&["branch", "create", "feature/b", "--from", "main", "--override"]).ok();
    assert_eq!(branch(&test, "feature/b")["parent"], "main");
    test.run(&["branch", "create", "other"]).ok();
    assert_eq!(branch(&test, "other")["parent"], "main", "no rule fits");

    // The same by a checkout, whatever git cut it from. Its time is the rule's, a person's own goes before it.
    test.git(&["checkout", "-q", "-b", "feature/by-git"]);
    assert_eq!(test.value("select count(*) from pg_class where relname = 'of_staging'"), "1");
    assert_eq!((hours(&test, "feature/by-git"), hours(&test, "feature/a")), (Some(14 * 24), Some(14 * 24)));
    assert_eq!((hours(&test, "other"), hours(&test, "staging")), (None, None));

    // A rule's answer to a checkout.
    test.git(&["checkout", "-q", "-b", "quiet/x"]);
    assert_eq!(test.status()["branch"]["name"], "feature/by-git");
    test.run(&["branch", "create", "quiet/x", "--ttl", "2h"]).ok();
    assert_eq!(hours(&test, "quiet/x"), Some(2));

    // Its quota is told, and nothing is refused for it.
    test.run(&[
        "sql",
        "-c",
        "create table filled as select n, repeat('x', 500) from generate_series(1, 2000) n",
    ])
    .ok();
    let status = test.run(&["status"]).ok();
    assert!(status.contains("`quiet/x` has") && status.contains("is over its 1.0 KB"), "{status}");
    let list = test.run(&["branch", "list"]).ok();
    let told: Vec<_> = list.lines().filter(|line| line.contains("over its")).collect();
    assert!(told.len() == 1 && told[0].contains("quiet/x"), "{list}");

    // The cap on their number, for people and for checkouts.
    create("last").ok();
    let full = create("ninth").fails(128);
    assert!(
        full.contains(
            "there are 8 database branches, and `limits.branches` allows 8 (offshoot.toml, line 21)"
        ),
        "{full}"
    );
    test.git(&["checkout", "-q", "-b", "feature/too-many"]);
    assert!(test.run(&["url"]).fails(128).contains("`limits.branches` allows 8"));
    test.git(&["checkout", "-q", "main"]);
    create("ninth").fails(128);
    test.run(&["branch", "create", "ninth", "--override"]).ok();

    // A guard, and who says that it is meant.
    for verb in [
        &["branch", "delete", "staging"] as &[&str],
        &["branch", "reset", "staging"],
        &["branch", "rename", "staging", "stage"],
        &["restore", "staging", "--at", "@fork"],
    ] {
        let refused = test.run(verb).fails(128);
        assert!(refused.contains("`staging` is protected by offshoot.toml, line 7"), "{refused}");
        assert!(
            refused.contains(&format!("offshoot {}", verb[..2].join(" "))) && refused.contains("--override")
        );
    }
    assert_eq!(branch(&test, "staging")["protected"], true);
    let rule = test.run(&["branch", "unprotect", "staging"]).fails(128);
    assert!(rule.contains("by offshoot.toml, line 7"), "{rule}");
    test.run(&["restore", "staging", "--at", "@fork", "--override"]).ok();
    test.run(&["branch", "reset", "staging", "--override"]).ok();
    let back = test.run(&["undo", "staging"]).fails(128);
    assert!(back.contains("`offshoot undo staging --override`"), "{back}");
    test.run(&["undo", "staging", "--override"]).ok();
    test.run(&["branch", "rename", "staging", "stage", "--override"]).ok();
    assert_eq!(branch(&test, "stage")["protected"], false, "no rule fits the new name");
    test.run(&["branch", "reset", "stage"]).ok();
    test.run(&["branch", "rename", "stage", "staging"]).ok();
    test.run(&["branch", "delete", "ninth"]).ok();
    test.run(&["branch", "delete", "staging", "--override"]).ok();
    // What a person guards is for a person to give free.
    test.run(&["branch", "protect", "other"]).ok();
    assert!(test.run(&["branch", "delete", "other", "--override"]).fails(128).contains("unprotect other"));

    explained(&test);
    planned(&test);
    guarded_from_other_branches(&test);
}

fn explained(test: &TestRepo) {
    let shown = test.run(&["policy", "explain", "feature/a"]).ok();
    for part in
        ["the rule `feature/**` in offshoot.toml:10 decides", "offshoot.toml:11", "14d", "on_checkout"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let found = test.run(&["policy", "explain", "main", "--json"]).json();
    let setting = |key: &str| {
        let all = found["settings"].as_array().unwrap();
        all.iter().find(|setting| setting["key"] == key).unwrap().clone()
    };
    assert_eq!(
        (&setting("protected")["value"], &setting("protected")["place"]["line"]),
        (&"true".into(), &3.into())
    );
    assert_eq!(
        (&setting("ttl")["by"], &setting("on_checkout")["value"]),
        (&"default".into(), &"create".into())
    );
    let unborn = test.run(&["policy", "explain", "nobody/yet"]).ok();
    assert!(unborn.starts_with("nobody/yet (there is no such branch yet): no rule fits"), "{unborn}");
}

fn planned(test: &TestRepo) {
    test.run(&["branch", "expire", "feature/b", "--in", "5d"]).ok();
    write(test, &RULES.replace("'14d'", "'3d'").replace("'quiet/*'", "'{quiet/*,other}'\nttl = '1d'"));
    let plan = test.run(&["policy", "plan", "--json"]).json();
    let mut changed: Vec<_> =
        plan["changes"].as_array().unwrap().iter().map(|change| change["name"].as_str().unwrap()).collect();
    changed.sort_unstable();
    assert_eq!(changed, ["feature/a", "feature/by-git", "other"]);
    assert_eq!(plan["kept"], serde_json::json!(["feature/b", "quiet/x"]), "a person set them");
    assert_eq!(plan["guarded"][0]["name"], "main");
    assert_eq!((hours(test, "feature/a"), hours(test, "other")), (Some(14 * 24), None), "only planned");
    let asked = test.run(&["policy", "apply"]).fails(128);
    assert!(asked.contains("nobody is there to be asked"), "{asked}");
    assert!(test.run(&["policy", "apply", "--yes"]).ok().contains("Changed 3 branches."));
    assert_eq!((hours(test, "feature/a"), hours(test, "other")), (Some(3 * 24), Some(24)));
    assert_eq!(hours(test, "feature/b"), Some(5 * 24));
    let again = test.run(&["policy", "plan"]).ok();
    assert!(again.starts_with("Every branch is as the rules have it."), "{again}");
    write(test, RULES);
    // What a reset branch keeps is still the rule's.
    test.run(&["branch", "reset", "other"]).fails(128);
    test.run(&["branch", "unprotect", "other"]).ok();
    test.run(&["branch", "reset", "other"]).ok();
    let plan = test.run(&["policy", "plan", "--json"]).json();
    let other =
        plan["changes"].as_array().unwrap().iter().find(|change| change["name"] == "other").unwrap().clone();
    assert_eq!(other["why"], "no rule gives it a time any more");
    test.run(&["policy", "apply", "--yes"]).ok();
    assert_eq!((hours(test, "feature/a"), hours(test, "other")), (Some(14 * 24), None));
}

fn guarded_from_other_branches(test: &TestRepo) {
    let kept = "[[branches]]\npattern = '{main,kept}'\nprotected = true\n";
    write(test, kept);
    test.git(&["add", "offshoot.toml"]);
    test.commit("rules");
    test.run(&["branch", "create", "kept"]).ok();
    // A git branch that edits its copy, and commits it, takes no guard away.
    test.git(&["checkout", "-q", "-b", "sly"]);
    write(test, "");
    test.git(&["commit", "-qam", "no rules"]);
    let refused = test.run(&["branch", "delete", "kept"]).fails(128);
    assert!(refused.contains("by offshoot.toml as committed on `main`, line 3"), "{refused}");
    assert!(refused.contains("when it is committed on `main`"), "{refused}");
    let shown = test.run(&["policy", "explain", "kept"]).ok();
    assert!(shown.contains("main:offshoot.toml:3"), "{shown}");
    // It can add one.
    write(test, "[[branches]]\npattern = 'other'\nprotected = true\n");
    test.run(&["branch", "delete", "other"]).fails(128);
    // A broken file guards what it guarded; an engine that never read it good knows nothing, and refuses.
    write(test, "[[branches]]\npattern = 'other'\nprotected = true\nx = 1\n");
    assert!(test.run(&["branch", "delete", "other"]).fails(128).contains("is protected by"));
    test.run(&["engine", "stop"]).ok();
    let unknown = test.run(&["branch", "delete", "other"]).fails(128);
    assert!(unknown.contains("unknown key `branches.x`") && unknown.contains("--override"), "{unknown}");
    write(test, "");
    test.run(&["branch", "delete", "other"]).ok();
    test.git(&["checkout", "-q", "main"]);
    test.git(&["checkout", "-q", "sly", "--", "offshoot.toml"]);
    test.git(&["commit", "-qm", "no rules any more"]);
    test.run(&["branch", "delete", "kept"]).ok();
}

#[test]
fn a_file_is_checked_without_a_project() {
    let test = TestRepo::new();
    assert!(test.run(&["policy", "check"]).ok().contains("There is no offshoot.toml"));
    write(&test, RULES);
    assert_eq!(test.run(&["policy", "check"]).ok(), "offshoot.toml is good.");
    let wrong = "[[branches]]\npattern = 'ä/**'\nprotectd = true\n[[branches]]\npattern = 'ä/x'\n";
    fs::write(test.repo.join("other.toml"), wrong).unwrap();
    let ran = test.run(&["policy", "check", "other.toml"]);
    assert_eq!(ran.code, 1, "{}{}", ran.out, ran.err);
    assert!(
        ran.out.starts_with("other.toml:3:1: unknown key `branches.protectd`\n    Did you mean"),
        "{}",
        ran.out
    );
    let ran = test.run(&["policy", "check", "other.toml", "--json"]);
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, found["problems"].as_array().unwrap().len()), (1, 1));
    assert!(test.run(&["policy", "check", "none.toml"]).fails(128).contains("no file none.toml"));
    // From a folder below, and what is a syntax error.
    write(&test, "[limits\n");
    fs::create_dir(test.repo.join("below")).unwrap();
    let below = test.run_in(&test.repo.join("below"), &["policy", "check"]);
    assert!(below.code == 1 && below.out.contains("/offshoot.toml:1:"), "{}", below.out);
    assert!(!test.root().join("home").exists(), "nothing was made");
}

#[test]
fn who_makes_a_branch_is_told_which_line_gave_it_its_parent() {
    let test = TestRepo::with_database();
    test.run(&["branch", "create", "staging"]).ok();
    write(&test, "[[branches]]\npattern = 'feature/**'\nparent = 'staging'\n");
    let made = test.run(&["branch", "create", "feature/told"]).ok();
    assert!(made.contains("from staging. That is its parent by offshoot.toml:3."), "{made}");
    let made = test.run(&["branch", "create", "feature/now", "--json"]).json();
    assert_eq!((&made["parent"], &made["parentRule"]["line"]), (&"staging".into(), &3.into()), "{made}");
    let asked = test.run(&["branch", "create", "feature/asked", "--from", "staging"]).ok();
    assert!(!asked.contains("offshoot.toml"), "{asked}");
    let other = test.run(&["branch", "create", "other", "--json"]).json();
    assert!(other["parentRule"].is_null(), "{other}");
}

#[test]
fn a_branch_says_whether_only_a_rule_protects_it_that_an_override_goes_past() {
    let test = TestRepo::with_database();
    let of_main = || {
        let main = branch(&test, "main");
        (main["protected"].as_bool(), main["overridable"].as_bool())
    };
    assert_eq!(of_main(), (Some(false), None));
    let rule = "[[branches]]\npattern = 'main'\nprotected = true\n";
    write(&test, rule);
    assert_eq!(of_main(), (Some(true), Some(true)));
    write(&test, &format!("{rule}override = false\n"));
    assert_eq!(of_main(), (Some(true), None));
    write(&test, rule);
    test.run(&["branch", "protect", "main"]).ok();
    assert_eq!(of_main(), (Some(true), None), "a person protects it as well");
}

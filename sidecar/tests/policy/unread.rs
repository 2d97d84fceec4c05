//! A file with a mistake, and an engine that never read a good one: its rules are not known.

use std::fs;

use crate::support::TestRepo;
use crate::{branch, hours, write};

const RULES: &str = "\
[[branches]]
pattern = 'feature/**'
ttl = '14d'

[hooks]
after_create = 'true'
";

#[test]
fn where_no_good_file_was_ever_read_no_rule_is_taken_away_and_no_branch_is_made_without_its_rules() {
    let test = TestRepo::with_database();
    write(&test, RULES);
    test.run(&["branch", "create", "feature/bi"]).ok();
    assert_eq!(hours(&test, "feature/bi"), Some(14 * 24));

    // While the engine has read a good file, that one holds.
    let wrong = format!("zzz = 1\n{RULES}");
    write(&test, &wrong);
    assert!(test.run(&["policy", "plan"]).ok().starts_with("Every branch is as the rules have it."));
    assert!(test.run(&["status"]).ok().contains("the last good settings stay in force"));

    test.run(&["engine", "stop"]).ok();
    for verb in [
        &["policy", "plan"] as &[&str],
        &["policy", "apply", "--yes"],
        &["policy", "explain", "feature/bi"],
        &["policy", "trust", "--yes"],
        &["branch", "create", "feature/b"],
    ] {
        let refused = test.run(verb).fails(128);
        assert!(refused.contains("offshoot.toml, line 1: unknown key `zzz`"), "{verb:?}: {refused}");
        assert!(refused.contains("Until then "), "{verb:?}: {refused}");
    }
    let status = test.run(&["status"]).ok();
    assert!(status.contains("none of its settings are in force"), "{status}");
    assert_eq!(hours(&test, "feature/bi"), Some(14 * 24));
    assert!(test.run(&["policy", "trust", "--revoke"]).ok().contains("None of them runs any more."));

    // The same by a checkout, until the file is put right.
    test.git(&["checkout", "-q", "-b", "feature/by-git"]);
    let refused = test.run(&["url"]).fails(128);
    assert!(refused.contains("unknown key `zzz`") && refused.contains("is not made"), "{refused}");
    assert!(fs::read_to_string(test.repo.join("offshoot.toml")).unwrap() == wrong);
    test.run(&["branch", "create", "feature/meant", "--from", "main", "--override"]).ok();
    assert_eq!(hours(&test, "feature/meant"), None);
    write(&test, RULES);
    test.run(&["url"]).ok();
    assert_eq!(hours(&test, "feature/by-git"), Some(14 * 24));
    assert_eq!(branch(&test, "feature/by-git")["parent"], "main");
}

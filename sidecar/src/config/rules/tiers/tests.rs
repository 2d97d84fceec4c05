//! What tiers read as, where a branch goes, and what is said of mistakes.

use std::time::Duration;

use super::Check;
use crate::config::{parse, parse_all};

#[track_caller]
fn fault(text: &str) -> String {
    let (_, errors) = parse_all(text);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    format!("{} | {}", errors[0], errors[0].hint.as_deref().unwrap_or_default())
}

const CHAIN: &str = "[[branches]]\npattern = 'feature/**'\nparent = 'staging'\n[[branches]]\npattern = 'hotfix/*'\nparent = 'main'\n\
                     [[branches]]\npattern = 'part/*'\nparent = 'feature/all'\n[[branches]]\npattern = 'staging'\nparent = 'main'\n\
                     [[tiers]]\nbranch = 'dev'\n[[tiers]]\nbranch = 'staging'\n[[tiers]]\nbranch = 'main'\n";

#[test]
fn every_key_of_a_tier_is_read_with_its_line() {
    let text = "[migrations]\ncheck_command = 'npm test'\n[[tiers]]\nbranch = 'main'\nchecks = ['reversible', 'no-drift', 'command', 'command']\n\
                max_lock = '2s'\nmax_rewrite = '1MB'\noverride = false";
    let rules = parse(text).unwrap().rules;
    let tier = &rules.tiers.list[0];
    assert_eq!((tier.branch.value.as_str(), tier.branch.line), ("main", 4));
    let checks = tier.checks.as_ref().unwrap();
    assert_eq!(checks.value, [Check::Reversible, Check::NoDrift, Check::Command]);
    assert_eq!(tier.max_lock.as_ref().unwrap().value, Duration::from_secs(2));
    assert_eq!(tier.max_rewrite.as_ref().unwrap().value, 1_000_000);
    assert_eq!(tier.may_override.as_ref().map(|may| (may.value, may.line)), Some((false, 8)));
    assert_eq!(rules.tiers.command.as_deref(), Some("npm test"));
    assert!(Check::WORDS.iter().all(|(word, check)| check.as_str() == *word));
}

#[test]
fn a_branch_goes_to_the_nearest_tier_among_its_parents_and_a_tier_to_the_next() {
    let rules = parse(CHAIN).unwrap().rules;
    let next = |name: &str| rules.next_tier(name).map(|at| rules.tiers.list[at].branch.value.as_str());
    for (name, tier) in [
        ("dev", Some("staging")),
        ("staging", Some("main")),
        ("main", None),
        ("feature/x", Some("staging")),
        ("part/1", Some("staging")),
        ("hotfix/1", Some("main")),
        ("other", Some("dev")),
    ] {
        assert_eq!(next(name), tier, "{name}");
    }
    assert_eq!(parse("").unwrap().rules.next_tier("x"), None);
}

#[test]
fn misspelt_keys_and_checks_are_recognised() {
    assert!(
        fault("[[tiers]]\nbranch = 'a'\ncheck = []")
            .ends_with("line 3: unknown key `tiers.check` | Did you mean `tiers.checks`?")
    );
    assert!(fault("[[tier]]\nbranch = 'a'").ends_with("| Did you mean `tiers`?"));
    assert_eq!(
        fault("[[tiers]]\nbranch = 'a'\nchecks = ['applies', 'reversable']"),
        "line 3: `tiers.checks` has \"reversable\", which is no check | Did you mean \"reversible\"?"
    );
    assert!(fault("[[tiers]]\nbranch = 'a'\nchecks = ['x']").contains("| Known are applies, idempotent,"));
    assert!(fault("[[tiers]]\nbranch = 'a'\nchecks = 'applies'").contains("is text, not a list of checks"));
    assert!(fault("[[tiers]]\nbranch = 'a/*'").contains("| A tier is one branch, named in full"));
    assert!(fault("[[tiers]]\nchecks = []").contains("this tier has no `branch`"));
    assert!(fault("[tiers]\nbranch = 'a'").contains("with two brackets"));
    assert!(fault("[[tiers]]\nbranch = 'a'\nmax_lock = 'short'").contains("not a time such as"));
    assert!(fault("[[tiers]]\nbranch = 'a'\noverride = 'no'").contains("not true or false"));
}

#[test]
fn tiers_that_contradict_each_other_or_the_rules_are_told() {
    let twice = fault("[[tiers]]\nbranch = 'a'\n[[tiers]]\nbranch = 'b'\n[[tiers]]\nbranch = 'a'");
    assert!(twice.starts_with("line 6: `a` is a tier in line 2 already"), "{twice}");
    let rule = |name: &str, parent: &str| format!("[[branches]]\npattern = '{name}'\nparent = '{parent}'\n");
    let tiers = "[[tiers]]\nbranch = 'staging'\n[[tiers]]\nbranch = 'main'";
    let other = fault(&format!("{}{tiers}", rule("staging", "production")));
    assert!(
        other
            .starts_with("line 5: `staging` is made from `production` (line 3), and the next tier is `main`"),
        "{other}"
    );
    let circle = fault(&format!("{}{tiers}", rule("main", "staging")));
    assert!(
        circle.starts_with("line 7: `main` is made from `staging` (line 3), which is a tier before it"),
        "{circle}"
    );
    let unknown = fault(&format!("{}{tiers}", rule("main", "production")));
    assert!(
        unknown.contains("is the last tier, and is made from `production` (line 3), which is none"),
        "{unknown}"
    );
    let expiring = fault(&format!("[[branches]]\npattern = 'sta*'\nttl = '1d'\n{tiers}"));
    assert!(
        expiring.starts_with("line 5: the tier `staging` would go to the trash by itself (line 3)"),
        "{expiring}"
    );
    let command = fault("[[tiers]]\nbranch = 'a'\nchecks = ['command']");
    assert!(
        command.ends_with(
            "the check \"command\" has no command | Name it: [migrations] check_command = \"npm test\"."
        ),
        "{command}"
    );
    parse(CHAIN).unwrap();
    // Wherever the command stands in the file.
    parse("[[tiers]]\nbranch = 'a'\nchecks = ['command']\n[migrations]\ncheck_command = 'true'").unwrap();
}

//! What rules read as, which one decides, and what is said of mistakes and contradictions.

use std::time::Duration;

use crate::config::{OnCheckout, parse, parse_all};

fn faults(text: &str) -> Vec<String> {
    let (_, errors) = parse_all(text);
    let shown = |error: &crate::config::ConfigError| match &error.hint {
        Some(hint) => format!("{error} | {hint}"),
        None => error.to_string(),
    };
    errors.iter().map(shown).collect()
}

/// The one mistake of a file.
#[track_caller]
fn fault(text: &str) -> String {
    let mut all = faults(text);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn every_key_of_a_rule_is_read_with_its_line() {
    let text = "[[branches]]\npattern = 'main'\nprotected = true\n\n[[branches]]\npattern = 'feature/**'\nparent = 'main'\n\
                ttl = '14d'\non_checkout = 'ask'\nmax_bytes = '2GB'\nprotected = false\n\n[limits]\nbranches = 50\n";
    let rules = parse(text).unwrap().rules;
    let main = rules.find("main").unwrap();
    assert_eq!((main.pattern.line, main.guards()), (2, Some(3)));
    let feature = rules.find("feature/a/b").unwrap();
    let parent = feature.parent.as_ref().unwrap();
    assert_eq!((parent.value.as_str(), parent.line), ("main", 7));
    assert_eq!(feature.ttl.as_ref().unwrap().value, Duration::from_hours(14 * 24));
    assert_eq!(feature.on_checkout.as_ref().unwrap().value, OnCheckout::Ask);
    assert_eq!(feature.max_bytes.as_ref().unwrap().value, 2_000_000_000);
    assert_eq!(feature.guards(), None);
    assert_eq!(rules.most_branches.as_ref().map(|most| (most.value, most.line)), Some((50, 14)));
    assert!(rules.find("other").is_none() && rules.find("feature").is_none());
}

#[test]
fn an_override_is_forbidden_by_a_line_of_the_rule() {
    let fixed = |word: &str| {
        let text = format!("[[branches]]\npattern = 'main'\nprotected = true\noverride = {word}\n");
        parse(&text).unwrap().rules.find("main").unwrap().is_fixed()
    };
    assert_eq!((fixed("false"), fixed("true")), (Some(4), None));
}

#[test]
fn the_first_rule_that_fits_decides_alone() {
    let text = "[[branches]]\npattern = 'feature/keep'\n[[branches]]\npattern = 'feature/*'\nttl = '1d'\n\
                [[branches]]\npattern = '**'\nprotected = true";
    let rules = parse(text).unwrap().rules;
    let ttl = |name: &str| rules.find(name).and_then(|rule| rule.ttl.as_ref()).map(|ttl| ttl.value.as_secs());
    assert_eq!((ttl("feature/keep"), ttl("feature/x"), ttl("x")), (None, Some(86_400), None));
    let guarded: Vec<_> = ["feature/keep", "feature/x", "x", "feature/x/y"]
        .map(|name| rules.find(name).unwrap().guards().is_some())
        .to_vec();
    assert_eq!(guarded, [false, false, true, true]);
    assert_eq!(rules.all().len(), 3);
}

#[test]
fn unknown_keys_are_recognised() {
    let rule = |line: &str| fault(&format!("[[branches]]\npattern = 'a'\n{line}"));
    assert_eq!(
        rule("protect = true"),
        "line 3: unknown key `branches.protect` | Did you mean `branches.protected`?"
    );
    assert!(rule("max_byte = 1").ends_with("| Did you mean `branches.max_bytes`?"));
    assert!(rule("colour = 1").contains("Known are pattern, parent, ttl,"));
    assert!(fault("[limits]\nbranch = 3").ends_with("| Did you mean `limits.branches`?"));
    assert!(fault("[[branch]]\npattern = 'a'").contains("| Did you mean `branches`?"));
    assert!(fault("limit.branches = 3").contains("| Did you mean `limits`?"));
}

#[test]
fn a_time_that_is_too_long_or_has_another_unit_is_told_the_units_and_the_limit() {
    let ttl = |time: &str| fault(&format!("[[branches]]\npattern = 'a'\nttl = '{time}'"));
    assert_eq!(ttl("400d"), "line 3: `branches.ttl` is \"400d\", and the longest time is \"366d\"");
    assert_eq!(
        ttl("14 days"),
        "line 3: `branches.ttl` is \"14 days\", not a time such as \"30s\", \"5m\", \"1h\" or \"14d\" | \
         A number and a unit, `ms`, `s`, `m`, `h` or `d`: at most \"366d\"."
    );
}

#[test]
fn wrong_values_are_named_with_their_line() {
    let rule = |line: &str| fault(&format!("[[branches]]\npattern = 'a'\n{line}"));
    assert!(rule("ttl = '2 weeks'").starts_with("line 3: `branches.ttl` is \"2 weeks\", not a time such as"));
    assert!(rule("ttl = '0d'").starts_with("line 3: `branches.ttl` is less than a second"));
    assert!(rule("protected = 'yes'").starts_with("line 3: `branches.protected` is text, not true or false"));
    assert!(rule("on_checkout = 'craete'").ends_with("| Did you mean \"create\"?"));
    assert!(rule("max_bytes = 'much'").starts_with("line 3: `branches.max_bytes` is \"much\""));
    assert!(
        rule("parent = 'feature/*'")
            .starts_with("line 3: `branches.parent`: `feature/*` is not a branch name")
    );
    assert!(
        rule("parent = 3").starts_with("line 3: `branches.parent` is a number, not the name of a branch")
    );
    assert!(
        fault("[[branches]]\npattern = 'a b'").starts_with("line 2: the pattern `a b` fits no branch name")
    );
    assert!(fault("[[branches]]\npattern = '[ab]'").contains("| `*` stands for any part"));
    assert!(fault("[[branches]]\nttl = '1d'").starts_with("line 1: this rule has no `pattern`"));
    assert!(fault("[branches]\npattern = 'a'").contains("| Rules are a list: put `[[branches]]`"));
    assert!(fault("branches = ['a']").contains("`branches` has text, not a rule"));
    for wrong in ["0", "-1", "'9'", "1.5"] {
        assert!(
            fault(&format!("limits.branches = {wrong}")).contains("not a number of at least 1"),
            "{wrong}"
        );
    }
}

#[test]
fn a_file_with_several_mistakes_tells_all_in_their_order() {
    let found = faults(
        "idle_timeout = 5\n[[branches]]\npattern = 'a'\nttl = 1\nparents = 'x'\n[[branches]]\npattern = '?'\n[x]\n",
    );
    let lines: Vec<_> = found.iter().map(|fault| fault.split(':').next().unwrap()).collect();
    assert_eq!(lines, ["line 1", "line 4", "line 5", "line 7", "line 8"]);
}

#[test]
fn a_guard_holds_in_a_rule_with_another_mistake_and_the_rest_of_the_file_does_too() {
    let text = "[[branches]]\npattern = 'main'\nprotected = true\nttl = 7\n[[branches]]\npattern = 'x'\nttl = 7\n[limits]\nbranches = 3";
    let (config, errors) = parse_all(text);
    assert_eq!(errors.len(), 2);
    assert!(config.rules.find("main").unwrap().guards().is_some());
    assert!(config.rules.find("x").is_none() && config.rules.most_branches.is_some());
}

#[test]
fn a_rule_that_never_decides_is_told_with_the_one_that_comes_first() {
    let two = |first: &str, second: &str| {
        faults(&format!("[[branches]]\npattern = '{first}'\n[[branches]]\npattern = '{second}'"))
    };
    assert_eq!(
        two("feature/*", "feature/*"),
        [
            "line 4: the pattern `feature/*` stands in line 2 already | The first rule that fits decides alone: put both into one."
        ]
    );
    for (first, second) in [("**", "main"), ("feature/**", "feature/*"), ("f*", "fix-*"), ("{a,b}", "b")] {
        let found = two(first, second);
        assert_eq!(found.len(), 1, "{first} {second}");
        assert!(found[0].starts_with("line 4: this rule never decides: ") && found[0].contains("in line 2"));
    }
    for (first, second) in [("main", "**"), ("feature/*", "feature/**"), ("a", "{a,b}")] {
        assert_eq!(two(first, second), [] as [String; 0], "{first} {second}");
    }
    let together =
        "[[branches]]\npattern = 'a'\n[[branches]]\npattern = 'b'\n[[branches]]\npattern = '{a,b}'";
    assert!(fault(together).starts_with("line 6: this rule never decides: those above fit all"));
}

#[test]
fn a_branch_cannot_come_from_itself_nor_round_in_a_circle() {
    let itself = fault("[[branches]]\npattern = 'main'\nparent = 'main'");
    assert!(itself.starts_with("line 3: `main` would be its own parent"), "{itself}");
    let wide = fault("[[branches]]\npattern = '**'\nparent = 'main'");
    assert!(
        wide.starts_with("line 3: `**` fits `main` too") && wide.contains("Put a rule for it before"),
        "{wide}"
    );
    assert_eq!(
        faults("[[branches]]\npattern = 'main'\n[[branches]]\npattern = '**'\nparent = 'main'"),
        [] as [String; 0]
    );
    let circle = fault(
        "[[branches]]\npattern = 'a'\nparent = 'b'\n[[branches]]\npattern = 'b'\nparent = 'c/x'\n[[branches]]\npattern = 'c/*'\nparent = 'a'",
    );
    assert!(circle.contains("parents go round in a circle: `b` from `c/x` from `a` from `b`"), "{circle}");
    let chain = "[[branches]]\npattern = 'main'\n[[branches]]\npattern = 'staging'\nparent = 'main'\n[[branches]]\npattern = '**'\nparent = 'staging'";
    assert_eq!(faults(chain), [] as [String; 0]);
}

#[test]
fn what_is_protected_cannot_expire() {
    let found = fault("[[branches]]\npattern = 'main'\nprotected = true\nttl = '1d'");
    assert!(found.starts_with("line 4: branches of this rule are protected (line 3)"), "{found}");
    assert!(found.ends_with("| Remove `ttl`, or `protected`."));
    assert_eq!(faults("[[branches]]\npattern = 'a'\nprotected = false\nttl = '1d'"), [] as [String; 0]);
}

#[test]
fn masked_data_are_asked_for_where_something_is_masked() {
    let rule = "[[branches]]\npattern = 'x'\nmasking = 'required'\n";
    assert!(fault(rule).contains(
        "no branch can be made by this: `[masking.columns]` masks nothing | Name the columns there"
    ));
    assert!(fault(&format!("[masking.columns]\n'public.a.b' = 'keep'\n{rule}")).contains("masks nothing"));
    let read =
        parse(&format!("{rule}[masking.columns]\n'public.a.b' = 'null'\n'public.a.c' = 'keep'\n")).unwrap();
    assert_eq!(read.rules.find("x").unwrap().wants_masked(), Some(3));
    assert_eq!(read.rules.masked, ["public.a.b"]);
    assert!(fault(&rule.replace("required", "requird")).ends_with("| Did you mean \"required\"?"));
    parse(&rule.replace("required", "any")).unwrap();
}

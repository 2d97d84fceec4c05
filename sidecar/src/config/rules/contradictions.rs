//! Rules that cannot all be meant.

use std::ops::Range;

use super::{Pattern, Rule};

/// What is wrong with rules that can each be read: where, what, and how to put it right.
pub(in crate::config) struct Contradiction {
    pub(in crate::config) span: Range<usize>,
    pub(in crate::config) message: String,
    pub(in crate::config) hint: String,
}

/// What contradicts itself in `rules`, in the order of the file.
pub(in crate::config) fn contradictions(rules: &[Rule]) -> Vec<Contradiction> {
    let mut found = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        found.extend(never_asked(rule, &rules[..index]));
        found.extend(own_parent(rule, rules));
        found.extend(expiring_guard(rule));
    }
    found.extend(circle(rules));
    found
}

/// The first rule that fits decides, so that one behind it may have nothing left to decide.
fn never_asked(rule: &Rule, before: &[Rule]) -> Option<Contradiction> {
    let (pattern, span) = (&rule.pattern.value, rule.pattern.span.clone());
    if let Some(same) = before.iter().find(|other| other.pattern.value == *pattern) {
        let message = format!("the pattern `{pattern}` stands in line {} already", same.pattern.line);
        let hint = "The first rule that fits decides alone: put both into one.".to_owned();
        return Some(Contradiction { span, message, hint });
    }
    let move_it =
        "The first rule that fits decides alone: put the narrower rule before the wider one, or remove it.";
    if let Some(wider) = before.iter().find(|other| pattern.is_within(&[&other.pattern.value])) {
        let (line, other) = (wider.pattern.line, &wider.pattern.value);
        let message = format!(
            "this rule never decides: `{other}` in line {line} comes first and fits all that `{pattern}` fits"
        );
        return Some(Contradiction { span, message, hint: move_it.to_owned() });
    }
    let all: Vec<&Pattern> = before.iter().map(|other| &other.pattern.value).collect();
    (all.len() > 1 && pattern.is_within(&all)).then(|| Contradiction {
        span,
        message: format!("this rule never decides: those above fit all that `{pattern}` fits"),
        hint: move_it.to_owned(),
    })
}

fn deciding<'r>(rules: &'r [Rule], name: &str) -> Option<&'r Rule> {
    rules.iter().find(|rule| rule.pattern.value.glob().compile_matcher().is_match(name))
}

/// The rule says where its own parent is to come from: from itself.
fn own_parent(rule: &Rule, rules: &[Rule]) -> Option<Contradiction> {
    let parent = rule.parent.as_ref()?;
    let decides = deciding(rules, &parent.value).is_some_and(|first| std::ptr::eq(first, rule));
    if !decides {
        return None;
    }
    let (name, pattern) = (&parent.value, &rule.pattern.value);
    let (message, hint) = if pattern.name().is_some() {
        (format!("`{name}` would be its own parent"), "Name another branch, or remove this line.".to_owned())
    } else {
        let hint = format!("Put a rule for it before this one: [[branches]] pattern = \"{name}\".");
        (format!("`{pattern}` fits `{name}` too, which would be its own parent"), hint)
    };
    Some(Contradiction { span: parent.span.clone(), message, hint })
}

/// Parents whose parents lead back to them.
fn circle(rules: &[Rule]) -> Option<Contradiction> {
    for rule in rules {
        let mut names: Vec<&str> = Vec::new();
        let mut next = rule.parent.as_ref();
        while let Some(parent) = next {
            if let Some(begin) = names.iter().position(|name| *name == parent.value) {
                // One that leads to itself was told as that.
                let round = &names[begin..];
                if round.len() < 2 {
                    break;
                }
                let shown: Vec<String> =
                    round.iter().chain(&round[..1]).map(|name| format!("`{name}`")).collect();
                return Some(Contradiction {
                    span: parent.span.clone(),
                    message: format!("parents go round in a circle: {}", shown.join(" from ")),
                    hint: "One of them has to come from a branch outside, or have no `parent`.".to_owned(),
                });
            }
            names.push(&parent.value);
            next = deciding(rules, &parent.value).and_then(|rule| rule.parent.as_ref());
        }
    }
    None
}

/// What is protected does not go to the trash by itself.
fn expiring_guard(rule: &Rule) -> Option<Contradiction> {
    let (ttl, line) = (rule.ttl.as_ref()?, rule.guards()?);
    Some(Contradiction {
        span: ttl.span.clone(),
        message: format!(
            "branches of this rule are protected (line {line}) and would never go to the trash by themselves"
        ),
        hint: "Remove `ttl`, or `protected`.".to_owned(),
    })
}

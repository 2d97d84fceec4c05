//! Patterns of branch names.
//!
//! They are globs of the crate `globset` with literal separators: `*` within a part of a name, `**` for any number of parts, `{a,b}`
//! for one of several. No branch name has `*`, `?`, `[` or `\`, so that nothing has to be escaped; `?` and `[…]` stand for bytes there,
//! which is not what somebody means who writes them, and are refused.

use std::collections::HashSet;
use std::fmt;

use globset::{Glob, GlobBuilder};
use regex_automata::Anchored;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::util::{start, syntax};

use crate::names;

/// Longer patterns are none.
const MOST_BYTES: usize = 512;
/// Memory for one automaton, in bytes, and pairs of states to compare. What needs more is taken for a pattern that may fit.
const MOST_MEMORY: usize = 4 << 20;
const MOST_PAIRS: usize = 200_000;

/// A pattern of branch names.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Glob);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Pattern {
    /// Takes a text as a pattern.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence that begins with the pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("is longer than {MOST_BYTES} bytes"));
        }
        if let Some(sign) = text.chars().find(|c| "?[\\!".contains(*c)) {
            return Err(format!("has a `{sign}`, which means nothing here"));
        }
        if text.split('/').any(|part| part.contains("**") && part != "**") {
            return Err("has a `**` that does not stand alone between slashes".to_owned());
        }
        // Any name in the place of the signs tells whether there are names at all that fit.
        let example: String = text.replace('*', "x").chars().filter(|c| !"{}".contains(*c)).collect();
        if let Err(failure) = names::check(&example) {
            let why = failure.0.message;
            let why = why.rsplit_once(": ").map_or(why.as_str(), |(_, why)| why);
            return Err(format!("fits no branch name: {why}"));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(false).build();
        glob.map(Self).map_err(|error| format!("is no pattern: {}", error.kind()))
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        self.0.glob()
    }

    pub(super) fn glob(&self) -> &Glob {
        &self.0
    }

    /// The one name that it stands for, if it is no more than a name.
    pub(crate) fn name(&self) -> Option<&str> {
        let text = self.as_str();
        (!text.contains(['*', '{', '}'])).then_some(text)
    }

    /// Whether each name that it fits is fitted by one of `others`. Says no where finding out would take too much.
    pub(super) fn is_within(&self, others: &[&Self]) -> bool {
        let automaton = |globs: &[&str]| {
            dense::Builder::new()
                .configure(
                    dense::Config::new()
                        .start_kind(StartKind::Anchored)
                        .dfa_size_limit(Some(MOST_MEMORY))
                        .determinize_size_limit(Some(MOST_MEMORY)),
                )
                .syntax(syntax::Config::new().utf8(false))
                .thompson(regex_automata::nfa::thompson::Config::new().utf8(false))
                .build_many(globs)
                .ok()
        };
        let others: Vec<&str> = others.iter().map(|other| other.0.regex()).collect();
        match (automaton(&[self.0.regex()]), automaton(&others)) {
            (Some(inner), Some(outer)) => includes(&outer, &inner).unwrap_or(false),
            _ => false,
        }
    }
}

/// Whether `outer` accepts all that `inner` accepts. `None` if there are too many states to tell.
fn includes(outer: &impl Automaton, inner: &impl Automaton) -> Option<bool> {
    let begin = start::Config::new().anchored(Anchored::Yes);
    let first = (inner.start_state(&begin).ok()?, outer.start_state(&begin).ok()?);
    let mut seen = HashSet::from([first]);
    let mut next = vec![first];
    while let Some((mine, theirs)) = next.pop() {
        let accepts = inner.is_match_state(inner.next_eoi_state(mine));
        if accepts && !outer.is_match_state(outer.next_eoi_state(theirs)) {
            return Some(false);
        }
        // No name has control characters.
        for byte in b' '..=u8::MAX {
            let pair = (inner.next_state(mine, byte), outer.next_state(theirs, byte));
            if !inner.is_dead_state(pair.0) && seen.insert(pair) {
                next.push(pair);
            }
        }
        if seen.len() > MOST_PAIRS {
            return None;
        }
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    fn fits(text: &str, name: &str) -> bool {
        pattern(text).glob().compile_matcher().is_match(name)
    }

    #[test]
    fn a_star_stays_within_a_part_and_two_stars_do_not() {
        for (text, name) in [
            ("main", "main"),
            ("feature/*", "feature/größe"),
            ("*", "x.y-1"),
            ("**", "a/b/c"),
            ("**", "a"),
            ("feature/**", "feature/a/b"),
            ("**/wip", "wip"),
            ("**/wip", "a/b/wip"),
            ("a/**/z", "a/z"),
            ("a/**/z", "a/b/c/z"),
            ("{fix,feature}/*", "fix/1"),
            ("release-*", "release-1.2"),
        ] {
            assert!(fits(text, name), "{text} {name}");
        }
        for (text, name) in [
            ("main", "mainly"),
            ("main", "Main"),
            ("feature/*", "feature/a/b"),
            ("*", "a/b"),
            ("feature/**", "feature"),
            ("feature/**", "features/a"),
            ("{fix,feature}/*", "chore/1"),
        ] {
            assert!(!fits(text, name), "{text} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "it is empty"),
            ("a?", "`?`"),
            ("[ab]", "`[`"),
            ("!main", "`!`"),
            ("feature**", "stand alone"),
            ("/a", "a part between slashes is empty"),
            ("a/", "a part between slashes is empty"),
            ("a b", "a space"),
            ("a..b", "`..`"),
            ("{a", "is no pattern"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(Pattern::parse(&"x".repeat(513)).unwrap_err().contains("longer"));
    }

    #[test]
    fn a_pattern_is_within_others_exactly_if_they_fit_all_that_it_fits() {
        let within = |inner: &str, outer: &[&str]| {
            let outer: Vec<_> = outer.iter().map(|text| pattern(text)).collect();
            pattern(inner).is_within(&outer.iter().collect::<Vec<_>>())
        };
        assert!(within("main", &["*"]) && within("main", &["**"]) && within("a/*", &["a/**"]));
        assert!(within("feature/x/*", &["feature/*/*"]) && within("{a,b}", &["a", "b"]));
        assert!(within("fix-*", &["f*"]) && within("**/x", &["x", "**/x"]));
        assert!(within("*", &["*", "nothing"]));
        assert!(!within("a/**", &["a/*"]) && !within("**", &["*"]) && !within("*", &["main"]));
        assert!(
            !within("feature/*", &["fix/*", "*"]) && !within("{a,b,c}", &["a", "b"]) && !within("a", &[])
        );
    }
}

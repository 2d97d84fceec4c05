//! Random histories of git: after each step every endpoint leads where docs/git.md says, no data are lost that it does not name, and
//! all of git's files are byte for byte what git alone would have made. Windows that are open on the worktrees come to show the same.
//!
//! Real git does each step in a repository with Offshoot and in a twin without. `OFFSHOOT_TEST_STEPS=10000` takes more steps, in rounds of
//! 500; a failure prints the seed of its round, which `OFFSHOOT_TEST_SEED` takes back.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "only tests are here")]

#[path = "support/editor.rs"]
mod editor;
#[path = "git_histories/index.rs"]
mod index;
#[path = "git_histories/model.rs"]
mod model;
#[path = "git_histories/pair.rs"]
mod pair;
#[path = "git_histories/round.rs"]
mod round;
#[path = "git_histories/steps.rs"]
mod steps;
mod support;
#[path = "git_histories/windows.rs"]
mod windows;

use round::Round;

/// Steps of a round: a repository of its own.
const ROUND: usize = 500;
/// What `npm test` begins with.
const SEED: u64 = 8;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn no_history_of_git_leads_an_endpoint_astray_or_is_changed_by_it() {
    let mut left = usize::try_from(number("OFFSHOOT_TEST_STEPS").unwrap_or(ROUND as u64)).unwrap();
    let mut seed = number("OFFSHOOT_TEST_SEED").unwrap_or(SEED);
    while left > 0 {
        let steps = left.min(ROUND);
        println!("OFFSHOOT_TEST_SEED={seed} OFFSHOOT_TEST_STEPS={steps}");
        Round::new(seed).run(steps);
        left -= steps;
        seed += 1;
    }
}

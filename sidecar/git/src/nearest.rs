//! The branch that another one most likely grew from, by ancestry alone.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};

use crate::discover::Worktree;
use crate::error::GitError;
use crate::name::{branch_name_from_bytes, full, short};
use crate::reflog::{Entry, reflog};
use crate::run::{arg, git_at};

/// How many branches are compared, those with the newest commits first.
const MAX_CANDIDATES: usize = 50;
/// How many of the best are checked for a common commit at all.
const MAX_CHECKED: usize = 5;

/// How many commits each of two branches has that the other lacks.
#[derive(Debug, Clone, Copy)]
struct Distance {
    candidate_only: u64,
    branch_only: u64,
}

/// Finds the other branch whose common commit with `branch` (a short name) is nearest to the tip of `branch`.
///
/// Compares the 50 branches with the newest commits, the usual main branches and the one that HEAD was on before.
/// Of equals, the one that HEAD was on before counts most, then `main`, `master` and `init.defaultBranch`, then the
/// one with the newest commit. A branch that contains `branch` and more is rather its child, and comes last unless
/// it is one of the preferred. None if `branch` is unborn or shares no commit with another one.
pub fn nearest_branch(worktree: &Worktree, branch: &str) -> Result<Option<String>, GitError> {
    let Some(tip) = tip(worktree, branch)? else { return Ok(None) };
    let preferred = preferred(worktree, branch)?;
    let candidates = candidates(worktree, branch, &preferred)?;
    let distances = distances(worktree, &tip, &candidates)?;
    let mut ranked: Vec<_> = candidates
        .iter()
        .enumerate()
        .filter_map(|(recency, name)| {
            let distance = distances.get(name)?;
            let rank = preferred.iter().position(|other| other == name).unwrap_or(preferred.len());
            let is_child =
                distance.branch_only == 0 && distance.candidate_only > 0 && rank == preferred.len();
            Some(((is_child, distance.branch_only, rank, recency), name))
        })
        .collect();
    ranked.sort_unstable();
    for (_, name) in ranked.into_iter().take(MAX_CHECKED) {
        if has_common_commit(worktree, &tip, name)? {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

fn run<'a>(
    worktree: &Worktree,
    args: impl IntoIterator<Item = &'a OsStr>,
) -> Result<crate::run::Answer, GitError> {
    git_at(&worktree.git_dir, &args.into_iter().collect::<Vec<_>>())
}

/// The commit id of a branch; none if it is unborn.
fn tip(worktree: &Worktree, branch: &str) -> Result<Option<OsString>, GitError> {
    let name = arg(&full(branch));
    let answer = run(worktree, ["rev-parse", "-q", "--verify"].map(OsStr::new).into_iter().chain([&*name]))?;
    Ok(answer.is_success().then(|| arg(answer.line())))
}

/// The branches to prefer among equals, best first.
fn preferred(worktree: &Worktree, branch: &str) -> Result<Vec<String>, GitError> {
    let name = crate::name::branch_name_to_bytes(branch);
    let log = reflog(&worktree.common_dir, &worktree.git_dir, b"HEAD")?;
    let arrivals = log.iter().filter_map(Entry::checkout).filter(|(_, to)| *to == name);
    let before = arrivals.map(|(left, _)| branch_name_from_bytes(left)).next();
    let configured = run(worktree, ["config", "--get", "init.defaultBranch"].map(OsStr::new))?;
    let configured = Some(branch_name_from_bytes(configured.line())).filter(|name| !name.is_empty());
    let usual = [Some("main".to_owned()), Some("master".to_owned()), configured];
    let mut preferred = Vec::new();
    for name in [before].into_iter().chain(usual).flatten() {
        if name != branch && !preferred.contains(&name) {
            preferred.push(name);
        }
    }
    Ok(preferred)
}

/// The branches to compare with: those with the newest commits, then the preferred ones that are not among them.
fn candidates(worktree: &Worktree, branch: &str, preferred: &[String]) -> Result<Vec<String>, GitError> {
    // One more than needed, since `branch` itself is among them.
    let count = format!("--count={}", MAX_CANDIDATES + 1);
    let args = ["for-each-ref", "--sort=-committerdate", &count, "--format=%(refname)", "refs/heads/"];
    let stdout = run(worktree, args.map(OsStr::new))?.into_stdout()?;
    let mut names: Vec<String> = stdout.split(|b| *b == b'\n').filter_map(short).collect();
    names.retain(|name| name != branch);
    names.truncate(MAX_CANDIDATES);
    let missing = preferred.iter().filter(|name| !names.contains(name)).cloned().collect::<Vec<_>>();
    names.extend(missing);
    Ok(names)
}

fn distances(
    worktree: &Worktree,
    tip: &OsStr,
    candidates: &[String],
) -> Result<HashMap<String, Distance>, GitError> {
    if candidates.is_empty() {
        return Ok(HashMap::new());
    }
    let mut format = OsString::from("--format=%(refname) %(ahead-behind:");
    format.push(tip);
    format.push(")");
    let names: Vec<OsString> = candidates.iter().map(|name| arg(&full(name))).collect();
    let args = [OsStr::new("for-each-ref"), &format].into_iter().chain(names.iter().map(AsRef::as_ref));
    let answer = run(worktree, args)?;
    if answer.is_success() {
        return Ok(answer.stdout.split(|b| *b == b'\n').filter_map(distance_of_line).collect());
    }
    // Before git 2.41: one run a branch.
    let mut distances = HashMap::new();
    for (candidate, name) in candidates.iter().zip(&names) {
        let mut range = name.clone();
        range.push("...");
        range.push(tip);
        let args = ["rev-list", "--left-right", "--count"].map(OsStr::new);
        let answer = run(worktree, args.into_iter().chain([&*range]))?;
        distances.extend(distance(answer.line()).map(|distance| (candidate.clone(), distance)));
    }
    Ok(distances)
}

/// Parses `refs/heads/<name> <ahead> <behind>`.
fn distance_of_line(line: &[u8]) -> Option<(String, Distance)> {
    let space = line.iter().position(|b| *b == b' ')?;
    Some((short(&line[..space])?, distance(&line[space + 1..])?))
}

fn distance(counts: &[u8]) -> Option<Distance> {
    let mut counts = std::str::from_utf8(counts).ok()?.split_ascii_whitespace().map(str::parse);
    Some(Distance { candidate_only: counts.next()?.ok()?, branch_only: counts.next()?.ok()? })
}

fn has_common_commit(worktree: &Worktree, tip: &OsStr, candidate: &str) -> Result<bool, GitError> {
    let name = arg(&full(candidate));
    Ok(run(worktree, [OsStr::new("merge-base"), tip, &name])?.is_success())
}

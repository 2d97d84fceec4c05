//! Git commits where a moment is expected: they mean the snapshots that were taken at them.

use std::process::{Command, Stdio};
use std::time::SystemTime;

use offshoot_protocol::method::{BranchGetList, SnapshotGetList};
use offshoot_protocol::snapshot::{Snapshot, SnapshotListParams};
use offshoot_protocol::types::Nothing;

use super::connect::Session;
use super::moment::{self, When};
use super::plain::plain;
use super::snapshot;
use crate::failure::{Failure, Result};

/// A moment that is written in words, or a commit.
pub(super) enum Wanted {
    /// A moment of the branch that is meant.
    Moment(When),
    /// The full id of a commit.
    Commit(String),
}

/// Reads a moment. What is none may be a commit of the repository that one stands in.
///
/// # Errors
/// Names the forms that are known.
pub(super) fn read(text: &str) -> Result<Wanted> {
    match moment::parse(text, SystemTime::now()) {
        Ok(when) => Ok(Wanted::Moment(when)),
        Err(unknown) => full_id(text).map(Wanted::Commit).ok_or(unknown),
    }
}

/// The full id of what git takes for a commit of the repository that one stands in.
pub(super) fn full_id(text: &str) -> Option<String> {
    let commit = format!("{text}^{{commit}}");
    let output = Command::new("git")
        .args(["rev-parse", "--verify", "--quiet", "--end-of-options", &commit])
        .env("LC_ALL", "C")
        .env("GIT_NO_LAZY_FETCH", "1")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let id = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| id.trim().to_owned())
}

/// The snapshot that was taken at `commit`: of `branch` or, if that was made later, of the nearest one that it comes from; of
/// `branch` alone if it `must_own` it.
pub(super) fn taken_at(
    session: &mut Session,
    branch: Option<&str>,
    commit: &str,
    must_own: bool,
) -> Result<Snapshot> {
    let branch = match branch {
        Some(branch) => branch.to_owned(),
        None => snapshot::current(session, "--from BRANCH")?,
    };
    let all = session.call::<SnapshotGetList>(&SnapshotListParams { branch: None, all: false })?.snapshots;
    let branches = session.call::<BranchGetList>(&Nothing {})?.branches;
    if !branches.iter().any(|it| it.name == branch) {
        return Err(Failure::user(format!("there is no database branch `{}`", plain(&branch)))
            .hint("`offshoot branch list` shows those that there are."));
    }
    let mut next = Some(branch.clone());
    // Bounded: a damaged list could go round in circles.
    for _ in 0..=branches.len() {
        let Some(name) = next else { break };
        let taken = |one: &&Snapshot| one.branch == name && one.commit.as_deref() == Some(commit);
        if let Some(taken) = all.iter().find(taken) {
            return Ok(taken.clone());
        }
        next = branches.iter().find(|it| it.name == name && !must_own).and_then(|it| it.parent.clone());
    }
    let short = commit.get(..10).unwrap_or(commit);
    let branch = plain(&branch);
    Err(Failure::user(format!("there is no snapshot of {branch} at commit {short}")).hint(format!(
        "`on_commit = true` below [snapshots] in offshoot.toml takes one at each commit from then on. `offshoot snapshot list {branch}` shows \
         those that there are; `offshoot log {branch}` other moments."
    )))
}

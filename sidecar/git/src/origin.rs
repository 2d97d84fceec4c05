//! Where a branch comes from, by git's own records.

use std::ffi::OsStr;

use crate::config::Config;
use crate::discover::{Repository, Worktree};
use crate::error::GitError;
use crate::head::{Head, head};
use crate::name::{branch_name_from_bytes, full, is_object_id, short};
use crate::nearest::nearest_branch;
use crate::reflog::{Entry, RebaseStep, reflog};
use crate::run::{arg, git_at};

/// How many branches are searched for the new name of one that is gone.
const MAX_SEARCHED: usize = 500;

/// What git's own records say about where a branch comes from. Branches are short names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Cut from this branch, by the name that it has now. It need not exist any more.
    CutFrom(String),
    /// The same branch under its earlier name.
    RenamedFrom(String),
    /// Cut from this commit (a full id) and not from the tip of a branch: an id, a tag, `main~2`, a detached HEAD.
    /// [`nearest_branch`] tells the branch that it is closest to.
    CutFromCommit(String),
    /// No origin: the first branch, an orphan, an unborn branch, or nothing is known.
    Unknown,
}

/// Tells where `branch` (a short name) comes from.
///
/// Reads the reflog of the branch and, where that says only `HEAD`, the reflogs of the work trees' HEADs,
/// that of `worktree` first. Without a record it is the branch with the nearest common commit; that costs some
/// runs of git. The newest record counts: a renamed branch is [`Origin::RenamedFrom`], and [`lineage_of`] tells
/// the rest.
pub fn origin_of(worktree: &Worktree, branch: &str) -> Result<Origin, GitError> {
    Ok(lineage_of(worktree, branch)?.into_iter().next().unwrap_or(Origin::Unknown))
}

/// Tells all that is known about where `branch` comes from, newest first: its renames, then what it was cut from.
///
/// Empty if nothing is known.
pub fn lineage_of(worktree: &Worktree, branch: &str) -> Result<Vec<Origin>, GitError> {
    let records = Records { worktree, repository: worktree.repository() };
    let log = reflog(&worktree.common_dir, &worktree.git_dir, &full(branch))?;
    let mut lineage = Vec::new();
    let mut name = branch.to_owned();
    for entry in log.iter().rev() {
        if is_onto_itself(entry) {
            continue;
        }
        if let Some(before) = entry.rename().and_then(|(before, _)| short(before)) {
            lineage.push(Origin::RenamedFrom(before.clone()));
            name = before;
        } else if let Some(original) = entry.copy().and_then(|(original, _)| short(original)) {
            lineage.push(Origin::CutFrom(records.name_now(original)?));
            return Ok(lineage);
        } else if let Some(start) = entry.created_from() {
            lineage.extend(records.cut(branch, &name, start, entry)?);
            return Ok(lineage);
        } else if is_root(entry) {
            return Ok(lineage);
        }
    }
    // No record of its birth: none is kept, or it has expired, or some other tool made the branch.
    lineage.extend(nearest_branch(worktree, branch)?.map(Origin::CutFrom));
    Ok(lineage)
}

/// Whether this renames or copies a branch to the name that it has, which git allows and writes down.
fn is_onto_itself(entry: &Entry) -> bool {
    entry.rename().or_else(|| entry.copy()).is_some_and(|(before, after)| before == after)
}

/// Whether this begins a branch that comes from no other one.
fn is_root(entry: &Entry) -> bool {
    let begins = entry.message.starts_with(b"commit (initial)") || entry.message.starts_with(b"clone: from ");
    begins && entry.is_birth != Some(false)
}

/// What HEAD was at some moment.
#[derive(Debug, PartialEq, Eq)]
enum Was {
    Branch(Vec<u8>),
    Detached,
}

struct Records<'a> {
    worktree: &'a Worktree,
    repository: Repository,
}

impl Records<'_> {
    /// What `Created from <start>` means for `branch`, which was called `name` then.
    fn cut(&self, branch: &str, name: &str, start: &[u8], birth: &Entry) -> Result<Option<Origin>, GitError> {
        let commit = || Some(Origin::CutFromCommit(String::from_utf8_lossy(&birth.new).into_owned()));
        if start == b"HEAD" || start == b"@" {
            return match self.head_at_birth(name, birth)? {
                Some(Was::Branch(before)) => self.branch_or_nearest(branch, &branch_name_from_bytes(&before)),
                Some(Was::Detached) => Ok(commit()),
                None => self.nearest(branch),
            };
        }
        let local = start.strip_prefix(b"refs/heads/").unwrap_or(start);
        let plain = branch_name_from_bytes(local);
        // Of a tag and a branch of one name git takes the tag.
        if local == start
            && self.commit_of(&[b"refs/tags/", start].concat())?.is_some_and(|id| id == birth.new)
        {
            return Ok(commit());
        }
        if plain != branch && self.repository.has_branch(&plain)? {
            return Ok(Some(Origin::CutFrom(plain)));
        }
        if is_expression(start) {
            return Ok(commit());
        }
        let reference = self.full_name(start)?;
        if let Some(found) = short(&reference).filter(|found| found != branch) {
            return Ok(Some(Origin::CutFrom(found)));
        }
        if let Some(remote) = reference.strip_prefix(b"refs/remotes/").or_else(|| self.gone_remote(start)) {
            return self.cut_from_remote(branch, remote);
        }
        if reference.starts_with(b"refs/tags/") || is_object_id(start) || self.commit_of(start)?.is_some() {
            return Ok(commit());
        }
        // A branch that is gone, or has another name by now.
        self.branch_or_nearest(branch, &plain)
    }

    fn branch_or_nearest(&self, branch: &str, before: &str) -> Result<Option<Origin>, GitError> {
        let now = self.name_now(before.to_owned())?;
        if now == branch { self.nearest(branch) } else { Ok(Some(Origin::CutFrom(now))) }
    }

    /// `remote` is `<remote>/<branch>`. Its local counterpart is the origin, unless that is `branch` itself.
    fn cut_from_remote(&self, branch: &str, remote: &[u8]) -> Result<Option<Origin>, GitError> {
        let config = Config::of_repository(&self.worktree.common_dir)?;
        let known =
            config.remotes().into_iter().filter_map(|name| remote.strip_prefix(name)?.strip_prefix(b"/"));
        // A remote's name can have slashes in it and be the beginning of another's; the longest one counts.
        let counterpart = known.min_by_key(|rest| rest.len()).map(branch_name_from_bytes);
        match counterpart {
            Some(local) if local != branch && self.repository.has_branch(&local)? => {
                Ok(Some(Origin::CutFrom(local)))
            }
            _ => self.nearest(branch),
        }
    }

    /// `start`, if it begins with the name of a remote: then it was a remote's branch that is gone.
    fn gone_remote<'s>(&self, start: &'s [u8]) -> Option<&'s [u8]> {
        let start = start.strip_prefix(b"refs/remotes/").unwrap_or(start);
        let config = Config::of_repository(&self.worktree.common_dir).ok()?;
        let known = config
            .remotes()
            .into_iter()
            .any(|name| start.strip_prefix(name).is_some_and(|rest| rest.starts_with(b"/")));
        known.then_some(start)
    }

    fn nearest(&self, branch: &str) -> Result<Option<Origin>, GitError> {
        Ok(nearest_branch(self.worktree, branch)?.map(Origin::CutFrom))
    }

    /// The name that `branch` has now, if it was renamed since; otherwise its own.
    fn name_now(&self, branch: String) -> Result<String, GitError> {
        let config = Config::of_repository(&self.worktree.common_dir)?;
        if !config.has_ref_files() || self.repository.has_branch(&branch)? {
            return Ok(branch);
        }
        let before = full(&branch);
        for candidate in self.repository.branches()?.into_iter().take(MAX_SEARCHED) {
            let log = reflog(&self.worktree.common_dir, &self.worktree.git_dir, &full(&candidate))?;
            // A copy takes the log of its original along, so what is written before the copying is not its own.
            let own = log.iter().rev().take_while(|entry| entry.copy().is_none());
            if own.filter_map(Entry::rename).any(|(name, _)| name == before) {
                return Ok(candidate);
            }
        }
        Ok(branch)
    }

    /// The full name of the reference that git takes `start` for; empty if for none.
    fn full_name(&self, start: &[u8]) -> Result<Vec<u8>, GitError> {
        let start = arg(start);
        let flags = ["rev-parse", "--symbolic-full-name", "--verify", "-q"].map(OsStr::new);
        let args: Vec<&OsStr> = flags.into_iter().chain([start.as_os_str()]).collect();
        let answer = git_at(&self.worktree.git_dir, &args)?;
        Ok(if answer.is_success() { answer.line().to_vec() } else { Vec::new() })
    }

    /// The id of the commit that `revision` stands for now.
    fn commit_of(&self, revision: &[u8]) -> Result<Option<Vec<u8>>, GitError> {
        let revision = arg(&[revision, b"^{commit}"].concat());
        let args = [OsStr::new("rev-parse"), OsStr::new("-q"), OsStr::new("--verify"), &revision];
        let answer = git_at(&self.worktree.git_dir, &args)?;
        Ok(answer.is_success().then(|| answer.line().to_vec()))
    }

    /// What HEAD was where and when the branch `name` was created.
    fn head_at_birth(&self, name: &str, birth: &Entry) -> Result<Option<Was>, GitError> {
        let own = [self.worktree.clone()];
        let others = self.repository.worktrees()?.into_iter().filter(|other| other != self.worktree);
        let mut best = None;
        for worktree in own.into_iter().chain(others) {
            let log = reflog(&worktree.common_dir, &worktree.git_dir, b"HEAD")?;
            let name = crate::name::branch_name_to_bytes(name);
            if let Some(was) = left_for(&log, &name, birth) {
                return Ok(Some(was));
            }
            if best.is_none() {
                let own = Was::Branch(name);
                best = at_that_time(&log, now(&worktree), birth).filter(|was| *was != own);
            }
        }
        Ok(best)
    }
}

fn now(worktree: &Worktree) -> Was {
    match head(worktree) {
        Ok(Head::Branch(branch)) => Was::Branch(crate::name::branch_name_to_bytes(&branch)),
        // A HEAD that cannot be read tells as little as a detached one.
        Ok(Head::Detached { .. }) | Err(_) => Was::Detached,
    }
}

/// What HEAD left when it went to the newly created branch `name`: `git switch -c`, or creating and then switching
/// within the same second.
fn left_for(log: &[Entry], name: &[u8], birth: &Entry) -> Option<Was> {
    let went = log.iter().filter(|entry| entry.time == birth.time && entry.new == birth.new);
    let (left, _) = went.filter_map(Entry::checkout).find(|(left, to)| *to == name && *left != name)?;
    Some(named(left))
}

/// What HEAD was at the second of `birth`; none if it was not at the commit that the branch was created at.
fn at_that_time(log: &[Entry], now: Was, birth: &Entry) -> Option<Was> {
    let at = (0..log.len()).rev().find(|&at| {
        let until = log.get(at + 1).map_or(i64::MAX, |next| next.time);
        log[at].time <= birth.time && birth.time <= until && log[at].new == birth.new
    })?;
    // What HEAD was is written where it was left.
    let mut rebasing = false;
    for entry in &log[at + 1..] {
        if let Some((left, _)) = entry.checkout() {
            if rebasing {
                return None;
            }
            return Some(named(left));
        }
        if let Some((left, _)) = entry.rename() {
            return Some(
                left.strip_prefix(b"refs/heads/").map_or(Was::Detached, |left| Was::Branch(left.to_vec())),
            );
        }
        match entry.rebase() {
            Some(RebaseStep::Start) => rebasing = true,
            Some(RebaseStep::End(Some(branch))) if rebasing => {
                let branch = branch.strip_prefix(b"refs/heads/").unwrap_or(branch);
                return Some(Was::Branch(branch.to_vec()));
            }
            Some(RebaseStep::End(_)) if !rebasing => return Some(Was::Detached),
            _ => {}
        }
    }
    if rebasing { None } else { Some(now) }
}

fn named(left: &[u8]) -> Was {
    if is_object_id(left) { Was::Detached } else { Was::Branch(left.to_vec()) }
}

/// Whether this is more than a name: `main~2`, `v1^{}`, `main@{yesterday}`, `:/text`. None of it can be in a name.
fn is_expression(start: &[u8]) -> bool {
    start.iter().any(|b| b"~^:".contains(b)) || start.windows(2).any(|pair| pair == b"@{")
}

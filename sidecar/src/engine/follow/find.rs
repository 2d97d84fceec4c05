//! One look at git's branches: which were renamed, which are gone. Blocks.

use std::collections::{BTreeSet, HashMap, HashSet};

use offshoot_git::{Head, Worktree};
use offshoot_storage::{Branch, BranchId};

use super::may_give_way;
use crate::engine::binding::git_failure;
use crate::engine::book::{Book, SeatKey};
use crate::engine::{Engine, policy};
use crate::failure::Result;

/// A database branch whose git branch has another name now.
#[derive(Debug)]
pub(super) struct Rename {
    pub(super) id: BranchId,
    pub(super) from: String,
    pub(super) to: String,
    /// The database branch that has the new name, and gives way.
    pub(super) over: Option<BranchId>,
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The branches of git.
    pub(super) listed: BTreeSet<String>,
    pub(super) renames: Vec<Rename>,
    /// Database branches whose git branch is gone, and which may be moved to the trash for that.
    pub(super) gone: Vec<(BranchId, String)>,
}

/// Looks. `before` are git's branches at the last look, `known_gone` what was gone then.
pub(super) fn find(
    engine: &Engine,
    before: Option<BTreeSet<String>>,
    known_gone: &HashSet<BranchId>,
) -> Result<Found> {
    let repository = &engine.repository;
    let listed: BTreeSet<String> = repository.branches().map_err(|e| git_failure(&e))?.into_iter().collect();
    let mut worktrees = repository.worktrees().map_err(|e| git_failure(&e))?;
    // Where only the folder is gone a branch is still checked out, as git has it, and the address leads to its data.
    worktrees.extend(repository.lost_worktrees().map_err(|e| git_failure(&e))?);
    let heads: Vec<(&Worktree, String)> =
        worktrees.iter().filter_map(|worktree| Some((worktree, branch_of(worktree)?))).collect();
    let branches = engine.store.branches()?;
    let (mut lost, unnoted) = sort(engine, &listed, &branches)?;
    lost.retain(|branch| !heads.iter().any(|(_, head)| *head == branch.name));
    note(engine, worktrees.first(), &unnoted, &lost)?;
    // A repository without any branch is new or damaged, and no reason to do anything.
    if lost.is_empty() || listed.is_empty() {
        return Ok(Found { listed, ..Found::default() });
    }
    let is_news = before.as_ref() != Some(&listed) || lost.iter().any(|one| !known_gone.contains(&one.id));
    let came = before.map(|before| listed.difference(&before).cloned().collect()).unwrap_or_default();
    let names = lost.iter().map(|branch| branch.name.as_str()).collect();
    let search = Search { engine, branches: &branches, listed: &listed, came, heads: &heads, lost: names };
    let earlier = if is_news { search.earlier_names(&worktrees) } else { HashMap::new() };
    let (mut renames, mut gone) = (Vec::new(), Vec::new());
    for branch in lost {
        if let Some(rename) = search.rename(branch, &earlier)? {
            renames.push(rename);
        } else if may_be_told(engine, branch)? {
            gone.push((branch.id, branch.name.clone()));
        }
    }
    Ok(Found { listed, renames, gone })
}

/// Database branches that git had a branch for, and has none any more; and those that it is news of that it has one.
fn sort<'b>(
    engine: &Engine,
    listed: &BTreeSet<String>,
    branches: &'b [Branch],
) -> Result<(Vec<&'b Branch>, Vec<&'b Branch>)> {
    let mut names = Book(&engine.store).names_in_git()?;
    let (mut lost, mut unnoted) = (Vec::new(), Vec::new());
    for branch in branches {
        let is_noted = names.remove(&branch.id).is_some_and(|name| name == branch.name);
        match (listed.contains(&branch.name), is_noted) {
            (true, false) => unnoted.push(branch),
            (false, true) => lost.push(branch),
            _ => (),
        }
    }
    Ok((lost, unnoted))
}

/// Notes that git has branches of these names. Not if one of `lost` has got such a name: a database branch that was made by hand must not
/// look as if it had been the git branch's, and give way.
fn note(engine: &Engine, worktree: Option<&Worktree>, unnoted: &[&Branch], lost: &[&Branch]) -> Result<()> {
    for branch in unnoted {
        let was = |worktree| offshoot_git::earlier_names(worktree, &branch.name).unwrap_or_default();
        let names = worktree.filter(|_| !lost.is_empty()).map(was).unwrap_or_default();
        if !lost.iter().any(|lost| names.contains(&lost.name)) {
            Book(&engine.store).set_name_in_git(branch.id, Some(&branch.name))?;
        }
    }
    Ok(())
}

fn branch_of(worktree: &Worktree) -> Option<String> {
    match offshoot_git::head(worktree) {
        Ok(Head::Branch(name)) => Some(name),
        _ => None,
    }
}

/// Whether it is worth telling that a branch has lost its git branch: the root branch stays in any case, and a protected one is wanted.
fn may_be_told(engine: &Engine, branch: &Branch) -> Result<bool> {
    let is_wanted =
        Book(&engine.store).is_protected(branch.id)? || policy::now(engine)?.guard(&branch.name).is_some();
    Ok(branch.id != engine.store.root_branch() && !is_wanted)
}

struct Search<'a> {
    engine: &'a Engine,
    branches: &'a [Branch],
    listed: &'a BTreeSet<String>,
    /// Branches of git that are new since the last look.
    came: BTreeSet<String>,
    heads: &'a [(&'a Worktree, String)],
    /// Names of database branches whose git branch is gone.
    lost: HashSet<&'a str>,
}

impl Search<'_> {
    fn named(&self, name: &str) -> Option<BranchId> {
        self.branches.iter().find(|branch| branch.name == name).map(|branch| branch.id)
    }

    /// The earlier names of git branches that are new, or have no database branch.
    fn earlier_names(&self, worktrees: &[Worktree]) -> HashMap<String, Vec<String>> {
        let Some(worktree) = worktrees.first() else { return HashMap::new() };
        let with_database: HashSet<&str> = self.branches.iter().map(|branch| branch.name.as_str()).collect();
        let wanted = self
            .listed
            .iter()
            .filter(|name| self.came.contains(*name) || !with_database.contains(name.as_str()));
        let names = |name: &String| offshoot_git::earlier_names(worktree, name).unwrap_or_default();
        wanted.map(|name| (name.clone(), names(name))).filter(|(_, earlier)| !earlier.is_empty()).collect()
    }

    fn rename(&self, branch: &Branch, earlier: &HashMap<String, Vec<String>>) -> Result<Option<Rename>> {
        let to =
            |to: &str, over| Rename { id: branch.id, from: branch.name.clone(), to: to.to_owned(), over };
        // A name that nobody has. Of several former names that have a database branch the newest counts.
        let is_lost = |name: &&String| self.lost.contains(name.as_str());
        let free = earlier.iter().find(|(name, names)| {
            self.named(name).is_none() && names.iter().find(is_lost) == Some(&branch.name)
        });
        if let Some((name, _)) = free {
            return Ok(Some(to(name, None)));
        }
        // The name of a git branch that was deleted and whose database branch is still there.
        let left = earlier
            .iter()
            .find(|(name, names)| self.came.contains(*name) && names.first() == Some(&branch.name));
        let taken = match left {
            Some((name, _)) => Some(name.as_str()),
            None => self.renamed_over(branch)?,
        };
        let Some((name, over)) = taken.and_then(|name| Some((name, self.named(name)?))) else {
            return Ok(None);
        };
        Ok(may_give_way(self.engine, over)?.then(|| to(name, Some(over))))
    }

    /// The name that the git branch of `branch` got where it is checked out, in the place of a branch that git had, or had had.
    fn renamed_over(&self, branch: &Branch) -> Result<Option<&str>> {
        let bound = Book(&self.engine.store).all_bound()?;
        for (worktree, head) in self.heads {
            let key = SeatKey::of(worktree);
            let stood_there = bound.iter().any(|(seat, id)| *seat == key && *id == branch.id);
            if stood_there
                && offshoot_git::names_while_checked_out(worktree, head)
                    .is_ok_and(|names| names.contains(&branch.name))
            {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }
}

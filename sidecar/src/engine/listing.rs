//! `branch/list` and `branch/table`: all branches at once.
//!
//! Both take time in the number of branches, and a store may have a thousand: what is asked of each is in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use offshoot_protocol::follow::Follows;
use offshoot_protocol::table::{BranchLine, BranchTable};
use offshoot_protocol::types::{BranchList, WorktreeParams};
use offshoot_storage::{Branch, BranchId, BranchSize, Former};

use super::Engine;
use super::binding::View;
use super::book::Book;
use super::branches::{Marks, describe, state};
use super::computes::Usage;
use super::policy::{self, Now};
use super::{follow, following, refresh};
use crate::failure::Result;

/// `branch/list`.
pub(super) async fn list(engine: &Arc<Engine>) -> Result<BranchList> {
    follow::look(engine).await;
    let views = engine.binding.fresh_views().await?;
    engine
        .blocking(move |engine| {
            let (known, branches) = Known::read(engine)?;
            let undo = engine.store.undoable(&Former::Last)?.map(|undoable| undoable.name);
            let described = in_order(branches).map(|(index, branch, _)| {
                let marks = known.marks(&branch);
                describe(branch, known.size(index), marks, &views)
            });
            Ok(BranchList { branches: described.collect(), undo })
        })
        .await
}

/// `branch/table`.
pub(super) async fn table(engine: &Arc<Engine>, params: WorktreeParams) -> Result<BranchTable> {
    follow::look(engine).await;
    let views = engine.binding.fresh_views().await?;
    engine
        .blocking(move |engine| {
            let (known, branches) = Known::read(engine)?;
            let here = leading_to(&views, &params.path);
            let lines = in_order(branches).map(|(index, branch, parent)| {
                let marks = known.marks(&branch);
                BranchLine {
                    parent,
                    state: state(branch.state, marks.usage.passing),
                    failure: branch.failure,
                    own_bytes: known.size(index).own_bytes,
                    here: here == Some(branch.id),
                    in_git: marks.in_git,
                    connections: marks.usage.connections,
                    protected: marks.protected,
                    expires_at: marks.expires_at,
                    max_bytes: marks.max_bytes,
                    stale: marks.stale_since.is_some(),
                    follows: marks.follows,
                    name: branch.name,
                }
            });
            Ok(BranchTable { lines: lines.collect() })
        })
        .await
}

/// Where the endpoint of the worktree at `path` leads.
fn leading_to(views: &[View], path: &str) -> Option<BranchId> {
    let here = views.iter().find(|view| view.path.to_string_lossy() == path)?;
    here.branch.as_ref().ok().copied()
}

/// What is known of all branches.
struct Known {
    /// In the order of the branches.
    sizes: Vec<BranchSize>,
    in_git: HashSet<String>,
    protected: HashSet<BranchId>,
    rules: Now,
    expiries: HashMap<BranchId, u64>,
    stale: HashMap<BranchId, u64>,
    follows: Option<Follows>,
    usage: HashMap<BranchId, Usage>,
}

impl Known {
    fn read(engine: &Engine) -> Result<(Self, Vec<Branch>)> {
        let branches = engine.store.branches()?;
        let ids: Vec<BranchId> = branches.iter().map(|branch| branch.id).collect();
        let known = Self {
            sizes: engine.store.sizes(&ids).unwrap_or_default(),
            in_git: engine.repository.branches().unwrap_or_default().into_iter().collect(),
            protected: Book(&engine.store).protected()?,
            rules: policy::now(engine)?,
            expiries: Book(&engine.store).expiries()?,
            stale: refresh::stale(&engine.store, &branches)?,
            follows: following::in_short(engine)?,
            usage: engine.computes.usage(),
        };
        Ok((known, branches))
    }

    fn size(&self, index: usize) -> BranchSize {
        self.sizes.get(index).copied().unwrap_or_default()
    }

    fn marks(&self, branch: &Branch) -> Marks {
        let in_git = self.in_git.contains(&branch.name);
        let by_hand = self.protected.contains(&branch.id);
        Marks {
            in_git,
            promotes_to: self.rules.promotes_to(&branch.name).filter(|_| in_git),
            protected: by_hand || self.rules.guard(&branch.name).is_some(),
            overridable: !by_hand && self.rules.may_override_guard(&branch.name),
            max_bytes: self.rules.max_bytes(&branch.name),
            expires_at: self.expiries.get(&branch.id).copied(),
            stale_since: self.stale.get(&branch.id).copied(),
            follows: self.follows.clone().filter(|_| branch.is_root),
            usage: self.usage.get(&branch.id).copied().unwrap_or_default(),
        }
    }
}

/// Roots first, each followed by its descendants; siblings by name. With each go its place in `branches` and its parent's in what comes
/// out.
fn in_order(branches: Vec<Branch>) -> impl Iterator<Item = (usize, Branch, Option<u32>)> {
    let order = parents_first(&branches);
    let mut branches: Vec<Option<Branch>> = branches.into_iter().map(Some).collect();
    order.into_iter().filter_map(move |(index, parent)| Some((index, branches[index].take()?, parent)))
}

/// The places of `branches`, which are the oldest first, in the order of [`in_order`]. With each goes the place of its parent in that order.
fn parents_first(branches: &[Branch]) -> Vec<(usize, Option<u32>)> {
    // Siblings are neighbours; 0 is the parent of roots, and of those whose parent is not here.
    let parent = |branch: &Branch| {
        let parent = branch.parent?;
        branches.binary_search_by_key(&parent, |branch| branch.id).ok().map(|index| index + 1)
    };
    let mut siblings: Vec<(usize, usize)> =
        branches.iter().enumerate().map(|(index, branch)| (parent(branch).unwrap_or(0), index)).collect();
    // Mostly sorted already, as names with numbers are.
    siblings.sort_by(|a, b| (a.0, &branches[a.1].name).cmp(&(b.0, &branches[b.1].name)));
    let below = |parent: usize| {
        let begin = siblings.partition_point(|(of, _)| *of < parent);
        let end = begin + siblings[begin..].partition_point(|(of, _)| *of == parent);
        begin..end
    };
    // How far each family on the way down has been gone through.
    let mut families = vec![(below(0), None)];
    let has_children: HashSet<usize> = siblings.iter().map(|(of, _)| *of).collect();
    let mut ordered: Vec<(usize, Option<u32>)> = Vec::with_capacity(branches.len());
    while let Some((family, parent)) = families.last_mut() {
        let Some(next) = family.next() else {
            families.pop();
            continue;
        };
        let (_, index) = siblings[next];
        let place = ordered.len() as u32;
        ordered.push((index, *parent));
        if has_children.contains(&(index + 1)) {
            families.push((below(index + 1), Some(place)));
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use offshoot_storage::ComputeState;

    use super::*;

    fn branch(id: u64, name: &str, parent: Option<u64>) -> Branch {
        Branch {
            id: BranchId(id),
            name: name.to_owned(),
            parent: parent.map(BranchId),
            parent_name: None,
            fork_lsn: None,
            created_at: UNIX_EPOCH,
            state: ComputeState::Asleep,
            failure: None,
            is_root: parent.is_none(),
        }
    }

    #[test]
    fn parents_come_before_their_children_and_siblings_are_in_order() {
        let branches = vec![
            branch(1, "main", None),
            branch(2, "b", Some(1)),
            branch(3, "a", Some(1)),
            branch(4, "of-one-that-is-gone", Some(99)),
            branch(5, "z", Some(3)),
        ];
        let ordered: Vec<_> = in_order(branches).map(|(_, branch, parent)| (branch.name, parent)).collect();
        let expected =
            [("main", None), ("a", Some(0)), ("z", Some(1)), ("b", Some(0)), ("of-one-that-is-gone", None)];
        assert_eq!(ordered, expected.map(|(name, parent)| (name.to_owned(), parent)));
    }
}

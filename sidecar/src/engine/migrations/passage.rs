//! What files did to a schema one after the other, where nothing tells which of them ran on a branch.

use std::collections::BTreeSet;
use std::sync::Arc;

use offshoot_schema::diff::{Noise, diff};
use offshoot_schema::{FactId, Facts};

/// One step of a schema: what it was before and after a file, or before and after a time.
#[derive(Debug)]
pub(super) struct Passage {
    /// What made it, for people.
    pub(super) by: String,
    pub(super) before: Arc<Facts>,
    pub(super) after: Arc<Facts>,
}

impl Passage {
    /// What it changed and `branch` has as it was before.
    fn undone_on(&self, branch: &Facts) -> Vec<Arc<FactId>> {
        if Arc::ptr_eq(&self.before, &self.after) {
            return Vec::new();
        }
        let of_branch = ids(&self.before, branch);
        ids(&self.before, &self.after).into_iter().filter(|id| !of_branch.contains(id)).collect()
    }
}

/// What differs.
fn ids(from: &Facts, to: &Facts) -> BTreeSet<Arc<FactId>> {
    diff(from, to, &Noise::default()).into_iter().map(|difference| difference.id).collect()
}

/// `branch` as it would be after all passages, the last of which led to `after`: what a passage changed and the branch has as
/// it was before is taken from `after`. Also what made those passages.
pub(super) fn as_if_passed(branch: &Facts, passages: &[Passage], after: &Facts) -> (Facts, Vec<String>) {
    let mut whole = branch.clone();
    let mut by = Vec::new();
    let different = ids(branch, after);
    for passage in passages {
        let mut ids = passage.undone_on(branch);
        // What one file made and a later one took away is nothing that the branch lacks.
        ids.retain(|id| different.contains(id));
        if !ids.is_empty() && !by.contains(&passage.by) {
            by.push(passage.by.clone());
        }
        for id in ids {
            match after.facts.get_key_value(&id) {
                Some((id, fact)) => drop(whole.facts.insert(Arc::clone(id), fact.clone())),
                None => drop(whole.facts.remove(&id)),
            }
        }
    }
    (whole, by)
}

#[cfg(test)]
mod tests {
    use offshoot_schema::{Fact, Kind};

    use super::*;

    fn facts(of: &[(&str, &str)]) -> Facts {
        let fact = |comment: &str| {
            let mut fact = Fact::default();
            fact.set("comment", comment);
            fact
        };
        let entries = of
            .iter()
            .map(|(name, said)| (Arc::new(FactId::top(Kind::Table, Some("public"), name)), fact(said)));
        Facts { facts: entries.collect(), ..Facts::default() }
    }

    #[test]
    fn what_a_branch_has_as_before_a_file_is_taken_as_after_it_and_its_own_changes_stay() {
        let first = Arc::new(facts(&[("a", "1"), ("old", "1")]));
        let then = Arc::new(facts(&[("a", "2"), ("b", "1"), ("c", "1")]));
        let passages =
            [Passage { by: "002.sql".to_owned(), before: Arc::clone(&first), after: Arc::clone(&then) }];
        let branch = facts(&[("a", "1"), ("old", "1"), ("c", "own"), ("mine", "1")]);
        let (whole, by) = as_if_passed(&branch, &passages, &then);
        assert_eq!(whole, facts(&[("a", "2"), ("b", "1"), ("c", "own"), ("mine", "1")]));
        assert_eq!(by, ["002.sql"]);

        let (whole, by) = as_if_passed(&then, &passages, &then);
        assert_eq!((whole, by.len()), ((*then).clone(), 0), "a file that ran changes nothing");
    }
}

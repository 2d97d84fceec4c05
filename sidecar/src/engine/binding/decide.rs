//! What a checkout means for the database. Pure: facts in, decision out.

use offshoot_git::{Head, Origin};
use offshoot_storage::BranchId;

use crate::config::OnCheckout;

/// Where the facts come from.
pub(super) trait Facts {
    /// The database branch of this name.
    fn named(&self, name: &str) -> Option<BranchId>;
    /// Whether git has a branch of this name.
    fn in_git(&self, name: &str) -> bool;
    /// Where a git branch comes from, newest first.
    fn lineage(&self, name: &str) -> Vec<Origin>;
    /// The git branch with the nearest common commit.
    fn nearest(&self, name: &str) -> Option<String>;
    /// Whether git had a branch of this database branch's name.
    fn was_in_git(&self, id: BranchId) -> bool;
    /// Whether the git branch `name` is the one that `here` is the database of, which got its new name while it was checked out, and
    /// `taken`, a database branch of that name, may give way to it.
    fn was_renamed_over(&self, name: &str, here: BranchId, taken: BranchId) -> bool;
    /// The database branch that a person said a git branch uses.
    fn answered(&self, name: &str) -> Option<BranchId>;
    /// The database of a commit at which HEAD is detached, where the endpoint leads to `here`.
    fn of_commit(&self, commit: &str, here: BranchId) -> OfCommit;
    /// Whether `here` is the throwaway that the endpoint led to while HEAD was detached at `commit`.
    fn was_at(&self, commit: &str, here: BranchId) -> bool;
}

/// The database of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OfCommit {
    /// Nobody wants one: commits are not kept, or HEAD is where a rebase, a commit or a reset led it.
    Unwanted,
    /// There is none.
    Unknown,
    /// A database branch that is there already.
    There(BranchId),
    /// A snapshot that one can be made of.
    Kept {
        /// The snapshot.
        snapshot: BranchId,
        /// The older commit that it was taken at, if it is not of this one.
        older: Option<String>,
    },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Lead to this branch.
    To(BranchId),
    /// The git branch was renamed: so is its database branch.
    Rename {
        /// The database branch under its old name.
        id: BranchId,
        /// Its new name.
        to: String,
    },
    /// Make a branch and lead to it.
    Create {
        /// Its name.
        name: String,
        /// Whose data it starts with.
        parent: BranchId,
    },
    /// Lead to the database of the commit at which HEAD is detached, and say so.
    ToCommit { id: BranchId, commit: String },
    /// Make a throwaway of a commit, and lead to it.
    Throwaway {
        /// The commit at which HEAD is detached.
        commit: String,
        /// What it is made of.
        snapshot: BranchId,
        /// The older commit that this is of, if it is.
        older: Option<String>,
        /// Where the endpoint stays if none can be made.
        here: BranchId,
    },
    /// Stay, and say why.
    Stay {
        /// Where.
        at: BranchId,
        /// Why.
        why: Why,
    },
}

/// Why an endpoint stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// No git branch is checked out. With `unknown`, there should be a database of the commit, and is none.
    Detached { commit: String, unknown: bool },
    /// The git branch has the name of another database branch by now, which is about to give way.
    Renamed,
    /// The configuration, or a person, says not to make one; a new branch would come from `parent`.
    Switch { name: String, parent: BranchId },
    /// A person said that it uses the database that it stays at.
    Answered { name: String },
    /// The configuration says to ask; a new branch would come from `parent`.
    Ask { name: String, parent: BranchId },
}

/// Decides for a worktree that leads to `here` now.
pub(super) fn decide(head: &Head, on_checkout: OnCheckout, here: BranchId, facts: &dyn Facts) -> Decision {
    let name = match head {
        Head::Detached { commit } => return detached(commit.clone(), here, facts),
        Head::Branch(name) => name.clone(),
    };
    if let Some(id) = facts.named(&name) {
        if id != here && facts.was_renamed_over(&name, here, id) {
            return Decision::Stay { at: here, why: Why::Renamed };
        }
        return Decision::To(id);
    }
    let lineage = facts.lineage(&name);
    let renames = lineage.iter().map_while(|origin| match origin {
        Origin::RenamedFrom(old) => Some(old),
        _ => None,
    });
    // A name that git has again belongs to another branch.
    let mut left_behind = renames.filter(|old| !facts.in_git(old)).filter_map(|old| facts.named(old));
    // Where the endpoint leads has that name for the git branch, which may have had no commit until lately.
    if let Some(id) = left_behind.find(|id| *id == here || facts.was_in_git(*id)) {
        return Decision::Rename { id, to: name };
    }
    // A former name that git has again is another branch's.
    let is_taken = |origin: &Origin| matches!(origin, Origin::RenamedFrom(old) if facts.in_git(old));
    let own = lineage.iter().filter(|origin| !is_taken(origin));
    let parent = own
        .chain(lineage.iter().filter(|origin| is_taken(origin)))
        .find_map(|origin| source(&name, origin, here, facts))
        .unwrap_or(here);
    if on_checkout == OnCheckout::Create {
        return Decision::Create { name, parent };
    }
    if let Some(at) = facts.answered(&name) {
        return Decision::Stay { at, why: Why::Answered { name } };
    }
    let why = match on_checkout {
        OnCheckout::Ask => Why::Ask { name, parent },
        _ => Why::Switch { name, parent },
    };
    Decision::Stay { at: here, why }
}

fn detached(commit: String, here: BranchId, facts: &dyn Facts) -> Decision {
    let stay = |commit, unknown| Decision::Stay { at: here, why: Why::Detached { commit, unknown } };
    match facts.of_commit(&commit, here) {
        OfCommit::Unwanted => stay(commit, false),
        OfCommit::Unknown => stay(commit, true),
        OfCommit::There(id) => Decision::ToCommit { id, commit },
        OfCommit::Kept { snapshot, older } => Decision::Throwaway { commit, snapshot, older, here },
    }
}

/// The database branch that stands for where a git branch came from.
fn source(name: &str, origin: &Origin, here: BranchId, facts: &dyn Facts) -> Option<BranchId> {
    match origin {
        // Who cuts a branch from the commit whose database he is in takes that along.
        Origin::CutFromCommit(commit) if facts.was_at(commit, here) => Some(here),
        Origin::CutFrom(from) | Origin::RenamedFrom(from) => facts.named(from),
        Origin::CutFromCommit(_) => facts.nearest(name).and_then(|near| facts.named(&near)),
        Origin::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: BranchId = BranchId(1);
    const FEATURE: BranchId = BranchId(2);

    struct Known {
        databases: &'static [(&'static str, BranchId)],
        git: &'static [&'static str],
        lineage: Vec<Origin>,
        nearest: Option<&'static str>,
        by_hand: bool,
        renamed_over: bool,
        answered: Option<BranchId>,
        of_commit: OfCommit,
        throwaway: Option<BranchId>,
    }

    impl Facts for Known {
        fn named(&self, name: &str) -> Option<BranchId> {
            self.databases.iter().find(|(n, _)| *n == name).map(|(_, id)| *id)
        }
        fn in_git(&self, name: &str) -> bool {
            self.git.contains(&name)
        }
        fn lineage(&self, _name: &str) -> Vec<Origin> {
            self.lineage.clone()
        }
        fn nearest(&self, _name: &str) -> Option<String> {
            self.nearest.map(str::to_owned)
        }
        fn was_in_git(&self, _id: BranchId) -> bool {
            !self.by_hand
        }
        fn was_renamed_over(&self, _name: &str, _here: BranchId, _taken: BranchId) -> bool {
            self.renamed_over
        }
        fn answered(&self, _name: &str) -> Option<BranchId> {
            self.answered
        }
        fn of_commit(&self, _commit: &str, _here: BranchId) -> OfCommit {
            self.of_commit.clone()
        }
        fn was_at(&self, _commit: &str, here: BranchId) -> bool {
            self.throwaway == Some(here)
        }
    }

    fn known(origin: Origin) -> Known {
        Known {
            databases: &[("main", MAIN), ("feature", FEATURE)],
            git: &["main", "feature", "new"],
            lineage: vec![origin],
            nearest: None,
            by_hand: false,
            renamed_over: false,
            answered: None,
            of_commit: OfCommit::Unwanted,
            throwaway: None,
        }
    }

    fn branch(name: &str) -> Head {
        Head::Branch(name.into())
    }

    fn create(parent: BranchId) -> Decision {
        Decision::Create { name: "new".into(), parent }
    }

    #[test]
    fn a_branch_that_has_a_database_is_switched_to_whatever_the_configuration_says() {
        for on_checkout in [OnCheckout::Create, OnCheckout::Switch, OnCheckout::Ask] {
            let decision =
                decide(&branch("feature"), on_checkout, MAIN, &known(Origin::CutFrom("main".into())));
            assert_eq!(decision, Decision::To(FEATURE));
        }
    }

    #[test]
    fn a_new_branch_starts_from_what_git_cut_it_from() {
        let from = |origin| decide(&branch("new"), OnCheckout::Create, MAIN, &known(origin));
        assert_eq!(from(Origin::CutFrom("feature".into())), create(FEATURE));
        assert_eq!(from(Origin::CutFrom("unknown".into())), create(MAIN));
        assert_eq!(from(Origin::Unknown), create(MAIN));
    }

    #[test]
    fn a_renamed_branch_keeps_its_data() {
        let mut facts = known(Origin::RenamedFrom("feature".into()));
        facts.git = &["main", "new"];
        for on_checkout in [OnCheckout::Create, OnCheckout::Switch, OnCheckout::Ask] {
            let decision = decide(&branch("new"), on_checkout, FEATURE, &facts);
            assert_eq!(decision, Decision::Rename { id: FEATURE, to: "new".into() });
        }
    }

    #[test]
    fn a_branch_renamed_twice_keeps_its_data() {
        let mut facts = known(Origin::RenamedFrom("between".into()));
        facts.lineage.extend([Origin::RenamedFrom("feature".into()), Origin::CutFrom("main".into())]);
        facts.git = &["main", "new"];
        let decision = decide(&branch("new"), OnCheckout::Create, MAIN, &facts);
        assert_eq!(decision, Decision::Rename { id: FEATURE, to: "new".into() });
    }

    #[test]
    fn a_database_branch_that_git_never_had_is_not_renamed() {
        let mut facts = known(Origin::RenamedFrom("feature".into()));
        facts.git = &["main", "new"];
        facts.by_hand = true;
        assert_eq!(decide(&branch("new"), OnCheckout::Create, MAIN, &facts), create(FEATURE));
    }

    #[test]
    fn a_branch_that_git_had_no_commit_of_keeps_its_data_where_it_was_checked_out() {
        let mut facts = known(Origin::RenamedFrom("feature".into()));
        facts.git = &["main", "new"];
        // Nobody looked between its first commit and its other name.
        facts.by_hand = true;
        let decision = decide(&branch("new"), OnCheckout::Create, FEATURE, &facts);
        assert_eq!(decision, Decision::Rename { id: FEATURE, to: "new".into() });
    }

    #[test]
    fn a_branch_renamed_to_a_name_that_is_taken_keeps_its_data() {
        let mut facts = known(Origin::RenamedFrom("main".into()));
        facts.renamed_over = true;
        let stays = Decision::Stay { at: MAIN, why: Why::Renamed };
        assert_eq!(decide(&branch("feature"), OnCheckout::Create, MAIN, &facts), stays);
        assert_eq!(
            decide(&branch("feature"), OnCheckout::Create, FEATURE, &facts),
            Decision::To(FEATURE),
            "it has given way"
        );
    }

    #[test]
    fn a_branch_cut_from_a_commit_starts_from_the_nearest_branch() {
        let mut facts = known(Origin::CutFromCommit("c0ffee".into()));
        facts.nearest = Some("feature");
        assert_eq!(decide(&branch("new"), OnCheckout::Create, MAIN, &facts), create(FEATURE));
    }

    #[test]
    fn a_rename_whose_old_name_lives_again_is_a_new_branch() {
        let facts = known(Origin::RenamedFrom("feature".into()));
        assert_eq!(decide(&branch("new"), OnCheckout::Create, MAIN, &facts), create(FEATURE));
    }

    #[test]
    fn without_create_the_endpoint_stays_and_says_so() {
        let facts = known(Origin::CutFrom("feature".into()));
        let stays = |why| Decision::Stay { at: MAIN, why };
        let name = "new".to_owned();
        assert_eq!(
            decide(&branch("new"), OnCheckout::Ask, MAIN, &facts),
            stays(Why::Ask { name: name.clone(), parent: FEATURE })
        );
        assert_eq!(
            decide(&branch("new"), OnCheckout::Switch, MAIN, &facts),
            stays(Why::Switch { name, parent: FEATURE })
        );
    }

    #[test]
    fn an_answer_holds_where_no_branch_is_made() {
        let mut facts = known(Origin::CutFrom("main".into()));
        facts.answered = Some(FEATURE);
        for on_checkout in [OnCheckout::Ask, OnCheckout::Switch] {
            let why = Why::Answered { name: "new".into() };
            let decision = decide(&branch("new"), on_checkout, MAIN, &facts);
            assert_eq!(decision, Decision::Stay { at: FEATURE, why });
        }
        assert_eq!(decide(&branch("new"), OnCheckout::Create, MAIN, &facts), create(MAIN));
    }

    #[test]
    fn a_detached_head_keeps_the_last_branch_unless_there_is_a_database_of_its_commit() {
        let decide_with = |of_commit| {
            let facts = Known { of_commit, ..known(Origin::Unknown) };
            decide(&Head::Detached { commit: "c0ffee".into() }, OnCheckout::Create, FEATURE, &facts)
        };
        let commit = || "c0ffee".to_owned();
        for (of_commit, unknown) in [(OfCommit::Unwanted, false), (OfCommit::Unknown, true)] {
            let why = Why::Detached { commit: commit(), unknown };
            assert_eq!(decide_with(of_commit), Decision::Stay { at: FEATURE, why });
        }
        let there = decide_with(OfCommit::There(MAIN));
        assert_eq!(there, Decision::ToCommit { id: MAIN, commit: commit() });
        let made = decide_with(OfCommit::Kept { snapshot: MAIN, older: None });
        let expected = Decision::Throwaway { commit: commit(), snapshot: MAIN, older: None, here: FEATURE };
        assert_eq!(made, expected);
    }

    #[test]
    fn a_branch_cut_where_head_is_detached_takes_the_throwaway_along() {
        let mut facts = known(Origin::CutFromCommit("c0ffee".into()));
        (facts.nearest, facts.throwaway) = (Some("main"), Some(FEATURE));
        assert_eq!(decide(&branch("new"), OnCheckout::Create, FEATURE, &facts), create(FEATURE));
        assert_eq!(decide(&branch("new"), OnCheckout::Create, MAIN, &facts), create(MAIN));
    }
}

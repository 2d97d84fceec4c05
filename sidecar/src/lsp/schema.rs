//! What is known of the schemas of the branches that the window shows, and which of them to ask for next.
//!
//! Reading a schema may wake two servers, so it is asked for only when a window shows the branch, and again only after the
//! engine said that schemas changed, or when the branch or its parent became another one.

use std::collections::BTreeMap;

use offshoot_protocol::RpcError;
use offshoot_protocol::editor::SchemaStatus;
use offshoot_protocol::types::{Branch, SchemaChanges};

/// The schemas of one repository.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    /// By id of the branch.
    slots: BTreeMap<u64, Slot>,
    under_way: Option<u64>,
}

#[derive(Debug)]
struct Slot {
    lineage: Lineage,
    status: SchemaStatus,
    /// To be asked for.
    dirty: bool,
}

/// What the schemas of a branch and its parent depend on, besides statements.
#[derive(Debug, PartialEq, Eq)]
struct Lineage {
    branch: Identity,
    parent: Option<Identity>,
}

/// A branch that was reset is another one.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    id: u64,
    name: String,
    fork_lsn: Option<String>,
    created_at: u64,
}

impl Identity {
    fn of(branch: &Branch) -> Self {
        let Branch { id, name, fork_lsn, created_at, .. } = branch.clone();
        Self { id, name, fork_lsn, created_at }
    }
}

impl Schemas {
    /// Takes note of all branches and of those that windows show.
    pub(super) fn observe<'b>(&mut self, all: &[Branch], shown: impl Iterator<Item = &'b Branch>) {
        let mut kept = BTreeMap::new();
        for branch in shown {
            let Some(parent) = &branch.parent else { continue };
            let parent = all.iter().find(|other| other.name == *parent).map(Identity::of);
            let lineage = Lineage { branch: Identity::of(branch), parent };
            let slot = match self.slots.remove(&branch.id).or_else(|| kept.remove(&branch.id)) {
                Some(slot) if slot.lineage == lineage => slot,
                // The former value stands until the new one is there, unless it would carry a wrong name.
                Some(slot) if slot.lineage.has_names_of(&lineage) => Slot { lineage, dirty: true, ..slot },
                _ => Slot { lineage, status: SchemaStatus::Reading, dirty: true },
            };
            kept.insert(branch.id, slot);
        }
        self.slots = kept;
    }

    /// Some schema changed.
    pub(super) fn touch(&mut self) {
        self.slots.values_mut().for_each(|slot| slot.dirty = true);
    }

    /// The branch to ask for now: its id and its name. One at a time.
    pub(super) fn next(&mut self) -> Option<(u64, String)> {
        if self.under_way.is_some() {
            return None;
        }
        let (&id, slot) = self.slots.iter_mut().find(|(_, slot)| slot.dirty)?;
        slot.dirty = false;
        self.under_way = Some(id);
        Some((id, slot.lineage.branch.name.clone()))
    }

    /// What the engine said.
    pub(super) fn done(&mut self, id: u64, outcome: Result<SchemaChanges, RpcError>) {
        self.under_way = None;
        let Some(slot) = self.slots.get_mut(&id) else { return };
        slot.status = match outcome {
            // It was renamed or deleted meanwhile, and is asked for again.
            Ok(read) if read.branch != slot.lineage.branch.name => return,
            Ok(SchemaChanges { branch, base: Some(base), revision, fork, changes }) => {
                SchemaStatus::Ready { branch, base, revision, fork, changes }
            }
            Ok(SchemaChanges { base: None, .. }) => SchemaStatus::None,
            Err(error) => SchemaStatus::Failed { error },
        };
    }

    /// What to show for a branch.
    pub(super) fn status(&self, branch: Option<&Branch>) -> SchemaStatus {
        let slot = branch.and_then(|branch| self.slots.get(&branch.id));
        slot.map_or(SchemaStatus::None, |slot| slot.status.clone())
    }
}

impl Lineage {
    fn has_names_of(&self, other: &Self) -> bool {
        let parent = |lineage: &Self| lineage.parent.as_ref().map(|parent| parent.name.clone());
        self.branch.name == other.branch.name && parent(self) == parent(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offshoot_protocol::types::{ComputeState, ForkPoint};

    fn branch(id: u64, name: &str, parent: Option<&str>) -> Branch {
        Branch {
            id,
            name: name.into(),
            parent: parent.map(str::to_owned),
            fork_lsn: None,
            created_at: 0,
            state: ComputeState::Asleep,
            failure: None,
            root: parent.is_none(),
            own_bytes: 0,
            shared_bytes: 0,
            in_git: true,
            connections: 0,
            worktrees: vec![],
            protected: false,
            overridable: false,
            expires_at: None,
            max_bytes: None,
            stale_since: None,
            follows: None,
            promotes_to: None,
        }
    }

    fn read(name: &str, revision: u64) -> SchemaChanges {
        SchemaChanges {
            branch: name.into(),
            base: Some("main".into()),
            revision,
            fork: ForkPoint::Known,
            changes: vec![],
        }
    }

    #[test]
    fn a_schema_is_asked_for_once_an_event_and_keeps_its_value_meanwhile() {
        let mut schemas = Schemas::default();
        let all = [branch(1, "main", None), branch(2, "feature", Some("main"))];
        schemas.observe(&all, all.iter());
        assert_eq!(schemas.status(Some(&all[0])), SchemaStatus::None, "nothing to compare with");
        assert_eq!(schemas.status(Some(&all[1])), SchemaStatus::Reading);
        assert_eq!(schemas.next(), Some((2, "feature".to_owned())));
        assert_eq!(schemas.next(), None, "one at a time");
        schemas.touch();
        schemas.done(2, Ok(read("feature", 1)));
        assert_eq!(schemas.next(), Some((2, "feature".to_owned())), "it changed while it was read");
        assert!(matches!(schemas.status(Some(&all[1])), SchemaStatus::Ready { revision: 1, .. }));
        schemas.done(2, Ok(read("feature", 2)));
        schemas.observe(&all, all.iter());
        assert_eq!(schemas.next(), None, "nothing happened");
    }

    #[test]
    fn a_branch_that_was_reset_or_renamed_is_asked_for_again() {
        let mut schemas = Schemas::default();
        let mut all = [branch(1, "main", None), branch(2, "feature", Some("main"))];
        schemas.observe(&all, all.iter());
        schemas.next();
        schemas.done(2, Ok(read("feature", 1)));
        all[1].fork_lsn = Some("0/1".into());
        schemas.observe(&all, all.iter());
        assert!(matches!(schemas.status(Some(&all[1])), SchemaStatus::Ready { .. }), "the former value");
        assert!(schemas.next().is_some());
        all[1].name = "other".into();
        schemas.observe(&all, all.iter());
        assert_eq!(schemas.status(Some(&all[1])), SchemaStatus::Reading, "not with the former name");
        schemas.done(2, Ok(read("feature", 2)));
        assert_eq!(schemas.status(Some(&all[1])), SchemaStatus::Reading, "an answer of before");
        assert_eq!(schemas.next(), Some((2, "other".to_owned())));
    }
}

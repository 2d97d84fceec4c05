//! What docs/git.md says, small enough to be read beside it.

use std::collections::{BTreeMap, BTreeSet};

use offshoot_git::Head;
use offshoot_protocol::types::Branch;

use crate::pair::Seen;

/// A database branch.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) id: u64,
    /// Whose data it began with, and goes back to by a reset.
    pub(crate) parent: Option<u64>,
    /// The rows that prove which data it is.
    pub(crate) rows: BTreeSet<i32>,
    /// Whether git had a branch of its name.
    was_in_git: bool,
}

/// What a git branch was cut from, as far as git's records tell it beyond doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// Another branch.
    Branch(String),
    /// Nothing: the database is that of the moment.
    Nothing,
    /// A commit, or a branch that is gone: the nearest branch, as git's history has it.
    Unclear,
}

/// What a step did to git's branches, if git did it.
#[derive(Clone, Debug, Default)]
pub(crate) enum Did {
    /// Nothing that the heads do not tell.
    #[default]
    Nothing,
    Cut {
        name: String,
        from: From,
    },
    Renamed {
        old: String,
        new: String,
    },
}

/// A database branch that went to the trash, with the children that it had.
#[derive(Clone, Debug)]
struct Former {
    database: Database,
    /// Whether another one took its place, as with a reset.
    was_replaced: bool,
    children: Vec<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) databases: BTreeMap<String, Database>,
    /// Where each worktree's endpoint leads.
    pub(crate) places: BTreeMap<String, u64>,
    cuts: BTreeMap<String, From>,
    /// Names that each git branch had before.
    earlier: BTreeMap<String, BTreeSet<String>>,
    /// What `undo NAME` would bring back.
    former: BTreeMap<String, Former>,
    pub(crate) seen: Seen,
}

impl Model {
    /// With the root branch alone.
    pub(crate) fn new(seen: Seen, root: &Branch) -> Self {
        let database = Database { id: root.id, parent: None, rows: BTreeSet::new(), was_in_git: true };
        let places = seen.heads.keys().map(|worktree| (worktree.clone(), root.id)).collect();
        let databases = BTreeMap::from([(root.name.clone(), database)]);
        Self { databases, places, seen, ..Self::default() }
    }

    fn id(&self, name: &str) -> Option<u64> {
        self.databases.get(name).map(|database| database.id)
    }

    fn root(&self) -> u64 {
        self.databases.values().find(|database| database.parent.is_none()).unwrap().id
    }

    /// The name of the database branch that a worktree's endpoint leads to.
    pub(crate) fn place(&self, worktree: &str) -> &str {
        let id = self.places[worktree];
        self.databases.iter().find(|(_, database)| database.id == id).unwrap().0
    }

    pub(crate) fn by_id(&mut self, id: u64) -> &mut Database {
        self.databases.values_mut().find(|database| database.id == id).unwrap()
    }

    /// Takes in a step of git. `told` is what the engine has now: of it count only branches that the model expects to be new.
    pub(crate) fn step(&mut self, did: &Did, seen: Seen, told: &[Branch]) -> Result<(), String> {
        let before = std::mem::replace(&mut self.seen, seen);
        match did {
            Did::Cut { name, from } if !before.branches.contains(name) => {
                self.cuts.insert(name.clone(), from.clone());
                self.earlier.remove(name);
            }
            Did::Renamed { old, new } if self.was_renamed(&before, old, new) => {
                self.rename(&before, old, new);
            }
            _ => {
                // What appears by itself has no origin that the model knows.
                let came = self.seen.branches.difference(&before.branches);
                for name in came.chain(before.branches.difference(&self.seen.branches)) {
                    self.cuts.remove(name);
                    self.earlier.remove(name);
                }
            }
        }
        self.rename_late(told);
        // A worktree that is moved takes its address along.
        for (worktree, folder) in self.seen.moved(&before) {
            if let Some(place) = self.places.remove(&worktree) {
                self.places.insert(folder, place);
            }
        }
        self.places.retain(|worktree, _| self.seen.heads.contains_key(worktree));
        for (worktree, head) in self.seen.heads.clone() {
            let here = self.places.get(&worktree).copied().unwrap_or_else(|| self.root());
            let place = match head {
                Head::Detached { .. } => here,
                Head::Branch(name) => match self.id(&name) {
                    Some(id) => id,
                    None => self.create(&name, here, told)?,
                },
            };
            self.places.insert(worktree, place);
        }
        self.note_in_git();
        Ok(())
    }

    /// Git has branches of these names now. One that was made by hand is not git's where the name's data were left behind under an earlier
    /// name, until it is checked out.
    fn note_in_git(&mut self) {
        let Self { databases, places, earlier, seen, .. } = self;
        let left_behind = |databases: &BTreeMap<String, Database>, old: &String| {
            databases.get(old).is_some_and(|database| database.was_in_git)
                && !seen.branches.contains(old)
                && !seen.heads.values().any(|head| *head == Head::Branch(old.clone()))
        };
        let noted: Vec<String> = databases
            .iter()
            .filter(|(name, database)| {
                let is_checked_out = seen.heads.iter().any(|(worktree, head)| {
                    *head == Head::Branch((*name).clone()) && places.get(worktree) == Some(&database.id)
                });
                let has_others = earlier
                    .get(*name)
                    .is_some_and(|names| names.iter().any(|old| left_behind(databases, old)));
                seen.branches.contains(*name) && (is_checked_out || !has_others)
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in noted {
            databases.get_mut(&name).unwrap().was_in_git = true;
        }
    }

    /// A database branch that was left behind when its git branch took the name of another one gets that name once it is free: when git's
    /// branches are looked at next.
    fn rename_late(&mut self, told: &[Branch]) {
        for branch in told {
            let is_free = !self.databases.contains_key(&branch.name);
            let was = self.databases.iter().find(|(_, database)| is_free && database.id == branch.id);
            let Some(old) = was.map(|(name, _)| name.clone()) else { continue };
            let is_its_own = self.earlier.get(&branch.name).is_some_and(|names| names.contains(&old));
            if is_its_own && self.seen.branches.contains(&branch.name) && !self.seen.branches.contains(&old) {
                let database = self.databases.remove(&old).unwrap();
                self.databases.insert(branch.name.clone(), database);
            }
        }
    }

    fn was_renamed(&self, before: &Seen, old: &str, new: &str) -> bool {
        let (was, is) = (&before.branches, &self.seen.branches);
        was.contains(old) && !is.contains(old) && is.contains(new)
    }

    /// The data go with the name, unless the new name has a database branch that must not be moved away.
    fn rename(&mut self, before: &Seen, old: &str, new: &str) {
        if let Some(from) = self.cuts.remove(old) {
            self.cuts.insert(new.to_owned(), from);
        }
        let mut earlier = self.earlier.remove(old).unwrap_or_default();
        earlier.insert(old.to_owned());
        self.earlier.insert(new.to_owned(), earlier);
        let Some(id) = self.id(old) else { return };
        if let Some(taken) = self.databases.get(new) {
            let was_checked_out = before.heads.values().any(|head| *head == Head::Branch(old.to_owned()));
            let stays = taken.id == self.root()
                || !taken.was_in_git
                || self.places.values().any(|place| *place == taken.id)
                // Git had both: which data belong to the name is known only where the renamed one was checked out.
                || (before.branches.contains(new) && !was_checked_out);
            if stays {
                return;
            }
            self.trash(new);
        }
        self.former.remove(old);
        let database = self.databases.remove(old).unwrap();
        assert_eq!(database.id, id);
        self.databases.insert(new.to_owned(), database);
    }

    /// A database branch for the git branch `name`, which is checked out.
    fn create(&mut self, name: &str, here: u64, told: &[Branch]) -> Result<u64, String> {
        let made =
            told.iter().find(|branch| branch.name == name).ok_or(format!("no database branch `{name}`"))?;
        if let Some((old, _)) = self.databases.iter().find(|(_, database)| database.id == made.id) {
            // A rename that shows only now.
            let old = old.clone();
            let is_its_own = self.earlier.get(name).is_some_and(|names| names.contains(&old));
            if !is_its_own || self.seen.branches.contains(&old) {
                return Err(format!("`{old}` became `{name}`"));
            }
            let database = self.databases.remove(&old).unwrap();
            self.databases.insert(name.to_owned(), database);
            return Ok(made.id);
        }
        let expected = match self.cuts.get(name) {
            Some(From::Branch(from)) if self.seen.branches.contains(from) => {
                Some(self.id(from).unwrap_or(here))
            }
            Some(From::Nothing) => Some(here),
            _ => None,
        };
        let parent = made.parent.as_deref().and_then(|parent| self.id(parent));
        let parent = parent.ok_or(format!("`{name}` comes from {:?}", made.parent))?;
        if expected.is_some_and(|expected| expected != parent) {
            let (cut, lineage) = (self.cuts.get(name), self.seen.lineage(name));
            return Err(format!(
                "`{name}` comes from {:?}, was cut from {cut:?}; git says {lineage:?}",
                made.parent
            ));
        }
        self.made(name, made.id, parent);
        Ok(made.id)
    }

    /// A branch was made of the present of `parent`.
    pub(crate) fn made(&mut self, name: &str, id: u64, parent: u64) {
        let rows = self.by_id(parent).rows.clone();
        let was_in_git = self.seen.branches.contains(name);
        self.former.remove(name);
        self.databases.insert(name.to_owned(), Database { id, parent: Some(parent), rows, was_in_git });
    }

    /// Why a branch cannot be deleted.
    pub(crate) fn holds(&self, name: &str) -> bool {
        let database = &self.databases[name];
        database.parent.is_none() || self.places.values().any(|place| *place == database.id)
    }

    /// Moves a branch to the trash; its children become its parent's.
    pub(crate) fn trash(&mut self, name: &str) {
        let database = self.databases.remove(name).unwrap();
        let mut children = Vec::new();
        for child in self.databases.values_mut().filter(|child| child.parent == Some(database.id)) {
            child.parent = database.parent;
            children.push(child.id);
        }
        self.former.insert(name.to_owned(), Former { database, was_replaced: false, children });
    }

    /// A reset: new data from the parent's present, in the place of what was there.
    pub(crate) fn reset(&mut self, name: &str, id: u64) {
        let before = self.databases.remove(name).unwrap();
        let parent = before.parent.unwrap();
        self.made(name, id, parent);
        self.databases.get_mut(name).unwrap().was_in_git = before.was_in_git;
        self.move_over(before.id, id);
        self.former
            .insert(name.to_owned(), Former { database: before, was_replaced: true, children: Vec::new() });
    }

    fn move_over(&mut self, old: u64, new: u64) {
        for place in self.places.values_mut().filter(|place| **place == old) {
            *place = new;
        }
        for child in self.databases.values_mut().filter(|child| child.parent == Some(old)) {
            child.parent = Some(new);
        }
    }

    /// The names that an undo can be tried with.
    pub(crate) fn undoable(&self) -> Vec<String> {
        let fits =
            |(name, former): &(&String, &Former)| former.was_replaced == self.databases.contains_key(*name);
        self.former.iter().filter(fits).map(|(name, _)| name.clone()).collect()
    }

    /// `undo NAME` brought back `id`.
    pub(crate) fn undone(&mut self, name: &str, told: &Branch) -> Result<(), String> {
        let Former { mut database, children, .. } = self.former.remove(name).unwrap();
        if told.id != database.id {
            return Err(format!("undo of `{name}` brought back {} and not {}", told.id, database.id));
        }
        // The parent may have been deleted or reset meanwhile.
        database.parent = told.parent.as_deref().and_then(|parent| self.id(parent));
        database.was_in_git = self.seen.branches.contains(name);
        let (id, parent) = (database.id, database.parent);
        if let Some(displaced) = self.databases.insert(name.to_owned(), database) {
            self.move_over(displaced.id, id);
        }
        for child in self.databases.values_mut() {
            if children.contains(&child.id) && child.parent == parent {
                child.parent = Some(id);
            }
        }
        Ok(())
    }

    /// What the engine's list must be: names, ids and parents.
    pub(crate) fn differs(&self, told: &[Branch]) -> Option<String> {
        let name = |id: Option<u64>| {
            self.databases.iter().find(|(_, database)| Some(database.id) == id).map(|(name, _)| name.clone())
        };
        let expected: BTreeMap<_, _> = self
            .databases
            .iter()
            .map(|(own, database)| (own.clone(), (database.id, name(database.parent))))
            .collect();
        let is: BTreeMap<_, _> =
            told.iter().map(|branch| (branch.name.clone(), (branch.id, branch.parent.clone()))).collect();
        (expected != is).then(|| format!("database branches are {is:?}\nand should be {expected:?}"))
    }
}

//! What becomes of each fact: left alone, made, dropped, changed in place, or dropped and made again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{PlanOptions, alter};
use crate::diff::{Delta, diff};
use crate::fact::{FactId, Facts};
use crate::kind::Kind;

/// What becomes of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Create,
    Drop,
    /// Dropped and made again.
    Replace,
    /// These attributes are changed in place.
    Alter(BTreeSet<String>),
}

/// The fates of all facts that have one.
pub(super) struct Fates<'a> {
    pub(super) from: &'a Facts,
    pub(super) to: &'a Facts,
    pub(super) decided: BTreeMap<Arc<FactId>, Fate>,
    /// Types, and columns that change their place, which are renamed away, made anew, taken over by the columns and only
    /// then dropped.
    pub(super) swapped: BTreeSet<Arc<FactId>>,
    /// Who refers to a fact in `from`.
    users: HashMap<&'a FactId, Vec<&'a Arc<FactId>>>,
    /// Facts whose parts' and users' fates are still to be looked at.
    work: Vec<Arc<FactId>>,
}

/// Attributes that change nothing that others could depend on.
pub(super) fn is_outward(attribute: &str) -> bool {
    matches!(attribute, "owner" | "position") || is_note(attribute)
}

/// Comments and security labels.
pub(crate) fn is_note(attribute: &str) -> bool {
    let last = attribute.split_once(' ').map_or(attribute, |(_, rest)| rest);
    attribute == "comment" || last == "comment" || attribute.starts_with("label ")
}

impl<'a> Fates<'a> {
    pub(super) fn decide(from: &'a Facts, to: &'a Facts, options: &PlanOptions) -> Self {
        let mut users: HashMap<&FactId, Vec<&Arc<FactId>>> = HashMap::new();
        for (id, fact) in &from.facts {
            for reference in &fact.references {
                users.entry(reference).or_default().push(id);
            }
        }
        let mut fates =
            Self { from, to, decided: BTreeMap::new(), swapped: BTreeSet::new(), users, work: Vec::new() };
        for difference in diff(from, to, &options.noise) {
            match difference.delta {
                Delta::Added => fates.begin(&difference.id, Fate::Create),
                Delta::Removed => fates.begin(&difference.id, Fate::Drop),
                Delta::Changed(attributes) => fates.begin(&difference.id, Fate::Alter(attributes)),
            }
        }
        fates.propagate();
        if options.noise.column_order {
            super::order::decide(&mut fates);
            fates.propagate();
        }
        let types = super::convert::types_on_the_way(&fates);
        fates.swapped.extend(types);
        fates
    }

    /// The first fate of a fact that differs.
    fn begin(&mut self, id: &Arc<FactId>, fate: Fate) {
        let of_view =
            id.kind == Kind::Column && matches!(id.owner().kind, Kind::View | Kind::MaterializedView);
        let only_notes = matches!(&fate, Fate::Alter(names) if names.iter().all(|name| is_outward(name)));
        if of_view && !only_notes {
            // A view's columns are as its definition makes them.
            if let Some(view) = &id.of
                && self.from.get(view).is_some()
                && self.to.get(view).is_some()
            {
                self.set(view, Fate::Alter(BTreeSet::from(["definition".to_owned()])));
            }
            return;
        }
        if let Some(owner) = self.rigid(id, &fate) {
            self.set(&owner, Fate::Replace);
            return;
        }
        if id.kind == Kind::Attachment && !id.owner().kind.is_relation() && fate == Fate::Drop {
            // An index cannot be detached: the one that it is attached to is made anew without it.
            let parent = self.from.get(id).and_then(|link| link.references.iter().next().cloned());
            let stays = !matches!(self.get(&attachment_of_table(id)), Some(Fate::Drop | Fate::Replace));
            if let Some(parent) = parent
                .filter(|parent| stays && self.to.get(parent).is_some() && self.to.get(id.owner()).is_some())
            {
                self.set(&parent, Fate::Replace);
            }
        }
        self.set(id, fate);
    }

    /// The type or domain that has to be made anew for a change, because Postgres changes none that values of tables are made of.
    fn rigid(&self, id: &Arc<FactId>, fate: &Fate) -> Option<Arc<FactId>> {
        let names = |wanted: &[&str]| match fate {
            Fate::Alter(names) => wanted.iter().any(|name| names.contains(*name)),
            Fate::Create => true,
            _ => false,
        };
        let (from, to) = (self.from, self.to);
        let stays = |id: &FactId| from.get(id).is_some() && to.get(id).is_some();
        let owner = match (id.kind, id.of.as_ref()) {
            (Kind::Column, Some(of)) if of.kind == Kind::Type && *fate != Fate::Create => of,
            (Kind::Constraint, Some(of)) if of.kind == Kind::Domain => of,
            (Kind::Domain, _) if to.get(id).is_some_and(|domain| domain.is("not_null")) => id,
            _ => return None,
        };
        let changes = match id.kind {
            Kind::Column => names(&["type", "collation"]),
            Kind::Domain => names(&["not_null"]) && *fate != Fate::Create,
            _ => names(&["definition"]),
        };
        let is_made_of = |user: &&&Arc<FactId>| {
            let Some(column) = from.get(user).filter(|_| user.kind == Kind::Column) else { return false };
            let direct = column.text("type") == Some(owner.sql().as_str()) && user.owner().kind != Kind::Type;
            let held = to.get(user).is_some_and(|column| column.references.contains(owner));
            held && (id.kind == Kind::Column || !direct)
        };
        let held = self.users.get(&**owner).is_some_and(|users| users.iter().any(|user| is_made_of(&user)));
        (changes && stays(owner) && held).then(|| Arc::clone(owner))
    }

    pub(super) fn get(&self, id: &FactId) -> Option<&Fate> {
        self.decided.get(id)
    }

    /// Makes a column anew in another place, with its values.
    pub(super) fn move_column(&mut self, id: &Arc<FactId>) {
        let generated = self.to.get(id).is_some_and(|column| column.text("generated").is_some());
        if self.is_dropped(id) {
            return;
        }
        if !generated {
            self.swapped.insert(Arc::clone(id));
        }
        self.decided.insert(Arc::clone(id), Fate::Replace);
        self.work.push(Arc::clone(id));
    }

    /// Gives a fact a fate, on top of the one that it has.
    pub(super) fn set(&mut self, id: &Arc<FactId>, fate: Fate) {
        let merged = match (self.decided.get(id), fate) {
            (Some(Fate::Replace | Fate::Create | Fate::Drop), _) => return,
            (Some(Fate::Alter(old)), Fate::Alter(new)) if new.is_subset(old) => return,
            (Some(Fate::Alter(old)), Fate::Alter(new)) => Fate::Alter(old.union(&new).cloned().collect()),
            (_, fate) => fate,
        };
        let merged = match merged {
            Fate::Alter(attributes) if !alter::is_possible(self, id, &attributes) => Fate::Replace,
            merged => merged,
        };
        if merged == Fate::Replace && super::convert::changes_partitioning(self, id) {
            self.swapped.insert(Arc::clone(id));
        }
        self.decided.insert(Arc::clone(id), merged);
        self.work.push(Arc::clone(id));
    }

    /// Whether it is in `from` and is dropped, with what it is part of or by itself.
    pub(super) fn is_dropped(&self, id: &FactId) -> bool {
        let by_itself = matches!(self.get(id), Some(Fate::Drop | Fate::Replace));
        self.from.get(id).is_some() && (by_itself || id.of.as_ref().is_some_and(|of| self.is_dropped(of)))
    }

    /// Whether it is in `to` and is made, with what it is part of or by itself.
    pub(super) fn is_created(&self, id: &FactId) -> bool {
        let by_itself = matches!(self.get(id), Some(Fate::Create | Fate::Replace));
        self.to.get(id).is_some() && (by_itself || id.of.as_ref().is_some_and(|of| self.is_created(of)))
    }

    fn propagate(&mut self) {
        while let Some(id) = self.work.pop() {
            match self.get(&id) {
                Some(Fate::Drop | Fate::Replace) => self.release(&id),
                Some(Fate::Alter(attributes)) => {
                    let attributes = attributes.clone();
                    self.altered(&id, &attributes);
                }
                _ => {}
            }
        }
    }

    /// Everything that uses what is dropped has to let go of it.
    fn release(&mut self, id: &Arc<FactId>) {
        let mut parts = vec![Arc::clone(id)];
        while let Some(part) = parts.pop() {
            let users: Vec<Arc<FactId>> =
                self.users.get(&*part).into_iter().flatten().map(|user| Arc::clone(user)).collect();
            for user in users {
                let indexes = user.kind == Kind::Attachment && !user.owner().kind.is_relation();
                if let Some(index) = user.of.clone().filter(|index| indexes && self.to.get(index).is_some()) {
                    // It goes with the one that it is attached to.
                    if !self.is_dropped(&index) {
                        self.set(&index, Fate::Replace);
                    }
                }
                if !id.contains(&user) && !self.is_dropped(&user) {
                    self.let_go(&user, &part);
                }
            }
            parts.extend(self.from.parts(&part).into_iter().map(|(part, _)| Arc::clone(part)));
        }
    }

    /// `user` refers to `gone`, which is dropped.
    fn let_go(&mut self, user: &Arc<FactId>, gone: &Arc<FactId>) {
        let Some(new) = self.to.get(user) else { return };
        let changes =
            matches!(self.get(user), Some(Fate::Alter(names)) if names.iter().any(|name| !is_outward(name)));
        if changes && self.to.get(gone).is_none() && !new.references.contains(gone) {
            // Changing it in place lets go of it.
            return;
        }
        match (user.kind, gone.kind) {
            (Kind::Column, Kind::Type | Kind::Domain)
                if matches!(user.owner().kind, Kind::Table | Kind::ForeignTable)
                    && self.from.get(user).is_some_and(|column| column.text("generated").is_none()) =>
            {
                self.swapped.insert(Arc::clone(gone));
                self.set(user, Fate::Alter(BTreeSet::from(["type".to_owned()])));
            }
            (Kind::Column, _) if !matches!(user.owner().kind, Kind::Table | Kind::ForeignTable) => {
                if let Some(owner) = &user.of {
                    let owner = Arc::clone(owner);
                    self.set(&owner, Fate::Replace);
                }
            }
            _ => self.set(user, Fate::Replace),
        }
    }

    /// What a change in place does to those who use the fact, and to its parts.
    fn altered(&mut self, id: &Arc<FactId>, attributes: &BTreeSet<String>) {
        let retyped =
            ["type", "collation", "generated", "expression"].iter().any(|name| attributes.contains(*name));
        if id.kind == Kind::Column && attributes.contains("not_null") {
            self.keep_not_null_of_heirs(id);
        }
        if id.kind != Kind::Column || !retyped {
            return;
        }
        let users: Vec<Arc<FactId>> =
            self.users.get(&**id).into_iter().flatten().map(|user| Arc::clone(user)).collect();
        for user in users {
            if !self.is_dropped(&user) && !self.follows(&user, id) && self.to.get(&user).is_some() {
                self.set(&user, Fate::Replace);
            }
        }
        let default = Arc::new(FactId::part(Arc::clone(id), Kind::Default, ""));
        if self.from.get(&default).is_some() && self.to.get(&default).is_some() {
            self.set(&default, Fate::Replace);
        }
    }

    /// Heirs lose their not null with the parent's; one that shall stay is set again.
    fn keep_not_null_of_heirs(&mut self, parent: &Arc<FactId>) {
        if self.to.get(parent).is_none_or(|column| column.is("not_null")) {
            return;
        }
        let (from, to) = (self.from, self.to);
        let is_heir = |id: &&Arc<FactId>| {
            id.kind == Kind::Column
                && id.name == parent.name
                && from.get(id).is_some_and(|column| column.is("inherited") && column.is("not_null"))
                && to.get(id).is_some_and(|column| column.is("not_null"))
                && super::implied::twins(self, from, id).contains(parent)
        };
        let heirs: Vec<Arc<FactId>> = from.facts.keys().filter(is_heir).cloned().collect();
        for heir in heirs {
            self.set(&heir, Fate::Alter(BTreeSet::from(["not_null".to_owned()])));
        }
    }

    /// Whether Postgres itself rebuilds `user` when the type of `column` changes.
    fn follows(&self, user: &FactId, column: &FactId) -> bool {
        match user.kind {
            Kind::Index | Kind::Statistics | Kind::SequenceOwner => true,
            Kind::Constraint => {
                let form = self.from.get(user).and_then(|constraint| constraint.text("form"));
                form != Some("foreignKey") || super::column::is_comparable(self, column)
            }
            _ => false,
        }
    }

    /// Makes everything else of the plan drop and make again, too: the way out of a circle.
    pub(super) fn replace(&mut self, id: &Arc<FactId>) {
        self.decided.insert(Arc::clone(id), Fate::Replace);
        self.work.push(Arc::clone(id));
        self.propagate();
        let types = super::convert::types_on_the_way(self);
        self.swapped.extend(types);
    }
}

/// The link of the table that an attached index belongs to.
fn attachment_of_table(link: &FactId) -> FactId {
    let table = link.owner().of.clone().unwrap_or_else(|| Arc::new(link.clone()));
    FactId::part(table, Kind::Attachment, "")
}

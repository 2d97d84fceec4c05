//! Which of many confirmed renames happened between given schemas: lines that do not fit are history, and left alone.

use super::apply::{Applied, one};
use super::parse::{Rename, Renames};
use crate::fact::Facts;
use crate::kind::Kind;
use crate::object::Object;

/// Who renamed an object since the fork point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamer {
    /// The branch.
    Mine,
    /// The parent.
    Theirs,
    /// Both, alike.
    Both,
}

/// That an object has another name than it had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamedObject {
    /// As it was called.
    pub from: Object,
    /// As it is called now.
    pub to: Object,
    /// Who did it.
    pub by: Renamer,
}

/// Two schemas, the first as it is after the renames that fit.
#[derive(Debug, Clone)]
pub struct Fitting {
    /// The facts of the first.
    pub from: Facts,
    /// The renames that fit, in their order. One that was renamed on the way is there once, with its last name.
    pub renames: Renames,
    /// The objects that are called otherwise by them; parts of objects are not among them.
    pub objects: Vec<RenamedObject>,
    /// The objects of which a part is called otherwise, a column or a value of an enum, by their last names.
    pub touched: Vec<(Object, Renamer)>,
}

/// Three schemas in which all that was renamed has its new name.
#[derive(Debug, Clone)]
pub struct FittingSince {
    /// At the fork point.
    pub fork: Facts,
    /// Of the branch.
    pub mine: Facts,
    /// Of the parent.
    pub theirs: Facts,
    /// The objects that are called otherwise.
    pub objects: Vec<RenamedObject>,
    /// The objects of which a part is called otherwise, a column or a value of an enum, by their last names.
    pub touched: Vec<(Object, Renamer)>,
}

/// Which of both names a schema has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Has {
    Old,
    New,
    /// Both or none: it cannot be told what happened.
    Other,
}

impl Renames {
    /// The renames that happened between `from` and `to`: the one has only the old name, the other only the new one.
    pub fn fitting(&self, from: &Facts, to: &Facts) -> Fitting {
        let mut fitting = Fitting {
            from: from.clone(),
            renames: Self::default(),
            objects: Vec::new(),
            touched: Vec::new(),
        };
        for at in 0..self.list.len() {
            let fits =
                |rename: &Rename| has(rename, &fitting.from) == Has::Old && has(rename, to) == Has::New;
            let Some(rename) = self.names_of(at).find(fits) else { continue };
            if let Some(applied) = apply(&rename, &mut fitting.from, to) {
                note(&mut fitting.objects, &mut fitting.touched, &applied, Renamer::Mine);
                fitting.renames.list.push(rename);
            }
        }
        fitting
    }

    /// The renames that happened on either side since the fork point. One that the other side answered with anything but the
    /// same rename, or with the old name as it was, is left alone.
    pub fn fitting_since(&self, fork: &Facts, mine: &Facts, theirs: &Facts) -> FittingSince {
        let (fork, mine, theirs) = (fork.clone(), mine.clone(), theirs.clone());
        let mut since = FittingSince { fork, mine, theirs, objects: Vec::new(), touched: Vec::new() };
        for at in 0..self.list.len() {
            let by = |rename: &Rename| {
                let sides = (has(rename, &since.mine), has(rename, &since.theirs));
                match (has(rename, &since.fork), sides) {
                    (Has::Old, (Has::New, Has::Old)) => Some(Renamer::Mine),
                    (Has::Old, (Has::Old, Has::New)) => Some(Renamer::Theirs),
                    (Has::Old, (Has::New, Has::New)) => Some(Renamer::Both),
                    _ => None,
                }
            };
            let Some((rename, by)) = self.names_of(at).find_map(|rename| by(&rename).map(|by| (rename, by)))
            else {
                continue;
            };
            let FittingSince { fork, mine, theirs, .. } = &mut since;
            let (wanted, other) = match by {
                Renamer::Mine => (&*mine, Some(theirs)),
                Renamer::Theirs => (&*theirs, Some(mine)),
                Renamer::Both => (&*mine, None),
            };
            let mut before = fork.clone();
            let Some(applied) = apply(&rename, &mut before, wanted) else { continue };
            if let Some(other) = other {
                let mut moved = other.clone();
                if apply(&rename, &mut moved, wanted).is_none() {
                    continue;
                }
                *other = moved;
            }
            *fork = before;
            note(&mut since.objects, &mut since.touched, &applied, by);
        }
        since
    }

    /// The rename at `at`, and the same to each name that later ones give it.
    fn names_of(&self, at: usize) -> impl Iterator<Item = Rename> {
        let mut names = vec![self.list[at].clone()];
        let mut path = self.list[at].path.clone();
        for later in &self.list[at + 1..] {
            let Some((last, name)) = path.last_mut().zip(names.last()) else { break };
            last.clone_from(&name.to);
            if later.word == name.word && later.path == path {
                names.push(Rename { to: later.to.clone(), ..self.list[at].clone() });
            }
        }
        names.into_iter()
    }
}

/// What an object was called: itself, or the schema that it lies in, may be renamed.
pub fn former_name<'o>(
    objects: impl DoubleEndedIterator<Item = &'o RenamedObject> + Clone,
    object: &Object,
) -> Object {
    if let Some(renamed) = objects.clone().find(|renamed| renamed.to == *object) {
        return renamed.from.clone();
    }
    let mut former = object.clone();
    for renamed in objects.rev().filter(|renamed| renamed.to.kind == Kind::Schema) {
        if former.schema.as_ref() == Some(&renamed.to.name) {
            former.schema = Some(renamed.from.name.clone());
        }
    }
    former
}

fn has(rename: &Rename, facts: &Facts) -> Has {
    let old = rename.path.last().is_some_and(|old| rename.find(facts, old).is_some());
    match (old, rename.find(facts, &rename.to).is_some()) {
        (true, false) => Has::Old,
        (false, true) => Has::New,
        _ => Has::Other,
    }
}

fn apply(rename: &Rename, facts: &mut Facts, to: &Facts) -> Option<Vec<Applied>> {
    one(rename, facts, to).ok()
}

/// Takes note of objects that are called otherwise, with their first names and their last ones, and of those of which a part is.
fn note(
    objects: &mut Vec<RenamedObject>,
    touched: &mut Vec<(Object, Renamer)>,
    applied: &[Applied],
    by: Renamer,
) {
    for renamed in applied {
        let (from, to) = (Object::of(&renamed.id), Object::of(&renamed.new));
        if renamed.id.of.is_some() || renamed.id == renamed.new {
            touched.push((to, by));
            continue;
        }
        for (object, _) in touched.iter_mut() {
            if *object == from {
                *object = to.clone();
            } else if to.kind == Kind::Schema && object.schema.as_ref() == Some(&from.name) {
                object.schema = Some(to.name.clone());
            }
        }
        if to.kind == Kind::Schema {
            let inside = objects.iter_mut().filter(|other| other.to.schema.as_ref() == Some(&from.name));
            inside.for_each(|other| other.to.schema = Some(to.name.clone()));
        }
        let from = former_name(objects.iter(), &from);
        objects.push(RenamedObject { from, to, by });
    }
}

//! One look at a worktree: reads its HEAD and configuration and does what the checkout asks for. Blocks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use offshoot_git::{Head, Origin, Worktree};
use offshoot_protocol::types::{Note, NoteKind};
use offshoot_storage::{Branch, BranchId, StorageError, Store};

use super::at_commit::{self, Wish};
use super::decide::{Decision, Facts, OfCommit, Why, decide};
use crate::config::{ConfigFile, OnCheckout};
use crate::engine::book::{Book, By, SeatKey};
use crate::engine::policy::{self, Birth, Birthplace, Making};
use crate::engine::prepare::Preparing;
use crate::engine::{Engine, branches, detached, expiry, follow, hooks, room};
use crate::failure::{Failure, Result};
use crate::names::{self, quoted};

/// What decides about a worktree's branch. While it stays the same, so does the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    head: Head,
    on_checkout: OnCheckout,
    /// The parent that a rule names.
    parent: Option<Box<str>>,
    /// Counts changes to the set of branches and their names.
    generation: u64,
    /// What a detached HEAD asks for.
    wish: Wish,
}

/// A look to take.
pub(super) struct Look {
    pub(super) engine: Arc<Engine>,
    pub(super) key: SeatKey,
    pub(super) worktree: Worktree,
    pub(super) config: ConfigFile,
    /// What the last good look was based on.
    pub(super) last: Option<Stamp>,
    /// Where the endpoint leads now.
    pub(super) here: Option<BranchId>,
}

/// What a look found.
pub(super) struct Found {
    pub(super) config: ConfigFile,
    /// What is checked out, if that can be read, whatever comes of it.
    pub(super) head: Option<Head>,
    pub(super) outcome: Result<Outcome>,
}

pub(super) enum Outcome {
    /// Nothing changed since the last look.
    Same,
    /// Lead there.
    Settled { stamp: Stamp, head: Head, place: Place, made: bool },
}

/// Where a worktree's endpoint leads, and what a person should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) branch: BranchId,
    pub(super) notes: Vec<Note>,
    pub(super) missing: Option<Missing>,
}

/// The database branch that a git branch could have, but has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Name of both.
    pub(crate) name: String,
    /// The database branch that it would come from.
    pub(crate) parent: BranchId,
    /// That one's name.
    pub(crate) parent_name: String,
    /// Whether a person is to be asked.
    pub(crate) asked: bool,
}

/// Takes the look.
pub(super) fn look(mut look: Look) -> Found {
    look.config.refresh();
    let head = offshoot_git::head(&look.worktree).map_err(|e| super::git_failure(&e));
    let outcome = head.clone().and_then(|head| settle(&look, head));
    Found { config: look.config, head: head.ok(), outcome }
}

fn settle(look: &Look, head: Head) -> Result<Outcome> {
    let store = &*look.engine.store;
    let ruled = ruled(&look.engine, &head)?;
    let on_checkout = ruled.on_checkout.unwrap_or(look.config.config().on_checkout);
    let parent = ruled.parent.as_ref().map(|(name, _)| name.as_str().into());
    let generation = look.engine.generation.load(Ordering::Acquire);
    let wish = at_commit::wish(&look.engine, &look.worktree, &head);
    let stamp = Stamp { head: head.clone(), on_checkout, parent, generation, wish };
    if look.last.as_ref() == Some(&stamp) && look.here.is_some() {
        return Ok(Outcome::Same);
    }
    let before = match look.here {
        Some(id) => Some(id),
        None => Book(store).bound(&look.key)?,
    };
    let here = branches::here(store, before.unwrap_or(store.root_branch()))?.id;
    let left = look.last.as_ref().map(|last| &last.head);
    let facts = Live { engine: &look.engine, store, worktree: &look.worktree, wish, left };
    let never = Book(store).never()?;
    let decision = decide(&head, if never { OnCheckout::Switch } else { on_checkout }, here, &facts);
    let decision = with_parent(store, decision, &ruled)?;
    let made =
        matches!(decision, Decision::Create { .. } | Decision::Rename { .. } | Decision::Throwaway { .. });
    let place = carry_out(&look.engine, decision, never, &ruled, &facts)?;
    if before != Some(place.branch) {
        Book(store).set_bound(&look.key, place.branch)?;
    }
    if let Head::Branch(name) = &head {
        note_in_git(store, &look.worktree, name, place.branch)?;
    }
    // A branch made here is part of what the next look will find unchanged.
    let generation =
        if made { look.engine.generation.fetch_add(1, Ordering::AcqRel) + 1 } else { generation };
    let stamp = Stamp { generation, ..stamp };
    Ok(Outcome::Settled { stamp, head, place, made })
}

/// Notes that git has a branch of the same name as database branch `id`: its deletion in git will mean something.
fn note_in_git(store: &Store, worktree: &Worktree, name: &str, id: BranchId) -> Result<()> {
    let book = Book(store);
    let is_known = book.name_in_git(id)?.as_deref() == Some(name);
    if !is_known && store.branch(id)?.name == name && worktree.repository().has_branch(name).unwrap_or(false)
    {
        book.set_name_in_git(id, Some(name))?;
    }
    Ok(())
}

impl Place {
    fn of(branch: BranchId, notes: Vec<Note>) -> Self {
        Self { branch, notes, missing: None }
    }
}

/// What rules say of the branch that is checked out.
fn ruled(engine: &Engine, head: &Head) -> Result<Birth> {
    match head {
        Head::Branch(name) => Ok(policy::now(engine)?.birth(name)),
        Head::Detached { .. } => Ok(Birth::default()),
    }
}

/// The decision with the parent that a rule names in the place of the one that git tells.
fn with_parent(store: &Store, mut decision: Decision, ruled: &Birth) -> Result<Decision> {
    let Some((named, line)) = &ruled.parent else { return Ok(decision) };
    let is_made = matches!(decision, Decision::Create { .. });
    let (Decision::Create { name, parent }
    | Decision::Stay { why: Why::Ask { name, parent } | Why::Switch { name, parent }, .. }) = &mut decision
    else {
        return Ok(decision);
    };
    match store.branch_named(named)? {
        Some(branch) => *parent = branch.id,
        None if is_made => return Err(policy::no_parent(name, named, *line)),
        None => (),
    }
    Ok(decision)
}

fn carry_out(
    engine: &Engine,
    decision: Decision,
    never: bool,
    ruled: &Birth,
    facts: &Live<'_>,
) -> Result<Place> {
    let store = &*engine.store;
    match decision {
        Decision::To(id) => Ok(Place::of(id, other_commits(&store.branch(id)?, facts))),
        Decision::Create { name, parent } => {
            hooks::may_be_made(engine, &name)?;
            create(engine, &name, parent, ruled, facts, &Making::by_name(&name)).map(|(place, is_new)| {
                if is_new {
                    hooks::made(engine, place.branch, facts.worktree.path.clone());
                }
                place
            })
        }
        Decision::Rename { id, to } => {
            names::check(&to)?;
            let _turn = engine.computes.turn_blocking(id);
            // Who follows git's branches may have been faster: the name decides.
            if let Some(branch) = store.branch_named(&to)? {
                return Ok(Place::of(branch.id, Vec::new()));
            }
            let branch = store.rename_branch(id, &to)?;
            Book(store).set_parent(&to, None)?;
            tracing::info!(branch = %branch.name, id = id.0, "renamed a branch with its git branch");
            Ok(Place::of(branch.id, Vec::new()))
        }
        Decision::ToCommit { id, commit } => Ok(Place::of(id, vec![at_commit::note(engine, id, &commit)?])),
        Decision::Throwaway { commit, snapshot, older, here } => {
            throwaway(engine, &commit, snapshot, older.as_deref(), here, facts)
        }
        Decision::Stay { at, why: Why::Detached { commit, unknown } } => {
            Ok(Place::of(at, vec![at_commit::stays(store, facts.worktree, at, &commit, unknown)?]))
        }
        Decision::Stay { at, why } => stay(store, at, why, never),
    }
}

/// What is known of a worktree whose endpoint stays where it is.
fn stay(store: &Store, at: BranchId, why: Why, never: bool) -> Result<Place> {
    let here = store.branch(at)?.name;
    let missing = |name: &str, parent: BranchId, asked| -> Result<Option<Missing>> {
        let parent_name = store.branch(parent)?.name;
        Ok(Some(Missing { name: name.to_owned(), parent, parent_name, asked }))
    };
    let make = |name: &str, from: &str| {
        let (name, from) = (quoted(name), quoted(from));
        format!("`offshoot branch create {name} --from {from}` makes one and switches to it.")
    };
    let (note, missing) = match why {
        // The follower of git's branches sees to it.
        Why::Renamed | Why::Detached { .. } => return Ok(Place::of(at, Vec::new())),
        Why::Switch { name, parent } => {
            let missing = missing(&name, parent, false)?;
            let mut hint = format!("`offshoot branch create {}` makes one.", quoted(&name));
            if never {
                hint.push_str(
                    "\nNone is made by itself in this repository, as was answered; `offshoot answer ask` takes that back.",
                );
            }
            let text = format!("git branch `{name}` has no database branch; the database stays on `{here}`");
            (note(NoteKind::NoBranch, text, Some(hint)), missing)
        }
        Why::Answered { name } => {
            let text = format!("git branch `{name}` uses the database of `{here}`, as was answered");
            let hint = format!("{}\n`offshoot answer ask` takes the answer back.", make(&name, &here));
            (note(NoteKind::NoBranch, text, Some(hint)), missing(&name, at, false)?)
        }
        Why::Ask { name, parent } => {
            let missing = missing(&name, parent, true)?;
            let from = missing.as_ref().map_or("", |missing| missing.parent_name.as_str());
            let text =
                format!("git branch `{name}` has no database branch yet; the database stays on `{here}`");
            let hint = format!(
                "{}\n`offshoot answer parent` or `offshoot answer never` ends the question.",
                make(&name, from)
            );
            (note(NoteKind::Ask, text, Some(hint)), missing)
        }
    };
    Ok(Place { branch: at, notes: vec![note], missing })
}

/// Makes a throwaway of a commit. Where that cannot be, the endpoint stays, and it is said.
///
/// # Errors
/// If that is a step of a bisection: a program would judge the commit by the data of another one.
fn throwaway(
    engine: &Engine,
    commit: &str,
    snapshot: BranchId,
    older: Option<&str>,
    here: BranchId,
    facts: &Live<'_>,
) -> Result<Place> {
    let name = detached::name_of(commit);
    let ruled = policy::now(engine)?.birth(&name);
    let from = quoted(&engine.store.branch(here)?.name);
    let making = Making::at(&name, &from, older.unwrap_or(commit));
    let made = create(engine, &name, snapshot, &ruled, facts, &making).and_then(|(place, _)| {
        detached::mark(engine, place.branch, commit, older)?;
        Ok(Place::of(place.branch, vec![at_commit::note(engine, place.branch, commit)?]))
    });
    made.or_else(|failure| {
        tracing::warn!(commit, error = %failure, "cannot make the throwaway of a commit");
        if facts.wish == Wish::Nearest {
            return Err(failure);
        }
        let note = at_commit::stays(&engine.store, facts.worktree, here, commit, false)?;
        let text = format!("{}: {}", note.text, failure.0.message);
        Ok(Place::of(here, vec![Note { text, hint: failure.0.hint.clone(), ..note }]))
    })
}

/// Makes a branch and leads there, and whether it is new. `making` is what makes it by hand.
fn create(
    engine: &Engine,
    name: &str,
    parent: BranchId,
    ruled: &Birth,
    facts: &Live<'_>,
    making: &Making,
) -> Result<(Place, bool)> {
    names::check(name)?;
    let store = &*engine.store;
    room::admit(engine)?;
    let births = policy::admit_by(engine, &policy::now(engine)?, name, making, false)?;
    policy::may_be_made(engine, name, Birthplace::Of(parent), &making.command, false)?;
    let preparing = Preparing::begin(engine, name)?;
    let turn = engine.computes.turn_blocking(parent);
    let begun = Instant::now();
    let made = store.create_branch(name, parent);
    let is_new = made.is_ok();
    let branch = match made {
        Ok(branch) => {
            room::made(engine, branch.id);
            engine.schemas.born(branch.id, parent, begun);
            preparing.finish(branch.id)?;
            expiry::begin(engine, branch.id, expiry::after(ruled.ttl), By::Rule)?;
            branch
        }
        // Another worktree, or a person, was faster.
        Err(StorageError::BranchExists { .. }) => match store.branch_named(name)? {
            Some(branch) => branch,
            None => return Err(Failure::engine(format!("branch `{name}` came and went while it was made"))),
        },
        Err(error) => return Err(error.into()),
    };
    let from = branch.parent_name.clone().unwrap_or_default();
    tracing::info!(branch = %name, id = branch.id.0, parent = %from, "made a branch for a checkout");
    drop((turn, births));
    Book(store).set_parent(name, None)?;
    Ok((Place::of(branch.id, other_commits(&branch, facts)), is_new))
}

/// Tells if the database may be ahead of the files: it started from a branch's present, the files from a commit.
fn other_commits(branch: &Branch, facts: &Live<'_>) -> Vec<Note> {
    let Some(from) = &branch.parent_name else { return Vec::new() };
    let origin =
        facts.lineage(&branch.name).into_iter().find(|origin| !matches!(origin, Origin::RenamedFrom(_)));
    let Some(Origin::CutFromCommit(commit)) = origin else { return Vec::new() };
    let (name, short) = (&branch.name, &commit[..commit.len().min(10)]);
    let text = format!(
        "git branch `{name}` was cut from commit {short}; its database started from what `{from}` held"
    );
    vec![note(NoteKind::OtherCommits, text, None)]
}

pub(super) fn note(kind: NoteKind, text: String, hint: Option<String>) -> Note {
    Note { kind, text, hint }
}

struct Live<'a> {
    engine: &'a Engine,
    store: &'a Store,
    worktree: &'a Worktree,
    wish: Wish,
    /// What was checked out at the last look.
    left: Option<&'a Head>,
}

impl Facts for Live<'_> {
    fn named(&self, name: &str) -> Option<BranchId> {
        self.store.branch_named(name).ok().flatten().map(|branch| branch.id)
    }

    fn in_git(&self, name: &str) -> bool {
        // Unreadable refs must not look like a deleted branch: a rename would follow.
        self.worktree.repository().has_branch(name).unwrap_or(true)
    }

    fn lineage(&self, name: &str) -> Vec<Origin> {
        offshoot_git::lineage_of(self.worktree, name).unwrap_or_else(|error| {
            tracing::warn!(branch = name, %error, "cannot tell where a git branch comes from");
            Vec::new()
        })
    }

    fn nearest(&self, name: &str) -> Option<String> {
        offshoot_git::nearest_branch(self.worktree, name).ok().flatten()
    }

    fn was_in_git(&self, id: BranchId) -> bool {
        let name = self.store.branch(id).map(|branch| branch.name);
        name.is_ok_and(|name| Book(self.store).name_in_git(id).ok().flatten().as_ref() == Some(&name))
    }

    fn was_renamed_over(&self, name: &str, here: BranchId, taken: BranchId) -> bool {
        let Ok(branch) = self.store.branch(here) else { return false };
        // Asked in this order, the common case costs one look at a file.
        !self.in_git(&branch.name)
            && self.was_in_git(here)
            && offshoot_git::names_while_checked_out(self.worktree, name)
                .is_ok_and(|names| names.contains(&branch.name))
            && follow::may_give_way(self.engine, taken).unwrap_or(false)
    }

    fn answered(&self, name: &str) -> Option<BranchId> {
        let id = Book(self.store).parent(name).ok().flatten();
        id.filter(|id| self.store.branch(*id).is_ok())
    }

    fn of_commit(&self, commit: &str, here: BranchId) -> OfCommit {
        at_commit::find(self.engine, self.worktree, self.wish, commit, here).unwrap_or_else(|failure| {
            tracing::warn!(commit, error = %failure, "cannot tell whether there is a database of a commit");
            OfCommit::Unwanted
        })
    }

    fn was_at(&self, commit: &str, here: BranchId) -> bool {
        let made_for = detached::commit_of(self.engine, here).ok().flatten();
        let left_it = matches!(self.left, Some(Head::Detached { commit: left }) if left == commit);
        made_for.is_some_and(|made_for| made_for == commit || left_it)
    }
}

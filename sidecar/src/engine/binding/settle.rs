//! One look at a worktree: reads its HEAD and configuration and does what the checkout asks for. Blocks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use offshoot_git::{Head, Origin, Worktree};
use offshoot_protocol::types::{Note, NoteKind};
use offshoot_storage::{Branch, BranchId, StorageError, Store};

use super::decide::{Decision, Facts, Why, decide};
use crate::config::{ConfigFile, OnCheckout};
use crate::engine::Engine;
use crate::engine::book::{Book, SeatKey};
use crate::failure::{Failure, Result};
use crate::names;

/// What decides about a worktree's branch. While it stays the same, so does the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    head: Head,
    on_checkout: OnCheckout,
    /// Counts changes to the set of branches and their names.
    generation: u64,
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
    pub(super) outcome: Result<Outcome>,
}

pub(super) enum Outcome {
    /// Nothing changed since the last look.
    Same,
    /// Lead there.
    Settled { stamp: Stamp, head: Head, branch: BranchId, notes: Vec<Note>, made: bool },
}

/// Takes the look.
pub(super) fn look(mut look: Look) -> Found {
    look.config.refresh();
    let outcome = settle(&look);
    Found { config: look.config, outcome }
}

fn settle(look: &Look) -> Result<Outcome> {
    let store = &*look.engine.store;
    let head = offshoot_git::head(&look.worktree).map_err(|e| super::git_failure(&e))?;
    let on_checkout = look.config.config().on_checkout;
    let generation = look.engine.generation.load(Ordering::Acquire);
    let stamp = Stamp { head: head.clone(), on_checkout, generation };
    if look.last.as_ref() == Some(&stamp) && look.here.is_some() {
        return Ok(Outcome::Same);
    }
    let root = store.info().root_branch;
    let before = match look.here {
        Some(id) => Some(id),
        None => Book(store).bound(&look.key)?,
    };
    let here = before.filter(|id| store.branch(*id).is_ok()).unwrap_or(root);
    let facts = Live { store, worktree: &look.worktree };
    let decision = decide(&head, on_checkout, here, &facts);
    let made = matches!(decision, Decision::Create { .. } | Decision::Rename { .. });
    let (branch, notes) = carry_out(&look.engine, decision, &facts)?;
    if before != Some(branch) {
        Book(store).set_bound(&look.key, branch)?;
    }
    // A branch made here is part of what the next look will find unchanged.
    let generation =
        if made { look.engine.generation.fetch_add(1, Ordering::AcqRel) + 1 } else { generation };
    let stamp = Stamp { generation, ..stamp };
    Ok(Outcome::Settled { stamp, head, branch, notes, made })
}

fn carry_out(engine: &Engine, decision: Decision, facts: &Live<'_>) -> Result<(BranchId, Vec<Note>)> {
    let store = &*engine.store;
    match decision {
        Decision::To(id) => Ok((id, other_commits(&store.branch(id)?, facts))),
        Decision::Create { name, parent } => create(engine, &name, parent, facts),
        Decision::Rename { id, to } => {
            names::check(&to)?;
            let _turn = engine.computes.turn_blocking(id);
            let branch = store.rename_branch(id, &to)?;
            tracing::info!(branch = %branch.name, id = id.0, "renamed a branch with its git branch");
            Ok((branch.id, Vec::new()))
        }
        Decision::Stay { at, why } => {
            let here = store.branch(at)?.name;
            let note = match why {
                Why::Detached { commit } => {
                    let short = &commit[..commit.len().min(10)];
                    note(
                        NoteKind::Detached,
                        format!("HEAD is detached at {short}; the database stays on `{here}`"),
                        None,
                    )
                }
                Why::Switch { name } => note(
                    NoteKind::NoBranch,
                    format!("git branch `{name}` has no database branch; the database stays on `{here}`"),
                    Some(format!("`offshoot branch create {}` makes one.", quoted(&name))),
                ),
                Why::Ask { name, parent } => {
                    let from = store.branch(parent)?.name;
                    note(
                        NoteKind::Ask,
                        format!(
                            "git branch `{name}` has no database branch yet; the database stays on `{here}`"
                        ),
                        Some(format!(
                            "`offshoot branch create {} --from {}` makes one and switches to it.",
                            quoted(&name),
                            quoted(&from)
                        )),
                    )
                }
            };
            Ok((at, vec![note]))
        }
    }
}

fn create(engine: &Engine, name: &str, parent: BranchId, facts: &Live<'_>) -> Result<(BranchId, Vec<Note>)> {
    names::check(name)?;
    let store = &*engine.store;
    let turn = engine.computes.turn_blocking(parent);
    let made = store.create_branch(name, parent);
    drop(turn);
    let branch = match made {
        Ok(branch) => branch,
        // Another worktree, or a person, was faster.
        Err(StorageError::BranchExists { .. }) => match store.branch_named(name)? {
            Some(branch) => branch,
            None => return Err(Failure::engine(format!("branch `{name}` came and went while it was made"))),
        },
        Err(error) => return Err(error.into()),
    };
    let from = branch.parent_name.clone().unwrap_or_default();
    tracing::info!(branch = %name, id = branch.id.0, parent = %from, "made a branch for a checkout");
    Ok((branch.id, other_commits(&branch, facts)))
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

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%,:=".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

pub(super) fn note(kind: NoteKind, text: String, hint: Option<String>) -> Note {
    Note { kind, text, hint }
}

struct Live<'a> {
    store: &'a Store,
    worktree: &'a Worktree,
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
}

//! Merges, rebases and reverts, as the branches that are checked out tell of them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use offshoot_git::{Head, Worktree};
use offshoot_protocol::migrations::MigrationsOnCheckout;
use offshoot_protocol::offers::{Offer, OfferKind};
use offshoot_storage::BranchId;

use super::{Shown, word};
use crate::config::OnMerge;
use crate::engine::binding::git_failure;
use crate::engine::book::{Book, SeatKey};
use crate::engine::{Engine, migrations, room};
use crate::failure::Result;

/// The commits that git branches were seen at last, by their names; also by an engine before this one. `None` until they are read.
#[derive(Debug, Default)]
pub(super) struct Tips(Option<HashMap<String, String>>);

/// What happened to a git branch.
#[derive(Debug, PartialEq, Eq)]
enum What {
    /// Database branches of git branches that were merged into it.
    Merged(Vec<(BranchId, String)>),
    Rebased,
    Reverted,
}

impl Tips {
    /// Looks at the branches that are checked out where their own database is.
    pub(super) async fn look(&mut self, engine: &Arc<Engine>) -> Result<()> {
        let tips = match &mut self.0 {
            Some(tips) => tips,
            none => none.insert(engine.blocking(|engine| known(engine)).await?),
        };
        for view in engine.binding.fresh_views().await? {
            let (Some(Head::Branch(name)), Ok(id)) = (view.head, view.branch) else { continue };
            let (path, before, of) = (view.path.clone(), tips.get(&name).cloned(), name.clone());
            let found = engine.blocking(move |engine| moved(engine, &path, &of, id, before)).await?;
            let Some((tip, what)) = found else { continue };
            if tips.insert(name.clone(), tip.clone()).as_ref() == Some(&tip) {
                continue;
            }
            if let Some(what) = what {
                offer(engine, view.key, view.path, (id, name.clone()), what).await?;
            }
            // Behind it: an engine that is killed in between tells of it again rather than never.
            engine.blocking(move |engine| Book(&engine.store).set_tip(&name, Some(&tip))).await?;
        }
        Ok(())
    }
}

/// Where an engine before this one saw git branches that there still are. The others are forgotten. Blocks.
fn known(engine: &Engine) -> Result<HashMap<String, String>> {
    let book = Book(&engine.store);
    let mut tips = book.tips()?;
    if tips.is_empty() {
        return Ok(tips);
    }
    let listed: HashSet<String> =
        engine.repository.branches().map_err(|e| git_failure(&e))?.into_iter().collect();
    for gone in tips.extract_if(|name, _| !listed.contains(name)) {
        book.set_tip(&gone.0, None)?;
    }
    Ok(tips)
}

/// Where the git branch `name` is now and what that means, unless something is under way in its worktree. Blocks.
fn moved(
    engine: &Engine,
    path: &Path,
    name: &str,
    id: BranchId,
    before: Option<String>,
) -> Result<Option<(String, Option<What>)>> {
    if engine.store.branch(id)?.name != name {
        return Ok(None);
    }
    let Some(tip) = engine.repository.tip(name).map_err(|e| git_failure(&e))? else { return Ok(None) };
    let Some(before) = before.filter(|before| *before != tip) else { return Ok(Some((tip, None))) };
    let worktrees = engine.repository.worktrees().map_err(|e| git_failure(&e))?;
    let Some(worktree) = worktrees.into_iter().find(|worktree| worktree.path == path) else {
        return Ok(None);
    };
    if offshoot_git::operation(&worktree).map_err(|e| git_failure(&e))?.is_some() {
        return Ok(None);
    }
    let what = what(engine, &worktree, name, id, (&before, &tip))?;
    Ok(Some((tip, what)))
}

fn what(
    engine: &Engine,
    worktree: &Worktree,
    name: &str,
    id: BranchId,
    (before, tip): (&str, &str),
) -> Result<Option<What>> {
    let moves = offshoot_git::movements_since(worktree, name, before).map_err(|e| git_failure(&e))?;
    if moves.iter().any(|how| how.starts_with("revert")) {
        return Ok(Some(What::Reverted));
    }
    if moves
        .iter()
        .any(|how| how.contains("rebase") && (how.contains("(finish)") || how.contains("finished")))
    {
        return Ok(Some(What::Rebased));
    }
    // A branch that is cut from a commit just made is not merged by that. Without a reflog any movement may be a merge.
    let words = ["merge", "pull", "commit (merge)"];
    let may_merge =
        moves.is_empty() || moves.iter().any(|how| words.iter().any(|word| how.starts_with(word)));
    if !may_merge || room::on_merge(engine) == OnMerge::Nothing {
        return Ok(None);
    }
    let mut children: Vec<(BranchId, String)> = Vec::new();
    for branch in engine.store.branches()?.into_iter().filter(|branch| branch.parent == Some(id)) {
        if Book(&engine.store).name_in_git(branch.id)?.as_ref() == Some(&branch.name) {
            children.push((branch.id, branch.name));
        }
    }
    let names: Vec<String> = children.iter().map(|(_, name)| name.clone()).collect();
    let found = offshoot_git::merged_since(worktree, &names, before, tip).map_err(|e| git_failure(&e))?;
    children.retain(|(_, name)| found.contains(name));
    Ok((!children.is_empty()).then_some(What::Merged(children)))
}

/// Offers what can be done about what happened to the git branch `name`, whose database is `id`.
async fn offer(
    engine: &Arc<Engine>,
    key: SeatKey,
    path: PathBuf,
    (id, name): (BranchId, String),
    what: What,
) -> Result<()> {
    let standing = migrations::standing(engine, &path, id, true).await?.unwrap_or_default();
    let blank = |kind, branch: &str, migrations: &[String]| Offer {
        kind,
        branch: branch.to_owned(),
        into: None,
        migrations: migrations.to_vec(),
        changes: false,
        transactions: 0,
        apply: false,
        keeps: false,
        text: String::new(),
        hint: String::new(),
    };
    let (pending, missing) = (&standing.pending[..], &standing.missing[..]);
    let offers = match what {
        What::Merged(merged) => {
            let apply = engine.blocking(|engine| Ok(room::on_merge(engine) == OnMerge::Apply)).await?;
            let of = |(about, branch): &(BranchId, String)| {
                let offer = blank(OfferKind::Merged, branch, pending);
                (*about, Offer { into: Some(name.clone()), apply: apply && !pending.is_empty(), ..offer })
            };
            merged.iter().map(of).collect()
        }
        What::Rebased if !pending.is_empty() && is_asked(engine).await? => {
            vec![(id, blank(OfferKind::Rebased, &name, pending))]
        }
        What::Reverted if !missing.is_empty() && is_asked(engine).await? => {
            vec![(id, blank(OfferKind::Reverted, &name, missing))]
        }
        What::Rebased | What::Reverted => Vec::new(),
    };
    for (about, mut offer) in offers {
        word(&mut offer);
        tracing::info!(branch = %offer.branch, what = %offer.text, "offers what git left to decide");
        engine.offers.put(engine, Shown { key: key.clone(), about, runs_on: id, offer });
    }
    Ok(())
}

/// Whether the project wants to hear of pending migrations at all.
async fn is_asked(engine: &Arc<Engine>) -> Result<bool> {
    let wanted =
        |engine: &Arc<Engine>| Ok(room::migrations_on_checkout(engine) != MigrationsOnCheckout::Nothing);
    engine.blocking(wanted).await
}

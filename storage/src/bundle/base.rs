//! The states that bundles are made against: choosing one, and finding it again in another store.

use std::collections::HashSet;

use offshoot_postgres::Progress;

use super::facts::BundleBase;
use super::format::bad;
use super::view::{Identity, Stack};
use crate::BranchId;
use crate::LayerId;
use crate::error::StorageError;
use crate::image::read_control;
use crate::metadata::BranchRow;
use crate::store::{ComputeState, Shared, Store, locked};
use crate::throwaway::is_unlisted;

/// The note about a state that a full bundle carries: the other side has it.
pub(super) const ANCHOR: &str = "bundle.base";
/// The note about a state of which the identity was worked out.
const KNOWN: &str = "bundle.identity";

/// The frozen layers of a branch or snapshot: all but the one that is written to.
pub(super) fn frozen(shared: &Shared, id: BranchId) -> Result<Stack, StorageError> {
    let mut stack = whole(shared, id)?;
    if !stack.0.is_empty() {
        stack.0.remove(0);
    }
    Ok(stack)
}

/// All layers of a branch or snapshot.
pub(super) fn whole(shared: &Shared, id: BranchId) -> Result<Stack, StorageError> {
    let layers = shared.metadata.stack(id)?;
    let place = |layer: u64| (LayerId(layer), shared.paths.layer(LayerId(layer)));
    Ok(Stack(layers.into_iter().map(|layer| place(layer.id)).collect()))
}

/// Works out the identity of the state that `stack` reads when it is called, file by file: between two of them layers may be merged, which
/// changes nothing of what a stack shows.
pub(super) fn identify(
    shared: &Shared,
    stack: &dyn Fn() -> Result<Stack, StorageError>,
    with_content: bool,
    progress: &dyn Progress,
) -> Result<(super::Hash, super::Hash), StorageError> {
    let names = {
        let _turn = locked(&shared.merging);
        let stack = stack()?;
        stack.touched(stack.0.len())?
    };
    let mut identity = Identity::new();
    let total = names.len() as u64;
    for (done, name) in (0..).zip(&names) {
        if progress.is_cancelled() {
            return Err(StorageError::Cancelled);
        }
        if with_content {
            progress.step("Read the base", done, Some(total));
        }
        let _turn = locked(&shared.merging);
        if let Some(mut view) = stack()?.view(name)? {
            let content = if with_content { Some(view.hash()?) } else { None };
            identity.add(name, view.length(), content.as_ref());
        }
    }
    Ok(identity.finish())
}

/// A base that was chosen for a bundle, with the snapshot or branch whose frozen layers it is.
pub(super) struct Chosen {
    pub(super) base: BundleBase,
    pub(super) of: BranchId,
}

impl Store {
    /// The base for a bundle of `branch`, of which `frozen_as` is a throwaway: a state that a full bundle carried, the nearest one, else
    /// what the branch was when it was made.
    pub(super) fn choose_base(
        &self,
        branch: &BranchRow,
        frozen_as: BranchId,
        progress: &dyn Progress,
    ) -> Result<Chosen, StorageError> {
        let shared = &self.shared;
        let mine = frozen(shared, frozen_as)?;
        let mut best: Option<(usize, Chosen)> = None;
        for (of, note) in shared.metadata.notes(ANCHOR)? {
            let Ok(row) = shared.live_row(of) else { continue };
            let near = frozen(shared, of)?.shared(&mine);
            let label = self.label(&row)?;
            if near > 0
                && best.as_ref().is_none_or(|(other, _)| near >= *other)
                && let Some(base) = BundleBase::of_note(&note, label)
            {
                best = Some((near, Chosen { base, of }));
            }
        }
        if let Some((_, chosen)) = best {
            return Ok(chosen);
        }
        let of = match self.fork_snapshot(branch.id)? {
            Some(fork) => fork,
            // It has not changed since.
            None if self.is_as_forked(branch.id)? => frozen_as,
            None => {
                return Err(bad(
                    format!("of `{}` there is no earlier state that another store could have", branch.name),
                    format!("`offshoot bundle create {} --full` carries all of it.", branch.name),
                ));
            }
        };
        let parent = match branch.parent {
            Some(parent) => self.branch(parent)?.name,
            None => branch.name.clone(),
        };
        let label = format!("{parent}, as it was when {} was made", branch.name);
        let known = shared.metadata.note(of, KNOWN)?;
        if let Some(base) = known.and_then(|note| BundleBase::of_note(&note, label.clone())) {
            return Ok(Chosen { base, of });
        }
        let hashes = identify(shared, &|| frozen(shared, of), true, progress)?;
        let base = BundleBase::new(&hashes, label);
        shared.metadata.set_note(of, KNOWN, &base.note())?;
        Ok(Chosen { base, of })
    }

    /// What people call a branch or a snapshot.
    fn label(&self, row: &BranchRow) -> Result<String, StorageError> {
        Ok(match row.snapshot {
            Some((of, _)) => {
                format!("{}@{}", self.shared.live_row(of)?.name, row.name.trim_start_matches('~'))
            }
            None => row.name.clone(),
        })
    }

    /// The state of this store that is `wanted`: layers at the bottom of the stack of a branch or a snapshot.
    ///
    /// # Errors
    /// [`StorageError::Bundle`] if there is none, which says why.
    pub(super) fn find_base(
        &self,
        wanted: &BundleBase,
        system_identifier: u64,
        progress: &dyn Progress,
    ) -> Result<Base, StorageError> {
        let shared = &self.shared;
        for key in [ANCHOR, KNOWN] {
            for (of, note) in shared.metadata.notes(key)? {
                let is_it =
                    BundleBase::of_note(&note, String::new()).is_some_and(|base| base.id == wanted.id);
                if is_it && shared.live_row(of).is_ok_and(|row| !is_unlisted(&row.name)) {
                    let layers = frozen(shared, of)?.0.len();
                    return Ok(Base { of, layers, with_top: false });
                }
            }
        }
        let (content, shape) = wanted.hashes()?;
        let mut has_same_cluster = false;
        let mut seen = HashSet::new();
        for row in shared.metadata.branches()? {
            let is_asleep = shared.cell(row.id).state() == ComputeState::Asleep;
            if shared.live_row(row.id).is_err() || is_unlisted(&row.name) {
                continue;
            }
            let (_, control) = read_control(&shared.paths.branch(row.id).control_file())?;
            if control.system_identifier != system_identifier {
                continue;
            }
            has_same_cluster = true;
            let depth = whole(shared, row.id)?.0.len();
            // With the layer that is written to, as long as nobody writes; else without.
            for layers in (1..=depth).rev().filter(|layers| *layers < depth || is_asleep) {
                let bottom = || {
                    let mut stack = whole(shared, row.id)?;
                    stack.0.drain(..stack.0.len().saturating_sub(layers));
                    Ok(stack)
                };
                let ids: Vec<LayerId> = bottom()?.0.iter().map(|(id, _)| *id).collect();
                if !seen.insert(ids) {
                    continue;
                }
                progress.step("Look for the base", seen.len() as u64, None);
                if identify(shared, &bottom, false, progress)?.1 == shape
                    && identify(shared, &bottom, true, progress)?.0 == content
                {
                    return Ok(Base { of: row.id, layers, with_top: layers == depth });
                }
            }
        }
        Err(no_base(wanted, has_same_cluster))
    }
}

/// Layers at the bottom of a stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    pub(super) of: BranchId,
    /// How many.
    pub(super) layers: usize,
    /// Whether the one that is written to is among them.
    pub(super) with_top: bool,
}

fn no_base(wanted: &BundleBase, has_same_cluster: bool) -> StorageError {
    let what = if has_same_cluster {
        format!(
            "this store has no state any more, or not yet, that is the same as its base, {} ({})",
            wanted.label,
            &wanted.id[..8]
        )
    } else {
        format!(
            "its base, {} ({}), is of another cluster than any that this store has: the same rows, imported twice, lie on other pages",
            wanted.label,
            &wanted.id[..8]
        )
    };
    bad(
        what,
        "Have the base carried once: `offshoot bundle create ROOT --full` there, and here `offshoot bundle apply --root` in the place of \
         the root branch's data, or with `--name NAME` as a branch beside them; bundles of its branches apply from then on. Or have this branch carried whole: `offshoot bundle create B --full`. Changes of the schema alone travel as migrations.",
    )
}

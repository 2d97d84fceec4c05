//! Freezing a branch's top layer while its processes run.

use offshoot_pages::control::{MAX_LAYERS, StackLayer};

use super::{OpenControl, PATIENCE, PageLayers, locked, stalled_error};
use crate::error::StorageError;
use crate::files::remove_tree;
use crate::image::Image;
use crate::{BranchId, LayerId, layers, metadata};

impl PageLayers {
    /// Freezes the parent's top layer if it holds anything and finishes the image. Returns what the child reads.
    pub(super) fn freeze(
        &self,
        parent: BranchId,
        image: Image<'_>,
    ) -> Result<(Vec<StackLayer>, offshoot_postgres::Lsn), StorageError> {
        let _freezing = locked(&self.freezing);
        let mut stack = self.metadata.stack(parent)?;
        self.top(&stack)?;
        if stack.len() + 2 > MAX_LAYERS {
            return Err(StorageError::TooDeep { branch: parent.to_string(), depth: MAX_LAYERS });
        }
        let new_top = match self.unused_top(parent, &stack) {
            Some(unused) => {
                stack.remove(0);
                unused
            }
            None => self.push_new_layer(parent)?,
        };
        crash_point!(FreezeLayerCommitted);
        match self.freeze_in_gate(parent, &stack, new_top, image) {
            Ok((true, lsn)) => Ok((stack, lsn)),
            other => {
                // Nobody has seen the new layer. If it cannot be taken back, the next freeze uses it.
                let popped = self
                    .metadata
                    .transaction(|transaction| metadata::pop_layer(transaction, parent, new_top));
                if popped.is_ok() {
                    let _ = remove_tree(&self.paths.layer(new_top));
                }
                let (_, lsn) = other?;
                Ok((stack[1..].to_vec(), lsn))
            }
        }
    }

    /// A layer that an earlier freeze committed for `parent` and could not take back, on a full disk say. The
    /// parent's processes have never seen it: what they write still goes to the one below.
    pub(super) fn unused_top(&self, parent: BranchId, stack: &[StackLayer]) -> Option<LayerId> {
        let open = locked(&self.open);
        let OpenControl(control) = open.get(&parent)?;
        let mut live = Vec::new();
        control.read_stack(&mut live);
        let in_use = live.first().copied();
        (in_use != Some(stack[0].id) && in_use == stack.get(1).map(|layer| layer.id))
            .then_some(LayerId(stack[0].id))
    }

    /// Commits a new top layer for `parent`.
    pub(super) fn push_new_layer(&self, parent: BranchId) -> Result<LayerId, StorageError> {
        let layer = self.make_layer()?;
        crash_point!(FreezeLayerMade);
        let committed = self
            .metadata
            .transaction(|transaction| metadata::push_layer(transaction, parent, layer, &self.boot));
        match committed {
            Ok(()) => Ok(layer),
            Err(error) => {
                let _ = remove_tree(&self.paths.layer(layer));
                Err(error)
            }
        }
    }

    /// Whether the new layer is in place now, and the end of the WAL in the image.
    pub(super) fn freeze_in_gate(
        &self,
        parent: BranchId,
        stack: &[StackLayer],
        new_top: LayerId,
        image: Image<'_>,
    ) -> Result<(bool, offshoot_postgres::Lsn), StorageError> {
        let top = self.paths.layer(LayerId(stack[0].id));
        let open = locked(&self.open);
        let Some(OpenControl(control)) = open.get(&parent) else {
            let lsn = image.finish()?;
            return Ok((!layers::is_empty(&top)?, lsn));
        };
        control.close_gate(PATIENCE).map_err(|stalled| stalled_error(parent, stalled))?;
        crash_point!(FreezeGateClosed);
        let result = (|| {
            let lsn = image.finish()?;
            crash_point!(FreezeImageFinished);
            if layers::is_empty(&top)? {
                return Ok((false, lsn));
            }
            let mut next = vec![StackLayer { id: new_top.0, durable: false }];
            next.extend_from_slice(stack);
            control.swap_stack(&next);
            crash_point!(FreezeStackSwapped);
            Ok((true, lsn))
        })();
        control.open_gate();
        crash_point!(FreezeGateOpened);
        result
    }

    /// Returns when every write of the branch's processes has ended that was under way.
    pub(super) fn quiesce(&self, branch: BranchId) -> Result<(), StorageError> {
        let open = locked(&self.open);
        let Some(OpenControl(control)) = open.get(&branch) else { return Ok(()) };
        control.close_gate(PATIENCE).map_err(|stalled| stalled_error(branch, stalled))?;
        control.open_gate();
        Ok(())
    }

    /// The layers of a branch's stack that nobody writes to: those below the one that its processes have on top.
    pub(super) fn frozen_layers(&self, branch: BranchId) -> Result<Vec<StackLayer>, StorageError> {
        let _freezing = locked(&self.freezing);
        let stack = self.metadata.stack(branch)?;
        let mut live = Vec::new();
        if let Some(OpenControl(control)) = locked(&self.open).get(&branch) {
            control.read_stack(&mut live);
        }
        let top = live.first().copied().or(stack.first().map(|layer| layer.id));
        Ok(stack.into_iter().skip_while(|layer| Some(layer.id) != top).skip(1).collect())
    }
}

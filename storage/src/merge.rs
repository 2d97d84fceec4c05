//! Keeping stacks short: frozen layers become one, in the background.
//!
//! Two ways, both in small steps that may be cut short anywhere:
//!
//! - **A pair.** A frozen layer that only one other stands on takes that one in ([`pair`]). What the upper layer hides of
//!   the lower one is read by nobody, so that it can be overwritten in place; page by page, the stack with both reads the
//!   same. When all of it is on the disk, the upper layer is taken out of every stack, which again changes nothing that
//!   can be read. Copies at most the smaller of the two, file by file; they take room twice until the next call.
//! - **A window.** In a stack that is too deep all the same, because other branches hold its layers, several neighbours
//!   are copied into a new layer that stands in their place ([`window`]). Those that no stack holds any more go.
//!
//! The metadata are committed first, then the control blocks of awake branches are swapped: either stack is true. A
//! process in the middle of an operation ends it on the old stack; if a layer of that has been removed by then, it looks
//! again (the interposer's `File::follow`). Removal waits for the next call all the same.

mod copy;
mod forest;
mod pair;
mod window;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use offshoot_pages::control::StackLayer;

use crate::error::StorageError;
use crate::files::remove_tree;
use crate::page_layers::{OpenControl, PageLayers, locked};
use crate::{LayerId, metadata};
pub(crate) use forest::Forest;
use pair::PairWork;
use window::WindowWork;

/// Layers that a branch's stack has at most, once there was time to merge.
pub const MAX_DEPTH: usize = 16;
/// How long nothing is merged after a failure: a full disk, say.
const REST_AFTER_FAILURE: Duration = Duration::from_mins(1);

/// What a call of [`crate::Store::merge_quiet`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Layers taken out of the stacks.
    pub layers: u32,
    /// Bytes of pages copied.
    pub copied_bytes: u64,
    /// Whether there is more to do.
    pub more: bool,
}

/// What is under way between two calls.
#[derive(Default)]
pub(crate) struct Merging {
    job: Option<Job>,
    /// Layers that no stack has any more, since the last call.
    released: Vec<LayerId>,
    rest_until: Option<Instant>,
    /// State of the metadata and depth at which there was nothing to do.
    idle_at: Option<(u64, usize)>,
}

enum Job {
    Pair { lower: u64, upper: u64, work: PairWork },
    Window { layers: Vec<u64>, target: LayerId, work: WindowWork },
}

impl Merging {
    /// A layer that is being written and that no stack has yet.
    pub(crate) fn unpublished(&self) -> Option<LayerId> {
        match &self.job {
            Some(Job::Window { target, .. }) => Some(*target),
            _ => None,
        }
    }
}

impl PageLayers {
    /// See [`crate::Store::merge_quiet`].
    pub(crate) fn merge_some(&self, budget_bytes: u64, max_depth: usize) -> Result<Merged, StorageError> {
        let mut merging = locked(&self.merging);
        if merging.rest_until.is_some_and(|until| Instant::now() < until) {
            return Ok(Merged::default());
        }
        merging.rest_until = None;
        let result = self.merge_with(&mut merging, budget_bytes, max_depth);
        if result.is_err() {
            // What a window has copied is nobody's; what a pair has copied is done again without harm.
            if let Some(target) = merging.unpublished() {
                let _ = remove_tree(&self.paths.layer(target));
            }
            let gone = merging.job.take().is_some_and(|job| !self.is_valid(&job).unwrap_or(true));
            if gone {
                // Its branches were removed for good meanwhile.
                return Ok(Merged { more: true, ..Merged::default() });
            }
            merging.rest_until = Some(Instant::now() + REST_AFTER_FAILURE);
        }
        result
    }

    fn merge_with(
        &self,
        merging: &mut Merging,
        budget_bytes: u64,
        max_depth: usize,
    ) -> Result<Merged, StorageError> {
        let mut done = Merged::default();
        while let Some(layer) = merging.released.pop() {
            remove_tree(&self.paths.layer(layer))?;
            crash_point!(MergeUpperRemoved);
        }
        let mut left = budget_bytes;
        loop {
            if let Some(job) = &merging.job
                && !self.is_valid(job)?
            {
                if let Some(target) = merging.unpublished() {
                    remove_tree(&self.paths.layer(target))?;
                }
                merging.job = None;
            }
            let now = Some((self.metadata.changes(), max_depth));
            if merging.job.is_none() && merging.idle_at != now {
                merging.job = self.next_job(max_depth)?;
            }
            let Some(job) = &mut merging.job else {
                merging.idle_at = now;
                return Ok(done);
            };
            let before = left;
            let complete = match job {
                Job::Pair { work, .. } => work.step(&mut left)?,
                Job::Window { work, .. } => work.step(&mut left)?,
            };
            done.copied_bytes += before - left;
            self.forget_bytes(job);
            if !complete {
                return Ok(Merged { more: true, ..done });
            }
            let Some(released) = self.publish(job)? else { return Ok(Merged { more: true, ..done }) };
            done.layers += match job {
                Job::Pair { .. } => 1,
                Job::Window { layers, .. } => layers.len() as u32 - 1,
            };
            tracing::debug!(layers = done.layers, bytes = done.copied_bytes, "merged layers");
            merging.released.extend(released);
            merging.job = None;
        }
    }

    fn forget_bytes(&self, job: &Job) {
        if let Job::Pair { lower, upper, .. } = job {
            locked(&self.frozen_bytes).retain(|layer, _| layer.0 != *lower && layer.0 != *upper);
            self.merges.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn forest(&self) -> Result<Forest, StorageError> {
        // A layer is settled only after it was frozen: no need to hold off those who freeze.
        let live = locked(&self.open)
            .values()
            .filter_map(|OpenControl(control)| control.layers().first().map(|layer| layer.id))
            .collect();
        Ok(Forest::new(self.metadata.stacks()?, live))
    }

    fn is_valid(&self, job: &Job) -> Result<bool, StorageError> {
        let forest = self.forest()?;
        Ok(match job {
            Job::Pair { lower, upper, .. } => forest.is_pair(*lower, *upper),
            Job::Window { layers, .. } => forest.is_window(layers),
        })
    }

    fn next_job(&self, max_depth: usize) -> Result<Option<Job>, StorageError> {
        let forest = self.forest()?;
        if let Some(pair) = forest.lowest_pair() {
            let (lower, upper) =
                (self.paths.layer(LayerId(pair.lower)), self.paths.layer(LayerId(pair.upper)));
            let work = PairWork::begin(&lower, &upper, pair.is_bottom, self.account.as_ref())?;
            return Ok(Some(Job::Pair { lower: pair.lower, upper: pair.upper, work }));
        }
        let bytes = |layer: u64| self.layer_bytes(LayerId(layer), true);
        let Some(layers) = forest.deep_window(max_depth, &bytes) else { return Ok(None) };
        let target = self.make_layer()?;
        let folders = layers.iter().map(|layer| self.paths.layer(LayerId(*layer))).collect();
        match WindowWork::begin(folders, &self.paths.layer(target), self.account.as_ref()) {
            Ok(work) => Ok(Some(Job::Window { layers, target, work })),
            Err(error) => {
                let _ = remove_tree(&self.paths.layer(target));
                Err(error)
            }
        }
    }

    /// Puts the new stacks in the place of the old ones and returns the layers that no stack has any more; `None` when
    /// a branch is being made at this moment.
    fn publish(&self, job: &Job) -> Result<Option<Vec<LayerId>>, StorageError> {
        // A fork has read a stack that it has not committed yet: the next call will do.
        let Ok(_shape) = self.shape.try_write() else { return Ok(None) };
        let _freezing = locked(&self.freezing);
        let (gone, by) = match job {
            Job::Pair { upper, .. } => (vec![*upper], None),
            Job::Window { layers, target, .. } => (layers.clone(), Some(*target)),
        };
        let released =
            self.metadata.transaction(|transaction| metadata::replace_layers(transaction, &gone, by))?;
        crash_point!(MergeCommitted);
        let by = by.map(|layer| StackLayer { id: layer.0, durable: true });
        for OpenControl(control) in locked(&self.open).values() {
            let old = control.layers();
            // A branch that has only some of them, from further down, keeps those.
            let holds = |window: &[StackLayer]| window.iter().map(|layer| layer.id).eq(gone.iter().copied());
            let Some(first) = old.windows(gone.len()).position(holds) else { continue };
            let new = [&old[..first], by.as_slice(), &old[first + gone.len()..]].concat();
            control.swap_stack(&new);
            crash_point!(MergeSwapped);
        }
        Ok(Some(released))
    }
}

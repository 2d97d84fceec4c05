//! Taking over a frozen map from the layer above: how two frozen layers become one.

use std::sync::atomic::Ordering::{AcqRel, Relaxed};

use super::{Map, WORDS, words_in_use};
use crate::{PAGE_SIZE, SEGMENT_PAGES};

impl Map {
    /// Makes this map say what it says together with `upper`, the frozen map of the same file in the layer above.
    ///
    /// The data of every page that `upper` owns must lie in this layer's data file by now. Who reads through both maps
    /// meanwhile sees no difference: only what `upper` hides is changed. So it may be cut short and repeated. Nothing is
    /// durable before [`Map::sync`].
    ///
    /// The caller has given this map room for the pages of `upper` ([`Map::reserve`]); no process writes to either.
    pub fn absorb(&self, upper: Map) {
        let (limit, length) = (upper.base_limit(), upper.length());
        // Even if it is no cut: the base limit goes down to that of `upper`.
        self.truncate(limit.min(length));
        self.clear_beyond(limit.min(length));
        for index in 0..words_in_use(length) {
            let bits = upper.owned_word(index);
            if self.working_word(index).load(Relaxed) & bits != bits {
                self.working_word(index).fetch_or(bits, AcqRel);
            }
        }
        self.grow(length);
    }

    /// Clears all bits of pages at or beyond byte `limit`, whatever the length says: after a machine crash the bits may be
    /// older than the length.
    pub(super) fn clear_beyond(self, limit: u64) {
        let pages = limit.div_ceil(PAGE_SIZE);
        for index in (pages / 64) as usize..WORDS {
            let first = index as u64 * 64;
            let kept = if first >= pages { 0 } else { (1u64 << (pages - first)) - 1 };
            for word in [self.working_word(index), self.durable_word(index)] {
                // A store to a hole of the map would need room on the disk.
                if word.load(Relaxed) & !kept != 0 {
                    word.fetch_and(kept, AcqRel);
                }
            }
        }
    }

    /// The runs of pages that this map owns and `except` does not, below byte `limit`: first page and end of each.
    pub fn runs(&self, except: Option<Map>, limit: u64) -> Vec<(u64, u64)> {
        let end = limit.div_ceil(PAGE_SIZE).min(SEGMENT_PAGES);
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for index in 0..WORDS.min(end.div_ceil(64) as usize) {
            let hidden = except.map_or(0, |except| except.owned_word(index));
            let mut bits = self.owned_word(index) & !hidden;
            while bits != 0 {
                let page = index as u64 * 64 + u64::from(bits.trailing_zeros());
                bits &= bits - 1;
                if page >= end {
                    break;
                }
                match runs.last_mut() {
                    Some(last) if last.1 == page => last.1 += 1,
                    _ => runs.push((page, page + 1)),
                }
            }
        }
        runs
    }
}

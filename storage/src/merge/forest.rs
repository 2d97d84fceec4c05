//! What stands on what: the stacks of all branches, of which any two are the same from the first common layer down.

use std::collections::{HashMap, HashSet};

use offshoot_pages::control::StackLayer;

/// Layers that are copied into one at the least: fewer would be copied again soon.
const WINDOW: usize = 8;

/// The stacks of all branches, the trash among them.
pub(crate) struct Forest {
    /// Top first.
    stacks: Vec<Vec<StackLayer>>,
    /// Layers that somebody writes to.
    writable: HashSet<u64>,
    /// For each layer those that stand directly on it.
    children: HashMap<u64, HashSet<u64>>,
}

/// A frozen layer and the only one that stands on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) lower: u64,
    pub(crate) upper: u64,
    /// Whether nothing is below the lower one.
    pub(crate) is_bottom: bool,
}

impl Forest {
    /// `stacks` as in the metadata, top first; `live` are the layers on which awake branches have their writable end. It
    /// may be below the top in the metadata while a branch is being frozen.
    pub(crate) fn new(stacks: Vec<Vec<StackLayer>>, live: Vec<u64>) -> Self {
        let mut writable: HashSet<u64> = live.into_iter().collect();
        let mut children: HashMap<u64, HashSet<u64>> = HashMap::new();
        for stack in &stacks {
            writable.extend(stack.first().map(|layer| layer.id));
            for both in stack.windows(2) {
                children.entry(both[1].id).or_default().insert(both[0].id);
            }
        }
        Self { stacks, writable, children }
    }

    fn is_settled(&self, layer: StackLayer) -> bool {
        layer.durable && !self.writable.contains(&layer.id)
    }

    fn has_one_child(&self, layer: u64) -> bool {
        self.children.get(&layer).is_some_and(|children| children.len() == 1)
    }

    /// The pair to merge first: the one that lies lowest, so that a page is copied once and not from layer to layer.
    pub(crate) fn lowest_pair(&self) -> Option<Pair> {
        let mut lowest: Option<(usize, Pair)> = None;
        for stack in &self.stacks {
            for (index, both) in stack.windows(2).enumerate() {
                let height = stack.len() - index;
                if self.is_settled(both[0])
                    && self.is_settled(both[1])
                    && self.has_one_child(both[1].id)
                    && lowest.is_none_or(|(least, _)| height < least)
                {
                    let (upper, lower) = (both[0].id, both[1].id);
                    lowest = Some((height, Pair { lower, upper, is_bottom: index + 2 == stack.len() }));
                }
            }
        }
        lowest.map(|(_, pair)| pair)
    }

    /// Whether `upper` is frozen and the only layer that stands on `lower`.
    pub(crate) fn is_pair(&self, lower: u64, upper: u64) -> bool {
        self.has_one_child(lower) && self.is_window(&[upper, lower])
    }

    /// Whether these layers, top first, are settled neighbours.
    pub(crate) fn is_window(&self, layers: &[u64]) -> bool {
        self.stacks.iter().any(|stack| {
            stack.windows(layers.len()).any(|window| {
                window.iter().zip(layers).all(|(found, layer)| found.id == *layer && self.is_settled(*found))
            })
        })
    }

    /// The neighbours, top first, that are cheapest to copy into one in a stack with more than `depth` layers. The
    /// lowest layer, which has most of the data, is never among them.
    pub(crate) fn deep_window(&self, depth: usize, bytes: &dyn Fn(u64) -> u64) -> Option<Vec<u64>> {
        let deepest =
            self.stacks.iter().filter(|stack| stack.len() > depth).max_by_key(|stack| stack.len())?;
        let wanted = (deepest.len() - depth + 1).max(WINDOW);
        let settled: Vec<&StackLayer> =
            deepest.iter().skip_while(|layer| !self.is_settled(**layer)).take(deepest.len()).collect();
        let candidates = &settled[..settled.len().saturating_sub(1)];
        let unsettled = candidates.iter().position(|layer| !self.is_settled(**layer));
        let candidates = &candidates[..unsettled.unwrap_or(candidates.len())];
        let length = wanted.min(candidates.len());
        if length < 2 {
            return None;
        }
        let sizes: Vec<u64> = candidates.iter().map(|layer| bytes(layer.id)).collect();
        let cheapest = (0..=candidates.len() - length)
            .rev()
            .min_by_key(|first| sizes[*first..first + length].iter().sum::<u64>())?;
        Some(candidates[cheapest..cheapest + length].iter().map(|layer| layer.id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forest(stacks: &[&[u64]]) -> Forest {
        let stack = |ids: &&[u64]| ids.iter().map(|id| StackLayer { id: *id, durable: *id < 100 }).collect();
        Forest::new(stacks.iter().map(stack).collect(), Vec::new())
    }

    #[test]
    fn the_lowest_pair_of_frozen_layers_comes_first() {
        let pair = forest(&[&[50, 4, 3, 2, 1]]).lowest_pair().unwrap();
        assert_eq!(pair, Pair { lower: 1, upper: 2, is_bottom: true });
    }

    #[test]
    fn a_layer_with_two_children_or_a_writable_or_unsettled_child_takes_nothing_in() {
        assert_eq!(forest(&[&[50, 1], &[51, 1]]).lowest_pair(), None);
        assert_eq!(forest(&[&[50, 2, 1], &[51, 3, 1], &[2, 1]]).lowest_pair(), None);
        assert_eq!(forest(&[&[50, 102, 1]]).lowest_pair(), None);
        let pair = forest(&[&[50, 3, 2, 1], &[51, 3, 2, 1], &[52, 1]]).lowest_pair().unwrap();
        assert_eq!(pair, Pair { lower: 2, upper: 3, is_bottom: false });
    }

    #[test]
    fn the_layer_that_processes_write_to_is_no_upper_one() {
        let stacks = vec![[7, 2, 1].map(|id| StackLayer { id, durable: true }).to_vec()];
        assert!(Forest::new(stacks.clone(), vec![2]).lowest_pair().is_none());
        assert!(Forest::new(stacks, vec![7]).lowest_pair().is_some());
    }

    #[test]
    fn a_deep_stack_gets_the_cheapest_neighbours_copied_but_never_the_lowest() {
        let stack: Vec<u64> = (1..=20).rev().collect();
        let deep = forest(&[&stack]);
        let window = deep.deep_window(16, &|layer| if layer > 14 { 100 } else { 1 }).unwrap();
        assert_eq!(window, [9, 8, 7, 6, 5, 4, 3, 2]);
        assert!(deep.is_window(&window));
        assert_eq!(deep.deep_window(20, &|_| 1), None);
    }
}

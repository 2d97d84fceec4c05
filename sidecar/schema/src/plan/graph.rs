//! Sorting steps by what has to come before what.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// What has to come before what, between steps that are numbered.
#[derive(Debug, Default)]
pub(super) struct Graph {
    after: Vec<BTreeSet<usize>>,
    before: Vec<BTreeSet<usize>>,
}

impl Graph {
    pub(super) fn new(count: usize) -> Self {
        Self { after: vec![BTreeSet::new(); count], before: vec![BTreeSet::new(); count] }
    }

    /// `first` has to come before `second`.
    pub(super) fn edge(&mut self, first: Option<usize>, second: Option<usize>) {
        if let (Some(first), Some(second)) = (first, second)
            && first != second
        {
            self.after[first].insert(second);
            self.before[second].insert(first);
        }
    }

    /// What has to come directly before `node`.
    pub(super) fn before(&self, node: usize) -> &BTreeSet<usize> {
        &self.before[node]
    }

    /// An order that works, and of those the one that keeps closest to the order of `keys`.
    ///
    /// # Errors
    /// The steps of a circle.
    pub(super) fn sort<K: Ord + Clone>(&self, keys: &[K]) -> Result<Vec<usize>, Vec<usize>> {
        let mut waiting: Vec<usize> = self.before.iter().map(BTreeSet::len).collect();
        let entry = |node: usize| Reverse((keys[node].clone(), node));
        let mut ready: BinaryHeap<_> =
            (0..waiting.len()).filter(|node| waiting[*node] == 0).map(entry).collect();
        let mut order = Vec::with_capacity(waiting.len());
        while let Some(Reverse((_, node))) = ready.pop() {
            order.push(node);
            for next in &self.after[node] {
                waiting[*next] -= 1;
                if waiting[*next] == 0 {
                    ready.push(entry(*next));
                }
            }
        }
        if order.len() == waiting.len() { Ok(order) } else { Err(self.circle(&waiting)) }
    }

    /// A circle among the steps that still wait: going back from one that waits leads into one.
    fn circle(&self, waiting: &[usize]) -> Vec<usize> {
        let Some(mut node) = waiting.iter().position(|count| *count > 0) else { return Vec::new() };
        let mut path = Vec::new();
        loop {
            if let Some(at) = path.iter().position(|seen| *seen == node) {
                return path.split_off(at);
            }
            path.push(node);
            let Some(next) = self.before[node].iter().find(|before| waiting[**before] > 0) else {
                return path;
            };
            node = *next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_keeps_close_to_the_keys() {
        let mut graph = Graph::new(4);
        graph.edge(Some(3), Some(0));
        assert_eq!(graph.sort(&[0, 1, 2, 3]), Ok(vec![1, 2, 3, 0]));
    }

    #[test]
    fn circle_is_named() {
        let mut graph = Graph::new(4);
        graph.edge(Some(0), Some(1));
        graph.edge(Some(1), Some(2));
        graph.edge(Some(2), Some(1));
        graph.edge(Some(2), Some(3));
        let mut circle = graph.sort(&[0, 1, 2, 3]).unwrap_err();
        circle.sort_unstable();
        assert_eq!(circle, [1, 2]);
    }
}

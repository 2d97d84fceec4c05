//! Levels: pieces of one level are a part. Every other level is a transaction.

use std::collections::BTreeSet;

use super::Pair;

/// In which part each piece runs.
pub(super) struct Levels {
    pub(super) of: Vec<usize>,
    /// The places of the pairs that could not be brought into one part.
    pub(super) split: BTreeSet<usize>,
    used: BTreeSet<usize>,
}

impl Levels {
    /// All in one.
    pub(super) fn one(count: usize) -> Self {
        Self { of: vec![0; count], split: BTreeSet::new(), used: BTreeSet::from([0]) }
    }

    /// How many parts there are.
    pub(super) fn count(&self) -> usize {
        self.used.len()
    }

    /// The least levels that keep each pair together, where that is possible.
    ///
    /// A piece is not before what it needs, and in a level of its class. Of a pair, what drops comes no earlier than what makes.
    pub(super) fn solve(
        classes: &[Option<bool>],
        before: &[Vec<usize>],
        pairs: &[Pair],
        transaction_first: bool,
    ) -> Self {
        let least = |level: usize, piece: usize| match classes[piece] {
            Some(class) if class != (level.is_multiple_of(2) == transaction_first) => level + 1,
            _ => level,
        };
        let mut of = Vec::with_capacity(classes.len());
        let mut after: Vec<Vec<usize>> = vec![Vec::new(); classes.len()];
        for (piece, before) in before.iter().enumerate() {
            let level = before.iter().map(|need| of[*need]).max().unwrap_or(0);
            of.push(least(level, piece));
            for need in before {
                after[*need].push(piece);
            }
        }
        let mut split = BTreeSet::new();
        for (place, pair) in pairs.iter().enumerate() {
            if classes[pair.drop] != classes[pair.create] {
                split.insert(place);
                continue;
            }
            let old = of.clone();
            let goal = of[pair.create];
            let mut waiting = Vec::new();
            if of[pair.drop] < goal {
                of[pair.drop] = goal;
                waiting.push(pair.drop);
            }
            while let Some(piece) = waiting.pop() {
                for next in &after[piece] {
                    let level = least(of[piece], *next);
                    if of[*next] < level {
                        of[*next] = level;
                        waiting.push(*next);
                    }
                }
                if of[pair.create] > goal {
                    break;
                }
            }
            if of[pair.create] > goal {
                // Something that runs by itself lies between the two.
                of = old;
                split.insert(place);
            } else {
                after[pair.create].push(pair.drop);
            }
        }
        let used =
            of.iter().zip(classes).filter(|(_, class)| class.is_some()).map(|(level, _)| *level).collect();
        Self { of, split, used }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fact::FactId;
    use crate::kind::Kind;

    const IN: Option<bool> = Some(true);
    const OUT: Option<bool> = Some(false);

    fn pair(drop: usize, create: usize) -> Pair {
        Pair { drop, create, id: Arc::new(FactId::top(Kind::View, None, "v")) }
    }

    #[test]
    fn what_needs_nothing_from_outside_is_one_transaction() {
        let before = [vec![], vec![0], vec![], vec![1]];
        let levels = Levels::solve(&[IN, OUT, IN, IN], &before, &[], true);
        assert_eq!(levels.of, [0, 1, 0, 2]);
        let levels = Levels::solve(&[OUT, IN, IN], &[vec![], vec![0], vec![]], &[], false);
        assert_eq!((levels.of.clone(), levels.count()), (vec![0, 1, 1], 2));
    }

    #[test]
    fn drop_waits_for_what_makes_it_again() {
        // A drop, an index, what needs both, and what is made again.
        let before = [vec![], vec![], vec![0, 1], vec![2]];
        let levels = Levels::solve(&[IN, OUT, IN, IN], &before, &[pair(0, 3)], true);
        assert_eq!(levels.of, [2, 1, 2, 2]);
        assert!(levels.split.is_empty());
    }

    #[test]
    fn pair_with_an_index_between_is_split() {
        let levels = Levels::solve(&[IN, OUT, IN], &[vec![], vec![0], vec![1]], &[pair(0, 2)], true);
        assert_eq!((levels.of, levels.split), (vec![0, 1, 2], BTreeSet::from([0])));
    }
}

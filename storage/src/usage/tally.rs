//! Sizes of many branches, without looking at what did not change.
//!
//! The sum of a branch's frozen layers changes with its stack, with who else reads them, and when layers are merged. It is kept, and a new
//! branch or one that goes makes only those be added up again that it concerns.

use crate::id::IdMap;
use crate::metadata::Mirror;
use crate::{BranchId, BranchSize};

/// See the module.
#[derive(Default)]
pub(crate) struct Tally {
    parts: IdMap<BranchId, Part>,
    readers: IdMap<u64, Readers>,
    owners: IdMap<BranchId, Owner>,
    /// How often layers were merged when the sums were made.
    merges: u64,
}

/// A branch or a snapshot.
struct Part {
    owner: BranchId,
    /// Top first.
    stack: Vec<u64>,
    version: u64,
}

/// A branch with its snapshots.
#[derive(Default)]
pub(super) struct Owner {
    pub(super) parts: Vec<BranchId>,
    /// Of its frozen layers.
    frozen: Option<BranchSize>,
}

/// Who reads a layer, as sums over the numbers of the owners of all parts: they are all the same one exactly if the sum of the squares is as
/// small as it can be.
#[derive(Default)]
struct Readers {
    count: u128,
    sum: u128,
    squares: u128,
}

impl Readers {
    fn add(&mut self, owner: BranchId) {
        let number = u128::from(owner.0);
        self.count += 1;
        self.sum += number;
        self.squares += number * number;
    }

    fn remove(&mut self, owner: BranchId) {
        let number = u128::from(owner.0);
        self.count -= 1;
        self.sum -= number;
        self.squares -= number * number;
    }

    /// The only owner, if there is one.
    fn sole(&self) -> Option<BranchId> {
        let is_one = self.count > 0 && self.count * self.squares == self.sum * self.sum;
        is_one.then(|| BranchId((self.sum / self.count) as u64))
    }
}

impl Tally {
    /// Takes up what the metadata say now. After another number of `merges` than before, the bytes of any layer may be others.
    pub(super) fn follow(&mut self, mirror: &Mirror, merges: u64) {
        let entries = mirror.entries();
        let is_new = |tally: &Self, id: &BranchId, version: u64| {
            tally.parts.get(id).is_none_or(|part| part.version != version)
        };
        for (id, entry) in
            entries.iter().filter(|(id, entry)| is_new(self, id, entry.version)).collect::<Vec<_>>()
        {
            self.remove(*id);
            let owner = entry.row.as_ref().map_or(*id, super::BranchRow::owner);
            self.insert(*id, Part { owner, stack: entry.stack.clone(), version: entry.version });
        }
        if self.parts.len() != entries.len() {
            let gone: Vec<_> = self.parts.keys().filter(|id| !entries.contains_key(id)).copied().collect();
            for id in gone {
                self.remove(id);
            }
        }
        if self.merges != merges {
            self.merges = merges;
            self.owners.values_mut().for_each(|owner| owner.frozen = None);
        }
    }

    fn insert(&mut self, id: BranchId, part: Part) {
        for layer in &part.stack {
            let readers = self.readers.entry(*layer).or_default();
            let before = readers.sole();
            readers.add(part.owner);
            note(&mut self.owners, before, readers.sole());
        }
        let owner = self.owners.entry(part.owner).or_default();
        owner.parts.push(id);
        owner.frozen = None;
        self.parts.insert(id, part);
    }

    fn remove(&mut self, id: BranchId) {
        let Some(part) = self.parts.remove(&id) else { return };
        for layer in &part.stack {
            let Some(readers) = self.readers.get_mut(layer) else { continue };
            let before = readers.sole();
            readers.remove(part.owner);
            note(&mut self.owners, before, readers.sole());
            if readers.count == 0 {
                self.readers.remove(layer);
            }
        }
        let Some(owner) = self.owners.get_mut(&part.owner) else { return };
        owner.parts.retain(|one| *one != id);
        owner.frozen = None;
        if owner.parts.is_empty() {
            self.owners.remove(&part.owner);
        }
    }

    /// The parts of a branch, each with its top layer.
    pub(super) fn parts(&self, owner: BranchId) -> impl Iterator<Item = (BranchId, Option<u64>)> {
        let parts = self.owners.get(&owner).map(|owner| owner.parts.as_slice()).unwrap_or_default();
        parts.iter().map(|id| (*id, self.parts.get(id).and_then(|part| part.stack.first().copied())))
    }

    /// The bytes of a branch's frozen layers; `bytes` measures one of them.
    pub(super) fn frozen(&mut self, id: BranchId, bytes: impl Fn(u64) -> u64) -> BranchSize {
        let Some(owner) = self.owners.get_mut(&id) else { return BranchSize::default() };
        if let Some(size) = owner.frozen {
            return size;
        }
        let stacks = owner.parts.iter().filter_map(|part| self.parts.get(part));
        let mut layers: Vec<u64> = stacks.flat_map(|part| part.stack.iter().skip(1)).copied().collect();
        layers.sort_unstable();
        layers.dedup();
        let mut size = BranchSize::default();
        for layer in layers {
            let is_own = self.readers.get(&layer).is_some_and(|readers| readers.sole() == Some(id));
            *(if is_own { &mut size.own_bytes } else { &mut size.shared_bytes }) += bytes(layer);
        }
        owner.frozen = Some(size);
        size
    }
}

/// Where a layer has another only reader than before, that one's sum is another.
fn note(owners: &mut IdMap<BranchId, Owner>, before: Option<BranchId>, after: Option<BranchId>) {
    if before != after {
        for owner in [before, after].into_iter().flatten() {
            owners.entry(owner).and_modify(|owner| owner.frozen = None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(owner: u64, stack: &[u64]) -> Part {
        Part { owner: BranchId(owner), stack: stack.to_vec(), version: 0 }
    }

    /// Own and shared bytes, where layer `n` has `n` bytes.
    fn size(tally: &mut Tally, owner: u64) -> (u64, u64) {
        let size = tally.frozen(BranchId(owner), |layer| layer);
        (size.own_bytes, size.shared_bytes)
    }

    #[test]
    fn a_layer_is_a_branchs_own_as_long_as_no_other_branch_reads_it() {
        let mut tally = Tally::default();
        tally.insert(BranchId(1), part(1, &[3, 20, 100]));
        assert_eq!(size(&mut tally, 1), (120, 0));
        // Its own snapshot.
        tally.insert(BranchId(2), part(1, &[4, 20, 100]));
        assert_eq!(size(&mut tally, 1), (120, 0));
        tally.insert(BranchId(5), part(5, &[6, 100]));
        assert_eq!(size(&mut tally, 1), (20, 100));
        assert_eq!(size(&mut tally, 5), (0, 100));
        tally.insert(BranchId(3), part(3, &[7, 20, 100]));
        assert_eq!(size(&mut tally, 1), (0, 120));
        tally.remove(BranchId(3));
        tally.remove(BranchId(1));
        assert_eq!(size(&mut tally, 1), (20, 100));
        tally.remove(BranchId(2));
        assert_eq!(size(&mut tally, 5), (100, 0));
        assert_eq!(size(&mut tally, 1), (0, 0));
        tally.remove(BranchId(5));
        assert!(tally.readers.is_empty() && tally.owners.is_empty() && tally.parts.is_empty());
    }

    #[test]
    fn sums_tell_one_owner_from_several() {
        let mut readers = Readers::default();
        for owner in [7, 7, 7] {
            readers.add(BranchId(owner));
            assert_eq!(readers.sole(), Some(BranchId(7)));
        }
        readers.add(BranchId(8));
        readers.add(BranchId(6));
        assert_eq!(readers.sole(), None);
        for owner in [7, 7, 7] {
            readers.remove(BranchId(owner));
        }
        assert_eq!(readers.sole(), None);
        readers.remove(BranchId(6));
        assert_eq!(readers.sole(), Some(BranchId(8)));
    }
}

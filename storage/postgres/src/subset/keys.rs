//! Which rows are here, and which others they refer to.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Where a row lies in its table: block and place in it, as one number.
pub(super) type Place = u64;

/// Reads `(block,place)`.
pub(super) fn place(text: &str) -> Option<Place> {
    let (block, at) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some(u64::from(block.parse::<u32>().ok()?) << 16 | u64::from(at.parse::<u16>().ok()?))
}

/// As the source reads it.
pub(super) fn place_text(place: Place) -> String {
    format!("({},{})", place >> 16, place & 0xffff)
}

/// A set of keys of which it is known that their rows are here or will be asked for. Keeps 128 bits of each: two keys that become one
/// would leave a row out, and the foreign key, which is checked in the end, would tell.
#[derive(Debug, Default)]
pub(super) struct Known {
    hashers: [RandomState; 2],
    keys: HashSet<u128>,
}

impl Known {
    fn hash(&self, group: usize, key: &[u8]) -> u128 {
        let [low, high] = self.hashers.each_ref().map(|hasher| hasher.hash_one((group, key)));
        u128::from(high) << 64 | u128::from(low)
    }

    /// Adds a key of a group; whether it is new.
    pub(super) fn insert(&mut self, group: usize, key: &[u8]) -> bool {
        self.keys.insert(self.hash(group, key))
    }
}

/// The fields of a row that are a key, joined as they stand in the row; `None` if one of them is null, as then it refers to nothing.
pub(super) fn key_of(fields: &[&[u8]], columns: &[usize]) -> Option<Box<[u8]>> {
    let mut key = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let field = fields.get(*column).filter(|field| **field != b"\\N")?;
        if at > 0 {
            key.push(b'\t');
        }
        key.extend_from_slice(field);
    }
    Some(key.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_written() {
        for text in ["(0,1)", "(4294967295,65535)", "(17,3)"] {
            assert_eq!(place_text(place(text).unwrap()), text);
        }
        assert_eq!(place("(1)"), None);
    }

    #[test]
    fn a_key_with_a_null_refers_to_nothing() {
        let fields: [&[u8]; 3] = [b"1", b"\\N", b"x"];
        assert_eq!(key_of(&fields, &[2, 0]).unwrap().as_ref(), b"x\t1");
        assert_eq!(key_of(&fields, &[0, 1]), None);
    }

    #[test]
    fn keys_are_known_by_their_group() {
        let mut known = Known::default();
        assert!(known.insert(0, b"1") && !known.insert(0, b"1"));
        assert!(known.insert(1, b"1"));
    }
}

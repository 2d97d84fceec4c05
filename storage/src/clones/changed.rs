//! Which blocks of two clones are not the same blocks of the disk.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use offshoot_pages::{PAGE_SIZE, SEGMENT_PAGES};

use super::extents::{Extent, Mapped, map};
use crate::changed::{ChangedBlocks, main_fork};
use crate::error::{Context as _, StorageError};

/// Compares the files of one database in two data directories by where they lie on the disk. What lies in the same place is
/// the same; of all else it is not known. Where the file system does not tell, everything may differ.
pub(super) fn between(one: &Path, other: &Path, database: u32) -> Result<ChangedBlocks, StorageError> {
    let folder = |data: &Path| data.join("base").join(database.to_string());
    let (one, other) = (folder(one), folder(other));
    let mut names = BTreeSet::new();
    for folder in [&one, &other] {
        add_names(folder, &mut names)?;
    }
    let mut changed = ChangedBlocks::default();
    for name in names {
        let Some((file, segment)) = main_fork(&name) else { continue };
        let look = |folder: &Path| map(&folder.join(&name), true).context("look at", &folder.join(&name));
        let differing = match (look(&one)?, look(&other)?) {
            (Some(one), Some(other)) => differing_pages(&one, &other),
            // Made or deleted on one side.
            _ => vec![Range { start: 0, end: SEGMENT_PAGES }],
        };
        let first = segment * SEGMENT_PAGES;
        for pages in differing {
            changed.add(file, first + pages.start..first + pages.end);
        }
    }
    changed.tidy();
    Ok(changed)
}

fn add_names(folder: &Path, names: &mut BTreeSet<OsString>) -> Result<(), StorageError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.context("list", folder)?,
    };
    for entry in entries {
        names.insert(entry.context("list", folder)?.file_name());
    }
    Ok(())
}

/// The pages of two files that do not lie in the same place, as a whole; to the end of the segment if one is longer.
fn differing_pages(one: &Mapped, other: &Mapped) -> Vec<Range<u64>> {
    let end = one.length.min(other.length);
    let mut same: Vec<Range<u64>> = Vec::new();
    let mut position = 0;
    let (mut a, mut b) = (Pieces::of(one, end), Pieces::of(other, end));
    while position < end {
        let (left, right) = (a.at(position), b.at(position));
        let next = left.end.min(right.end).min(end);
        let is_same = match (left.place, right.place) {
            (Place::At(left), Place::At(right)) => left == right,
            (Place::Zeros, Place::Zeros) => true,
            _ => false,
        };
        if is_same {
            match same.last_mut() {
                Some(last) if last.end == position => last.end = next,
                _ => same.push(position..next),
            }
        }
        position = next;
    }
    let mut differing = Vec::new();
    let mut page = 0;
    for bytes in same {
        let to_the_end = bytes.end == end && one.length == other.length;
        let whole = Range {
            start: bytes.start.div_ceil(PAGE_SIZE),
            end: if to_the_end { SEGMENT_PAGES } else { bytes.end / PAGE_SIZE },
        };
        if whole.is_empty() {
            continue;
        }
        if page < whole.start {
            differing.push(page..whole.start);
        }
        page = whole.end;
    }
    if page < SEGMENT_PAGES && !(one.length == 0 && other.length == 0) {
        differing.push(page..SEGMENT_PAGES);
    }
    differing
}

#[derive(Clone, Copy)]
enum Place {
    /// A hole, or what was never written.
    Zeros,
    /// The place of byte 0 of the file, if it went on like this from its beginning.
    At(i128),
    Unknown,
}

struct Piece {
    end: u64,
    place: Place,
}

/// The extents and holes of a file, looked at from its beginning to its end.
struct Pieces<'a> {
    extents: std::iter::Peekable<std::slice::Iter<'a, Extent>>,
    end: u64,
}

impl<'a> Pieces<'a> {
    fn of(file: &'a Mapped, end: u64) -> Self {
        Self { extents: file.extents.iter().peekable(), end }
    }

    /// What is at `position`, which no earlier call went beyond.
    fn at(&mut self, position: u64) -> Piece {
        while self.extents.next_if(|extent| extent.start + extent.length <= position).is_some() {}
        match self.extents.peek() {
            Some(extent) if extent.start <= position => {
                let from_0 = |at: u64| Place::At(i128::from(at) - i128::from(extent.start));
                let place = match extent.place {
                    _ if extent.is_unwritten => Place::Zeros,
                    Some(at) => from_0(at),
                    None => Place::Unknown,
                };
                Piece { end: extent.start + extent.length, place }
            }
            Some(extent) => Piece { end: extent.start, place: Place::Zeros },
            None => Piece { end: self.end, place: Place::Zeros },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = PAGE_SIZE;

    /// A file of so many pages; each extent is its first page, its pages and its place in pages.
    fn file(pages: u64, extents: &[(u64, u64, Option<u64>)]) -> Mapped {
        let extent = |(start, pages, place): &(u64, u64, Option<u64>)| Extent {
            start: start * PAGE,
            length: pages * PAGE,
            place: place.map(|place| place * PAGE),
            is_unwritten: false,
            is_shared: false,
        };
        Mapped { length: pages * PAGE, extents: extents.iter().map(extent).collect() }
    }

    #[test]
    fn what_lies_in_one_place_is_the_same_however_it_is_cut() {
        let one = file(10, &[(0, 10, Some(100))]);
        let other = file(10, &[(0, 4, Some(100)), (4, 6, Some(104))]);
        assert!(differing_pages(&one, &other).is_empty());
    }

    #[test]
    fn a_page_that_was_written_differs() {
        let one = file(10, &[(0, 10, Some(100))]);
        let other = file(10, &[(0, 4, Some(100)), (4, 1, Some(500)), (5, 5, Some(105))]);
        assert_eq!(differing_pages(&one, &other), [Range { start: 4, end: 5 }]);
        let at_the_end = file(10, &[(0, 9, Some(100)), (9, 1, Some(500))]);
        assert_eq!(differing_pages(&one, &at_the_end), [Range { start: 9, end: SEGMENT_PAGES }]);
    }

    #[test]
    fn what_has_no_known_place_may_differ() {
        let unknown = file(4, &[(0, 2, None), (2, 2, Some(7))]);
        assert_eq!(differing_pages(&unknown, &unknown), [Range { start: 0, end: 2 }]);
    }

    #[test]
    fn holes_are_the_same_within_both_files() {
        let one = file(6, &[(0, 2, Some(100))]);
        let other = file(6, &[(0, 2, Some(100)), (4, 1, Some(9))]);
        assert!(differing_pages(&one, &one).is_empty());
        assert_eq!(differing_pages(&one, &other), [Range { start: 4, end: 5 }]);
        let mut unwritten = file(6, &[(0, 2, Some(100)), (2, 4, Some(50))]);
        unwritten.extents[1].is_unwritten = true;
        assert!(differing_pages(&one, &unwritten).is_empty(), "it reads as a hole does");
    }

    #[test]
    fn the_end_of_a_longer_file_differs() {
        let one = file(6, &[(0, 6, Some(100))]);
        let other = file(8, &[(0, 8, Some(100))]);
        assert_eq!(differing_pages(&one, &other), [Range { start: 6, end: SEGMENT_PAGES }]);
        assert_eq!(differing_pages(&file(0, &[]), &one), [Range { start: 0, end: SEGMENT_PAGES }]);
        assert!(differing_pages(&file(0, &[]), &file(0, &[])).is_empty());
    }
}

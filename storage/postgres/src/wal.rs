//! The names of WAL segment files, and whether a page in one is live.

use std::fmt;
use std::io;
use std::path::Path;

use crate::control::Lsn;

/// Bytes of a WAL segment unless `initdb` was told otherwise.
pub const DEFAULT_SEGMENT_SIZE: u32 = 16 << 20;

/// The name of a WAL segment file.
///
/// `number` counts segments from position zero, so that a segment's first byte is `number * segment_size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// The timeline.
    pub timeline: u32,
    /// The segment's number since position zero.
    pub number: u64,
}

impl SegmentName {
    /// The segment that holds `lsn`.
    pub fn containing(lsn: Lsn, timeline: u32, segment_size: u32) -> Self {
        Self { timeline, number: lsn.0 / u64::from(segment_size) }
    }

    /// Reads a file's name: 24 upper-case hexadecimal digits. Anything else, `.partial` and `.history` too, is `None`.
    pub fn parse(name: &str, segment_size: u32) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        if name.len() != 24 || !name.bytes().all(digit) {
            return None;
        }
        let part = |range: std::ops::Range<usize>| u32::from_str_radix(&name[range], 16).ok();
        let (timeline, high, low) = (part(0..8)?, part(8..16)?, part(16..24)?);
        let per_high = segments_per_high(segment_size);
        (u64::from(low) < per_high)
            .then(|| Self { timeline, number: u64::from(high) * per_high + u64::from(low) })
    }

    /// The file's name; the opposite of [`SegmentName::parse`].
    pub fn file_name(&self, segment_size: u32) -> String {
        let per_high = segments_per_high(segment_size);
        format!("{:08X}{:08X}{:08X}", self.timeline, self.number / per_high, self.number % per_high)
    }

    /// The position of the segment's first byte.
    pub fn start(&self, segment_size: u32) -> Lsn {
        Lsn(self.number * u64::from(segment_size))
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} of timeline {}", self.number, self.timeline)
    }
}

/// Segments in 4 GiB, which is what the middle part of a name counts.
fn segments_per_high(segment_size: u32) -> u64 {
    (1 << 32) / u64::from(segment_size)
}

/// The segments of `timeline` in folder `dir` from the one that holds `redo` on, in order.
///
/// Files that Postgres made ahead of their use are among them: see [`page_is_live`].
pub fn segments_from(
    dir: &Path,
    redo: Lsn,
    timeline: u32,
    segment_size: u32,
) -> io::Result<Vec<SegmentName>> {
    let first = SegmentName::containing(redo, timeline, segment_size);
    let mut found = Vec::new();
    for entry in dir.read_dir()? {
        let name = entry?.file_name();
        let segment = name.to_str().and_then(|name| SegmentName::parse(name, segment_size));
        found.extend(segment.filter(|segment| segment.timeline == timeline && *segment >= first));
    }
    found.sort();
    Ok(found)
}

/// Whether a WAL page was written for position `expected_lsn`, and is not a leftover of a recycled or an empty file.
///
/// `page_header` is at least the first 16 bytes of the page: a magic number whose upper byte every supported major
/// shares, flags, the timeline, and at offset 8 the position that the page was written for.
pub fn page_is_live(page_header: &[u8], expected_lsn: Lsn) -> bool {
    let magic = page_header.get(1).copied();
    let position = page_header.get(8..16).and_then(|part| part.try_into().ok()).map(u64::from_le_bytes);
    magic == Some(0xd1) && position == Some(expected_lsn.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree_for_each_segment_size() {
        for (name, size, number) in [
            ("000000010000000000000001", 16 << 20, 1),
            ("0000000200000003000000FF", 16 << 20, 3 * 256 + 255),
            ("000000010000000200000003", 1 << 30, 11),
            ("000000010000000100000FFF", 1 << 20, 4096 + 4095),
        ] {
            let segment = SegmentName::parse(name, size).unwrap();
            assert_eq!(segment.number, number);
            assert_eq!(segment.file_name(size), name);
            assert_eq!(SegmentName::containing(segment.start(size), segment.timeline, size), segment);
        }
    }

    #[test]
    fn other_files_are_not_segments() {
        for name in [
            "00000001.history",
            "000000010000000000000001.partial",
            "000000010000000000000100",
            "archive_status",
        ] {
            assert_eq!(SegmentName::parse(name, 16 << 20), None, "{name}");
        }
        assert_eq!(SegmentName::parse("00000001000000000000000a", 16 << 20), None);
    }

    #[test]
    fn segments_from_redo_on_are_listed_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "000000010000000000000003",
            "000000010000000000000001",
            "000000010000000000000002",
            "000000020000000000000002",
            "000000010000000000000002.partial",
            "00000002.history",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = segments_from(dir.path(), Lsn(0x2ff_ffff), 1, 16 << 20).unwrap();
        assert_eq!(found.iter().map(|segment| segment.number).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn page_of_a_recycled_file_is_not_live() {
        let mut page = vec![0x18, 0xd1, 0, 0, 1, 0, 0, 0];
        page.extend_from_slice(&0x174_a000_u64.to_le_bytes());
        assert!(page_is_live(&page, Lsn(0x174_a000)));
        assert!(!page_is_live(&page, Lsn(0x274_a000)));
        assert!(!page_is_live(&[0; 24], Lsn(0)));
        assert!(!page_is_live(&page[..12], Lsn(0x174_a000)));
    }
}

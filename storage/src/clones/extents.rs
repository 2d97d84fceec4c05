//! Where the bytes of a file lie on the disk (`FIEMAP`): what two files share, and what they do not.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// A run of bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where it begins in the file, in bytes.
    pub(super) start: u64,
    /// Its length in bytes.
    pub(super) length: u64,
    /// Where it lies on the disk; `None` if that is not known, or does not tell whether two are the same.
    pub(super) place: Option<u64>,
    /// Whether it is there and was never written: it reads as zeros, as a hole does.
    pub(super) is_unwritten: bool,
    /// Whether another file has it too.
    pub(super) is_shared: bool,
}

/// A file as it lies on the disk.
pub(super) struct Mapped {
    /// Its length in bytes.
    pub(super) length: u64,
    /// Its extents, in order. Between them are holes.
    pub(super) extents: Vec<Extent>,
}

/// Looks at a file. With `flush`, what was written to it gets a place first. `None` if it is not there.
pub(super) fn map(path: &Path, flush: bool) -> io::Result<Option<Mapped>> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let extents = extents_of(&file, flush)?;
    // After the extents: a file that grew meanwhile has no more of them than it had.
    Ok(Some(Mapped { length: file.metadata()?.len(), extents }))
}

/// Bytes on the disk of what is no file with extents: folders.
pub(super) fn blocks(path: &Path) -> u64 {
    fs::symlink_metadata(path).map_or(0, |data| data.blocks() * 512)
}

#[cfg(target_os = "linux")]
fn extents_of(file: &File, flush: bool) -> io::Result<Vec<Extent>> {
    use std::os::fd::AsRawFd as _;

    // The layout and the numbers are those of `linux/fiemap.h`.
    const FIEMAP: u64 = 0xc020_660b;
    const SYNC: u32 = 1;
    const LAST: u32 = 1;
    const SHARED: u32 = 0x2000;
    const UNWRITTEN: u32 = 0x800;
    /// Unknown, not yet allocated, encoded, encrypted, not aligned, inline, and a tail.
    const NO_PLACE: u32 = 2 | 4 | 8 | 0x80 | 0x100 | 0x200 | 0x400;
    const COUNT: usize = 128;
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct RawExtent {
        logical: u64,
        physical: u64,
        length: u64,
        reserved: [u64; 2],
        flags: u32,
        more_reserved: [u32; 3],
    }
    #[repr(C)]
    struct Request {
        start: u64,
        length: u64,
        flags: u32,
        mapped: u32,
        count: u32,
        reserved: u32,
        extents: [RawExtent; COUNT],
    }

    let mut found = Vec::new();
    let mut start = 0;
    loop {
        let mut request = Request {
            start,
            length: u64::MAX - start,
            flags: if flush && start == 0 { SYNC } else { 0 },
            mapped: 0,
            count: COUNT as u32,
            reserved: 0,
            extents: [RawExtent::default(); COUNT],
        };
        // SAFETY: our own descriptor; the kernel writes at most `count` extents, for which there is room.
        if unsafe { libc::ioctl(file.as_raw_fd(), FIEMAP as libc::Ioctl, &raw mut request) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let raw = &request.extents[..(request.mapped as usize).min(COUNT)];
        found.extend(raw.iter().map(|raw| Extent {
            start: raw.logical,
            length: raw.length,
            place: (raw.flags & NO_PLACE == 0).then_some(raw.physical),
            is_unwritten: raw.flags & UNWRITTEN != 0,
            is_shared: raw.flags & SHARED != 0,
        }));
        match raw.last() {
            Some(last) if last.flags & LAST == 0 => start = last.logical + last.length,
            _ => return Ok(found),
        }
    }
}

/// Elsewhere nothing is known about what files share.
#[cfg(not(target_os = "linux"))]
fn extents_of(file: &File, _flush: bool) -> io::Result<Vec<Extent>> {
    let data = file.metadata()?;
    Ok(vec![Extent {
        start: 0,
        length: data.blocks() * 512,
        place: None,
        is_unwritten: false,
        is_shared: false,
    }])
}

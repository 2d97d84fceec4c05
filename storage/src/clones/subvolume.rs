//! Subvolumes of btrfs: a data directory that is one can be cloned as a whole, at one moment.
//!
//! The layouts of the arguments are those of `linux/btrfs.h`.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::files::is_btrfs;

/// The number of a subvolume's root.
const ROOT_INODE: u64 = 256;
const SUBVOL_CREATE: u64 = 0x5000_940e;
const SNAP_CREATE_V2: u64 = 0x5000_9417;
/// Where the name begins in both arguments, and how many bytes each has.
const NAME_AT: [usize; 2] = [8, 56];
const ARGUMENT_BYTES: usize = 4096;
const MAX_NAME: usize = 255;

/// Whether `path` is the root of a subvolume.
pub(super) fn is_subvolume(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.is_dir() && data.ino() == ROOT_INODE) && is_btrfs(path)
}

/// Makes an empty subvolume.
pub(super) fn create(path: &Path) -> io::Result<()> {
    call(SUBVOL_CREATE, NAME_AT[0], None, path)
}

/// Makes `to` a snapshot of the subvolume `from`: all that was on its way to the disk at one moment.
pub(super) fn snapshot(from: &Path, to: &Path) -> io::Result<()> {
    call(SNAP_CREATE_V2, NAME_AT[1], Some(&File::open(from)?), to)
}

fn call(request: u64, name_at: usize, source: Option<&File>, path: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    if name.len() > MAX_NAME {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    let mut argument = [0u8; ARGUMENT_BYTES];
    let descriptor = source.map_or(0, |file| i64::from(file.as_raw_fd()));
    argument[..8].copy_from_slice(&descriptor.to_ne_bytes());
    argument[name_at..name_at + name.len()].copy_from_slice(name.as_bytes());
    let folder = File::open(folder)?;
    // SAFETY: both requests read 4096 bytes, which are ours, and write to none; the name in them ends with a NUL byte.
    let code = unsafe { libc::ioctl(folder.as_raw_fd(), request as libc::Ioctl, argument.as_ptr()) };
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

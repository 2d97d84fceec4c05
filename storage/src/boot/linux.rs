//! Linux: an id for each boot, and a folder for each file system that is mounted.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Context as _, StorageError};
use crate::files::{BTRFS, file_system_type};

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// File systems by the number of their type that are known by their device, with their folder in `/sys/fs`.
const BY_DEVICE: [(i64, &str); 3] = [(0xef53, "ext4"), (0x5846_5342, "xfs"), (0xf2f5_2010, "f2fs")];
/// `BTRFS_IOC_FS_INFO`, the size of what it writes, and where the UUID is in that; see `linux/btrfs.h`.
const BTRFS_INFO: u64 = 0x8400_941f;
const BTRFS_INFO_BYTES: usize = 1024;
const BTRFS_UUID_AT: usize = 16;

/// Names this boot.
pub(super) fn boot() -> Result<String, StorageError> {
    let boot = fs::read_to_string(BOOT_ID).context("read", Path::new(BOOT_ID))?;
    Ok(boot.trim().to_owned())
}

/// Names this life of the file system of `path`.
pub(super) fn file_system(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(file_system_folder(path)?)?.ino())
}

/// The kernel's folder about the file system of `path`.
fn file_system_folder(path: &Path) -> io::Result<PathBuf> {
    let kind = file_system_type(path)?;
    if kind == BTRFS {
        return Ok(Path::new("/sys/fs/btrfs").join(btrfs_uuid(path)?));
    }
    let Some((_, name)) = BY_DEVICE.iter().find(|(number, _)| *number == kind) else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let device = fs::metadata(path)?.dev();
    let link = format!("/sys/dev/block/{}:{}", libc::major(device), libc::minor(device));
    let target = fs::read_link(link)?;
    let device = target.file_name().ok_or(io::ErrorKind::Unsupported)?;
    Ok(Path::new("/sys/fs").join(name).join(device))
}

/// The UUID as text. The device of a file does not tell: each subvolume has its own.
fn btrfs_uuid(path: &Path) -> io::Result<String> {
    let folder = File::open(path)?;
    let mut info = [0u8; BTRFS_INFO_BYTES];
    // SAFETY: the request writes 1024 bytes, which are ours.
    let code = unsafe { libc::ioctl(folder.as_raw_fd(), BTRFS_INFO as libc::Ioctl, info.as_mut_ptr()) };
    if code != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut uuid = String::new();
    for (index, byte) in info[BTRFS_UUID_AT..BTRFS_UUID_AT + 16].iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            uuid.push('-');
        }
        // Writing to a string does not fail.
        let _ = write!(uuid, "{byte:02x}");
    }
    Ok(uuid)
}

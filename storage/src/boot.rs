//! Since when the kernel has what is written to a store: what is not synced is lost when the machine goes down, and when the file
//! system goes away alone.
//!
//! The kernel gives each boot an id. It gives none to a file system that is mounted; the number of a mount is used again at once, and so is
//! the number of a device. But ext4, XFS, F2FS and btrfs have a folder in `/sys/fs` for as long as they are mounted anywhere, and its inode
//! number is not used again. Of other file systems only the boot is known.

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

/// Names this boot and, where it can be told, this life of the file system of `path`.
pub(crate) fn id(path: &Path) -> Result<String, StorageError> {
    let boot = fs::read_to_string(BOOT_ID).context("read", Path::new(BOOT_ID))?;
    let boot = boot.trim();
    // What is not told is not told the next time either: then a boot is known by its id alone.
    match file_system_folder(path).and_then(fs::metadata) {
        Ok(folder) => Ok(format!("{boot}+{}", folder.ino())),
        Err(_) => Ok(boot.to_owned()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn run(program: &str, args: &[&str]) -> bool {
        Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
    }

    #[test]
    fn a_file_system_that_is_mounted_again_is_another_one() {
        for (make, megabytes) in [("mkfs.ext4", "16M"), ("mkfs.xfs", "300M"), ("mkfs.btrfs", "120M")] {
            let folder = tempfile::tempdir().unwrap();
            let (image, at) = (folder.path().join("image"), folder.path().join("disk"));
            fs::create_dir(&at).unwrap();
            let (image, disk) = (image.to_str().unwrap(), at.to_str().unwrap());
            let mount = || run("mount", &["-o", "loop", image, disk]);
            if !(run("truncate", &["-s", megabytes, image]) && run(make, &["-q", image]) && mount()) {
                eprintln!("SKIPPED: no image of {make} can be mounted here");
                continue;
            }
            let (first, again) = (id(&at), id(&at));
            let is_back = run("umount", &[disk]) && mount();
            let other = id(&at);
            assert!(run("umount", &[disk]) && is_back);
            assert_eq!(first.as_ref().unwrap(), &again.unwrap(), "{make}");
            assert_ne!(first.unwrap(), other.unwrap(), "{make}");
        }
    }

    #[test]
    fn a_file_system_of_which_nothing_is_known_has_the_id_of_the_boot() {
        let boot = fs::read_to_string(BOOT_ID).unwrap();
        assert_eq!(id(Path::new("/proc")).unwrap(), boot.trim());
    }
}

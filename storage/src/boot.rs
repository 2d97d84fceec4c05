//! Since when the kernel has what is written to a store: what is not synced is lost when the machine goes down, and when the file
//! system goes away alone.
//!
//! The kernel gives each boot an id. It gives none to a file system that is mounted; the number of a mount is used again at once, and so is
//! the number of a device. But ext4, XFS, F2FS and btrfs have a folder in `/sys/fs` for as long as they are mounted anywhere, and its inode
//! number is not used again. Of other file systems only the boot is known.

#[cfg_attr(target_os = "linux", path = "boot/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "boot/other.rs")]
mod system;

use std::path::Path;

use crate::error::StorageError;

/// Names this boot and, where it can be told, this life of the file system of `path`.
pub(crate) fn id(path: &Path) -> Result<String, StorageError> {
    let boot = system::boot()?;
    // What is not told is not told the next time either: then a boot is known by its id alone.
    Ok(match system::file_system(path) {
        Ok(life) => format!("{boot}+{life}"),
        Err(_) => boot,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

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
        assert_eq!(id(Path::new("/proc")).unwrap(), system::boot().unwrap());
    }
}

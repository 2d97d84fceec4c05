//! A file system of its own that a test fills.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// A small file system of its own. Unmounted when dropped, before its folder goes.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, and said loudly, when this user may not mount.
    pub fn mount(folder: &Path, megabytes: u64) -> Option<Self> {
        let size = format!("size={megabytes}m,mode=755");
        let mut command = std::process::Command::new("mount");
        let mounted = command.args(["-t", "tmpfs", "-o", &size, "offshoot-test"]).arg(folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("SKIPPED: cannot mount a small file system here");
        None
    }

    /// Bytes that can still be written.
    pub fn free_bytes(&self) -> u64 {
        super::file_system(&self.0).unwrap().0
    }

    /// Fills it up to `left` bytes.
    pub fn fill(&self, left: u64) {
        self.make_room();
        let file = fs::File::create(self.0.join("ballast")).unwrap();
        // Others write meanwhile, so that what is free now may not be in a moment.
        while self.free_bytes() > left {
            let end = (file.metadata().unwrap().len() + self.free_bytes() - left) as i64;
            // SAFETY: our own descriptor; no memory is touched.
            let code = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, end) };
            assert!(code == 0 || code == libc::ENOSPC, "{code}");
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn make_room(&self) {
        let _ = fs::remove_file(self.0.join("ballast"));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server may need a moment to let go.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

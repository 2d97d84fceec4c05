//! A file system of its own that a test fills.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use offshoot_storage::DriverKind;

/// Megabytes that each kind of file system needs at the least.
const LEAST_MEGABYTES: u64 = 400;

/// A small file system of its own: in memory, or for clones, on an image, of the kind of `OFFSHOOT_TEST_DISK`. Unmounted when dropped, before its
/// folder goes.
pub struct SmallDisk {
    at: PathBuf,
    /// Goes with it.
    _image: Option<tempfile::NamedTempFile>,
}

/// Runs a program; what it wrote to its standard output if it succeeds.
fn run<A: AsRef<OsStr>>(program: &str, args: &[A]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl SmallDisk {
    /// `None`, and said loudly, when this user may not mount.
    pub fn mount(folder: &Path, megabytes: u64) -> Option<Self> {
        let mounted = match super::driver() {
            DriverKind::Layers => Self::in_memory(folder, megabytes),
            DriverKind::Clone => Self::on_an_image(folder, megabytes.max(LEAST_MEGABYTES)),
        };
        if mounted.is_none() {
            eprintln!("SKIPPED: cannot mount a small file system here");
        }
        mounted
    }

    fn in_memory(folder: &Path, megabytes: u64) -> Option<Self> {
        let size = format!("size={megabytes}m,mode=755");
        let args =
            [OsStr::new("-t"), "tmpfs".as_ref(), "-o".as_ref(), size.as_ref(), "offshoot-test".as_ref()];
        run("mount", &[&args[..], &[folder.as_os_str()]].concat())?;
        Some(Self { at: folder.to_owned(), _image: None })
    }

    /// A btrfs on an image. `None`, and said loudly, where that cannot be.
    pub fn btrfs(folder: &Path) -> Option<Self> {
        let mounted = Self::of_kind("btrfs", folder, LEAST_MEGABYTES);
        if mounted.is_none() {
            eprintln!("SKIPPED: cannot make and mount a btrfs here");
        }
        mounted
    }

    fn on_an_image(folder: &Path, megabytes: u64) -> Option<Self> {
        let kind = run("stat", &[OsStr::new("-fc"), "%T".as_ref(), folder.as_os_str()])?;
        Self::of_kind(&kind, folder, megabytes)
    }

    fn of_kind(kind: &str, folder: &Path, megabytes: u64) -> Option<Self> {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(megabytes << 20).unwrap();
        run(&format!("mkfs.{kind}"), &[OsStr::new("-q"), image.path().as_os_str()])?;
        let args = [OsStr::new("-o"), "loop".as_ref(), image.path().as_os_str(), folder.as_os_str()];
        run("mount", &args)?;
        Some(Self { at: folder.to_owned(), _image: Some(image) })
    }

    /// Bytes that can still be written.
    pub fn free_bytes(&self) -> u64 {
        super::file_system(&self.at).unwrap().0
    }

    /// Fills it up to `left` bytes, or to what the file system keeps for itself.
    pub fn fill(&self, left: u64) {
        self.make_room();
        let file = fs::File::create(self.at.join("ballast")).unwrap();
        let mut most = u64::MAX;
        // Others write meanwhile, so that what is free now may not be in a moment.
        while self.free_bytes() > left && most > 4096 {
            let more = (self.free_bytes() - left).min(most);
            let end = file.metadata().unwrap().len() as i64;
            // SAFETY: our own descriptor; no memory is touched.
            let code = unsafe { libc::posix_fallocate(file.as_raw_fd(), end, more as i64) };
            assert!(code == 0 || code == libc::ENOSPC, "{code}");
            if code != 0 {
                most = more / 2;
            }
        }
    }

    /// Gives back what [`SmallDisk::fill`] took, and waits until it is there: XFS frees it in the background.
    pub fn make_room(&self) {
        let ballast = self.at.join("ballast");
        let taken = fs::metadata(&ballast).map_or(0, |facts| facts.blocks() * 512);
        let wanted = self.free_bytes() + taken / 2;
        let _ = fs::remove_file(ballast);
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.free_bytes() < wanted && Instant::now() < deadline {
            let _ = run("sync", &[OsStr::new("-f"), self.at.as_os_str()]);
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server may need a moment to let go.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

//! Private temporary folders, and those of processes that were killed.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Failure, Result};
use crate::sys;

/// How their names begin. The number of the process that made them and sixteen digits follow.
const PREFIX: &str = "offshoot-scratch-";
/// How long a folder without a lock may be in the making.
const YOUNG: Duration = Duration::from_mins(10);

/// A private temporary folder. It goes with this value; if the process is killed, with the next one that is made.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    /// Holds the folder's lock for as long as its process lives.
    _lock: File,
}

impl Scratch {
    /// A new one, after those that nobody has any more were removed.
    pub(crate) fn new() -> Result<Self> {
        sweep();
        Self::within(&std::env::temp_dir())
    }

    fn within(parent: &Path) -> Result<Self> {
        let fault = |e: &std::io::Error| Failure::io("make a temporary folder", e);
        let number = getrandom::u64().map_err(|e| Failure::engine(format!("no randomness: {e}")))?;
        let path = parent.join(format!("{PREFIX}{}-{number:016x}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path).map_err(|e| fault(&e))?;
        let locked = File::open(&path).and_then(|folder| folder.lock_shared().map(|()| folder));
        match locked {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(fault(&error))
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // One that is left is removed by whoever makes the next.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the temporary folders that processes of this user left as they were killed. Blocks.
pub(crate) fn sweep() {
    sweep_in(&std::env::temp_dir());
}

fn sweep_in(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(maker) = name.to_str().and_then(maker) else { continue };
        let path = entry.path();
        let is_ours = fs::symlink_metadata(&path)
            .is_ok_and(|facts| facts.is_dir() && facts.uid() == sys::effective_uid());
        if is_ours && is_left(&path, maker) {
            match fs::remove_dir_all(&path) {
                Ok(()) => tracing::info!(path = %path.display(), "removed what a killed process left"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "a temporary folder is left"),
            }
        }
    }
}

/// The process that a folder's name is of, if it is a name of ours.
fn maker(name: &str) -> Option<u32> {
    let (process, number) = name.strip_prefix(PREFIX)?.split_once('-')?;
    let is_number = number.len() == 16 && number.bytes().all(|letter| letter.is_ascii_hexdigit());
    process.parse().ok().filter(|_| is_number)
}

/// Whether nobody has a folder any more. One without a lock may be in the making, as long as there is a process of its maker's number
/// and the folder is young.
fn is_left(path: &Path, maker: u32) -> bool {
    let Ok(folder) = File::open(path) else { return false };
    match folder.try_lock() {
        Ok(()) => {
            let age = folder.metadata().and_then(|facts| facts.modified()).map(|then| then.elapsed());
            let is_old = matches!(age, Ok(Ok(age)) if age > YOUNG);
            is_old || !sys::is_alive(maker)
        }
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number that no process has: above the highest that Linux gives.
    const NOBODY: u32 = 4_194_305;

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let of = |name: &str| parent.path().join(name);
        let (left, held) =
            (format!("{PREFIX}{NOBODY}-0123456789abcdef"), format!("{PREFIX}{NOBODY}-fedcba9876543210"));
        let others =
            ["offshoot-0123456789abcdef", "offshoot-scratch-mine", "offshoot-scratch-1-xyz", "other"];
        for name in [left.as_str(), held.as_str()].into_iter().chain(others) {
            fs::create_dir(of(name)).unwrap();
            fs::write(of(name).join("file"), "").unwrap();
        }
        fs::write(of(&format!("{PREFIX}{NOBODY}-1111111111111111")), "a file").unwrap();
        std::os::unix::fs::symlink(of("other"), of(&format!("{PREFIX}{NOBODY}-2222222222222222"))).unwrap();
        let lock = File::open(of(&held)).unwrap();
        lock.lock_shared().unwrap();
        let mine = Scratch::within(parent.path()).unwrap();
        sweep_in(parent.path());
        assert!(!of(&left).exists());
        assert!(of(&held).exists() && mine.path().exists());
        assert!(others.iter().all(|name| of(name).join("file").exists()));
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 8);
        let path = mine.path().to_owned();
        drop((mine, lock));
        assert!(!path.exists());
        sweep_in(parent.path());
        assert!(!of(&held).exists(), "its lock went with its process");
    }
}

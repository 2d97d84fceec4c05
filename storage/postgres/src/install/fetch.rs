//! Fetching into the cache so that nobody sees a part and two processes do not spoil each other's work.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::InstallError;
use crate::progress::Progress;

/// How often a taken lock and the caller's wish to cancel are looked at; file locks offer no wait with an end.
const LOCK_LOOK: Duration = Duration::from_millis(50);

/// Fills `target` by `fill`, which gets another folder to work in, and renames it into place.
///
/// One process at a time works on a target. `present` is asked again once the lock is held: another process may
/// have done the work meanwhile, and then nothing is done.
pub(crate) fn once<T>(
    target: &Path,
    progress: &dyn Progress,
    present: impl Fn() -> Option<T>,
    fill: impl FnOnce(&Path) -> Result<(), InstallError>,
) -> Result<Option<T>, InstallError> {
    let parent = target.parent().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    fs::create_dir_all(parent)?;
    let _lock = lock(&target.with_extension("lock"), progress)?;
    if let Some(found) = present() {
        return Ok(Some(found));
    }
    let partial = target.with_extension("partial");
    remove_tree(&partial)?;
    fs::create_dir(&partial)?;
    if let Err(error) = fill(&partial) {
        let _ = remove_tree(&partial);
        return Err(if progress.is_cancelled() { InstallError::Cancelled } else { error });
    }
    // What is there does not work, or `present` would have found it.
    remove_tree(target)?;
    fs::rename(&partial, target)?;
    Ok(present())
}

fn lock(path: &Path, progress: &dyn Progress) -> Result<File, InstallError> {
    let file = File::create(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) if progress.is_cancelled() => return Err(InstallError::Cancelled),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_LOOK),
        }
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn two_at_once_do_the_work_once() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("kinds/18");
        let runs = AtomicU32::new(0);
        let work = || {
            once(
                &target,
                &Silent,
                || target.join("done").exists().then_some(()),
                |partial| {
                    runs.fetch_add(1, Ordering::SeqCst);
                    Ok(fs::write(partial.join("done"), "")?)
                },
            )
        };
        std::thread::scope(|scope| {
            let other = scope.spawn(work);
            assert_eq!(work().unwrap(), Some(()));
            assert_eq!(other.join().unwrap().unwrap(), Some(()));
        });
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn failure_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("18");
        let result =
            once(&target, &Silent, || None::<()>, |_| Err(InstallError::UnsupportedMajor { major: 1 }));
        assert!(result.is_err());
        assert!(!target.exists() && !target.with_extension("partial").exists());
    }
}

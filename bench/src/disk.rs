//! Bytes on the disk, as `du` counts them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Bytes that everything below `path` takes on the disk. A file with several names counts once.
pub(crate) fn usage(path: &Path) -> Result<u64> {
    let mut seen = HashSet::new();
    add(path, &mut seen).with_context(|| format!("measure {}", path.display()))
}

fn add(path: &Path, seen: &mut HashSet<(u64, u64)>) -> std::io::Result<u64> {
    let facts = match fs::symlink_metadata(path) {
        Ok(facts) => facts,
        // A running Postgres removes files.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    if !seen.insert((facts.dev(), facts.ino())) {
        return Ok(0);
    }
    let mut total = facts.blocks() * 512;
    if facts.is_dir() {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(total),
            other => other?,
        };
        for entry in entries {
            total += add(&entry?.path(), seen)?;
        }
    }
    Ok(total)
}

/// Writes every file below `path` to the disk and lets it go from memory, as far as nobody has it mapped.
pub(crate) fn forget(path: &Path) -> Result<()> {
    let entries = match fs::read_dir(path) {
        // The engine removes layers that it has merged.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("list {}", path.display()))?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            forget(&entry.path())?;
        } else if let Ok(file) = File::open(entry.path()) {
            file.sync_all().with_context(|| format!("sync {}", entry.path().display()))?;
            // SAFETY: a descriptor of our own; no memory is touched.
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_name_of_a_file_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), vec![1; 100_000]).unwrap();
        let one = usage(dir.path()).unwrap();
        assert!(one >= 100_000);
        fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        assert_eq!(usage(dir.path()).unwrap(), one);
    }
}

//! Everything in a data directory but the WAL and the control file, cloned file by file while Postgres may write.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use offshoot_postgres::account::Account;

use super::file::clone_file;
use crate::error::{Context as _, StorageError};
use crate::files::make_private;
use crate::image::{EMPTY_FOLDERS, is_omitted, is_temporary};

/// Files cloned at once: each waits for what was written to it to reach the disk.
const THREADS: usize = 4;
/// Between two looks at the WAL.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// What a data directory has, relative to it.
#[derive(Default)]
struct Listing {
    /// Each after the one that it is in.
    folders: Vec<PathBuf>,
    /// The maps of free space.
    free_space: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

/// Clones the files below `from` into the folder `to`. Calls `meanwhile` again and again.
///
/// Maps of free space come first: Postgres does not log them, and one that is newer than its table may name pages that
/// the table's clone does not have.
pub(super) fn clone_data(
    from: &Path,
    to: &Path,
    account: Option<&Account>,
    mut meanwhile: impl FnMut() -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut listing = Listing::default();
    list(from, Path::new(""), &mut listing)?;
    for folder in &listing.folders {
        make_private(&to.join(folder), account)?;
    }
    for files in [&listing.free_space, &listing.others] {
        clone_files(files, from, to, account, &mut meanwhile)?;
    }
    Ok(())
}

fn clone_files(
    files: &[PathBuf],
    from: &Path,
    to: &Path,
    account: Option<&Account>,
    meanwhile: &mut impl FnMut() -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), StorageError> {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            // One that is gone since the listing was deleted, which is in the WAL.
            let cloned =
                clone_file(&from.join(file), &to.join(file), account).context("clone", &from.join(file));
            if cloned.is_err() {
                // The others need not go on.
                next.store(files.len(), Ordering::Relaxed);
            }
            cloned?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS.min(files.len())).map(|_| scope.spawn(work)).collect();
        let mut watched = Ok(());
        while watched.is_ok() && !threads.iter().all(ScopedJoinHandle::is_finished) {
            watched = meanwhile();
            std::thread::sleep(LOOK_INTERVAL);
        }
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.fold(watched, Result::and)
    })
}

fn list(from: &Path, folder: &Path, listing: &mut Listing) -> Result<(), StorageError> {
    let name = folder.to_str().unwrap_or_default();
    let of_database = name.starts_with("base/");
    let entries = match fs::read_dir(from.join(folder)) {
        // A database that was dropped since the folder above was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound && of_database => return Ok(()),
        other => other.context("list", &from.join(folder))?,
    };
    for entry in entries {
        let entry = entry.context("list", &from.join(folder))?;
        let path = folder.join(entry.file_name());
        let kind = match entry.file_type() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.context("look at", &entry.path())?,
        };
        if kind.is_symlink() {
            return Err(StorageError::Refused {
                what: format!("The symbolic link {}", entry.path().display()),
                why: "tablespaces and a WAL folder elsewhere are not supported".into(),
            });
        } else if kind.is_dir() {
            if entry.file_name() == "pgsql_tmp" {
                continue;
            }
            listing.folders.push(path.clone());
            if !path.to_str().is_some_and(|path| EMPTY_FOLDERS.contains(&path)) {
                list(from, &path, listing)?;
            }
        } else if kind.is_file() && !is_left_out(&path, &entry.file_name(), of_database) {
            let is_free_space = path.to_str().is_some_and(|path| path.contains("_fsm"));
            (if is_free_space { &mut listing.free_space } else { &mut listing.others }).push(path);
        }
    }
    Ok(())
}

fn is_left_out(path: &Path, name: &OsStr, of_database: bool) -> bool {
    path == Path::new("global/pg_control")
        || is_omitted(name, false)
        || (of_database && is_temporary(name.as_encoded_bytes()))
}

//! Room on the disk, watched while data are loaded.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use offshoot_postgres::Progress;

use crate::config::ConfigFile;
use crate::failure::{Failure, Result};
use crate::{size, sys};

/// How often it is looked whether the disk has room, while data are loaded.
const LOOK: Duration = Duration::from_millis(500);

/// Ends the work before the disk is full.
pub(crate) struct Guard<'a> {
    progress: &'a dyn Progress,
    /// A folder on the disk.
    folder: PathBuf,
    min_free_bytes: Option<u64>,
    looked: Mutex<Option<Instant>>,
    refusal: Mutex<Option<Failure>>,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(progress: &'a dyn Progress, worktree: &Path, store: &Path) -> Self {
        let min_free_bytes = ConfigFile::open(worktree).config().min_free_bytes;
        let folder = store.parent().unwrap_or(store).to_owned();
        Self { progress, folder, min_free_bytes, looked: Mutex::default(), refusal: Mutex::default() }
    }

    pub(super) fn check(&self) -> Result<()> {
        // A disk that tells nothing about itself is no reason to refuse.
        let Ok(disk) = sys::disk(&self.folder) else { return Ok(()) };
        let min = self.min_free_bytes.unwrap_or_else(|| sys::reserve(disk.total_bytes));
        if disk.free_bytes >= min {
            return Ok(());
        }
        Err(Failure::configuration(format!(
            "only {} are free on the disk of {}, of which {} are kept free",
            size::show(disk.free_bytes),
            self.folder.display(),
            size::show(min)
        ))
        .hint("Make room there, put stores elsewhere with OFFSHOOT_HOME, or set `storage.min_free_bytes` in offshoot.toml."))
    }

    /// The failure, or why the work was ended that failed so.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        if let Some(full) = self.refusal() {
            full.hint("Nothing was left behind. Make room there, or put stores elsewhere with OFFSHOOT_HOME.")
        } else if self.progress.is_cancelled() {
            Failure::cancelled().hint("Nothing was left behind.")
        } else {
            failure
        }
    }

    fn refusal(&self) -> Option<Failure> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Progress for Guard<'_> {
    fn step(&self, what: &str, done: u64, total: Option<u64>) {
        self.progress.step(what, done, total);
    }

    fn is_cancelled(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_none_or(|at| at.elapsed() >= LOOK) {
            *looked = Some(Instant::now());
            if let Err(full) = self.check() {
                self.refusal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(full);
            }
        }
        self.progress.is_cancelled() || self.refusal().is_some()
    }
}

//! Copying pages from one data file to another, a little at a time.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use offshoot_pages::PAGE_SIZE;

use crate::error::{Context as _, StorageError};

/// Pages that are read at once.
const CHUNK_PAGES: u64 = 32;

/// Runs of pages that go from one file to the same places in another.
pub(crate) struct PageCopy {
    from: File,
    to: File,
    /// First page and end of each, the last one first.
    runs: Vec<(u64, u64)>,
    to_path: PathBuf,
}

impl PageCopy {
    pub(crate) fn new(from: &Path, to: &Path, mut runs: Vec<(u64, u64)>) -> Result<Self, StorageError> {
        runs.reverse();
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_NOFOLLOW);
        Ok(Self {
            from: File::open(from).context("open", from)?,
            to: options.open(to).context("open", to)?,
            runs,
            to_path: to.to_owned(),
        })
    }

    /// Copies until nothing is left or `budget` bytes are used up; true when nothing is left.
    pub(crate) fn step(&mut self, budget: &mut u64) -> Result<bool, StorageError> {
        let mut chunk = vec![0u8; (CHUNK_PAGES * PAGE_SIZE) as usize];
        while let Some((first, end)) = self.runs.pop() {
            if *budget == 0 {
                self.runs.push((first, end));
                return Ok(false);
            }
            let pages = (end - first).min(CHUNK_PAGES);
            let bytes = &mut chunk[..(pages * PAGE_SIZE) as usize];
            read_or_zero(&self.from, bytes, first * PAGE_SIZE).context("read for", &self.to_path)?;
            self.to.write_all_at(bytes, first * PAGE_SIZE).context("write", &self.to_path)?;
            *budget = budget.saturating_sub(pages * PAGE_SIZE);
            if first + pages < end {
                self.runs.push((first + pages, end));
            }
        }
        Ok(true)
    }
}

/// Reads pages; what lies beyond the end of the file is zeros, as in a hole.
fn read_or_zero(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => {
                bytes[done..].fill(0);
                return Ok(());
            }
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

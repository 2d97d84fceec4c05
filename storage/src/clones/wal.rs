//! The WAL of a clone: every segment from the redo point to the end.
//!
//! A checkpoint of the parent may remove segments while its data are cloned. So each is held by a hard link as soon as it is seen:
//! Postgres, with `wal_recycle` off, never uses a file again, and what it still writes to one is written to the link as well. After all data
//! the held ones are cloned.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use offshoot_postgres::ControlFile;
use offshoot_postgres::account::Account;
use offshoot_postgres::wal::{SegmentName, segments_from};

use super::file::clone_file;
use crate::error::{Context as _, StorageError};
use crate::files::{make_private, remove_tree};
use crate::image::begins_live;
use crate::paths::BranchPaths;

/// The WAL of a clone in the making.
pub(super) struct WalClones<'a> {
    from: PathBuf,
    /// Where the links are, beside the child's data directory.
    links: PathBuf,
    to: PathBuf,
    control: &'a ControlFile,
    account: Option<&'a Account>,
    held: BTreeSet<SegmentName>,
}

impl<'a> WalClones<'a> {
    /// Of `source` into `target`, from the redo point in `control` on. Nothing is held yet.
    pub(super) fn new(
        source: &BranchPaths,
        target: &BranchPaths,
        control: &'a ControlFile,
        account: Option<&'a Account>,
    ) -> Result<Self, StorageError> {
        let (from, to) = (source.data().join("pg_wal"), target.data().join("pg_wal"));
        let links = target.folder().join("held-wal");
        remove_tree(&links)?;
        make_private(&links, None)?;
        make_private(&to, account)?;
        Ok(Self { from, links, to, control, account, held: BTreeSet::new() })
    }

    /// Holds the segments that were made since the last call. Cheap: to be called often.
    pub(super) fn hold(&mut self) -> Result<(), StorageError> {
        let size = self.control.wal_segment_size;
        let segments = segments_from(&self.from, self.control.redo, self.control.timeline, size)
            .context("list", &self.from)?;
        for segment in segments {
            if self.held.contains(&segment) {
                continue;
            }
            let name = segment.file_name(size);
            match fs::hard_link(self.from.join(&name), self.links.join(&name)) {
                // Removed since the listing: `finish` sees the gap.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => {
                    other.context("link", &self.from.join(&name))?;
                    self.held.insert(segment);
                }
            }
        }
        Ok(())
    }

    /// Clones what is held, up to the end as it is now, and lets go. False if something is missing between the redo point
    /// and there.
    pub(super) fn finish(mut self) -> Result<bool, StorageError> {
        self.hold()?;
        let size = self.control.wal_segment_size;
        let begun = |segment: SegmentName| begins_live(&self.link(segment), segment.start(size));
        let mut segment = SegmentName::containing(self.control.redo, self.control.timeline, size);
        loop {
            if !self.held.contains(&segment) || !begun(segment)? {
                return Ok(false);
            }
            let next = SegmentName { number: segment.number + 1, ..segment };
            // Looked at before this one is cloned: if the next one was begun by then, this one is complete.
            let is_complete = self.held.contains(&next) && begun(next)?;
            let (from, to) = (self.link(segment), self.to.join(segment.file_name(size)));
            if !clone_file(&from, &to, self.account).context("clone", &from)? {
                return Ok(false);
            }
            if !is_complete {
                break;
            }
            segment = next;
        }
        for later in self.held.range(SegmentName { number: segment.number + 1, ..segment }..) {
            if begun(*later)? && later.number > segment.number + 1 {
                return Ok(false);
            }
        }
        remove_tree(&self.links)?;
        Ok(true)
    }

    fn link(&self, segment: SegmentName) -> PathBuf {
        Path::join(&self.links, segment.file_name(self.control.wal_segment_size))
    }
}

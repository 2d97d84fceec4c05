//! The WAL of a clone: every segment from the redo point to the end, cloned.
//!
//! A segment is complete when the next one had been begun before it was cloned. It is never written again then, so that it
//! is cloned once. The one that is being written is cloned anew each time, and by the last call after all data.

use std::collections::BTreeSet;
use std::path::PathBuf;

use offshoot_postgres::ControlFile;
use offshoot_postgres::account::Account;
use offshoot_postgres::wal::{SegmentName, segments_from};

use super::file::clone_file;
use crate::error::{Context as _, StorageError};
use crate::files::make_private;
use crate::image::begins_live;
use crate::paths::BranchPaths;

/// The WAL of a clone in the making.
pub(super) struct WalClones<'a> {
    from: PathBuf,
    to: PathBuf,
    control: &'a ControlFile,
    account: Option<&'a Account>,
    complete: BTreeSet<SegmentName>,
    /// The segment that was being written when it was cloned.
    last: Option<SegmentName>,
}

impl<'a> WalClones<'a> {
    /// Of `source` into `target`, from the redo point in `control` on. Nothing is cloned yet.
    pub(super) fn new(
        source: &BranchPaths,
        target: &BranchPaths,
        control: &'a ControlFile,
        account: Option<&'a Account>,
    ) -> Result<Self, StorageError> {
        let (from, to) = (source.data().join("pg_wal"), target.data().join("pg_wal"));
        make_private(&to, account)?;
        Ok(Self { from, to, control, account, complete: BTreeSet::new(), last: None })
    }

    /// Clones what was written since the last call.
    pub(super) fn bring_up(&mut self) -> Result<(), StorageError> {
        let size = self.control.wal_segment_size;
        // What was the last one is looked at again, or is missing.
        self.last = None;
        let segments = segments_from(&self.from, self.control.redo, self.control.timeline, size)
            .context("list", &self.from)?;
        for (index, segment) in segments.iter().enumerate() {
            if self.complete.contains(segment) {
                continue;
            }
            let path = self.from.join(segment.file_name(size));
            if !begins_live(&path, segment.start(size))? {
                break;
            }
            let next_begun = match segments.get(index + 1) {
                Some(next) => begins_live(&self.from.join(next.file_name(size)), next.start(size))?,
                None => false,
            };
            let to = self.to.join(segment.file_name(size));
            if !clone_file(&path, &to, self.account).context("clone", &path)? {
                // A checkpoint removed it: `is_whole` sees the gap.
                continue;
            }
            if !next_begun {
                self.last = Some(*segment);
                break;
            }
            self.complete.insert(*segment);
        }
        Ok(())
    }

    /// Whether nothing is missing between the redo point and what was the end at the last call. A checkpoint of the parent may
    /// have removed a segment before it was cloned.
    pub(super) fn is_whole(&self) -> bool {
        let Some(last) = self.last else { return false };
        let size = self.control.wal_segment_size;
        let first = SegmentName::containing(self.control.redo, self.control.timeline, size);
        let have = self.complete.iter().chain([&last]).map(|segment| segment.number);
        have.eq(first.number..=last.number)
    }
}

//! The WAL that a branch keeps in its `pg_wal`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use offshoot_postgres::account::{Account, chown};
use offshoot_postgres::wal::{SegmentName, segments_from};
use offshoot_postgres::{ControlFile, Lsn};

use crate::error::{Context as _, StorageError};
use crate::image::{begins_live, find_live_end, read_control};
use crate::paths::BranchPaths;

const CHUNK: usize = 128 * 1024;

/// Segments of one timeline that were begun, without a gap, up to the last one.
#[derive(Clone, Debug)]
pub(super) struct KeptWal {
    folder: PathBuf,
    segments: Vec<SegmentName>,
    control: ControlFile,
}

impl KeptWal {
    /// What a branch has.
    pub(super) fn of(branch: &BranchPaths) -> Result<Self, StorageError> {
        let (_, control) = read_control(&branch.control_file())?;
        let folder = branch.data().join("pg_wal");
        let size = control.wal_segment_size;
        let mut segments = segments_from(&folder, Lsn(0), control.timeline, size).context("list", &folder)?;
        while let Some(last) = segments.last()
            && !begins_live(&folder.join(last.file_name(size)), last.start(size))?
        {
            segments.pop();
        }
        let gap = (1..segments.len()).rev().find(|at| segments[*at].number != segments[at - 1].number + 1);
        segments.drain(..gap.unwrap_or(0));
        Ok(Self { folder, segments, control })
    }

    /// What of it comes after `lsn`, the end of what something else has; `None` if some of that is gone.
    pub(super) fn since(&self, lsn: Lsn) -> Option<Self> {
        let first = self.segment_before(lsn);
        let at = self.segments.iter().position(|segment| *segment == first)?;
        Some(Self { segments: self.segments[at..].to_vec(), ..self.clone() })
    }

    /// The segment that the byte before `lsn` is in: a whole segment may be what ends there.
    fn segment_before(&self, lsn: Lsn) -> SegmentName {
        let before = Lsn(lsn.0.saturating_sub(1));
        SegmentName::containing(before, self.control.timeline, self.control.wal_segment_size)
    }

    /// Where it ends, at the granularity of a WAL page.
    pub(super) fn end(&self) -> Result<Lsn, StorageError> {
        let size = self.control.wal_segment_size;
        let Some(last) = self.segments.last() else { return Ok(self.control.checkpoint) };
        let live = find_live_end(
            &self.folder.join(last.file_name(size)),
            last.start(size),
            self.control.redo,
            size,
        )?;
        Ok(Lsn(last.start(size).0 + live))
    }

    /// How many segments it has, and the bytes of one.
    pub(super) fn measure(&self) -> (u64, u64) {
        (self.segments.len() as u64, u64::from(self.control.wal_segment_size))
    }

    /// Gives it to `folder`: whole segments are linked, as nobody writes to them again; the last one is copied as far as it goes.
    pub(super) fn give_to(&self, folder: &Path, account: Option<&Account>) -> Result<(), StorageError> {
        let size = self.control.wal_segment_size;
        for (index, segment) in self.segments.iter().enumerate() {
            let name = segment.file_name(size);
            let (from, to) = (self.folder.join(&name), folder.join(&name));
            if index + 1 < self.segments.len() {
                fs::hard_link(&from, &to).context("link", &from)?;
            } else {
                let end = self.end()?.0 - segment.start(size).0;
                copy_begun(&from, &to, end, u64::from(size)).context("copy", &from)?;
                chown(&to, account).context("give away", &to)?;
            }
        }
        Ok(())
    }

    /// The files that nothing needs any more: a crash begins before them, and `from`, if it is given, does.
    fn old(&self, from: Option<Lsn>) -> impl Iterator<Item = PathBuf> + '_ {
        let size = self.control.wal_segment_size;
        let redo = SegmentName::containing(self.control.redo, self.control.timeline, size);
        let first = from.map_or(redo, |from| self.segment_before(from).min(redo));
        self.segments
            .iter()
            .take_while(move |segment| **segment < first)
            .map(move |segment| self.folder.join(segment.file_name(size)))
    }

    /// Bytes on the disk of what only the past needs.
    pub(super) fn past_bytes(&self) -> u64 {
        self.old(None).map(|path| fs::metadata(path).map_or(0, |data| data.blocks() * 512)).sum()
    }

    /// Removes what lies before `from`, or all that only the past needs. Returns the bytes.
    pub(super) fn remove_before(&self, from: Option<Lsn>) -> Result<u64, StorageError> {
        let mut removed = 0;
        for path in self.old(from) {
            let bytes = fs::metadata(&path).map_or(0, |data| data.blocks() * 512);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StorageError::io("remove", &path, error));
                }
                _ => removed += bytes,
            }
        }
        Ok(removed)
    }
}

/// Copies the first `end` bytes of a segment into a sparse file of `size` bytes. Postgres may be filling the last page: what it had
/// acknowledged before is there.
fn copy_begun(from: &Path, to: &Path, end: u64, size: u64) -> io::Result<()> {
    let source = File::open(from)?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    target.set_len(size)?;
    let mut chunk = vec![0u8; CHUNK];
    let mut position = 0;
    while position < end {
        let bytes = CHUNK.min((end - position) as usize);
        source.read_exact_at(&mut chunk[..bytes], position)?;
        if chunk[..bytes].iter().any(|byte| *byte != 0) {
            target.write_all_at(&chunk[..bytes], position)?;
        }
        position += bytes as u64;
    }
    Ok(())
}

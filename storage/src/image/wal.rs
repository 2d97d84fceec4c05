//! The WAL of an image, and how much of it a branch has.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use offshoot_postgres::account::{Account, chown};
use offshoot_postgres::control::ControlError;
use offshoot_postgres::wal::{SegmentName, page_is_live, segments_from};
use offshoot_postgres::{ControlFile, Lsn};

use super::link;
use crate::error::{Context as _, StorageError};
use crate::paths::BranchPaths;

const WAL_PAGE: u64 = 8192;
const WAL_CHUNK: usize = 128 * 1024;
/// A control file that is being written is read again this often.
const CONTROL_READS: usize = 5;

/// How much of the WAL has been copied.
#[derive(Default)]
pub(super) struct WalCopy(Option<Position>);

struct Position {
    segment: SegmentName,
    /// Bytes of it that are in the image and final; a multiple of the WAL page.
    copied: u64,
}

impl WalCopy {
    /// The end of what has been copied.
    pub(super) fn end(&self, control: &ControlFile) -> Lsn {
        match &self.0 {
            Some(position) => Lsn(position.segment.start(control.wal_segment_size).0 + position.copied),
            None => control.checkpoint,
        }
    }

    /// Brings the WAL from the redo point to its end over, from where an earlier call left off.
    ///
    /// While Postgres runs, a page may be filled further after it was read. It is final once a later one was live
    /// *before* it was read; from the first page that is not, the next call copies again.
    pub(super) fn copy(
        &mut self,
        from: &Path,
        to: &Path,
        control: &ControlFile,
        account: Option<&Account>,
    ) -> Result<(), StorageError> {
        let size = control.wal_segment_size;
        if control.timeline > 1 {
            copy_histories(from, to, account)?;
        }
        let segments = segments_from(from, control.redo, control.timeline, size).context("list", from)?;
        for (index, segment) in segments.iter().enumerate() {
            if self.0.as_ref().is_some_and(|position| *segment < position.segment) {
                continue;
            }
            let (source, target) = (from.join(segment.file_name(size)), to.join(segment.file_name(size)));
            let next_begun = match segments.get(index + 1) {
                Some(next) => begins_live(&from.join(next.file_name(size)), next.start(size))?,
                None => false,
            };
            let done = match &self.0 {
                Some(position) if position.segment == *segment => {
                    Some(position.copied.saturating_sub(WAL_PAGE))
                }
                _ => None,
            };
            if next_begun && done.is_none() {
                match link(&source, &target) {
                    // A checkpoint removed it since it was listed: the image will have a later one.
                    Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                    other => other?,
                }
                continue;
            }
            let done = done.unwrap_or(0);
            let in_segment = control.redo.0.saturating_sub(segment.start(size).0);
            let skip_to = if done == 0 { in_segment / WAL_PAGE * WAL_PAGE } else { 0 };
            let (start, live) = (segment.start(size), done.max(skip_to));
            let last = live_end(&source, start, live, size)?;
            let copied = copy_live(&source, &target, start, done, skip_to, size)?.min(last);
            if copied == 0 {
                break;
            }
            chown(&target, account).context("give away", &target)?;
            self.0 = Some(Position { segment: *segment, copied });
            if !next_begun {
                break;
            }
        }
        Ok(())
    }
}

/// Copies the histories of timelines: a segment's first pages may be of the one before.
fn copy_histories(from: &Path, to: &Path, account: Option<&Account>) -> Result<(), StorageError> {
    for entry in fs::read_dir(from).context("list", from)? {
        let name = entry.context("list", from)?.file_name();
        let target = to.join(&name);
        if name.as_encoded_bytes().ends_with(b".history") && !target.exists() {
            let source = from.join(&name);
            fs::copy(&source, &target).context("copy", &source)?;
            chown(&target, account).context("give away", &target)?;
        }
    }
    Ok(())
}

/// Reads a branch's control file; again when it was just being written.
pub(crate) fn read_control(path: &Path) -> Result<(Vec<u8>, ControlFile), StorageError> {
    let mut reads = 0;
    loop {
        reads += 1;
        let bytes = fs::read(path).context("read", path)?;
        match ControlFile::parse(&bytes) {
            Ok(control) => return Ok((bytes, control)),
            Err(ControlError::Damaged { .. } | ControlError::TooShort(_)) if reads < CONTROL_READS => {}
            Err(error) => return Err(StorageError::damaged_control(path, &error)),
        }
    }
}

/// Removes the segments that Postgres had made ahead of their use, of a cluster that was shut down: a big load leaves many.
/// Postgres makes new ones where it needs them.
pub(crate) fn drop_unused(data: &Path) -> Result<(), StorageError> {
    let (_, control) = read_control(&data.join("global/pg_control"))?;
    let (folder, size) = (data.join("pg_wal"), control.wal_segment_size);
    // The checkpoint of the shutdown is the last record that there is.
    let last = SegmentName::containing(control.checkpoint, control.timeline, size);
    let segments =
        segments_from(&folder, control.checkpoint, control.timeline, size).context("list", &folder)?;
    for segment in segments.into_iter().filter(|segment| *segment > last) {
        let path = folder.join(segment.file_name(size));
        fs::remove_file(&path).context("remove", &path)?;
    }
    Ok(())
}

/// How much WAL a branch has since its last checkpoint, and when it was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WalMark {
    /// Bytes that a crash would have to replay, from the redo point on; a child gets a copy of them.
    pub(crate) replay: u64,
    /// The last change of that segment, in seconds and nanoseconds since 1970.
    written: (i64, i64),
}

/// Looks at the WAL of a branch.
pub(crate) fn wal_mark(branch: &BranchPaths) -> Result<WalMark, StorageError> {
    let (_, control) = read_control(&branch.control_file())?;
    let (folder, size) = (branch.data().join("pg_wal"), control.wal_segment_size);
    let segments = segments_from(&folder, control.redo, control.timeline, size).context("list", &folder)?;
    for segment in segments.iter().rev() {
        let path = folder.join(segment.file_name(size));
        if begins_live(&path, segment.start(size))? {
            let end = segment.start(size).0 + find_live_end(&path, segment.start(size), control.redo, size)?;
            let data = fs::metadata(&path).context("look at", &path)?;
            let written = (data.mtime(), data.mtime_nsec());
            return Ok(WalMark { replay: end.saturating_sub(control.redo.0), written });
        }
    }
    Ok(WalMark { replay: 0, written: (0, 0) })
}

/// Whether a segment has been begun. One that a checkpoint removed has not.
pub(crate) fn begins_live(path: &Path, start: Lsn) -> Result<bool, StorageError> {
    let mut header = [0u8; 16];
    match File::open(path) {
        Ok(file) => Ok(file.read_exact_at(&mut header, 0).is_ok() && page_is_live(&header, start)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StorageError::io("open", path, error)),
    }
}

/// The end of the live pages of a segment that has been begun. They are written in order from the redo point on, so that half of
/// what is left can be ruled out with each look; before it, an image has nothing.
pub(crate) fn find_live_end(path: &Path, start: Lsn, redo: Lsn, size: u32) -> Result<u64, StorageError> {
    let file = File::open(path).context("open", path)?;
    let mut header = [0u8; 16];
    let pages = u64::from(size) / WAL_PAGE;
    let known = redo.0.saturating_sub(start.0) / WAL_PAGE;
    let (mut live, mut dead) = (if known < pages { known } else { 0 }, pages);
    while dead - live > 1 {
        let middle = live.midpoint(dead);
        let offset = middle * WAL_PAGE;
        let is_live =
            file.read_exact_at(&mut header, offset).is_ok() && page_is_live(&header, Lsn(start.0 + offset));
        *(if is_live { &mut live } else { &mut dead }) = middle;
    }
    Ok((live + 1) * WAL_PAGE)
}

/// The end of the live pages of a segment from byte `position` on.
fn live_end(path: &Path, start: Lsn, mut position: u64, size: u32) -> Result<u64, StorageError> {
    let mut header = [0u8; 16];
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other.context("open", path)?,
    };
    while position < u64::from(size)
        && file.read_exact_at(&mut header, position).is_ok()
        && page_is_live(&header, Lsn(start.0 + position))
    {
        position += WAL_PAGE;
    }
    Ok(position)
}

/// Copies the live pages of a segment from byte `done` on into a sparse file of the same size. When it begins at
/// 0, it goes on at `skip_to` after the first page, which holds the segment's header. Returns the end of what is
/// copied, 0 when the segment has no live page.
fn copy_live(
    from: &Path,
    to: &Path,
    start: Lsn,
    done: u64,
    skip_to: u64,
    size: u32,
) -> Result<u64, StorageError> {
    if done == 0 && !begins_live(from, start)? {
        return Ok(0);
    }
    let source = match File::open(from) {
        // A checkpoint removed it since it was looked at: the image will have a later one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other.context("open", from)?,
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let target = options.open(to).context("create", to)?;
    target.set_len(u64::from(size)).context("create", to)?;
    let mut position = done;
    if done == 0 && skip_to > WAL_PAGE {
        let mut page = [0u8; WAL_PAGE as usize];
        source.read_exact_at(&mut page, 0).context("read", from)?;
        target.write_all_at(&page, 0).context("write", to)?;
        position = skip_to;
    }
    let mut chunk = vec![0u8; WAL_CHUNK];
    while position < u64::from(size) {
        let wanted = WAL_CHUNK.min((u64::from(size) - position) as usize);
        source.read_exact_at(&mut chunk[..wanted], position).context("read", from)?;
        let live = chunk[..wanted]
            .chunks_exact(WAL_PAGE as usize)
            .zip(0u64..)
            .take_while(|(page, index)| page_is_live(page, Lsn(start.0 + position + index * WAL_PAGE)))
            .count();
        let bytes = live * WAL_PAGE as usize;
        target.write_all_at(&chunk[..bytes], position).context("write", to)?;
        position += bytes as u64;
        if bytes < wanted {
            break;
        }
    }
    Ok(position)
}

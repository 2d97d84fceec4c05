//! The page map of one relation file in one layer.
//!
//! Two copies in one file of [`MAP_SIZE`] bytes. The **working** copy is shared by all processes of the
//! branch through `mmap` and says which pages the layer owns now. The **durable** copy says which of them
//! are known to be on disk. [`Map::sync`] makes the data durable first and only then publishes the working
//! bits in the durable copy. After a machine crash the working copy is rebuilt from the durable one
//! ([`Map::rebuild`]): a page whose data may not have reached the disk then reads as its old version, as if
//! the write had never been issued, which is what Postgres expects of a file system.
//!
//! ```text
//! 0      working header (64 bytes)        20480  durable bits of pages 15,872 and up
//! 64     durable header (64 bytes)        36864  end
//! 128    working bits of pages 0..15,872
//! 2112   durable bits of pages 0..15,872
//! 4096   working bits of pages 15,872 and up
//! ```
//! A relation of up to 124 MiB needs the first 4 KiB only; the rest stays a hole until it is reserved, which
//! happens before a bit in it is set: a store to a mapped hole on a full disk would raise SIGBUS.

use std::ffi::CStr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64, fence};

use libc::c_int;

use crate::point::{Point, pass};
use crate::{PAGE_SIZE, SEGMENT_PAGES, sys};

/// Bytes of a map file.
pub const MAP_SIZE: usize = 36_864;
/// Bytes that every map has allocated on disk.
const FIRST_BLOCK: usize = 4096;
const MAGIC: u64 = u64::from_le_bytes(*b"OFFSMAP\x01");
const WORDS: usize = SEGMENT_PAGES as usize / 64;
const INLINE_WORDS: usize = 248;
const INLINE_PAGES: u64 = INLINE_WORDS as u64 * 64;
const WORKING_INLINE: usize = 128;
const DURABLE_INLINE: usize = 2112;
const WORKING_REST: usize = 4096;
const DURABLE_REST: usize = 20_480;

/// The file does not exist for this layer and those above: nothing below shows through.
pub const WHITEOUT: u32 = 1;
/// The file was unlinked; who still holds this map reads a deleted file.
pub const UNLINKED: u32 = 2;
/// The part of the map past its first block has room on disk.
const RESERVED: u32 = 4;
/// The folder entry of this map is known to be durable.
const ENTRY_SYNCED: u32 = 8;
/// Flags that are kept across a machine crash.
const LASTING: u32 = WHITEOUT;

#[repr(C)]
struct Header {
    magic: AtomicU64,
    /// Bytes of the file.
    length: AtomicU64,
    /// Pages at or beyond this byte never fall through to lower layers.
    base_limit: AtomicU64,
    flags: AtomicU32,
    /// Working copy: odd while a truncation is under way, or after one that was cut short; counted up by two for each.
    truncations: AtomicU32,
    /// Which creation of the file this is; the same number in every layer that it lives in.
    incarnation: AtomicU64,
    /// Working copy: publications of the durable copy begun, and those of them that are on the disk. They are
    /// equal when nobody is publishing; a publisher that died keeps them apart, which costs later ones an `msync`.
    publications_begun: AtomicU32,
    publications_ended: AtomicU32,
    /// Working copy: the count of truncations of which the durable copy is known to be on the disk. A truncation changes
    /// both copies in memory, so that only this says that it still has to get there.
    truncations_synced: AtomicU32,
    unused: u32,
    reserved: u64,
}
const _: () = assert!(size_of::<Header>() == 64);

impl Header {
    /// Whether this can be the header of a map: of this format, and of a file that fits a segment.
    fn is_possible(&self) -> bool {
        let most = SEGMENT_PAGES * PAGE_SIZE;
        self.magic.load(Relaxed) == MAGIC
            && self.length.load(Relaxed) <= most
            && self.base_limit.load(Relaxed) <= most
            && self.flags.load(Relaxed) & !(WHITEOUT | UNLINKED | RESERVED | ENTRY_SYNCED) == 0
    }
}

/// What a new map starts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewMap {
    /// Bytes of the file.
    pub length: u64,
    /// First byte that does not fall through to lower layers.
    pub base_limit: u64,
    /// [`WHITEOUT`] or 0.
    pub flags: u32,
    /// Which creation of the file this is.
    pub incarnation: u64,
}

/// Why a map file could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// A system call failed with this `errno`.
    Os(c_int),
    /// The file is too short or does not begin with the magic number of this format.
    NotAMap,
}

/// A mapped map file. Copies share the mapping; [`Map::unmap`] ends all of them.
#[derive(Clone, Copy, Debug)]
pub struct Map(*mut u8);

// SAFETY: all access to the mapping goes through atomics.
unsafe impl Send for Map {}

fn words_in_use(length: u64) -> usize {
    length.div_ceil(PAGE_SIZE * 64).min(WORDS as u64) as usize
}

impl Map {
    /// Maps the file at `path`; a map opened with `writable: false` must not be modified.
    ///
    /// # Errors
    /// [`MapError::Os`] with `ENOENT` when the layer does not touch this file, [`MapError::NotAMap`] when
    /// it is damaged, as far as its headers tell, or was never completely written.
    pub fn open(path: &CStr, writable: bool) -> Result<Self, MapError> {
        let access = if writable { libc::O_RDWR } else { libc::O_RDONLY };
        // SAFETY: the path is NUL-terminated; the descriptor is closed once; the size is checked before the
        // mapping is touched, so that no access lies beyond the end of the file.
        unsafe {
            let fd = sys::open(path.as_ptr(), access | libc::O_CLOEXEC | libc::O_NOFOLLOW, 0);
            if fd < 0 {
                return Err(MapError::Os(sys::errno()));
            }
            let size = sys::length(fd);
            if size != MAP_SIZE as libc::off_t {
                sys::close(fd);
                return Err(MapError::NotAMap);
            }
            let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
            let address = sys::mmap(MAP_SIZE, protection, libc::MAP_SHARED, fd);
            let error = sys::errno();
            sys::close(fd);
            if address.is_null() {
                return Err(MapError::Os(error));
            }
            let map = Self(address);
            if !map.working().is_possible() || !map.durable().is_possible() {
                map.unmap();
                return Err(MapError::NotAMap);
            }
            Ok(map)
        }
    }

    /// Writes a new map file at `path`, replacing what is there; its first block has room on disk.
    ///
    /// The durable copy says the same as the working one: a file that is empty, or equal to the layers below.
    ///
    /// # Errors
    /// [`MapError::Os`], with nothing left at `path` beyond a file that [`Map::open`] refuses.
    pub fn write_new(path: &CStr, new: NewMap, sync: bool) -> Result<(), MapError> {
        let mut block = [0u8; FIRST_BLOCK];
        for header in [0, 64] {
            block[header..header + 8].copy_from_slice(&MAGIC.to_ne_bytes());
            block[header + 8..header + 16].copy_from_slice(&new.length.to_ne_bytes());
            block[header + 16..header + 24].copy_from_slice(&new.base_limit.to_ne_bytes());
            block[header + 24..header + 28].copy_from_slice(&new.flags.to_ne_bytes());
            block[header + 32..header + 40].copy_from_slice(&new.incarnation.to_ne_bytes());
        }
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC | libc::O_NOFOLLOW;
        // SAFETY: the path is NUL-terminated, the block is ours, the descriptor is closed once.
        unsafe {
            let fd = sys::open(path.as_ptr(), flags, 0o600);
            if fd < 0 {
                return Err(MapError::Os(sys::errno()));
            }
            let kept = sys::keep_blocks(fd, 0, FIRST_BLOCK as i64);
            let written = if kept == 0 { sys::pwrite(fd, block.as_ptr().cast(), FIRST_BLOCK, 0) } else { -1 };
            let failed = (written != FIRST_BLOCK as isize && {
                if written >= 0 {
                    sys::set_errno(libc::ENOSPC);
                }
                true
            }) || sys::ftruncate(fd, MAP_SIZE as i64) != 0
                || (sync && sys::fsync(fd) != 0);
            let error = sys::errno();
            sys::close(fd);
            if failed {
                return Err(MapError::Os(error));
            }
        }
        Ok(())
    }

    /// Ends the mapping, for every copy of this value.
    ///
    /// # Safety
    /// No copy may be used afterwards.
    pub unsafe fn unmap(self) {
        // SAFETY: made by `open` with this size; the caller gives up all copies.
        unsafe { sys::munmap(self.0, MAP_SIZE) };
    }

    fn working(&self) -> &Header {
        // SAFETY: the mapping is MAP_SIZE bytes, page-aligned, and holds only atomics.
        unsafe { &*self.0.cast() }
    }

    fn durable(&self) -> &Header {
        // SAFETY: as `working`; byte 64 is aligned for the header.
        unsafe { &*self.0.add(64).cast() }
    }

    fn word_at(&self, inline: usize, rest: usize, index: usize) -> &AtomicU64 {
        let offset =
            if index < INLINE_WORDS { inline + index * 8 } else { rest + (index - INLINE_WORDS) * 8 };
        debug_assert!(index < WORDS && offset + 8 <= MAP_SIZE);
        // SAFETY: the offset is a multiple of 8 inside the mapping for every index below WORDS.
        unsafe { &*self.0.add(offset).cast() }
    }

    fn working_word(&self, index: usize) -> &AtomicU64 {
        self.word_at(WORKING_INLINE, WORKING_REST, index)
    }

    fn durable_word(&self, index: usize) -> &AtomicU64 {
        self.word_at(DURABLE_INLINE, DURABLE_REST, index)
    }

    /// Bytes of the file as this layer sees it.
    pub fn length(&self) -> u64 {
        self.working().length.load(Acquire)
    }

    /// First byte from which pages never fall through to lower layers.
    pub fn base_limit(&self) -> u64 {
        self.working().base_limit.load(Acquire)
    }

    /// [`WHITEOUT`] and [`UNLINKED`].
    pub fn flags(&self) -> u32 {
        self.working().flags.load(Acquire)
    }

    /// Which creation of the file this map belongs to.
    pub fn incarnation(&self) -> u64 {
        self.working().incarnation.load(Relaxed)
    }

    /// Marks the file as unlinked for those who still hold it.
    pub fn mark_unlinked(&self) {
        self.working().flags.fetch_or(UNLINKED, AcqRel);
    }

    /// Whether the layer owns `page`.
    pub fn owns(&self, page: u64) -> bool {
        page < SEGMENT_PAGES && self.working_word((page / 64) as usize).load(Acquire) >> (page % 64) & 1 != 0
    }

    /// Word `index` of the working bits: pages `64 * index` and up.
    pub fn owned_word(&self, index: usize) -> u64 {
        self.working_word(index).load(Acquire)
    }

    /// Marks pages `first..end` as owned. Their data must have been written, and [`Map::has_room`] hold.
    pub fn own(&self, first: u64, end: u64) {
        for page in first..end.min(SEGMENT_PAGES) {
            let word = self.working_word((page / 64) as usize);
            let bit = 1u64 << (page % 64);
            if word.load(Relaxed) & bit == 0 {
                word.fetch_or(bit, AcqRel);
            }
        }
    }

    /// Raises the length to `length` if it is less.
    pub fn grow(&self, length: u64) {
        if self.working().length.load(Relaxed) < length {
            self.working().length.fetch_max(length, AcqRel);
        }
    }

    /// Whether bits of pages below `end` may be set: their part of the map has room on disk.
    pub fn has_room(&self, end: u64) -> bool {
        end <= INLINE_PAGES || self.working().flags.load(Acquire) & RESERVED != 0
    }

    /// Gives the whole map room on disk. The caller holds the branch's namespace lock.
    ///
    /// # Errors
    /// [`MapError::Os`], `ENOSPC` on a full disk.
    pub fn reserve(&self, path: &CStr) -> Result<(), MapError> {
        if self.has_room(SEGMENT_PAGES) {
            return Ok(());
        }
        let zeros = [0u8; FIRST_BLOCK];
        // SAFETY: the path is NUL-terminated, the block is ours, the descriptor is closed once. No bit beyond
        // the first block is set yet, so that writing zeros there loses nothing.
        unsafe {
            let fd = sys::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOFOLLOW, 0);
            if fd < 0 {
                return Err(MapError::Os(sys::errno()));
            }
            if sys::keep_blocks(fd, FIRST_BLOCK as i64, (MAP_SIZE - FIRST_BLOCK) as i64) != 0 {
                let error = sys::errno();
                sys::close(fd);
                return Err(MapError::Os(error));
            }
            let mut offset = FIRST_BLOCK;
            while offset < MAP_SIZE {
                let written = sys::pwrite(fd, zeros.as_ptr().cast(), FIRST_BLOCK, offset as i64);
                if written != FIRST_BLOCK as isize {
                    let error = if written < 0 { sys::errno() } else { libc::ENOSPC };
                    sys::close(fd);
                    return Err(MapError::Os(error));
                }
                offset += FIRST_BLOCK;
            }
            sys::close(fd);
        }
        self.working().flags.fetch_or(RESERVED, AcqRel);
        Ok(())
    }

    /// Cuts the file to `length` bytes: pages from there on are owned no more, nor fall through.
    ///
    /// The caller cuts the data file afterwards. Postgres holds an exclusive lock on the relation meanwhile.
    pub fn truncate(&self, length: u64) {
        let old = self.length();
        let pages = length.div_ceil(PAGE_SIZE);
        let limit = pages * PAGE_SIZE;
        // Odd already if a process died in the middle of one; then this one ends it.
        self.working().truncations.fetch_or(1, SeqCst);
        pass(Point::TruncateBegun);
        for header in [self.working(), self.durable()] {
            header.base_limit.fetch_min(limit, AcqRel);
            header.length.fetch_min(length, AcqRel);
        }
        let end = old.div_ceil(PAGE_SIZE).min(SEGMENT_PAGES);
        for page in pages..end {
            let (index, bit) = ((page / 64) as usize, 1u64 << (page % 64));
            // Only bits that are set: a store to a hole of the map would need room on the disk.
            for word in [self.working_word(index), self.durable_word(index)] {
                if word.load(Relaxed) & bit != 0 {
                    word.fetch_and(!bit, AcqRel);
                }
            }
        }
        self.working().truncations.fetch_add(1, SeqCst);
    }

    /// Whether the durable copy says the same as the working one, on disk.
    pub fn is_synced(&self) -> bool {
        let (working, durable) = (self.working(), self.durable());
        if working.publications_begun.load(Acquire) != working.publications_ended.load(Acquire)
            || working.truncations.load(Acquire) != working.truncations_synced.load(Acquire)
            || working.length.load(Acquire) != durable.length.load(Acquire)
            || working.base_limit.load(Acquire) != durable.base_limit.load(Acquire)
            || working.flags.load(Acquire) & (LASTING | ENTRY_SYNCED)
                != durable.flags.load(Acquire) & LASTING | ENTRY_SYNCED
        {
            return false;
        }
        (0..words_in_use(self.length()))
            .all(|index| self.working_word(index).load(Acquire) == self.durable_word(index).load(Acquire))
    }

    /// Publishes what is owned in the durable copy without making anything durable, for a file that nobody uses yet: the caller makes
    /// the whole file system durable, with the folder entries, before anything relies on it.
    pub fn publish_unsynced(&self) {
        let (working, durable) = (self.working(), self.durable());
        for index in 0..words_in_use(self.length()) {
            let word = self.working_word(index).load(Acquire);
            if word != 0 {
                self.durable_word(index).store(word, Release);
            }
        }
        durable.base_limit.store(working.base_limit.load(Acquire), Release);
        durable.length.store(working.length.load(Acquire), Release);
        durable.flags.store(working.flags.load(Acquire) & LASTING, Release);
        working.flags.fetch_or(ENTRY_SYNCED, AcqRel);
        working.truncations_synced.store(working.truncations.load(Acquire), Release);
    }

    /// Makes the data in `data_fd` durable, then publishes what was owned before that in the durable copy.
    ///
    /// `sync_entry` makes the folder entries of the map and its data durable; it is called once in a map's
    /// life. Safe against other processes that write, truncate or sync the same file meanwhile.
    ///
    /// # Errors
    /// The `errno` of the call that failed. Nothing is retried: the caller must treat it as data loss.
    pub fn sync(&self, data_fd: Option<c_int>, sync_entry: impl FnOnce() -> c_int) -> Result<(), c_int> {
        let working = self.working();
        let truncations = working.truncations.load(SeqCst);
        let length = self.length();
        let base_limit = self.base_limit();
        let mut owned = [0u64; WORDS];
        let words = words_in_use(length);
        for (index, word) in owned[..words].iter_mut().enumerate() {
            *word = self.working_word(index).load(Acquire);
        }
        if let Some(fd) = data_fd {
            // SAFETY: the caller's descriptor.
            if unsafe { sys::fdatasync(fd) } != 0 {
                return Err(sys::errno());
            }
        }
        pass(Point::SyncDataDone);
        if working.flags.load(Acquire) & ENTRY_SYNCED == 0 {
            if sync_entry() != 0 {
                return Err(sys::errno());
            }
            working.flags.fetch_or(ENTRY_SYNCED, AcqRel);
        }
        if self.is_synced() {
            return Ok(());
        }
        working.publications_begun.fetch_add(1, SeqCst);
        for (index, word) in owned[..words].iter().enumerate() {
            if self.durable_word(index).load(Relaxed) & word != *word {
                self.durable_word(index).fetch_or(*word, AcqRel);
            }
        }
        let durable = self.durable();
        durable.base_limit.store(base_limit, Release);
        durable.length.fetch_max(length, AcqRel);
        durable.flags.store(working.flags.load(Acquire) & LASTING, Release);
        fence(SeqCst);
        if working.truncations.load(SeqCst) != truncations || truncations % 2 == 1 {
            self.forget_truncated();
        }
        pass(Point::SyncPublished);
        // SAFETY: the mapping is ours and whole.
        if unsafe { sys::msync(self.0, MAP_SIZE) } != 0 {
            return Err(sys::errno());
        }
        pass(Point::SyncWritten);
        working.publications_ended.fetch_add(1, SeqCst);
        if truncations.is_multiple_of(2) {
            working.truncations_synced.fetch_max(truncations, AcqRel);
        }
        Ok(())
    }

    /// Takes out of the durable copy what a truncation removed while [`Map::sync`] was publishing it.
    fn forget_truncated(self) {
        let (working, durable) = (self.working(), self.durable());
        durable.base_limit.fetch_min(working.base_limit.load(Acquire), AcqRel);
        durable.length.fetch_min(working.length.load(Acquire), AcqRel);
        for index in 0..WORDS {
            let gone = self.durable_word(index).load(Acquire) & !self.working_word(index).load(Acquire);
            if gone != 0 {
                self.durable_word(index).fetch_and(!gone, AcqRel);
            }
        }
    }

    /// Rebuilds the working copy from the durable one, after a machine crash. No process may use the map.
    pub fn rebuild(&self) {
        let (working, durable) = (self.working(), self.durable());
        self.clear_beyond(durable.length.load(Relaxed));
        let reserved = (INLINE_WORDS..WORDS).any(|index| {
            self.durable_word(index).load(Relaxed) != 0 || self.working_word(index).load(Relaxed) != 0
        });
        for index in 0..WORDS {
            let bits = self.durable_word(index).load(Relaxed);
            if self.working_word(index).load(Relaxed) != bits {
                self.working_word(index).store(bits, Relaxed);
            }
        }
        working.length.store(durable.length.load(Relaxed), Relaxed);
        working.base_limit.store(durable.base_limit.load(Relaxed), Relaxed);
        working.incarnation.store(durable.incarnation.load(Relaxed), Relaxed);
        working.truncations.store(0, Relaxed);
        working.truncations_synced.store(0, Relaxed);
        working.publications_begun.store(0, Relaxed);
        working.publications_ended.store(0, Relaxed);
        let kept = if reserved { RESERVED } else { 0 };
        working.flags.store(durable.flags.load(Relaxed) & LASTING | kept, Release);
    }
}

mod absorb;
#[cfg(test)]
mod tests;

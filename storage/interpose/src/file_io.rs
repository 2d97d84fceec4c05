//! Reading, writing, cutting and growing a relation file.

use libc::{c_int, c_void, iovec, ssize_t};
use offshoot_pages::fault::{Call, On, allowed};
use offshoot_pages::point::{Point, pass};
use offshoot_pages::{PAGE_SIZE, SEGMENT_PAGES, sys};

use crate::file::File;
use crate::local::{fail, layer_path, local};
use crate::power;

const PAGE: usize = PAGE_SIZE as usize;
/// Most pieces that one system call gets.
const MAX_VECTORS: usize = 64;

/// Walks over the memory that a caller's vectors describe.
struct Cursor<'a> {
    vectors: &'a [iovec],
    index: usize,
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn new(vectors: &'a [iovec]) -> Self {
        Self { vectors, index: 0, offset: 0 }
    }

    /// Puts the next pieces, `length` bytes at most, into `out`; returns their number and bytes.
    fn take(&mut self, length: usize, out: &mut [iovec; MAX_VECTORS]) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        while bytes < length && count < MAX_VECTORS && self.index < self.vectors.len() {
            let vector = &self.vectors[self.index];
            let piece = (vector.iov_len - self.offset).min(length - bytes);
            if piece > 0 {
                let base = unsafe { vector.iov_base.cast::<u8>().add(self.offset) };
                out[count] = iovec { iov_base: base.cast(), iov_len: piece };
                count += 1;
            }
            bytes += piece;
            self.offset += piece;
            if self.offset == vector.iov_len {
                self.index += 1;
                self.offset = 0;
            }
        }
        (count, bytes)
    }
}

fn total(vectors: &[iovec]) -> usize {
    vectors.iter().map(|vector| vector.iov_len).sum()
}

fn no_vectors() -> [iovec; MAX_VECTORS] {
    [const { iovec { iov_base: std::ptr::null_mut(), iov_len: 0 } }; MAX_VECTORS]
}

impl File {
    /// Reads into `vectors` from byte `offset` on, as `preadv` does.
    pub(crate) fn read_at(&mut self, vectors: &[iovec], offset: u64) -> ssize_t {
        let length = self.length();
        if offset >= length {
            return 0;
        }
        let wanted = total(vectors).min(usize::try_from(length - offset).unwrap_or(usize::MAX));
        if vectors.len() == 1 && wanted == PAGE && offset.is_multiple_of(PAGE_SIZE) {
            return self.read_page(vectors[0].iov_base, offset);
        }
        let mut cursor = Cursor::new(vectors);
        let mut done = 0;
        while done < wanted {
            let from = offset + done as u64;
            let owner = match self.owner(from / PAGE_SIZE) {
                Ok(owner) => owner,
                Err(code) => return if done > 0 { done as ssize_t } else { fail(code) as ssize_t },
            };
            let mut end = (from / PAGE_SIZE + 1) * PAGE_SIZE;
            while end < offset + wanted as u64 && self.owner(end / PAGE_SIZE) == Ok(owner) {
                end += PAGE_SIZE;
            }
            let mut pieces = no_vectors();
            let run = ((end - from) as usize).min(wanted - done);
            let before = (cursor.index, cursor.offset);
            let (count, bytes) = cursor.take(run, &mut pieces);
            let read = match owner {
                None => zero(&pieces[..count]) as ssize_t,
                Some(part) => match self.data(part) {
                    fd if fd < 0 && self.follow() => {
                        (cursor.index, cursor.offset) = before;
                        continue;
                    }
                    // Its errno says why, such as too many open files.
                    fd if fd < 0 => -1,
                    fd => unsafe { sys::preadv(fd, pieces.as_ptr(), count as c_int, from as i64) },
                },
            };
            if read < 0 {
                return if done > 0 { done as ssize_t } else { read };
            }
            done += read as usize;
            if (read as usize) < bytes {
                break;
            }
        }
        done as ssize_t
    }

    /// The common call: one whole page.
    fn read_page(&mut self, buffer: *mut c_void, offset: u64) -> ssize_t {
        match self.owner(offset / PAGE_SIZE) {
            Ok(Some(part)) => match self.data(part) {
                fd if fd < 0 && self.follow() => self.read_page(buffer, offset),
                fd if fd < 0 => -1,
                fd => unsafe { sys::pread(fd, buffer, PAGE, offset as i64) },
            },
            Ok(None) => zero(&[iovec { iov_base: buffer, iov_len: PAGE }]) as ssize_t,
            Err(code) => fail(code) as ssize_t,
        }
    }

    /// Writes `vectors` from byte `offset` on, as `pwritev` does. Inside the gate.
    pub(crate) fn write_at(&mut self, fd: c_int, vectors: &[iovec], offset: u64) -> ssize_t {
        let length = total(vectors);
        let end = offset + length as u64;
        if end > SEGMENT_PAGES * PAGE_SIZE {
            return fail(libc::EFBIG) as ssize_t;
        }
        if let Err(code) = self.prepare_write(fd, end) {
            return fail(code) as ssize_t;
        }
        if self.is_orphan() {
            return length as ssize_t;
        }
        if offset.is_multiple_of(PAGE_SIZE) && length.is_multiple_of(PAGE) {
            return self.write_pages(fd, vectors, offset, length);
        }
        self.write_pieces(fd, vectors, offset, length)
    }

    /// Gives the file a part in the writable layer, and room in its map for pages before byte `end`.
    fn prepare_write(&mut self, fd: c_int, end: u64) -> Result<(), c_int> {
        self.ensure_top(fd)?;
        if self.is_orphan() || self.top_map().has_room(end.div_ceil(PAGE_SIZE)) {
            return Ok(());
        }
        let _names = local().lock_names();
        let path = layer_path(self.top_layer(), self.path().as_bytes(), b".m");
        self.top_map().reserve(&path).map_err(|error| match error {
            offshoot_pages::map::MapError::Os(code) => code,
            offshoot_pages::map::MapError::NotAMap => libc::EIO,
        })
    }

    fn write_pages(&mut self, fd: c_int, vectors: &[iovec], offset: u64, length: usize) -> ssize_t {
        let before = power::before(fd, Some(offset as i64), length);
        let written = unsafe {
            match vectors {
                [one] => sys::pwrite(fd, one.iov_base, length, offset as i64),
                _ => sys::pwritev(fd, vectors.as_ptr(), vectors.len() as c_int, offset as i64),
            }
        };
        power::wrote(before);
        if written <= 0 {
            return written;
        }
        let whole = written as u64 / PAGE_SIZE * PAGE_SIZE;
        let map = self.top_map();
        pass(Point::PageWritten);
        map.own(offset / PAGE_SIZE, (offset + whole) / PAGE_SIZE);
        pass(Point::PageOwned);
        map.grow(offset + whole);
        pass(Point::FileGrown);
        if whole > 0 { whole as ssize_t } else { fail(libc::ENOSPC) as ssize_t }
    }

    /// Writes what does not begin or end on a page boundary: copies of files do, and tools.
    fn write_pieces(&mut self, fd: c_int, vectors: &[iovec], offset: u64, length: usize) -> ssize_t {
        let mut cursor = Cursor::new(vectors);
        let mut done = 0;
        while done < length {
            let from = offset + done as u64;
            let within = (from % PAGE_SIZE) as usize;
            let piece = (PAGE - within).min(length - done);
            let mut page = [0u8; PAGE];
            let start = from - within as u64;
            if piece < PAGE {
                let whole = [iovec { iov_base: page.as_mut_ptr().cast(), iov_len: PAGE }];
                if self.read_at(&whole, start) < 0 {
                    return if done > 0 { done as ssize_t } else { -1 };
                }
            }
            copy_out(&mut cursor, &mut page[within..within + piece]);
            if put_page(fd, &page, start) != 0 {
                return if done > 0 { done as ssize_t } else { -1 };
            }
            let map = self.top_map();
            map.own(start / PAGE_SIZE, start / PAGE_SIZE + 1);
            map.grow(from + piece as u64);
            done += piece;
        }
        length as ssize_t
    }

    /// Sets the length, as `ftruncate` does. Inside the gate.
    pub(crate) fn set_length(&mut self, fd: c_int, length: u64) -> c_int {
        if length > SEGMENT_PAGES * PAGE_SIZE {
            return fail(libc::EFBIG);
        }
        if let Err(code) = self.prepare_write(fd, length) {
            return fail(code);
        }
        if self.is_orphan() {
            return 0;
        }
        if length >= self.length() {
            self.top_map().grow(length);
            return 0;
        }
        let within = (length % PAGE_SIZE) as usize;
        if within > 0 {
            let mut page = [0u8; PAGE];
            let start = length - within as u64;
            let head = [iovec { iov_base: page.as_mut_ptr().cast(), iov_len: within }];
            match self.read_at(&head, start) {
                read if read == within as ssize_t => {}
                read if read < 0 => return -1,
                _ => return fail(libc::EIO),
            }
            if put_page(fd, &page, start) != 0 {
                return -1;
            }
            self.top_map().own(start / PAGE_SIZE, start / PAGE_SIZE + 1);
        }
        self.top_map().truncate(length);
        pass(Point::TruncateMapCut);
        unsafe { sys::ftruncate(fd, (length.div_ceil(PAGE_SIZE) * PAGE_SIZE) as i64) }
    }

    /// Gives bytes `offset..offset + length` room on disk, as `fallocate` does. Inside the gate.
    pub(crate) fn allocate(&mut self, fd: c_int, offset: i64, length: i64) -> c_int {
        let end = (offset + length) as u64;
        if end > SEGMENT_PAGES * PAGE_SIZE {
            return fail(libc::EFBIG);
        }
        if let Err(code) = self.prepare_write(fd, end) {
            return fail(code);
        }
        if self.is_orphan() {
            return 0;
        }
        if allowed(Call::Allocate, On::Descriptor(fd), 0).is_none() {
            return -1;
        }
        let result = unsafe { libc::syscall(libc::SYS_fallocate, fd, 0, offset, length) as c_int };
        if result == 0 {
            pass(Point::RoomAllocated);
            self.top_map().grow(end);
        }
        result
    }
}

/// Writes a whole page; 0, or -1 with `errno`, which is that of a full disk when a part was written.
fn put_page(fd: c_int, page: &[u8; PAGE], start: u64) -> c_int {
    match unsafe { sys::pwrite(fd, page.as_ptr().cast(), PAGE, start as i64) } {
        written if written == PAGE as ssize_t => 0,
        written if written < 0 => -1,
        _ => fail(libc::ENOSPC),
    }
}

fn zero(pieces: &[iovec]) -> usize {
    for piece in pieces {
        unsafe { std::ptr::write_bytes(piece.iov_base.cast::<u8>(), 0, piece.iov_len) };
    }
    total(pieces)
}

fn copy_out(cursor: &mut Cursor<'_>, out: &mut [u8]) {
    let mut filled = 0;
    while filled < out.len() {
        let mut pieces = no_vectors();
        let (count, bytes) = cursor.take(out.len() - filled, &mut pieces);
        if bytes == 0 {
            return;
        }
        for piece in &pieces[..count] {
            let source = unsafe { std::slice::from_raw_parts(piece.iov_base.cast::<u8>(), piece.iov_len) };
            out[filled..filled + piece.iov_len].copy_from_slice(source);
            filled += piece.iov_len;
        }
    }
}

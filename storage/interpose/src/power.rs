//! Test builds only: what every write has overwritten since the last fsync, so that a test can cut the power.
//!
//! On when the branch's folder has a file `power-journal`. Each write that is not yet on the disk is a record in it with the
//! bytes that were there before; each fsync is a record that says how far it reached. From both a test works out which
//! writes a machine that loses power may still lose, tear or reorder. In a release build nothing of this is left.

#[cfg(debug_assertions)]
mod journal {
    use std::ffi::CStr;
    use std::sync::atomic::AtomicI32;
    use std::sync::atomic::Ordering::Relaxed;

    use libc::{c_int, c_long};
    use offshoot_pages::sys;

    const WRITE: u64 = 1;
    const SYNC: u64 = 2;
    const SYNC_ALL: u64 = 3;

    /// The journal, or -1.
    static JOURNAL: AtomicI32 = AtomicI32::new(-1);

    /// A write that is about to happen.
    pub(crate) struct Before {
        inode: u64,
        offset: i64,
        length: usize,
        old: Vec<u8>,
    }

    pub(crate) fn start(path: &CStr) {
        let fd = unsafe { sys::open(path.as_ptr(), libc::O_RDWR | libc::O_APPEND | libc::O_CLOEXEC, 0) };
        JOURNAL.store(fd, Relaxed);
    }

    fn journal() -> Option<c_int> {
        Some(JOURNAL.load(Relaxed)).filter(|fd| *fd >= 0)
    }

    fn inode(fd: c_int) -> u64 {
        unsafe {
            let mut data: libc::stat = std::mem::zeroed();
            if libc::syscall(libc::SYS_fstat, fd, &raw mut data) == 0 { data.st_ino } else { 0 }
        }
    }

    fn end(fd: c_int) -> u64 {
        unsafe { libc::syscall(libc::SYS_lseek, fd, 0 as c_long, libc::SEEK_END) as u64 }
    }

    /// One call, so that records of several processes do not mix.
    fn append(words: [u64; 5], bytes: &[u8]) {
        let Some(fd) = journal() else { return };
        let mut record: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        record.extend_from_slice(bytes);
        unsafe { libc::syscall(libc::SYS_write, fd, record.as_ptr(), record.len()) };
    }

    /// Reads what a write of `length` bytes at `offset`, or at the descriptor's position, will overwrite.
    pub(crate) fn before(fd: c_int, offset: Option<i64>, length: usize) -> Option<Before> {
        journal()?;
        let error = sys::errno();
        let here = || unsafe { libc::syscall(libc::SYS_lseek, fd, 0 as c_long, libc::SEEK_CUR) as i64 };
        let offset = offset.unwrap_or_else(here);
        let mut old = vec![0u8; length];
        let read = unsafe { sys::pread(fd, old.as_mut_ptr().cast(), length, offset) };
        sys::set_errno(error);
        // A file that is open for writing only: its writes count as durable.
        old.truncate(usize::try_from(read).ok()?);
        Some(Before { inode: inode(fd), offset, length, old })
    }

    /// Notes the write. Only now: an fsync that begins before this is not asked to reach it.
    pub(crate) fn wrote(before: Option<Before>) {
        let Some(before) = before else { return };
        let error = sys::errno();
        let (length, old) = (before.length as u64, before.old.len() as u64);
        append([WRITE, before.inode, before.offset as u64, length, old], &before.old);
        sys::set_errno(error);
    }

    /// Where the journal ends when an fsync begins.
    pub(crate) fn mark() -> u64 {
        journal().map_or(0, end)
    }

    /// An fsync of `fd`, which began at `mark`, has succeeded.
    pub(crate) fn synced(fd: c_int, mark: u64) {
        if journal().is_some() {
            append([SYNC, inode(fd), mark, 0, 0], &[]);
        }
    }

    /// A `syncfs`, which began at `mark`, has succeeded.
    pub(crate) fn synced_all(mark: u64) {
        append([SYNC_ALL, 0, mark, 0, 0], &[]);
    }
}

#[cfg(debug_assertions)]
pub(crate) use journal::{before, mark, start, synced, synced_all, wrote};

#[cfg(not(debug_assertions))]
mod nothing {
    use libc::c_int;

    /// What is not noted.
    pub(crate) struct Nothing;

    pub(crate) fn before(_fd: c_int, _offset: Option<i64>, _length: usize) -> Nothing {
        Nothing
    }

    pub(crate) fn wrote(_before: Nothing) {}

    pub(crate) fn mark() -> Nothing {
        Nothing
    }

    pub(crate) fn synced(_fd: c_int, _mark: Nothing) {}

    pub(crate) fn synced_all(_mark: Nothing) {}
}
#[cfg(not(debug_assertions))]
pub(crate) use nothing::{before, mark, synced, synced_all, wrote};

//! Raw system calls, for code that runs below libc's own file functions.
//!
//! Each function is the system call of the same name: results, `errno` and ownership are as in its
//! manual page. `-1` means failure and `errno` says why.
#![expect(clippy::missing_safety_doc, reason = "every function here has the contract of its system call")]

use std::sync::atomic::AtomicU32;

use libc::{c_char, c_int, c_long, c_void, iovec, off_t, size_t, ssize_t, timespec};

use crate::fault::{Call, On, allowed};

/// `open(path, flags, mode)`.
pub unsafe fn open(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    if allowed(Call::Open, On::Path(path), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller passes a NUL-terminated path.
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode) as c_int }
}

/// `close(fd)`.
pub unsafe fn close(fd: c_int) -> c_int {
    // SAFETY: closing touches no memory; the caller owns the descriptor.
    unsafe { libc::syscall(libc::SYS_close, fd) as c_int }
}

/// `read(fd, buffer, length)`.
pub unsafe fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    if allowed(Call::Read, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller owns `length` writable bytes at `buffer`.
    unsafe { libc::syscall(libc::SYS_read, fd, buffer, length) as ssize_t }
}

/// `pread(fd, buffer, length, offset)`.
pub unsafe fn pread(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
    if allowed(Call::Read, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller owns `length` writable bytes at `buffer`.
    unsafe { libc::syscall(libc::SYS_pread64, fd, buffer, length, offset) as ssize_t }
}

/// `pwrite(fd, buffer, length, offset)`.
pub unsafe fn pwrite(fd: c_int, buffer: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    let Some(length) = allowed(Call::Write, On::Descriptor(fd), length) else { return -1 };
    // SAFETY: the caller owns `length` readable bytes at `buffer`.
    unsafe { libc::syscall(libc::SYS_pwrite64, fd, buffer, length, offset) as ssize_t }
}

/// `preadv(fd, vectors, count, offset)`.
pub unsafe fn preadv(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    if allowed(Call::Read, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller owns the vectors and what they point to. The kernel takes the offset in two halves.
    unsafe {
        libc::syscall(libc::SYS_preadv, fd, vectors, c_long::from(count), offset, 0 as c_long) as ssize_t
    }
}

/// `pwritev(fd, vectors, count, offset)`.
pub unsafe fn pwritev(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    // One piece at least: all of a vector or none, so that short means fewer pieces.
    let Some(count) = allowed(Call::Write, On::Descriptor(fd), count as size_t) else { return -1 };
    let count = count.max(1);
    // SAFETY: as `preadv`, with readable memory.
    unsafe { libc::syscall(libc::SYS_pwritev, fd, vectors, count as c_long, offset, 0 as c_long) as ssize_t }
}

/// `ftruncate(fd, length)`.
pub unsafe fn ftruncate(fd: c_int, length: off_t) -> c_int {
    if allowed(Call::Truncate, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: touches no memory.
    unsafe { libc::syscall(libc::SYS_ftruncate, fd, length) as c_int }
}

/// `fdatasync(fd)`.
pub unsafe fn fdatasync(fd: c_int) -> c_int {
    if allowed(Call::Sync, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: touches no memory.
    unsafe { libc::syscall(libc::SYS_fdatasync, fd) as c_int }
}

/// `fsync(fd)`.
pub unsafe fn fsync(fd: c_int) -> c_int {
    if allowed(Call::Sync, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: touches no memory.
    unsafe { libc::syscall(libc::SYS_fsync, fd) as c_int }
}

/// `unlink(path)`.
pub unsafe fn unlink(path: *const c_char) -> c_int {
    if allowed(Call::Unlink, On::Path(path), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller passes a NUL-terminated path.
    unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0) as c_int }
}

/// `rename(from, to)`.
pub unsafe fn rename(from: *const c_char, to: *const c_char) -> c_int {
    if allowed(Call::Rename, On::Path(to), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller passes NUL-terminated paths.
    unsafe { libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) as c_int }
}

/// `mkdir(path, mode)`.
pub unsafe fn mkdir(path: *const c_char, mode: libc::mode_t) -> c_int {
    if allowed(Call::MakeFolder, On::Path(path), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller passes a NUL-terminated path.
    unsafe { libc::syscall(libc::SYS_mkdirat, libc::AT_FDCWD, path, mode) as c_int }
}

/// `mmap(NULL, length, protection, flags, fd, 0)`; null on failure.
pub unsafe fn mmap(length: size_t, protection: c_int, flags: c_int, fd: c_int) -> *mut u8 {
    if allowed(Call::Map, On::Descriptor(fd), 0).is_none() {
        return std::ptr::null_mut();
    }
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
    let address =
        unsafe { libc::syscall(libc::SYS_mmap, 0 as c_long, length, protection, flags, fd, 0 as c_long) };
    if address == -1 { std::ptr::null_mut() } else { address as *mut u8 }
}

/// Where files that are mapped get their blocks before they are written to, for [`keep_blocks`]: a file attribute of Linux.
const NO_COPY_ON_WRITE: c_int = 0x0080_0000;

/// Gives bytes `offset..offset + length` of a file on btrfs blocks that stay theirs, before they are first written to; `offset` 0 comes first, while
/// the file is empty. Btrfs takes new blocks for each write otherwise, also for one through mapped memory, and where there are none that is a
/// SIGBUS. Other file systems overwrite in place by themselves: nothing is done there. 0, or -1 with `errno`.
pub unsafe fn keep_blocks(fd: c_int, offset: off_t, length: off_t) -> c_int {
    // SAFETY: the structure is ours, and any bytes are valid for it; the kernel reads and writes one number.
    unsafe {
        let mut facts: libc::statfs = std::mem::zeroed();
        if libc::syscall(libc::SYS_fstatfs, fd, &raw mut facts) != 0
            || facts.f_type != libc::BTRFS_SUPER_MAGIC
        {
            return 0;
        }
        let mut flags: c_int = 0;
        if offset == 0 && libc::syscall(libc::SYS_ioctl, fd, libc::FS_IOC_GETFLAGS, &raw mut flags) == 0 {
            flags |= NO_COPY_ON_WRITE;
            // Without it the file is as safe as before.
            libc::syscall(libc::SYS_ioctl, fd, libc::FS_IOC_SETFLAGS, &raw const flags);
        }
        libc::syscall(libc::SYS_fallocate, fd, 0 as c_long, offset, length) as c_int
    }
}

/// `munmap(address, length)`.
pub unsafe fn munmap(address: *mut u8, length: size_t) -> c_int {
    // SAFETY: the caller made this mapping and uses it no more.
    unsafe { libc::syscall(libc::SYS_munmap, address, length) as c_int }
}

/// `msync(address, length, MS_SYNC)`.
pub unsafe fn msync(address: *mut u8, length: size_t) -> c_int {
    if allowed(Call::Sync, On::MapMemory, 0).is_none() {
        return -1;
    }
    // SAFETY: the caller made this mapping.
    unsafe { libc::syscall(libc::SYS_msync, address, length, libc::MS_SYNC) as c_int }
}

/// `dup3(from, to, flags)`.
pub unsafe fn dup3(from: c_int, to: c_int, flags: c_int) -> c_int {
    // SAFETY: touches no memory.
    unsafe { libc::syscall(libc::SYS_dup3, from, to, flags) as c_int }
}

/// Sleeps until `word` is woken or no longer holds `expected`, for `milliseconds` at most.
pub fn futex_wait(word: &AtomicU32, expected: u32, milliseconds: i64) {
    let timeout = timespec { tv_sec: milliseconds / 1000, tv_nsec: (milliseconds % 1000) * 1_000_000 };
    // SAFETY: the word and the timeout outlive the call; a spurious return is allowed by the contract.
    unsafe {
        libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, expected, &raw const timeout);
    }
}

/// Wakes all that wait on `word`.
pub fn futex_wake_all(word: &AtomicU32) {
    // SAFETY: the word outlives the call.
    unsafe {
        libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, i32::MAX);
    }
}

/// The `errno` of the last failed call.
pub fn errno() -> c_int {
    // SAFETY: the location is valid for the calling thread.
    unsafe { *libc::__errno_location() }
}

/// Sets `errno`.
pub fn set_errno(value: c_int) {
    // SAFETY: the location is valid for the calling thread.
    unsafe { *libc::__errno_location() = value }
}

//! System calls for code that runs below libc's own file functions: on Linux past libc, as Postgres's calls of these functions come
//! here. Elsewhere nothing runs under Postgres, and libc does them.
//!
//! Each function is the system call of the same name: results, `errno` and ownership are as in its
//! manual page. `-1` means failure and `errno` says why.
#![expect(clippy::missing_safety_doc, reason = "every function here has the contract of its system call")]

use std::sync::atomic::AtomicU32;

use libc::{c_char, c_int, c_void, iovec, off_t, pid_t, size_t, ssize_t};

use crate::fault::{Call, On, allowed};

#[cfg(target_os = "linux")]
#[path = "sys/linux.rs"]
mod raw;
#[cfg(not(target_os = "linux"))]
#[path = "sys/portable.rs"]
mod raw;

/// `open(path, flags, mode)`.
pub unsafe fn open(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    if allowed(Call::Open, On::Path(path), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller passes a NUL-terminated path.
    unsafe { raw::open(path, flags, mode) }
}

/// `close(fd)`.
pub unsafe fn close(fd: c_int) -> c_int {
    // SAFETY: closing touches no memory; the caller owns the descriptor.
    unsafe { raw::close(fd) }
}

/// `read(fd, buffer, length)`.
pub unsafe fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    if allowed(Call::Read, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller owns `length` writable bytes at `buffer`.
    unsafe { raw::read(fd, buffer, length) }
}

/// `pread(fd, buffer, length, offset)`.
pub unsafe fn pread(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
    if allowed(Call::Read, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller owns `length` writable bytes at `buffer`.
    unsafe { raw::pread(fd, buffer, length, offset) }
}

/// `pwrite(fd, buffer, length, offset)`.
pub unsafe fn pwrite(fd: c_int, buffer: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    let Some(length) = allowed(Call::Write, On::Descriptor(fd), length) else { return -1 };
    // SAFETY: the caller owns `length` readable bytes at `buffer`.
    unsafe { raw::pwrite(fd, buffer, length, offset) }
}

/// `preadv(fd, vectors, count, offset)`.
pub unsafe fn preadv(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    if allowed(Call::Read, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller owns the vectors and what they point to.
    unsafe { raw::preadv(fd, vectors, count, offset) }
}

/// `pwritev(fd, vectors, count, offset)`.
pub unsafe fn pwritev(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    // One piece at least: all of a vector or none, so that short means fewer pieces.
    let Some(count) = allowed(Call::Write, On::Descriptor(fd), count as size_t) else { return -1 };
    let count = count.max(1);
    // SAFETY: as `preadv`, with readable memory.
    unsafe { raw::pwritev(fd, vectors, count as c_int, offset) }
}

/// `ftruncate(fd, length)`.
pub unsafe fn ftruncate(fd: c_int, length: off_t) -> c_int {
    if allowed(Call::Truncate, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: touches no memory.
    unsafe { raw::ftruncate(fd, length) }
}

/// `fdatasync(fd)`.
pub unsafe fn fdatasync(fd: c_int) -> c_int {
    if allowed(Call::Sync, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: touches no memory.
    unsafe { raw::fdatasync(fd) }
}

/// `fsync(fd)`.
pub unsafe fn fsync(fd: c_int) -> c_int {
    if allowed(Call::Sync, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    // SAFETY: touches no memory.
    unsafe { raw::fsync(fd) }
}

/// `unlink(path)`.
pub unsafe fn unlink(path: *const c_char) -> c_int {
    if allowed(Call::Unlink, On::Path(path), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller passes a NUL-terminated path.
    unsafe { raw::unlink(path) }
}

/// `rename(from, to)`.
pub unsafe fn rename(from: *const c_char, to: *const c_char) -> c_int {
    if allowed(Call::Rename, On::Path(to), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller passes NUL-terminated paths.
    unsafe { raw::rename(from, to) }
}

/// `mkdir(path, mode)`.
pub unsafe fn mkdir(path: *const c_char, mode: libc::mode_t) -> c_int {
    if allowed(Call::MakeFolder, On::Path(path), 0).is_none() {
        return -1;
    }
    // SAFETY: the caller passes a NUL-terminated path.
    unsafe { raw::mkdir(path, mode) }
}

/// `mmap(NULL, length, protection, flags, fd, 0)`; null on failure.
pub unsafe fn mmap(length: size_t, protection: c_int, flags: c_int, fd: c_int) -> *mut u8 {
    if allowed(Call::Map, On::Descriptor(fd), 0).is_none() {
        return std::ptr::null_mut();
    }
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
    let address = unsafe { raw::mmap(length, protection, flags, fd) };
    if address == libc::MAP_FAILED { std::ptr::null_mut() } else { address.cast() }
}

/// Gives bytes `offset..offset + length` of a file on btrfs blocks that stay theirs, before they are first written to; `offset` 0 comes first, while
/// the file is empty. Btrfs takes new blocks for each write otherwise, also for one through mapped memory, and where there are none that is a
/// SIGBUS. Other file systems overwrite in place by themselves: nothing is done there. 0, or -1 with `errno`.
pub unsafe fn keep_blocks(fd: c_int, offset: off_t, length: off_t) -> c_int {
    // SAFETY: the file is the caller's.
    unsafe { raw::keep_blocks(fd, offset, length) }
}

/// `munmap(address, length)`.
pub unsafe fn munmap(address: *mut u8, length: size_t) -> c_int {
    // SAFETY: the caller made this mapping and uses it no more.
    unsafe { raw::munmap(address, length) }
}

/// `msync(address, length, MS_SYNC)`.
pub unsafe fn msync(address: *mut u8, length: size_t) -> c_int {
    if allowed(Call::Sync, On::MapMemory, 0).is_none() {
        return -1;
    }
    // SAFETY: the caller made this mapping.
    unsafe { raw::msync(address, length) }
}

/// `dup3(from, to, flags)`.
pub unsafe fn dup3(from: c_int, to: c_int, flags: c_int) -> c_int {
    // SAFETY: touches no memory.
    unsafe { raw::dup3(from, to, flags) }
}

/// Length of an open file in bytes; -1 on failure.
pub unsafe fn length(fd: c_int) -> off_t {
    // SAFETY: touches no memory.
    unsafe { raw::lseek_end(fd) }
}

/// `getpid()`.
pub fn getpid() -> pid_t {
    raw::getpid()
}

/// `kill(pid, 0)`: whether a signal could be sent. 0, or -1 with `errno`.
pub fn kill_none(pid: pid_t) -> c_int {
    raw::kill_none(pid)
}

/// Sleeps until `word` is woken or no longer holds `expected`, for `milliseconds` at most.
pub fn futex_wait(word: &AtomicU32, expected: u32, milliseconds: i64) {
    raw::futex_wait(word, expected, milliseconds);
}

/// Wakes all that wait on `word`.
pub fn futex_wake_all(word: &AtomicU32) {
    raw::futex_wake_all(word);
}

/// The `errno` of the last failed call.
pub fn errno() -> c_int {
    // SAFETY: the location is valid for the calling thread.
    unsafe { *raw::errno_location() }
}

/// Sets `errno`.
pub fn set_errno(value: c_int) {
    // SAFETY: the location is valid for the calling thread.
    unsafe { *raw::errno_location() = value }
}

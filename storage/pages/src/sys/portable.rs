//! By libc. Compiled where there is no Linux, and not yet run.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "each function passes on what its caller has promised in `super`"
)]

use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::Duration;

use libc::{c_char, c_int, c_void, iovec, mode_t, off_t, pid_t, size_t, ssize_t};

/// How long a word is left alone before it is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

pub(super) unsafe fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe { libc::open(path, flags, libc::c_uint::from(mode)) }
}

pub(super) unsafe fn close(fd: c_int) -> c_int {
    unsafe { libc::close(fd) }
}

pub(super) unsafe fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    unsafe { libc::read(fd, buffer, length) }
}

pub(super) unsafe fn pread(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe { libc::pread(fd, buffer, length, offset) }
}

pub(super) unsafe fn pwrite(fd: c_int, buffer: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe { libc::pwrite(fd, buffer, length, offset) }
}

pub(super) unsafe fn preadv(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    unsafe { libc::preadv(fd, vectors, count, offset) }
}

pub(super) unsafe fn pwritev(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    unsafe { libc::pwritev(fd, vectors, count, offset) }
}

pub(super) unsafe fn ftruncate(fd: c_int, length: off_t) -> c_int {
    unsafe { libc::ftruncate(fd, length) }
}

pub(super) unsafe fn fdatasync(fd: c_int) -> c_int {
    unsafe { fsync(fd) }
}

pub(super) unsafe fn fsync(fd: c_int) -> c_int {
    unsafe { libc::fsync(fd) }
}

pub(super) unsafe fn unlink(path: *const c_char) -> c_int {
    unsafe { libc::unlink(path) }
}

pub(super) unsafe fn rename(from: *const c_char, to: *const c_char) -> c_int {
    unsafe { libc::rename(from, to) }
}

pub(super) unsafe fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    unsafe { libc::mkdir(path, mode) }
}

pub(super) unsafe fn mmap(length: size_t, protection: c_int, flags: c_int, fd: c_int) -> *mut c_void {
    unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, fd, 0) }
}

pub(super) unsafe fn munmap(address: *mut u8, length: size_t) -> c_int {
    unsafe { libc::munmap(address.cast(), length) }
}

pub(super) unsafe fn msync(address: *mut u8, length: size_t) -> c_int {
    unsafe { libc::msync(address.cast(), length, libc::MS_SYNC) }
}

pub(super) unsafe fn lseek_end(fd: c_int) -> off_t {
    unsafe { libc::lseek(fd, 0, libc::SEEK_END) }
}

pub(super) unsafe fn dup3(from: c_int, to: c_int, flags: c_int) -> c_int {
    // SAFETY: touches no memory.
    unsafe {
        let fd = libc::dup2(from, to);
        if fd >= 0 && flags & libc::O_CLOEXEC != 0 {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        fd
    }
}

/// Nothing here writes to new blocks through mapped memory.
pub(super) unsafe fn keep_blocks(_fd: c_int, _offset: off_t, _length: off_t) -> c_int {
    0
}

pub(super) fn getpid() -> pid_t {
    // SAFETY: touches no memory.
    unsafe { libc::getpid() }
}

pub(super) fn kill_none(pid: pid_t) -> c_int {
    // SAFETY: signal 0 is only a check.
    unsafe { libc::kill(pid, 0) }
}

/// There is no call for it that all systems have: whoever waits looks again.
pub(super) fn futex_wait(_word: &AtomicU32, _expected: u32, milliseconds: i64) {
    let most = Duration::from_millis(milliseconds.try_into().unwrap_or(0));
    thread::sleep(most.min(LOOK_AGAIN));
}

/// Nobody sleeps for long.
pub(super) fn futex_wake_all(_word: &AtomicU32) {}

pub(super) fn errno_location() -> *mut c_int {
    // SAFETY: touches no memory.
    #[cfg(target_os = "macos")]
    return unsafe { libc::__error() };
    // SAFETY: as above.
    #[cfg(not(target_os = "macos"))]
    return unsafe { libc::__errno_location() };
}

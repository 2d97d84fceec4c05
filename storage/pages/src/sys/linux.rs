//! Past libc.

#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "each function passes on what its caller has promised in `super`"
)]

use std::sync::atomic::AtomicU32;

use libc::{c_char, c_int, c_long, c_void, iovec, mode_t, off_t, pid_t, size_t, ssize_t, timespec};

pub(super) unsafe fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode) as c_int }
}

pub(super) unsafe fn close(fd: c_int) -> c_int {
    unsafe { libc::syscall(libc::SYS_close, fd) as c_int }
}

pub(super) unsafe fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    unsafe { libc::syscall(libc::SYS_read, fd, buffer, length) as ssize_t }
}

pub(super) unsafe fn pread(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe { libc::syscall(libc::SYS_pread64, fd, buffer, length, offset) as ssize_t }
}

pub(super) unsafe fn pwrite(fd: c_int, buffer: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe { libc::syscall(libc::SYS_pwrite64, fd, buffer, length, offset) as ssize_t }
}

pub(super) unsafe fn preadv(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    unsafe {
        libc::syscall(libc::SYS_preadv, fd, vectors, c_long::from(count), offset, 0 as c_long) as ssize_t
    }
}

pub(super) unsafe fn pwritev(fd: c_int, vectors: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    unsafe {
        libc::syscall(libc::SYS_pwritev, fd, vectors, c_long::from(count), offset, 0 as c_long) as ssize_t
    }
}

pub(super) unsafe fn ftruncate(fd: c_int, length: off_t) -> c_int {
    unsafe { libc::syscall(libc::SYS_ftruncate, fd, length) as c_int }
}

pub(super) unsafe fn fdatasync(fd: c_int) -> c_int {
    unsafe { libc::syscall(libc::SYS_fdatasync, fd) as c_int }
}

pub(super) unsafe fn fsync(fd: c_int) -> c_int {
    unsafe { libc::syscall(libc::SYS_fsync, fd) as c_int }
}

pub(super) unsafe fn unlink(path: *const c_char) -> c_int {
    unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0) as c_int }
}

pub(super) unsafe fn rename(from: *const c_char, to: *const c_char) -> c_int {
    unsafe { libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) as c_int }
}

pub(super) unsafe fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    unsafe { libc::syscall(libc::SYS_mkdirat, libc::AT_FDCWD, path, mode) as c_int }
}

pub(super) unsafe fn mmap(length: size_t, protection: c_int, flags: c_int, fd: c_int) -> *mut c_void {
    unsafe {
        libc::syscall(libc::SYS_mmap, 0 as c_long, length, protection, flags, fd, 0 as c_long) as *mut c_void
    }
}

pub(super) unsafe fn munmap(address: *mut u8, length: size_t) -> c_int {
    unsafe { libc::syscall(libc::SYS_munmap, address, length) as c_int }
}

pub(super) unsafe fn msync(address: *mut u8, length: size_t) -> c_int {
    unsafe { libc::syscall(libc::SYS_msync, address, length, libc::MS_SYNC) as c_int }
}

pub(super) unsafe fn lseek_end(fd: c_int) -> off_t {
    unsafe { libc::syscall(libc::SYS_lseek, fd, 0 as c_long, libc::SEEK_END) as off_t }
}

pub(super) unsafe fn dup3(from: c_int, to: c_int, flags: c_int) -> c_int {
    unsafe { libc::syscall(libc::SYS_dup3, from, to, flags) as c_int }
}

/// Where files that are mapped get their blocks before they are written to: a file attribute of Linux.
const NO_COPY_ON_WRITE: c_int = 0x0080_0000;

pub(super) unsafe fn keep_blocks(fd: c_int, offset: off_t, length: off_t) -> c_int {
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

pub(super) fn getpid() -> pid_t {
    // SAFETY: touches no memory.
    unsafe { libc::syscall(libc::SYS_getpid) as pid_t }
}

pub(super) fn kill_none(pid: pid_t) -> c_int {
    // SAFETY: signal 0 is only a check.
    unsafe { libc::syscall(libc::SYS_kill, pid, 0) as c_int }
}

pub(super) fn futex_wait(word: &AtomicU32, expected: u32, milliseconds: i64) {
    let timeout = timespec { tv_sec: milliseconds / 1000, tv_nsec: (milliseconds % 1000) * 1_000_000 };
    // SAFETY: the word and the timeout outlive the call; a spurious return is allowed by the contract.
    unsafe {
        libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, expected, &raw const timeout);
    }
}

pub(super) fn futex_wake_all(word: &AtomicU32) {
    // SAFETY: the word outlives the call.
    unsafe {
        libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, i32::MAX);
    }
}

pub(super) fn errno_location() -> *mut c_int {
    // SAFETY: touches no memory.
    unsafe { libc::__errno_location() }
}

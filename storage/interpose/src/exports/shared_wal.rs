//! WAL segments that branches share by hard links.
//!
//! A complete segment is never written again, so that a branch links those of its parent. Should a Postgres write to one
//! all the same, because its recovery ended before the end of the WAL, it gets a copy of its own first.

use libc::{c_char, c_int};
use offshoot_pages::sys;

use crate::local::bytes;

const CHUNK: usize = 1 << 16;

/// Gives `path` a file of its own if it is a WAL segment with several names; 0, or -1 with `errno`.
pub(crate) unsafe fn unshare(path: *const c_char) -> c_int {
    let name = unsafe { bytes(path) };
    if !name.windows(7).any(|part| part == b"pg_wal/") {
        return 0;
    }
    unsafe {
        let mut data: libc::stat = std::mem::zeroed();
        let found = libc::syscall(libc::SYS_newfstatat, libc::AT_FDCWD, path, &raw mut data, 0);
        if found != 0 || data.st_nlink < 2 || data.st_mode & libc::S_IFMT != libc::S_IFREG {
            return 0;
        }
        let copy = [name, b".own\0"].concat();
        let copy = copy.as_ptr().cast::<c_char>();
        if write_copy(path, copy) != 0 || sys::rename(copy, path) != 0 {
            let error = sys::errno();
            sys::unlink(copy);
            sys::set_errno(error);
            return -1;
        }
        0
    }
}

unsafe fn write_copy(from: *const c_char, to: *const c_char) -> c_int {
    unsafe {
        let source = sys::open(from, libc::O_RDONLY | libc::O_CLOEXEC, 0);
        if source < 0 {
            return -1;
        }
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
        let target = sys::open(to, flags, 0o600);
        let mut result = if target < 0 { -1 } else { 0 };
        let mut chunk = vec![0u8; CHUNK];
        let mut offset = 0;
        while result == 0 {
            let got = sys::pread(source, chunk.as_mut_ptr().cast(), CHUNK, offset);
            if got <= 0 {
                result = if got == 0 { sys::fsync(target) } else { -1 };
                break;
            }
            let put = sys::pwrite(target, chunk.as_ptr().cast(), got as usize, offset);
            if put != got {
                if put >= 0 {
                    sys::set_errno(libc::ENOSPC);
                }
                result = -1;
            }
            offset += got as i64;
        }
        let error = sys::errno();
        sys::close(source);
        if target >= 0 {
            sys::close(target);
        }
        sys::set_errno(error);
        result
    }
}

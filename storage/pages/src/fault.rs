//! Test builds only: a program may refuse or shorten system calls before they are made, as a bad or full disk does.
//!
//! The interposer sets the hook where a test has asked for it. In a release build [`allowed`] is nothing.

use libc::{c_char, c_int};

/// What a system call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Call {
    /// `open`, `openat`.
    Open,
    /// `read`, `pread`, `preadv`.
    Read,
    /// `write`, `pwrite`, `pwritev`.
    Write,
    /// `fallocate`.
    Allocate,
    /// `fsync`, `fdatasync`, `msync`, `syncfs`.
    Sync,
    /// `ftruncate`, `truncate`.
    Truncate,
    /// `mmap` of a file.
    Map,
    /// `rename`.
    Rename,
    /// `link`.
    Link,
    /// `unlink`.
    Unlink,
    /// `mkdir`.
    MakeFolder,
}

/// What a system call works on.
#[derive(Clone, Copy, Debug)]
pub enum On {
    /// An open file.
    Descriptor(c_int),
    /// A NUL-terminated path.
    Path(*const c_char),
    /// The memory of a page map.
    MapMemory,
}

/// Says before a call of some bytes how many of them it may handle, or which `errno` it fails with.
pub type Hook = fn(Call, On, usize) -> Result<usize, c_int>;

#[cfg(debug_assertions)]
static HOOK: std::sync::OnceLock<Hook> = std::sync::OnceLock::new();

/// Sets the hook of this process, once.
#[cfg(debug_assertions)]
pub fn set_hook(hook: Hook) {
    let _ = HOOK.set(hook);
}

/// How many of `length` bytes the call may handle; `None` when it must fail, with `errno` set.
#[cfg(debug_assertions)]
#[must_use]
pub fn allowed(call: Call, on: On, length: usize) -> Option<usize> {
    match HOOK.get().map_or(Ok(length), |hook| hook(call, on, length)) {
        Ok(length) => Some(length),
        Err(code) => {
            crate::sys::set_errno(code);
            None
        }
    }
}

/// How many of `length` bytes the call may handle: all.
#[cfg(not(debug_assertions))]
#[inline]
#[must_use]
pub const fn allowed(_call: Call, _on: On, length: usize) -> Option<usize> {
    Some(length)
}

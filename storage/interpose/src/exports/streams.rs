//! Streams. Postgres looks for `global/pg_control` with one when it starts; relation files are never streams.

use libc::{FILE, c_char};

use super::next::Next;
use crate::local::{active, fail};
use crate::paths::{Place, classify};

static OPEN: Next = Next::new(c"fopen");

unsafe fn open_stream(path: *const c_char, mode: *const c_char) -> *mut FILE {
    let path = match unsafe { classify(path) } {
        Place::ControlFile => active().control_file.as_ptr(),
        Place::Relation(_) => {
            fail(libc::ENOTSUP);
            return std::ptr::null_mut();
        }
        _ => path,
    };
    let next: unsafe extern "C" fn(*const c_char, *const c_char) -> *mut FILE =
        unsafe { std::mem::transmute(OPEN.get()) };
    unsafe { next(path, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fopen(path: *const c_char, mode: *const c_char) -> *mut FILE {
    unsafe { open_stream(path, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fopen64(path: *const c_char, mode: *const c_char) -> *mut FILE {
    unsafe { open_stream(path, mode) }
}

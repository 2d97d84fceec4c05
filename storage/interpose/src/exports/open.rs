//! Opening, closing and duplicating descriptors.

use libc::{c_char, c_int, c_void, mode_t, off_t, size_t};
use offshoot_pages::sys;

use super::shared_wal;
use crate::local::{active, fail, is_main_thread};
use crate::paths::{Place, classify};
use crate::table::{self, Entry};
use crate::{gate, namespace};

unsafe fn open_path(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    let place = unsafe { classify(path) };
    let (path, is_folder) = match place {
        Place::Elsewhere => return unsafe { sys::open(path, flags, mode) },
        Place::Relation(relation) if is_main_thread() => return namespace::open(&relation, flags),
        Place::Relation(_) => return fail(libc::ENOTSUP),
        Place::ControlFile => (active().control_file.as_ptr(), false),
        Place::RelationFolder(_) => (path, true),
        Place::Plain => (path, false),
    };
    let changes = flags & (libc::O_CREAT | libc::O_TRUNC) != 0;
    let writable = flags & libc::O_ACCMODE != libc::O_RDONLY;
    let fd = {
        let _gate = (changes || writable).then(gate::enter);
        if writable && unsafe { shared_wal::unshare(path) } != 0 {
            return -1;
        }
        unsafe { sys::open(path, flags, mode) }
    };
    if fd >= 0 {
        table::set(
            fd,
            match (writable, is_folder) {
                (true, _) => Entry::Plain,
                (false, true) => Entry::Folder,
                (false, false) => Entry::Foreign,
            },
        );
    }
    fd
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe { open_path(path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe { open_path(path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __open_2(path: *const c_char, flags: c_int) -> c_int {
    unsafe { open_path(path, flags, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __open64_2(path: *const c_char, flags: c_int) -> c_int {
    unsafe { open_path(path, flags, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn creat(path: *const c_char, mode: mode_t) -> c_int {
    unsafe { open_path(path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe {
        if folder == libc::AT_FDCWD || *path.cast::<u8>() == b'/' {
            return open_path(path, flags, mode);
        }
        libc::syscall(libc::SYS_openat, folder, path, flags, mode) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    table::forget(fd);
    unsafe { sys::close(fd) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup(fd: c_int) -> c_int {
    let plain = match table::entry(fd) {
        Entry::Relation(_) => return fail(libc::ENOTSUP),
        Entry::Plain => true,
        _ => false,
    };
    let new = unsafe { libc::syscall(libc::SYS_dup, fd) as c_int };
    if new >= 0 {
        table::set(new, if plain { Entry::Plain } else { Entry::Foreign });
    }
    new
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup2(from: c_int, to: c_int) -> c_int {
    if matches!(table::entry(from), Entry::Relation(_)) || matches!(table::entry(to), Entry::Relation(_)) {
        return fail(libc::ENOTSUP);
    }
    if from == to {
        let valid = unsafe { libc::syscall(libc::SYS_fcntl, from, libc::F_GETFD) };
        return if valid < 0 { -1 } else { to };
    }
    let new = unsafe { sys::dup3(from, to, 0) };
    if new >= 0 {
        let plain = matches!(table::entry(from), Entry::Plain);
        table::set(to, if plain { Entry::Plain } else { Entry::Foreign });
    }
    new
}

unsafe fn map_memory(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    if fd >= 0 && matches!(table::entry(fd), Entry::Relation(_)) {
        sys::set_errno(libc::ENODEV);
        return libc::MAP_FAILED;
    }
    unsafe { libc::syscall(libc::SYS_mmap, address, length, protection, flags, fd, offset) as *mut c_void }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    unsafe { map_memory(address, length, protection, flags, fd, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap64(
    address: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    unsafe { map_memory(address, length, protection, flags, fd, offset) }
}

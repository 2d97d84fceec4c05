//! Lengths, room on disk, durability and advice.

use libc::{c_char, c_int, c_long, c_uint, off_t};
use offshoot_pages::fault::{Call, On, allowed};
use offshoot_pages::{PAGE_SIZE, sys};

use crate::local::{active, fail, local};
use crate::paths::{Place, classify};
use crate::table::{self, Entry};
use crate::{gate, namespace, power};

unsafe fn set_length(fd: c_int, length: off_t) -> c_int {
    unsafe {
        match table::entry(fd) {
            Entry::Relation(file) => {
                if length < 0 {
                    return fail(libc::EINVAL);
                }
                let file = &mut *file;
                let _gate = gate::enter();
                file.catch_up(fd);
                file.set_length(fd, length as u64)
            }
            Entry::Plain => {
                let _gate = gate::enter();
                sys::ftruncate(fd, length)
            }
            _ => sys::ftruncate(fd, length),
        }
    }
}

unsafe fn set_length_of_path(path: *const c_char, length: off_t) -> c_int {
    unsafe {
        match classify(path) {
            Place::Relation(relation) => {
                let fd = namespace::open(&relation, libc::O_RDWR | libc::O_CLOEXEC);
                if fd < 0 {
                    return -1;
                }
                let result = set_length(fd, length);
                let error = sys::errno();
                table::forget(fd);
                sys::close(fd);
                sys::set_errno(error);
                result
            }
            place => {
                let path = match place {
                    Place::ControlFile => active().control_file.as_ptr(),
                    _ => path,
                };
                let _gate = gate::enter();
                if allowed(Call::Truncate, On::Path(path), 0).is_none() {
                    return -1;
                }
                libc::syscall(libc::SYS_truncate, path, length) as c_int
            }
        }
    }
}

unsafe fn allocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    unsafe {
        match table::entry(fd) {
            Entry::Relation(file) => {
                if mode != 0 {
                    return fail(libc::EOPNOTSUPP);
                }
                if offset < 0 || length <= 0 {
                    return fail(libc::EINVAL);
                }
                let file = &mut *file;
                let _gate = gate::enter();
                file.catch_up(fd);
                file.allocate(fd, offset, length)
            }
            Entry::Plain => {
                let _gate = gate::enter();
                if allowed(Call::Allocate, On::Descriptor(fd), 0).is_none() {
                    return -1;
                }
                libc::syscall(libc::SYS_fallocate, fd, mode, offset, length) as c_int
            }
            _ => libc::syscall(libc::SYS_fallocate, fd, mode, offset, length) as c_int,
        }
    }
}

/// `posix_fallocate` returns its error instead of setting `errno`.
unsafe fn posix_allocate(fd: c_int, offset: off_t, length: off_t) -> c_int {
    let before = sys::errno();
    let result = if unsafe { allocate(fd, 0, offset, length) } == 0 { 0 } else { sys::errno() };
    sys::set_errno(before);
    result
}

unsafe fn make_durable(fd: c_int, call: c_long) -> c_int {
    unsafe {
        match table::entry(fd) {
            Entry::Relation(file) => match (*file).sync(fd) {
                Ok(()) => 0,
                Err(code) => fail(code),
            },
            Entry::Folder => {
                if sync_writable_layers_folder(fd) != 0 {
                    return -1;
                }
                libc::syscall(call, fd) as c_int
            }
            _ => {
                if allowed(Call::Sync, On::Descriptor(fd), 0).is_none() {
                    return -1;
                }
                let mark = power::mark();
                let result = libc::syscall(call, fd) as c_int;
                if result == 0 {
                    power::synced(fd, mark);
                }
                result
            }
        }
    }
}

/// The folder of relation files behind `fd` has a twin in the writable layer.
unsafe fn sync_writable_layers_folder(fd: c_int) -> c_int {
    let mut buffer = [0u8; 4096];
    let link = format!("/proc/self/fd/{fd}\0");
    let length = unsafe {
        libc::syscall(libc::SYS_readlinkat, libc::AT_FDCWD, link.as_ptr(), buffer.as_mut_ptr(), buffer.len())
    };
    let Ok(length) = usize::try_from(length) else { return 0 };
    let Some(folder) = buffer[..length].strip_prefix(&active().data_dir[..]) else { return 0 };
    local().catch_up();
    let result = namespace::sync_folder(local().layer(0), folder.strip_prefix(b"/").unwrap_or(folder));
    // A layer has no folder for a database that it does not touch.
    if result != 0 && sys::errno() == libc::ENOENT { 0 } else { result }
}

unsafe fn advise(fd: c_int, offset: off_t, length: off_t, advice: c_int) -> c_int {
    unsafe {
        let target = match table::relation(fd) {
            Some(file) => {
                file.catch_up(fd);
                match file.owner(offset as u64 / PAGE_SIZE) {
                    Ok(Some(part)) => file.data(part),
                    // Only advice: the read itself will say what is wrong.
                    Ok(None) | Err(_) => return 0,
                }
            }
            None => fd,
        };
        let result = libc::syscall(libc::SYS_fadvise64, target, offset, length, advice);
        if result == 0 { 0 } else { sys::errno() }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(fd: c_int, length: off_t) -> c_int {
    unsafe { set_length(fd, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(fd: c_int, length: off_t) -> c_int {
    unsafe { set_length(fd, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn truncate(path: *const c_char, length: off_t) -> c_int {
    unsafe { set_length_of_path(path, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn truncate64(path: *const c_char, length: off_t) -> c_int {
    unsafe { set_length_of_path(path, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    unsafe { allocate(fd, mode, offset, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate64(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    unsafe { allocate(fd, mode, offset, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_fallocate(fd: c_int, offset: off_t, length: off_t) -> c_int {
    unsafe { posix_allocate(fd, offset, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_fallocate64(fd: c_int, offset: off_t, length: off_t) -> c_int {
    unsafe { posix_allocate(fd, offset, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    unsafe { make_durable(fd, libc::SYS_fsync) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    unsafe { make_durable(fd, libc::SYS_fdatasync) }
}

/// The engine has made the layers durable before it starts a Postgres that must recover; the rest of the data
/// directory is on the file system that `fd` names, as always.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syncfs(fd: c_int) -> c_int {
    if allowed(Call::Sync, On::Descriptor(fd), 0).is_none() {
        return -1;
    }
    let mark = power::mark();
    let result = unsafe { libc::syscall(libc::SYS_syncfs, fd) as c_int };
    if result == 0 {
        power::synced_all(mark);
    }
    result
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn sync_file_range(fd: c_int, offset: off_t, length: off_t, flags: c_uint) -> c_int {
    unsafe {
        if let Some(file) = table::relation(fd) {
            file.catch_up(fd);
            if !file.has_top() {
                return 0;
            }
        }
        libc::syscall(libc::SYS_sync_file_range, fd, offset, length, flags) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_fadvise(fd: c_int, offset: off_t, length: off_t, advice: c_int) -> c_int {
    unsafe { advise(fd, offset, length, advice) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_fadvise64(fd: c_int, offset: off_t, length: off_t, advice: c_int) -> c_int {
    unsafe { advise(fd, offset, length, advice) }
}

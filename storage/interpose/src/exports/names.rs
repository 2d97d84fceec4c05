//! What works on paths: looking, deleting, renaming, linking, folders.

use libc::{c_char, c_int, mode_t};
use offshoot_pages::fault::{Call, On, allowed};
use offshoot_pages::sys;

use crate::local::{active, fail, local, setup};
use crate::paths::{Place, classify};
use crate::{gate, namespace, table};

unsafe fn stat_path(path: *const c_char, out: *mut libc::stat, flags: c_int) -> c_int {
    unsafe {
        let path = match classify(path) {
            Place::Relation(relation) => return namespace::stat(&relation, out),
            Place::ControlFile => active().control_file.as_ptr(),
            _ => path,
        };
        libc::syscall(libc::SYS_newfstatat, libc::AT_FDCWD, path, out, flags) as c_int
    }
}

unsafe fn stat_descriptor(fd: c_int, out: *mut libc::stat) -> c_int {
    unsafe {
        let result = libc::syscall(libc::SYS_fstat, fd, out) as c_int;
        if result == 0
            && let Some(file) = table::relation(fd)
        {
            file.catch_up(fd);
            namespace::set_size(file, out);
        }
        result
    }
}

unsafe fn is_layered(path: *const c_char) -> bool {
    matches!(unsafe { classify(path) }, Place::Relation(_) | Place::ControlFile)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stat(path: *const c_char, out: *mut libc::stat) -> c_int {
    unsafe { stat_path(path, out, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stat64(path: *const c_char, out: *mut libc::stat) -> c_int {
    unsafe { stat_path(path, out, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn lstat(path: *const c_char, out: *mut libc::stat) -> c_int {
    unsafe { stat_path(path, out, libc::AT_SYMLINK_NOFOLLOW) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn lstat64(path: *const c_char, out: *mut libc::stat) -> c_int {
    unsafe { stat_path(path, out, libc::AT_SYMLINK_NOFOLLOW) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fstat(fd: c_int, out: *mut libc::stat) -> c_int {
    unsafe { stat_descriptor(fd, out) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fstat64(fd: c_int, out: *mut libc::stat) -> c_int {
    unsafe { stat_descriptor(fd, out) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __xstat(_version: c_int, path: *const c_char, out: *mut libc::stat) -> c_int {
    unsafe { stat_path(path, out, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __lxstat(_version: c_int, path: *const c_char, out: *mut libc::stat) -> c_int {
    unsafe { stat_path(path, out, libc::AT_SYMLINK_NOFOLLOW) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __fxstat(_version: c_int, fd: c_int, out: *mut libc::stat) -> c_int {
    unsafe { stat_descriptor(fd, out) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __xstat64(_version: c_int, path: *const c_char, out: *mut libc::stat) -> c_int {
    unsafe { stat_path(path, out, 0) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __lxstat64(_version: c_int, path: *const c_char, out: *mut libc::stat) -> c_int {
    unsafe { stat_path(path, out, libc::AT_SYMLINK_NOFOLLOW) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __fxstat64(_version: c_int, fd: c_int, out: *mut libc::stat) -> c_int {
    unsafe { stat_descriptor(fd, out) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fstatat(
    folder: c_int,
    path: *const c_char,
    out: *mut libc::stat,
    flags: c_int,
) -> c_int {
    unsafe {
        if folder == libc::AT_FDCWD && flags & libc::AT_EMPTY_PATH == 0 {
            return stat_path(path, out, flags);
        }
        libc::syscall(libc::SYS_newfstatat, folder, path, out, flags) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn access(path: *const c_char, mode: c_int) -> c_int {
    unsafe {
        let path = match classify(path) {
            Place::Relation(relation) => {
                return if namespace::exists(&relation) { 0 } else { fail(libc::ENOENT) };
            }
            Place::ControlFile => active().control_file.as_ptr(),
            _ => path,
        };
        libc::syscall(libc::SYS_faccessat, libc::AT_FDCWD, path, mode) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    unsafe {
        match classify(path) {
            Place::Relation(relation) => namespace::unlink(&relation),
            Place::ControlFile => fail(libc::EPERM),
            Place::Elsewhere => sys::unlink(path),
            _ => {
                let _gate = gate::enter();
                sys::unlink(path)
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    unsafe {
        if is_layered(from) || is_layered(to) {
            return fail(libc::EXDEV);
        }
        let _gate = gate::enter();
        sys::rename(from, to)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn link(from: *const c_char, to: *const c_char) -> c_int {
    unsafe {
        if is_layered(from) || is_layered(to) {
            return fail(libc::EXDEV);
        }
        let _gate = gate::enter();
        if allowed(Call::Link, On::Path(to), 0).is_none() {
            return -1;
        }
        libc::syscall(libc::SYS_linkat, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn symlink(target: *const c_char, path: *const c_char) -> c_int {
    // A tablespace: its files would not be in the layers, and a branch would share them with its parent.
    if matches!(unsafe { classify(path) }, Place::Plain)
        && is_tablespace_link(unsafe { crate::local::bytes(path) })
    {
        return fail(libc::EPERM);
    }
    let _gate = gate::enter();
    unsafe { libc::syscall(libc::SYS_symlinkat, target, libc::AT_FDCWD, path) as c_int }
}

/// Whether a path ends as a folder that Postgres makes for a tablespace: `PG_<major>_<catalog version>` in its
/// location, or `pg_tblspc/<n>` for one without a location.
fn is_tablespace_folder(path: &[u8]) -> bool {
    let mut names = path.rsplit(|&byte| byte == b'/');
    let name = names.next().unwrap_or_default();
    if names.next() == Some(b"pg_tblspc") {
        return true;
    }
    let Some(versions) = name.strip_prefix(b"PG_") else { return false };
    let mut parts = versions.split(|&byte| byte == b'_');
    let is_number = |part: Option<&[u8]>| {
        part.is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
    };
    is_number(parts.next()) && is_number(parts.next()) && parts.next().is_none()
}

fn is_tablespace_link(path: &[u8]) -> bool {
    path.windows(b"pg_tblspc/".len()).any(|part| part == b"pg_tblspc/")
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // The first step to a tablespace: refused here, nothing of it is left in its location.
    if setup().is_some() && is_tablespace_folder(unsafe { crate::local::bytes(path) }) {
        return fail(libc::EPERM);
    }
    let _gate = gate::enter();
    unsafe { sys::mkdir(path, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    let _gate = gate::enter();
    unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, libc::AT_REMOVEDIR) as c_int }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn chdir(path: *const c_char) -> c_int {
    let result = unsafe { libc::syscall(libc::SYS_chdir, path) as c_int };
    local().note_working_directory();
    result
}

//! Reading, writing and positions.

use libc::{c_int, c_long, c_uint, c_void, iovec, off_t, size_t, ssize_t};
use offshoot_pages::fault::{Call, On, allowed};
use offshoot_pages::sys;

use crate::file::File;
use crate::gate;
use crate::local::fail;
use crate::power;
use crate::table::{self, Entry};

fn one(buffer: *const c_void, length: size_t) -> [iovec; 1] {
    [iovec { iov_base: buffer.cast_mut(), iov_len: length }]
}

unsafe fn vectors<'a>(vectors: *const iovec, count: c_int) -> &'a [iovec] {
    unsafe { std::slice::from_raw_parts(vectors, usize::try_from(count).unwrap_or(0)) }
}

unsafe fn total(list: *const iovec, count: c_int) -> usize {
    unsafe { vectors(list, count) }.iter().map(|vector| vector.iov_len).sum()
}

fn read_relation(file: &mut File, fd: c_int, into: &[iovec], offset: off_t) -> ssize_t {
    file.catch_up(fd);
    file.read_at(into, offset as u64)
}

fn write_relation(file: &mut File, fd: c_int, from: &[iovec], offset: off_t) -> ssize_t {
    let _gate = gate::enter();
    file.catch_up(fd);
    file.write_at(fd, from, offset as u64)
}

fn advance(file: &mut File, bytes: ssize_t) -> ssize_t {
    if bytes > 0 {
        file.position += bytes as i64;
    }
    bytes
}

unsafe fn read_position(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    unsafe {
        match table::relation(fd) {
            Some(file) => {
                let position = file.position;
                let bytes = read_relation(file, fd, &one(buffer, length), position);
                advance(file, bytes)
            }
            None => sys::read(fd, buffer, length),
        }
    }
}

unsafe fn read_offset(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe {
        match table::relation(fd) {
            Some(file) => read_relation(file, fd, &one(buffer, length), offset),
            None => sys::pread(fd, buffer, length, offset),
        }
    }
}

unsafe fn write_position(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    unsafe {
        match table::entry(fd) {
            Entry::Relation(file) => {
                let file = &mut *file;
                let position = file.position;
                let bytes = write_relation(file, fd, &one(buffer, length), position);
                advance(file, bytes)
            }
            Entry::Plain => {
                let _gate = gate::enter();
                let Some(length) = allowed(Call::Write, On::Descriptor(fd), length) else { return -1 };
                let before = power::before(fd, None, length);
                let written = libc::syscall(libc::SYS_write, fd, buffer, length) as ssize_t;
                power::wrote(before);
                written
            }
            _ => libc::syscall(libc::SYS_write, fd, buffer, length) as ssize_t,
        }
    }
}

unsafe fn write_offset(fd: c_int, buffer: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe {
        match table::entry(fd) {
            Entry::Relation(file) => write_relation(&mut *file, fd, &one(buffer, length), offset),
            Entry::Plain => {
                let _gate = gate::enter();
                let before = power::before(fd, Some(offset), length);
                let written = sys::pwrite(fd, buffer, length, offset);
                power::wrote(before);
                written
            }
            _ => sys::pwrite(fd, buffer, length, offset),
        }
    }
}

unsafe fn read_vectors(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    unsafe {
        match table::relation(fd) {
            Some(file) => read_relation(file, fd, vectors(list, count), offset),
            None => sys::preadv(fd, list, count, offset),
        }
    }
}

unsafe fn write_vectors(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    unsafe {
        match table::entry(fd) {
            Entry::Relation(file) => write_relation(&mut *file, fd, vectors(list, count), offset),
            Entry::Plain => {
                let _gate = gate::enter();
                let before = power::before(fd, Some(offset), total(list, count));
                let written = sys::pwritev(fd, list, count, offset);
                power::wrote(before);
                written
            }
            _ => sys::pwritev(fd, list, count, offset),
        }
    }
}

unsafe fn seek(fd: c_int, offset: off_t, whence: c_int) -> off_t {
    let Some(file) = (unsafe { table::relation(fd) }) else {
        return unsafe { libc::syscall(libc::SYS_lseek, fd, offset, whence) as off_t };
    };
    file.catch_up(fd);
    let length = file.length() as i64;
    let position = match whence {
        libc::SEEK_SET => offset,
        libc::SEEK_CUR => file.position + offset,
        libc::SEEK_END => length + offset,
        libc::SEEK_DATA if offset < length => offset,
        libc::SEEK_HOLE if offset < length => length,
        libc::SEEK_DATA | libc::SEEK_HOLE => return off_t::from(fail(libc::ENXIO)),
        _ => return off_t::from(fail(libc::EINVAL)),
    };
    if position < 0 {
        return off_t::from(fail(libc::EINVAL));
    }
    file.position = position;
    position
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    unsafe { read_position(fd, buffer, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __read_chk(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    _room: size_t,
) -> ssize_t {
    unsafe { read_position(fd, buffer, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pread(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe { read_offset(fd, buffer, length, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pread64(fd: c_int, buffer: *mut c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe { read_offset(fd, buffer, length, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __pread_chk(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    offset: off_t,
    _room: size_t,
) -> ssize_t {
    unsafe { read_offset(fd, buffer, length, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __pread64_chk(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    offset: off_t,
    _room: size_t,
) -> ssize_t {
    unsafe { read_offset(fd, buffer, length, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    unsafe { write_position(fd, buffer, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(fd: c_int, buffer: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    unsafe { write_offset(fd, buffer, length, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    offset: off_t,
) -> ssize_t {
    unsafe { write_offset(fd, buffer, length, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn readv(fd: c_int, list: *const iovec, count: c_int) -> ssize_t {
    unsafe {
        match table::relation(fd) {
            Some(file) => {
                let position = file.position;
                let bytes = read_relation(file, fd, vectors(list, count), position);
                advance(file, bytes)
            }
            None => libc::syscall(libc::SYS_readv, fd, list, c_long::from(count)) as ssize_t,
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(fd: c_int, list: *const iovec, count: c_int) -> ssize_t {
    unsafe {
        match table::entry(fd) {
            Entry::Relation(file) => {
                let file = &mut *file;
                let position = file.position;
                let bytes = write_relation(file, fd, vectors(list, count), position);
                advance(file, bytes)
            }
            Entry::Plain => {
                let _gate = gate::enter();
                if allowed(Call::Write, On::Descriptor(fd), 0).is_none() {
                    return -1;
                }
                let before = power::before(fd, None, total(list, count));
                let written = libc::syscall(libc::SYS_writev, fd, list, c_long::from(count)) as ssize_t;
                power::wrote(before);
                written
            }
            _ => libc::syscall(libc::SYS_writev, fd, list, c_long::from(count)) as ssize_t,
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn preadv(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    unsafe { read_vectors(fd, list, count, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn preadv64(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    unsafe { read_vectors(fd, list, count, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwritev(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    unsafe { write_vectors(fd, list, count, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwritev64(fd: c_int, list: *const iovec, count: c_int, offset: off_t) -> ssize_t {
    unsafe { write_vectors(fd, list, count, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn lseek(fd: c_int, offset: off_t, whence: c_int) -> off_t {
    unsafe { seek(fd, offset, whence) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn lseek64(fd: c_int, offset: off_t, whence: c_int) -> off_t {
    unsafe { seek(fd, offset, whence) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn copy_file_range(
    from: c_int,
    from_offset: *mut off_t,
    to: c_int,
    to_offset: *mut off_t,
    length: size_t,
    flags: c_uint,
) -> ssize_t {
    unsafe {
        let layered = table::relation(from).is_some() || table::relation(to).is_some();
        if !layered {
            let _gate = gate::enter();
            if allowed(Call::Write, On::Descriptor(to), 0).is_none() {
                return -1;
            }
            return libc::syscall(libc::SYS_copy_file_range, from, from_offset, to, to_offset, length, flags)
                as ssize_t;
        }
        let mut buffer = vec![0u8; length.min(1 << 20)];
        let got = match from_offset.as_ref() {
            Some(offset) => read_offset(from, buffer.as_mut_ptr().cast(), buffer.len(), *offset),
            None => read_position(from, buffer.as_mut_ptr().cast(), buffer.len()),
        };
        if got <= 0 {
            return got;
        }
        let put = match to_offset.as_ref() {
            Some(offset) => write_offset(to, buffer.as_ptr().cast(), got as usize, *offset),
            None => write_position(to, buffer.as_ptr().cast(), got as usize),
        };
        if put < got && from_offset.is_null() {
            seek(from, put.max(0) as off_t - got as off_t, libc::SEEK_CUR);
        }
        if put > 0 {
            if let Some(offset) = from_offset.as_mut() {
                *offset += put as off_t;
            }
            if let Some(offset) = to_offset.as_mut() {
                *offset += put as off_t;
            }
        }
        put
    }
}

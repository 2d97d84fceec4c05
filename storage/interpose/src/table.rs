//! Which descriptors are relation files, or writable files of the data directory.

use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::Relaxed;

use libc::c_int;

use crate::file::File;

/// Most descriptors that a process can have; the limit is lowered to it.
pub(crate) const MAX_DESCRIPTORS: usize = 65_536;

static TABLE: [AtomicPtr<File>; MAX_DESCRIPTORS] = [const { AtomicPtr::new(null_mut()) }; MAX_DESCRIPTORS];
/// A writable file of the data directory that is no relation file.
const PLAIN: *mut File = std::ptr::without_provenance_mut(1);
/// A folder of relation files.
const FOLDER: *mut File = std::ptr::without_provenance_mut(2);

/// What a descriptor is.
pub(crate) enum Entry {
    /// Nothing that concerns the layers.
    Foreign,
    /// A writable file of the data directory.
    Plain,
    /// A folder of relation files.
    Folder,
    /// A relation file.
    Relation(*mut File),
}

/// Looks `fd` up.
pub(crate) fn entry(fd: c_int) -> Entry {
    let Some(cell) = usize::try_from(fd).ok().and_then(|fd| TABLE.get(fd)) else { return Entry::Foreign };
    let file = cell.load(Relaxed);
    if file.is_null() {
        Entry::Foreign
    } else if file == PLAIN {
        Entry::Plain
    } else if file == FOLDER {
        Entry::Folder
    } else {
        Entry::Relation(file)
    }
}

/// The relation file behind `fd`.
///
/// # Safety
/// The main thread only, and one reference at a time: it must not outlive the call of the export.
pub(crate) unsafe fn relation<'a>(fd: c_int) -> Option<&'a mut File> {
    match entry(fd) {
        Entry::Relation(file) => Some(unsafe { &mut *file }),
        _ => None,
    }
}

/// Records what the new descriptor `fd` is.
pub(crate) fn set(fd: c_int, entry: Entry) {
    let Some(cell) = usize::try_from(fd).ok().and_then(|fd| TABLE.get(fd)) else { return };
    cell.store(
        match entry {
            Entry::Foreign => null_mut(),
            Entry::Plain => PLAIN,
            Entry::Folder => FOLDER,
            Entry::Relation(file) => file,
        },
        Relaxed,
    );
}

/// Forgets `fd`, and gives up the relation file that it was.
pub(crate) fn forget(fd: c_int) {
    if let Entry::Relation(file) = entry(fd) {
        drop(unsafe { Box::from_raw(file) });
    }
    set(fd, Entry::Foreign);
}

/// Sets the process's limit of descriptors to what it may have and the table can hold.
pub(crate) fn limit_descriptors() {
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max.min(MAX_DESCRIPTORS as u64);
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

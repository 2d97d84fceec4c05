//! Listing folders of relation files: the data directory's own entries and those of all layers.

use std::collections::HashSet;
use std::ffi::CStr;

use libc::{DIR, c_char, c_int, dirent};
use offshoot_pages::map::{Map, MapError, WHITEOUT};
use offshoot_pages::sys;

use super::next::Next;
use crate::local::{active, layer_path, local};
use crate::paths::{Place, RelationPath, classify};

/// What `opendir` gives for a folder of relation files.
struct Listing {
    entries: Vec<(Vec<u8>, u8)>,
    next: usize,
    entry: dirent,
}

/// Open listings of this process. Few at a time; looked through at each call.
static LISTINGS: MainThread = MainThread(std::cell::RefCell::new(Vec::new()));
struct MainThread(std::cell::RefCell<Vec<*mut Listing>>);
// SAFETY: invariant 2 of the crate: only the main thread lists folders of the data directory.
unsafe impl Sync for MainThread {}

static OPEN: Next = Next::new(c"opendir");
static READ: Next = Next::new(c"readdir");
static CLOSE: Next = Next::new(c"closedir");

unsafe fn next_opendir(path: *const c_char) -> *mut DIR {
    let function: unsafe extern "C" fn(*const c_char) -> *mut DIR =
        unsafe { std::mem::transmute(OPEN.get()) };
    unsafe { function(path) }
}

unsafe fn next_readdir(folder: *mut DIR) -> *mut dirent {
    let function: unsafe extern "C" fn(*mut DIR) -> *mut dirent = unsafe { std::mem::transmute(READ.get()) };
    unsafe { function(folder) }
}

unsafe fn next_closedir(folder: *mut DIR) -> c_int {
    let function: unsafe extern "C" fn(*mut DIR) -> c_int = unsafe { std::mem::transmute(CLOSE.get()) };
    unsafe { function(folder) }
}

/// Names and types of the entries of a real folder; `None` with `errno` when it cannot be opened.
unsafe fn entries(path: *const c_char) -> Option<Vec<(Vec<u8>, u8)>> {
    unsafe {
        let folder = next_opendir(path);
        if folder.is_null() {
            return None;
        }
        let mut entries = Vec::new();
        loop {
            let entry = next_readdir(folder);
            if entry.is_null() {
                break;
            }
            let name = CStr::from_ptr((*entry).d_name.as_ptr()).to_bytes().to_vec();
            entries.push((name, (*entry).d_type));
        }
        next_closedir(folder);
        Some(entries)
    }
}

unsafe fn list(path: *const c_char, folder: &RelationPath) -> Option<Listing> {
    let mut all = unsafe { entries(path) }?;
    if folder.as_bytes() == b"global" {
        all.push((b"pg_control".to_vec(), libc::DT_REG));
    }
    local().catch_up();
    let mut seen = HashSet::new();
    for index in 0..local().depth() {
        let layer = local().layer(index);
        let Some(files) = (unsafe { entries(layer_path(layer, folder.as_bytes(), b"").as_ptr()) }) else {
            if matches!(sys::errno(), libc::ENOENT | libc::ENOTDIR) {
                continue;
            }
            // An incomplete list would be an incomplete copy of a database.
            return None;
        };
        for (file, _) in files {
            let Some(name) = file.strip_suffix(b".m") else { continue };
            if !seen.insert(name.to_vec()) {
                continue;
            }
            // A whiteout hides something below: the lowest layer, which has most of the files, has none.
            if index + 1 == local().depth() {
                all.push((name.to_vec(), libc::DT_REG));
                continue;
            }
            let relation = [folder.as_bytes(), b"/", name].concat();
            match Map::open(&layer_path(layer, &relation, b".m"), false) {
                Ok(map) => {
                    if map.flags() & WHITEOUT == 0 {
                        all.push((name.to_vec(), libc::DT_REG));
                    }
                    unsafe { map.unmap() };
                }
                // Deleted since the folder was listed.
                Err(MapError::Os(libc::ENOENT)) => {}
                Err(MapError::Os(code)) => {
                    sys::set_errno(code);
                    return None;
                }
                // Listed, so that whoever opens it hears of the damage.
                Err(MapError::NotAMap) => all.push((name.to_vec(), libc::DT_REG)),
            }
        }
    }
    Some(Listing { entries: all, next: 0, entry: unsafe { std::mem::zeroed() } })
}

fn find(folder: *mut DIR) -> Option<*mut Listing> {
    if !crate::local::is_main_thread() {
        return None;
    }
    LISTINGS.0.borrow().iter().copied().find(|listing| listing.cast::<DIR>() == folder)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn opendir(path: *const c_char) -> *mut DIR {
    unsafe {
        let folder = match classify(path) {
            Place::RelationFolder(folder) if crate::local::is_main_thread() => folder,
            _ => return next_opendir(path),
        };
        let _ = active();
        match list(path, &folder) {
            Some(listing) => {
                let listing = Box::into_raw(Box::new(listing));
                LISTINGS.0.borrow_mut().push(listing);
                listing.cast()
            }
            None => std::ptr::null_mut(),
        }
    }
}

unsafe fn read(folder: *mut DIR) -> *mut dirent {
    let Some(listing) = find(folder) else { return unsafe { next_readdir(folder) } };
    let listing = unsafe { &mut *listing };
    let Some((name, kind)) = listing.entries.get(listing.next) else { return std::ptr::null_mut() };
    listing.next += 1;
    listing.entry.d_ino = listing.next as u64;
    listing.entry.d_type = *kind;
    let room = listing.entry.d_name.len() - 1;
    for (to, &byte) in listing.entry.d_name.iter_mut().zip(name.iter().take(room)) {
        *to = byte as c_char;
    }
    listing.entry.d_name[name.len().min(room)] = 0;
    &raw mut listing.entry
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn readdir(folder: *mut DIR) -> *mut dirent {
    unsafe { read(folder) }
}

/// On 64-bit Linux `struct dirent64` is `struct dirent`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readdir64(folder: *mut DIR) -> *mut dirent {
    unsafe { read(folder) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn closedir(folder: *mut DIR) -> c_int {
    let Some(listing) = find(folder) else { return unsafe { next_closedir(folder) } };
    LISTINGS.0.borrow_mut().retain(|&open| open != listing);
    drop(unsafe { Box::from_raw(listing) });
    0
}

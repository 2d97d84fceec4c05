//! Functions of the next library in the search order: libc's own.

use std::ffi::CStr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::Relaxed;

use libc::c_void;

use crate::local::die;

/// A function of the next library, looked up once.
pub(crate) struct Next(AtomicPtr<c_void>, &'static CStr);

impl Next {
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()), name)
    }

    /// Its address.
    pub(crate) fn get(&self) -> *mut c_void {
        let known = self.0.load(Relaxed);
        if !known.is_null() {
            return known;
        }
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.1.as_ptr()) };
        if found.is_null() {
            die("libc lacks a function that this library passes on");
        }
        self.0.store(found, Relaxed);
        found
    }
}

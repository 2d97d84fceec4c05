//! macOS has an id for each boot and tells nothing of file systems. Not yet run.

use std::io;
use std::path::Path;

use crate::error::StorageError;

/// A UUID that is another one after each boot; see `sysctl(3)`.
#[cfg(target_os = "macos")]
const BOOT_ID: &std::ffi::CStr = c"kern.bootsessionuuid";

/// Names this boot.
#[cfg(target_os = "macos")]
pub(super) fn boot() -> Result<String, StorageError> {
    let mut text = [0u8; 64];
    let mut length = text.len();
    // SAFETY: a terminated name, and as many bytes of ours as are said; nothing is set.
    let code = unsafe {
        libc::sysctlbyname(
            BOOT_ID.as_ptr(),
            text.as_mut_ptr().cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    if code != 0 {
        let path = Path::new("kern.bootsessionuuid");
        return Err(StorageError::io("read", path, io::Error::last_os_error()));
    }
    let text = text[..length].split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// Names this boot.
#[cfg(not(target_os = "macos"))]
pub(super) fn boot() -> Result<String, StorageError> {
    Err(StorageError::io("tell the boot of", Path::new("/"), io::ErrorKind::Unsupported.into()))
}

/// Names this life of the file system of `path`.
pub(super) fn file_system(_path: &Path) -> io::Result<u64> {
    Err(io::ErrorKind::Unsupported.into())
}

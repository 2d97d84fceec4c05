//! Cloning one file: the copy shares the blocks of the original until one of the two is written to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use offshoot_postgres::account::Account;

/// Makes `to` a clone of the file `from`, private and `account`'s. What `to` was is gone. False if `from` is not there.
///
/// The clone is atomic: a write to `from` at the same time is in it as a whole or not at all. What was written before is on
/// its way to the disk when this returns. Symbolic links are not followed.
pub(super) fn clone_file(from: &Path, to: &Path, account: Option<&Account>) -> io::Result<bool> {
    let source = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let target = clone_open(&source, from, to)?;
    if let Some(account) = account {
        std::os::unix::fs::fchown(&target, Some(account.uid), Some(account.gid))?;
    }
    Ok(true)
}

/// `FICLONE` of Linux: XFS with `reflink=1`, btrfs, and other file systems that share blocks.
#[cfg(target_os = "linux")]
fn clone_open(source: &File, _: &Path, to: &Path) -> io::Result<File> {
    use std::os::fd::AsRawFd as _;

    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let target = options.open(to)?;
    loop {
        // SAFETY: both descriptors are ours; no memory is touched.
        if unsafe { libc::ioctl(target.as_raw_fd(), libc::FICLONE, source.as_raw_fd()) } == 0 {
            return Ok(target);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// `clonefile` of macOS: APFS. Not yet run.
#[cfg(target_os = "macos")]
fn clone_open(_: &File, from: &Path, to: &Path) -> io::Result<File> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt as _;

    // <sys/clonefile.h>: symbolic links are not followed; the owner is the caller.
    const FLAGS: u32 = 1 | 2;
    let name = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let (from, to_name) = (name(from)?, name(to)?);
    // It makes new files only.
    match std::fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // SAFETY: both are strings that end with a NUL byte and live through the call.
    if unsafe { libc::clonefile(from.as_ptr(), to_name.as_ptr(), FLAGS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(to)
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn clone_open(_: &File, _: &Path, _: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

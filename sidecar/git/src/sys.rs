//! The two system calls that the standard library does not offer.

use std::path::Path;
use std::process::Child;

/// Ends `child` and everything in its process group. The child must lead its group and must not be waited for yet.
pub(crate) fn kill_group(child: &Child) {
    let group = child.id() as libc::pid_t;
    // SAFETY: no memory is involved. The child has not been waited for, so its id still names its own group.
    unsafe { libc::kill(-group, libc::SIGKILL) };
}

/// Whether others can change the file system of `path` without this kernel noticing: a network or user-space one.
#[cfg(target_os = "linux")]
pub(crate) fn is_remote(path: &Path) -> bool {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt as _;

    /// The magic numbers of statfs(2) of network and user-space file systems.
    const REMOTE: [u32; 12] = [
        0x0102_1997, // 9p
        0x6573_5546, // FUSE, virtiofs
        0x0000_6969, // NFS
        0x0000_517b, // SMB
        0xfe53_4d42, // SMB2
        0xff53_4d42, // CIFS
        0x5346_414f, // AFS
        0x00c3_6400, // Ceph
        0x0bd0_0bd0, // Lustre
        0x786f_4256, // VirtualBox shared folder
        0xbacb_acbc, // VMware shared folder
        0x5346_4846, // WSL 1
    ];
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    let mut facts = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path is a terminated string and the buffer has the size that statfs fills.
    let done = unsafe { libc::statfs(path.as_ptr(), facts.as_mut_ptr()) } == 0;
    if !done {
        return false;
    }
    // SAFETY: statfs succeeded, so it has filled the buffer.
    let facts = unsafe { facts.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "the type of the field differs between platforms")]
    REMOTE.contains(&(facts.f_type as u32))
}

/// Whether others can change the file system of `path` without this kernel noticing. Not told apart here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_remote(_path: &Path) -> bool {
    false
}

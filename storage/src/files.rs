//! Small helpers over folders and files.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use offshoot_postgres::account::{Account, chown};

use crate::error::{Context as _, StorageError};
use crate::paths::BranchPaths;

/// The type of btrfs, as `statfs` numbers it.
pub(crate) const BTRFS: i64 = 0x9123_683e;

/// Gives a file or folder itself to `account`.
pub(crate) fn give(path: &Path, account: Option<&Account>) -> Result<(), StorageError> {
    chown(path, account).context("give away", path)
}

/// Sets a mode whatever the umask is.
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), StorageError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).context("set the mode of", path)
}

/// Makes the folder of a branch. It stays its maker's: when root makes it, Postgres, as another user, passes through
/// to what it was given, and cannot put something else in the place of a file that root will open.
pub(crate) fn make_branch_folder(
    branch: &BranchPaths,
    account: Option<&Account>,
) -> Result<(), StorageError> {
    make_private(branch.folder(), None)?;
    if account.is_some() {
        set_mode(branch.folder(), 0o711)?;
    }
    Ok(())
}

/// Makes `path`, private to its owner, and gives it to `account`.
pub(crate) fn make_private(path: &Path, account: Option<&Account>) -> Result<(), StorageError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(StorageError::io("create the folder", path, error));
        }
        _ => {}
    }
    give(path, account)
}

/// Writes a file that only its owner can read, atomically, and waits until it is on the disk.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_folder(path.parent().unwrap_or(Path::new("/")))
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes every file and folder below `path` durable.
pub(crate) fn sync_tree(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_data()?;
        }
    }
    sync_folder(path)
}

/// Makes a new file that only its owner can read; it is not on the disk yet.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)
}

/// The type of the file system of `path`, as `statfs` numbers it.
pub(crate) fn file_system_type(path: &Path) -> io::Result<i64> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
    // SAFETY: any bytes are a valid value of it.
    let mut facts: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a NUL byte, and the structure is ours.
    if unsafe { libc::statfs(path.as_ptr(), &raw mut facts) } == 0 {
        #[allow(clippy::unnecessary_cast, reason = "it is narrower on macOS")]
        return Ok(facts.f_type as i64);
    }
    Err(io::Error::last_os_error())
}

/// Whether `path` is on btrfs.
pub(crate) fn is_btrfs(path: &Path) -> bool {
    file_system_type(path).is_ok_and(|kind| kind == BTRFS)
}

/// Bytes that can still be written on the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
    // SAFETY: any bytes are a valid value of it.
    let mut facts: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a NUL byte, and the structure is ours.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut facts) } == 0 {
        #[allow(clippy::unnecessary_cast, reason = "they are narrower on macOS")]
        return Ok(facts.f_bavail as u64 * facts.f_frsize as u64);
    }
    Err(io::Error::last_os_error())
}

/// Waits, some seconds at the most, until the room of files that were removed is there: XFS gives it back in the background, a while after
/// the removal has returned.
pub(crate) fn wait_for_removed(path: &Path) {
    const LOOK_INTERVAL: Duration = Duration::from_millis(50);
    const LOOKS: u32 = 200;
    const STILL: u32 = 10;
    let (mut before, mut still) = (0, 0);
    for _ in 0..LOOKS {
        let free = free_bytes(path).unwrap_or(0);
        still = if free > before { 0 } else { still + 1 };
        if still == STILL {
            return;
        }
        before = free;
        std::thread::sleep(LOOK_INTERVAL);
    }
}

/// Waits until everything on the file system of `path` is on its disk; elsewhere than on Linux, everything below `path`.
pub(crate) fn sync_file_system(path: &Path) -> Result<(), StorageError> {
    #[cfg(target_os = "linux")]
    {
        let folder = File::open(path).context("open", path)?;
        // SAFETY: our own descriptor; no memory is touched.
        if unsafe { libc::syncfs(std::os::fd::AsRawFd::as_raw_fd(&folder)) } == 0 {
            return Ok(());
        }
        Err(StorageError::io("sync", path, io::Error::last_os_error()))
    }
    #[cfg(not(target_os = "linux"))]
    sync_tree(path).context("sync", path)
}

/// Removes a folder and all in it; that it is not there is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StorageError::io("remove the folder", path, error))
        }
        _ => Ok(()),
    }
}

/// Removes the entries of `folder` that are not to be kept.
pub(crate) fn remove_others(folder: &Path, keep: &dyn Fn(&str) -> bool) -> Result<(), StorageError> {
    for entry in fs::read_dir(folder).context("list", folder)? {
        let entry = entry.context("list", folder)?;
        if !entry.file_name().to_str().is_some_and(keep) {
            tracing::info!(path = %entry.path().display(), "removed: no branch reads it");
            remove_tree(&entry.path())?;
            crash_point!(PurgeOneRemoved);
        }
    }
    Ok(())
}

/// Bytes that the files below `path` take on the disk; what other folders share by hard links is left out.
pub(crate) fn disk_usage(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => data.blocks() * 512 + disk_usage(&entry.path()),
            Ok(data) if data.nlink() > 1 => 0,
            Ok(data) => data.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// The folders of relation files in a data directory or a layer, relative to it: `global`, `base/<n>`.
pub(crate) fn relation_folders(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    if root.join("global").is_dir() {
        folders.push(PathBuf::from("global"));
    }
    match fs::read_dir(root.join("base")) {
        Ok(entries) => {
            for entry in entries {
                let name = entry?.file_name();
                if name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
                    folders.push(Path::new("base").join(name));
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(folders)
}

//! What the file system can do, and which driver a new store gets.

use std::fs;
use std::io;
use std::path::Path;

use super::file::clone_file;
use crate::DriverKind;
use crate::error::StorageError;

/// Which driver a new store in some folder gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverChoice {
    /// The driver.
    pub driver: DriverKind,
    /// The name of the file system.
    pub file_system: String,
    /// Whether it can clone files.
    pub can_clone: bool,
}

impl DriverChoice {
    /// Why this driver, in one sentence.
    pub fn reason(&self) -> String {
        let Self { driver, file_system, can_clone } = self;
        match (driver, can_clone) {
            (DriverKind::Layers, false) => {
                format!("{file_system} cannot clone files; page layers work on any file system")
            }
            (DriverKind::Layers, true) => {
                format!("{file_system} could clone files, and page layers make branches faster there")
            }
            (DriverKind::Clone, true) if cfg!(target_os = "linux") => {
                format!("asked for, and {file_system} can clone files")
            }
            (DriverKind::Clone, true) => format!("{file_system} can clone files; page layers need Linux"),
            (DriverKind::Clone, false) => format!("{file_system} cannot clone files"),
        }
    }
}

/// The driver for a new store in `folder`, which exists: the one that is `asked` for, else page layers where there are any: they
/// make branches faster, above all of a busy parent, on every file system that can clone; `docs/storage.md` has the figures.
///
/// # Errors
/// [`StorageError::Refused`] if clones are asked for and the file system has none, or page layers where there are none.
pub fn choose_driver(asked: Option<DriverKind>, folder: &Path) -> Result<DriverChoice, StorageError> {
    let has_layers = cfg!(target_os = "linux");
    let file_system = name(folder);
    let can_clone = can_clone(folder);
    let driver = asked.unwrap_or(if has_layers { DriverKind::Layers } else { DriverKind::Clone });
    let refused = |why: String| {
        Err(StorageError::Refused { what: format!("The storage driver `{}`", driver.as_str()), why })
    };
    match driver {
        DriverKind::Layers if !has_layers => refused("page layers need Linux; use `clone`".into()),
        DriverKind::Clone if !can_clone => refused(format!(
            "the file system of {}, {file_system}, cannot clone files; use `layers`, or put the stores on XFS with reflink=1, on \
             btrfs or on APFS by OFFSHOOT_HOME",
            folder.display()
        )),
        driver => Ok(DriverChoice { driver, file_system, can_clone }),
    }
}

/// Tries it: only that tells.
fn can_clone(folder: &Path) -> bool {
    let path = |part: &str| folder.join(format!(".offshoot-{part}-{}", std::process::id()));
    let (from, to) = (path("probe"), path("clone"));
    let tried = (|| -> io::Result<bool> {
        // More than a block: some file systems keep less elsewhere.
        fs::write(&from, [7u8; 16384])?;
        clone_file(&from, &to, None)
    })();
    for file in [from, to] {
        let _ = fs::remove_file(file);
    }
    tried.unwrap_or(false)
}

#[cfg(target_os = "linux")]
fn name(folder: &Path) -> String {
    match crate::files::file_system_type(folder) {
        Ok(0xef53) => "ext4".into(),
        Ok(0x5846_5342) => "XFS".into(),
        Ok(0x9123_683e) => "btrfs".into(),
        Ok(0x0102_1994) => "tmpfs".into(),
        Ok(0x794c_7630) => "overlayfs".into(),
        Ok(0xf2f5_2010) => "F2FS".into(),
        Ok(0x2fc1_2fc1) => "ZFS".into(),
        Ok(0xca45_1a4e) => "bcachefs".into(),
        Ok(0x6969) => "NFS".into(),
        Ok(other) => format!("file system {other:#x}"),
        Err(_) => "the file system".into(),
    }
}

#[cfg(not(target_os = "linux"))]
fn name(_: &Path) -> String {
    "the file system".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_the_default_on_linux_and_the_probe_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let choice = choose_driver(None, folder.path()).unwrap();
        assert_eq!(choice.driver, DriverKind::Layers);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let asked = choose_driver(Some(DriverKind::Clone), folder.path());
        assert_eq!(asked.is_ok(), choice.can_clone, "{asked:?}");
        if let Err(error) = asked {
            assert!(error.to_string().contains("cannot clone files"), "{error}");
        }
    }

    #[test]
    fn drivers_are_found_by_their_names() {
        for kind in DriverKind::ALL {
            assert_eq!(DriverKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(DriverKind::parse("zfs"), None);
    }
}

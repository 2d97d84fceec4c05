//! An XFS in a file, mounted through a loop device: for what only a file system that shares blocks can do.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workshop::{clean, run};

/// How long the file system may be in use after everything on it was told to end.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Below it `mkfs.xfs` refuses.
const LEAST_BYTES: u64 = 400_000_000;

/// A mounted image. Dropping it unmounts and removes it, and nothing else.
pub(crate) struct Image {
    file: PathBuf,
    at: PathBuf,
    mounted: bool,
}

impl Image {
    /// Makes `<name>.img` in `folder`, of `bytes` at most, and mounts it at `<name>`.
    pub(crate) fn xfs(folder: &Path, name: &str, bytes: u64) -> Result<Self> {
        let mut image =
            Self { file: folder.join(format!("{name}.img")), at: folder.join(name), mounted: false };
        let file = File::create(&image.file).with_context(|| format!("create {}", image.file.display()))?;
        file.set_len(bytes.max(LEAST_BYTES)).context("size the image")?;
        drop(file);
        fs::create_dir(&image.at).with_context(|| format!("make {}", image.at.display()))?;
        run(Command::new("mkfs.xfs").args(["-q", "-m", "reflink=1"]).arg(&image.file))
            .context("mkfs.xfs (of the package xfsprogs)")?;
        // What is removed on it is given back to the file system below.
        run(clean(Path::new("mount")).args(["-o", "loop,discard"]).arg(&image.file).arg(&image.at))
            .context("mount an image, which takes root and loop devices")?;
        image.mounted = true;
        fs::set_permissions(&image.at, Permissions::from_mode(0o755))?;
        Ok(image)
    }

    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    fn unmount(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Err(error) = run(clean(Path::new("umount")).arg(&self.at)) else { return Ok(()) };
            if Instant::now() >= deadline {
                // Out of the way now, and gone when the last process that uses it ends.
                run(clean(Path::new("umount")).arg("--lazy").arg(&self.at))?;
                bail!("{} was still in use: {error:#}", self.at.display());
            }
            sleep(LOOK_INTERVAL);
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.mounted
            && let Err(error) = self.unmount()
        {
            eprintln!("An image of a file system may be left: {error:#}");
        }
        let _ = fs::remove_file(&self.file);
        // Empty once nothing is mounted there.
        let _ = fs::remove_dir(&self.at);
    }
}

/// Bytes that can still be written at `at`, once all that was written there is on the disk.
pub(crate) fn free_after_sync(at: &Path) -> Result<u64> {
    run(clean(Path::new("sync")).arg("--file-system").arg(at))?;
    crate::machine::free_bytes(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_cannot_be_mounted_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        // Something is where the image would be mounted.
        fs::write(dir.path().join("x"), "").unwrap();
        assert!(Image::xfs(dir.path(), "x", 0).is_err());
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["x"]);
    }
}

//! The Postgres that comes in one package with the program, in the folder `postgres` beside it.

use std::path::{Path, PathBuf};

use super::{InstallError, Installation, Origin, fetch};
use crate::account::tree;
use crate::progress::Progress;

/// The Postgres of `major` beside the running program, if there is one that runs.
pub(super) fn beside_program(major: u32) -> Option<Installation> {
    let program = std::env::current_exe().ok()?;
    in_folder(program.parent()?, major)
}

fn in_folder(folder: &Path, major: u32) -> Option<Installation> {
    let bin_dir = folder.join("postgres/bin");
    if !bin_dir.is_dir() {
        return None;
    }
    Installation::in_dir(&bin_dir, Origin::Bundled)
        .inspect_err(
            |error| tracing::warn!(bin_dir = %bin_dir.display(), %error, "unusable Postgres passed over"),
        )
        .ok()
        .filter(|found| found.version.major == major)
}

/// `found` in the cache, copied there once.
///
/// A store keeps to the folder of the Postgres it was made with, and the one beside the program goes with the next
/// update of the package. Packages with the same Postgres share the copy.
pub(super) fn kept(
    found: &Installation,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<Installation, InstallError> {
    let target = cache.join("postgres-bundled").join(copy_name(found)?);
    let bin_dir = target.join("bin");
    let present = || Installation::in_dir(&bin_dir, Origin::Package).ok();
    if let Some(there) = present() {
        return Ok(there);
    }
    let root = found.bin_dir.parent().map(Path::to_owned).unwrap_or_default();
    let copied = fetch::once(&target, progress, present, |partial| {
        Ok(tree::copy_parts(&root, &["bin", "lib", "share"], partial)?)
    })?;
    // It is there, but does not pass: say why.
    copied.map_or_else(|| Installation::in_dir(&bin_dir, Origin::Package), Ok)
}

/// Two builds of one version differ in their length.
fn copy_name(found: &Installation) -> Result<PathBuf, InstallError> {
    let bytes = found.postgres().metadata()?.len();
    Ok(PathBuf::from(format!("{}-{}-{bytes}", found.version.major, found.version.minor)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn bundle() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("postgres");
        for folder in ["bin", "lib", "share"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for program in ["postgres", "initdb"] {
            let path = root.join("bin").join(program);
            fs::write(&path, "#!/bin/sh\necho 'postgres (PostgreSQL) 17.2'\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        dir
    }

    #[test]
    fn postgres_beside_the_program_is_taken_if_it_is_of_the_major() {
        let dir = bundle();
        let found = in_folder(dir.path(), 17).unwrap();
        assert_eq!((found.bin_dir, found.origin), (dir.path().join("postgres/bin"), Origin::Bundled));
        assert_eq!(in_folder(dir.path(), 18), None);
        fs::remove_file(dir.path().join("postgres/bin/initdb")).unwrap();
        assert_eq!(in_folder(dir.path(), 17), None);
        assert_eq!(in_folder(&dir.path().join("elsewhere"), 17), None);
    }

    #[test]
    fn copy_in_the_cache_outlives_the_package() {
        let (dir, cache) = (bundle(), tempfile::tempdir().unwrap());
        let found = in_folder(dir.path(), 17).unwrap();
        let kept_first = kept(&found, cache.path(), &Silent).unwrap();
        assert!(kept_first.bin_dir.starts_with(cache.path()));
        assert_eq!(kept(&found, cache.path(), &Silent).unwrap(), kept_first);
        drop(dir);
        assert!(Installation::in_dir(&kept_first.bin_dir, Origin::Package).is_ok());
    }

    #[test]
    fn damaged_copy_is_made_again() {
        let (dir, cache) = (bundle(), tempfile::tempdir().unwrap());
        let found = in_folder(dir.path(), 17).unwrap();
        let copy = kept(&found, cache.path(), &Silent).unwrap();
        fs::remove_file(copy.initdb()).unwrap();
        assert_eq!(kept(&found, cache.path(), &Silent).unwrap(), copy);
        assert!(copy.initdb().exists());
    }
}

//! Copying an installation to where another user can read it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path};

/// Copies the `parts` of `root` to `target`, readable by everybody, under another name until it is whole.
pub(super) fn copy_into_place(root: &Path, parts: &[&str], target: &Path) -> io::Result<()> {
    let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    set_mode(folder, 0o755)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let partial = folder.join(format!(".{name}.{}", std::process::id()));
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir(&partial)?;
    let copied = copy_parts(root, parts, &partial).and_then(|()| replace(&partial, target));
    if copied.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    copied
}

/// Copies the `parts` of `root` into the folder `into`; everything is readable by everybody.
pub(crate) fn copy_parts(root: &Path, parts: &[&str], into: &Path) -> io::Result<()> {
    parts
        .iter()
        .try_for_each(|part| copy_any(&root.join(part), &into.join(part), root))
        .and_then(|()| set_mode(into, 0o755))
}

/// Renames `partial` to `target`. A target that is there already is either another process's finished copy or a
/// damaged one; both are moved aside first.
fn replace(partial: &Path, target: &Path) -> io::Result<()> {
    if fs::rename(partial, target).is_ok() {
        return Ok(());
    }
    let aside = partial.with_extension("old");
    fs::rename(target, &aside)?;
    let renamed = fs::rename(partial, target);
    let _ = fs::remove_dir_all(&aside);
    renamed
}

fn copy_any(from: &Path, to: &Path, root: &Path) -> io::Result<()> {
    let facts = from.symlink_metadata()?;
    if facts.is_symlink() {
        let target = fs::read_link(from)?;
        if stays_inside(from, &target, root) {
            return symlink(target, to);
        }
    }
    if from.is_dir() {
        fs::create_dir(to)?;
        for entry in from.read_dir()? {
            let entry = entry?;
            copy_any(&entry.path(), &to.join(entry.file_name()), root)?;
        }
        return set_mode(to, 0o755);
    }
    fs::copy(from, to)?;
    let runs = fs::metadata(from)?.permissions().mode() & 0o111 != 0;
    set_mode(to, if runs { 0o755 } else { 0o644 })
}

/// Whether the relative link `target` at `link` leads to a place below `root`.
fn stays_inside(link: &Path, target: &Path, root: &Path) -> bool {
    let Ok(below) = link.strip_prefix(root) else { return false };
    let mut depth = below.components().count() as i64 - 1;
    target.components().all(|part| {
        match part {
            Component::Normal(_) => depth += 1,
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
        depth >= 0
    })
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_is_readable_by_all_and_keeps_inner_links() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("from");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::write(root.join("bin/run"), "x").unwrap();
        set_mode(&root.join("bin/run"), 0o700).unwrap();
        symlink("run", root.join("bin/alias")).unwrap();
        symlink("../../../../etc/hostname", root.join("bin/escape")).ok();
        fs::remove_file(root.join("bin/escape")).unwrap();
        let target = place.path().join("shared/copy");
        copy_into_place(&root, &["bin"], &target).unwrap();
        copy_into_place(&root, &["bin"], &target).unwrap();
        assert_eq!(fs::metadata(target.join("bin/run")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_link(target.join("bin/alias")).unwrap(), Path::new("run"));
        assert_eq!(fs::read_dir(place.path().join("shared")).unwrap().count(), 1);
    }

    #[test]
    fn links_out_of_the_tree_are_seen() {
        let root = Path::new("/a");
        assert!(stays_inside(Path::new("/a/lib/x"), Path::new("../bin/y"), root));
        assert!(!stays_inside(Path::new("/a/lib/x"), Path::new("../../y"), root));
        assert!(!stays_inside(Path::new("/a/lib/x"), Path::new("/etc/y"), root));
    }
}

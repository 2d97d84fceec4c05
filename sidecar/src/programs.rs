//! The programs that a project keeps for itself.

use std::path::{Path, PathBuf};

/// Folders in which a project keeps programs of its own.
const FOLDERS: [&str; 4] = ["node_modules/.bin", ".venv/bin", "venv/bin", "vendor/bin"];

/// Those that are there, of `folder` and of the folders around it up to the work tree's `root`; the nearest first.
pub(crate) fn folders(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut at = Some(folder);
    while let Some(here) = at.filter(|here| here.starts_with(root)) {
        found.extend(FOLDERS.iter().map(|programs| here.join(programs)).filter(|path| path.is_dir()));
        at = here.parent();
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_folder_comes_first_and_none_outside_of_the_work_tree() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("shop");
        let inner = root.join("packages/api");
        for folder in [outside.path(), &root, &inner] {
            fs::create_dir_all(folder.join("node_modules/.bin")).unwrap();
        }
        fs::create_dir_all(inner.join(".venv/bin")).unwrap();
        let all = [inner.join("node_modules/.bin"), inner.join(".venv/bin"), root.join("node_modules/.bin")];
        assert_eq!(folders(&root, &inner), all);
        assert_eq!(folders(&root, Path::new("/")), Vec::<PathBuf>::new());
    }
}

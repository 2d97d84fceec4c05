//! A work tree of a commit, outside of everybody's.

use std::path::Path;

use offshoot_migrations::Scan;

use super::Git;
use crate::failure::{Failure, Result};
use crate::scratch::Scratch;

/// Folders of installed packages, which no commit has and programs need.
const INSTALLED: [&str; 4] = ["node_modules", ".venv", "venv", "vendor"];

/// The files of a tree or commit, in which `scan` was found, in a folder that goes with the value; with the installed packages of the
/// worktree at `root` linked in. Blocks.
pub(in crate::engine::migrations) fn unpacked(
    git: &Git,
    tree: &str,
    scan: &Scan,
    root: &Path,
) -> Result<Scratch> {
    let folder = Scratch::new()?;
    git.unpack(tree, folder.path())?;
    let folders = scan.projects.iter().map(|project| project.root.as_str()).chain([""]);
    for at in folders {
        for name in INSTALLED {
            let (from, to) = (root.join(at).join(name), folder.path().join(at).join(name));
            if from.is_dir() && !to.exists() {
                std::os::unix::fs::symlink(&from, &to)
                    .map_err(|e| Failure::io("link installed packages", &e))?;
            }
        }
    }
    Ok(folder)
}

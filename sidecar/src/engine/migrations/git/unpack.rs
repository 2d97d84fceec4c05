//! A commit's files written into a folder as they are: no filter, no hook and no index takes part.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Component, Path};

use super::{Git, Reader};
use crate::failure::{Failure, Result};

impl Git {
    /// Writes the files of a tree into `folder`, which is empty. What is in a submodule is left out. Blocks.
    ///
    /// # Errors
    /// If a path would leave the folder; if git does not have an object.
    pub(in crate::engine::migrations) fn unpack(&self, tree: &str, folder: &Path) -> Result<()> {
        let listed = self.command(&["ls-tree", "-r", "-z", "--full-tree", tree]).output();
        let listed = listed.map_err(|e| Failure::io("run git", &e))?;
        if !listed.status.success() {
            let why = String::from_utf8_lossy(&listed.stderr);
            return Err(Failure::engine(format!("cannot unpack a commit: {}", why.trim())));
        }
        let fault = |e: io::Error| Failure::io("unpack a commit", &e);
        let mut reader = Reader::start(self).map_err(fault)?;
        let mut links = Vec::new();
        for line in listed.stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let Some(tab) = line.iter().position(|byte| *byte == b'\t') else { continue };
            let facts = String::from_utf8_lossy(&line[..tab]);
            let facts: Vec<&str> = facts.split_whitespace().collect();
            let [mode, "blob", object] = facts[..] else { continue };
            let path = Path::new(std::ffi::OsStr::from_bytes(&line[tab + 1..]));
            if !is_within(path) {
                return Err(Failure::user(format!(
                    "the commit has a file {} outside of itself",
                    path.display()
                )));
            }
            let bytes = reader.object(object).map_err(fault)?;
            let to = folder.join(path);
            if mode == "120000" {
                links.push((bytes, to));
            } else {
                make_folder(folder, &to).map_err(fault)?;
                put(&to, &bytes, mode == "100755").map_err(fault)?;
            }
        }
        // Last, so that no file is written through one.
        for (target, to) in links {
            make_folder(folder, &to).map_err(fault)?;
            symlink(std::ffi::OsStr::from_bytes(&target), &to).map_err(fault)?;
        }
        Ok(())
    }
}

/// Whether a path leads into the folder that it is in, and not into what git keeps there.
fn is_within(path: &Path) -> bool {
    path.components().all(|part| match part {
        Component::Normal(name) => !name.eq_ignore_ascii_case(".git"),
        _ => false,
    })
}

/// Makes the folder of `to`, which is below `root`. A tree that was made by hand may have a link and a folder of one name: no link is
/// followed.
fn make_folder(root: &Path, to: &Path) -> io::Result<()> {
    let parent = to.parent().and_then(|parent| parent.strip_prefix(root).ok());
    let mut at = root.to_owned();
    for part in parent.into_iter().flat_map(Path::components) {
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(facts) if facts.is_dir() => {}
            Ok(_) => return Err(io::Error::other(format!("{} is a file and a folder in one", at.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&at)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn put(to: &Path, bytes: &[u8], is_program: bool) -> io::Result<()> {
    let mode = if is_program { 0o700 } else { 0o600 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_outside_or_into_what_git_keeps() {
        for bad in ["../a", "/a", "a/../../b", ".git/config", "a/.GIT/hooks/x"] {
            assert!(!is_within(Path::new(bad)), "{bad}");
        }
        assert!(is_within(Path::new("a/..b/.gitignore")));
    }

    #[test]
    fn a_folder_is_not_made_through_a_link() {
        let root = tempfile::tempdir().unwrap();
        let [inside, outside] = ["inside", "outside"].map(|name| root.path().join(name));
        fs::create_dir(&inside).unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, inside.join("a")).unwrap();
        make_folder(&inside, &inside.join("b/c/file")).unwrap();
        assert!(inside.join("b/c").is_dir());
        for through in ["a/file", "a/b/file"] {
            assert!(make_folder(&inside, &inside.join(through)).is_err(), "{through}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn a_commit_is_unpacked_as_it_is_and_no_filter_runs() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let [repo, ours, to] = ["re:po", "ours", "to"].map(|name| root.path().join(name));
        for folder in [&repo, &ours, &to] {
            fs::create_dir(folder).unwrap();
        }
        let git = Git::of(&repo);
        git.out(&["init", "-q"]).unwrap();
        fs::create_dir(repo.join("a")).unwrap();
        fs::write(repo.join("a/run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(repo.join("a/run"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("a/run", repo.join("link")).unwrap();
        fs::write(repo.join(".gitattributes"), "* filter=any\n").unwrap();
        git.out(&["add", "."]).unwrap();
        git.out(&["-c", "user.name=t", "-c", "user.email=t@e", "commit", "-qm", "one"]).unwrap();
        let ran = root.path().join("ran");
        git.out(&["config", "filter.any.smudge", &format!("touch '{}'; cat", ran.display())]).unwrap();
        let commit = git.commit("HEAD").unwrap();
        git.isolated(&ours).unwrap().unpack(&commit, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("link")).unwrap(), "#!/bin/sh\n");
        assert_eq!(fs::metadata(to.join("a/run")).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!ran.exists());
    }
}

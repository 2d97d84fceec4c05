//! Where things are: stores, caches, sockets, the interposer.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::sys;

/// The interposer's file name.
pub(crate) const INTERPOSER_FILE: &str = "liboffshoot_interpose.so";
/// Longest runtime folder in bytes: a socket's whole path must fit into 107 bytes.
const MAX_RUNTIME_BYTES: usize = 60;

/// The folders of this user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    home: PathBuf,
    runtime: PathBuf,
}

impl Paths {
    /// From the environment of this process.
    pub(crate) fn from_env() -> Result<Self> {
        Self::from_lookup(&|name| std::env::var_os(name), sys::effective_uid())
    }

    fn from_lookup(lookup: &dyn Fn(&str) -> Option<OsString>, uid: u32) -> Result<Self> {
        let absolute = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let given = |name: &str| -> Result<Option<PathBuf>> {
            let Some(value) = lookup(name).filter(|value| !value.is_empty()) else { return Ok(None) };
            let path = PathBuf::from(value);
            if path.is_absolute() {
                return Ok(Some(path));
            }
            Err(Failure::configuration(format!(
                "{name} is `{}`, which is not an absolute path",
                path.display()
            )))
        };
        let root = uid == 0;
        let home = match given("OFFSHOOT_HOME")? {
            Some(path) => path,
            // Postgres runs as another user then, who cannot look into root's home.
            None if root => PathBuf::from("/var/lib/offshoot"),
            None => absolute("XDG_DATA_HOME")
                .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
                .ok_or_else(|| {
                    Failure::configuration("HOME is not set").hint("Set OFFSHOOT_HOME to a folder.")
                })?
                .join("offshoot"),
        };
        let runtime = match (given("OFFSHOOT_RUNTIME_DIR")?, absolute("XDG_RUNTIME_DIR")) {
            (Some(path), _) => path,
            (None, Some(session)) if !root && session.as_os_str().len() + 9 <= MAX_RUNTIME_BYTES => {
                session.join("offshoot")
            }
            _ => PathBuf::from(format!("/tmp/offshoot-{uid}")),
        };
        Ok(Self { home, runtime })
    }

    /// The folder of the store of `project`.
    pub(crate) fn store(&self, project: &str) -> PathBuf {
        self.stores().join(project)
    }

    /// The folder of all stores.
    pub(crate) fn stores(&self) -> PathBuf {
        self.home.join("stores")
    }

    /// Downloads and copies that can be made again.
    pub(crate) fn cache(&self) -> PathBuf {
        self.home.join("cache")
    }

    /// The prompt's history.
    pub(crate) fn history(&self) -> PathBuf {
        self.home.join("history")
    }

    /// Makes the folder for sockets, or checks the one that is there.
    ///
    /// # Errors
    /// A configuration error if somebody else could have planted the folder, or if its path is too long for sockets.
    pub(crate) fn make_runtime(&self) -> Result<PathBuf> {
        make_private(&self.runtime, sys::effective_uid())?;
        Ok(self.runtime.clone())
    }

    /// Makes the folder of all stores. Root's must let Postgres's user through.
    pub(crate) fn make_stores(&self) -> Result<PathBuf> {
        let stores = self.stores();
        let mode = if sys::effective_uid() == 0 { 0o755 } else { 0o700 };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&stores)
            .map_err(|e| Failure::io(format!("make the folder {}", stores.display()), &e))?;
        Ok(stores)
    }
}

fn make_private(dir: &Path, uid: u32) -> Result<()> {
    let hint = "Set OFFSHOOT_RUNTIME_DIR to a short path of a folder of your own.";
    if dir.as_os_str().len() > MAX_RUNTIME_BYTES {
        let text = format!(
            "the path of the folder for sockets is longer than {MAX_RUNTIME_BYTES} bytes: {}",
            dir.display()
        );
        return Err(Failure::configuration(text).hint(hint));
    }
    let mode = if uid == 0 { 0o711 } else { 0o700 };
    if let Some(parent) = dir.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(|e| {
            Failure::configuration(format!("cannot make the folder {}: {e}", parent.display())).hint(hint)
        })?;
    }
    match fs::DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => (),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => (),
        Err(e) => {
            return Err(Failure::configuration(format!("cannot make {}: {e}", dir.display())).hint(hint));
        }
    }
    let facts =
        fs::symlink_metadata(dir).map_err(|e| Failure::io(format!("look at {}", dir.display()), &e))?;
    let refused = |why: &str| Err(Failure::configuration(format!("{} {why}", dir.display())).hint(hint));
    if facts.is_symlink() {
        return refused("is a symbolic link, and sockets do not go through one");
    }
    if !facts.is_dir() {
        return refused("is not a folder");
    }
    if facts.uid() != uid {
        return refused("belongs to another user");
    }
    if facts.mode() & 0o777 != mode {
        fs::set_permissions(dir, fs::Permissions::from_mode(mode))
            .map_err(|e| Failure::io(format!("set the mode of {}", dir.display()), &e))?;
    }
    Ok(())
}

/// The interposer: named by OFFSHOOT_INTERPOSER, beside the executable, or in `../lib/offshoot/` from there.
///
/// # Errors
/// A configuration error that lists where it was looked for.
pub(crate) fn interposer() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("OFFSHOOT_INTERPOSER").filter(|value| !value.is_empty()) {
        let path = PathBuf::from(path);
        if path.is_file() && path.is_absolute() {
            return Ok(path);
        }
        return Err(Failure::configuration(format!(
            "OFFSHOOT_INTERPOSER names {}, which is not the absolute path of a file",
            path.display()
        )));
    }
    let program = std::env::current_exe().map_err(|e| Failure::io("find the path of this program", &e))?;
    let places = interposer_places(&program);
    places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| {
        let looked: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
        Failure::configuration(format!("{INTERPOSER_FILE} is not installed with this program"))
            .hint(format!("Looked for {}. Install again, or set OFFSHOOT_INTERPOSER.", looked.join(" and ")))
    })
}

fn interposer_places(program: &Path) -> Vec<PathBuf> {
    let Some(bin) = program.parent() else { return Vec::new() };
    let mut places = vec![bin.join(INTERPOSER_FILE)];
    places.extend(bin.parent().map(|prefix| prefix.join("lib/offshoot").join(INTERPOSER_FILE)));
    // Test programs run from a folder below the one that cargo puts libraries into.
    places.extend(bin.parent().filter(|_| bin.ends_with("deps")).map(|target| target.join(INTERPOSER_FILE)));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(vars: &[(&str, &str)], uid: u32) -> Result<Paths> {
        Paths::from_lookup(&|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into()), uid)
    }

    #[test]
    fn home_is_chosen_in_order() {
        let all = [("OFFSHOOT_HOME", "/o"), ("XDG_DATA_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(paths(&all, 5).unwrap().store("ab"), Path::new("/o/stores/ab"));
        assert_eq!(paths(&all[1..], 5).unwrap().home, Path::new("/x/offshoot"));
        assert_eq!(paths(&all[2..], 5).unwrap().home, Path::new("/h/.local/share/offshoot"));
        assert_eq!(paths(&all[1..], 0).unwrap().home, Path::new("/var/lib/offshoot"));
        assert!(paths(&[], 5).is_err());
        assert!(paths(&[("OFFSHOOT_HOME", "relative"), ("HOME", "/h")], 5).is_err());
    }

    #[test]
    fn runtime_of_root_is_not_in_a_session_that_postgres_cannot_enter() {
        let vars = [("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/5")];
        assert_eq!(paths(&vars, 5).unwrap().runtime, Path::new("/run/user/5/offshoot"));
        assert_eq!(paths(&vars, 0).unwrap().runtime, Path::new("/tmp/offshoot-0"));
        assert_eq!(paths(&vars[..1], 5).unwrap().runtime, Path::new("/tmp/offshoot-5"));
    }

    #[test]
    fn planted_runtime_folders_are_refused() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let uid = sys::effective_uid();
        let mine = dir.path().join("mine");
        make_private(&mine, uid).unwrap();
        fs::set_permissions(&mine, fs::Permissions::from_mode(0o777)).unwrap();
        make_private(&mine, uid).unwrap();
        assert_eq!(fs::metadata(&mine).unwrap().mode() & 0o066, 0, "opened folders are closed again");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&mine, &link).unwrap();
        assert!(make_private(&link, uid).unwrap_err().0.message.contains("symbolic link"));
        assert!(make_private(&mine, uid + 1).unwrap_err().0.message.contains("another user"));
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(make_private(&file, uid).is_err());
        assert!(
            make_private(&dir.path().join("x".repeat(80)), uid).unwrap_err().0.message.contains("longer")
        );
    }
}

//! Where things are: stores, caches, sockets, the interposer.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::sys;

/// The interposer's file name.
pub(crate) const INTERPOSER_FILE: &str = "liboffshoot_interpose.so";
/// Longest runtime folder in bytes: a socket's whole path must fit into 107 bytes.
const MAX_RUNTIME_BYTES: usize = 60;
const RUNTIME_HINT: &str = "Set OFFSHOOT_RUNTIME_DIR to a short path of a folder of your own.";

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

    /// What seeds have made.
    pub(crate) fn seeds(&self) -> PathBuf {
        self.cache().join("seeds")
    }

    /// The prompt's history.
    pub(crate) fn history(&self) -> PathBuf {
        self.home.join("history")
    }

    /// Makes the folder for the sockets of all stores, or checks the one that is there.
    ///
    /// # Errors
    /// A configuration error if somebody else could have planted the folder, or if its path is too long for sockets.
    pub(crate) fn make_runtime(&self) -> Result<PathBuf> {
        if self.runtime.as_os_str().len() > MAX_RUNTIME_BYTES {
            let text = format!(
                "the path of the folder for sockets is longer than {MAX_RUNTIME_BYTES} bytes: {}",
                self.runtime.display()
            );
            return Err(Failure::configuration(text).hint(RUNTIME_HINT));
        }
        make_private(&self.runtime, sys::effective_uid())?;
        Ok(self.runtime.clone())
    }

    /// Makes the folder for the sockets of the store at `store`, which need not be there yet. No two stores share one,
    /// because branches are numbered anew in each.
    ///
    /// # Errors
    /// As [`Paths::make_runtime`].
    pub(crate) fn make_store_runtime(&self, store: &Path) -> Result<PathBuf> {
        let dir = self.make_runtime()?.join(runtime_name(store));
        make_private(&dir, sys::effective_uid())?;
        Ok(dir)
    }

    /// Makes the folder of all stores. Root's must let Postgres's user through.
    pub(crate) fn make_stores(&self) -> Result<PathBuf> {
        let stores = self.stores();
        make_passable(&stores)?;
        Ok(stores)
    }

    /// Makes the folder of downloads and copies. Root's must let Postgres's user through.
    pub(crate) fn make_cache(&self) -> Result<PathBuf> {
        let cache = self.cache();
        make_passable(&cache)?;
        Ok(cache)
    }
}

/// Sixteen characters: the start of the project's id, for people, and a digest of where the store is. One project has
/// several stores where OFFSHOOT_HOME is set now and then.
fn runtime_name(store: &Path) -> String {
    let place = match (store.parent().map(fs::canonicalize), store.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => store.to_owned(),
    };
    let digest = Sha256::digest(place.as_os_str().as_bytes());
    let project = store.file_name().unwrap_or_default().to_string_lossy();
    let id = project.chars().filter(char::is_ascii_alphanumeric).take(8);
    id.chain(digest.iter().take(4).flat_map(|byte| format!("{byte:02x}").into_bytes()).map(char::from))
        .collect()
}

/// Makes `dir` of this user; as root, open to Postgres's user whatever the umask is.
fn make_passable(dir: &Path) -> Result<()> {
    let root = sys::effective_uid() == 0;
    let make = || -> io::Result<()> {
        make_folders(dir, if root { 0o755 } else { 0o700 })?;
        // One that an earlier run has made may be closed.
        if root && fs::metadata(dir)?.mode() & 0o011 != 0o011 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    };
    make().map_err(|e| Failure::io(format!("make the folder {}", dir.display()), &e))
}

/// Makes `dir` and the folders above it that are missing, all with `mode`, which no umask narrows.
fn make_folders(dir: &Path, mode: u32) -> io::Result<()> {
    let mut missing: Vec<&Path> = dir.ancestors().take_while(|folder| !folder.exists()).collect();
    while let Some(folder) = missing.pop() {
        match fs::DirBuilder::new().mode(mode).create(folder) {
            Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(mode))?,
            // Another process was faster.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => (),
            Err(e) => return Err(e),
        }
    }
    if dir.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

fn make_private(dir: &Path, uid: u32) -> Result<()> {
    let hint = RUNTIME_HINT;
    let mode = if uid == 0 { 0o711 } else { 0o700 };
    if let Some(parent) = dir.parent() {
        make_folders(parent, 0o755).map_err(|e| {
            Failure::configuration(format!("cannot make the folder {}: {e}", parent.display())).hint(hint)
        })?;
    }
    match fs::DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => (),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => (),
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
        let long = Paths { home: "/h".into(), runtime: dir.path().join("x".repeat(80)) };
        assert!(long.make_runtime().unwrap_err().0.message.contains("longer"));
    }

    #[test]
    fn every_store_has_a_folder_for_sockets_of_its_own_whose_paths_are_short_enough() {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let runtime = dir.path().join("r".repeat(MAX_RUNTIME_BYTES - dir.path().as_os_str().len() - 1));
        let paths = Paths { home: dir.path().join("home"), runtime };
        paths.make_stores().unwrap();
        let other_home = dir.path().join("other");
        let stores = [
            paths.store("0123456789abcdef"),
            paths.store("0123456789abcde0"),
            other_home.join("0123456789abcdef"),
        ];
        let mut folders: Vec<_> =
            stores.iter().map(|store| paths.make_store_runtime(store).unwrap()).collect();
        assert_eq!(paths.make_store_runtime(&stores[0]).unwrap(), folders[0], "it stays");
        for folder in &folders {
            assert!(folder.join("load-4194304/.s.PGSQL.5432").as_os_str().len() <= 107);
        }
        folders.sort();
        folders.dedup();
        assert_eq!(folders.len(), 3);
        fs::remove_dir(&folders[0]).unwrap();
        std::os::unix::fs::symlink("/tmp", &folders[0]).unwrap();
        assert!(
            stores.iter().any(|store| paths.make_store_runtime(store).is_err()),
            "a planted one is refused"
        );
    }
}

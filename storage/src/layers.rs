//! The folder of one layer: making, syncing, rebuilding, measuring it.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use offshoot_pages::map::{Map, MapError, NewMap, WHITEOUT};
use offshoot_pages::name::is_relation_file;
use offshoot_pages::{PAGE_SIZE, SEGMENT_PAGES};

use crate::error::{Context as _, StorageError};
use crate::files::{relation_folders, sync_folder};

pub(crate) fn c_path(path: &Path) -> Result<CString, StorageError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| StorageError::Damaged {
        path: path.to_owned(),
        what: "its name holds a NUL byte".into(),
    })
}

pub(crate) fn open_map(path: &Path, writable: bool) -> Result<Map, StorageError> {
    Map::open(&c_path(path)?, writable).map_err(|error| match error {
        MapError::Os(code) => StorageError::io("open the page map", path, io::Error::from_raw_os_error(code)),
        MapError::NotAMap => {
            StorageError::Damaged { path: path.to_owned(), what: "it is no page map of this format".into() }
        }
    })
}

/// The page maps of a layer, by path.
pub(crate) fn maps(layer: &Path) -> Result<Vec<PathBuf>, StorageError> {
    maps_up_to(layer, usize::MAX)
}

/// At most so many of the page maps of a layer: it may have a hundred thousand.
fn maps_up_to(layer: &Path, most: usize) -> Result<Vec<PathBuf>, StorageError> {
    let mut found = Vec::new();
    for folder in relation_folders(layer).context("list the layer", layer)? {
        let folder = layer.join(folder);
        for entry in fs::read_dir(&folder).context("list the layer", &folder)? {
            let path = entry.context("list the layer", &folder)?.path();
            if path.extension().is_some_and(|extension| extension == "m") {
                found.push(path);
                if found.len() >= most {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

/// Whether a layer has changed nothing.
pub(crate) fn is_empty(layer: &Path) -> Result<bool, StorageError> {
    Ok(maps_up_to(layer, 1)?.is_empty())
}

/// Makes everything in a layer durable, and its durable maps say so. The pages of every file are synced: one that was
/// written again in place shows in no map.
pub(crate) fn sync(layer: &Path) -> Result<(), StorageError> {
    for path in maps(layer)? {
        let map = match open_map(&path, true) {
            Ok(map) => map,
            // Deleted since the listing: the layer of a running branch.
            Err(StorageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let result = sync_one(&path, map);
        // SAFETY: the only copy.
        unsafe { map.unmap() };
        result?;
    }
    sync_folders(layer)
}

/// Makes the entries of the layer's folders, and of the layer itself, durable.
fn sync_folders(layer: &Path) -> Result<(), StorageError> {
    let base = layer.join("base");
    let upper = layer.parent().unwrap_or(layer);
    for folder in [base.as_path(), layer, upper] {
        match sync_folder(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StorageError::io("sync the folder", folder, error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn sync_one(path: &Path, map: Map) -> Result<(), StorageError> {
    let folder = path.parent().unwrap_or(path);
    let sync_entry = || if sync_folder(folder).is_ok() { 0 } else { -1 };
    let data_path = path.with_extension("d");
    let data = if map.flags() & WHITEOUT == 0 { File::open(&data_path).map(Some) } else { Ok(None) };
    match data {
        Ok(data) => map
            .sync(data.as_ref().map(File::as_raw_fd), sync_entry)
            .map_err(io::Error::from_raw_os_error)
            .context("sync", path),
        // Deleted meanwhile, as above.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StorageError::io("open", &data_path, error)),
    }
}

/// Rebuilds the working maps of a layer from the durable ones, after a machine crash.
pub(crate) fn rebuild(layer: &Path) -> Result<(), StorageError> {
    for path in maps(layer)? {
        match open_map(&path, true) {
            Ok(map) => {
                map.rebuild();
                let has_data = map.flags() & WHITEOUT == 0;
                // SAFETY: the only copy.
                unsafe { map.unmap() };
                if has_data {
                    make_missing_data(&path)?;
                }
            }
            // Its folder entry reached the disk and its first block did not: it was never synced.
            Err(StorageError::Damaged { .. }) => {
                for file in [path.clone(), path.with_extension("d")] {
                    match fs::remove_file(&file) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            return Err(StorageError::io("remove", &file, error));
                        }
                        _ => {}
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A map can reach the disk without its data file, as long as it owns no page. Then that is empty.
fn make_missing_data(map: &Path) -> Result<(), StorageError> {
    let data = map.with_extension("d");
    if data.exists() {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(&data).context("create", &data)?;
    let owner = fs::metadata(map).context("look at", map)?;
    std::os::unix::fs::chown(&data, Some(owner.uid()), Some(owner.gid())).context("give away", &data)
}

/// Moves the relation files of a stopped cluster into a new layer, without copying. Returns their number. Nothing of it is durable
/// until the caller makes the whole file system so.
///
/// # Errors
/// [`StorageError::Refused`] for a cluster with tablespaces or with segments of another size than 1 GiB.
pub(crate) fn import(data_dir: &Path, layer: &Path) -> Result<u64, StorageError> {
    let tablespaces = data_dir.join("pg_tblspc");
    if fs::read_dir(&tablespaces).context("list", &tablespaces)?.next().is_some() {
        return Err(StorageError::Refused {
            what: "A cluster with tablespaces".into(),
            why: "their files lie outside the data directory, so that branches would share them".into(),
        });
    }
    let mut count = 0;
    for folder in relation_folders(data_dir).context("list", data_dir)? {
        let (from, to) = (data_dir.join(&folder), layer.join(&folder));
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&to).context("create the folder", &to)?;
        for entry in fs::read_dir(&from).context("list", &from)? {
            let entry = entry.context("list", &from)?;
            if is_relation_file(entry.file_name().as_encoded_bytes()) {
                import_one(&entry.path(), &to)?;
                count += 1;
            }
        }
    }
    Ok(count)
}

fn import_one(file: &Path, folder: &Path) -> Result<(), StorageError> {
    let length = fs::metadata(file).context("look at", file)?.len();
    if length > SEGMENT_PAGES * PAGE_SIZE {
        return Err(StorageError::Refused {
            what: "A Postgres built with larger segments".into(),
            why: format!("{} is larger than 1 GiB", file.display()),
        });
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let (data, map_path) = (folder.join(format!("{name}.d")), folder.join(format!("{name}.m")));
    let c_map_path = c_path(&map_path)?;
    fs::rename(file, &data).context("move", file)?;
    let new = NewMap { length, ..NewMap::default() };
    let failed = |error| match error {
        MapError::Os(code) => StorageError::io("write", &map_path, io::Error::from_raw_os_error(code)),
        MapError::NotAMap => StorageError::Damaged { path: map_path.clone(), what: "just written".into() },
    };
    Map::write_new(&c_map_path, new, false).map_err(failed)?;
    let map = open_map(&map_path, true)?;
    let pages = length.div_ceil(PAGE_SIZE);
    let filled = (|| {
        if !map.has_room(pages) {
            map.reserve(&c_map_path).map_err(failed)?;
        }
        map.own(0, pages);
        // One call makes the whole store durable before anybody sees it: two flushes for each of thousands of files took longer than all
        // else.
        map.publish_unsynced();
        Ok(())
    })();
    // SAFETY: the only copy.
    unsafe { map.unmap() };
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer_with_a_file(pages: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("pgdata");
        for sub in ["global", "base/5", "pg_tblspc"] {
            fs::create_dir_all(data.join(sub)).unwrap();
        }
        fs::write(data.join("base/5/1259"), vec![7u8; (pages * PAGE_SIZE) as usize]).unwrap();
        fs::write(data.join("base/5/PG_VERSION"), "18\n").unwrap();
        folder
    }

    #[test]
    fn import_moves_relation_files_only_and_owns_all_their_pages() {
        let folder = layer_with_a_file(3);
        let layer = folder.path().join("layer");
        assert_eq!(import(&folder.path().join("pgdata"), &layer).unwrap(), 1);
        assert!(folder.path().join("pgdata/base/5/PG_VERSION").exists());
        assert!(!folder.path().join("pgdata/base/5/1259").exists());
        let map = open_map(&layer.join("base/5/1259.m"), false).unwrap();
        assert!(map.owns(0) && map.owns(2) && !map.owns(3));
        assert_eq!(map.length(), 3 * PAGE_SIZE);
        assert!(map.is_synced());
    }

    #[test]
    fn a_cluster_with_tablespaces_is_refused() {
        let folder = layer_with_a_file(1);
        std::os::unix::fs::symlink("/tmp", folder.path().join("pgdata/pg_tblspc/16400")).unwrap();
        let error = import(&folder.path().join("pgdata"), &folder.path().join("layer")).unwrap_err();
        assert!(matches!(error, StorageError::Refused { .. }), "{error}");
    }

    #[test]
    fn a_map_that_was_never_completely_written_goes_when_the_layer_is_rebuilt() {
        let folder = tempfile::tempdir().unwrap();
        let global = folder.path().join("global");
        fs::create_dir(&global).unwrap();
        fs::write(global.join("1262.m"), b"").unwrap();
        fs::write(global.join("1262.d"), b"").unwrap();
        rebuild(folder.path()).unwrap();
        assert!(is_empty(folder.path()).unwrap());
        assert!(!global.join("1262.d").exists());
    }
}

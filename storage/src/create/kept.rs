//! Fresh roots that are made of a seed alone are kept, so that the same seed does not run again.
//!
//! What is kept is the stopped cluster as the seed has left it, in a folder whose name is a digest of all that it was made of: the bytes of
//! the scripts in their order, the command with the files that it is said to depend on, the Postgres, the name of the database, the time
//! zone. Extensions are looked at when it is brought back. It is written under another name and moved to its own when it is on
//! the disk, so that what is half made is never found; and each file is compared with its checksum when it is brought back. A
//! lock keeps those who read apart from the one who writes or removes.
//!
//! The cluster has a password that nobody knows. Whoever gets a copy of it sets its own.

mod digest;
mod entry;
mod extensions;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use offshoot_postgres::Progress;
use offshoot_postgres::account::chown_all;
use offshoot_postgres::physical::{SetPassword, set_password};

pub(super) use extensions::Extensions;

use super::fill::Fill;
use super::{Source, USER};
use crate::compute::new_password;
use crate::error::{Context as _, StorageError};
use crate::files::{disk_usage, free_bytes, remove_tree, sync_file_system, sync_folder};
use crate::paths::BranchPaths;
use entry::{MANIFEST, Manifest};

/// What an unfinished entry's name begins with.
const PARTIAL: &str = "partial-";
const LOCK: &str = "lock";
/// Between two looks at a lock that another process has.
const LOOK: Duration = Duration::from_millis(50);

/// Where clusters are kept that were made of a seed alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedCache {
    /// The folder, which need not be there yet.
    pub dir: PathBuf,
    /// What all of them may have on the disk; those that were not used for longest go first.
    pub max_bytes: u64,
    /// What is left free on that disk.
    pub min_free_bytes: u64,
    /// The files, each with its name, on which the command depends, and scripts that read files; `None` if that was not said: then these
    /// are not kept.
    pub inputs: Option<Vec<(String, PathBuf)>>,
}

/// A cluster that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSeed {
    /// The first digits of the digest.
    pub id: String,
    /// When the seed ran.
    pub made_at: SystemTime,
    /// When it was used last.
    pub used_at: SystemTime,
    /// Bytes on the disk.
    pub bytes: u64,
    /// What it was made of, for people.
    pub what: String,
}

/// All that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptSeeds {
    /// What can be used, the one that was used last first.
    pub seeds: Vec<KeptSeed>,
    /// Bytes on the disk of what is damaged or unfinished. It is never used, and goes when room is made.
    pub unusable_bytes: u64,
}

impl KeptSeeds {
    /// Bytes of all of it.
    pub fn bytes(&self) -> u64 {
        self.seeds.iter().map(|seed| seed.bytes).sum::<u64>() + self.unusable_bytes
    }
}

impl SeedCache {
    /// What is kept in `dir`.
    pub fn list(dir: &Path) -> KeptSeeds {
        let mut kept = KeptSeeds::default();
        for path in children(dir) {
            match usable(&path) {
                Some(seed) => kept.seeds.push(seed),
                None if path.file_name().is_some_and(|name| name == LOCK) => {}
                None => kept.unusable_bytes += disk_usage(&path),
            }
        }
        kept.seeds.sort_by_key(|one| (std::cmp::Reverse(one.used_at), one.id.clone()));
        kept
    }

    /// Removes all that is kept in `dir`. Returns what that was.
    ///
    /// # Errors
    /// Those of the disk, and [`StorageError::Cancelled`].
    pub fn clear(dir: &Path, progress: &dyn Progress) -> Result<KeptSeeds, StorageError> {
        if !dir.exists() {
            return Ok(KeptSeeds::default());
        }
        let _lock = lock(dir, Access::Write, progress)?;
        let kept = Self::list(dir);
        for path in children(dir) {
            if path.file_name().is_some_and(|name| name != LOCK) {
                remove_tree(&path)?;
            }
        }
        Ok(kept)
    }
}

/// What was learned of a seed while it ran.
#[derive(Debug, Default)]
pub(super) struct Sown {
    /// A statement that may have read what is not in its script.
    pub(super) outside: Option<String>,
    /// The extensions that the database has now; `None` if that could not be found out.
    pub(super) extensions: Option<Extensions>,
}

/// Makes the cluster of `branch` of the seed alone: of a copy that is kept, or by `make`, and then it is kept. Returns what
/// somebody should know.
pub(super) fn bring_or_make(
    fill: &Fill<'_>,
    cache: &SeedCache,
    branch: &BranchPaths,
    progress: &dyn Progress,
    make: impl FnOnce(&Fill<'_>) -> Result<Sown, StorageError>,
) -> Result<Vec<String>, StorageError> {
    // A seed that cannot be read is told of by who runs it.
    let key = if fill.seed.is_empty() { None } else { digest::of(fill, cache).ok().flatten() };
    let Some(key) = key.filter(|_| matches!(fill.source, Source::Empty)) else {
        make(fill)?;
        return Ok(Vec::new());
    };
    let notes = if let Some(made_at) = bring(fill, cache, &key, branch, progress)? {
        let days = SystemTime::now().duration_since(made_at).unwrap_or_default().as_secs() / 86_400;
        let when = if days == 0 { "today".to_owned() } else { format!("{days} days ago") };
        vec![format!("the seed did not run: what it made {when} was kept (`offshoot seed clear` forgets it)")]
    } else {
        let nobodys = new_password().context("make a password for", &branch.data())?;
        let sown = make(&Fill { password: &nobodys, ..fill.clone() })?;
        progress.step("Keep what the seed has made", 0, None);
        match keep(fill, cache, &key, (&branch.data(), &sown), progress) {
            Ok(None) => Vec::new(),
            Ok(Some(why)) => vec![format!("what the seed made is not kept for the next time: {why}")],
            Err(_) if progress.is_cancelled() => return Err(StorageError::Cancelled),
            Err(error) => vec![format!("what the seed made is not kept for the next time: {error}")],
        }
    };
    let order = SetPassword {
        installation: fill.installation,
        data_dir: &branch.data(),
        account: fill.account,
        database: fill.database,
        role: USER,
        password: fill.password,
    };
    set_password(&order, progress)?;
    Ok(notes)
}

/// Copies what is kept to the branch. Returns when the seed ran; `None` if nothing is kept that can be used.
fn bring(
    fill: &Fill<'_>,
    cache: &SeedCache,
    key: &str,
    branch: &BranchPaths,
    progress: &dyn Progress,
) -> Result<Option<SystemTime>, StorageError> {
    let path = cache.dir.join(key);
    if !path.join(MANIFEST).is_file() {
        return Ok(None);
    }
    let _lock = lock(&cache.dir, Access::Read, progress)?;
    let Some(manifest) = Manifest::read(&path).filter(|manifest| manifest.extensions.are_there()) else {
        return Ok(None);
    };
    let data = branch.data();
    match manifest.copy_to(&path, &data, progress) {
        Ok(()) => {}
        Err(_) if progress.is_cancelled() => return Err(StorageError::Cancelled),
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {
            return Err(StorageError::io("copy the seed's cluster to", &data, error));
        }
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "what is kept of a seed is damaged, so that it runs again");
            for left in children(&data) {
                if left.is_dir() {
                    remove_tree(&left)?;
                } else {
                    fs::remove_file(&left).context("remove", &left)?;
                }
            }
            return Ok(None);
        }
    }
    chown_all(&data, fill.account).context("give away", &data)?;
    // It tells what was not used for longest; without it the entry goes earlier.
    let touched = File::options().append(true).open(path.join(MANIFEST));
    let _ = touched.and_then(|file| file.set_modified(SystemTime::now()));
    Ok(Some(manifest.made_at))
}

/// Keeps a copy of the cluster in `data`. Returns why not, if it is not.
fn keep(
    fill: &Fill<'_>,
    cache: &SeedCache,
    key: &str,
    (data, sown): (&Path, &Sown),
    progress: &dyn Progress,
) -> Result<Option<String>, StorageError> {
    if let Some(statement) = sown.outside.as_ref().filter(|_| cache.inputs.is_none()) {
        return Ok(Some(format!(
            "a statement may read what is in none of the files (`{statement}`); name that in `seed.inputs`"
        )));
    }
    let Some(extensions) = &sown.extensions else {
        return Ok(Some("its extensions cannot be found out".to_owned()));
    };
    if digest::of(fill, cache).ok().flatten().as_deref() != Some(key) {
        return Ok(Some("its files have changed while it ran".to_owned()));
    }
    let bytes = disk_usage(data);
    if bytes > cache.max_bytes {
        let mb = |bytes: u64| bytes.div_ceil(1_000_000);
        return Ok(Some(format!(
            "it has {} MB, and `seed.cache` allows {} MB",
            mb(bytes),
            mb(cache.max_bytes)
        )));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&cache.dir)
        .context("create the folder", &cache.dir)?;
    let _lock = lock(&cache.dir, Access::Write, progress)?;
    let path = cache.dir.join(key);
    remove_tree(&path)?;
    make_room(cache, bytes)?;
    let free = free_bytes(&cache.dir).context("see how much room there is at", &cache.dir)?;
    if free < bytes.saturating_add(cache.min_free_bytes) {
        return Ok(Some("the disk has no room for a copy".to_owned()));
    }
    let partial = Partial(cache.dir.join(format!("{PARTIAL}{}", std::process::id())));
    DirBuilder::new().mode(0o700).create(&partial.0).context("create the folder", &partial.0)?;
    let written = Manifest::copy_from(data, &partial.0, extensions.clone(), what(fill), progress);
    written.context("copy the seed's cluster to", &partial.0)?;
    sync_file_system(&partial.0)?;
    crash_point!(RefreshSeedCopied);
    fs::rename(&partial.0, &path).context("move into place", &path)?;
    sync_folder(&cache.dir).context("sync", &cache.dir)?;
    crash_point!(RefreshSeedKept);
    Ok(None)
}

/// An unfinished entry; gone when this is dropped, unless it was moved away.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.0) {
            tracing::warn!(%error, "an unfinished copy of a seed's cluster is left");
        }
    }
}

/// Removes what is unfinished, and of the rest so much that so many bytes fit beside it. The caller has the lock.
fn make_room(cache: &SeedCache, bytes: u64) -> Result<(), StorageError> {
    for path in children(&cache.dir) {
        if path.is_dir() && usable(&path).is_none() {
            remove_tree(&path)?;
        }
    }
    let mut all: Vec<(SystemTime, u64, PathBuf)> = children(&cache.dir)
        .into_iter()
        .filter_map(|path| usable(&path).map(|one| (one.used_at, one.bytes, path)))
        .collect();
    all.sort();
    let mut total: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, own, path) in all {
        if total.saturating_add(bytes) <= cache.max_bytes {
            break;
        }
        remove_tree(&path)?;
        total -= own;
    }
    Ok(())
}

/// What the cluster was made of, for people.
fn what(fill: &Fill<'_>) -> String {
    let names = fill.seed.iter().map(|seed| match seed {
        super::Seed::Script(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        super::Seed::Command(command) => format!("`{}`", command.command),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    format!("{names}; database {}, Postgres {}", fill.database, fill.installation.version).replace('\n', " ")
}

/// The entry at `path`, if it is one that can be used.
fn usable(path: &Path) -> Option<KeptSeed> {
    let name = path.file_name()?.to_str().filter(|name| !name.starts_with(PARTIAL))?;
    let manifest = Manifest::read(path)?;
    let used_at = fs::metadata(path.join(MANIFEST)).and_then(|data| data.modified()).ok()?;
    let id = name.chars().take(12).collect();
    Some(KeptSeed { id, made_at: manifest.made_at, used_at, bytes: disk_usage(path), what: manifest.what })
}

fn children(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Waits until nobody is in the way, and keeps others away for as long as the file that it returns is open.
fn lock(dir: &Path, access: Access, progress: &dyn Progress) -> Result<File, StorageError> {
    let path = dir.join(LOCK);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.context("open", &path)?;
    loop {
        let taken = match access {
            Access::Read => file.try_lock_shared(),
            Access::Write => file.try_lock(),
        };
        match taken {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if progress.is_cancelled() => {
                return Err(StorageError::Cancelled);
            }
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(LOOK),
            Err(fs::TryLockError::Error(error)) => return Err(StorageError::io("lock", &path, error)),
        }
    }
}

#[cfg(test)]
mod tests;

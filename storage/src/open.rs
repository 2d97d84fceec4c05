//! Opening a store: taking it, and recovering from whatever stopped the last engine.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

use offshoot_pages::process::ProcessId;
use offshoot_postgres::Installation;
use offshoot_postgres::account::Account;
use offshoot_postgres::install::Origin;

use crate::clones::Clones;
use crate::driver::{Driver, DriverKind};
use crate::error::{Context as _, StorageError};
use crate::files::remove_tree;
use crate::metadata::Metadata;
use crate::page_layers::PageLayers;
use crate::paths::Paths;
use crate::purge::make_ballast;
use crate::store::{OpenStore, Shared, Store, StoreInfo};
use crate::{BranchId, boot, create, refresh, standby};

/// How long a lock may be held that a killed engine has left, and how often it is looked at.
const LEFT_PATIENCE: Duration = Duration::from_secs(10);
const LEFT_INTERVAL: Duration = Duration::from_millis(5);

impl Store {
    /// Opens and locks the store, and recovers from whatever stopped the last engine.
    ///
    /// # Errors
    /// [`StorageError::Locked`] when another process owns it, [`StorageError::NotAStore`],
    /// [`StorageError::FormatTooNew`], [`StorageError::Refused`] for a Postgres that cannot run on layers.
    pub fn open(options: OpenStore) -> Result<Self, StorageError> {
        let metadata_path = Paths::new(&options.dir, &options.runtime_dir).metadata();
        if !metadata_path.is_file() {
            return Err(StorageError::NotAStore { path: options.dir });
        }
        let dir = fs::canonicalize(&options.dir).context("open the store", &options.dir)?;
        let paths = Paths::new(&dir, &options.runtime_dir);
        let lock = take_lock(&paths.lock())?;
        let metadata = Arc::new(Metadata::open(&paths.metadata())?);
        let info = read_info(&dir, &metadata)?;
        let paths = paths.with_driver(info.driver);
        let driver = make_driver(&options, &info, &paths, &metadata)?;
        stop_orphans(&paths, options.account.as_ref())?;
        refresh::clear(&paths, options.account.as_ref())?;
        standby::clear(&paths, &metadata)?;
        crash_point!(OpenOrphansStopped);
        prepare_runtime(paths.runtime(), options.account.as_ref())?;
        let boot = boot::id(paths.store())?;
        driver.recover()?;
        crash_point!(OpenRecovered);
        let root = metadata.property("root_branch")?.and_then(|id| id.parse().ok()).ok_or_else(|| {
            let what = "its property `root_branch` is no number".to_owned();
            StorageError::Damaged { path: paths.metadata(), what }
        })?;
        let password = fs::read_to_string(paths.secret()).context("read", &paths.secret())?;
        let shared = Arc::new(Shared {
            info,
            paths,
            password: password.trim().to_owned(),
            account: options.account,
            metadata,
            driver,
            boot,
            root: AtomicU64::new(root),
            cells: Mutex::default(),
            settings: Mutex::new(options.settings),
            making: RwLock::default(),
            next_branch: AtomicU64::new(0),
            merging: Mutex::default(),
            restore: Mutex::default(),
            old_wal: Mutex::default(),
        });
        make_ballast(&shared.paths);
        let (sender, thread) = start_settler(&shared)?;
        Ok(Self { shared, settler: Mutex::new(Some(sender)), settler_thread: Mutex::new(Some(thread)), lock })
    }
}

/// What keeps the branches of this store apart.
fn make_driver(
    options: &OpenStore,
    info: &StoreInfo,
    paths: &Paths,
    metadata: &Arc<Metadata>,
) -> Result<Box<dyn Driver>, StorageError> {
    let (paths, metadata, account) = (paths.clone(), Arc::clone(metadata), options.account.clone());
    match info.driver {
        DriverKind::Layers => {
            let interposer = create::install_interposer(&options.interposer, &paths.libraries())?;
            create::check_postgres(&info.postgres, &interposer)?;
            Ok(Box::new(PageLayers::new(paths, metadata, account, interposer)?))
        }
        DriverKind::Clone => Ok(Box::new(Clones::new(paths, metadata, account)?)),
    }
}

/// Makes new branches durable, one after the other, on a thread of its own.
fn start_settler(shared: &Arc<Shared>) -> Result<(Sender<BranchId>, JoinHandle<()>), StorageError> {
    let (sender, receiver) = channel::<BranchId>();
    let background = Arc::clone(shared);
    for row in shared.metadata.branches()?.iter().filter(|row| row.unsettled_boot.is_some()) {
        let _ = sender.send(row.id);
    }
    let thread = std::thread::Builder::new()
        .name("settler".into())
        .stack_size(256 * 1024)
        .spawn(move || {
            while let Ok(branch) = receiver.recv() {
                let exists = background.metadata.branch(branch).is_ok_and(|row| row.is_some());
                if exists && let Err(error) = background.driver.settle(branch) {
                    tracing::error!(%branch, %error, "a new branch could not be made durable");
                }
            }
        })
        .context("start a thread for", shared.paths.store())?;
    Ok((sender, thread))
}

/// Takes the store for this process. The lock goes with the process, however it ends.
fn take_lock(path: &Path) -> Result<File, StorageError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .context("open", path)?;
    let since = Instant::now();
    // SAFETY: a lock on our own descriptor; no memory is touched.
    while unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        let mut text = String::new();
        let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
        let pid = text.trim().parse().unwrap_or(0);
        // A process that the owner was about to start as it was killed has the lock until it is the program that it is to be.
        let is_left = pid > 0 && !ProcessId { pid: pid as i32, started: 0 }.is_alive();
        if !is_left || since.elapsed() > LEFT_PATIENCE {
            return Err(StorageError::Locked { pid });
        }
        std::thread::sleep(LEFT_INTERVAL);
    }
    let write = (|| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    })();
    write.context("write", path)?;
    Ok(file)
}

fn read_info(dir: &Path, metadata: &Metadata) -> Result<StoreInfo, StorageError> {
    let property = |key: &str| -> Result<String, StorageError> {
        metadata.property(key)?.ok_or_else(|| StorageError::Damaged {
            path: dir.join("meta.sqlite"),
            what: format!("it has no property `{key}`"),
        })
    };
    let number = |key: &str| -> Result<u64, StorageError> {
        property(key)?.parse().map_err(|_| StorageError::Damaged {
            path: dir.join("meta.sqlite"),
            what: format!("its property `{key}` is no number"),
        })
    };
    Ok(StoreInfo {
        driver: read_driver(dir, metadata)?,
        path: dir.to_owned(),
        format: number("format")? as u32,
        database: property("database")?,
        user: property("user")?,
        postgres: Installation::in_dir(Path::new(&property("postgres_bin_dir")?), Origin::BinDir)?,
        created_at: UNIX_EPOCH + Duration::from_millis(number("created_ms")?),
    })
}

fn read_driver(dir: &Path, metadata: &Metadata) -> Result<DriverKind, StorageError> {
    let Some(name) = metadata.property("driver")? else {
        // From before there was a choice.
        return Ok(DriverKind::Layers);
    };
    DriverKind::parse(&name).ok_or_else(|| StorageError::Refused {
        what: format!("The store {}", dir.display()),
        why: format!(
            "its branches are kept apart by `{name}`, which this Offshoot does not know; update Offshoot"
        ),
    })
}

/// The driver of the store in `dir`, which may be in use.
///
/// # Errors
/// [`StorageError::NotAStore`], [`StorageError::Refused`] for a driver that is not known.
pub fn driver_of(dir: &Path) -> Result<DriverKind, StorageError> {
    let path = Paths::new(dir, dir).metadata();
    if !path.is_file() {
        return Err(StorageError::NotAStore { path: dir.to_owned() });
    }
    read_driver(dir, &Metadata::open_read_only(&path)?)
}

/// Stops servers that outlived an engine that was killed.
fn stop_orphans(paths: &Paths, account: Option<&Account>) -> Result<(), StorageError> {
    let folder = paths.branches();
    // One that was being started when its engine died has no file yet.
    let in_use =
        offshoot_postgres::server::clusters_in_use(account).context("look for servers of", &folder)?;
    for entry in fs::read_dir(&folder).context("list", &folder)? {
        let data = entry.context("list", &folder)?.path().join("pgdata");
        let may_run = data.join("postmaster.pid").exists()
            || data.canonicalize().is_ok_and(|data| in_use.contains(&data));
        if may_run && offshoot_postgres::server::stop_orphan(&data, account)? {
            tracing::warn!(data = %data.display(), "stopped a server that an earlier engine left behind");
        }
    }
    Ok(())
}

/// Makes the folder for sockets; what an earlier engine left in it goes.
fn prepare_runtime(runtime: &Path, account: Option<&Account>) -> Result<(), StorageError> {
    for entry in fs::read_dir(runtime).context("list", runtime)? {
        let entry = entry.context("list", runtime)?;
        let name = entry.file_name();
        let of_a_branch = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        // What data were loaded through; a store is not open while it is made.
        if of_a_branch || name.as_encoded_bytes().starts_with(b"load-") {
            remove_tree(&entry.path())?;
        }
    }
    if account.is_some() {
        // Postgres, as another user, must be able to pass through to its own folder.
        let through = fs::Permissions::from_mode(0o711);
        fs::set_permissions(runtime, through).context("open the way through", runtime)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A lock file that is locked already, and says that this process has it.
    fn locked_by(pid: u32) -> (tempfile::TempDir, std::path::PathBuf, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = take_lock(&path).unwrap();
        fs::write(&path, format!("{pid}\n")).unwrap();
        (folder, path, held)
    }

    #[test]
    fn a_store_that_a_living_process_has_is_refused() {
        let (_folder, path, _held) = locked_by(std::process::id());
        assert!(matches!(take_lock(&path), Err(StorageError::Locked { pid }) if pid == std::process::id()));
    }

    #[test]
    fn a_lock_that_a_killed_engine_has_left_to_a_process_that_it_was_starting_is_waited_for() {
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let (_folder, path, held) = locked_by(gone.id());
        let letting_go = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
        });
        take_lock(&path).unwrap();
        letting_go.join().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().trim(), std::process::id().to_string());
    }
}

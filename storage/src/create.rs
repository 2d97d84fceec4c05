//! Making a store: a cluster, its data, and the base layer that all branches read.

mod fill;
mod kept;
mod load;
mod physical;
mod seed;

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use offshoot_postgres::account::Account;
use offshoot_postgres::client::ClientTools;
use offshoot_postgres::load::LoadReport;
use offshoot_postgres::mask::{Rule, Transformer};
use offshoot_postgres::subset::Subset;
use offshoot_postgres::{Installation, Progress, elf};

use offshoot_pages::process::ProcessId;

pub(crate) use fill::{Fill, Filled};
pub use kept::{KeptSeed, KeptSeeds, SeedCache};
pub(crate) use seed::seed;
pub use seed::{Seed, SeedCommand};

use crate::branches::{check_name, now_ms};
use crate::compute::new_password;
use crate::error::{Context as _, StorageError};
use crate::events::{self, EventKind};
use crate::files::{
    disk_usage, make_private, remove_tree, set_mode, sync_file_system, sync_folder, write_private,
};
use crate::metadata::{self, Metadata};
use crate::paths::Paths;
use crate::{BranchId, DriverKind, LayerId, choose_driver};

/// The role that owns a store; dumps name it more often than any other.
pub(crate) const USER: &str = "postgres";
const ROOT: BranchId = BranchId(1);
/// What to make a store from.
#[derive(Clone)]
pub enum Source {
    /// Nothing.
    Empty,
    /// A script of plain SQL, perhaps compressed by gzip.
    Script(PathBuf),
    /// An archive of `pg_dump`.
    Archive(PathBuf),
    /// A running server.
    Server {
        /// Its address, with the password.
        url: String,
        /// Which rows of its database.
        subset: Subset,
    },
    /// The whole cluster of a running server of the same major, as files.
    Cluster {
        /// Its address, with the password and the name of the database that is wanted.
        url: String,
        /// That name.
        database: String,
        /// The most kilobytes a second that it is to send.
        max_rate_kb: Option<u32>,
    },
    /// The same, to be its standby.
    Standby {
        /// Its address, with the password.
        url: String,
        /// The most kilobytes a second that it is to send.
        max_rate_kb: Option<u32>,
        /// The replication slot to make there.
        slot: String,
    },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Script(path) => f.debug_tuple("Script").field(path).finish(),
            Self::Archive(path) => f.debug_tuple("Archive").field(path).finish(),
            // Its address has a password.
            Self::Server { .. } => f.debug_struct("Server").finish_non_exhaustive(),
            Self::Cluster { .. } => f.debug_struct("Cluster").finish_non_exhaustive(),
            Self::Standby { .. } => f.debug_struct("Standby").finish_non_exhaustive(),
        }
    }
}

/// How to make a store.
#[derive(Clone, Debug)]
pub struct CreateStore {
    /// Where; it must not exist. It appears when all is done.
    pub dir: PathBuf,
    /// A folder for a socket while the data are loaded, with a short path.
    pub runtime_dir: PathBuf,
    /// Name of the first branch.
    pub root_branch: String,
    /// Name of the database to make.
    pub database: String,
    /// What to load into it.
    pub source: Source,
    /// The Postgres to run.
    pub installation: Installation,
    /// `pg_dump` and `pg_restore`, for an archive or a server.
    pub tools: Option<ClientTools>,
    /// Whom to run Postgres as, when this process is root.
    pub account: Option<Account>,
    /// The library that puts layers under Postgres; clones do without.
    pub interposer: PathBuf,
    /// How to keep branches apart; see [`choose_driver`].
    pub driver: DriverKind,
    /// What becomes of personal data on their way into the store.
    pub masking: Vec<Rule>,
    /// What to run behind the data, in order.
    pub seed: Vec<Seed>,
    /// Where what the seed alone makes is kept for the next time, if it shall be.
    pub seed_cache: Option<SeedCache>,
}

/// What [`create_store`] did.
#[derive(Clone, Debug)]
pub struct CreateReport {
    /// Bytes of the store on the disk.
    pub bytes: u64,
    /// What was loaded.
    pub load: Option<LoadReport>,
    /// What somebody should know of the seed.
    pub notes: Vec<String>,
}

/// Makes a store. It is built beside its place and moved there when it is complete and on the disk.
///
/// # Errors
/// [`StorageError::StoreExists`], [`StorageError::Load`] with the line of the first error,
/// [`StorageError::Cancelled`], [`StorageError::Refused`], [`StorageError::DiskFull`]. Nothing is left then: no
/// folder, no process.
pub fn create_store(request: &CreateStore, progress: &dyn Progress) -> Result<CreateReport, StorageError> {
    check_name(&request.root_branch)?;
    if request.dir.exists() {
        return Err(StorageError::StoreExists { path: request.dir.clone() });
    }
    let parent = request.dir.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).context("create the folder", parent)?;
    choose_driver(Some(request.driver), parent)?;
    let building = Building::begin(&request.dir, request.account.as_ref())?;
    let report = build(request, &building.0, progress)?;
    if progress.is_cancelled() {
        return Err(StorageError::Cancelled);
    }
    progress.step("Write to disk", 0, None);
    sync_file_system(&building.0)?;
    fs::rename(&building.0, &request.dir).context("move into place", &request.dir)?;
    sync_folder(parent).context("sync", parent)?;
    Ok(report)
}

/// The folder in which a store is built; gone when this is dropped, unless it was moved away.
struct Building(PathBuf);

impl Building {
    fn begin(dir: &Path, account: Option<&Account>) -> Result<Self, StorageError> {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        remove_abandoned(dir, &name, account);
        let path = dir.with_file_name(format!("{name}.partial-{}", std::process::id()));
        remove_tree(&path)?;
        // Postgres, as another user, must be able to pass through; what lies in it is private.
        fs::DirBuilder::new().mode(0o711).create(&path).context("create the folder", &path)?;
        let building = Self(path);
        set_mode(&building.0, 0o711)?;
        Ok(building)
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.0) {
            tracing::warn!(%error, "an unfinished store is left");
        }
    }
}

/// Removes what an earlier attempt that was killed left behind.
fn remove_abandoned(dir: &Path, name: &str, account: Option<&Account>) {
    let prefix = format!("{name}.partial-");
    let Some(entries) = dir.parent().and_then(|parent| fs::read_dir(parent).ok()) else { return };
    for entry in entries.flatten() {
        let file_name = entry.file_name().to_string_lossy().into_owned();
        let pid = file_name.strip_prefix(&prefix).and_then(|pid| pid.parse::<i32>().ok());
        let gone = pid.is_some_and(|pid| !ProcessId { pid, started: 0 }.is_alive());
        if gone {
            let data = entry.path().join("branches/1/pgdata");
            if let Err(error) = offshoot_postgres::server::stop_orphan(&data, account) {
                tracing::warn!(%error, "the server of an unfinished store may be left");
            }
            if let Err(error) = remove_tree(&entry.path()) {
                tracing::warn!(%error, "an unfinished store is left");
            }
        }
    }
}

fn build(request: &CreateStore, dir: &Path, progress: &dyn Progress) -> Result<CreateReport, StorageError> {
    let paths = Paths::new(dir, &request.runtime_dir).with_driver(request.driver);
    let has_layers = request.driver == DriverKind::Layers;
    if has_layers {
        let interposer = install_interposer(&request.interposer, &paths.libraries())?;
        check_postgres(&request.installation, &interposer)?;
    }
    for folder in [paths.branches()].into_iter().chain(has_layers.then(|| paths.layers())) {
        make_private(&folder, None)?;
        // As above: the branches and layers themselves are private.
        set_mode(&folder, 0o711)?;
    }
    let password = new_password().context("make a password for", dir)?;
    let branch = paths.branch(ROOT);
    let fill = Fill {
        installation: &request.installation,
        account: request.account.as_ref(),
        runtime_dir: &request.runtime_dir,
        branch: &request.root_branch,
        database: &request.database,
        source: &request.source,
        tools: request.tools.as_ref(),
        masking: &request.masking,
        masking_key: paths.masking_key(),
        seed: &request.seed,
        seed_cache: request.seed_cache.as_ref(),
        driver: request.driver,
        password: &password,
    };
    let Filled { load, stack, notes } = fill.make(&paths, &branch, progress)?;
    write_private(&paths.secret(), format!("{password}\n").as_bytes()).context("write", &paths.secret())?;
    write_metadata(request, &paths, stack)?;
    Ok(CreateReport { bytes: disk_usage(dir), load, notes })
}

fn write_metadata(
    request: &CreateStore,
    paths: &Paths,
    stack: Option<(LayerId, LayerId)>,
) -> Result<(), StorageError> {
    let metadata = Metadata::create(&paths.metadata())?;
    let owner_only = fs::Permissions::from_mode(0o600);
    fs::set_permissions(paths.metadata(), owner_only).context("protect", &paths.metadata())?;
    let boot = crate::boot::id(paths.store())?;
    metadata.transaction(|transaction| {
        let root = (ROOT, request.root_branch.as_str());
        events::record(transaction, EventKind::Created, root, (None, None), None)?;
        metadata::insert_root(transaction, root, stack, &boot)
    })?;
    let bin_dir = request.installation.bin_dir.to_string_lossy();
    for (key, value) in [
        ("database", request.database.as_str()),
        ("user", USER),
        ("driver", request.driver.as_str()),
        ("root_branch", &ROOT.to_string()),
        ("postgres_bin_dir", &bin_dir),
        ("postgres_version", &request.installation.version.to_string()),
        ("created_ms", &now_ms().to_string()),
    ] {
        metadata.set_property(key, value)?;
    }
    if let Some(masked) = masked_columns(&request.masking, &request.source) {
        metadata.set_property(MASKED, &masked)?;
    }
    Ok(())
}

/// The property of a store that has the columns which were masked when data were imported last.
pub(crate) const MASKED: &str = "masked_columns";

/// The columns that rules mask, a line each; `None` where nothing is imported.
pub(crate) fn masked_columns(rules: &[Rule], source: &Source) -> Option<String> {
    let masked = rules.iter().filter(|rule| rule.with != Transformer::Keep);
    let names: Vec<String> = masked.map(|rule| rule.column.to_string()).collect();
    (!matches!(source, Source::Empty)).then(|| names.join("\n"))
}

/// Copies the interposer into the store, named by its content: an update of Offshoot does not change the library
/// under a running Postgres.
pub(crate) fn install_interposer(library: &Path, folder: &Path) -> Result<PathBuf, StorageError> {
    let content = fs::read(library).context("read the interposer", library)?;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in &content {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    match fs::DirBuilder::new().mode(0o755).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(StorageError::io("create the folder", folder, error));
        }
        _ => {}
    }
    set_mode(folder, 0o755)?;
    let target = folder.join(format!("interpose-{hash:016x}.so"));
    if fs::metadata(&target).is_ok_and(|data| data.len() == content.len() as u64) {
        set_mode(&target, 0o755)?;
        return Ok(target);
    }
    let temporary = target.with_extension("tmp");
    let written = (|| {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o755).open(&temporary)?;
        io::Write::write_all(&mut file, &content)?;
        file.sync_all()?;
        fs::rename(&temporary, &target)
    })();
    written.context("copy the interposer to", &target)?;
    set_mode(&target, 0o755)?;
    Ok(target)
}

/// Refuses a Postgres that makes file calls which the interposer does not stand in for.
pub(crate) fn check_postgres(installation: &Installation, interposer: &Path) -> Result<(), StorageError> {
    let refused = |error: elf::ImportError| StorageError::Refused {
        what: format!("Postgres in {}", installation.bin_dir.display()),
        why: format!("{error} {}", error.hint()),
    };
    let covered = elf::exports(interposer).map_err(refused)?;
    let covered: Vec<&str> = covered.iter().map(String::as_str).collect();
    elf::check_imports(&installation.postgres(), &covered).map_err(refused)
}

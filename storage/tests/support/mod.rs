//! A store in a temporary folder, on a real Postgres, for the tests of the engine.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod check;
pub mod disk;
pub mod faults;
pub mod layers;
pub mod load;
pub mod power;
pub mod processes;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use offshoot_postgres::account::{self, Account};
use offshoot_postgres::install::Origin;
use offshoot_postgres::{Installation, Locator, Progress, Request, Silent};
use offshoot_storage::{BranchId, CreateStore, DriverKind, OpenStore, Source, Store, create_store};

/// A store that goes with the test.
pub struct TestStore {
    // Dropped before its folder: a Postgres must not lose its files while it runs.
    pub store: Option<Store>,
    pub folder: tempfile::TempDir,
    pub installation: Installation,
    pub account: Option<Account>,
    pub settings: Vec<(String, String)>,
    pub driver: DriverKind,
}

/// A Postgres of this major: from the tests' cache, else an installed one. Says loudly when there is none.
pub fn installation(major: u32) -> Option<Installation> {
    if let Some(folder) = std::env::var_os("OFFSHOOT_TEST_BIN_DIR") {
        let found = Installation::in_dir(Path::new(&folder), Origin::BinDir).unwrap();
        return (found.version.major == major).then_some(found);
    }
    let request = Request { major: Some(major), bin_dir: None };
    let found = Locator { cache: cache() }.find_local(&request).unwrap_or_default();
    if found.is_none() {
        eprintln!("SKIPPED: no Postgres {major}; `npm test` fetches it into .cache");
    }
    found
}

fn cache() -> PathBuf {
    let in_the_clone = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache");
    std::env::var_os("OFFSHOOT_TEST_CACHE").map_or_else(in_the_clone, PathBuf::from)
}

/// The driver that stores are made with: the one that `OFFSHOOT_TEST_DRIVER` names, else page layers.
pub fn driver() -> DriverKind {
    std::env::var("OFFSHOOT_TEST_DRIVER").map_or_else(
        |_| DriverKind::default(),
        |name| DriverKind::parse(&name).unwrap_or_else(|| panic!("OFFSHOOT_TEST_DRIVER={name}")),
    )
}

/// Whether stores have layers. Says loudly when not: the test, or a part of it, is about them.
pub fn has_layers() -> bool {
    let has = driver() == DriverKind::Layers;
    if !has {
        eprintln!("SKIPPED: about page layers only");
    }
    has
}

/// Where stores are made: `OFFSHOOT_TEST_DISK`, else `/tmp`.
fn disk() -> PathBuf {
    std::env::var_os("OFFSHOOT_TEST_DISK").map_or_else(|| "/tmp".into(), PathBuf::from)
}

/// As [`disk`], in memory where that is possible and nobody names a disk.
fn quick_disk() -> PathBuf {
    let is_free = std::env::var_os("OFFSHOOT_TEST_DISK").is_none() && memory_disk_suits();
    if is_free { "/dev/shm".into() } else { disk() }
}

/// An empty store to copy, made by the first test of this build that asks. All test programs share it: each of them making its own
/// took longer than most of their tests.
fn template(major: u32) -> Option<PathBuf> {
    let library = fs::metadata(interposer()).unwrap();
    let key = format!("{}-{major}-{}-{}", driver().as_str(), engine_built(), library.mtime());
    let near = templates();
    let folder = near.join(format!("template-{key}"));
    fs::create_dir_all(&near).unwrap();
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !folder.exists() {
        forget_old_templates(&near);
        let made = TestStore::unopened(major)?;
        made.make(Source::Empty).unwrap();
        // A test that is ended here leaves no half of one, which all others would take.
        let half = near.join(format!("half-{key}"));
        if half.exists() {
            fs::remove_dir_all(&half).unwrap();
        }
        copy_tree(&made.folder.path().join("store"), &half);
        fs::rename(&half, &folder).unwrap();
    }
    Some(folder)
}

/// Removes templates of builds that are days old. Those of today may be in use by the tests of another build.
fn forget_old_templates(near: &Path) {
    let days = std::time::Duration::from_hours(48);
    let is_old = |lock: &Path| {
        let age = fs::metadata(lock).and_then(|facts| facts.modified()).map(|time| time.elapsed());
        age.is_ok_and(|age| age.is_ok_and(|age| age > days))
    };
    let locks = fs::read_dir(near).unwrap().flatten().map(|entry| entry.path());
    for lock in locks.filter(|path| path.extension().is_some_and(|kind| kind == "lock") && is_old(path)) {
        let _ = fs::remove_dir_all(lock.with_extension(""));
        let _ = fs::remove_file(lock);
    }
}

/// When the storage crate that this program holds was built, as a number that is another one for another build.
fn engine_built() -> i64 {
    let program = std::env::current_exe().unwrap();
    let built = fs::metadata(&program).unwrap().mtime();
    let is_engine = |file: &Path| {
        file.extension().is_some_and(|kind| kind == "rlib")
            && file.file_stem().is_some_and(|name| name.to_string_lossy().starts_with("liboffshoot_storage-"))
    };
    let libraries = fs::read_dir(program.parent().unwrap()).unwrap().flatten();
    libraries
        .filter(|entry| is_engine(&entry.path()))
        .filter_map(|entry| entry.metadata().ok())
        .map(|facts| facts.mtime())
        // A newer one is not in this program. It is itself the number where it was brought here alone.
        .filter(|library| *library <= built)
        .max()
        .unwrap_or(built)
}

/// Where stores to copy are kept. Clones share blocks on one file system only.
pub fn templates() -> PathBuf {
    let near = std::env::var_os("OFFSHOOT_TEST_DISK").map(|disk| PathBuf::from(disk).join("templates"));
    near.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into())
}

/// Whether a folder is a subvolume of btrfs, whose number is always this one.
pub fn is_subvolume(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|facts| facts.ino() == 256)
}

/// Copies a store; data directories that are subvolumes are such in the copy as well.
pub fn copy_store(from: &Path, to: &Path) {
    copy_tree(from, to);
    for branch in fs::read_dir(from.join("branches")).unwrap().flatten() {
        let data = branch.path().join("pgdata");
        if is_subvolume(&data) {
            let copy = to.join("branches").join(branch.file_name()).join("pgdata");
            fs::remove_dir_all(&copy).unwrap();
            let mut command = std::process::Command::new("btrfs");
            let output = command.args(["subvolume", "snapshot"]).arg(&data).arg(&copy).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
    }
}

/// Copies a folder with all in it; `to` must not exist.
pub fn copy_tree(from: &Path, to: &Path) {
    let status =
        std::process::Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).status().unwrap();
    assert!(status.success());
}

/// The interposer that was built beside the test program.
pub fn interposer() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().and_then(Path::parent).unwrap();
    let library = folder.join("liboffshoot_interpose.so");
    assert!(library.exists(), "build it first: cargo build -p offshoot-interpose ({})", library.display());
    library
}

/// A folder that Postgres can reach, even when it runs as another user than the test.
pub fn open_folder() -> tempfile::TempDir {
    open_folder_in(&disk())
}

/// As [`open_folder`], in memory where that is possible.
pub fn quick_folder() -> tempfile::TempDir {
    open_folder_in(&quick_disk())
}

fn open_folder_in(parent: &Path) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("os-").tempdir_in(parent).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Free bytes and mount flags of the file system that holds `path`; `None` when there is none.
pub fn file_system(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the structure is ours, and any bytes are valid for it.
    unsafe {
        let mut facts: libc::statvfs = std::mem::zeroed();
        let known = libc::statvfs(path.as_ptr(), &raw mut facts) == 0;
        known.then_some((facts.f_bavail * facts.f_frsize, facts.f_flag))
    }
}

/// Whether there is room in memory for a few stores, from where programs may load libraries.
fn memory_disk_suits() -> bool {
    file_system(Path::new("/dev/shm"))
        .is_some_and(|(free, flags)| free >= 4 << 30 && flags & libc::ST_NOEXEC == 0)
}

impl TestStore {
    /// An empty store on Postgres `major`; `None` when that is not there. A copy of one that is made once for each
    /// build of each test program: `initdb` takes longer than most tests.
    pub fn new(major: u32) -> Option<Self> {
        let template = template(major)?;
        let mut test = Self::unopened(major)?;
        copy_tree(&template, &test.folder.path().join("store"));
        test.open();
        Some(test)
    }

    /// As [`TestStore::new`], in memory where that is possible: for tests that write much and whose subject is not
    /// the disk. Syncing costs nothing there.
    pub fn quick(major: u32) -> Option<Self> {
        let mut test = Self::unopened_in(open_folder_in(&quick_disk()), major)?;
        test.open();
        Some(test)
    }

    /// A folder in memory, where that is possible, for a store that the test brings.
    pub fn quick_unopened(major: u32) -> Option<Self> {
        Self::without_store(open_folder_in(&quick_disk()), major)
    }

    /// As [`TestStore::new`], in a folder of the test's own, and not opened yet.
    pub fn unopened_in(folder: tempfile::TempDir, major: u32) -> Option<Self> {
        let template = template(major)?;
        let test = Self::without_store(folder, major)?;
        copy_tree(&template, &test.folder.path().join("store"));
        Some(test)
    }

    /// An empty store with this driver, made in its place.
    pub fn made_with(driver: DriverKind, major: u32) -> Option<Self> {
        let mut test = Self::unopened(major)?;
        test.driver = driver;
        test.make(Source::Empty).unwrap();
        test.open();
        Some(test)
    }

    /// A folder for a store on Postgres `major`, as yet without one.
    fn unopened(major: u32) -> Option<Self> {
        Self::without_store(open_folder(), major)
    }

    fn without_store(folder: tempfile::TempDir, major: u32) -> Option<Self> {
        let installation = installation(major)?;
        let account = account::unprivileged().unwrap();
        let installation = installation.reachable_for(account.as_ref(), &cache().join("shared")).unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        fs::set_permissions(folder.path().join("run"), fs::Permissions::from_mode(0o711)).unwrap();
        Some(Self { folder, store: None, installation, account, settings: Vec::new(), driver: driver() })
    }

    /// A store made from `source`, or why not; then nothing is left behind.
    pub fn from_source(major: u32, source: Source) -> Option<Result<Self, offshoot_storage::StorageError>> {
        Self::from_source_with(major, source, &Silent)
    }

    /// As [`TestStore::from_source`], watched and perhaps cancelled by `progress`.
    pub fn from_source_with(
        major: u32,
        source: Source,
        progress: &dyn Progress,
    ) -> Option<Result<Self, offshoot_storage::StorageError>> {
        // Of a whole cluster there are many files, and the disk is not what is tested.
        let folder = if matches!(source, Source::Cluster { .. }) { quick_folder() } else { open_folder() };
        let mut test = Self::without_store(folder, major)?;
        if let Err(error) = test.make_with(source, progress) {
            let left: Vec<_> =
                fs::read_dir(test.folder.path()).unwrap().flatten().map(|e| e.file_name()).collect();
            assert_eq!(left, ["run"], "left behind");
            assert_eq!(fs::read_dir(test.folder.path().join("run")).unwrap().count(), 0, "left behind");
            return Some(Err(error));
        }
        test.open();
        Some(Ok(test))
    }

    fn make(&self, source: Source) -> Result<(), offshoot_storage::StorageError> {
        self.make_with(source, &Silent)
    }

    fn make_with(
        &self,
        source: Source,
        progress: &dyn Progress,
    ) -> Result<(), offshoot_storage::StorageError> {
        let request = CreateStore {
            dir: self.folder.path().join("store"),
            runtime_dir: self.folder.path().join("run"),
            root_branch: "main".into(),
            database: "app".into(),
            source,
            installation: self.installation.clone(),
            tools: None,
            account: self.account.clone(),
            interposer: interposer(),
            driver: self.driver,
            masking: Vec::new(),
            seed: Vec::new(),
            seed_cache: None,
        };
        create_store(&request, progress).map(|_| ())
    }

    pub fn options(&self) -> OpenStore {
        OpenStore {
            dir: self.folder.path().join("store"),
            runtime_dir: self.folder.path().join("run"),
            account: self.account.clone(),
            interposer: interposer(),
            settings: self.settings.clone(),
        }
    }

    pub fn open(&mut self) {
        self.store = Some(Store::open(self.options()).unwrap());
    }

    pub fn close(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().unwrap();
        }
    }

    pub fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    pub fn id(&self, name: &str) -> BranchId {
        self.store().branch_named(name).unwrap().unwrap_or_else(|| panic!("no branch {name}")).id
    }

    pub fn create(&self, name: &str, parent: &str) -> BranchId {
        self.store().create_branch(name, self.id(parent)).unwrap().id
    }

    /// Wakes a branch and says how to connect to it.
    pub fn config(&self, name: &str, database: &str) -> postgres::Config {
        self.config_of(self.id(name), database)
    }

    /// As [`TestStore::config`], by number.
    pub fn config_of(&self, id: BranchId, database: &str) -> postgres::Config {
        let socket = self.store().wake(id).unwrap();
        let mut config = postgres::Config::new();
        config
            .host_path(socket.parent().unwrap())
            .user("postgres")
            .password(self.store().password())
            .dbname(database);
        config
    }

    pub fn connect_to(&self, name: &str, database: &str) -> postgres::Client {
        self.config(name, database).connect(postgres::NoTls).unwrap()
    }

    pub fn connect_to_id(&self, id: BranchId, database: &str) -> postgres::Client {
        self.config_of(id, database).connect(postgres::NoTls).unwrap()
    }

    pub fn connect(&self, name: &str) -> postgres::Client {
        self.connect_to(name, "app")
    }

    /// Runs statements, each for itself, on a branch.
    pub fn run(&self, name: &str, sql: &str) {
        self.connect(name).batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// The first column of the first row, as text.
    pub fn text(&self, name: &str, sql: &str) -> String {
        first(&mut self.connect(name), sql)
    }

    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub fn data_dir(&self, name: &str) -> PathBuf {
        self.dir().join("branches").join(self.id(name).to_string()).join("pgdata")
    }

    /// Whether a branch's data directory is a subvolume.
    pub fn data_is_subvolume(&self, name: &str) -> bool {
        is_subvolume(&self.data_dir(name))
    }

    /// Kills the branch's postmaster and all its children at once, and waits until the store has noticed.
    pub fn kill(&self, name: &str) {
        processes::kill_family(processes::postmaster(&self.data_dir(name)));
        let id = self.id(name);
        while self.store().branch(id).unwrap().state == offshoot_storage::ComputeState::Awake {
            self.store().poll_exits();
            pause();
        }
    }

    /// Connects as the product does: a branch whose server has given up since is started again.
    pub fn reconnect_waking(&self, name: &str, database: &str) -> postgres::Client {
        reconnect_after(&self.config(name, database), || {
            self.store().poll_exits();
            self.store().wake(self.id(name)).unwrap();
        })
    }

    /// Lets the branch's memory go, so that what is read next comes from its files.
    pub fn restart(&self, name: &str) {
        self.store().sleep(self.id(name)).unwrap();
        self.store().wake(self.id(name)).unwrap();
    }
}

/// Between two looks at what others have to do first: they need the processor that the looks would use.
pub fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(1));
}

/// Connects again and again until the server takes connections after its own recovery.
pub fn reconnect(config: &postgres::Config) -> postgres::Client {
    reconnect_after(config, || ())
}

/// As [`reconnect`], and does `before` ahead of each attempt.
pub fn reconnect_after(config: &postgres::Config, before: impl Fn()) -> postgres::Client {
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    loop {
        before();
        match config.connect(postgres::NoTls) {
            Ok(client) => return client,
            Err(error) => {
                let code = error.as_db_error().map(|error| error.code().code().to_owned());
                // Starting up or shutting down, or it went while the connection was being made.
                let passes = code.as_deref().is_none_or(|code| code.starts_with("57P"));
                assert!(passes && std::time::Instant::now() < deadline, "{error:?}");
                pause();
            }
        }
    }
}

/// One test per major that the product is tested on, of each function that takes one.
#[macro_export]
macro_rules! on_each_major {
    ($($name:ident),+ $(,)?) => {
        mod on_15 { $(#[test] fn $name() { super::$name(15); })+ }
        mod on_17 { $(#[test] fn $name() { super::$name(17); })+ }
        mod on_18 { $(#[test] fn $name() { super::$name(18); })+ }
    };
}

/// Numbers from a seed that is printed and can be given back.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let given = std::env::var("OFFSHOOT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            now.as_nanos() as u64
        });
        eprintln!("OFFSHOOT_TEST_SEED={seed}");
        Self(seed)
    }

    /// Numbers from this seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// Numbers of their own for another thread.
    pub fn fork(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }

    /// A number below `end` (splitmix64).
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// The first column of the first row, as text.
pub fn first(client: &mut postgres::Client, sql: &str) -> String {
    let messages = client.simple_query(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    messages
        .iter()
        .find_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        })
        .unwrap_or_else(|| panic!("{sql}: no rows"))
}

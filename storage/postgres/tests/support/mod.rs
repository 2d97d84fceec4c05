//! A real cluster and a real server for tests.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use offshoot_postgres::account::{self, Account};
use offshoot_postgres::cluster::{InitCluster, init_cluster};
use offshoot_postgres::server::StopMode;
use offshoot_postgres::{ClientTools, Installation, Locator, Progress, Request, Server, ServerSpec, Silent};

pub(crate) const PASSWORD: &str = "a password with ' and \" in it";

static SKIPPED: AtomicU32 = AtomicU32::new(0);

/// The Postgres to test with: `OFFSHOOT_TEST_BIN_DIR`, else one that this machine has. Nothing is fetched.
pub(crate) fn installation() -> Option<Installation> {
    let bin_dir = std::env::var_os("OFFSHOOT_TEST_BIN_DIR").map(PathBuf::from);
    let locator = Locator { cache: std::env::temp_dir().join("offshoot-test-no-cache") };
    let found = locator.find_local(&Request { major: None, bin_dir }).unwrap();
    if found.is_none() {
        let count = SKIPPED.fetch_add(1, Ordering::SeqCst) + 1;
        eprintln!("SKIPPED ({count} so far): there is no Postgres; install one or set OFFSHOOT_TEST_BIN_DIR");
    }
    found
}

/// A folder with a cluster in it.
pub(crate) struct Cluster {
    pub(crate) dir: tempfile::TempDir,
    data: PathBuf,
    pub(crate) installation: Installation,
    pub(crate) account: Option<Account>,
}

impl Cluster {
    pub(crate) fn new() -> Option<Self> {
        let found = installation()?;
        let dir = tempfile::Builder::new().prefix("offshoot-test-").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let account = account::unprivileged().unwrap();
        let installation = found.reachable_for(account.as_ref(), dir.path()).unwrap();
        let cluster = Self { data: dir.path().join("data"), dir, installation, account };
        init_cluster(&cluster.order(), &Silent).unwrap();
        let sockets = cluster.dir.path().join("s");
        std::fs::create_dir(&sockets).unwrap();
        account::chown(&sockets, cluster.account.as_ref()).unwrap();
        Some(cluster)
    }

    pub(crate) fn order(&self) -> InitCluster<'_> {
        InitCluster {
            installation: &self.installation,
            data_dir: &self.data,
            superuser: "postgres",
            password: PASSWORD,
            account: self.account.as_ref(),
            wal_segment_size_mb: None,
            sync: false,
        }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data.clone()
    }

    pub(crate) fn spec(&self) -> ServerSpec {
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        ServerSpec {
            installation: self.installation.clone(),
            data_dir: self.data_dir(),
            socket_dir: self.dir.path().join("s"),
            log_file: self.dir.path().join("log"),
            account: self.account.clone(),
            settings: vec![setting("fsync", "off"), setting("shared_buffers", "16MB")],
            env: Vec::new(),
        }
    }

    pub(crate) fn start(&self) -> Server {
        let mut server = Server::spawn(&self.spec()).unwrap();
        server.wait_ready(Instant::now() + Duration::from_secs(90), &|| false).unwrap();
        server
    }
}

/// A cluster and its running server.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) cluster: Cluster,
}

impl Running {
    pub(crate) fn new() -> Option<Self> {
        let cluster = Cluster::new()?;
        Some(Self { server: cluster.start(), cluster })
    }

    pub(crate) fn client(&self) -> postgres::Client {
        connect(&self.cluster.dir.path().join("s"), "postgres")
    }

    /// A client of a database that is there.
    pub(crate) fn client_of(&self, name: &str) -> postgres::Client {
        connect(&self.cluster.dir.path().join("s"), name)
    }

    /// An empty database of its own.
    pub(crate) fn database(&self, name: &str) -> postgres::Client {
        self.client().batch_execute(&format!("CREATE DATABASE \"{name}\" TEMPLATE template0")).unwrap();
        connect(&self.cluster.dir.path().join("s"), name)
    }

    /// A connection string for libpq, with the password in it.
    pub(crate) fn source(&self, name: &str) -> String {
        let password = PASSWORD.replace('\'', "\\'");
        let sockets = self.cluster.dir.path().join("s");
        format!("host={} user=postgres dbname={name} password='{password}'", sockets.display())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.server.stop(StopMode::Immediate, Duration::from_secs(5));
    }
}

/// The client tools, unless they could only be had by fetching them.
pub(crate) fn tools(cluster: &Cluster) -> Option<ClientTools> {
    struct Offline;
    impl Progress for Offline {
        fn step(&self, _what: &str, _done: u64, _total: Option<u64>) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let locator = Locator { cache: cluster.dir.path().join("cache") };
    let found = locator.client_tools(cluster.installation.version.major, &Offline).ok();
    if found.is_none() {
        eprintln!("SKIPPED: there is no pg_dump of the server's version");
    }
    found
}

pub(crate) fn connect(sockets: &Path, database: &str) -> postgres::Client {
    let mut config = postgres::Config::new();
    config.host(sockets.to_str().unwrap()).user("postgres").password(PASSWORD).dbname(database);
    config.connect(postgres::NoTls).unwrap()
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

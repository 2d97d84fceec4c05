//! A server to copy from.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use offshoot_postgres::account::{self, Account};
use offshoot_postgres::cluster::{InitCluster, init_cluster};
use offshoot_postgres::server::StopMode;
use offshoot_postgres::{Installation, Server, ServerSpec, Silent};

use crate::support;

pub(crate) const PASSWORD: &str = "zq-hunter2-zq";

/// A running server that goes with the test.
pub(crate) struct Source {
    pub(crate) server: Server,
    pub(crate) folder: tempfile::TempDir,
    port: u16,
    account: Option<Account>,
}

impl Source {
    /// A cluster of this major, with these settings. All of a major have one system identifier: they are copies of one.
    pub(crate) fn new(major: u32, settings: &[(&str, &str)]) -> Option<Self> {
        Self::made(major, settings, |spec| support::copy_tree(&template(spec), &spec.data_dir))
    }

    /// As [`Source::new`], with a system identifier of its own.
    pub(crate) fn another(major: u32) -> Option<Self> {
        Self::made(major, &[], init)
    }

    fn made(major: u32, settings: &[(&str, &str)], fill: impl FnOnce(&ServerSpec)) -> Option<Self> {
        let installation = support::installation(major)?;
        let folder = support::quick_folder();
        let account = account::unprivileged().unwrap();
        let installation = installation.reachable_for(account.as_ref(), folder.path()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let spec = spec(installation, &folder, account.clone(), port, settings);
        std::fs::create_dir(&spec.socket_dir).unwrap();
        account::chown(&spec.socket_dir, account.as_ref()).unwrap();
        fill(&spec);
        let server = start(&spec);
        let source = Self { server, folder, port, account };
        source.run("postgres", "CREATE DATABASE shop");
        Some(source)
    }

    /// Starts it again with other settings.
    pub(crate) fn restart(&mut self, settings: &[(&str, &str)]) {
        let before = self.server.spec();
        let spec = spec(before.installation.clone(), &self.folder, self.account.clone(), self.port, settings);
        self.server.stop(StopMode::Fast, Duration::from_secs(30)).unwrap();
        self.server = start(&spec);
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops it; [`Source::restart`] starts it again.
    pub(crate) fn stop(&mut self) {
        self.server.stop(StopMode::Fast, Duration::from_secs(30)).unwrap();
    }

    pub(crate) fn connect(&self, database: &str) -> postgres::Client {
        let mut config = postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("chief").password(PASSWORD).dbname(database);
        config.connect(postgres::NoTls).unwrap()
    }

    pub(crate) fn run(&self, database: &str, sql: &str) {
        self.connect(database).batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub(crate) fn url_of(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        self.url_of("chief", PASSWORD, "shop")
    }

    /// Waits until the source has neither a slot nor a connection of a copy.
    pub(crate) fn is_left_alone(&self) {
        let mut client = self.connect("postgres");
        let left = "SELECT (SELECT count(*) FROM pg_replication_slots WHERE temporary) \
                    + (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender')";
        let deadline = Instant::now() + Duration::from_secs(30);
        while support::first(&mut client, left) != "0" {
            assert!(Instant::now() < deadline, "a slot or a backup is left");
            support::pause();
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let _ = self.server.stop(StopMode::Immediate, Duration::from_secs(10));
    }
}

fn init(spec: &ServerSpec) {
    let order = InitCluster {
        installation: &spec.installation,
        data_dir: &spec.data_dir,
        // Not the name that the copy's superuser has.
        superuser: "chief",
        password: PASSWORD,
        account: spec.account.as_ref(),
        wal_segment_size_mb: None,
        sync: false,
    };
    init_cluster(&order, &Silent).unwrap();
}

/// A cluster to copy, made by the first test that asks: `initdb` takes longer than much of what is tested.
fn template(spec: &ServerSpec) -> PathBuf {
    let near = support::templates();
    std::fs::create_dir_all(&near).unwrap();
    let folder = near.join(format!("source-{}", spec.installation.version.major));
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if !folder.exists() {
        let place = support::quick_folder();
        let made = ServerSpec { data_dir: place.path().join("data"), ..spec.clone() };
        init(&made);
        // A test that is ended here leaves no half of one, which all others would take.
        let half = folder.with_extension("half");
        if half.exists() {
            std::fs::remove_dir_all(&half).unwrap();
        }
        support::copy_tree(&made.data_dir, &half);
        std::fs::rename(&half, &folder).unwrap();
    }
    folder
}

fn start(spec: &ServerSpec) -> Server {
    let mut server = Server::spawn(spec).unwrap();
    server.wait_ready(Instant::now() + Duration::from_mins(1), &|| false).unwrap();
    server
}

fn spec(
    installation: Installation,
    folder: &tempfile::TempDir,
    account: Option<Account>,
    port: u16,
    settings: &[(&str, &str)],
) -> ServerSpec {
    let port = port.to_string();
    let own = [("fsync", "off"), ("listen_addresses", "127.0.0.1"), ("port", port.as_str())];
    let all = own.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ServerSpec {
        installation,
        data_dir: folder.path().join("data"),
        socket_dir: folder.path().join("s"),
        log_file: folder.path().join("log"),
        account,
        settings: all.collect(),
        env: Vec::new(),
    }
}

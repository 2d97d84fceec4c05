//! A real Postgres on a unix socket, with scram passwords.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

use super::short_dir;

pub const PASSWORD: &str = "right";

/// A running server. It stops, and its folder goes, with the last test that uses it.
pub struct Cluster {
    dir: tempfile::TempDir,
    bin: PathBuf,
    user: Option<(u32, u32)>,
    server: Child,
}

/// Server `number`, shared by the tests that run at the same time. None, and a loud line, if there is no Postgres.
pub fn cluster(number: usize) -> Option<Arc<Cluster>> {
    static SHARED: [Mutex<Weak<Cluster>>; 2] = [const { Mutex::new(Weak::new()) }; 2];
    let Some(bin) = bin_dir() else {
        eprintln!(
            "\n*** SKIPPED: no Postgres found. Set OFFSHOOT_TEST_BIN_DIR to a folder with initdb and postgres. ***\n"
        );
        return None;
    };
    let mut shared = SHARED[number].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cluster = shared.upgrade().unwrap_or_else(|| Arc::new(Cluster::start(bin)));
    *shared = Arc::downgrade(&cluster);
    Some(cluster)
}

fn bin_dir() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("OFFSHOOT_TEST_BIN_DIR") {
        return Some(dir.into());
    }
    let majors = (14..=18).rev().map(|major| PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")));
    majors.into_iter().find(|dir| dir.join("postgres").exists())
}

/// Postgres refuses to run as root: the ids of `postgres`, or else `nobody`.
fn other_user(dir: &Path) -> Option<(u32, u32)> {
    if dir.metadata().unwrap().uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let fields: Vec<&str> = line.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("a user to run Postgres as"))
}

impl Cluster {
    fn start(bin: PathBuf) -> Self {
        let dir = short_dir();
        let user = other_user(dir.path());
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        std::fs::write(dir.path().join("password"), PASSWORD).unwrap();
        let (data, password) = (dir.path().join("data"), dir.path().join("password"));
        let mut init = command(&bin, "initdb", user);
        init.arg("-D").arg(&data).arg("--pwfile").arg(password);
        init.args(["-U", "postgres", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"]);
        let output = init.output().unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let mut server = command(&bin, "postgres", user);
        server.arg("-D").arg(&data).arg("-k").arg(dir.path());
        server.args([
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
            "-c",
            "shared_buffers=16MB",
            "-c",
            "max_wal_size=64MB",
        ]);
        server.args(["-c", "log_min_messages=panic"]);
        let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Nobody waits for it here: that is the endpoint's affair.
        Self { dir, bin, user, server }
    }

    /// The folder with its programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The unix socket that it listens on, or will in a moment.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join(".s.PGSQL.5432")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut stop = command(&self.bin, "pg_ctl", self.user);
        stop.arg("-D").arg(self.dir.path().join("data")).args(["-m", "immediate", "-s", "stop"]);
        if !stop.status().is_ok_and(|status| status.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

fn command(bin: &Path, name: &str, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(bin.join(name));
    command.current_dir("/").env_remove("PGPORT");
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

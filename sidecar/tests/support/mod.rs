//! A git repository with an Offshoot of its own: store, sockets, engine and ports are nobody else's.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, missing_docs, reason = "only tests call it")]

mod template;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use offshoot_postgres::{Locator, Request, Silent};
use offshoot_protocol::types::EngineFile;
use serde_json::Value;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_offshoot");
/// How long a condition may take to come true on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A temporary repository. Its engine is stopped when it is dropped.
pub(crate) struct TestRepo {
    root: tempfile::TempDir,
    pub(crate) repo: PathBuf,
    runtime: PathBuf,
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Standard output of a run that must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out.trim_end().to_owned()
    }

    /// Standard error of a run that must have ended with `code`.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self.err.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl TestRepo {
    /// A repository on branch `main` with one commit, without a database.
    pub(crate) fn new() -> Self {
        // Short, because sockets are in it; open to others, because root's Postgres runs as somebody else.
        let root = tempfile::Builder::new().prefix("os").tempdir_in(quick_disk()).unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let repo = root.path().join("repo");
        fs::create_dir(&repo).unwrap();
        let runtime = root.path().join("run");
        let test = Self { root, repo, runtime };
        test.git(&["init", "-q", "-b", "main"]);
        test.commit("first");
        test
    }

    /// The same with an empty database, on any Postgres of this machine.
    ///
    /// It is a copy of what `offshoot init` made for the first test that asked: that takes seconds, and is what `init.rs` is about.
    pub(crate) fn with_database() -> Self {
        let test = Self::new();
        template::copy_into(&test);
        test.run(&["status"]).ok();
        test
    }

    /// Keeps no past of branches, so that the store has no folder of a snapshot that nobody asked for.
    pub(crate) fn without_past(self) -> Self {
        let path = self.repo.join("offshoot.toml");
        let text = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, format!("{text}\n[restore]\nwindow = \"off\"\n")).unwrap();
        self
    }

    /// The same with the folder for sockets of `other`.
    pub(crate) fn beside(other: &Self) -> Self {
        let mut test = Self::new();
        test.runtime.clone_from(&other.runtime);
        test.init().ok();
        test
    }

    /// `offshoot init --empty`.
    pub(crate) fn init(&self) -> Ran {
        let bin_dir = postgres_bin_dir();
        self.run(&["init", "--empty", "--bin-dir", bin_dir.to_str().unwrap()])
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Runs `offshoot` in the repository.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_in(&self.repo, args)
    }

    /// With variables of the environment.
    pub(crate) fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        self.command(PROGRAM).args(args).envs(variables.iter().copied()).output().unwrap().into()
    }

    pub(crate) fn run_in(&self, folder: &Path, args: &[&str]) -> Ran {
        self.command(PROGRAM).current_dir(folder).args(args).output().unwrap().into()
    }

    /// A program with the environment of this repository's Offshoot.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.repo);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("GIT_") || text.starts_with("PG") || text.starts_with("OFFSHOOT_") {
                command.env_remove(&name);
            }
        }
        command
            .env("OFFSHOOT_HOME", self.root().join("home"))
            .env("OFFSHOOT_RUNTIME_DIR", &self.runtime)
            .env("OFFSHOOT_INTERPOSER", interposer())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("NO_COLOR", "1");
        command
    }

    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.repo, args)
    }

    #[track_caller]
    pub(crate) fn git_in(&self, folder: &Path, args: &[&str]) -> String {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
        let output = self.command("git").current_dir(folder).args(identity).args(args).output().unwrap();
        Ran::from(output).ok()
    }

    pub(crate) fn commit(&self, text: &str) {
        self.git(&["commit", "-q", "--allow-empty", "-m", text]);
    }

    /// The value of a query through this worktree's endpoint.
    #[track_caller]
    pub(crate) fn value(&self, sql: &str) -> String {
        let result = self.run(&["sql", "--json", "-c", sql]).json();
        match &result["results"][0]["rows"][0][0] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    pub(crate) fn url(&self) -> String {
        self.run(&["url"]).ok()
    }

    pub(crate) fn status(&self) -> Value {
        self.run(&["status", "--json"]).json()
    }

    /// Names of all database branches.
    pub(crate) fn branches(&self) -> Vec<String> {
        let list = self.run(&["branch", "list", "--json"]).json();
        let branches = list["branches"].as_array().unwrap();
        branches.iter().map(|branch| branch["name"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn store(&self) -> PathBuf {
        let id = fs::read_to_string(self.repo.join(".git/offshoot/project")).unwrap();
        self.root().join("home/stores").join(id.trim())
    }

    pub(crate) fn engine_pid(&self) -> Option<u32> {
        let bytes = fs::read(self.store().join("engine.json")).ok()?;
        Some(serde_json::from_slice::<EngineFile>(&bytes).unwrap().pid)
    }

    /// Where the engine says that it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        let bytes = fs::read(self.store().join("engine.json")).unwrap();
        serde_json::from_slice::<EngineFile>(&bytes).unwrap().socket.into()
    }

    /// Kills the engine as a crash would.
    pub(crate) fn kill_engine(&self) {
        let pid = self.engine_pid().unwrap().to_string();
        signal("-9", &pid);
        wait_until("the engine is gone", || !is_running(&pid));
    }
}

impl Drop for TestRepo {
    fn drop(&mut self) {
        if self.repo.join(".git/offshoot/project").is_file() {
            self.run(&["engine", "stop", "--force"]);
        }
    }
}

/// Where repositories and their stores are made: `OFFSHOOT_TEST_DISK`, else memory where that suits, else `/tmp`. A store has
/// thousands of files, and ext4 takes seconds to make them where as many were removed a minute ago.
fn quick_disk() -> PathBuf {
    let chosen = std::env::var_os("OFFSHOOT_TEST_DISK").map(PathBuf::from);
    chosen.unwrap_or_else(|| if memory_disk_suits() { "/dev/shm".into() } else { "/tmp".into() })
}

/// Whether there is room in memory for a few stores, from where programs may load libraries.
fn memory_disk_suits() -> bool {
    // SAFETY: the structure is ours, any bytes are valid for it, and the path ends with a zero.
    let (known, facts) = unsafe {
        let mut facts: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(c"/dev/shm".as_ptr(), &raw mut facts) == 0, facts)
    };
    known && facts.f_bavail * facts.f_frsize >= 4 << 30 && facts.f_flag & libc::ST_NOEXEC == 0
}

/// Whether the process lives; one that only waits for its parent does not.
pub(crate) fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// Sends a signal, named as `kill` names it.
#[track_caller]
pub(crate) fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Programs of some Postgres: the one that OFFSHOOT_TEST_BIN_DIR names, one of this machine, or a fetched one.
pub(crate) fn postgres_bin_dir() -> PathBuf {
    if let Some(given) = std::env::var_os("OFFSHOOT_TEST_BIN_DIR") {
        return given.into();
    }
    let locator = Locator { cache: Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache") };
    let local = locator.find_local(&Request::default()).unwrap();
    local.unwrap_or_else(|| locator.find(&Request::default(), &Silent).unwrap()).bin_dir
}

/// The library, built if only this crate was.
fn interposer() -> PathBuf {
    let folder = Path::new(PROGRAM).parent().unwrap();
    let library = folder.join("liboffshoot_interpose.so");
    if !library.is_file() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "offshoot-interpose"]);
        build.arg("--target-dir").arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "build the interposer");
    }
    library
}

//! A folder for one test, and git in it with nobody's configuration.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use offshoot_git::{Environment, Head, Worktree, discover_with, head};
use tempfile::TempDir;

pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::with_prefix("offshoot git ").unwrap() }
    }

    /// With a repository `repo` on `main` that has two commits.
    pub(crate) fn with_repo() -> (Self, Repo) {
        Self::with_init(&["init", "-q", "-b", "main", "repo"])
    }

    /// The same as a reftable repository; none, said loudly, if this git is too old.
    pub(crate) fn with_reftable() -> Option<(Self, Repo)> {
        let sandbox = Self::new();
        let args = ["init", "-q", "-b", "main", "--ref-format=reftable", "repo"];
        if !output(&sandbox.path(), &args).status.success() {
            skipped("this git has no reftable; 2.45 or newer is needed");
            return None;
        }
        Some(Self::with_init(&args))
    }

    fn with_init(args: &[&str]) -> (Self, Repo) {
        let sandbox = Self::new();
        git(&sandbox.path(), args);
        let repo = Repo { path: sandbox.path().join("repo") };
        repo.commit("one");
        repo.commit("two");
        (sandbox, repo)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }
}

/// A work tree.
pub(crate) struct Repo {
    pub(crate) path: PathBuf,
}

impl Repo {
    pub(crate) fn git<A: AsRef<OsStr>>(&self, args: &[A]) -> String {
        git(&self.path, args)
    }

    /// Runs a line of words.
    pub(crate) fn run(&self, line: &str) -> String {
        self.git(&line.split(' ').collect::<Vec<_>>())
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// A commit that changes the file `name`.
    pub(crate) fn commit_file(&self, name: &str, text: &str) {
        std::fs::write(self.path.join(name), text).unwrap();
        self.git(&["add", name]);
        self.git(&["commit", "-q", "-m", text]);
    }

    pub(crate) fn id(&self, revision: &str) -> String {
        self.git(&["rev-parse", revision])
    }

    pub(crate) fn worktree(&self) -> Worktree {
        discover(&self.path)
    }

    pub(crate) fn head(&self) -> Head {
        head(&self.worktree()).unwrap()
    }
}

pub(crate) fn discover(path: &Path) -> Worktree {
    discover_with(path, &Environment::clean()).unwrap()
}

/// Says that the running test cannot run here, also when the output of passing tests is not shown.
#[allow(clippy::explicit_write, reason = "what eprintln writes is shown for failing tests only")]
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    writeln!(std::io::stderr(), "SKIPPED {test}: {why}").unwrap();
}

pub(crate) fn on(branch: &str) -> Head {
    Head::Branch(branch.into())
}

/// Runs git and returns its output without the last line end.
pub(crate) fn git<A: AsRef<OsStr>>(folder: &Path, args: &[A]) -> String {
    let output = output(folder, args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let args: Vec<_> = args.iter().map(AsRef::as_ref).collect();
    assert!(output.status.success(), "git {args:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Runs git whatever comes of it.
pub(crate) fn output<A: AsRef<OsStr>>(folder: &Path, args: &[A]) -> Output {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "protocol.file.allow=always"]).args(args);
    for name in
        ["GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"]
    {
        command.env_remove(name);
    }
    command.envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C")]);
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Tester")
            .env(format!("GIT_{role}_EMAIL"), "tester@example.org");
    }
    command.env("GIT_EDITOR", "true").output().unwrap()
}

/// An argument that is not UTF-8.
pub(crate) fn bytes(bytes: &[u8]) -> OsString {
    OsStr::from_bytes(bytes).to_owned()
}

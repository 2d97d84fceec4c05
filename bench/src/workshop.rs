//! The temporary folder in which everything happens, and the programs that run in it.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::args::Args;
use crate::image::Image;

/// The interposer's file, which has to lie beside the program.
const INTERPOSER: &str = "liboffshoot_interpose.so";

/// A folder with the homes of all engines. Dropping it stops them and removes it.
pub(crate) struct Workshop {
    folder: Option<TempDir>,
    path: PathBuf,
    /// The program that is measured.
    pub(crate) offshoot: PathBuf,
    pub(crate) postgres: u32,
    pub(crate) bin_dir: Option<PathBuf>,
    /// What the engine says that branches run on, such as `18.4`.
    pub(crate) found_version: OnceLock<String>,
    /// Places in which an engine may run.
    homes: Mutex<Vec<Home>>,
    /// File systems that are mounted in it.
    images: Mutex<Vec<Image>>,
}

/// A repository with the folders of its engine.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(crate) repository: PathBuf,
    data: PathBuf,
    runtime: PathBuf,
}

impl Workshop {
    pub(crate) fn open(args: &Args) -> Result<Self> {
        let parent = args.dir.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new()
            .prefix("offshoot-bench-")
            .tempdir_in(&parent)
            .with_context(|| format!("make a folder in {}", parent.display()))?;
        // Postgres, as another user than root, must be able to pass through.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let path = folder.path().canonicalize()?;
        Ok(Self {
            folder: Some(folder),
            path,
            offshoot: program(args.offshoot.as_deref())?,
            postgres: args.postgres,
            bin_dir: args.bin_dir.clone(),
            found_version: OnceLock::new(),
            homes: Mutex::default(),
            images: Mutex::default(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The version of Postgres, whole once a database was made.
    pub(crate) fn postgres_version(&self) -> String {
        self.found_version.get().cloned().unwrap_or_else(|| self.postgres.to_string())
    }

    /// A new folder in it.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(path)
    }

    /// New folders for a repository and its engine, on the file system of `parent`.
    pub(crate) fn home(&self, parent: &Path, name: &str) -> Result<Home> {
        let top = parent.join(name);
        fs::create_dir(&top).with_context(|| format!("make {}", top.display()))?;
        let home = Home { repository: top.join("work"), data: top.join("home"), runtime: top.join("run") };
        fs::create_dir(&home.repository)?;
        self.homes().push(home.clone());
        Ok(home)
    }

    /// Makes an XFS that can share blocks, of `bytes` at most, and mounts it in the folder `name`. It goes with the workshop.
    ///
    /// # Errors
    /// What is missing for it; nothing is left then.
    pub(crate) fn xfs(&self, name: &str, bytes: u64) -> Result<PathBuf> {
        let image = Image::xfs(&self.path, name, bytes)?;
        let at = image.at().to_owned();
        self.images().push(image);
        Ok(at)
    }

    /// Unmounts and removes what [`Workshop::xfs`] made. Nothing may run on it any more.
    pub(crate) fn remove_image(&self, at: &Path) {
        self.images().retain(|image| image.at() != at);
    }

    /// Stops the engine of a home and removes everything of it.
    pub(crate) fn close(&self, home: &Home) -> Result<()> {
        stop_engine(&self.offshoot, home)?;
        self.homes().retain(|other| other.repository != home.repository);
        let top = home.repository.parent().context("a home has a folder")?;
        fs::remove_dir_all(top).with_context(|| format!("remove {}", top.display()))
    }

    /// Leaves everything where it is, but for images of file systems. Returns where.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.stop_engines();
        self.images().clear();
        if let Some(folder) = self.folder.take() {
            let _ = folder.keep();
        }
        self.path.clone()
    }

    fn images(&self) -> MutexGuard<'_, Vec<Image>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn homes(&self) -> MutexGuard<'_, Vec<Home>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_engines(&self) {
        for home in self.homes().iter() {
            if let Err(error) = stop_engine(&self.offshoot, home) {
                eprintln!("An engine may be left in {}: {error:#}", home.repository.display());
            }
        }
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            self.stop_engines();
            self.images().clear();
            if let Err(error) = folder.close() {
                eprintln!("{} could not be removed: {error}", self.path.display());
            }
        }
    }
}

impl Home {
    /// `offshoot` in this home. Nothing of the caller's project or database gets into it.
    pub(crate) fn offshoot<S: AsRef<OsStr>>(&self, program: &Path, args: &[S]) -> Command {
        let mut command = clean(program);
        command.args(args).current_dir(&self.repository);
        command.env("OFFSHOOT_HOME", &self.data).env("OFFSHOOT_RUNTIME_DIR", &self.runtime);
        command
    }

    /// `git` in this home, with no configuration of the person's.
    pub(crate) fn git(&self, args: &[&str]) -> Command {
        let mut command = clean(Path::new("git"));
        command.args(args).current_dir(&self.repository);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "Bench");
            command.env(format!("GIT_{role}_EMAIL"), "bench@example.com");
        }
        command
    }
}

/// A command without the variables that lead to somebody's repository, database or engine.
pub(crate) fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let leads_away = ["GIT_", "PG", "OFFSHOOT_"].iter().any(|prefix| text.starts_with(prefix));
        if (leads_away && text != "OFFSHOOT_RUN_AS") || text == "DATABASE_URL" || text == "LD_PRELOAD" {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end and returns what it wrote; an error holds what it complained of.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let done = command.output().with_context(|| format!("run {}", shown(command)))?;
    if !done.status.success() {
        let complaint = String::from_utf8_lossy(&done.stderr);
        bail!("{}: {}: {}", shown(command), done.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn stop_engine(program: &Path, home: &Home) -> Result<()> {
    if !home.data.exists() {
        return Ok(());
    }
    // In a group of its own: a second Ctrl-C must not end it.
    let done = home.offshoot(program, &["engine", "stop"]).process_group(0).output()?;
    let complaint = String::from_utf8_lossy(&done.stderr);
    // `init` may have been interrupted before there was anything to stop.
    if done.status.success() || complaint.contains("has no database yet") || complaint.contains("is gone") {
        return Ok(());
    }
    bail!("offshoot engine stop: {}", complaint.trim())
}

fn program(given: Option<&Path>) -> Result<PathBuf> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?.with_file_name("offshoot"),
    };
    let path = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
    if !path.with_file_name(INTERPOSER).is_file() {
        bail!("{INTERPOSER} is not beside {}; `npm run bench` builds both", path.display());
    }
    Ok(path)
}

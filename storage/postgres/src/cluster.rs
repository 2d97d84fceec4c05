//! Making a new cluster with `initdb`.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::account::{self, Account};
use crate::child;
use crate::install::Installation;
use crate::progress::Progress;

/// The order to make a cluster.
#[derive(Debug, Clone, Copy)]
pub struct InitCluster<'a> {
    /// Whose `initdb` to run.
    pub installation: &'a Installation,
    /// The folder to make; it must not exist or be empty, and its parent must exist.
    pub data_dir: &'a Path,
    /// The name of the first role.
    pub superuser: &'a str,
    /// The password of that role; one line.
    pub password: &'a str,
    /// The user to run as, who will own the cluster.
    pub account: Option<&'a Account>,
    /// Megabytes of a WAL segment; `None` for Postgres's default of 16.
    pub wal_segment_size_mb: Option<u32>,
    /// Whether to wait until the new files are on the disk.
    pub sync: bool,
}

/// Why no cluster was made. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The folder has something in it already.
    #[error("{0} is not empty")]
    NotEmpty(PathBuf),
    /// The password has a line break or is empty.
    #[error("a password must be one line of text that is not empty")]
    Password,
    /// `initdb` refused.
    #[error("initdb failed: {stderr}")]
    Failed {
        /// The last lines it wrote.
        stderr: String,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A file could not be written, or `initdb` could not be started.
    #[error("make a cluster: {0}")]
    Io(#[from] io::Error),
}

/// The locales to try, best first: not every system has the first.
const LOCALES: [&str; 2] = ["C.UTF-8", "C"];

/// Makes a cluster: UTF-8, data checksums, SCRAM passwords on every connection.
///
/// # Errors
/// [`ClusterError`]; the data folder is as it was before, except that an empty one is gone.
pub fn init_cluster(order: &InitCluster<'_>, progress: &dyn Progress) -> Result<(), ClusterError> {
    if order.password.is_empty() || order.password.contains(['\n', '\r', '\0']) {
        return Err(ClusterError::Password);
    }
    if order.data_dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(ClusterError::NotEmpty(order.data_dir.to_owned()));
    }
    progress.step("Make a Postgres cluster", 0, None);
    let password = PasswordFile::write(order)?;
    let made = try_locales(order, &password.0, progress);
    if made.is_err() {
        remove_cluster(order.data_dir);
    } else {
        progress.step("Make a Postgres cluster", 1, Some(1));
    }
    made
}

fn try_locales(
    order: &InitCluster<'_>,
    password: &Path,
    progress: &dyn Progress,
) -> Result<(), ClusterError> {
    let mut failure = None;
    for locale in LOCALES {
        make_empty(order)?;
        let done = child::run(&mut command(order, password, locale), progress)?;
        if progress.is_cancelled() {
            return Err(ClusterError::Cancelled);
        }
        if done.status.success() {
            return Ok(());
        }
        let about_locale = done.stderr.contains("locale");
        failure = Some(ClusterError::Failed { stderr: child::last_lines(&done.stderr, 12) });
        if !about_locale {
            break;
        }
        remove_cluster(order.data_dir);
    }
    failure.map_or(Ok(()), Err)
}

/// The account may not be able to write beside the data folder, so the folder is made for it.
fn make_empty(order: &InitCluster<'_>) -> io::Result<()> {
    match fs::create_dir(order.data_dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::set_permissions(order.data_dir, Permissions::from_mode(0o700))?;
    account::chown(order.data_dir, order.account)
}

fn command(order: &InitCluster<'_>, password: &Path, locale: &str) -> Command {
    let mut command = Command::new(order.installation.initdb());
    command
        .args(["--auth-host=scram-sha-256", "--auth-local=scram-sha-256", "--encoding=UTF8"])
        .args(["--data-checksums", "--no-instructions"])
        .arg(format!("--locale={locale}"))
        .arg(format!("--username={}", order.superuser))
        .arg(joined("--pwfile=", password))
        .arg(joined("--pgdata=", order.data_dir));
    if let Some(size_mb) = order.wal_segment_size_mb {
        command.arg(format!("--wal-segsize={size_mb}"));
    }
    if !order.sync {
        command.arg("--no-sync");
    }
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
        command.env_remove(name);
    }
    // English messages, so that a complaint about the locale is understood.
    command.env("LC_ALL", "C").env_remove("LD_PRELOAD");
    account::apply(&mut command, order.account);
    command
}

fn joined(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

/// A killed `initdb` leaves a child that may still write for a moment: removing is tried until nothing comes back.
fn remove_cluster(data_dir: &Path) {
    for _ in 0..100 {
        match fs::remove_dir_all(data_dir) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(dir = %data_dir.display(), %error, "a half-made cluster could not be removed");
                return;
            }
            _ => return,
        }
    }
}

/// The password in a file that only the account can read, for as long as `initdb` needs it.
struct PasswordFile(PathBuf);

impl PasswordFile {
    fn write(order: &InitCluster<'_>) -> io::Result<Self> {
        // Beside the data folder the account can search; the folder itself must stay empty.
        let mut name = std::ffi::OsString::from(".");
        name.push(order.data_dir.file_name().unwrap_or_default());
        name.push(format!(".password-{}", std::process::id()));
        let path = order.data_dir.with_file_name(name);
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let written = Self(path);
        file.write_all(order.password.as_bytes())?;
        file.write_all(b"\n")?;
        account::chown(&written.0, order.account)?;
        Ok(written)
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

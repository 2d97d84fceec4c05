//! The user that Postgres runs as. Postgres refuses to run as root, so root hands it to somebody else.

pub(crate) mod tree;

use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::install::{InstallError, Installation};
use crate::sys;

/// Names the user to run Postgres as when this process is root.
pub const RUN_AS: &str = "OFFSHOOT_RUN_AS";

/// An unprivileged user with an entry in the password file, without which `initdb` refuses to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user id.
    pub uid: u32,
    /// The id of the user's own group.
    pub gid: u32,
    /// The login name.
    pub name: String,
}

/// Why no user could be chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The user named in the environment does not exist.
    #[error("OFFSHOOT_RUN_AS names the user `{0}`, who does not exist")]
    Unknown(String),
    /// The user named in the environment is root itself.
    #[error("OFFSHOOT_RUN_AS names `{0}`, who is root; Postgres refuses to run as root")]
    Root(String),
    /// Neither of the usual users exists.
    #[error("Postgres refuses to run as root, and there is no user `postgres` or `nobody` to run it as")]
    Nobody,
    /// The user database could not be read.
    #[error("look up a user: {0}")]
    Io(#[from] io::Error),
}

impl AccountError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Unknown(name) => format!("Create the user `{name}`, or set {RUN_AS} to another one."),
            Self::Root(_) | Self::Nobody => {
                format!("Create a user and set {RUN_AS} to its name, or do not run as root.")
            }
            Self::Io(_) => "Check that the password file can be read.".to_owned(),
        }
    }
}

/// The user to run Postgres as: `None` unless this process is root.
///
/// Root takes `OFFSHOOT_RUN_AS`, else `postgres`, else `nobody`.
pub fn unprivileged() -> Result<Option<Account>, AccountError> {
    if sys::effective_uid() != 0 {
        return Ok(None);
    }
    match std::env::var(RUN_AS) {
        Ok(name) if !name.is_empty() => named(&name).map(Some),
        _ => first_of(&["postgres", "nobody"]).map(Some),
    }
}

fn named(name: &str) -> Result<Account, AccountError> {
    match sys::account_named(name)? {
        None => Err(AccountError::Unknown(name.to_owned())),
        Some(account) if account.uid == 0 => Err(AccountError::Root(name.to_owned())),
        Some(account) => Ok(account),
    }
}

fn first_of(names: &[&str]) -> Result<Account, AccountError> {
    for name in names {
        if let Some(account) = sys::account_named(name)?
            && account.uid != 0
        {
            return Ok(account);
        }
    }
    Err(AccountError::Nobody)
}

/// Makes `command` run as `account`: its user and group, no supplementary groups, no home, in `/`.
///
/// Does nothing without an account.
pub fn apply(command: &mut Command, account: Option<&Account>) {
    use std::os::unix::process::CommandExt;
    if let Some(account) = account {
        // Setting the user as root makes the standard library drop the supplementary groups too.
        command.uid(account.uid).gid(account.gid).env_remove("HOME").current_dir("/");
    }
}

/// Gives `path` itself to `account`; a symbolic link is not followed.
pub fn chown(path: &Path, account: Option<&Account>) -> io::Result<()> {
    match account {
        Some(account) => lchown(path, Some(account.uid), Some(account.gid)),
        None => Ok(()),
    }
}

/// Gives `path` and everything below it to `account`; symbolic links are not followed.
pub fn chown_all(path: &Path, account: Option<&Account>) -> io::Result<()> {
    if account.is_none() {
        return Ok(());
    }
    if path.symlink_metadata()?.is_dir() {
        for entry in path.read_dir()? {
            chown_all(&entry?.path(), account)?;
        }
    }
    chown(path, account)
}

/// Whether `account` can use `path`: search every folder above it, read it, and run it if it is a program.
///
/// Judges by owner, group and mode; access control lists are not read. Without an account the answer is whether
/// this process sees the file.
pub fn can_reach(path: &Path, account: Option<&Account>) -> bool {
    let Some(account) = account else { return path.exists() };
    let Ok(real) = path.canonicalize() else { return false };
    // Both ways to it matter: the given one is what the user will walk, the real one is where links lead.
    [path, real.as_path()].into_iter().all(|way| walkable(way, account)) && usable(&real, account)
}

fn walkable(path: &Path, account: &Account) -> bool {
    path.ancestors()
        .skip(1)
        .filter(|folder| !folder.as_os_str().is_empty())
        .all(|folder| permits(folder, account, 1))
}

fn usable(path: &Path, account: &Account) -> bool {
    let Ok(facts) = path.metadata() else { return false };
    let needs = if facts.is_dir() || facts.mode() & 0o111 != 0 { 5 } else { 4 };
    permits(path, account, needs)
}

/// Whether the mode of `path` grants the bits of `needs` (4 read, 2 write, 1 search or run).
fn permits(path: &Path, account: &Account, needs: u32) -> bool {
    let Ok(facts) = path.metadata() else { return false };
    let shift = match (facts.uid() == account.uid, facts.gid() == account.gid) {
        (true, _) => 6,
        (false, true) => 3,
        (false, false) => 0,
    };
    facts.mode() >> shift & needs == needs
}

impl Installation {
    /// This installation, or a copy of it under `cache` if `account` cannot reach it.
    ///
    /// The copy (`bin`, `lib`, `share`) is made once, in `<cache>/postgres-shared/<version>-<origin>`, and is renamed
    /// into place, so that nobody ever sees a part of it.
    ///
    /// # Errors
    /// [`InstallError::Unreachable`] if the account could not reach the copy either, or if the installation is not
    /// one folder that can be copied.
    pub fn reachable_for(&self, account: Option<&Account>, cache: &Path) -> Result<Self, InstallError> {
        let Some(user) = account else { return Ok(self.clone()) };
        if self.reaches(account) {
            return Ok(self.clone());
        }
        let unreachable =
            |path: &Path| InstallError::Unreachable { path: path.to_owned(), user: user.name.clone() };
        let root = self.tree_root().ok_or_else(|| unreachable(&self.bin_dir))?;
        let copy = cache.join("postgres-shared").join(self.copy_name(&root)?);
        let moved = Self { bin_dir: copy.join("bin"), ..self.clone() };
        if !moved.reaches(account) {
            tree::copy_into_place(&root, &["bin", "lib", "share"], &copy)?;
        }
        if moved.reaches(account) { Ok(moved) } else { Err(unreachable(&copy)) }
    }

    fn reaches(&self, account: Option<&Account>) -> bool {
        let beside =
            |name: &str| self.bin_dir.parent().map(|root| root.join(name)).filter(|path| path.exists());
        [Some(self.postgres()), Some(self.initdb()), beside("lib"), beside("share")]
            .into_iter()
            .flatten()
            .all(|path| can_reach(&path, account))
    }

    /// The folder that holds `bin`, `lib` and `share`, if this installation is such a folder.
    fn tree_root(&self) -> Option<PathBuf> {
        let root = self.bin_dir.canonicalize().ok()?.parent()?.to_owned();
        let whole = self.bin_dir.ends_with("bin") && root.join("lib").is_dir() && root.join("share").is_dir();
        (whole && root != Path::new("/usr") && root != Path::new("/usr/local")).then_some(root)
    }

    /// Version and a hash of the origin: another place, or another build in the same place, is another copy.
    fn copy_name(&self, root: &Path) -> io::Result<String> {
        let facts = self.postgres().metadata()?;
        let origin = format!("{}\n{}\n{}", root.display(), facts.len(), facts.mtime());
        let hash = origin.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        Ok(format!("{}-{hash:016x}", self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn stranger() -> Account {
        Account { uid: 4_000_123, gid: 4_000_123, name: "stranger".to_owned() }
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn closed_folder_above_makes_a_file_unreachable() {
        let root = tempfile::tempdir().unwrap();
        set_mode(root.path(), 0o755);
        let inner = root.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let file = inner.join("program");
        std::fs::write(&file, "x").unwrap();
        set_mode(&file, 0o755);
        assert!(can_reach(&file, Some(&stranger())));
        set_mode(&file, 0o750);
        assert!(!can_reach(&file, Some(&stranger())));
        set_mode(&file, 0o755);
        set_mode(&inner, 0o700);
        assert!(!can_reach(&file, Some(&stranger())));
        assert!(can_reach(&file, None));
    }

    #[test]
    fn link_into_a_closed_folder_is_unreachable() {
        let root = tempfile::tempdir().unwrap();
        set_mode(root.path(), 0o755);
        let closed = root.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::write(closed.join("file"), "x").unwrap();
        set_mode(&closed, 0o700);
        let link = root.path().join("link");
        std::os::unix::fs::symlink(closed.join("file"), &link).unwrap();
        assert!(!can_reach(&link, Some(&stranger())));
    }

    #[test]
    fn root_chooses_somebody_and_others_nobody() {
        match unprivileged() {
            Ok(Some(account)) => assert_ne!(account.uid, 0),
            Ok(None) => assert_ne!(sys::effective_uid(), 0),
            Err(error) => assert!(!error.hint().is_empty()),
        }
    }

    #[test]
    fn unknown_user_is_named_in_the_error() {
        let error = named("no-such-user-here").unwrap_err();
        assert!(error.to_string().contains("no-such-user-here"));
        assert!(matches!(named("root"), Err(AccountError::Root(_))));
    }
}

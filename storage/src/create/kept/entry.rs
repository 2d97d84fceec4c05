//! A cluster that is kept: its files, and a list of them with their checksums.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offshoot_postgres::Progress;

use super::Extensions;

pub(super) const MANIFEST: &str = "manifest";
const DATA: &str = "pgdata";
/// The first line of a manifest, and the last one.
const BEGIN: &str = "offshoot seed 1";
const END: &str = "end";
const BUFFER_BYTES: usize = 64 * 1024;

/// What is in an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) made_at: SystemTime,
    /// What it was made of, for people; a line.
    pub(super) what: String,
    pub(super) extensions: Extensions,
    /// Folders, each behind the one that it is in.
    folders: Vec<PathBuf>,
    files: Vec<Listed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    path: PathBuf,
    bytes: u64,
    crc: u32,
}

impl Manifest {
    /// Copies the cluster in `data` to the entry's folder `to`, and writes down what there is.
    pub(super) fn copy_from(
        data: &Path,
        to: &Path,
        extensions: Extensions,
        what: String,
        progress: &dyn Progress,
    ) -> io::Result<()> {
        let made_at = SystemTime::now();
        let mut manifest = Self { made_at, what, extensions, folders: Vec::new(), files: Vec::new() };
        let target = to.join(DATA);
        DirBuilder::new().mode(0o700).create(&target)?;
        manifest.take_in(data, &target, Path::new(""), progress)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to.join(MANIFEST))?;
        file.write_all(manifest.text()?.as_bytes())
    }

    fn take_in(
        &mut self,
        data: &Path,
        target: &Path,
        folder: &Path,
        progress: &dyn Progress,
    ) -> io::Result<()> {
        for entry in fs::read_dir(data.join(folder))? {
            let entry = entry?;
            let (path, kind) = (folder.join(entry.file_name()), entry.file_type()?);
            if kind.is_dir() {
                DirBuilder::new().mode(0o700).create(target.join(&path))?;
                self.folders.push(path.clone());
                self.take_in(data, target, &path, progress)?;
            } else if kind.is_file() {
                let (bytes, crc) = copy(&data.join(&path), &target.join(&path), progress)?;
                self.files.push(Listed { path, bytes, crc });
            } else {
                let what = format!("{} is neither a file nor a folder", path.display());
                return Err(io::Error::new(io::ErrorKind::Unsupported, what));
            }
        }
        Ok(())
    }

    /// Copies the cluster of the entry in `from` to `data`, an empty folder, and compares it with what is written down.
    pub(super) fn copy_to(&self, from: &Path, data: &Path, progress: &dyn Progress) -> io::Result<()> {
        const WHAT: &str = "Bring what the seed has made";
        let total = self.files.iter().map(|file| file.bytes).sum();
        let mut done = 0;
        progress.step(WHAT, done, Some(total));
        for folder in &self.folders {
            DirBuilder::new().mode(0o700).create(data.join(folder))?;
        }
        for Listed { path, bytes, crc } in &self.files {
            if copy(&from.join(DATA).join(path), &data.join(path), progress)? != (*bytes, *crc) {
                let what = format!("{} is not what was written", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            done += bytes;
            progress.step(WHAT, done, Some(total));
        }
        Ok(())
    }

    /// Reads that of an entry; `None` if there is none that is whole.
    pub(super) fn read(entry: &Path) -> Option<Self> {
        let text = fs::read_to_string(entry.join(MANIFEST)).ok()?;
        let mut lines = text.lines();
        if lines.next() != Some(BEGIN) || text.lines().next_back() != Some(END) || !text.ends_with('\n') {
            return None;
        }
        let mut manifest = Self {
            made_at: UNIX_EPOCH,
            what: String::new(),
            extensions: Extensions::default(),
            folders: Vec::new(),
            files: Vec::new(),
        };
        for line in lines.take_while(|line| *line != END) {
            let (kind, rest) = line.split_once(' ')?;
            match kind {
                "made" => manifest.made_at += Duration::from_millis(rest.parse().ok()?),
                "what" => rest.clone_into(&mut manifest.what),
                "extensions" => manifest.extensions.folder = rest.into(),
                "extension" => {
                    let (digest, name) = rest.split_once(' ')?;
                    manifest.extensions.all.push((name.to_owned(), digest.to_owned()));
                }
                "folder" => manifest.folders.push(rest.into()),
                "file" => {
                    let mut parts = rest.splitn(3, ' ');
                    let bytes = parts.next()?.parse().ok()?;
                    let crc = u32::from_str_radix(parts.next()?, 16).ok()?;
                    manifest.files.push(Listed { path: parts.next()?.into(), bytes, crc });
                }
                _ => return None,
            }
        }
        Some(manifest)
    }

    fn text(&self) -> io::Result<String> {
        let made_ms = self.made_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut lines = vec![BEGIN.to_owned(), format!("made {made_ms}"), format!("what {}", self.what)];
        lines.push(format!("extensions {}", line(&self.extensions.folder)?));
        lines.extend(self.extensions.all.iter().map(|(name, digest)| format!("extension {digest} {name}")));
        for folder in &self.folders {
            lines.push(format!("folder {}", line(folder)?));
        }
        for Listed { path, bytes, crc } in &self.files {
            lines.push(format!("file {bytes} {crc:08x} {}", line(path)?));
        }
        lines.push(END.to_owned());
        Ok(lines.join("\n") + "\n")
    }
}

/// A path as a part of a line.
fn line(path: &Path) -> io::Result<&str> {
    path.to_str()
        .filter(|text| !text.contains('\n'))
        .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "a name that cannot be written down"))
}

/// Copies a file to a new one, without the room of what is only zeros. Returns its bytes and their checksum.
fn copy(from: &Path, to: &Path, progress: &dyn Progress) -> io::Result<(u64, u32)> {
    let mut from = File::open(from)?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let (mut bytes, mut crc) = (0, 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            to.set_len(bytes)?;
            return Ok((bytes, crc));
        }
        if progress.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let part = &buffer[..count];
        crc = crc32c::crc32c_append(crc, part);
        bytes += count as u64;
        if part.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Current(count as i64))?;
        } else {
            to.write_all(part)?;
        }
    }
}

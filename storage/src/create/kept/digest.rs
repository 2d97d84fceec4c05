//! All that a cluster is made of, as one number.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::SeedCache;
use crate::create::Seed;
use crate::create::fill::Fill;

/// Changes when what a fresh cluster has from here changes.
const FORMAT: &str = "offshoot seed 1";
const BUFFER_BYTES: usize = 256 * 1024;

struct Parts(Sha256);

impl Parts {
    /// Takes in a part. No two lists of parts are one text.
    fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn file(&mut self, path: &Path) -> io::Result<()> {
        self.part(&digest(path)?);
        Ok(())
    }
}

/// The digest of what `fill` makes of its seed; `None` if that depends on what nobody has named.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn of(fill: &Fill<'_>, cache: &SeedCache) -> io::Result<Option<String>> {
    let mut parts = Parts(Sha256::new());
    let program = fill.installation.postgres();
    let data = fs::metadata(&program)?;
    for text in [FORMAT, std::env::consts::ARCH, &fill.installation.version.to_string(), fill.database] {
        parts.part(text.as_bytes());
    }
    parts.part(program.as_os_str().as_bytes());
    parts.part(format!("{} {}", data.len(), data.mtime()).as_bytes());
    // `initdb` writes the zone down.
    parts.part(std::env::var_os("TZ").unwrap_or_default().as_bytes());
    parts.part(fs::read_link("/etc/localtime").unwrap_or_default().as_os_str().as_bytes());
    for seed in fill.seed {
        match seed {
            Seed::Script(path) => {
                parts.part(b"script");
                parts.file(path)?;
            }
            Seed::Command(_) if cache.inputs.is_none() => return Ok(None),
            Seed::Command(command) => {
                parts.part(b"command");
                parts.part(command.command.as_bytes());
            }
        }
    }
    let mut inputs: Vec<_> = cache.inputs.iter().flatten().collect();
    inputs.sort();
    for (name, path) in inputs {
        parts.part(name.as_bytes());
        parts.file(path)?;
    }
    Ok(Some(hex(&parts.0.finalize())))
}

/// The digest of a file.
pub(super) fn digest(path: &Path) -> io::Result<Vec<u8>> {
    let (mut hash, mut file) = (Sha256::new(), File::open(path)?);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().to_vec()),
            count => hash.update(&buffer[..count]),
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

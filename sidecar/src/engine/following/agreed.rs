//! Seed files that run when nobody is there to ask.
//!
//! SQL of a superuser can do what a command can, and the files come with whatever is checked out. So a turn that nobody asked for runs them
//! only as they were when somebody asked for one.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use offshoot_storage::{Seed, StorageError};
use sha2::{Digest as _, Sha256};

use super::Engine;
use crate::config::FILE_NAME;
use crate::failure::{Failure, Result};
use crate::scratch::Scratch;

/// What stands for the files that somebody has agreed to.
pub(super) const SEEDS: &str = "following.seeds";

/// Copies of seed files, which nobody changes any more.
pub(super) struct Copies {
    pub(super) seeds: Vec<Seed>,
    /// The files that they are of, in the same order.
    of: Vec<PathBuf>,
    digest: String,
    folder: Option<Scratch>,
}

impl Copies {
    /// Copies `files`. Blocks.
    pub(super) fn of(files: &[Seed]) -> Result<Self> {
        let mut copies = Self { seeds: Vec::new(), of: Vec::new(), digest: String::new(), folder: None };
        let mut all = Sha256::new();
        for file in files {
            // Of a server that is followed no command is taken.
            let Seed::Script(path) = file else { continue };
            let folder = match &mut copies.folder {
                Some(folder) => folder,
                none => none.insert(Scratch::new()?),
            };
            let mut name = OsString::from(format!("{}-", copies.of.len()));
            name.push(path.file_name().unwrap_or_default());
            let copy = folder.path().join(name);
            all.update(copied(path, &copy).map_err(|e| Failure::io(format!("read {}", path.display()), &e))?);
            copies.of.push(path.clone());
            copies.seeds.push(Seed::Script(copy));
        }
        if !copies.of.is_empty() {
            copies.digest = all.finalize().iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
        }
        Ok(copies)
    }

    /// Somebody asks for a turn, which agrees to them.
    pub(super) fn agree(&self, engine: &Engine) -> Result<()> {
        Ok(engine
            .store
            .put(SEEDS, Some(&self.digest).filter(|digest| !digest.is_empty()).map(String::as_str))?)
    }

    /// Refuses those that nobody has agreed to.
    pub(super) fn check(&self, engine: &Engine) -> Result<()> {
        if self.of.is_empty() || engine.store.get(SEEDS)?.as_ref() == Some(&self.digest) {
            return Ok(());
        }
        let names: Vec<_> =
            self.of.iter().map(|path| path.file_name().unwrap_or_default().to_string_lossy()).collect();
        Err(Failure::user(format!(
            "the seed files of {FILE_NAME} ({}) are others than when a turn was asked for last, and do not run by themselves",
            names.join(", ")
        ))
        .hint("They run as a superuser: look at them. `offshoot refresh` runs them, and agrees to them as they are."))
    }

    /// An error about a copy, as one about its file.
    pub(super) fn named(&self, error: StorageError) -> StorageError {
        match error {
            StorageError::Seed { path, source } => {
                let at = self.seeds.iter().position(|seed| *seed == Seed::Script(path.clone()));
                StorageError::Seed { path: at.map_or(path, |at| self.of[at].clone()), source }
            }
            other => other,
        }
    }
}

/// Copies a file. Returns the hash of what is in the copy.
fn copied(from: &Path, to: &Path) -> io::Result<sha2::digest::Output<Sha256>> {
    let (mut source, mut copy) = (File::open(from)?, File::create_new(to)?);
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let length = source.read(&mut buffer)?;
        if length == 0 {
            return Ok(hash.finalize());
        }
        hash.update(&buffer[..length]);
        copy.write_all(&buffer[..length])?;
    }
}

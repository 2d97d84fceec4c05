//! The extensions of a database, and the files that they were made of.

use std::fs;
use std::path::{Path, PathBuf};

use postgres::Client;
use sha2::{Digest as _, Sha256};

use super::digest::{digest, hex};

/// Extensions, each with a digest of its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::create) struct Extensions {
    /// The folder of the files.
    pub(super) folder: PathBuf,
    /// Names and digests, by name.
    pub(super) all: Vec<(String, String)>,
}

impl Extensions {
    /// Those of the database that `client` is connected to.
    pub(in crate::create) fn of(client: &mut Client) -> Option<Self> {
        let share = "SELECT setting FROM pg_catalog.pg_config WHERE name = 'SHAREDIR'";
        let share: String = client.query_one(share, &[]).ok()?.get(0);
        let folder = Path::new(&share).join("extension");
        let rows = client.query("SELECT extname::text FROM pg_catalog.pg_extension ORDER BY 1", &[]).ok()?;
        let digest = |name: String| digest_of(&folder, &name).map(|digest| (name, digest));
        let all = rows.iter().map(|row| digest(row.get(0))).collect::<Option<_>>()?;
        Some(Self { folder, all })
    }

    /// Whether the files are those that they were.
    pub(super) fn are_there(&self) -> bool {
        self.all.iter().all(|(name, digest)| digest_of(&self.folder, name).as_ref() == Some(digest))
    }
}

/// The digest of the control file of an extension and of its scripts.
fn digest_of(folder: &Path, name: &str) -> Option<String> {
    let (control, scripts) = (format!("{name}.control"), format!("{name}--"));
    let is_own = |file: &str| {
        file == control
            || (file.starts_with(&scripts)
                && Path::new(file).extension().is_some_and(|end| end == "sql" || end == "control"))
    };
    let names = fs::read_dir(folder).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| is_own(name)).collect();
    names.sort();
    let mut hash = Sha256::new();
    for name in &names {
        hash.update(digest(&folder.join(name)).ok()?);
        hash.update(name.as_bytes());
    }
    (!names.is_empty()).then(|| hex(&hash.finalize()))
}

//! Where files come from: a folder on disk, a commit, or a test.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What tells whether a file is still the same, without reading it.
///
/// For a file on disk: modification time in nanoseconds, size in bytes, inode. For a file of a commit, any three
/// numbers made from its object id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stamp {
    /// Modification time in nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Size in bytes.
    pub size: u64,
    /// Inode.
    pub inode: u64,
}

/// A file that a [`Source`] lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path relative to the root, with `/`.
    pub path: String,
    /// Whether it is still the same.
    pub stamp: Stamp,
}

/// Why the files could not be listed.
#[derive(Debug)]
pub struct SourceError {
    /// The folder.
    pub path: String,
    /// What the system said.
    pub cause: io::Error,
}

impl std::fmt::Display for SourceError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "list the files of {}: {}", self.path, self.cause)
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// A tree of files.
pub trait Source {
    /// All files that may matter, in any order.
    ///
    /// # Errors
    /// If the root cannot be listed.
    fn files(&self) -> Result<Vec<SourceFile>, SourceError>;

    /// The content of a file.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &str) -> io::Result<Vec<u8>>;
}

/// A tree in memory.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    files: BTreeMap<String, (u64, Vec<u8>)>,
    edits: u64,
}

impl MemorySource {
    /// A tree of these paths and texts.
    pub fn new<P: Into<String>, T: Into<Vec<u8>>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        let mut source = Self::default();
        for (path, text) in files {
            source.write(path, text);
        }
        source
    }

    /// Adds or replaces a file.
    pub fn write(&mut self, path: impl Into<String>, text: impl Into<Vec<u8>>) {
        self.edits += 1;
        self.files.insert(path.into(), (self.edits, text.into()));
    }

    /// Removes a file.
    pub fn remove(&mut self, path: &str) {
        self.files.remove(path);
    }
}

impl Source for MemorySource {
    fn files(&self) -> Result<Vec<SourceFile>, SourceError> {
        let stamp = |(edit, text): &(u64, Vec<u8>)| Stamp {
            mtime_ns: i128::from(*edit),
            size: text.len() as u64,
            inode: 0,
        };
        Ok(self
            .files
            .iter()
            .map(|(path, file)| SourceFile { path: path.clone(), stamp: stamp(file) })
            .collect())
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.files.get(path).map(|file| file.1.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A folder on disk. Folders of installed packages, build output and `.git` are left out.
#[derive(Debug, Clone)]
pub struct DiskSource {
    root: PathBuf,
}

/// Folders that hold nobody's own migrations.
const LEFT_OUT: &[&str] =
    &[".git", "node_modules", "target", "venv", ".venv", "__pycache__", "dist", ".next", "bin", "obj"];

/// More than this many files are not listed, so that a stray folder cannot stall an editor.
const FILES_MAX: usize = 500_000;

impl DiskSource {
    /// The tree below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

#[cfg(unix)]
fn stamp(found: &std::fs::Metadata) -> Stamp {
    use std::os::unix::fs::MetadataExt as _;
    Stamp {
        mtime_ns: i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec()),
        size: found.len(),
        inode: found.ino(),
    }
}

#[cfg(not(unix))]
fn stamp(found: &std::fs::Metadata) -> Stamp {
    let since = found.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Stamp { mtime_ns: since.map_or(0, |since| since.as_nanos() as i128), size: found.len(), inode: 0 }
}

fn relative(root: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        path.strip_prefix(root).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

impl Source for DiskSource {
    fn files(&self) -> Result<Vec<SourceFile>, SourceError> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let listed = match std::fs::read_dir(&folder) {
                Ok(listed) => listed,
                Err(cause) if folder == self.root => {
                    return Err(SourceError { path: folder.display().to_string(), cause });
                }
                // A folder that vanished or is closed to us has no migrations that we could read.
                Err(_) => continue,
            };
            for entry in listed.flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    let name = entry.file_name();
                    if !LEFT_OUT.iter().any(|left_out| name == *left_out) {
                        folders.push(entry.path());
                    }
                } else if let (Some(path), Ok(found)) =
                    (relative(&self.root, &entry.path()), entry.metadata())
                {
                    files.push(SourceFile { path, stamp: stamp(&found) });
                    if files.len() >= FILES_MAX {
                        return Ok(files);
                    }
                }
            }
        }
        Ok(files)
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.root.join(path))
    }
}

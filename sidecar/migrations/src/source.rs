//! Where files come from: a folder on disk, a commit, or a test.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
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

/// Something in a tree that cannot be read as a file, so that a migration in it would be passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Path relative to the root, with `/`. What is not UTF-8 in it is replaced by `\u{fffd}`.
    pub path: String,
    /// Why, as what it is: `it is a symbolic link to a folder`.
    pub why: &'static str,
}

impl LeftOut {
    /// Why of a name that is not UTF-8.
    pub const NOT_UTF8: &'static str = "its name is not UTF-8";
    /// Why of a link that ends nowhere.
    pub const DANGLING: &'static str = "it is a symbolic link to nothing";
    /// Why of a link to a folder.
    pub const FOLDER_LINK: &'static str = "it is a symbolic link to a folder, and these are not followed";
    /// Why of a link that leaves the tree.
    pub const OUTSIDE: &'static str = "it is a symbolic link to a place outside of the repository";
    /// Why of a device, pipe or socket, or of a link to one.
    pub const NOT_REGULAR: &'static str = "it is a pipe, a device or a socket";
}

/// What a [`Source`] holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// All files that may matter, in any order.
    pub files: Vec<SourceFile>,
    /// What is no file that could be read, in any order.
    pub left_out: Vec<LeftOut>,
}

/// Files that are longer are not read, in bytes. No tool's file is; a dump that lies beside them may be.
pub const FILE_MAX: u64 = 16 << 20;

/// The error for a file that is longer than [`FILE_MAX`].
pub fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {} MiB", FILE_MAX >> 20))
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
    /// What the tree holds.
    ///
    /// # Errors
    /// If the root cannot be listed.
    fn files(&self) -> Result<Listing, SourceError>;

    /// The content of a file that was listed, of [`FILE_MAX`] bytes at most. Never waits for a writer.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::FileTooLarge`] for a longer one.
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
    fn files(&self) -> Result<Listing, SourceError> {
        let stamp = |(edit, text): &(u64, Vec<u8>)| Stamp {
            mtime_ns: i128::from(*edit),
            size: text.len() as u64,
            inode: 0,
        };
        let files = self.files.iter();
        let files = files.map(|(path, file)| SourceFile { path: path.clone(), stamp: stamp(file) });
        Ok(Listing { files: files.collect(), left_out: Vec::new() })
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

/// What there is under a path of the tree.
enum Found {
    File(Stamp),
    LeftOut(&'static str),
}

/// What lies behind a symbolic link. `root` has no links in it.
fn behind_link(root: &Path, link: &Path) -> Found {
    let Ok(target) = link.canonicalize() else { return Found::LeftOut(LeftOut::DANGLING) };
    match target.metadata() {
        Err(_) => Found::LeftOut(LeftOut::DANGLING),
        Ok(found) if found.is_dir() => Found::LeftOut(LeftOut::FOLDER_LINK),
        Ok(found) if !found.is_file() => Found::LeftOut(LeftOut::NOT_REGULAR),
        Ok(_) if !target.starts_with(root) => Found::LeftOut(LeftOut::OUTSIDE),
        Ok(found) => Found::File(stamp(&found)),
    }
}

/// Opens a file without waiting: a pipe without a writer would hold the reader for ever.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path)
}

impl Source for DiskSource {
    fn files(&self) -> Result<Listing, SourceError> {
        let failed = |cause| SourceError { path: self.root.display().to_string(), cause };
        let root = self.root.canonicalize().map_err(failed)?;
        let mut listing = Listing::default();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let listed = match std::fs::read_dir(&folder) {
                Ok(listed) => listed,
                Err(cause) if folder == self.root => return Err(failed(cause)),
                // A folder that vanished or is closed to us has no migrations that we could read.
                Err(_) => continue,
            };
            for entry in listed.flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                let (name, path) = (entry.file_name(), entry.path());
                if kind.is_dir() && LEFT_OUT.iter().any(|left_out| name == *left_out) {
                    continue;
                }
                let Some(relative) = relative(&self.root, &path) else {
                    let below = path.strip_prefix(&self.root).unwrap_or(&path);
                    let path = below.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
                    listing.left_out.push(LeftOut { path, why: LeftOut::NOT_UTF8 });
                    continue;
                };
                let found = if kind.is_dir() {
                    folders.push(path);
                    continue;
                } else if kind.is_symlink() {
                    behind_link(&root, &path)
                } else if kind.is_file() {
                    let Ok(found) = entry.metadata() else { continue };
                    Found::File(stamp(&found))
                } else {
                    Found::LeftOut(LeftOut::NOT_REGULAR)
                };
                match found {
                    Found::LeftOut(why) => listing.left_out.push(LeftOut { path: relative, why }),
                    Found::File(stamp) => listing.files.push(SourceFile { path: relative, stamp }),
                }
                if listing.files.len() >= FILES_MAX {
                    return Ok(listing);
                }
            }
        }
        Ok(listing)
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let path = self.root.join(path).canonicalize()?;
        if !path.starts_with(self.root.canonicalize()?) {
            return Err(io::Error::other(LeftOut::OUTSIDE));
        }
        let file = open(&path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other(LeftOut::NOT_REGULAR));
        }
        if found.len() > FILE_MAX {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        // It may grow while it is read.
        file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_MAX { Err(too_large()) } else { Ok(bytes) }
    }
}

/// A tree and files that are to come into it.
#[derive(Debug, Clone)]
pub struct Overlay<S> {
    tree: S,
    new: MemorySource,
}

impl<S: Source> Overlay<S> {
    /// The files of `tree` and those of `new`, which take the place of what the tree has of their paths.
    pub fn new(tree: S, new: MemorySource) -> Self {
        Self { tree, new }
    }
}

impl<S: Source> Source for Overlay<S> {
    fn files(&self) -> Result<Listing, SourceError> {
        let mut listing = self.tree.files()?;
        let new = self.new.files()?.files;
        listing.files.retain(|file| !new.iter().any(|other| other.path == file.path));
        listing.files.extend(new);
        Ok(listing)
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match self.new.read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.tree.read(path),
            read => read,
        }
    }
}

//! From a folder to its work tree and git directories.

use std::ffi::OsStr;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::error::GitError;
use crate::run::{Answer, Environment, git};

/// A repository: the git directory that all its work trees share. Two are equal if that directory is the same.
#[derive(Debug, Clone)]
pub struct Repository {
    /// The common git directory, canonical.
    pub common_dir: PathBuf,
    /// The main work tree where the common directory alone does not tell it (`git init --separate-git-dir`).
    pub(crate) main: Option<PathBuf>,
}

/// One work tree with its own HEAD.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Worktree {
    /// The top folder of the checked-out files, canonical.
    pub path: PathBuf,
    /// The git directory of this work tree alone (its HEAD is in there), canonical.
    pub git_dir: PathBuf,
    /// The git directory that all work trees of the repository share, canonical.
    pub common_dir: PathBuf,
}

impl PartialEq for Repository {
    fn eq(&self, other: &Self) -> bool {
        self.common_dir == other.common_dir
    }
}

impl Eq for Repository {}

impl Hash for Repository {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.common_dir.hash(state);
    }
}

impl Worktree {
    /// The repository that this work tree belongs to.
    pub fn repository(&self) -> Repository {
        let main = self.is_main().then(|| self.path.clone());
        Repository { common_dir: self.common_dir.clone(), main }
    }

    /// Whether this is the main work tree, not one added by `git worktree add`.
    pub fn is_main(&self) -> bool {
        self.git_dir == self.common_dir
    }
}

impl Repository {
    /// The repository at a common git directory that [`discover`] gave earlier.
    ///
    /// # Errors
    /// [`GitError::NotARepository`] if there is no git directory any more.
    pub fn at(common_dir: &Path) -> Result<Self, GitError> {
        let is_git_dir =
            common_dir.join("objects").is_dir() && common_dir.join("HEAD").symlink_metadata().is_ok();
        match fs::canonicalize(common_dir) {
            Ok(common_dir) if is_git_dir => Ok(Self { common_dir, main: None }),
            _ => Err(GitError::not_a_repository(common_dir)),
        }
    }
}

/// Finds the work tree that holds `start`, a folder or a file, with the environment of this process.
///
/// Answers as git itself does: subfolders, `.git` files of work trees and submodules, `GIT_DIR`, `GIT_WORK_TREE`,
/// `GIT_COMMON_DIR`, `GIT_CEILING_DIRECTORIES`, `safe.directory`. From inside a git directory it answers with the
/// work tree of that directory.
///
/// # Errors
/// [`GitError::NotARepository`], [`GitError::Bare`], [`GitError::Unsafe`], [`GitError::NoGit`] and
/// [`GitError::TooOld`] as their names say.
pub fn discover(start: &Path) -> Result<Worktree, GitError> {
    discover_with(start, &Environment::inherited())
}

/// As [`discover`], with an environment of the caller's choosing. A daemon passes [`Environment::clean`].
pub fn discover_with(start: &Path, environment: &Environment) -> Result<Worktree, GitError> {
    let start = fs::canonicalize(start).map_err(GitError::io("find", start))?;
    let folder = if start.is_dir() { start.as_path() } else { start.parent().unwrap_or(&start) };
    match ask(folder, environment, ["--show-toplevel", "--absolute-git-dir", "--git-common-dir"])? {
        Ok([path, git_dir, common_dir]) => Ok(Worktree { path, git_dir, common_dir }),
        Err(answer) if answer.stderr.contains("must be run in a work tree") => inside(folder, environment),
        Err(answer) => Err(refusal(folder, environment, answer)),
    }
}

/// `folder` lies in a git directory, where git names no work tree: a bare repository, or `.git` itself.
fn inside(folder: &Path, environment: &Environment) -> Result<Worktree, GitError> {
    let [git_dir, common_dir] = ask(folder, environment, ["--absolute-git-dir", "--git-common-dir"])?
        .map_err(|answer| refusal(folder, environment, answer))?;
    let worktrees = Repository { common_dir, main: None }.worktrees()?;
    let own = worktrees.into_iter().find(|worktree| worktree.git_dir == git_dir);
    own.ok_or_else(|| GitError::Bare { path: folder.to_owned() })
}

/// Asks `git rev-parse` for paths. The inner error is git's refusal.
fn ask<const N: usize>(
    folder: &Path,
    environment: &Environment,
    flags: [&str; N],
) -> Result<Result<[PathBuf; N], Answer>, GitError> {
    let all: Vec<&OsStr> = [OsStr::new("rev-parse")].into_iter().chain(flags.map(OsStr::new)).collect();
    let answer = git(folder, environment, &all)?;
    if !answer.is_success() {
        return Ok(Err(answer));
    }
    let mut values: Vec<Vec<u8>> = lines(&answer.stdout).map(<[u8]>::to_vec).collect();
    if values.len() != N {
        // A path with a line end in it: ask for one at a time, so that the whole output is the path.
        values.clear();
        for flag in flags {
            let one =
                git(folder, environment, &[OsStr::new("rev-parse"), OsStr::new(flag)])?.into_stdout()?;
            values.push(one.strip_suffix(b"\n").unwrap_or(&one).to_vec());
        }
    }
    let mut paths: [PathBuf; N] = std::array::from_fn(|_| PathBuf::new());
    for ((path, value), flag) in paths.iter_mut().zip(values).zip(flags) {
        if value == flag.as_bytes() {
            // A git that does not know a flag echoes it.
            return Err(too_old(folder, environment, format!("it does not know rev-parse {flag}")));
        }
        let absolute = folder.join(OsStr::from_bytes(&value));
        *path = fs::canonicalize(&absolute).map_err(GitError::io("find", &absolute))?;
    }
    Ok(Ok(paths))
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|b| *b == b'\n')
}

fn refusal(folder: &Path, environment: &Environment, answer: Answer) -> GitError {
    let path = folder.to_owned();
    let says = |text: &str| answer.stderr.contains(text);
    if says("dubious ownership") || says("unsafe repository") {
        let command = answer.stderr.lines().map(str::trim).find(|line| line.starts_with("git config"));
        let advice = command.map_or_else(
            || format!("git config --global --add safe.directory '{}'", folder.display()),
            str::to_owned,
        );
        GitError::Unsafe { path, advice }
    } else if says("not a git repository") {
        GitError::NotARepository { path }
    } else if says("cannot use bare repository") {
        GitError::Bare { path }
    } else if says("unknown repository extension") || says("repo version") {
        let reason = answer.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        too_old(folder, environment, reason)
    } else {
        answer.into_error()
    }
}

fn too_old(folder: &Path, environment: &Environment, reason: String) -> GitError {
    let answer = git(folder, environment, &[OsStr::new("--version")]);
    let text = answer.map(|answer| String::from_utf8_lossy(answer.line()).into_owned()).unwrap_or_default();
    GitError::TooOld { found: text.trim_start_matches("git version ").to_owned(), reason }
}

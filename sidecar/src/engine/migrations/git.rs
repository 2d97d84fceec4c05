//! Commits of a repository, read without a work tree and without running anything of the repository's.

mod unpack;
mod unpacked;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use offshoot_migrations::{FILE_MAX, LeftOut, Listing, Source, SourceError, SourceFile, Stamp, too_large};

use crate::failure::{Failure, Result};
pub(super) use unpacked::unpacked;

/// Folders in commits that hold nobody's own migrations.
const LEFT_OUT: [&str; 3] = ["node_modules", "venv", ".venv"];
/// Symbolic links that are followed one after another, and how long one is at most.
const MOST_LINKS: usize = 8;
const LONGEST_LINK: u64 = 4096;

/// A git repository whose trees are read.
#[derive(Clone, Debug)]
pub(super) struct Git {
    /// Where git runs.
    folder: PathBuf,
    /// Whether it is one of ours, with nobody's settings.
    is_ours: bool,
}

impl Git {
    /// The repository of a worktree.
    pub(super) fn of(worktree: &Path) -> Self {
        Self { folder: worktree.to_owned(), is_ours: false }
    }

    /// Makes an empty repository in `folder` that has the objects of this one and nothing else of it: no settings, no hooks,
    /// no filters, no drivers for merges. What is made in it stays there. Blocks.
    pub(super) fn isolated(&self, folder: &Path) -> Result<Self> {
        let path = |name: &str| {
            let out = self.out(&["rev-parse", "--path-format=absolute", "--git-path", name])?;
            Ok::<_, Failure>(out.strip_suffix('\n').unwrap_or(&out).to_owned())
        };
        let format = self.out(&["rev-parse", "--show-object-format"])?;
        let ours = Self { folder: folder.to_owned(), is_ours: true };
        let format = format!("--object-format={}", format.trim());
        ours.out(&["init", "--quiet", "--bare", "--template=", &format])?;
        let fault = |e: io::Error| Failure::io("make a repository of our own", &e);
        fs::create_dir_all(folder.join("objects/info")).map_err(fault)?;
        let line = format!("{}\n", quoted(&path("objects")?));
        fs::write(folder.join("objects/info/alternates"), line).map_err(fault)?;
        let shallow = PathBuf::from(path("shallow")?);
        if shallow.is_file() {
            fs::copy(shallow, folder.join("shallow")).map_err(fault)?;
        }
        Ok(ours)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        // Neither is needed for what is asked here, and both run programs.
        command.args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(&name);
            }
        }
        command.current_dir(&self.folder).args(args).stdin(Stdio::null());
        command.envs([
            ("LC_ALL", "C"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
        ]);
        if self.is_ours {
            command.envs([
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_CONFIG_SYSTEM", "/dev/null"),
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_ATTR_NOSYSTEM", "1"),
            ]);
            command.env("GIT_DIR", &self.folder);
        }
        command
    }

    /// Runs git; its exit status and what it printed. Blocks.
    pub(super) fn run(&self, args: &[&str]) -> Result<(bool, String, String)> {
        let out = self.command(args).output().map_err(|e| Failure::io("run git", &e))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((out.status.success(), text(&out.stdout), text(&out.stderr)))
    }

    /// The output of a command that must succeed. Blocks.
    pub(super) fn out(&self, args: &[&str]) -> Result<String> {
        let (ok, out, err) = self.run(args)?;
        if ok {
            return Ok(out);
        }
        Err(Failure::engine(format!("`git {}` failed: {}", args.join(" "), err.trim())))
    }

    /// All branches, and git's names of their trees. Blocks.
    pub(super) fn branches(&self) -> Result<Vec<(String, String)>> {
        let (ok, listed, _) =
            self.run(&["for-each-ref", "--format=%(refname:lstrip=2) %(tree)", "refs/heads"])?;
        if ok {
            let branches = listed.lines().filter_map(|line| line.split_once(' '));
            return Ok(branches.map(|(name, tree)| (name.to_owned(), tree.to_owned())).collect());
        }
        // One branch whose commit is missing spoils the whole list: each by itself, then, without that one.
        let names = self.out(&["for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"])?;
        let mut branches = Vec::new();
        for name in names.lines() {
            if let Some(tree) = self.tree_of_branch(name)? {
                branches.push((name.to_owned(), tree));
            }
        }
        Ok(branches)
    }

    /// Git's name of the tree of a branch; `None` if there is no such branch, or its commit is missing. Blocks.
    pub(super) fn tree_of_branch(&self, name: &str) -> Result<Option<String>> {
        let wanted = format!("refs/heads/{name}^{{tree}}");
        let (ok, tree, _) = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
        Ok(ok.then(|| tree.trim().to_owned()))
    }

    /// Whether anything in the worktree is not committed. Runs no filter, so that a file of one may count as changed that is
    /// not. Blocks.
    pub(super) fn is_dirty(&self) -> Result<bool> {
        let (_, names, _) = self.run(&["config", "--name-only", "--null", "--get-regexp", r"^filter\."])?;
        let filters: BTreeSet<&str> =
            names.split('\0').filter_map(|name| name.rsplit_once('.')).map(|(filter, _)| filter).collect();
        let mut args: Vec<String> = Vec::new();
        for filter in filters {
            for none in ["clean=", "smudge=", "process=", "required=false"] {
                args.extend(["-c".to_owned(), format!("{filter}.{none}")]);
            }
        }
        args.extend(["status", "--porcelain", "--untracked-files=normal"].map(str::to_owned));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Ok(!self.out(&args)?.trim().is_empty())
    }

    /// The commit that a name means. Blocks.
    pub(super) fn commit(&self, name: &str) -> Result<String> {
        let wanted = format!("{name}^{{commit}}");
        let (ok, out, _) = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
        if ok {
            return Ok(out.trim().to_owned());
        }
        Err(Failure::user(format!("git knows no commit `{name}` here"))
            .hint("`git branch --all` shows the branches."))
    }

    /// The files of a commit or tree. Blocks.
    pub(super) fn tree(&self, id: &str) -> Result<GitTree> {
        let listed = self.command(&["ls-tree", "-r", "-z", "-l", "--full-tree", id]).output();
        let listed = listed.map_err(|e| Failure::io("run git", &e))?;
        if !listed.status.success() {
            let why = String::from_utf8_lossy(&listed.stderr);
            return Err(Failure::engine(format!("cannot list the files of {id}: {}", why.trim())));
        }
        let (mut files, mut links, mut left_out) = (HashMap::new(), HashMap::new(), Vec::new());
        for bytes in listed.stdout.split(|byte| *byte == 0) {
            let line = String::from_utf8_lossy(bytes);
            let Some((facts, path)) = line.split_once('\t') else { continue };
            let facts: Vec<&str> = facts.split_whitespace().collect();
            let [mode, "blob", object, size] = facts[..] else { continue };
            if path.split('/').any(|part| LEFT_OUT.contains(&part)) {
                continue;
            }
            if std::str::from_utf8(bytes).is_err() {
                left_out.push(LeftOut { path: path.to_owned(), why: LeftOut::NOT_UTF8 });
                continue;
            }
            let to = if mode == "120000" { &mut links } else { &mut files };
            to.insert(path.to_owned(), (object.to_owned(), size.parse::<u64>().unwrap_or(0)));
        }
        let mut tree = GitTree { git: self.clone(), files, left_out, reader: Mutex::new(None) };
        tree.follow(&links)?;
        Ok(tree)
    }
}

/// The files of a commit.
pub(super) struct GitTree {
    /// The object and the size of each.
    files: HashMap<String, (String, u64)>,
    left_out: Vec<LeftOut>,
    git: Git,
    /// Started when something is read first.
    reader: Mutex<Option<Reader>>,
}

struct Reader {
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Reader {
    fn start(git: &Git) -> io::Result<Self> {
        let mut command = git.command(&["cat-file", "--batch"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
        let (ask, answer) = pipes.ok_or_else(|| io::Error::other("git has no pipes"))?;
        Ok(Self { child, ask, answer })
    }

    /// What an object holds.
    fn object(&mut self, object: &str) -> io::Result<Vec<u8>> {
        writeln!(self.ask, "{object}")?;
        self.ask.flush()?;
        let mut head = String::new();
        self.answer.read_line(&mut head)?;
        let size = head.split_whitespace().nth(2).and_then(|size| size.parse::<usize>().ok());
        let size = size.ok_or_else(|| io::Error::other(format!("git does not have {object}")))?;
        let mut bytes = vec![0; size + 1];
        self.answer.read_exact(&mut bytes)?;
        bytes.pop();
        Ok(bytes)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl GitTree {
    /// Whether the tree has this file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// Git's name of what a file holds.
    pub(super) fn blob(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|(object, _)| object.as_str())
    }

    /// Adds the symbolic links that lead to files of the tree, as a worktree would have them.
    fn follow(&mut self, links: &HashMap<String, (String, u64)>) -> Result<()> {
        let mut found = Vec::new();
        let folders: HashSet<&str> =
            self.files.keys().flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at])).collect();
        let mut left_out = Vec::new();
        for link in links.keys() {
            match self.target(link, links, &folders).map_err(|e| Failure::io("read a commit", &e))? {
                Ok(file) => found.push((link.clone(), file)),
                Err(why) => left_out.push(LeftOut { path: link.clone(), why }),
            }
        }
        self.left_out.extend(left_out);
        self.files.extend(found);
        Ok(())
    }

    /// The file that a link leads to, or why it is left out. `folders` are those of the tree.
    fn target(
        &self,
        link: &str,
        links: &HashMap<String, (String, u64)>,
        folders: &HashSet<&str>,
    ) -> io::Result<Result<(String, u64), &'static str>> {
        let mut at = link.to_owned();
        for _ in 0..MOST_LINKS {
            if let Some(file) = self.files.get(&at) {
                return Ok(Ok(file.clone()));
            }
            let Some((object, size)) = links.get(&at) else { break };
            if *size > LONGEST_LINK {
                return Ok(Err(LeftOut::DANGLING));
            }
            let target = self.object(object)?;
            let target = String::from_utf8_lossy(&target);
            let folder = at.rsplit_once('/').map_or("", |(folder, _)| folder);
            let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
            if target.starts_with('/') {
                return Ok(Err(LeftOut::OUTSIDE));
            }
            for part in target.split('/').filter(|part| !["", "."].contains(part)) {
                if part != ".." {
                    parts.push(part);
                } else if parts.pop().is_none() {
                    return Ok(Err(LeftOut::OUTSIDE));
                }
            }
            at = parts.join("/");
        }
        let is_folder = at.is_empty() || folders.contains(at.as_str());
        Ok(Err(if is_folder { LeftOut::FOLDER_LINK } else { LeftOut::DANGLING }))
    }

    /// What an object holds.
    fn object(&self, object: &str) -> io::Result<Vec<u8>> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match &mut *reader {
            Some(started) => started,
            none => none.insert(Reader::start(&self.git)?),
        };
        reader.object(object)
    }
}

impl Source for GitTree {
    fn files(&self) -> Result<Listing, SourceError> {
        let stamp = |object: &str, size: u64| {
            let half = |at: usize| {
                object.get(at..at + 16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0)
            };
            Stamp { mtime_ns: i128::from(half(0)), size, inode: half(16) }
        };
        let files = self.files.iter();
        let files = files
            .map(|(path, (object, size))| SourceFile { path: path.clone(), stamp: stamp(object, *size) });
        Ok(Listing { files: files.collect(), left_out: self.left_out.clone() })
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let (object, size) = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        if *size > FILE_MAX { Err(too_large()) } else { self.object(object) }
    }
}

/// A path as a line of `objects/info/alternates`: in quotes where it would not be read as it is.
fn quoted(path: &str) -> String {
    if !path.starts_with('"') && !path.contains(['\n', '\\']) {
        return path.to_owned();
    }
    let escaped = path.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

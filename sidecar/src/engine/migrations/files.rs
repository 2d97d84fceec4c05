//! Which migrations there are: in a worktree, or in a commit.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use offshoot_migrations::{
    DiskSource, FILE_MAX, LeftOut, Listing, Project, Scan, Scanner, Source, SourceError, SourceFile, Stamp,
    too_large,
};
use offshoot_protocol::error::Reason;

use crate::failure::{Failure, Result};

/// Worktrees whose files are remembered.
const MOST_TREES: usize = 16;
/// Folders in commits that hold nobody's own migrations.
const LEFT_OUT: [&str; 3] = ["node_modules", "venv", ".venv"];
/// Symbolic links that are followed one after another, and how long one is at most.
const MOST_LINKS: usize = 8;
const LONGEST_LINK: u64 = 4096;

/// What files said, so that only those that changed are read again.
#[derive(Default)]
pub(in crate::engine) struct Trees(Mutex<HashMap<PathBuf, Arc<Mutex<Scanner>>>>);

impl Trees {
    /// The migrations of the worktree at `root`. Blocks.
    pub(super) fn scan(&self, root: &Path) -> Result<Arc<Scan>> {
        let scanner = {
            let mut trees = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if trees.len() >= MOST_TREES && !trees.contains_key(root) {
                trees.clear();
            }
            Arc::clone(trees.entry(root.to_owned()).or_default())
        };
        let mut scanner = scanner.lock().unwrap_or_else(PoisonError::into_inner);
        scanned(&mut scanner, &DiskSource::new(root))
    }
}

/// What a tree holds.
pub(super) fn scanned(scanner: &mut Scanner, source: &dyn Source) -> Result<Arc<Scan>> {
    let scan = scanner.scan(source);
    scan.map(Arc::new).map_err(|error| Failure::engine(format!("cannot {error}")))
}

/// The unchanging name of a project.
pub(super) fn id_of(project: &Project) -> String {
    if project.root.is_empty() {
        project.tool.id().to_owned()
    } else {
        format!("{}:{}", project.tool.id(), project.root)
    }
}

/// The projects that are meant.
///
/// # Errors
/// If a tool was named that is not there.
pub(super) fn chosen<'s>(scan: &'s Scan, tool: Option<&str>) -> Result<Vec<&'s Project>> {
    let Some(tool) = tool else { return Ok(scan.projects.iter().collect()) };
    let meant = |project: &&Project| project.tool.id() == tool || id_of(project) == tool;
    let found: Vec<_> = scan.projects.iter().filter(meant).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let there: Vec<_> = scan.projects.iter().map(id_of).collect();
    let failure = Failure::user(format!("there are no migrations of `{tool}` here"));
    Err(failure.hint(if there.is_empty() {
        "No migration tool was found in this worktree.".to_owned()
    } else {
        format!("There are those of {}.", there.join(", "))
    }))
}

/// As [`chosen`], where there must be some.
pub(super) fn required<'s>(scan: &'s Scan, tool: Option<&str>) -> Result<Vec<&'s Project>> {
    let found = chosen(scan, tool)?;
    if found.is_empty() {
        return Err(Failure::user("there are no migrations in this worktree")
            .reason(Reason::NoMigrations)
            .hint("Known are Flyway, Alembic, Django, Prisma, dbmate and twenty others; docs/migrations.md has how each is found."));
    }
    Ok(found)
}

/// A git repository whose trees are read. Its objects stay as they are; new ones go to a folder of their own.
#[derive(Debug)]
pub(super) struct Git {
    /// Where git runs.
    pub(super) folder: PathBuf,
    /// Where new objects go, if any are made.
    pub(super) objects: Option<(PathBuf, PathBuf)>,
}

impl Git {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
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
        if let Some((new, old)) = &self.objects {
            command.env("GIT_OBJECT_DIRECTORY", new).env("GIT_ALTERNATE_OBJECT_DIRECTORIES", old);
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

    /// Writes the files of a tree into `folder`, by an index of their own. Blocks.
    pub(super) fn unpack(&self, tree: &str, folder: &Path, index: &Path) -> Result<()> {
        let prefix = format!("--prefix={}/", folder.display());
        for args in [vec!["read-tree", tree], vec!["checkout-index", "--all", "--quiet", &prefix]] {
            let out = self.command(&args).env("GIT_INDEX_FILE", index).output();
            let out = out.map_err(|e| Failure::io("run git", &e))?;
            if !out.status.success() {
                let why = String::from_utf8_lossy(&out.stderr);
                return Err(Failure::engine(format!("cannot unpack a commit: {}", why.trim())));
            }
        }
        Ok(())
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
        let mut command = self.command(&["cat-file", "--batch"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|e| Failure::io("run git", &e))?;
        let pipes = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
        let (ask, answer) = pipes.ok_or_else(|| Failure::internal("git has no pipes"))?;
        let mut tree = GitTree { files, left_out, reader: Mutex::new(Reader { child, ask, answer }) };
        tree.follow(&links)?;
        Ok(tree)
    }
}

/// The files of a commit.
pub(super) struct GitTree {
    /// The object and the size of each.
    files: HashMap<String, (String, u64)>,
    left_out: Vec<LeftOut>,
    reader: Mutex<Reader>,
}

struct Reader {
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
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

    /// Adds the symbolic links that lead to files of the tree, as a worktree would have them.
    fn follow(&mut self, links: &HashMap<String, (String, u64)>) -> Result<()> {
        let mut found = Vec::new();
        for link in links.keys() {
            match self.target(link, links).map_err(|e| Failure::io("read a commit", &e))? {
                Ok(file) => found.push((link.clone(), file)),
                Err(why) => self.left_out.push(LeftOut { path: link.clone(), why }),
            }
        }
        self.files.extend(found);
        Ok(())
    }

    /// The file that a link leads to, or why it is left out.
    fn target(
        &self,
        link: &str,
        links: &HashMap<String, (String, u64)>,
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
        let below = format!("{at}/");
        let is_folder = at.is_empty() || self.files.keys().any(|path| path.starts_with(&below));
        Ok(Err(if is_folder { LeftOut::FOLDER_LINK } else { LeftOut::DANGLING }))
    }

    /// What an object holds.
    fn object(&self, object: &str) -> io::Result<Vec<u8>> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(reader.ask, "{object}")?;
        reader.ask.flush()?;
        let mut head = String::new();
        reader.answer.read_line(&mut head)?;
        let size = head.split_whitespace().nth(2).and_then(|size| size.parse::<usize>().ok());
        let size = size.ok_or_else(|| io::Error::other(format!("git does not have {object}")))?;
        let mut bytes = vec![0; size + 1];
        reader.answer.read_exact(&mut bytes)?;
        bytes.pop();
        Ok(bytes)
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

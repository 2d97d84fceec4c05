//! Merges in a folder of their own: the repository, its index and its work trees stay as they are.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use offshoot_migrations::{Scan, Scanner, Source};
use offshoot_protocol::migrations::{MigrationDiagnostic, MigrationSeverity};

use crate::engine::migrations::files;
use crate::engine::migrations::git::{Git, GitTree};
use crate::failure::{Failure, Result};
use crate::scratch::Scratch;

/// A tree and what it holds.
pub(super) struct Tree {
    /// Git's name of it.
    pub(super) id: String,
    pub(super) files: GitTree,
    pub(super) scan: Arc<Scan>,
    /// Where its objects are.
    pub(super) git: Arc<Git>,
}

/// What two merges make of the files.
pub(super) struct Merged {
    /// After mine alone.
    pub(super) mine: Arc<Tree>,
    /// After the other one alone.
    pub(super) other: Arc<Tree>,
    /// After both.
    pub(super) both: Arc<Tree>,
    pub(super) conflicts: Vec<MigrationDiagnostic>,
    /// A file of migrations is in conflict, so that there is nothing to run.
    pub(super) is_broken: bool,
    /// The files of the branch that both are merged into.
    pub(super) base_paths: Arc<BTreeSet<String>>,
}

/// Where merges are made.
pub(super) struct Workshop {
    pub(super) mine: String,
    pub(super) is_dirty: bool,
    /// The repository, which knows what branches are.
    names: Git,
    /// One of our own, in which merges are made.
    git: Arc<Git>,
    base: String,
    base_commit: String,
    base_paths: Arc<BTreeSet<String>>,
    /// My branch, merged.
    my_merge: Merge,
    my_tree: Arc<Tree>,
    scanner: Scanner,
    /// The commits of the other branches as they were when they were named: what is agreed to is what is merged.
    commits: HashMap<String, String>,
    _folder: Scratch,
}

/// A merge of two commits.
struct Merge {
    commit: String,
    tree: String,
    conflicts: Vec<String>,
}

/// The commit of a branch, or else of whatever git knows by the name: a tag may have the name of a branch. Blocks.
fn of_branch(git: &Git, name: &str) -> Result<String> {
    git.commit(&format!("refs/heads/{name}")).or_else(|_| git.commit(name))
}

impl Workshop {
    /// Reads where the worktree at `root` stands. Blocks.
    pub(super) fn open(root: &Path, base: &str) -> Result<Self> {
        let names = Git::of(root);
        let folder = Scratch::new()?;
        let git = names.isolated(folder.path())?;
        let (is_branch, name, _) = names.run(&["symbolic-ref", "--quiet", "HEAD"])?;
        let name = name.trim();
        let mine = if is_branch { name.strip_prefix("refs/heads/").unwrap_or(name) } else { "HEAD" };
        let mine = mine.to_owned();
        if mine == base {
            return Err(super::on_base(&mine));
        }
        let base_commit = of_branch(&names, base).map_err(|failure| {
            failure.hint("Name the git branch that others are merged into: `--base main`.")
        })?;
        let is_dirty = names.is_dirty()?;
        let git = Arc::new(git);
        let mut scanner = Scanner::default();
        let base_files = git.tree(&base_commit)?.files();
        let base_files = base_files.map_err(|e| Failure::engine(e.to_string()))?;
        let base_paths = Arc::new(base_files.files.into_iter().map(|file| file.path).collect());
        let my_merge = merge(&git, &base_commit, &names.commit("HEAD")?)?;
        let my_tree = Arc::new(tree(&git, &mut scanner, &my_merge.tree)?);
        Ok(Self {
            mine,
            is_dirty,
            names,
            git,
            base: base.to_owned(),
            base_commit,
            base_paths,
            my_merge,
            my_tree,
            scanner,
            commits: HashMap::new(),
            _folder: folder,
        })
    }

    /// The branches to rehearse with, and how many more there are. Blocks.
    pub(super) fn others(&mut self, named: &[String], most: usize) -> Result<(Vec<String>, usize)> {
        if !named.is_empty() {
            self.settle(named)?;
            return Ok((named.to_vec(), 0));
        }
        let no_merged = format!("--no-merged={}", self.base_commit);
        let listed = self.names.out(&[
            "for-each-ref",
            "--sort=-committerdate",
            "--format=%(refname:lstrip=2)",
            &no_merged,
            "refs/heads",
        ])?;
        let mut all: Vec<String> = listed.lines().map(str::to_owned).collect();
        all.retain(|name| *name != self.mine && *name != self.base);
        let left = all.len().saturating_sub(most);
        all.truncate(most);
        self.settle(&all)?;
        Ok((all, left))
    }

    /// Takes down where these branches are now.
    fn settle(&mut self, names: &[String]) -> Result<()> {
        for name in names {
            self.commits.insert(name.clone(), of_branch(&self.names, name)?);
        }
        Ok(())
    }

    /// The commit of one of the others, as it was when they were listed.
    pub(super) fn commit(&self, name: &str) -> Result<String> {
        let commit = self.commits.get(name).cloned();
        commit.ok_or_else(|| Failure::internal(format!("{name} is none of the branches that were listed")))
    }

    /// Merges `other`. Blocks.
    pub(super) fn merge(&mut self, other: &str) -> Result<Merged> {
        let theirs = merge(&self.git, &self.base_commit, &self.commit(other)?)?;
        let both = merge(&self.git, &self.my_merge.commit, &theirs.commit)?;
        let other_tree = Arc::new(tree(&self.git, &mut self.scanner, &theirs.tree)?);
        let both_tree = Arc::new(tree(&self.git, &mut self.scanner, &both.tree)?);
        let mut conflicts = Vec::new();
        let mut is_broken = false;
        for (paths, between) in [
            (&self.my_merge.conflicts, format!("{} and {}", self.base, self.mine)),
            (&theirs.conflicts, format!("{} and {other}", self.base)),
            (&both.conflicts, format!("{} and {other}", self.mine)),
        ] {
            for path in paths {
                let matters = is_of_migrations(&both_tree.scan, path);
                is_broken |= matters;
                conflicts.push(MigrationDiagnostic {
                    path: path.clone(),
                    line: 1,
                    severity: if matters { MigrationSeverity::Error } else { MigrationSeverity::Note },
                    code: "mergeConflict".to_owned(),
                    message: format!("{between} conflict in {path}"),
                    hint: "Merge one into the other, and settle it there.".to_owned(),
                });
            }
        }
        Ok(Merged {
            mine: Arc::clone(&self.my_tree),
            other: other_tree,
            both: both_tree,
            conflicts,
            is_broken,
            base_paths: Arc::clone(&self.base_paths),
        })
    }
}

/// Whether a file decides what a tool runs.
fn is_of_migrations(scan: &Scan, path: &str) -> bool {
    scan.projects.iter().any(|project| {
        let inside =
            |folder: &String| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'));
        project.config.as_deref() == Some(path) || project.folders.iter().any(inside)
    })
}

fn tree(git: &Arc<Git>, scanner: &mut Scanner, id: &str) -> Result<Tree> {
    let files = git.tree(id)?;
    let scan = files::scanned(scanner, &files)?;
    Ok(Tree { id: id.to_owned(), files, scan, git: Arc::clone(git) })
}

/// Merges `theirs` into `ours`.
fn merge(git: &Git, ours: &str, theirs: &str) -> Result<Merge> {
    let (_, out, err) =
        git.run(&["merge-tree", "-z", "--write-tree", "--name-only", "--no-messages", ours, theirs])?;
    let mut lines = out.split('\0').map(|line| line.trim_matches('\n')).filter(|line| !line.is_empty());
    let tree = lines.next().filter(|line| line.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let tree = tree.ok_or_else(|| {
        Failure::engine(format!("git cannot merge without a work tree: {}", err.trim()))
            .hint("A rehearsal needs git 2.38 or newer.")
    })?;
    let conflicts = lines.map(str::to_owned).collect();
    let commit = git.out(&[
        "-c",
        "user.name=offshoot",
        "-c",
        "user.email=offshoot@localhost",
        "-c",
        "commit.gpgsign=false",
        "commit-tree",
        tree,
        "-p",
        ours,
        "-p",
        theirs,
        "-m",
        "rehearsal",
    ])?;
    Ok(Merge { commit: commit.trim().to_owned(), tree: tree.to_owned(), conflicts })
}

//! Which migrations there are: in a worktree, or in a commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use offshoot_migrations::{DiskSource, Project, Scan, Scanner, Source, Tool};
use offshoot_protocol::error::Reason;

use super::git::Git;
use crate::failure::{Failure, Result};

/// Worktrees whose files are remembered.
const MOST_TREES: usize = 16;
/// Commits whose files are remembered.
const MOST_COMMITS: usize = 64;

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

/// What git branches hold. A file that several have is read once.
#[derive(Default)]
pub(in crate::engine) struct Commits(Mutex<Known>);

#[derive(Default)]
struct Known {
    scanner: Option<Scanner>,
    /// By git's name of the tree.
    scans: HashMap<String, Arc<Scan>>,
}

impl Commits {
    /// The migrations of the git branches with these names, as far as there are such, or why they cannot be read. Blocks.
    pub(super) fn scans(
        &self,
        git: &Git,
        names: &BTreeSet<&str>,
    ) -> Result<BTreeMap<String, Result<Arc<Scan>>>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = BTreeMap::new();
        for (name, tree) in git.branches()? {
            if !names.contains(name.as_str()) {
                continue;
            }
            let scan = match known.scans.get(&tree) {
                Some(scan) => Ok(Arc::clone(scan)),
                None => known.scan(git, &tree),
            };
            found.insert(name, scan);
        }
        Ok(found)
    }
}

impl Commits {
    /// The migrations of the git branch with this name; `None` if there is none any more. Blocks.
    pub(super) fn of_branch(&self, git: &Git, name: &str) -> Result<Option<Arc<Scan>>> {
        let Some(tree) = git.tree_of_branch(name)? else { return Ok(None) };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scan) = known.scans.get(&tree) {
            return Ok(Some(Arc::clone(scan)));
        }
        known.scan(git, &tree).map(Some)
    }
}

impl Known {
    fn scan(&mut self, git: &Git, tree: &str) -> Result<Arc<Scan>> {
        let files = git.tree(tree)?;
        let scanner = self.scanner.get_or_insert_with(Scanner::of_many_trees);
        let scan = scanned(scanner, &files)?;
        if self.scans.len() >= MOST_COMMITS {
            self.scans.clear();
        }
        self.scans.insert(tree.to_owned(), Arc::clone(&scan));
        Ok(scan)
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

/// As [`id_of`], for people: what has no tool is called what it is.
pub(super) fn called(project: &Project) -> String {
    match (project.tool, project.root.as_str()) {
        (Tool::PlainSql, "") => project.tool.name().to_owned(),
        (Tool::PlainSql, root) => format!("{} in {root}", project.tool.name()),
        _ => id_of(project),
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

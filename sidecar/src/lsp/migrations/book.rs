//! What is known of the migrations of one worktree.

use std::path::PathBuf;
use std::sync::Arc;

use offshoot_migrations::sql::{Known, TableSize};
use offshoot_migrations::{Scan, Scanner};
use offshoot_protocol::migrations::{
    MigrationBranch, MigrationDiagnostic, MigrationEntry, MigrationFile, MigrationProject, MigrationState,
    MigrationsFailure, MigrationsOnCheckout, MigrationsStatus,
};
use offshoot_protocol::types::{Branch, ComputeState, WorktreeStatus};

use super::measured::MeasuredFiles;
use crate::failure::Result;

/// What the migrations of a worktree depend on, besides files and statements.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::lsp) struct Observed {
    store: PathBuf,
    /// What git has checked out.
    head: String,
    branch: Option<(u64, u64)>,
    is_awake: bool,
    branches: Vec<(u64, String)>,
    /// Name of the branch that all others come from.
    root: Option<String>,
    /// Major version of Postgres.
    postgres: u32,
}

impl Observed {
    /// How a worktree stands among these branches.
    pub(in crate::lsp) fn new(
        store: PathBuf,
        worktree: &WorktreeStatus,
        branches: &[Branch],
        postgres: &str,
    ) -> Self {
        let digits = postgres.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        Self {
            store,
            head: format!("{:?}", worktree.git),
            branch: worktree.branch.as_ref().map(|branch| (branch.id, branch.created_at)),
            is_awake: worktree.branch.as_ref().is_some_and(|branch| branch.state == ComputeState::Awake),
            branches: branches.iter().map(|branch| (branch.id, branch.name.clone())).collect(),
            root: branches.iter().find(|branch| branch.root).map(|branch| branch.name.clone()),
            postgres: digits.parse().unwrap_or_default(),
        }
    }
}

/// What is something else than before.
#[derive(Clone, Copy, Default)]
pub(super) struct News {
    /// The migrations, or what they did.
    pub(super) status: bool,
    /// The tables, by as much as people are told.
    pub(super) sizes: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Book {
    observed: Option<Observed>,
    pub(super) status: Option<Result<Arc<MigrationsStatus>>>,
    /// Grows with each other status.
    pub(super) revision: u64,
    /// The same files, for what the wire does not carry.
    pub(super) scan: Arc<Scan>,
    pub(super) scanner: Scanner,
    /// Statements that failed when they were run last.
    pub(super) failures: Vec<MigrationsFailure>,
    /// The tables of the branch.
    pub(super) tables: Arc<Known>,
    /// What statements cost when they were measured last.
    pub(super) measured: MeasuredFiles,
    /// It is to be read; with true the branch may be woken.
    pub(super) wanted: Option<bool>,
    pub(super) reading: bool,
}

/// A migration in a file, and its place.
pub(super) struct Found<'a> {
    pub(super) project: &'a MigrationProject,
    pub(super) index: usize,
    pub(super) file: &'a MigrationFile,
}

impl Book {
    /// Takes note. Returns whether to read, and whether to wake the branch for it: after a checkout, as pending migrations are then
    /// told.
    pub(super) fn observe(&mut self, seen: Observed) -> Option<bool> {
        let before = self.observed.replace(seen.clone());
        let Some(before) = before else { return Some(false) };
        // Falling asleep changes nothing.
        let is_same = Observed { is_awake: before.is_awake, ..seen.clone() } == before;
        // What could not be read is tried again: the engine may have been away.
        if is_same && (before.is_awake || !seen.is_awake) && !matches!(self.status, Some(Err(_))) {
            return None;
        }
        let asks = self.ready().is_some_and(|status| {
            status.on_checkout != MigrationsOnCheckout::Nothing && !status.projects.is_empty()
        });
        Some(asks && (before.head != seen.head || before.branch != seen.branch))
    }

    /// Folder of the repository's store.
    pub(super) fn store(&self) -> PathBuf {
        self.observed.as_ref().map(|seen| seen.store.clone()).unwrap_or_default()
    }

    /// Major version of Postgres.
    pub(super) fn postgres(&self) -> u32 {
        self.observed.as_ref().map_or(0, |seen| seen.postgres)
    }

    /// Takes what was read. Returns what of it is something else.
    pub(super) fn take(&mut self, mut status: Result<MigrationsStatus>, scan: Arc<Scan>) -> News {
        let mut news = News::default();
        if let Ok(status) = &mut status {
            // They are for the rules alone, and change with every row.
            let tables = std::mem::take(&mut status.tables).into_iter().map(|table| TableSize {
                schema: table.schema,
                name: table.name,
                rows: table.rows,
                bytes: table.bytes,
                partitioned: table.partitioned,
                visible: table.visible,
            });
            let tables = Known::of_tables(tables);
            news.sizes = !tables.is_alike(&self.tables);
            self.tables = Arc::new(tables);
        }
        self.scan = scan;
        news.status = self.replace(status);
        news
    }

    /// Takes what was read of the worktree's branch alone, and leaves all others as they were. Returns whether the whole is something
    /// else now; `None` if it has to be read: there are other files or branches than before.
    pub(super) fn take_own(&mut self, own: MigrationsStatus, scan: Arc<Scan>) -> Option<bool> {
        let before = self.ready()?;
        let is_same_place = own.branch.is_some() && own.branch == before.branch;
        let is_same = |one: &MigrationProject, other: &MigrationProject| {
            let own = |of: &MigrationProject| own_branch(of).map(|branch| branch.branch.clone());
            let files = one.files.iter().zip(&other.files);
            one.id == other.id
                && one.files.len() == other.files.len()
                && files.into_iter().all(|(one, other)| (&one.path, &one.key) == (&other.path, &other.key))
                && own(one) == own(other)
        };
        let (known, elsewhere) = before.projects.split_at_checked(own.projects.len())?;
        let is_elsewhere = |project: &MigrationProject| project.files.is_empty();
        if !is_same_place
            || !own.projects.iter().zip(known).all(|(one, other)| is_same(one, other))
            || !elsewhere.iter().all(is_elsewhere)
        {
            return None;
        }
        let mut status = before.clone();
        for (to, from) in status.projects.iter_mut().zip(own.projects) {
            let others = std::mem::take(&mut to.branches).into_iter().skip(1);
            *to = MigrationProject { branches: from.branches.into_iter().chain(others).collect(), ..from };
        }
        status.diagnostics = own.diagnostics;
        status.on_checkout = own.on_checkout;
        self.scan = scan;
        Some(self.replace(Ok(status)))
    }

    /// Puts a status in place of the former one. Returns whether it is another one.
    fn replace(&mut self, status: Result<MigrationsStatus>) -> bool {
        let status = Some(status.map(Arc::new));
        let is_news = self.status != status;
        if is_news {
            self.revision += 1;
            self.status = status;
        }
        is_news
    }

    /// The status, if it could be read.
    pub(super) fn ready(&self) -> Option<&MigrationsStatus> {
        self.status.as_ref()?.as_ref().ok().map(Arc::as_ref)
    }

    /// The migrations in a file.
    pub(super) fn migrations_in<'a>(&'a self, path: &'a str) -> impl Iterator<Item = Found<'a>> {
        let projects = self.ready().map(|status| status.projects.as_slice()).unwrap_or_default();
        projects.iter().flat_map(move |project| {
            let files = project.files.iter().enumerate().filter(move |(_, file)| file.path == path);
            files.map(move |(index, file)| Found { project, index, file })
        })
    }

    /// What is wrong, of whatever file, on the worktree's branch.
    pub(super) fn diagnostics(&self) -> impl Iterator<Item = &MigrationDiagnostic> {
        let status = self.ready();
        let projects = status.map(|status| status.projects.as_slice()).unwrap_or_default();
        let own = status.map(|status| status.diagnostics.as_slice()).unwrap_or_default();
        own.iter().chain(projects.iter().flat_map(|project| {
            let here = own_branch(project).map(|branch| branch.diagnostics.as_slice()).unwrap_or_default();
            project.diagnostics.iter().chain(here)
        }))
    }

    /// Files in which a merge is not finished.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = &str> {
        self.diagnostics().filter(|found| found.code == "conflictMarkers").map(|found| found.path.as_str())
    }

    /// Files that something is wrong with.
    pub(super) fn faulty(&self) -> impl Iterator<Item = &str> {
        let told = self.diagnostics().map(|found| found.path.as_str()).filter(|path| !path.is_empty());
        told.chain(self.failures.iter().map(|failure| failure.path.as_str()))
    }

    /// Whether a migration is done for everybody: on the branch that all others come from.
    pub(super) fn is_settled(&self, project: &MigrationProject, index: usize) -> bool {
        let root = self.observed.as_ref().and_then(|seen| seen.root.as_deref());
        let branch = project.branches.iter().find(|branch| Some(branch.branch.as_str()) == root);
        branch.is_some_and(|branch| {
            let is_own = own_branch(project).is_some_and(|own| own.branch == branch.branch);
            let done = [MigrationState::Applied, MigrationState::Baseline, MigrationState::Ignored];
            match entry(branch, index) {
                Some(entry) => done.contains(&entry.state),
                None => !is_own && branch.unread.is_none() && !is_absent(branch, index),
            }
        })
    }
}

/// The worktree's branch, which comes first.
pub(super) fn own_branch(project: &MigrationProject) -> Option<&MigrationBranch> {
    project.branches.first()
}

/// Whether a file of the worktree is none of those by which the branch is judged.
pub(super) fn is_absent(branch: &MigrationBranch, index: usize) -> bool {
    branch.absent.iter().any(|place| *place as usize == index)
}

/// What a migration has done to a branch.
pub(super) fn entry(branch: &MigrationBranch, index: usize) -> Option<&MigrationEntry> {
    branch.entries.iter().find(|entry| entry.file.is_some_and(|file| file as usize == index))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use serde_json::{Value, json};

    use super::*;

    /// What a branch has of the first file.
    fn branch(name: &str, state: &str) -> Value {
        let entry = json!({ "file": 0, "state": state, "next": "nothing" });
        json!({ "branch": name, "standing": "upToDate", "applied": 1, "pending": 0, "entries": [entry], "diagnostics": [] })
    }

    /// The status of a worktree on `topic` with these files.
    fn status(files: &[&str], branches: &[Value]) -> MigrationsStatus {
        let file = |path: &&str| json!({ "key": path, "name": path, "path": path, "line": 1 });
        let project = json!({
            "id": "dbmate", "tool": "dbmate", "name": "dbmate", "root": "", "folders": ["db"],
            "files": files.iter().map(file).collect::<Vec<_>>(), "branches": branches, "diagnostics": [],
            "commands": {}, "canReplay": true, "canNew": true,
        });
        let all = json!({
            "worktree": "/shop", "branch": "topic", "projects": [project], "diagnostics": [], "onCheckout": "ask",
        });
        serde_json::from_value(all).unwrap()
    }

    fn book() -> Book {
        let mut book = Book::default();
        let both = [branch("topic", "applied"), branch("main", "applied")];
        assert!(book.take(Ok(status(&["1.sql", "2.sql"], &both)), Arc::default()).status);
        book
    }

    #[test]
    fn what_a_save_changes_on_the_own_branch_leaves_the_others_as_they_were() {
        let mut book = book();
        let own = || status(&["1.sql", "2.sql"], &[branch("topic", "changed")]);
        assert_eq!(book.take_own(own(), Arc::default()), Some(true));
        let both = [branch("topic", "changed"), branch("main", "applied")];
        assert_eq!(book.ready(), Some(&status(&["1.sql", "2.sql"], &both)));
        assert_eq!(book.take_own(own(), Arc::default()), Some(false), "nothing new");
    }

    #[test]
    fn the_own_branch_alone_does_not_do_where_files_or_branch_are_others() {
        let own = [branch("topic", "applied")];
        let mut elsewhere = status(&["1.sql", "2.sql"], &[branch("main", "applied")]);
        elsewhere.branch = Some("main".to_owned());
        let mut without_tool = status(&[], &own);
        without_tool.projects.clear();
        for other in [status(&["0.sql", "1.sql"], &own), status(&["1.sql"], &own), elsewhere, without_tool] {
            let mut book = book();
            let before = book.ready().cloned();
            assert_eq!(book.take_own(other, Arc::default()), None);
            assert_eq!(book.ready().cloned(), before);
        }
        assert_eq!(Book::default().take_own(status(&[], &own), Arc::default()), None, "nothing is known yet");
    }
}

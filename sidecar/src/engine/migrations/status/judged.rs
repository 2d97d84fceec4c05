//! By whose files each branch is judged: a branch has applied what its own git branch has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use offshoot_migrations::{Project, Scan};
use offshoot_protocol::migrations::{MigrationFilesOf, MigrationProject, MigrationsStatusParams};
use offshoot_storage::BranchId;

use super::Place;
use crate::engine::Engine;
use crate::engine::migrations::files::{self, id_of};
use crate::engine::migrations::git::Git;
use crate::engine::migrations::wire;
use crate::failure::{Failure, Result};

/// The files by which a branch is judged.
#[derive(Clone)]
struct Judge {
    scan: Result<Arc<Scan>>,
    files_of: MigrationFilesOf,
}

/// A project that is asked about.
struct Sought {
    id: String,
    /// It without any file.
    shell: Arc<Project>,
    /// The places of the files that were asked about.
    places: Arc<HashMap<String, u32>>,
}

/// A project as a branch has it.
pub(super) struct Judged {
    project: Of,
    /// The places of the files that were asked about; none if the branch has the same.
    pub(super) places: Option<Arc<HashMap<String, u32>>>,
}

enum Of {
    Scan(Arc<Scan>, usize),
    /// The branch's files are none of this project.
    Shell(Arc<Project>),
}

impl Judged {
    pub(super) fn project(&self) -> &Project {
        match &self.project {
            Of::Scan(scan, at) => &scan.projects[*at],
            Of::Shell(shell) => shell,
        }
    }
}

/// All projects on one branch, or why they are not known.
pub(super) struct OnBranch {
    pub(super) id: BranchId,
    pub(super) name: String,
    pub(super) files_of: MigrationFilesOf,
    pub(super) projects: Result<Vec<Judged>, String>,
}

/// The projects, and for each branch what it has of them, in the same order.
pub(super) async fn judged(
    engine: &Arc<Engine>,
    place: &Place,
    asked: &Arc<Scan>,
    meant: Vec<(BranchId, String)>,
    params: &MigrationsStatusParams,
) -> Result<(Vec<MigrationProject>, Vec<OnBranch>)> {
    let judges = judges(engine, place, asked, &meant, params).await?;
    let tool = params.tool.as_deref();
    let mut projects = Vec::new();
    let mut sought: Vec<Sought> = Vec::new();
    for project in files::chosen(asked, tool)? {
        projects.push(wire::project(project));
        sought.push(Sought::of(project));
    }
    // Tools that only another branch has.
    for scan in judges.iter().filter_map(|judge| judge.scan.as_ref().ok()) {
        for project in files::chosen(scan, tool).unwrap_or_default() {
            if !sought.iter().any(|one| one.id == id_of(project)) {
                let one = Sought { places: Arc::default(), ..Sought::of(project) };
                projects.push(wire::project(&one.shell));
                sought.push(one);
            }
        }
    }
    let branches = meant.into_iter().zip(judges).map(|((id, name), judge)| OnBranch {
        id,
        name,
        files_of: judge.files_of,
        projects: match judge.scan {
            Ok(scan) => Ok(sought.iter().map(|one| one.on(&scan, asked)).collect()),
            Err(failure) => Err(format!("the files of its git branch are not known: {failure}")),
        },
    });
    Ok((projects, branches.collect()))
}

impl Sought {
    fn of(project: &Project) -> Self {
        let places = project.migrations.iter().enumerate();
        let places = places.map(|(at, migration)| (wire::key_of(migration), at as u32)).collect();
        let shell = Project {
            tool: project.tool,
            layout: project.layout,
            root: project.root.clone(),
            config: project.config.clone(),
            folders: project.folders.clone(),
            history: project.history.clone(),
            late: project.late,
            migrations: Vec::new(),
            commands: project.commands.clone(),
            diagnostics: Vec::new(),
            options: project.options.clone(),
        };
        Self { id: id_of(project), shell: Arc::new(shell), places: Arc::new(places) }
    }

    fn on(&self, scan: &Arc<Scan>, asked: &Arc<Scan>) -> Judged {
        let same = Arc::ptr_eq(scan, asked);
        let at = scan.projects.iter().position(|one| id_of(one) == self.id);
        Judged {
            project: match at {
                Some(at) => Of::Scan(Arc::clone(scan), at),
                None => Of::Shell(Arc::clone(&self.shell)),
            },
            places: (!same).then(|| Arc::clone(&self.places)),
        }
    }
}

async fn judges(
    engine: &Arc<Engine>,
    place: &Place,
    asked: &Arc<Scan>,
    meant: &[(BranchId, String)],
    params: &MigrationsStatusParams,
) -> Result<Vec<Judge>> {
    let own = place.branch.as_ref().ok().map(|(id, _)| *id);
    let is_asked = |id: BranchId| params.commit.is_some() || own == Some(id);
    let asked = |files_of| Judge { scan: Ok(Arc::clone(asked)), files_of };
    if meant.iter().all(|(id, _)| is_asked(*id)) {
        return Ok(meant.iter().map(|_| asked(MigrationFilesOf::Asked)).collect());
    }
    let views = engine.binding.views().await?;
    let elsewhere: HashMap<BranchId, PathBuf> = views
        .into_iter()
        .filter(|view| view.path != place.root)
        .filter_map(|view| Some((view.branch.ok()?, view.path)))
        .collect();
    let (root, others) = (place.root.clone(), meant.to_vec());
    let read = engine.blocking(move |engine| {
        let mut scans: HashMap<BranchId, Arc<Scan>> = HashMap::new();
        for (id, _) in &others {
            // The folder of a worktree may be gone.
            if let Some(Ok(scan)) = elsewhere.get(id).map(|path| engine.migrations.trees.scan(path)) {
                scans.insert(*id, scan);
            }
        }
        let names: BTreeSet<&str> =
            others.iter().filter(|(id, _)| !scans.contains_key(id)).map(|(_, name)| name.as_str()).collect();
        let commits = engine.migrations.commits.scans(&Git::of(&root), &names);
        Ok((scans, commits))
    });
    let (worktrees, commits) = read.await?;
    let (commits, failure): (BTreeMap<String, Result<Arc<Scan>>>, Option<Failure>) = match commits {
        Ok(commits) => (commits, None),
        Err(failure) => (BTreeMap::new(), Some(failure)),
    };
    Ok(meant
        .iter()
        .map(|(id, name)| {
            if is_asked(*id) {
                asked(MigrationFilesOf::Asked)
            } else if let Some(scan) = worktrees.get(id) {
                Judge { scan: Ok(Arc::clone(scan)), files_of: MigrationFilesOf::Worktree }
            } else if let Some(scan) = commits.get(name) {
                Judge { scan: scan.clone(), files_of: MigrationFilesOf::GitBranch }
            } else if let Some(failure) = &failure {
                Judge { scan: Err(failure.clone()), files_of: MigrationFilesOf::GitBranch }
            } else {
                asked(MigrationFilesOf::NoGitBranch)
            }
        })
        .collect())
}

//! The one owner of the workspace's folders and of their links to engines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use offshoot_protocol::RpcError;
use offshoot_protocol::editor::{EditorStatus, FolderState, FolderStatus, Job};
use tokio::sync::{mpsc, oneshot};
use tower_lsp_server::ls_types::WorkspaceFolder;

use super::Shared;
use super::folder::{self, Place};
use super::job::Kind;
use super::link::{Link, Report};
use super::watching::Watching;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::project::Project;
use crate::session::engine_file;

/// How long the first status waits until every folder was looked at.
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// Signs this close together are one.
const QUIET: Duration = Duration::from_millis(30);

/// What the actor is told or asked.
pub(super) enum Message {
    /// The editor begins.
    Begin { folders: Vec<WorkspaceFolder>, trusted: bool },
    /// Folders came and went.
    Folders { added: Vec<WorkspaceFolder>, removed: Vec<WorkspaceFolder> },
    /// The workspace became trusted.
    Trusted,
    /// Everything is to be read again.
    Refresh,
    /// Something may be where it was not.
    Touched,
    /// Signs have been quiet.
    Quiet,
    /// Folders that were not looked at yet are no longer waited for.
    Overdue,
    /// A folder was looked at.
    Found { folder: String, place: Place },
    /// Where is a folder?
    Locate { folder: String, reply: oneshot::Sender<Result<Target, RpcError>> },
    /// A request began.
    JobBegan { key: Option<PathBuf>, id: u64, job: Option<Job>, kind: Kind },
    /// It ended.
    JobEnded { key: Option<PathBuf>, id: u64, kind: Kind },
    /// A link's thread or timer.
    Link { key: PathBuf, generation: u64, report: Report },
    /// Something else is known of migrations.
    Migrations,
    /// All that is known, for a report.
    Describe { reply: oneshot::Sender<View> },
}

/// A folder that a request is about.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// Its path.
    pub(super) path: PathBuf,
    project: Result<Project, RpcError>,
}

impl Target {
    /// Its repository with its database.
    pub(super) fn project(&self) -> Result<&Project> {
        self.project.as_ref().map_err(|error| Failure(error.clone()))
    }

    /// The git common directory, by which links are found.
    pub(super) fn key(&self) -> Option<PathBuf> {
        self.project.as_ref().ok().map(|project| project.worktree.common_dir.clone())
    }
}

/// What a report is written from.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) status: EditorStatus,
    pub(super) trusted: bool,
    /// Stores, and the version of Postgres if it is known.
    pub(super) projects: Vec<(Project, Option<String>)>,
}

struct Folder {
    uri: String,
    name: String,
    path: PathBuf,
    /// Absent until it was looked at.
    place: Option<Place>,
    looking: bool,
    look_again: bool,
    /// Requests that came before the first look.
    waiting: Vec<oneshot::Sender<Result<Target, RpcError>>>,
}

/// See the module.
pub(super) struct Actor {
    shared: Arc<Shared>,
    paths: Paths,
    begun: bool,
    trusted: bool,
    folders: Vec<Folder>,
    links: BTreeMap<PathBuf, Link>,
    watching: Watching,
    /// A timer will look.
    touched: bool,
    overdue: bool,
    /// A status is due, changed or not.
    forced: bool,
    last: Option<EditorStatus>,
}

impl Actor {
    pub(super) fn new(shared: Arc<Shared>, paths: Paths) -> Self {
        Self {
            watching: Watching::new(&shared, paths.stores()),
            shared,
            paths,
            begun: false,
            trusted: false,
            folders: Vec::new(),
            links: BTreeMap::new(),
            touched: false,
            overdue: false,
            forced: false,
            last: None,
        }
    }

    /// Runs until it is aborted.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        while let Some(message) = inbox.recv().await {
            self.take(message);
            self.settle();
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Begin { folders, trusted } => {
                (self.begun, self.trusted) = (true, trusted);
                self.change_folders(folders, &[]);
                self.later(FIRST_LOOK, || Message::Overdue);
            }
            Message::Folders { added, removed } => self.change_folders(added, &removed),
            Message::Trusted => {
                self.trusted = true;
                self.look_where(|_| true);
            }
            Message::Refresh => {
                self.forced = true;
                self.look_where(|_| true);
                self.links.values_mut().for_each(Link::refresh);
            }
            Message::Touched if !self.touched => {
                self.touched = true;
                self.later(QUIET, || Message::Quiet);
            }
            Message::Touched | Message::Migrations => (),
            Message::Quiet => {
                self.touched = false;
                self.look_closer();
            }
            Message::Overdue => self.overdue = true,
            Message::Found { folder, place } => self.found(&folder, place),
            Message::Locate { folder, reply } => self.locate(&folder, reply),
            Message::JobBegan { key, id, job, kind } => {
                if let Some(link) = key.and_then(|key| self.links.get_mut(&key)) {
                    link.job_began(id, job, kind == Kind::Restart);
                }
            }
            Message::JobEnded { key, id, kind } => {
                if let Some(link) = key.and_then(|key| self.links.get_mut(&key)) {
                    link.job_ended(id, kind == Kind::Restart);
                }
                if kind == Kind::Init {
                    self.look_where(|folder| !matches!(folder.place, Some(Place::Project(_))));
                }
            }
            Message::Link { key, generation, report } => {
                let Some(link) = self.links.get_mut(&key) else { return };
                if link.take(generation, report) {
                    self.look_where(|folder| folder.key() == Some(key.clone()));
                }
            }
            Message::Describe { reply } => {
                let projects = self
                    .links
                    .values()
                    .map(|link| (link.project.clone(), link.postgres().map(str::to_owned)));
                let view =
                    View { projects: projects.collect(), status: self.status(), trusted: self.trusted };
                // Whoever asked may have gone.
                let _ = reply.send(view);
            }
        }
    }

    fn change_folders(&mut self, added: Vec<WorkspaceFolder>, removed: &[WorkspaceFolder]) {
        let is_removed = |uri: &str| removed.iter().any(|folder| folder.uri.as_str() == uri);
        self.folders.retain(|folder| !is_removed(&folder.uri));
        for folder in added {
            let uri = folder.uri.as_str().to_owned();
            if self.folders.iter().any(|known| known.uri == uri) {
                continue;
            }
            let is_file = folder.uri.scheme().as_str() == "file";
            let path = folder.uri.to_file_path().filter(|_| is_file).unwrap_or_default().into_owned();
            let place = (!is_file).then_some(Place::NoGit);
            self.folders.push(Folder {
                uri: uri.clone(),
                name: folder.name,
                path,
                place,
                looking: false,
                look_again: false,
                waiting: Vec::new(),
            });
            self.look_where(|folder| folder.uri == uri);
        }
    }

    /// After signs: folders that may have become something else, engines that may have been started, configuration files.
    fn look_closer(&mut self) {
        self.look_where(|folder| !matches!(folder.place, Some(Place::Project(_))));
        self.links.values_mut().filter(|link| link.is_stopped()).for_each(|link| {
            if engine_file(&link.project.store).is_some() {
                link.nudge(false);
            }
        });
        self.shared.documents.read_again(&self.shared);
    }

    /// Looks at the folders that `which` holds for, on threads. Nothing is run in a workspace that is not trusted.
    fn look_where(&mut self, which: impl Fn(&Folder) -> bool) {
        if !self.trusted {
            return;
        }
        for folder in self.folders.iter_mut().filter(|folder| which(folder)) {
            if folder.path.as_os_str().is_empty() {
                continue;
            }
            if folder.looking {
                folder.look_again = true;
                continue;
            }
            folder.looking = true;
            let (path, paths) = (folder.path.clone(), self.paths.clone());
            let (uri, actor) = (folder.uri.clone(), self.shared.actor.clone());
            tokio::spawn(async move {
                let place = tokio::task::spawn_blocking(move || Place::look(&path, &paths)).await;
                let place =
                    place.unwrap_or_else(|panic| Place::Failed(RpcError::internal(panic.to_string())));
                let _ = actor.send(Message::Found { folder: uri, place }).await;
            });
        }
    }

    fn found(&mut self, uri: &str, place: Place) {
        let Some(folder) = self.folders.iter_mut().find(|folder| folder.uri == uri) else { return };
        folder.looking = false;
        folder.place = Some(place);
        for reply in std::mem::take(&mut folder.waiting) {
            let _ = reply.send(Ok(folder.target()));
        }
        if std::mem::take(&mut folder.look_again) {
            self.look_where(|folder| folder.uri == uri);
        }
    }

    fn locate(&mut self, uri: &str, reply: oneshot::Sender<Result<Target, RpcError>>) {
        let folder = self.folders.iter_mut().find(|folder| folder.uri == uri);
        let answer = match folder {
            _ if !self.trusted => {
                Err(Failure::user("this workspace is not trusted, so that no program is run for it")
                    .hint("Trust the workspace first.")
                    .0)
            }
            None => Err(RpcError::user(format!("{uri} is no folder of this workspace"))),
            Some(folder) if folder.place.is_none() => return folder.waiting.push(reply),
            Some(folder) => Ok(folder.target()),
        };
        // Whoever asked may have gone.
        let _ = reply.send(answer);
    }

    /// Makes links, watches and the status follow from the folders.
    fn settle(&mut self) {
        let mut wanted: BTreeMap<PathBuf, (Project, BTreeSet<PathBuf>)> = BTreeMap::new();
        let mut worktrees = BTreeSet::new();
        for folder in &self.folders {
            if let Some(Place::Project(project)) = &folder.place {
                let (_, roots) = wanted
                    .entry(project.worktree.common_dir.clone())
                    .or_insert_with(|| (project.clone(), BTreeSet::new()));
                roots.insert(project.worktree.path.clone());
                worktrees.insert(project.worktree.path.clone());
            }
        }
        let opened = self.folders.iter().map(|folder| folder.path.clone());
        self.shared.migrations.retain(&worktrees, opened.collect());
        // A repository that has another store now needs another link.
        self.links.retain(|key, link| {
            wanted.get(key).is_some_and(|(project, _)| project.store == link.project.store)
        });
        for (key, (project, roots)) in wanted {
            match self.links.get_mut(&key) {
                Some(link) => link.set_wanted(roots),
                None => {
                    self.links.insert(key, Link::new(project, roots, Arc::clone(&self.shared)));
                }
            }
        }
        self.watch();
        self.publish();
    }

    fn watch(&mut self) {
        let mut wanted = BTreeSet::new();
        let mut roots = BTreeSet::new();
        for folder in &self.folders {
            let Some(place) = folder.place.as_ref().filter(|_| !folder.path.as_os_str().is_empty()) else {
                continue;
            };
            wanted.extend(place.watched(&folder.path, &self.paths));
            roots.extend(folder.root());
        }
        let stopped = self.links.values().filter(|link| link.is_stopped());
        wanted.extend(stopped.map(|link| link.project.store.clone()));
        if self.watching.set(wanted) {
            self.look_closer();
        }
        self.shared.documents.follow(&self.shared, roots);
    }

    fn publish(&mut self) {
        let is_known = |folder: &Folder| folder.place.is_some() || !self.trusted;
        if !self.begun || !self.overdue && !self.folders.iter().all(is_known) {
            return;
        }
        let is_busy =
            self.folders.iter().any(|folder| folder.looking) || self.links.values().any(Link::is_busy);
        let force = self.forced && !is_busy;
        let status = self.status();
        if force || self.last.as_ref() != Some(&status) {
            self.forced &= !force;
            self.last = Some(status.clone());
            self.shared.outbox.status(status);
        }
    }

    fn status(&self) -> EditorStatus {
        let folders = self.folders.iter().map(|folder| FolderStatus {
            uri: folder.uri.clone(),
            name: folder.name.clone(),
            path: folder.path.to_string_lossy().into_owned(),
            state: self.state(folder),
        });
        EditorStatus { version: crate::VERSION.to_owned(), folders: folders.collect() }
    }

    fn state(&self, folder: &Folder) -> FolderState {
        match &folder.place {
            _ if !self.trusted => FolderState::Untrusted,
            None => FolderState::Starting,
            Some(Place::NoGit) => FolderState::NoGit,
            Some(Place::NotInitialised { worktree, dumps, lost }) => FolderState::NotInitialised {
                root: worktree.path.to_string_lossy().into_owned(),
                dumps: dumps.clone(),
                lost: lost.as_ref().map(|store| store.to_string_lossy().into_owned()),
            },
            Some(Place::Failed(error)) => FolderState::Failed { error: error.clone() },
            Some(Place::Project(project)) => self
                .links
                .get(&project.worktree.common_dir)
                .map_or(FolderState::Starting, |link| link.state(&project.worktree.path)),
        }
    }

    fn later(&self, pause: Duration, message: impl FnOnce() -> Message + Send + 'static) {
        let actor = self.shared.actor.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = actor.send(message()).await;
        });
    }
}

impl Folder {
    fn key(&self) -> Option<PathBuf> {
        match &self.place {
            Some(Place::Project(project)) => Some(project.worktree.common_dir.clone()),
            _ => None,
        }
    }

    /// Root of its worktree, where `offshoot.toml` lies.
    fn root(&self) -> Option<PathBuf> {
        match &self.place {
            Some(Place::Project(Project { worktree, .. }) | Place::NotInitialised { worktree, .. }) => {
                Some(worktree.path.clone())
            }
            _ => None,
        }
    }

    fn target(&self) -> Target {
        let missing = |text: &str, hint: &str| Err(RpcError::user(text).hint(hint));
        let project = match &self.place {
            Some(Place::Project(project)) => Ok(project.clone()),
            Some(Place::Failed(error)) => Err(error.clone()),
            Some(Place::NotInitialised { worktree, lost: Some(store), .. }) => {
                Err(folder::lost(&worktree.path, store).0)
            }
            Some(Place::NotInitialised { .. }) => {
                missing("this repository has no database yet", "Set up database branching first.")
            }
            Some(Place::NoGit) | None => {
                missing("this folder is in no git repository", "Run `git init` in it first.")
            }
        };
        Target { path: self.path.clone(), project }
    }
}

//! The link to the engine of one repository, shared by all its folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use offshoot_protocol::client::HangUp;
use offshoot_protocol::editor::{FolderState, Job, ProjectStatus};
use offshoot_protocol::types::{SchemaChanges, Subject, WorktreeStatus};
use offshoot_protocol::{Client, RpcError};

use super::Shared;
use super::actor::Message;
use super::migrations::Observed;
use super::reading::{self, Connection, Ending, Seen};
use super::schema::Schemas;
use crate::failure::{Failure, Result};
use crate::project::Project;
use crate::session::{engine_file, not_running};

/// Events this close together are one.
const QUIET: Duration = Duration::from_millis(15);
/// A connection that held this long is no part of a row of failures.
const STEADY: Duration = Duration::from_secs(30);
/// Longest pause between attempts to start an engine.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What comes back to a link from its threads and timers.
pub(super) enum Report {
    /// An attempt to connect ended.
    Connected(Result<Box<Connection>>),
    /// The engine says that something changed.
    Event(Subject),
    /// Events have been quiet.
    Quiet,
    /// The state was read.
    Read(Result<(Client, Seen)>),
    /// A schema was read.
    Schema(u64, Result<SchemaChanges>),
    /// The connection ended.
    Lost(Ending),
    /// The pause before another attempt is over.
    Retry,
}

enum Phase {
    /// An attempt is under way. Has the error of the last one, which is shown until this one succeeds.
    Connecting(Option<RpcError>),
    Connected(Live),
    /// A timer will try again.
    Paused(RpcError),
    /// Somebody stopped the engine; it is not ours to start it.
    Stopped,
}

struct Live {
    hang_up: HangUp,
    postgres: String,
    since: Instant,
    /// Absent while it is read from.
    reader: Option<Client>,
    /// Something changed that is not read yet.
    stale: bool,
    /// A timer will read.
    waiting: bool,
    seen: Option<Seen>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.hang_up.now();
    }
}

/// See the module.
pub(super) struct Link {
    pub(super) project: Project,
    /// The git common directory.
    key: PathBuf,
    shared: Arc<Shared>,
    phase: Phase,
    /// Counts connections, so that reports of earlier ones are told apart.
    generation: u64,
    /// Failures in a row.
    failures: u32,
    schemas: Schemas,
    /// Roots of the worktrees that folders lie in.
    wanted: BTreeSet<PathBuf>,
    jobs: BTreeMap<u64, Job>,
    /// Requests under way that stop and start the engine.
    restarts: usize,
    abandoned: Arc<AtomicBool>,
}

impl Link {
    /// A link that connects at once.
    pub(super) fn new(project: Project, wanted: BTreeSet<PathBuf>, shared: Arc<Shared>) -> Self {
        let mut link = Self {
            key: project.worktree.common_dir.clone(),
            project,
            shared,
            phase: Phase::Stopped,
            generation: 0,
            failures: 0,
            schemas: Schemas::default(),
            wanted,
            jobs: BTreeMap::new(),
            restarts: 0,
            abandoned: Arc::default(),
        };
        link.connect(true, None);
        link
    }

    /// Shows other worktrees.
    pub(super) fn set_wanted(&mut self, wanted: BTreeSet<PathBuf>) {
        if self.wanted != wanted {
            self.wanted = wanted;
            self.read_soon();
        }
    }

    /// Whether its engine was stopped by somebody, so that its file is worth watching.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Stopped)
    }

    /// Whether something is about to be known that is not yet.
    pub(super) fn is_busy(&self) -> bool {
        match &self.phase {
            Phase::Connecting(_) => true,
            Phase::Connected(live) => live.stale || live.waiting || live.reader.is_none(),
            Phase::Paused(_) | Phase::Stopped => false,
        }
    }

    /// Version of Postgres, if it is known.
    pub(super) fn postgres(&self) -> Option<&str> {
        if let Phase::Connected(live) = &self.phase { Some(&live.postgres) } else { None }
    }

    /// Connects if it is not connected, as somebody asked for something. With `may_start` the engine is started.
    pub(super) fn nudge(&mut self, may_start: bool) {
        match &mut self.phase {
            Phase::Connecting(_) | Phase::Connected(_) => (),
            Phase::Paused(error) => {
                let error = error.clone();
                self.connect(true, Some(error));
            }
            Phase::Stopped => self.connect(may_start, Some(reading::stopped())),
        }
    }

    /// Reads everything again.
    pub(super) fn refresh(&mut self) {
        self.nudge(true);
        self.schemas.touch();
        self.shared.migrations.touch(&self.shared, Some(&self.wanted));
        self.read_soon();
    }

    /// A request began.
    pub(super) fn job_began(&mut self, id: u64, job: Option<Job>, restarts: bool) {
        self.jobs.extend(job.map(|job| (id, job)));
        self.restarts += usize::from(restarts);
    }

    /// It ended; it may have started the engine.
    pub(super) fn job_ended(&mut self, id: u64, restarts: bool) {
        self.jobs.remove(&id);
        self.restarts = self.restarts.saturating_sub(usize::from(restarts));
        self.nudge(false);
    }

    /// Takes what came back. Returns whether the folders should be looked at again, because the repository may be gone.
    pub(super) fn take(&mut self, generation: u64, report: Report) -> bool {
        if generation != self.generation {
            return false;
        }
        match report {
            Report::Connected(Ok(connection)) => self.connected(*connection),
            Report::Connected(Err(failure)) => self.not_connected(failure),
            Report::Event(Subject::Migrations) => {
                self.shared.migrations.touch(&self.shared, Some(&self.wanted));
            }
            Report::Event(Subject::Schema) => {
                // They may have been a tool's.
                self.shared.migrations.touch(&self.shared, Some(&self.wanted));
                self.schemas.touch();
                self.read_schemas();
            }
            Report::Event(_) => self.read_soon(),
            Report::Quiet => {
                if let Phase::Connected(live) = &mut self.phase {
                    live.waiting = false;
                }
                self.read();
            }
            Report::Read(Ok((client, seen))) => return self.has_read(client, seen),
            Report::Read(Err(failure)) => {
                tracing::warn!(error = %failure, "read the state of the databases");
                // Its thread then reports the end of the connection.
                if let Phase::Connected(live) = &self.phase {
                    live.hang_up.now();
                }
            }
            Report::Schema(id, outcome) => {
                self.schemas.done(id, outcome.map_err(|failure| failure.0));
                self.read_schemas();
            }
            Report::Lost(ending) => {
                self.lost(ending);
                return true;
            }
            Report::Retry => {
                if matches!(self.phase, Phase::Paused(_)) {
                    self.nudge(true);
                }
            }
        }
        false
    }

    fn connect(&mut self, may_start: bool, shown: Option<RpcError>) {
        self.generation += 1;
        self.schemas = Schemas::default();
        self.phase = Phase::Connecting(shown);
        let (project, abandoned) = (self.project.clone(), Arc::clone(&self.abandoned));
        let shared = Arc::clone(&self.shared);
        self.work(Report::Connected, move || {
            let is_cancelled = || abandoned.load(Ordering::Relaxed) || shared.closing.load(Ordering::Relaxed);
            reading::open(&project, may_start, &is_cancelled).map(Box::new)
        });
    }

    fn connected(&mut self, connection: Connection) {
        let Connection { events, hang_up, reader, pid, postgres } = connection;
        let (key, store, generation) = (self.key.clone(), self.project.store.clone(), self.generation);
        let actor = self.shared.actor.clone();
        let follow = move || {
            let send =
                |report| actor.blocking_send(Message::Link { key: key.clone(), generation, report }).is_ok();
            let ending = reading::follow(events, pid, &store, |subject| send(Report::Event(subject)));
            send(Report::Lost(ending));
        };
        let thread = std::thread::Builder::new().name("engine-events".into()).spawn(follow);
        if let Err(error) = thread {
            return self.not_connected(Failure::io("start a thread for the engine's events", &error));
        }
        self.phase = Phase::Connected(Live {
            hang_up,
            postgres,
            since: Instant::now(),
            reader: Some(reader),
            stale: true,
            waiting: false,
            seen: None,
        });
        self.read();
    }

    fn not_connected(&mut self, failure: Failure) {
        let was_optional =
            matches!(&self.phase, Phase::Connecting(Some(error)) if *error == reading::stopped());
        let is_gone = failure == not_running() && engine_file(&self.project.store).is_none();
        if was_optional && is_gone {
            self.phase = Phase::Stopped;
            return;
        }
        tracing::warn!(error = %failure, "connect to the engine");
        self.pause(failure.0);
    }

    fn lost(&mut self, ending: Ending) {
        let Phase::Connected(live) = &self.phase else { return };
        if live.since.elapsed() >= STEADY {
            self.failures = 0;
        }
        if ending == Ending::Orderly {
            self.failures = 0;
            self.generation += 1;
            self.phase = Phase::Stopped;
            return;
        }
        if self.failures == 0 {
            self.failures = 1;
            return self.connect(true, None);
        }
        self.pause(
            Failure::engine("the engine died").hint("It is started again in a moment. Its log tells more.").0,
        );
    }

    /// Tries again after a pause that grows with every failure.
    fn pause(&mut self, error: RpcError) {
        self.generation += 1;
        self.phase = Phase::Paused(error);
        let pause = Duration::from_secs(1 << self.failures.saturating_sub(1).min(5)).min(LONGEST_PAUSE);
        self.failures += 1;
        self.later(pause, Report::Retry);
    }

    fn read_soon(&mut self) {
        let Phase::Connected(live) = &mut self.phase else { return };
        live.stale = true;
        // While it is being read, the end of that looks again.
        if !live.waiting && live.reader.is_some() {
            live.waiting = true;
            self.later(QUIET, Report::Quiet);
        }
    }

    fn read(&mut self) {
        let Phase::Connected(live) = &mut self.phase else { return };
        if !live.stale || live.waiting {
            return;
        }
        let Some(mut client) = live.reader.take() else { return };
        live.stale = false;
        let wanted = self.wanted.clone();
        self.work(Report::Read, move || reading::read(&mut client, &wanted).map(|seen| (client, seen)));
    }

    fn has_read(&mut self, client: Client, seen: Seen) -> bool {
        let Phase::Connected(live) = &mut self.phase else { return false };
        live.reader = Some(client);
        let refused =
            |seen: &Seen| -> Vec<_> { seen.worktrees.values().filter_map(|w| w.clone().err()).collect() };
        let news = live.seen.as_ref().map(refused).unwrap_or_default() != refused(&seen);
        for (root, worktree) in &seen.worktrees {
            if let Ok(worktree) = worktree {
                let store = self.project.store.clone();
                let observed = Observed::new(store, worktree, &seen.list.branches, &live.postgres);
                self.shared.migrations.observe(&self.shared, root, observed);
            }
        }
        let shown = seen.worktrees.values().flatten().filter_map(|worktree| worktree.branch.as_ref());
        self.schemas.observe(&seen.list.branches, shown);
        live.seen = Some(seen);
        if live.stale {
            self.read_soon();
        }
        self.read_schemas();
        news
    }

    fn read_schemas(&mut self) {
        let Phase::Connected(live) = &self.phase else { return };
        if let Some((id, name)) = self.schemas.next() {
            let store = self.project.store.clone();
            let mut worktrees = live.seen.iter().flat_map(|seen| &seen.worktrees);
            let is_on =
                |status: &WorktreeStatus| status.branch.as_ref().is_some_and(|branch| branch.id == id);
            let on = worktrees.find(|(_, status)| status.as_ref().is_ok_and(is_on));
            let root = on.map(|(root, _)| root.clone());
            self.work(
                move |outcome| Report::Schema(id, outcome),
                move || reading::read_schema(&store, name, root.as_deref()),
            );
        }
    }

    /// Does `work` on a thread; what it comes to arrives as a report.
    fn work<T: Send + 'static>(
        &self,
        report: impl FnOnce(Result<T>) -> Report + Send + 'static,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) {
        let (key, generation, actor) = (self.key.clone(), self.generation, self.shared.actor.clone());
        tokio::spawn(async move {
            let outcome = tokio::task::spawn_blocking(work).await;
            let outcome = outcome.unwrap_or_else(|panic| Err(Failure::internal(panic.to_string())));
            let _ = actor.send(Message::Link { key, generation, report: report(outcome) }).await;
        });
    }

    fn later(&self, pause: Duration, report: Report) {
        let (key, generation, actor) = (self.key.clone(), self.generation, self.shared.actor.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = actor.send(Message::Link { key, generation, report }).await;
        });
    }

    /// What to show for a folder in the worktree at `root`.
    pub(super) fn state(&self, root: &Path) -> FolderState {
        let seen = match &self.phase {
            _ if self.restarts > 0 && !matches!(self.phase, Phase::Connected(_)) => None,
            Phase::Connecting(None) => None,
            Phase::Connecting(Some(error)) | Phase::Paused(error) => {
                return FolderState::Failed { error: error.clone() };
            }
            Phase::Stopped => return FolderState::Failed { error: reading::stopped() },
            Phase::Connected(live) => live.seen.as_ref().map(|seen| (live, seen)),
        };
        let Some((live, seen)) = seen else { return FolderState::Starting };
        match seen.worktrees.get(root) {
            None => FolderState::Starting,
            Some(Err(error)) => FolderState::Failed { error: error.clone() },
            Some(Ok(worktree)) => FolderState::Ready(Box::new(ProjectStatus {
                id: self.key.to_string_lossy().into_owned(),
                schema: self.schemas.status(worktree.branch.as_ref()),
                migrations: self.shared.migrations.revision(root),
                worktree: worktree.clone(),
                branches: seen.list.branches.clone(),
                undo: seen.list.undo.clone(),
                postgres: live.postgres.clone(),
                jobs: self.jobs.values().cloned().collect(),
            })),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

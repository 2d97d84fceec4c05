//! From start to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use offshoot_git::Repository;
use offshoot_storage::{OpenStore, StorageError, Store};
use tokio::signal::unix::{SignalKind, signal};

use super::binding::{Binding, git_failure};
use super::book::Book;
use super::presence::Presence;
use super::{
    Engine, activity, commits, env_files, follow, following, fork, hooks, log, migrations, offers, prepare,
    server, throwaway, upkeep,
};
use crate::config::{Config, ConfigFile};
use crate::failure::{Failure, Result, chain};
use crate::paths::{Paths, interposer};
use crate::sys;

/// Threads for work that waits for disks and processes.
const BLOCKING_THREADS: usize = 16;
/// How long tasks may take to end after everything is closed.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What the engine is started with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Folder of the store.
    pub(crate) store: PathBuf,
    /// The git common directory of whoever started it.
    pub(crate) common_dir: PathBuf,
}

/// Runs the engine of a store until it is told to stop. Returns at once if another engine owns the store.
pub(crate) fn run(options: &Options) -> Result<()> {
    sys::keep_memory_small();
    if !options.store.is_dir() {
        return Err(Failure::user(format!("there is no store at {}", options.store.display())));
    }
    let project = project_of(&options.store);
    log::install(&options.store, &project).map_err(|e| Failure::io("open the engine's log", &e))?;
    let outcome = serve(options, &project);
    if let Err(failure) = &outcome {
        let hint = failure.0.hint.clone().unwrap_or_default();
        tracing::error!(error = %failure, hint, "the engine failed");
    }
    outcome
}

/// A store's folder is named by its project.
fn project_of(store: &Path) -> String {
    store.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn serve(options: &Options, project: &str) -> Result<()> {
    let paths = Paths::from_env()?;
    let runtime_dir = paths.make_store_runtime(&options.store)?;
    let account = offshoot_postgres::account::unprivileged()
        .map_err(|e| Failure::configuration(chain(&e)).hint(e.hint()))?;
    let settings = settings_of(&options.common_dir);
    let open = OpenStore {
        dir: options.store.clone(),
        runtime_dir: runtime_dir.clone(),
        account,
        interposer: interposer()?,
        settings: settings.clone(),
    };
    let store = match Store::open(open) {
        Ok(store) => store,
        Err(StorageError::Locked { pid }) => {
            tracing::info!(owner = ?pid, "another engine owns the store");
            return Ok(());
        }
        Err(other) => return Err(other.into()),
    };
    store.set_restore_window(
        main_config(&options.common_dir)
            .map_or_else(|| Config::default().restore(), |file| file.config().restore()),
    );
    notice_driver(&store, &options.common_dir);
    let repository = adopt_repository(&store, &options.common_dir, project)?;
    let socket = runtime_dir.join("engine.sock");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(1024 * 1024)
        .thread_name("engine")
        .enable_all()
        .build()
        .map_err(|e| Failure::io("start the engine's threads", &e))?;
    let outcome = runtime.block_on(supervise(store, repository, settings, &socket));
    runtime.shutdown_timeout(LAST_WORDS);
    outcome
}

/// The settings for Postgres that the main worktree asks for.
fn settings_of(common_dir: &Path) -> Vec<(String, String)> {
    main_config(common_dir).map(|file| file.config().postgres.clone()).unwrap_or_default()
}

/// The configuration of the main worktree.
fn main_config(common_dir: &Path) -> Option<ConfigFile> {
    let worktrees =
        Repository::at(common_dir).and_then(|repository| repository.worktrees()).unwrap_or_default();
    worktrees.first().map(|main| ConfigFile::open(&main.path))
}

/// Tells it if the configuration asks for another driver than the store has: it goes on with its own.
fn notice_driver(store: &Store, common_dir: &Path) {
    let driver = store.info().driver;
    let asked = main_config(common_dir).and_then(|file| file.config().storage_driver);
    if let Some(asked) = asked.filter(|asked| *asked != driver) {
        tracing::warn!(
            driver = driver.as_str(),
            asked = asked.as_str(),
            "the store keeps the driver that it was made with; `offshoot doctor` tells more"
        );
    }
}

/// The repository that the store belongs to: the recorded one while it exists, else the one that moved here.
fn adopt_repository(store: &Store, asked: &Path, project: &str) -> Result<Repository> {
    let book = Book(store);
    let recorded = book.common_dir()?;
    if let Some(recorded) = &recorded
        && carries(recorded, project)
    {
        return Repository::at(recorded).map_err(|e| git_failure(&e));
    }
    let repository = Repository::at(asked).map_err(|e| git_failure(&e))?;
    if !carries(asked, project) {
        return Err(Failure::user(format!("the repository at {} does not own this store", asked.display())));
    }
    book.set_common_dir(&repository.common_dir)?;
    if let Some(recorded) = recorded {
        tracing::info!(from = %recorded.display(), to = %asked.display(), "the repository moved");
    }
    Ok(repository)
}

/// Whether there is a repository with the id `project` at `common_dir`.
pub(super) fn carries(common_dir: &Path, project: &str) -> bool {
    let id = Repository::at(common_dir).and_then(|repository| repository.project_id());
    id.ok().flatten().is_some_and(|id| id.as_str() == project)
}

async fn supervise(
    store: Store,
    repository: Repository,
    settings: Vec<(String, String)>,
    socket: &Path,
) -> Result<()> {
    let signals = Signals::new().map_err(|e| Failure::io("listen for signals", &e))?;
    let (binding, inbox) = Binding::new();
    let engine = Engine::new(store, repository, binding);
    throwaway::sweep(&engine).await;
    tokio::task::spawn_blocking(crate::scratch::sweep);
    if let Err(failure) = engine.blocking(|engine| fork::sweep(engine)).await {
        tracing::warn!(error = %failure, "files of facts that nobody needs are left");
    }
    engine.blocking(|engine| prepare::sweep(engine)).await?;
    note_awake(&engine).await?;
    engine.blocking(|engine| migrations::notice(engine)).await?;
    let listener = server::listen(socket)?;
    // Watches before anything is read, so that no change falls between.
    let told = engine.binding.clone();
    let watcher = offshoot_git::watch(&engine.repository, move |_| told.git_changed());
    if let Err(error) = &watcher {
        tracing::warn!(
            error = chain(error),
            "cannot watch the repository; connections and commands still look at HEAD"
        );
    }
    let tips = engine.blocking(|engine| Ok(commits::tips(engine))).await?;
    let task = tokio::spawn(inbox.run(Arc::clone(&engine), settings));
    migrations::recover(&engine).await;
    let serving = tokio::spawn(server::serve(Arc::clone(&engine), listener));
    let presence = Arc::new(Presence::announce(socket, &engine.store.info().path, engine.started_at)?);
    let upkeep = [
        tokio::spawn(activity::run(Arc::clone(&engine))),
        tokio::spawn(upkeep::run(Arc::clone(&engine))),
        tokio::spawn(upkeep::run_slow(Arc::clone(&engine))),
        tokio::spawn(commits::run(Arc::clone(&engine), tips)),
        tokio::spawn(follow::run(Arc::clone(&engine))),
        tokio::spawn(offers::run(Arc::clone(&engine))),
        tokio::spawn(following::run(Arc::clone(&engine))),
        tokio::spawn(env_files::run(Arc::clone(&engine))),
        tokio::spawn(hooks::run(Arc::clone(&engine))),
        tokio::spawn(upkeep::run_merging(Arc::clone(&engine))),
        tokio::spawn(upkeep::stay_reachable(Arc::clone(&engine), Arc::clone(&presence))),
    ];
    tracing::info!(pid = u64::from(std::process::id()), version = crate::VERSION, "the engine serves");

    signals.wait(&engine).await;
    tracing::info!("the engine stops");
    engine.request_stop();
    serving.abort();
    upkeep.iter().for_each(tokio::task::JoinHandle::abort);
    drop(tokio::task::spawn_blocking(move || drop(watcher)).await);
    engine.binding.close().await;
    let _ = task.await;
    presence.remove();
    throwaway::close(&engine).await;
    engine.blocking(|engine| Ok(engine.store.close()?)).await?;
    tracing::info!("the engine ended");
    Ok(())
}

/// Branches that still run, from an engine that was killed, fall asleep like others.
async fn note_awake(engine: &Arc<Engine>) -> Result<()> {
    let branches = engine.blocking(|engine| Ok(engine.store.branches()?)).await?;
    let awake = branches.iter().filter(|branch| branch.state == offshoot_storage::ComputeState::Awake);
    awake.for_each(|branch| engine.computes.woke(branch.id));
    Ok(())
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(mut self, engine: &Engine) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
            () = engine.stop.notified() => (),
        }
    }
}

//! The task that owns the seats.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use offshoot_endpoint::{BindError, Endpoint, EndpointOptions, Upstream};
use offshoot_git::Worktree;
use offshoot_protocol::types::Subject;
use offshoot_storage::BranchId;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use super::branch_port::BranchSeat;
use super::seat::{Seat, close};
use super::settle::{Look, look};
use super::{Ask, Inbox};
use crate::engine::book::{Book, SeatKey};
use crate::engine::offers::Leaving;
use crate::engine::upstream::SeatUpstream;
use crate::engine::{Engine, ports};
use crate::failure::{Failure, Result};

/// How often taken ports are tried again and configuration files looked at.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

pub(super) struct Task {
    pub(super) engine: Arc<Engine>,
    inbox: Inbox,
    seats: HashMap<SeatKey, Seat>,
    pub(super) branches: HashMap<BranchId, BranchSeat>,
    pub(super) options: EndpointOptions,
    /// What the store was given last.
    postgres_settings: Vec<(String, String)>,
    /// The branches of git when they were last listed.
    git_branches: Vec<String>,
}

impl Task {
    pub(super) fn new(engine: Arc<Engine>, inbox: Inbox, settings: Vec<(String, String)>) -> Self {
        let options = EndpointOptions::default();
        Self {
            engine,
            inbox,
            seats: HashMap::new(),
            branches: HashMap::new(),
            options,
            postgres_settings: settings,
            git_branches: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        if let Err(failure) = self.restore().await {
            tracing::error!(error = %failure, "cannot restore the endpoints");
        }
        let mut retry = interval(RETRY_INTERVAL);
        retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let git_changed = Arc::clone(&self.inbox.git_changed);
        loop {
            tokio::select! {
                ask = self.inbox.asks.recv() => match ask {
                    Some(Ask::Close { reply }) => {
                        self.close().await;
                        let _ = reply.send(());
                        return;
                    }
                    Some(ask) => self.answer(ask).await,
                    None => return,
                },
                () = git_changed.notified() => self.on_git_change().await,
                _ = retry.tick() => self.retry().await,
            }
        }
    }

    async fn answer(&mut self, ask: Ask) {
        // Whoever asked may have left; then nobody wants the answer.
        match ask {
            Ask::Register { worktree, reply } => drop(reply.send(self.register(worktree).await)),
            Ask::Find { path, reply } => {
                let seat = self
                    .seats
                    .values()
                    .find(|seat| seat.worktree.path == path && seat.worktree.git_dir.exists());
                drop(reply.send(seat.map(|seat| seat.key.clone())));
            }
            Ask::Settle { key, reply } => match self.seats.get_mut(&key) {
                Some(seat) => {
                    seat.waiting.push(reply);
                    self.look(&key);
                }
                None => drop(reply.send(Err(gone(&key)))),
            },
            Ask::Looked { key, found } => self.looked(&key, *found),
            Ask::View { key, reply } => {
                drop(reply.send(self.seats.get(&key).map(Seat::view).ok_or_else(|| gone(&key))));
            }
            Ask::Views { reply } => {
                drop(reply.send(self.seats.values().map(Seat::view).collect()));
            }
            Ask::NewPort { key, reply } => drop(reply.send(self.new_port(&key).await)),
            Ask::BranchPort { id, name, reply } => drop(reply.send(self.branch_port(id, &name).await)),
            Ask::Leading { id, reply } => drop(reply.send(self.leading(id))),
            Ask::Replaced { old, new, reply } => {
                self.replaced(old, new).await;
                let _ = reply.send(());
            }
            Ask::Close { reply } => {
                let _ = reply.send(());
            }
        }
    }

    /// Takes up the endpoints of the last run: those of worktrees that are still there, and those of branches.
    async fn restore(&mut self) -> Result<()> {
        let (endpoints, branch_ports, branches) = self
            .engine
            .blocking(|engine| {
                let book = Book(&engine.store);
                Ok((book.endpoints()?, book.branch_ports()?, engine.store.branches()?))
            })
            .await?;
        if !endpoints.is_empty() {
            let worktrees = self.worktrees_with_lost().await?;
            for (key, _) in endpoints {
                match worktrees.iter().find(|worktree| SeatKey::of(worktree) == key) {
                    Some(worktree) => drop(self.register(worktree.clone()).await?),
                    None => self.release(&key).await,
                }
            }
        }
        for (id, port) in branch_ports {
            if branches.iter().any(|branch| branch.id == id) {
                self.open_branch_port(id, port).await;
            }
        }
        Ok(())
    }

    async fn worktrees(&self) -> Result<Vec<Worktree>> {
        self.engine.blocking(|engine| engine.repository.worktrees().map_err(|e| super::git_failure(&e))).await
    }

    /// The same with those whose folder is away: git knows them, and they keep their ports.
    async fn worktrees_with_lost(&self) -> Result<Vec<Worktree>> {
        let list = |engine: &Arc<Engine>| {
            let mut all = engine.repository.worktrees()?;
            all.extend(engine.repository.lost_worktrees()?);
            Ok(all)
        };
        self.engine
            .blocking(move |engine| list(engine).map_err(|e: offshoot_git::GitError| super::git_failure(&e)))
            .await
    }

    async fn register(&mut self, worktree: Worktree) -> Result<SeatKey> {
        let key = SeatKey::of(&worktree);
        if let Some(seat) = self.seats.get_mut(&key) {
            if seat.worktree.path != worktree.path {
                tracing::info!(worktree = %worktree.path.display(), "a worktree moved");
                seat.worktree = worktree;
            }
            return Ok(key);
        }
        let (known, wanted) = (key.clone(), key.clone());
        let (port, taken) = self
            .engine
            .blocking(move |engine| {
                let book = Book(&engine.store);
                Ok((book.endpoint(&known)?, book.taken_ports()?))
            })
            .await?;
        let upstream: Arc<dyn Upstream> = Arc::new(SeatUpstream::new(Arc::clone(&self.engine), key.clone()));
        let (port, endpoint) = if let Some(port) = port {
            (port, self.listen(port, upstream).await)
        } else {
            let name = worktree.git_dir.to_string_lossy();
            let endpoint = ports::listen_anywhere(&name, &taken, &upstream, &self.options).await?;
            let port = endpoint.port();
            self.engine.blocking(move |engine| Book(&engine.store).set_endpoint(&wanted, port)).await?;
            (port, Some(endpoint))
        };
        tracing::info!(worktree = %worktree.path.display(), port, "serving a worktree");
        self.seats.insert(key.clone(), Seat::new(key.clone(), worktree, port, endpoint));
        self.look(&key);
        Ok(key)
    }

    /// Listens on a port that was chosen earlier; `None` if it is taken now.
    pub(super) async fn listen(&self, port: u16, upstream: Arc<dyn Upstream>) -> Option<Endpoint> {
        match ports::listen(port, upstream, &self.options).await {
            Ok(endpoint) => Some(endpoint),
            Err(BindError::Taken { .. }) => None,
            Err(error) => {
                tracing::warn!(port, error = crate::failure::chain(&error), "cannot listen");
                None
            }
        }
    }

    /// Starts a look at a seat unless one is under way.
    fn look(&mut self, key: &SeatKey) {
        let Some(seat) = self.seats.get_mut(key) else { return };
        let Some((config, last, here)) = seat.begin_look() else { return };
        let job = Look {
            engine: Arc::clone(&self.engine),
            key: key.clone(),
            worktree: seat.worktree.clone(),
            config,
            last,
            here,
        };
        let (asks, key) = (self.engine.binding.asks.clone(), key.clone());
        tokio::spawn(async move {
            let (worktree, job_key) = (job.worktree.path.clone(), key.clone());
            let found = tokio::task::spawn_blocking(move || look(job)).await.unwrap_or_else(|panic| {
                tracing::error!(error = %panic, seat = job_key.as_str(), "a look failed");
                super::settle::Found {
                    config: crate::config::ConfigFile::open(&worktree),
                    head: None,
                    outcome: Err(Failure::internal("looking at the worktree failed")),
                }
            });
            // An error means that the engine is stopping.
            let _ = asks.send(Ask::Looked { key, found: Box::new(found) }).await;
        });
    }

    fn looked(&mut self, key: &SeatKey, found: super::settle::Found) {
        let Some(seat) = self.seats.get_mut(key) else { return };
        let before = seat.branch;
        let (changed, made) = seat.end_look(found);
        if let (Some(from), Some(to)) = (before, seat.branch)
            && from != to
        {
            let (path, drained) = (seat.worktree.path.clone(), seat.draining.take());
            self.engine.offers.left(Leaving { key: key.clone(), path, from, to, drained });
        }
        self.pass_settings_on();
        self.engine.set_idle_timeouts(
            self.seats.values().filter_map(|seat| Some((seat.branch?, seat.idle_timeout))),
        );
        if changed {
            self.engine.offers.wake();
            self.engine.changed(Subject::Worktrees);
        }
        if made {
            self.engine.changed(Subject::Branches);
        }
        if self.seats.get(key).is_some_and(|seat| !seat.waiting.is_empty()) {
            self.look(key);
        }
    }

    /// Hands the main worktree's settings to the store; a branch takes them up when it wakes.
    fn pass_settings_on(&mut self) {
        let Some(main) = self.seats.values().find(|seat| seat.worktree.is_main()) else { return };
        if main.postgres != self.postgres_settings {
            tracing::info!(settings = main.postgres.len() as u64, "took up settings for Postgres");
            self.postgres_settings.clone_from(&main.postgres);
            self.engine.store.set_postgres_settings(main.postgres.clone());
        }
    }

    async fn on_git_change(&mut self) {
        self.engine.committed.notify_one();
        self.engine.follower.wake();
        self.engine.offers.wake();
        self.note_git_branches().await;
        match self.worktrees().await {
            Ok(worktrees) => {
                let lost: Vec<_> = self
                    .seats
                    .keys()
                    .filter(|key| !worktrees.iter().any(|worktree| SeatKey::of(worktree) == **key))
                    // A worktree whose folder is away for a moment keeps its port: git still knows it.
                    .filter(|key| !self.seats[key].worktree.git_dir.exists())
                    .cloned()
                    .collect();
                for key in lost {
                    self.release(&key).await;
                }
            }
            Err(failure) => tracing::warn!(error = %failure, "cannot list the worktrees"),
        }
        for key in self.seats.keys().cloned().collect::<Vec<_>>() {
            let (reply, _) = oneshot::channel();
            if let Some(seat) = self.seats.get_mut(&key) {
                // Asks for one more look if one is under way, which may have read the old HEAD.
                seat.waiting.push(reply);
            }
            self.look(&key);
        }
    }

    /// Tells when git has other branches than before, and forgets what was answered for those that are gone.
    async fn note_git_branches(&mut self) {
        // A branch without a commit is none to git.
        let heads: Vec<_> = self.seats.values().filter_map(Seat::git_branch).collect();
        let listed = self.engine.blocking(move |engine| {
            let mut branches = engine.repository.branches().map_err(|e| super::git_failure(&e))?;
            branches.sort_unstable();
            let book = Book(&engine.store);
            for (name, _) in book.parents()? {
                if branches.binary_search(&name).is_err() && !heads.contains(&name) {
                    book.set_parent(&name, None)?;
                }
            }
            Ok(branches)
        });
        match listed.await {
            Ok(branches) if branches != self.git_branches => {
                self.git_branches = branches;
                self.engine.changed(Subject::Branches);
            }
            Ok(_) => (),
            Err(failure) => tracing::warn!(error = %failure, "cannot list the branches of git"),
        }
    }

    /// Forgets a worktree that is gone, with its endpoint.
    async fn release(&mut self, key: &SeatKey) {
        tracing::info!(seat = key.as_str(), "a worktree is gone");
        if let Some(endpoint) = self.seats.remove(key).and_then(|seat| seat.endpoint) {
            tokio::spawn(close(endpoint));
        }
        let forgotten = key.clone();
        let released = self.engine.blocking(move |engine| Book(&engine.store).release(&forgotten)).await;
        if let Err(failure) = released {
            tracing::warn!(error = %failure, "cannot forget a worktree");
        }
        self.engine.changed(Subject::Worktrees);
    }

    async fn new_port(&mut self, key: &SeatKey) -> Result<u16> {
        let Some(seat) = self.seats.get(key) else { return Err(gone(key)) };
        let (old, name) = (seat.port, seat.worktree.git_dir.to_string_lossy().into_owned());
        let mut except = self.engine.blocking(|engine| Book(&engine.store).taken_ports()).await?;
        except.push(old);
        let upstream: Arc<dyn Upstream> = Arc::new(SeatUpstream::new(Arc::clone(&self.engine), key.clone()));
        let endpoint = ports::listen_anywhere(&name, &except, &upstream, &self.options).await?;
        let (port, moved) = (endpoint.port(), key.clone());
        self.engine.blocking(move |engine| Book(&engine.store).set_endpoint(&moved, port)).await?;
        if let Some(seat) = self.seats.get_mut(key) {
            seat.move_to(endpoint);
        }
        tracing::info!(old, port, "gave a worktree another port");
        self.engine.changed(Subject::Worktrees);
        Ok(port)
    }

    /// The endpoints whose connections lead to `id`.
    fn leading(&self, id: BranchId) -> Vec<Arc<Endpoint>> {
        let seats = self
            .seats
            .values()
            .filter(|seat| seat.branch == Some(id))
            .filter_map(|seat| seat.endpoint.clone());
        seats.chain(self.branches.get(&id).and_then(|seat| seat.endpoint.clone())).collect()
    }

    async fn replaced(&mut self, old: BranchId, new: Option<BranchId>) {
        let mut moved = Vec::new();
        for seat in self.seats.values_mut() {
            if seat.replace(old, new) {
                moved.push(seat.key.clone());
            }
        }
        if let Some(new) = new {
            let noted = self.engine.blocking(move |engine| {
                let book = Book(&engine.store);
                let answered = book.parents()?.into_iter().filter(|(_, parent)| *parent == old);
                for (git_branch, _) in answered {
                    book.set_parent(&git_branch, Some(new))?;
                }
                moved.iter().try_for_each(|key| book.set_bound(key, new))
            });
            if let Err(failure) = noted.await {
                tracing::warn!(error = %failure, "cannot note where a worktree leads");
            }
        }
        self.replace_branch_port(old, new).await;
    }

    /// Tries taken ports again, and takes up changes of configuration files.
    async fn retry(&mut self) {
        for key in self.seats.keys().cloned().collect::<Vec<_>>() {
            let Some(seat) = self.seats.get_mut(&key) else { continue };
            if let Some(mut config) = seat.config.take() {
                let changed = config.refresh();
                seat.take_config(config);
                if changed {
                    self.pass_settings_on();
                    self.look(&key);
                    self.engine.changed(Subject::Worktrees);
                }
            }
            let Some(seat) = self.seats.get(&key).filter(|seat| seat.endpoint.is_none()) else { continue };
            let upstream = Arc::new(SeatUpstream::new(Arc::clone(&self.engine), key.clone()));
            if let Some(endpoint) = self.listen(seat.port, upstream).await
                && let Some(seat) = self.seats.get_mut(&key)
            {
                tracing::info!(port = seat.port, "a taken port is free again");
                seat.endpoint = Some(Arc::new(endpoint));
                self.engine.changed(Subject::Worktrees);
            }
        }
        self.retry_branch_ports().await;
    }

    async fn close(&mut self) {
        let seats = self.seats.drain().filter_map(|(_, seat)| seat.endpoint);
        let mut closing: tokio::task::JoinSet<_> = seats.map(close).collect();
        for endpoint in self.branches.drain().filter_map(|(_, seat)| seat.endpoint) {
            closing.spawn(close(endpoint));
        }
        while closing.join_next().await.is_some() {}
    }
}

fn gone(key: &SeatKey) -> Failure {
    let what = Path::new(key.as_str()).display().to_string();
    Failure::user(format!("the worktree `{what}` is gone"))
        .hint("Run the command inside a worktree that exists.")
}

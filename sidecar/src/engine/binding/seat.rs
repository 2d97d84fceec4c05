//! One worktree: where it leads and its endpoint.

use std::sync::Arc;
use std::time::Duration;

use offshoot_endpoint::Endpoint;
use offshoot_git::{Head, Worktree};
use offshoot_protocol::types::{Note, NoteKind};
use offshoot_storage::BranchId;

use super::settle::{Found, Missing, Outcome, Place, Stamp, note};
use super::{Reply, View};
use crate::config::{ConfigFile, FILE_NAME};
use crate::engine::book::SeatKey;
use crate::engine::{ports, stopping};
use crate::failure::{Failure, Result};

/// How long an endpoint that gave up its port may serve its last connections.
const FAREWELL: Duration = Duration::from_secs(5);

pub(super) struct Seat {
    pub(super) key: SeatKey,
    pub(super) worktree: Worktree,
    /// Absent while a look has it.
    pub(super) config: Option<ConfigFile>,
    last: Option<Stamp>,
    head: Option<Head>,
    pub(super) branch: Option<BranchId>,
    failure: Option<Failure>,
    notes: Vec<Note>,
    missing: Option<Missing>,
    config_note: Option<Note>,
    pub(super) idle_timeout: Duration,
    switch_grace: Duration,
    /// Settings of Postgres that the file asks for now.
    pub(super) postgres: Vec<(String, String)>,
    /// What was replaced while a look was under way, which cannot know.
    replaced: Vec<(BranchId, Option<BranchId>)>,
    /// Answered by the look under way.
    asked: Vec<Reply<Result<BranchId>>>,
    /// Answered by the next look.
    pub(super) waiting: Vec<Reply<Result<BranchId>>>,
    pub(super) port: u16,
    pub(super) endpoint: Option<Arc<Endpoint>>,
    /// Ends with how many transactions a switch has cut off.
    pub(super) draining: Option<tokio::task::JoinHandle<u32>>,
}

impl Seat {
    pub(super) fn new(key: SeatKey, worktree: Worktree, port: u16, endpoint: Option<Endpoint>) -> Self {
        let config = ConfigFile::open(&worktree.path);
        let mut seat = Self {
            key,
            worktree,
            config: None,
            last: None,
            head: None,
            branch: None,
            failure: None,
            notes: Vec::new(),
            missing: None,
            config_note: None,
            idle_timeout: Duration::ZERO,
            switch_grace: Duration::ZERO,
            postgres: Vec::new(),
            replaced: Vec::new(),
            asked: Vec::new(),
            waiting: Vec::new(),
            port,
            endpoint: endpoint.map(Arc::new),
            draining: None,
        };
        seat.take_config(config);
        seat
    }

    pub(super) fn take_config(&mut self, file: ConfigFile) {
        let config = file.config();
        (self.idle_timeout, self.switch_grace) = (config.idle_timeout, config.switch_grace);
        self.postgres.clone_from(&config.postgres);
        self.config_note = file.error().map(|error| {
            let so = match file.never_read() {
                None => "the last good settings stay in force",
                Some(_) => "none of its settings are in force, as it was not good since the engine started",
            };
            let text = format!("{FILE_NAME}, {error}; {so}");
            note(NoteKind::Config, text, error.hint.clone())
        });
        self.config = Some(file);
    }

    /// What a look starts from; `None` while one is under way. Those waiting are answered by it.
    pub(super) fn begin_look(&mut self) -> Option<(ConfigFile, Option<Stamp>, Option<BranchId>)> {
        let config = self.config.take()?;
        self.asked.append(&mut self.waiting);
        let last = if self.failure.is_some() { None } else { self.last.clone() };
        Some((config, last, self.branch))
    }

    /// Takes what a look found. Returns whether there is anything new, and whether a branch was made or renamed.
    pub(super) fn end_look(&mut self, found: Found) -> (bool, bool) {
        let config_note = self.config_note.clone();
        self.take_config(found.config);
        let (mut changed, mut any_made) = (self.config_note != config_note, false);
        let replaced = std::mem::take(&mut self.replaced);
        match found.outcome {
            Ok(Outcome::Same) => (),
            Ok(Outcome::Settled { stamp, head, place, made }) => {
                let Place { branch, notes, missing } = place;
                changed |= self.branch != Some(branch)
                    || self.head.as_ref() != Some(&head)
                    || self.notes != notes
                    || self.missing != missing
                    || self.failure.is_some();
                any_made = made;
                let switched = self.branch.is_some_and(|before| before != branch);
                (self.last, self.head, self.branch) = (Some(stamp), Some(head), Some(branch));
                (self.notes, self.missing, self.failure) = (notes, missing, None);
                for (old, new) in replaced {
                    self.replace(old, new);
                }
                if switched {
                    self.send_away_all_but(branch);
                }
            }
            Err(failure) => {
                tracing::warn!(worktree = %self.worktree.path.display(), error = %failure, "cannot follow a checkout");
                changed |= self.failure.as_ref() != Some(&failure);
                self.failure = Some(failure);
                // The branch that was refused, and not the one that was checked out before.
                if let Some(head) = found.head {
                    changed |= self.head.as_ref() != Some(&head);
                    self.head = Some(head);
                }
            }
        }
        if self.failure.is_none() && self.branch.is_none() {
            // Where it led went away during the look, which found nothing new: the next one finds where it leads now.
            self.waiting.append(&mut self.asked);
        }
        for reply in self.asked.drain(..) {
            // Whoever asked may have left.
            let _ = reply.send(match (&self.failure, self.branch) {
                (Some(failure), _) => Err(failure.clone()),
                (None, Some(branch)) => Ok(branch),
                (None, None) => Err(stopping()),
            });
        }
        (changed, any_made)
    }

    /// Closes, in the background, the connections that lead elsewhere.
    fn send_away_all_but(&mut self, branch: BranchId) {
        let Some(endpoint) = self.endpoint.clone() else { return };
        let (port, grace) = (self.port, self.switch_grace);
        self.draining = Some(tokio::spawn(async move {
            let drained = endpoint.drain_except(branch.0, grace).await;
            tracing::info!(
                port,
                id = branch.0,
                idle = drained.idle as u64,
                finished = drained.finished as u64,
                cut = drained.cut as u64,
                "switched an endpoint"
            );
            drained.cut as u32
        }));
    }

    /// Puts `new` in the place of a branch that is gone. Returns whether the endpoint led there.
    pub(super) fn replace(&mut self, old: BranchId, new: Option<BranchId>) -> bool {
        if self.config.is_none() {
            self.replaced.push((old, new));
        }
        let led_there = self.branch == Some(old);
        if led_there {
            (self.branch, self.last) = (new, None);
        }
        led_there
    }

    /// Takes another endpoint; the old one says farewell in the background.
    pub(super) fn move_to(&mut self, endpoint: Endpoint) {
        self.port = endpoint.port();
        if let Some(old) = self.endpoint.replace(Arc::new(endpoint)) {
            tokio::spawn(async move {
                old.drain(FAREWELL).await;
                close(old).await;
            });
        }
    }

    /// The git branch that was checked out at the last look.
    pub(super) fn git_branch(&self) -> Option<String> {
        match &self.head {
            Some(Head::Branch(name)) => Some(name.clone()),
            _ => None,
        }
    }

    pub(super) fn view(&self) -> View {
        let branch = match (&self.failure, self.branch) {
            (Some(failure), _) => Err(failure.clone()),
            (None, Some(branch)) => Ok(branch),
            (None, None) => Err(Failure::engine("HEAD has not been read yet")),
        };
        let mut notes = self.notes.clone();
        if let Some(failure) = &self.failure {
            notes = vec![note(NoteKind::Binding, failure.0.message.clone(), failure.0.hint.clone())];
        }
        notes.extend(self.config_note.clone());
        if self.endpoint.is_none() {
            let taken = ports::taken(self.port).0;
            notes.push(note(NoteKind::PortTaken, taken.message, taken.hint));
        }
        View {
            key: self.key.clone(),
            path: self.worktree.path.clone(),
            head: self.head.clone(),
            branch,
            notes,
            missing: self.missing.clone().filter(|_| self.failure.is_none()),
            port: self.port,
            listening: self.endpoint.is_some(),
            connections: self.endpoint.as_ref().map_or(0, |endpoint| endpoint.connections() as u64),
        }
    }
}

/// Closes an endpoint properly, or drops it if a drain still holds it.
pub(super) async fn close(endpoint: Arc<Endpoint>) {
    if let Some(endpoint) = Arc::into_inner(endpoint) {
        endpoint.close().await;
    }
}

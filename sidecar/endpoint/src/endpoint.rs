//! The listening side: accepts, drains, closes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use crate::cancel::CancelKeys;
use crate::roster::{Drained, Outcome, Reason, Roster};
use crate::session::{Shared, serve};
use crate::upstream::{Session, Upstream};

/// Room beyond the connection limit for those that start, cancel, are refused or are just closing.
const SPARE_TASKS: usize = 256;
/// How long accepting pauses when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a close waits for connections to take their leave. Each has its own, shorter limits.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// Stands for a grace period without end.
const FOREVER: Duration = Duration::from_hours(10 * 365 * 24);

/// How an endpoint behaves.
#[derive(Debug, Clone)]
pub struct EndpointOptions {
    /// Finds the server of a cancel request. Endpoints that share it forward each other's requests.
    pub cancel_keys: Arc<CancelKeys>,
    /// The most connections at a time; the next one is refused with SQLSTATE 53300. Default 1000.
    pub max_connections: usize,
    /// How long a client may take to say what it wants. Default 10 s.
    pub startup_timeout: Duration,
    /// How long a Postgres that refuses with 57P03, or does not listen yet, is tried again. Default 30 s.
    pub refusal_patience: Duration,
}

impl Default for EndpointOptions {
    fn default() -> Self {
        Self {
            cancel_keys: Arc::default(),
            max_connections: 1000,
            startup_timeout: Duration::from_secs(10),
            refusal_patience: Duration::from_secs(30),
        }
    }
}

/// Why an endpoint cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process, or another endpoint, listens on the port.
    #[error("port {port} is taken")]
    Taken {
        /// The port that was asked for.
        port: u16,
    },
    /// The address can be reached from other machines.
    #[error("{address} is not a loopback address")]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The system refused for another reason.
    #[error("listen on {address}")]
    Io {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// One TCP port that leads to wherever its [`Upstream`] says. Dropping it cuts all connections without a word.
pub struct Endpoint {
    port: u16,
    roster: Arc<Roster>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Endpoint {
    /// Listens on `address`, a loopback address; port 0 lets the system choose. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError::Taken`] if someone else listens there; nothing was changed.
    pub async fn bind(
        address: SocketAddr,
        upstream: Arc<dyn Upstream>,
        options: EndpointOptions,
    ) -> Result<Self, BindError> {
        if !address.ip().is_loopback() {
            return Err(BindError::NotLoopback { address });
        }
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::Taken { port: address.port() },
            _ => BindError::Io { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let roster = Arc::new(Roster::default());
        let shared = Arc::new(Shared { upstream, options, roster: Arc::clone(&roster) });
        let (stop, stopping) = watch::channel(false);
        let span = tracing::info_span!("endpoint", port);
        let accepting = tokio::spawn(accept(listener, shared, stopping).instrument(span));
        Ok(Self { port, roster, stop, accepting })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections are open or wait for their Postgres.
    pub fn connections(&self) -> usize {
        self.roster.len()
    }

    /// Ends all connections that are open now, and returns when they are gone and their guards dropped.
    ///
    /// Call it after the upstream leads to the new target. Idle connections end at once with FATAL 57P01. Those in a transaction or in
    /// a statement end as soon as they are idle; at the end of `grace` they are cut and their statement is cancelled.
    /// Connections that still wait for their Postgres ask the upstream again and are not counted. If the
    /// future is dropped, the drain goes on. A second drain can shorten the grace of the first.
    pub async fn drain(&self, grace: Duration) -> Drained {
        drain(&self.roster, grace, Reason::Switched, &|_| true).await
    }

    /// As [`Endpoint::drain`], but leaves alone the connections whose target has `key`.
    ///
    /// With the new target's key, this spares those that arrived there between the upstream's switch and this call.
    pub async fn drain_except(&self, key: u64, grace: Duration) -> Drained {
        drain(&self.roster, grace, Reason::Switched, &|session| session.key != key).await
    }

    /// As [`Endpoint::drain`], of those connections alone that `leaves` means. They are told that a rule changed.
    pub async fn drain_ruled(&self, grace: Duration, leaves: impl Fn(&Session) -> bool) -> Drained {
        drain(&self.roster, grace, Reason::Ruled, &leaves).await
    }

    /// The connections that have a target.
    pub fn sessions(&self) -> Vec<Session> {
        self.roster.sessions()
    }

    /// Stops listening and ends all connections, busy ones too, with FATAL 57P01. No task is left when it returns.
    pub async fn close(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.accepting).await {
            tracing::error!(%error, "an endpoint's accept loop failed");
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn drain(
    roster: &Roster,
    grace: Duration,
    reason: Reason,
    leaves: &dyn Fn(&Session) -> bool,
) -> impl Future<Output = Drained> + Send + use<> {
    let outcomes = roster.drain(Instant::now() + grace.min(FOREVER), reason, leaves);
    drained(outcomes)
}

async fn drained(mut outcomes: mpsc::UnboundedReceiver<Outcome>) -> Drained {
    let mut drained = Drained::default();
    while let Some(outcome) = outcomes.recv().await {
        match outcome {
            Outcome::Idle => drained.idle += 1,
            Outcome::Finished => drained.finished += 1,
            Outcome::Cut => drained.cut += 1,
        }
    }
    drained
}

/// Accepts until told to stop, then ends everything that it started. If it is aborted, its connections are too.
async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stopping: watch::Receiver<bool>) {
    let most_tasks = shared.options.max_connections.saturating_add(SPARE_TASKS);
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopping.changed() => break,
            Some(ended) = tasks.join_next() => report(ended),
            accepted = listener.accept(), if tasks.len() < most_tasks => match accepted {
                Ok((client, peer)) => {
                    if from_this_machine(peer) {
                        tasks.spawn(serve(client, Arc::clone(&shared)).in_current_span());
                    }
                }
                Err(error) => pause_after(&error).await,
            },
        }
    }
    drop(listener);
    if timeout(CLOSE_PATIENCE, drain(&shared.roster, Duration::ZERO, Reason::Closed, &|_| true))
        .await
        .is_err()
    {
        tracing::warn!("connections did not end in time and were cut");
    }
    tasks.shutdown().await;
}

/// The bind address lets nobody else in; this holds even if that check is ever lost.
fn from_this_machine(peer: SocketAddr) -> bool {
    let local = peer.ip().to_canonical().is_loopback();
    debug_assert!(local, "a peer of a loopback listener is local");
    if !local {
        tracing::warn!(%peer, "refused a connection from another machine");
    }
    local
}

/// A failed accept is either the client's affair or a lack of descriptors, which others must end first.
async fn pause_after(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "accept a connection");
        sleep(ACCEPT_PAUSE).await;
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed");
    }
}

//! `offshoot lsp`: the language server, over standard input and output.
//!
//! ```text
//! editor ── requests, notifications ─► server ─► jobs ─────────────► engine     one connection a request
//!                                        │                             │
//!                                        └──────► actor ─► links ◄─────┘        two connections a repository
//!                                                   │
//! editor ◄──── status, progress, diagnostics ── outbox
//! ```
//!
//! The engine has the truth, and nothing is kept here but what was last read. One actor owns the workspace's folders and their
//! links to engines; handlers ask it and return. Nobody but the outbox waits for the editor, and the outbox keeps of everything
//! only the newest. Everything that blocks runs on a thread for it and comes back to the actor as a message.
//!
//! # When the engine is started
//! For every trusted folder that has a database, and for every request. An engine that died is started again: at once, and if
//! it dies again soon, after 1, 2, 4 … 30 seconds. One that was stopped in an orderly way stays stopped, because somebody
//! wanted it so: the folder says so, and is connected again as soon as anybody starts it (its `engine.json` is watched) or
//! something is asked of it, be it a refresh.

mod actor;
mod bundles;
mod documents;
mod dumps;
mod explorer;
mod folder;
mod job;
mod link;
mod migrations;
mod outbox;
mod programs;
mod reading;
mod report;
mod requests;
mod schema;
mod server;
mod stdio;
mod watching;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::session::Host;
use actor::{Actor, Message};
use documents::Documents;
use job::Running;
use migrations::Migrations;
use outbox::Outbox;

/// Threads for work that waits for engines, disks and the two pipes.
const BLOCKING_THREADS: usize = 128;
/// Requests under way; the editor sends a handful.
const MAX_REQUESTS: usize = 64;
/// Messages that wait for the actor.
const INBOX: usize = 256;
/// How long requests may take to end after the editor has gone.
const LAST_WORDS: Duration = Duration::from_millis(400);
/// How long a database that is being made may take to be cleared away then.
const CLEARING_PATIENCE: Duration = Duration::from_secs(30);
/// What is logged otherwise. The watcher of files complains about watches of folders that are gone.
const DEFAULT_LEVELS: &str = "info,notify=off,tower_lsp_server=warn";
const LEVEL_VARIABLE: &str = "OFFSHOOT_LOG";

/// What handlers, jobs and the actor share.
pub(crate) struct Shared {
    actor: mpsc::Sender<Message>,
    outbox: Arc<Outbox>,
    documents: Documents,
    migrations: Migrations,
    running: Running,
    /// The editor has gone.
    closing: AtomicBool,
}

/// The server as somebody who wants an engine.
struct Background<'a> {
    may_start: bool,
    is_cancelled: &'a dyn Fn() -> bool,
}

impl Host for Background<'_> {
    fn say(&self, text: &str) {
        tracing::info!("{text}");
    }

    fn may_start(&self) -> bool {
        self.may_start
    }

    /// Versions only go up: two windows of different versions must not replace each other's engine in turn.
    fn may_replace(&self, version: &str) -> bool {
        is_older(version, crate::VERSION)
    }

    fn is_cancelled(&self) -> bool {
        (self.is_cancelled)()
    }
}

/// Compares the numbers of two versions.
fn is_older(version: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect()
    };
    numbers(version) < numbers(than)
}

/// Serves one editor until it goes. Returns whether it said goodbye first.
pub(crate) fn run(log: Option<&str>) -> Result<bool> {
    install_log(log)?;
    let paths = Paths::from_env()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name("lsp")
        .enable_all()
        .build()
        .map_err(|e| Failure::io("start the language server's threads", &e))?;
    let polite = runtime.block_on(serve(paths));
    // The thread that reads standard input may wait for ever; it ends with this process.
    runtime.shutdown_background();
    polite
}

fn install_log(level: Option<&str>) -> Result<()> {
    let filter = match level {
        Some(level) => EnvFilter::try_new(format!("{DEFAULT_LEVELS},{level}"))
            .map_err(|e| Failure::user(format!("--log {level}: {e}")))?,
        None => EnvFilter::try_from_env(LEVEL_VARIABLE).unwrap_or_else(|_| EnvFilter::new(DEFAULT_LEVELS)),
    };
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second subscriber in one process only happens in tests.
    let _ = subscriber.try_init();
    Ok(())
}

async fn serve(paths: Paths) -> Result<bool> {
    let fault = |e: &std::io::Error| Failure::io("listen for signals", e);
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| fault(&e))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| fault(&e))?;
    let (to_actor, inbox) = mpsc::channel(INBOX);
    let outbox = Arc::new(Outbox::default());
    let shared = Arc::new(Shared {
        actor: to_actor,
        documents: Documents::new(Arc::clone(&outbox)),
        migrations: Migrations::new(Arc::clone(&outbox)),
        outbox,
        running: Running::default(),
        closing: AtomicBool::new(false),
    });
    let actor = tokio::spawn(Actor::new(Arc::clone(&shared), paths).run(inbox));

    let ended = Arc::new(Notify::new());
    let input = stdio::Watched::new(tokio::io::stdin(), Arc::clone(&ended));
    let (service, socket, polite) = server::service(&shared);
    let serving = tower_lsp_server::Server::new(input, tokio::io::stdout(), socket)
        .concurrency_level(MAX_REQUESTS)
        .serve(service);
    let gone = async {
        tokio::select! {
            () = ended.notified() => (),
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        shared.closing.store(true, Ordering::Relaxed);
        tokio::time::sleep(LAST_WORDS / 2).await;
    };
    tokio::select! {
        () = serving => (),
        () = gone => (),
    }
    shared.closing.store(true, Ordering::Relaxed);
    tracing::info!("the editor has gone");
    // Engines hear that nobody waits any longer; a database that is half made goes away.
    let _ = tokio::time::timeout(LAST_WORDS, shared.running.nothing()).await;
    let _ = tokio::time::timeout(CLEARING_PATIENCE, shared.running.no_init()).await;
    actor.abort();
    Ok(polite.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::is_older;

    #[test]
    fn an_engine_is_only_replaced_by_a_newer_one() {
        assert!(is_older("0.1.0", "0.2.0") && is_older("0.9.3", "0.10.0"));
        assert!(!is_older("0.2.0", "0.2.0") && !is_older("1.0.0", "0.10.0"));
    }
}

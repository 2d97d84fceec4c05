//! The unix socket: who may connect, and the messages of one client.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use offshoot_protocol::error::Reason;
use offshoot_protocol::frame::{FrameError, LineBuffer};
use offshoot_protocol::method::{CancelNotification, ChangedNotification, ProgressNotification, Subscribe};
use offshoot_protocol::types::{CancelRequest, Changed, Nothing, Progress, Subject};
use offshoot_protocol::{Id, Message, Method, Notification, RpcError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc, watch};
use tokio::task::JoinHandle;

use super::{Engine, rpc, stopping};
use crate::failure::{Failure, Result};
use crate::sys;

const MAX_CLIENTS: usize = 64;
/// Requests of one client under way; beyond that it is not read.
const MAX_REQUESTS: usize = 32;
/// Messages that wait to be written to one client.
const OUTBOX: usize = 128;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a subscriber is not told of more, so that a crowd of connections is few messages.
const REST: Duration = Duration::from_millis(50);

/// Listens at `path`, which only this user may connect to. The caller owns the store, so a socket that is there is
/// what a killed engine left.
pub(super) fn listen(path: &Path) -> Result<UnixListener> {
    let listen = || -> io::Result<UnixListener> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => (),
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    listen().map_err(|e| Failure::io(format!("listen at {}", path.display()), &e))
}

/// Serves clients until it is aborted. Connections that are open then live on until the process ends.
pub(super) async fn serve(engine: Arc<Engine>, listener: UnixListener) {
    let room = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_trusted(&stream) => {
                // Never waits for a place: who comes must hear why he is not served.
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                    refuse(stream);
                    continue;
                };
                let engine = Arc::clone(&engine);
                tokio::spawn(async move {
                    let _place = place;
                    client(engine, stream).await;
                });
            }
            Ok(_) => tracing::warn!("refused a client of another user"),
            Err(error) => {
                tracing::warn!(%error, "accept a client");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Tells a client that there is no room, and closes. A line always fits into the buffer of a new connection.
fn refuse(stream: UnixStream) {
    tracing::warn!(limit = MAX_CLIENTS as u64, "refused a client: too many are connected");
    let error = RpcError::engine(format!("the engine serves {MAX_CLIENTS} clients already"))
        .hint("Close some, or run `offshoot engine stop`.");
    let message = Message::Refusal { code: error.code(), error };
    if let (Ok(line), Ok(mut stream)) = (message.to_line(), stream.into_std()) {
        // The client may have left.
        let _ = io::Write::write_all(&mut stream, &line);
    }
}

fn is_trusted(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == sys::effective_uid() || peer.uid() == 0)
}

/// Requests under way, by id, with their way to be cancelled.
type UnderWay = Arc<Mutex<HashMap<Id, watch::Sender<bool>>>>;

struct Client {
    engine: Arc<Engine>,
    out: mpsc::Sender<Message>,
    under_way: UnderWay,
    room: Arc<Semaphore>,
    subscription: Option<JoinHandle<()>>,
    /// Dropped with the client.
    here: watch::Sender<()>,
}

/// What a request's work may do besides returning a result.
#[derive(Clone)]
pub(super) struct Call {
    id: Id,
    out: mpsc::Sender<Message>,
    cancelled: watch::Receiver<bool>,
    here: watch::Receiver<()>,
}

impl Call {
    /// Reports how far the work is. Dropped if the client does not read.
    pub(super) fn progress(&self, message: &str, done: u64, total: Option<u64>) {
        let progress = Progress { id: self.id, message: message.to_owned(), done, total, output: None };
        if let Ok(message) = Message::notification::<ProgressNotification>(&progress) {
            let _ = self.out.try_send(message);
        }
    }

    /// Passes on what a program printed, while `what` is being done. Waits for a client that is slow to read.
    pub(super) async fn output(&self, what: &str, text: &str) {
        let output = Some(text.to_owned());
        let progress = Progress { id: self.id, message: what.to_owned(), done: 0, total: None, output };
        if let Ok(message) = Message::notification::<ProgressNotification>(&progress) {
            // A client that is gone wants none of it.
            let _ = self.out.send(message).await;
        }
    }

    /// Runs `work` unless the request is cancelled first; only for work that may be dropped anywhere.
    pub(super) async fn or_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut cancelled = self.cancelled.clone();
        tokio::select! {
            done = work => done,
            Ok(_) = cancelled.wait_for(|&cancelled| cancelled) => Err(Failure::cancelled()),
        }
    }

    /// As [`Call::or_cancelled`], and gives up as well when the client is gone: for work of which nothing stays.
    pub(super) async fn while_wanted<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut here = self.here.clone();
        tokio::select! {
            done = self.or_cancelled(work) => done,
            Err(_) = here.changed() => Err(Failure::cancelled()),
        }
    }
}

impl Call {
    /// Waits until the client is gone.
    pub(super) async fn gone(&self) {
        let mut here = self.here.clone();
        while here.changed().await.is_ok() {}
    }
}

async fn client(engine: Arc<Engine>, stream: UnixStream) {
    let (mut read, write) = stream.into_split();
    let (out, outbox) = mpsc::channel(OUTBOX);
    let writer = tokio::spawn(write_all(write, outbox));
    let under_way = UnderWay::default();
    let room = Arc::new(Semaphore::new(MAX_REQUESTS));
    let here = watch::Sender::new(());
    let mut client = Client { engine, out, under_way, room, subscription: None, here };
    client.read(&mut read).await;
    // It has a sender too, and would keep the writer and the client's place.
    if let Some(subscription) = client.subscription.take() {
        subscription.abort();
    }
    // Work under way goes on; its answers go nowhere once the last sender is gone.
    drop(client);
    let _ = writer.await;
}

async fn write_all(mut write: OwnedWriteHalf, mut outbox: mpsc::Receiver<Message>) {
    while let Some(message) = outbox.recv().await {
        let line = message.to_line().or_else(|error| match &message {
            Message::Response { id, .. } | Message::Written { id, .. } => {
                let outcome = Err(RpcError::internal(error.to_string()));
                Message::Response { id: *id, outcome }.to_line()
            }
            _ => Err(error),
        });
        let Ok(line) = line else { continue };
        if write.write_all(&line).await.is_err() {
            return;
        }
    }
}

impl Client {
    async fn read(&mut self, read: &mut OwnedReadHalf) {
        let mut buffer = LineBuffer::default();
        let mut chunk = vec![0; 4096];
        loop {
            match read.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(length) => buffer.push(&chunk[..length]),
            }
            loop {
                match buffer.next_line() {
                    Ok(Some(line)) => self.handle(&line).await,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "closed a client");
                        return self.refuse(&error).await;
                    }
                }
            }
        }
    }

    async fn handle(&mut self, line: &[u8]) {
        match Message::parse(line) {
            Ok(Message::Request { id, method, params }) => self.request(id, method, params).await,
            Ok(Message::Notification { method, params }) if method == CancelNotification::NAME => {
                if let Ok(CancelRequest { id }) = serde_json::from_value(params)
                    && let Some(cancel) = lock(&self.under_way).get(&id)
                {
                    cancel.send_replace(true);
                }
            }
            // JSON-RPC: unknown notifications are passed over, answers to nothing too.
            Ok(_) => (),
            Err(error) => {
                tracing::warn!(%error, "a client sent no message");
                self.refuse(&error).await;
            }
        }
    }

    /// Answers what was no request, and so has no id.
    async fn refuse(&self, error: &FrameError) {
        let refusal = Message::Refusal { code: error.code(), error: RpcError::internal(error.to_string()) };
        let _ = self.out.send(refusal).await;
    }

    async fn request(&mut self, id: Id, method: String, params: Value) {
        if method == Subscribe::NAME {
            if self.subscription.is_none() {
                let forwarding = forward(self.engine.changes.subscribe(), self.out.clone());
                self.subscription = Some(tokio::spawn(forwarding));
            }
            return self.answer(id, Ok(json!(Nothing {}))).await;
        }
        if self.engine.is_stopping() {
            return self.answer(id, Err(stopping().0)).await;
        }
        let Ok(place) = Arc::clone(&self.room).acquire_owned().await else { return };
        let (cancel, cancelled) = watch::channel(false);
        lock(&self.under_way).insert(id, cancel);
        let call = Call { id, out: self.out.clone(), cancelled, here: self.here.subscribe() };
        let (engine, under_way) = (Arc::clone(&self.engine), Arc::clone(&self.under_way));
        let out = self.out.clone();
        tokio::spawn(async move {
            let _place = place;
            let outcome = rpc::dispatch(&engine, &method, params, &call).await.map_err(|failure| failure.0);
            if let Err(error) = &outcome
                && error.reason != Some(Reason::Cancelled)
            {
                tracing::info!(method, error = %error, "a request failed");
            }
            lock(&under_way).remove(&id);
            let answer = match outcome {
                Ok(result) => Message::Written { id, result },
                Err(error) => Message::Response { id, outcome: Err(error) },
            };
            // The client may have left.
            let _ = out.send(answer).await;
        });
    }

    async fn answer(&self, id: Id, outcome: std::result::Result<Value, RpcError>) {
        let _ = self.out.send(Message::Response { id, outcome }).await;
    }
}

/// Tells one subscriber of changes, until it or the engine ends. What comes together is told once.
async fn forward(mut changes: broadcast::Receiver<Subject>, out: mpsc::Sender<Message>) {
    loop {
        let received = tokio::select! {
            received = changes.recv() => received,
            () = out.closed() => return,
        };
        let mut told = Vec::with_capacity(ALL.len());
        match received {
            Ok(what) => told.push(what),
            // Some were lost: all of them may have changed.
            Err(broadcast::error::RecvError::Lagged(_)) => told.extend(ALL),
            Err(broadcast::error::RecvError::Closed) => return,
        }
        loop {
            match changes.try_recv() {
                Ok(what) => told.push(what),
                Err(broadcast::error::TryRecvError::Lagged(_)) => told.extend(ALL),
                Err(_) => break,
            }
        }
        for what in ALL.into_iter().filter(|what| told.contains(what)) {
            let Ok(message) = Message::notification::<ChangedNotification>(&Changed { what }) else {
                continue;
            };
            if out.send(message).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(REST).await;
    }
}

const ALL: [Subject; 5] =
    [Subject::Branches, Subject::Worktrees, Subject::Compute, Subject::Schema, Subject::Migrations];

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Moves bytes between one client and one Postgres, and knows what they mean.
//!
//! Everything runs in one task and is written as poll functions: whether the connection is idle is then judged between
//! two steps, never while a message is half written.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};

use crate::cancel::{CancelKeys, Registration};
use crate::tracker::Conversation;
use crate::upstream::Pulse;

/// A lane's first buffer, in bytes: enough for small queries, so that idle connections cost little.
const SMALL_BUFFER: usize = 8 * 1024;
/// A lane's buffer after a read has filled the small one, in bytes.
const LARGE_BUFFER: usize = 64 * 1024;
/// How long a connection that must be cut may take to reach the end of a message, and Postgres to see that it is over.
const CUT_PATIENCE: Duration = Duration::from_secs(1);

/// Why the relay stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client can no longer be reached.
    ClientLeft,
    /// Postgres closed the connection; everything it said has been passed on.
    ServerLeft,
    /// The connection was told to leave, and is idle.
    Idle,
}

/// Bytes on their way in one direction: `buffer[start..end]` is still to be written.
struct Lane {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The offset of the last message boundary in the buffer.
    boundary: Option<usize>,
    eof: bool,
}

impl Lane {
    fn new() -> Self {
        Self { buffer: vec![0; SMALL_BUFFER].into(), start: 0, end: 0, boundary: None, eof: false }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Fills the empty lane with one read. 0 is the end of the stream.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut (impl AsyncRead + Unpin),
    ) -> Poll<io::Result<usize>> {
        if self.end == self.buffer.len() && self.buffer.len() < LARGE_BUFFER {
            self.buffer = vec![0; LARGE_BUFFER].into();
        }
        let mut space = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(source).poll_read(cx, &mut space))?;
        (self.start, self.end, self.boundary) = (0, space.filled().len(), None);
        Poll::Ready(Ok(self.end))
    }

    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            match ready!(Pin::new(&mut *sink).poll_write(cx, &self.buffer[self.start..self.end]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.start += written,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// One client and its Postgres.
pub(crate) struct Relay {
    client: TcpStream,
    server: UnixStream,
    socket: PathBuf,
    keys: Arc<CancelKeys>,
    pulse: Arc<Pulse>,
    registration: Option<Registration>,
    talk: Conversation,
    up: Lane,
    down: Lane,
    /// Postgres takes no more bytes, either because we said so or because it went away.
    server_deaf: bool,
    truncated: bool,
    /// Which way goes first at the next step, so that a flood in one direction cannot starve the other.
    up_first: bool,
    /// When the client was last sent something.
    spoke_at: Instant,
}

impl Relay {
    /// A relay that begins with `greeting`, which Postgres has sent already.
    pub(crate) fn new(
        client: TcpStream,
        server: UnixStream,
        greeting: &[u8],
        socket: PathBuf,
        keys: Arc<CancelKeys>,
        pulse: Arc<Pulse>,
    ) -> Self {
        let (up, mut down) = (Lane::new(), Lane::new());
        let mut talk = Conversation::default();
        if greeting.len() > down.buffer.len() {
            down.buffer = vec![0; greeting.len()].into();
        }
        down.buffer[..greeting.len()].copy_from_slice(greeting);
        down.end = greeting.len();
        down.boundary = talk.server_sent(greeting);
        let (registration, server_deaf, truncated, up_first) = (None, false, false, false);
        let spoke_at = Instant::now();
        let mut relay = Self {
            client,
            server,
            socket,
            keys,
            pulse,
            registration,
            talk,
            up,
            down,
            server_deaf,
            truncated,
            up_first,
            spoke_at,
        };
        relay.register_key();
        relay
    }

    /// Relays until one side leaves or, if `leaving`, until the connection is idle. May be dropped and called again at any time.
    pub(crate) async fn run(&mut self, leaving: bool) -> Ending {
        std::future::poll_fn(|cx| self.poll_run(cx, leaving)).await
    }

    /// Whether nothing is under way in either direction and no transaction is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.up.is_empty() && self.down.is_empty() && self.talk.is_idle()
    }

    /// When the client was last sent something.
    pub(crate) fn spoke_at(&self) -> Instant {
        self.spoke_at
    }

    /// Whether the client should be told that its server went away.
    pub(crate) fn owes_explanation(&self) -> bool {
        self.down.is_empty()
            && self.talk.server_at_boundary()
            && !self.talk.end_is_explained()
            && !self.up.eof
    }

    /// Brings what the client has received to the end of a message, and says whether that was possible.
    pub(crate) async fn reach_boundary(&mut self) -> bool {
        let reach = std::future::poll_fn(|cx| self.poll_boundary(cx));
        timeout(CUT_PATIENCE, reach).await.unwrap_or(false)
    }

    /// Sends the client a last message. Best effort: a client that does not read must not hold up a switch.
    pub(crate) async fn tell_client(&mut self, message: &[u8]) {
        let _ = timeout(CUT_PATIENCE, self.client.write_all(message)).await;
    }

    /// Ends the server's side and waits, for a moment, until its backend is gone. Cancels what still runs.
    ///
    /// Returns the client's socket, for whoever wants to close it gently.
    pub(crate) async fn end_server(mut self) -> TcpStream {
        let goodbye = async {
            if self.is_idle() {
                self.server.write_all(b"X\0\0\0\x04").await?;
            } else if let Some(registration) = &self.registration {
                registration.cancel().await;
            }
            self.server.shutdown().await?;
            while self.server.read(&mut self.down.buffer).await? > 0 {}
            io::Result::Ok(())
        };
        if timeout(CUT_PATIENCE, goodbye).await.is_err() {
            tracing::debug!("a backend did not end in time");
        }
        self.into_client()
    }

    /// Drops the server's side at once and returns the client's socket.
    pub(crate) fn into_client(self) -> TcpStream {
        // What was under way may have been committed.
        if !self.is_idle() {
            self.pulse.beat();
        }
        self.client
    }

    fn poll_run(&mut self, cx: &mut Context<'_>, leaving: bool) -> Poll<Ending> {
        // Idleness is judged before reading from the client, so that a leaving connection takes no new work.
        if leaving && self.is_idle() {
            return Poll::Ready(Ending::Idle);
        }
        self.up_first = !self.up_first && !leaving;
        if self.up_first
            && let Poll::Ready(ending) = self.poll_up(cx)
        {
            return Poll::Ready(ending);
        }
        if let Poll::Ready(ending) = self.poll_down(cx) {
            return Poll::Ready(ending);
        }
        if leaving && self.is_idle() {
            return Poll::Ready(Ending::Idle);
        }
        self.poll_up(cx)
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        loop {
            if ready!(self.down.poll_flush(cx, &mut self.client)).is_err() {
                return Poll::Ready(Ending::ClientLeft);
            }
            match ready!(self.poll_hear_server(cx)) {
                Ok(true) => self.spoke_at = Instant::now(),
                Ok(false) | Err(_) => return Poll::Ready(Ending::ServerLeft),
            }
        }
    }

    /// Fills the empty lane towards the client. False is the end of the stream.
    fn poll_hear_server(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let size = ready!(self.down.poll_fill(cx, &mut self.server))?;
        self.down.boundary = self.talk.server_sent(&self.down.buffer[..size]);
        if self.talk.take_statement_end() {
            self.pulse.beat();
        }
        self.register_key();
        Poll::Ready(Ok(size > 0))
    }

    /// Ready only if the client has left.
    fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        while !self.server_deaf {
            if ready!(self.up.poll_flush(cx, &mut self.server)).is_err() {
                // Postgres may have said why before it closed; the way down will tell.
                self.server_deaf = true;
            } else if self.up.eof {
                // The client may still read. Postgres answers what it has, then meets the end too.
                let _ = ready!(Pin::new(&mut self.server).poll_shutdown(cx));
                self.server_deaf = true;
            } else {
                match ready!(self.up.poll_fill(cx, &mut self.client)) {
                    Ok(0) => self.up.eof = true,
                    Ok(size) => self.talk.client_sent(&self.up.buffer[..size]),
                    Err(_) => return Poll::Ready(Ending::ClientLeft),
                }
            }
        }
        Poll::Pending
    }

    fn poll_boundary(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if let Some(boundary) = self.down.boundary.take_if(|boundary| *boundary >= self.down.start) {
                (self.down.end, self.truncated) = (boundary, true);
            }
            if ready!(self.down.poll_flush(cx, &mut self.client)).is_err() || self.talk.server_is_lost() {
                return Poll::Ready(false);
            }
            if self.truncated || self.talk.server_at_boundary() {
                return Poll::Ready(true);
            }
            if !matches!(ready!(self.poll_hear_server(cx)), Ok(true)) {
                return Poll::Ready(false);
            }
        }
    }

    /// Makes the connection known to cancel requests, before the client itself learns its key.
    fn register_key(&mut self) {
        if let Some(key) = self.talk.take_key() {
            self.registration = Some(self.keys.register(&key, &self.socket));
        }
    }
}
